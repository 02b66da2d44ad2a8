"""From results of probes to states, and from states to pools."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.model import (
    BackendServer,
    BackendServerId,
    HealthCheck,
    HealthState,
    format_normal_status,
    parse_normal_status,
    parse_payload,
)
from simulator.routing.health import (
    CheckedPool,
    HealthBoard,
    HealthChange,
    ProbeResult,
    ServerHealth,
)

OK = ProbeResult(ok=True, detail="status 200")
BAD = ProbeResult(ok=False, detail="connection refused")
CHECK = HealthCheck()


def server(name: str, port: int = 9000) -> BackendServer:
    return BackendServer(
        backend_server_id=BackendServerId(name),
        address=f"10.0.0.1:{port}",
        connect_host="127.0.0.1",
        connect_port=port,
    )


A, B = server("i-a"), server("i-b", 9001)


class Pool:
    def __init__(self, *servers: BackendServer) -> None:
        self.servers = servers
        self.dead: set[str] = set()

    def mark_dead(self, server_id: str) -> None:
        self.dead.add(server_id)

    def mark_alive(self, server_id: str) -> None:
        self.dead.discard(server_id)


def states(health: ServerHealth, results: str) -> str:
    """First letters of the state after each result, ``+`` or ``-``."""
    seen = ""
    for at, result in enumerate(results):
        health.observe(result == "+", float(at))
        seen += health.state.value[0]
    return seen


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ("+", "A"),
        ("-", "D"),
        ("+---", "AAAD"),
        ("+--+--+", "AAAAAAA"),
        ("-+++", "DDDA"),
        ("-++-++-", "DDDDDDD"),
        ("+---+++---", "AAADDDAAAD"),
    ],
)
def test_the_first_result_decides_and_then_three_in_a_row(results: str, expected: str):
    assert states(ServerHealth(CHECK, 0.0), results) == expected


def test_thresholds_differ_for_falling_and_rising():
    check = HealthCheck(unhealthy_threshold=2, healthy_threshold=5)
    assert states(ServerHealth(check, 0.0), "+--+++++") == "AADDDDDA"


def test_a_change_is_dated_by_the_probe_that_made_it():
    health = ServerHealth(CHECK, 100.0)
    assert health.state is HealthState.UNKNOWN
    assert health.changed_at == 100.0
    changes = [
        (at, health.observe(ok, at))
        for at, ok in ((103.0, True), (106.0, False), (109.0, False), (112.0, False))
    ]
    assert changes == [(103.0, True), (106.0, False), (109.0, False), (112.0, True)]
    assert health.changed_at == 112.0


@given(
    results=st.lists(st.booleans(), min_size=1, max_size=60),
    fall=st.integers(2, 5),
    rise=st.integers(2, 5),
)
def test_a_state_changes_exactly_when_the_last_results_say_so(
    results: list[bool], fall: int, rise: int
):
    health = ServerHealth(HealthCheck(unhealthy_threshold=fall, healthy_threshold=rise), 0.0)
    alive = results[0]
    for count, ok in enumerate(results, start=1):
        health.observe(ok, float(count))
        needed = fall if alive else rise
        last = results[max(0, count - needed) : count]
        if count > 1 and len(last) == needed and all(result != alive for result in last):
            alive = not alive
        assert health.state is (HealthState.ALIVE if alive else HealthState.DEAD)


def checked(pool: Pool, check: HealthCheck | None = CHECK, scope: str = "listener 80"):
    return CheckedPool(scope=scope, pool=pool, check=check)


def test_a_checked_server_is_unknown_and_unused_until_its_first_result():
    board, pool = HealthBoard(), Pool(A, B)
    board.apply([checked(pool)], 0.0)
    assert pool.dead == {"i-a", "i-b"} == board.unusable("listener 80")
    assert board.state("listener 80", A.backend_server_id) is HealthState.UNKNOWN
    assert board.observe(board.targets()[0], OK, 0.0)
    assert pool.dead == {"i-b"} == board.unusable("listener 80")
    assert [status.state.value for status in board.statuses()] == ["Alive", "Unknown"]
    assert [status.detail for status in board.statuses()] == ["status 200", ""]


def test_a_server_that_is_not_checked_is_unknown_and_used():
    board, pool = HealthBoard(), Pool(A, B)
    board.apply([checked(pool)], 0.0)
    board.apply([checked(pool, None)], 1.0)
    assert pool.dead == set() == board.unusable("listener 80")
    assert board.targets() == ()
    assert board.state("listener 80", A.backend_server_id) is HealthState.UNKNOWN


def test_changes_are_told_after_the_pools_were():
    pool = Pool(A)
    told: list[tuple[HealthChange, set[str]]] = []
    board = HealthBoard(lambda change: told.append((change, set(pool.dead))))
    board.apply([checked(pool)], 0.0)
    [target] = board.targets()
    agreed = [
        board.observe(target, result, float(at)) for at, result in enumerate([OK, BAD, BAD, BAD])
    ]
    assert agreed == [True, False, False, True]
    assert [
        (change.before.value, change.after.state.value, change.after.changed_at, dead)
        for change, dead in told
    ] == [("Unknown", "Alive", 0.0, set()), ("Alive", "Dead", 3.0, {"i-a"})]
    assert told[-1][0].after.detail == "connection refused"


def test_pools_of_one_scope_share_what_is_found_and_others_do_not():
    board, one, two, other = HealthBoard(), Pool(A, B), Pool(A), Pool(A)
    board.apply([checked(one), checked(two), checked(other, scope="listener 81")], 0.0)
    assert [(t.scope, t.server.backend_server_id) for t in board.targets()] == [
        ("listener 80", "i-a"),
        ("listener 80", "i-b"),
        ("listener 81", "i-a"),
    ]
    board.observe(board.targets()[0], OK, 0.0)
    assert (one.dead, two.dead, other.dead) == ({"i-b"}, set(), {"i-a"})


def test_a_change_of_configuration_keeps_states_and_tells_the_new_pools():
    board, pool = HealthBoard(), Pool(A, B)
    board.apply([checked(pool)], 0.0)
    for target, result in zip(board.targets(), (OK, BAD), strict=True):
        board.observe(target, result, 0.0)
    board.observe(board.targets()[0], BAD, 3.0)
    c = server("i-c", 9002)
    after = Pool(A, B, c)
    slower = HealthCheck(unhealthy_threshold=2)
    board.apply([checked(after, slower)], 4.0)
    assert after.dead == {"i-b", "i-c"}
    assert [target.check for target in board.targets()] == [slower] * 3
    # The failure counted under the old check is forgotten.
    board.observe(board.targets()[0], BAD, 6.0)
    assert after.dead == {"i-b", "i-c"}
    board.observe(board.targets()[0], BAD, 9.0)
    assert after.dead == {"i-a", "i-b", "i-c"}
    assert pool.dead == {"i-b"}


def test_a_server_at_another_address_starts_anew_and_old_results_do_not_count():
    board, pool = HealthBoard(), Pool(A)
    board.apply([checked(pool)], 0.0)
    [old] = board.targets()
    board.observe(old, OK, 0.0)
    moved = Pool(server("i-a", 9999))
    board.apply([checked(moved)], 1.0)
    assert moved.dead == {"i-a"}
    assert board.observe(old, OK, 1.0)
    assert moved.dead == {"i-a"}
    board.apply([], 2.0)
    assert board.observe(old, OK, 2.0)
    assert board.statuses() == ()


def test_classes_of_statuses_are_read_and_written_the_vendors_way():
    assert parse_normal_status("http_2xx|http_3xx") == {2, 3} == HealthCheck().normal_status
    assert format_normal_status(frozenset({5, 1})) == "http_1xx|http_5xx"
    for text in ("", "http_6xx", "200", "http_2xx,http_3xx", "http_2xx|"):
        with pytest.raises(ValueError, match="not a class of statuses"):
            parse_normal_status(text)


@given(digits=st.frozensets(st.integers(1, 5), min_size=1))
def test_classes_of_statuses_survive_the_way_there_and_back(digits: frozenset[int]):
    assert parse_normal_status(format_normal_status(digits)) == digits


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("ping", b"ping"),
        ("", b""),
        (r"\00\01\05baidu\03com\00", b"\0\1\5baidu\3com\0"),
        (r"\xf2\FF0", b"\xf2\xff0"),
    ],
)
def test_a_payload_mixes_text_and_bytes(text: str, payload: bytes):
    assert parse_payload(text) == payload


@pytest.mark.parametrize("text", ["\\", r"\0", r"\0g", r"a\x1", "é", "a" * 1300])
def test_a_payload_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match="payload"):
        parse_payload(text)
