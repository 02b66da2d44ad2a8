"""Where traffic comes from and who answers it: profiles, senders and built-in backend servers."""

from simulator.workload.backends import BuiltinBackends, StatusSequence
from simulator.workload.paths import PathTemplate, parse_path
from simulator.workload.plan import PlannedRequest, SimulatedClient, plan, simulated_client
from simulator.workload.profiles import (
    BackendProfile,
    RequestTemplate,
    SizeRange,
    TrafficProfile,
    TrafficTls,
)
from simulator.workload.sender import TrafficCounters, TrafficSender

__all__ = [
    "BackendProfile",
    "BuiltinBackends",
    "PathTemplate",
    "PlannedRequest",
    "RequestTemplate",
    "SimulatedClient",
    "SizeRange",
    "StatusSequence",
    "TrafficCounters",
    "TrafficProfile",
    "TrafficSender",
    "TrafficTls",
    "parse_path",
    "plan",
    "simulated_client",
]
