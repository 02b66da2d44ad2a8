"""Scenario files: YAML in, one frozen ``Scenario`` out, or every problem with its place."""

from simulator.scenario.load import load_scenario
from simulator.scenario.names import parse_name
from simulator.scenario.scenario import (
    Account,
    Backends,
    ClockSettings,
    ExternalServers,
    IpGroupPlan,
    LedgerSettings,
    ListenerPlan,
    LoadBalancerPlan,
    LogServiceSettings,
    PolicyPlan,
    Ports,
    RecordSettings,
    Scenario,
    ServerGroupPlan,
    SpoolSettings,
)
from simulator.scenario.snapshot import build_snapshot

__all__ = [
    "Account",
    "Backends",
    "ClockSettings",
    "ExternalServers",
    "IpGroupPlan",
    "LedgerSettings",
    "ListenerPlan",
    "LoadBalancerPlan",
    "LogServiceSettings",
    "PolicyPlan",
    "Ports",
    "RecordSettings",
    "Scenario",
    "ServerGroupPlan",
    "SpoolSettings",
    "build_snapshot",
    "load_scenario",
    "parse_name",
]
