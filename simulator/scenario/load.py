"""Reads a scenario file into a ``Scenario``, or tells everything that is wrong with it."""

from pathlib import Path
from typing import Final

from simulator.rng import entropy_seed
from simulator.scenario.backends import read_backends
from simulator.scenario.document import open_document
from simulator.scenario.faults import read_faults
from simulator.scenario.flow_logs import read_destinations, read_flow_logs
from simulator.scenario.identity import Identities
from simulator.scenario.load_balancers import read_clusters, read_load_balancers
from simulator.scenario.scenario import Scenario
from simulator.scenario.settings import (
    Region,
    read_account,
    read_clock,
    read_ledger,
    read_log_service,
    read_ports,
    read_record,
    read_spool,
)
from simulator.scenario.traffic import read_expectations, read_traffic

_KEYS: Final = (
    "version",
    "name",
    "seed",
    "clock",
    "region",
    "account",
    "ports",
    "record",
    "ledger",
    "spool",
    "log_service",
    "backends",
    "shared_cluster",
    "dedicated_clusters",
    "load_balancers",
    "log_stores",
    "buckets",
    "flow_logs",
    "traffic",
    "faults",
    "expect",
)
_MAX_SEED: Final = 2**63 - 1


def load_scenario(path: Path, *, seed: int | None = None) -> Scenario:
    """The scenario in the YAML file ``path``.

    Args:
        path: the file.
        seed: instead of the one in the file.

    Raises:
        ScenarioError: with every problem of the file, in its order.
    """
    document, problems = open_document(path)
    root = document.mapping(_KEYS, required=("version",))
    version = root.get("version")
    if version is not None and version.integer(0, _MAX_SEED, 1) != 1:
        version.problem(f"version {version.word()} is unknown; expected 1")
    seed_drawn = "seed" not in root and seed is None
    in_file = root.integer("seed", 0, _MAX_SEED, 0) if "seed" in root else entropy_seed()
    seed = in_file if seed is None else seed
    identities = Identities(seed)
    backends = read_backends(root.get("backends"))
    load_balancers = read_load_balancers(
        root.get("load_balancers"),
        backends=backends,
        clusters=read_clusters(
            root.get("shared_cluster"), root.get("dedicated_clusters"), identities
        ),
        identities=identities,
        directory=path.parent,
    )
    log_service = read_log_service(root.get("log_service"))
    destinations = read_destinations(
        root.get("log_stores"), root.get("buckets"), search=log_service.search
    )
    flow_logs, flow_log_names = read_flow_logs(
        root.get("flow_logs"),
        load_balancers=load_balancers,
        destinations=destinations,
        identities=identities,
    )
    scenario = Scenario(
        path=path,
        name=root.text("name", path.stem),
        seed=seed,
        seed_drawn=seed_drawn,
        region=root.choice("region", Region, Region.BJ).value,
        clock=read_clock(root.get("clock")),
        account=read_account(root.get("account")),
        ports=read_ports(root.get("ports")),
        record=read_record(root.get("record")),
        log_service=log_service,
        ledger=read_ledger(root.get("ledger")),
        spool=read_spool(root.get("spool")),
        backends=tuple(backends.values()),
        load_balancers=tuple(load_balancers.values()),
        log_stores=destinations.log_stores,
        buckets=destinations.buckets,
        flow_logs=flow_logs,
        traffic=read_traffic(root.get("traffic"), load_balancers, path.parent),
        faults=read_faults(root.get("faults"), flow_log_names),
        expectations=read_expectations(root.get("expect"), flow_log_names, tuple(load_balancers)),
    )
    problems.raise_if_any()
    return scenario
