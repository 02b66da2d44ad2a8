"""LogStores, buckets and the flow logs that deliver to them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, assert_never

from simulator.model import (
    Bucket,
    BucketDestination,
    ClusterKind,
    DelayDistribution,
    DelayKind,
    FlowLog,
    Granularity,
    LoadBalancerId,
    LogStore,
    LogStoreDestination,
    SearchMode,
)
from simulator.model.key_layout import parse_layout
from simulator.model.units import parse_duration_range, parse_size
from simulator.scenario.document import Entry, Value
from simulator.scenario.identity import Identities
from simulator.scenario.names import (
    UniqueNames,
    parse_bucket_name,
    parse_log_store_name,
    take_name,
)
from simulator.scenario.scenario import LoadBalancerPlan
from simulator.verdict import parse_duration

_MAX_FLOW_LOGS: Final = 10  # per region; doc https://cloud.baidu.com/doc/VPC/s/Lkdonb0v7
_LAYERS_SOURCE: Final = "https://cloud.baidu.com/doc/BLB/s/Umbq97b2o"
_DEFAULT_PROJECT: Final = "default"
_DAY_S: Final = 86400


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """Where flow logs may deliver to."""

    log_stores: tuple[LogStore, ...]
    buckets: tuple[Bucket, ...]


def read_destinations(
    log_stores: Value | None, buckets: Value | None, *, search: SearchMode
) -> Destinations:
    """``log_stores: [{name, project, retention, search}]`` and ``buckets: [name]``.

    Args:
        log_stores: in the file.
        buckets: in the file.
        search: of LogStores that do not say.
    """
    return Destinations(
        log_stores=_read_log_stores(log_stores, search),
        buckets=_read_buckets(buckets),
    )


def read_flow_logs(
    value: Value | None,
    *,
    load_balancers: Mapping[str, LoadBalancerPlan],
    destinations: Destinations,
    identities: Identities,
) -> tuple[tuple[FlowLog, ...], tuple[str, ...]]:
    """``flow_logs: [{name, load_balancer, layer, to, delay, granularity}]``.

    Returns:
        The flow logs, and the names of all of them, with those that have a problem.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Umbq97b2o (layers and clusters) and
    https://cloud.baidu.com/doc/VPC/s/Lkdonb0v7 (ten per region); that a second one for the same
    balancer, layer and destination is refused is assumed.
    """
    reader = _FlowLogs(load_balancers, destinations, identities)
    entries = [] if value is None else value.items()
    if len(entries) > _MAX_FLOW_LOGS:
        entries[_MAX_FLOW_LOGS].problem(
            f"{len(entries)} flow logs are too many; expected at most {_MAX_FLOW_LOGS} per region"
        )
    read = [reader.read(entry) for entry in entries]
    return tuple(flow_log for flow_log in read if flow_log is not None), tuple(reader.seen_names)


class _FlowLogs:
    """Reads flow logs one by one and remembers what may be given only once."""

    def __init__(
        self,
        load_balancers: Mapping[str, LoadBalancerPlan],
        destinations: Destinations,
        identities: Identities,
    ) -> None:
        self._load_balancers = load_balancers
        self._destinations = destinations
        self._identities = identities
        self._names = UniqueNames("flow log")
        self._lines: dict[tuple[LoadBalancerId, tuple[str, ...]], int] = {}
        self.seen_names: list[str] = []

    def read(self, value: Value) -> FlowLog | None:
        entry = value.mapping(
            ("name", "load_balancer", "layer", "to", "delay", "granularity"),
            required=("name", "load_balancer", "to"),
        )
        name = take_name(entry, self._names)
        self.seen_names.append(name)
        plan = self._read_load_balancer(entry)
        self._check_layer(entry, plan)
        destination = self._read_destination(entry.get("to"))
        delay = replace(
            _read_delay(entry.get("delay")),
            granularity=entry.choice("granularity", Granularity, Granularity.BATCH),
        )
        granularity = entry.get("granularity")
        if (
            granularity is not None
            and delay.granularity is Granularity.RECORD
            and isinstance(destination, BucketDestination)
        ):
            granularity.problem(
                "'record' needs a LogStore, for an object becomes visible as a whole; "
                "expected batch or node"
            )
        if plan is None or destination is None:
            return None
        key = (plan.load_balancer_id, _destination_key(destination))
        if key in self._lines:
            value.problem(
                f"a second flow log for load balancer {plan.name!r}, layer 7 and the same "
                f"destination; the one in line {self._lines[key]} delivers there already"
            )
        self._lines.setdefault(key, value.line)
        return FlowLog(
            flow_log_id=self._identities.flow_log_id(name),
            name=name,
            load_balancer_id=plan.load_balancer_id,
            destination=destination,
            delay=delay,
        )

    def _read_load_balancer(self, entry: Entry) -> LoadBalancerPlan | None:
        value = entry.get("load_balancer")
        name = value.reference("load balancer", self._load_balancers) if value else None
        if value is None or name is None:
            return None
        plan = self._load_balancers[name]
        if not plan.listeners:
            value.problem(f"load balancer {name!r} has no HTTP listener to record; expected one")
        return plan

    def _check_layer(self, entry: Entry, plan: LoadBalancerPlan | None) -> None:
        value = entry.get("layer")
        if value is None or entry.integer("layer", 1, 7, 7) == 7:
            return
        if value.word() != "4":
            value.problem(f"layer {value.word()} has no flow logs; expected 7")
        elif plan is not None and plan.cluster.kind is ClusterKind.SHARED:
            value.problem(
                "layer-4 flow logs need a dedicated cluster, and load balancer "
                f"{plan.name!r} is on the shared one; expected layer 7 ({_LAYERS_SOURCE})"
            )
        else:
            value.problem("layer-4 flow logs are not simulated yet; expected layer 7")

    def _read_destination(
        self, value: Value | None
    ) -> LogStoreDestination | BucketDestination | None:
        if value is None:
            return None
        entry = value.mapping(
            ("log_store", "project", "bucket", "prefix", "layout", "gzip", "rotate", "max_size")
        )
        given = set(entry.keys())
        if {"log_store", "bucket"} <= given:
            value.problem("both 'log_store' and 'bucket' are given; expected one of them")
        elif "log_store" in given:
            _refuse_keys(entry, ("prefix", "layout", "gzip", "rotate", "max_size"), "a bucket")
            return self._read_log_store(entry)
        elif "bucket" in given:
            _refuse_keys(entry, ("project",), "a LogStore")
            return self._read_bucket(entry)
        elif value.is_mapping:
            value.problem("no destination is given; expected 'log_store' or 'bucket'")
        return None

    def _read_log_store(self, entry: Entry) -> LogStoreDestination | None:
        value = entry.get("log_store")
        assert value is not None
        stores = self._destinations.log_stores
        if "project" in entry:
            project = entry.text("project", _DEFAULT_PROJECT)
            stores = tuple(store for store in stores if store.project == project)
        name = value.reference("LogStore", list(dict.fromkeys(store.name for store in stores)))
        projects = [store.project for store in stores if store.name == name]
        if name is None:
            return None
        if len(projects) > 1:
            value.problem(
                f"{name!r} is a LogStore of several projects ({', '.join(projects)}); "
                "expected 'project' beside it"
            )
        return LogStoreDestination(project=projects[0], log_store=name)

    def _read_bucket(self, entry: Entry) -> BucketDestination | None:
        value = entry.get("bucket")
        assert value is not None
        default = BucketDestination(bucket="")
        bucket = value.reference("bucket", [bucket.name for bucket in self._destinations.buckets])
        rotation_s = entry.parsed("rotate", _parse_rotation, default.rotation_s)
        destination = BucketDestination(
            bucket=bucket or "",
            prefix=entry.parsed("prefix", _parse_prefix, default.prefix),
            layout=entry.parsed(
                "layout", partial(parse_layout, rotation_s=rotation_s), default.layout
            ),
            gzip=entry.boolean("gzip", default=default.gzip),
            rotation_s=rotation_s,
            max_object_bytes=entry.parsed("max_size", _parse_object_size, default.max_object_bytes),
        )
        return destination if bucket is not None else None


def _read_log_stores(value: Value | None, search: SearchMode) -> tuple[LogStore, ...]:
    names = UniqueNames("LogStore")
    stores: list[LogStore] = []
    default = LogStore(name="")
    for entry_value in [] if value is None else value.items():
        entry = entry_value.mapping(("name", "project", "retention", "search"), required=("name",))
        project = entry.parsed("project", parse_log_store_name, default.project)
        retention_days = entry.parsed("retention", _parse_retention, default.retention_days)
        name = entry.get("name")
        text = name.parsed(parse_log_store_name, "") if name is not None else ""
        if name is None or not text or not names.add(f"{project}/{text}", name, shown=text):
            continue
        stores.append(
            LogStore(
                name=text,
                project=project,
                retention_days=retention_days,
                search=entry.choice("search", SearchMode, search),
            )
        )
    return tuple(stores)


def _read_buckets(value: Value | None) -> tuple[Bucket, ...]:
    names = UniqueNames("bucket")
    buckets: list[Bucket] = []
    for name in [] if value is None else value.items():
        text = name.parsed(parse_bucket_name, "")
        if text and names.add(text, name):
            buckets.append(Bucket(name=text))
    return tuple(buckets)


def _read_delay(value: Value | None) -> DelayDistribution:
    default = DelayDistribution()
    if value is None:
        return default
    if not value.is_mapping:
        low_s, high_s = value.parsed(parse_duration_range, (default.low_s, default.high_s))
        return DelayDistribution(kind=DelayKind.UNIFORM, low_s=low_s, high_s=high_s)
    entry = value.mapping([kind.value for kind in DelayKind])
    uniform, lognormal = entry.get("uniform"), entry.get("lognormal")
    if (uniform is None) == (lognormal is None):
        value.problem(
            "expected one distribution: {uniform: [2m, 3m]} or {lognormal: {p50: 130s, p99: 400s}}"
        )
    elif uniform is not None:
        return _read_uniform(uniform)
    elif lognormal is not None:
        return _read_lognormal(lognormal)
    return default


def _read_uniform(value: Value) -> DelayDistribution:
    ends = [end.parsed(parse_duration, 0.0) for end in value.items()]
    if len(ends) != 2:
        value.problem(f"{len(ends)} durations; expected the two ends, such as [2m, 3m]")
        return DelayDistribution()
    if ends[1] < ends[0]:
        value.problem("the second duration is less than the first; expected at least as much")
    return DelayDistribution(kind=DelayKind.UNIFORM, low_s=ends[0], high_s=ends[1])


def _read_lognormal(value: Value) -> DelayDistribution:
    parts = value.mapping(("p50", "p99"), required=("p50", "p99"))
    p50_s = parts.parsed("p50", parse_duration, 1.0)
    p99_s = parts.parsed("p99", parse_duration, max(1.0, p50_s))
    if p50_s <= 0.0:
        value.problem("p50 is 0s; expected more, or a delay of 0s instead of a distribution")
    elif p99_s < p50_s:
        value.problem("p99 is less than p50; expected at least as much")
    return DelayDistribution(
        kind=DelayKind.LOGNORMAL, low_s=0.0, high_s=0.0, p50_s=p50_s, p99_s=p99_s
    )


def _refuse_keys(entry: Entry, keys: tuple[str, ...], owner: str) -> None:
    for key in keys:
        value = entry.get(key)
        if value is not None:
            value.problem(f"{key!r} is for {owner}; this destination is not one")


def _destination_key(destination: LogStoreDestination | BucketDestination) -> tuple[str, ...]:
    match destination:
        case LogStoreDestination():
            return ("log_store", destination.project, destination.log_store)
        case BucketDestination():
            return ("bucket", destination.bucket, destination.prefix)
        case _:
            assert_never(destination)


def _parse_retention(text: str) -> int:
    seconds = parse_duration(text)
    days = int(seconds // _DAY_S)
    # Source: the vendor's API metadata, 1 to 3650 days.
    if seconds != days * _DAY_S or not 1 <= days <= 3650:
        raise ValueError(f"{text} is not a retention; expected whole days from 1d to 3650d")
    return days


def _parse_rotation(text: str) -> int:
    seconds = parse_duration(text)
    if seconds != int(seconds) or seconds < 1:
        raise ValueError(f"{text} is not a rotation; expected whole seconds, at least 1s")
    return int(seconds)


def _parse_object_size(text: str) -> int:
    size = parse_size(text)
    if size < 1:
        raise ValueError(f"{text} is not an object size; expected at least 1B")
    return size


def _parse_prefix(text: str) -> str:
    if text.startswith("/") or not text.isprintable() or len(text.encode()) > 256:
        raise ValueError(
            f"{text!r} is not a prefix; expected at most 256 printable bytes and no leading '/'"
        )
    return text
