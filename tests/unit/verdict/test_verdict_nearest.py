"""Which missing record an unexpected one was made of."""

import time

from fake_ledger import line, record

from simulator.verdict.canonical import TEXT_FIELD, Canonical
from simulator.verdict.nearest import Nearest

CANONICAL = Canonical()


def nearest_of(*lines: bytes) -> Nearest:
    nearest = Nearest()
    for one in lines:
        nearest.add_missing(CANONICAL.delivered_fields(one), CANONICAL.text(one))
    return nearest


def pair(nearest: Nearest, one: bytes) -> int | None:
    return nearest.pair(CANONICAL.kept_fields(one), CANONICAL.text(one))


def test_the_closest_wins_and_has_one_partner():
    nearest = nearest_of(line(1), line(1, host="a", scheme="b"), line(2))
    assert pair(nearest, line(1, host="a")) == 0
    assert pair(nearest, line(1, host="a")) == 1
    assert pair(nearest, line(1, host="a")) is None


def test_any_one_conversion_leaves_a_way_to_find_the_record():
    for spoilt in (
        {"time_local": "2026-03-01"},
        {"request": "GET /"},
        {"cip": "x", "remote_addr": "x"},
        {"cip": "x", "remote_addr": "x", "cport": 0, "time_local": "2026-03-01"},
        {"request_time": 1, "upstream_response_time": 1, "body_bytes_sent": 1, "request_length": 1},
        {"time_local": "x", "request": "y"},
    ):
        nearest = nearest_of(*(line(number) for number in range(100)))
        assert pair(nearest, line(57, **spoilt)) == 57, spoilt


def test_less_than_half_in_common_is_no_pair():
    kept = {name: value for name, value in record(1).items() if name in ("cip", "cport", "request")}
    changed = {name: f"{value} changed" for name, value in record(1).items()}
    assert pair(nearest_of(line(1)), line(1, **(changed | kept))) is None


def test_two_requests_are_not_one_because_so_much_is_always_the_same():
    same = {"time_local": "01/Mar/2026:08:00:00 +0800", "upstream_addr": "192.168.26.1:8080"}
    nearest = nearest_of(line(10, **same))
    other = line(11, **same, request_length=92)
    assert pair(nearest, other) is None
    assert pair(nearest, line(10, **same, request="GET /")) == 0


def test_texts_are_paired_by_what_is_left_of_them():
    nearest = nearest_of(*(line(number) for number in range(60)))
    cut = line(33)[:500]
    assert TEXT_FIELD in CANONICAL.kept_fields(cut)
    assert pair(nearest, cut) == 33
    assert pair(nearest, b"something else altogether, of no small length, and not a record") is None


def test_thousands_in_one_block_cost_no_square():
    same = [line(number, time_local="x", cip="y", cport=1, request="z") for number in range(4000)]
    nearest = nearest_of(*same)
    started_at = time.process_time()
    found = [pair(nearest, one) for one in same]
    assert None not in found
    assert len(set(found)) == 4000
    assert time.process_time() - started_at < 10
