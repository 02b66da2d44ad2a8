"""The status of a simulation in the text format that Prometheus reads.

Source: doc https://cloud.baidu.com/doc/BLB/s/nluqo5cmz for the vendor's metrics, named in the
help texts. Its rates per minute are counters here, as Prometheus wants them.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from simulator.accesslog import status_class
from simulator.api.simulation import ListenerView, LogServiceView, SimulationStatus

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_CLASSES: Final = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")

_OF_LISTENERS: Final[tuple[tuple[str, str, str, Callable[[ListenerView], float]], ...]] = (
    ("active_connections", "gauge", "Client connections open (ActiveConnCount).",
     lambda view: view.open_connections),
    ("new_connections_total", "counter", "Client connections let in (NewConnectCount).",
     lambda view: view.new_connections),
    ("requests_total", "counter", "Requests (RequestCount).", lambda view: view.requests),
    ("limited_requests_total", "counter", "Requests over the limit of the load balancer.",
     lambda view: view.limited_requests),
    ("request_seconds_total", "counter",
     "Time of all requests; by requests_total it is AverageResponseTime.",
     lambda view: view.request_time_s),
    ("forwarded_requests_total", "counter", "Requests for which a backend server was tried.",
     lambda view: view.forwarded_requests),
    ("upstream_seconds_total", "counter",
     "Time of all tries at backend servers; by forwarded_requests_total it is "
     "AverageUpsResponseTime.",
     lambda view: view.upstream_time_s),
    ("request_bytes_total", "counter", "Bytes of requests received, heads included.",
     lambda view: view.request_bytes),
    ("response_body_bytes_total", "counter", "Bytes of responses sent, without their heads.",
     lambda view: view.response_body_bytes),
)  # fmt: skip
"""Name, kind, help and value of what has one sample for each listener."""


def encode_metrics(status: SimulationStatus) -> str:
    """Every metric with its samples."""
    return "".join(f"{line}\n" for line in _lines(status))


def _lines(status: SimulationStatus) -> Iterator[str]:
    listeners = [
        (f'load_balancer="{balancer.name}",port="{listener.port}"', listener)
        for balancer in status.load_balancers
        for listener in balancer.listeners
    ]
    for name, kind, text, value_of in _OF_LISTENERS:
        yield from _head(name, kind, text)
        for labels, listener in listeners:
            yield f"blbsim_{name}{{{labels}}} {value_of(listener)}"
    yield from _head("responses_total", "counter", "Requests by status (Response2xxNum ...).")
    for labels, listener in listeners:
        by_class: Counter[str] = Counter()
        for code, count in listener.by_status.items():
            by_class[status_class(int(code))] += count
        for name in _CLASSES:
            yield f'blbsim_responses_total{{{labels},class="{name}"}} {by_class[name]}'
    yield from _head(
        "dropped_connections_total", "counter", "Connections over the limits (DropConnectCount)."
    )
    for balancer in status.load_balancers:
        labels = f'load_balancer="{balancer.name}"'
        yield f"blbsim_dropped_connections_total{{{labels}}} {balancer.dropped_connections}"
    yield from _head("servers", "gauge", "Backend servers by health (HealthyCount).")
    for balancer in status.load_balancers:
        states = Counter(server.state for server in balancer.servers)
        for state in ("Alive", "Dead", "Unknown"):
            labels = f'load_balancer="{balancer.name}",state="{state}"'
            yield f"blbsim_servers{{{labels}}} {states[state]}"
    yield from _head("records", "gauge", "Records of flow logs by where they are.")
    for log in status.flow_logs:
        for state, count in (
            ("delivered", log.delivered),
            ("pending", log.pending),
            ("lost", log.lost),
            ("dropped", log.dropped),
        ):
            yield f'blbsim_records{{flow_log="{log.name}",state="{state}"}} {count}'
    yield from _of_log_service(status.log_service)


def _of_log_service(service: LogServiceView) -> Iterator[str]:
    yield from _head("log_store_records", "gauge", "Records of LogStores that can be read.")
    for store in service.log_stores:
        if store.records is not None:
            labels = f'project="{store.project}",log_store="{store.name}"'
            yield f"blbsim_log_store_records{{{labels}}} {store.records}"
    yield from _head("log_stores", "gauge", "LogStores by state.")
    states = Counter(store.state for store in service.log_stores)
    for state in ("ready", "not ready", "stopped"):
        yield f'blbsim_log_stores{{state="{state}"}} {states[state]}'
    yield from _head("log_shippers", "gauge", "Log shippers by status.")
    statuses = Counter(shipper.status for shipper in service.shippers)
    for name in ("Running", "Abnormal", "Paused"):
        yield f'blbsim_log_shippers{{status="{name}"}} {statuses[name]}'
    yield from _head("alarms_open", "gauge", "Alarms of a policy that are open.")
    for policy in service.alarm_policies:
        yield f'blbsim_alarms_open{{policy="{policy.name}"}} {policy.alarms}'


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP blbsim_{name} {text}"
    yield f"# TYPE blbsim_{name} {kind}"
