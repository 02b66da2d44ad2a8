"""Sums over records."""

import pytest

from simulator.accesslog import AccessRecord, Attempt, TrafficCounts, status_class


def record(status: int, *, upstream_s: tuple[float, ...] = (), limited: bool = False):
    made = AccessRecord()
    made.response_status = status
    made.request_time_s = 0.5
    made.request_length = 100
    made.body_bytes_sent = 7
    made.limited = (9, 0) if limited else None
    for seconds in upstream_s:
        attempt = Attempt("10.0.2.11:8080")
        attempt.response_s = seconds
        made.attempts.append(attempt)
    return made


RECORDS = [
    record(200, upstream_s=(0.25,)),
    record(200, upstream_s=(0.125, 0.25)),
    record(503, limited=True),
    record(400),
    record(9, upstream_s=(0.5,)),
]


@pytest.mark.parametrize("cut", range(len(RECORDS) + 1))
def test_counts_of_nodes_add_up(cut: int):
    one, other = TrafficCounts(), TrafficCounts()
    for made in RECORDS[:cut]:
        one.add(made)
    for made in RECORDS[cut:]:
        other.add(made)
    one.merge(other)
    assert one == TrafficCounts(
        by_status={200: 2, 503: 1, 400: 1, 9: 1},
        limited=1,
        forwarded=3,
        request_time_s=2.5,
        upstream_time_s=1.125,
        request_bytes=500,
        response_body_bytes=35,
    )
    assert one.requests == 5


@pytest.mark.parametrize(
    ("status", "shown"),
    [(200, "2xx"), (101, "1xx"), (599, "5xx"), (0, "other"), (9, "other"), (999, "other")],
)
def test_classes_of_statuses(status: int, shown: str):
    assert status_class(status) == shown
