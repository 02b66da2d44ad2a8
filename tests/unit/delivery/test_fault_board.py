"""Which faults are in force and whom they hit."""

from collections.abc import Callable

import pytest

from simulator.clock import ManualClock
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.read_side import ReadSide
from simulator.model.fault_catalogue import CATALOGUE, FaultStage
from simulator.model.fault_text import with_defaults
from simulator.model.faults import Fault, FaultKind, ReadApi
from simulator.rng import Rng


def fault(kind: FaultKind, name: str = "it", /, **given) -> Fault:
    own = {knob.name for knob in CATALOGUE[kind].knobs}
    knobs = {key: given.pop(key) for key in list(given) if key in own}
    return Fault(name=name, kind=kind, knobs=with_defaults(CATALOGUE[kind], knobs), **given)


def test_none_and_all_are_exact_and_the_rest_is_close() -> None:
    def hit_count(share: float) -> int:
        one = fault(FaultKind.GAP, share=share)
        board = FaultBoard(Rng(7), (one,))
        return sum(board.hits(one, "series", number) for number in range(10_000))

    assert (hit_count(0.0), hit_count(1.0)) == (0, 10_000)
    assert 900 < hit_count(0.1) < 1100


def test_a_decision_depends_on_seed_name_and_subject_alone() -> None:
    one, other = fault(FaultKind.GAP, "one", share=0.5), fault(FaultKind.GAP, "other", share=0.5)
    alone = FaultBoard(Rng(7), (one,))
    beside = FaultBoard(Rng(7), (other, one))

    def decided(board: FaultBoard, which: Fault) -> list[bool]:
        return [board.hits(which, number) for number in range(200)]

    assert decided(alone, one) == decided(beside, one) == decided(alone, one)
    assert decided(beside, one) != decided(beside, other)
    assert decided(FaultBoard(Rng(8), (one,)), one) != decided(alone, one)


def test_draws_lie_in_their_range() -> None:
    late = fault(FaultKind.LATE, extra=(60.0, 120.0))
    board = FaultBoard(Rng(7), (late,))
    draws = [board.draw(late, "extra", number) for number in range(200)]
    assert 60.0 <= min(draws) < 70.0
    assert 110.0 < max(draws) <= 120.0


def test_faults_compose_in_the_order_of_the_catalogue() -> None:
    dup, gap = fault(FaultKind.DUP, "a"), fault(FaultKind.GAP, "b")
    board = FaultBoard(Rng(7), (dup, gap))
    assert board.faults(FaultStage.DELIVERY) == (gap, dup)
    assert [report.fault for report in board.reports()] == [dup, gap]


def test_counts_give_the_realised_share() -> None:
    board = FaultBoard(Rng(7), (fault(FaultKind.GAP),))
    assert board.reports()[0].realised is None
    board.count("it", 40, 10)
    board.count("gone", 1, 1)
    assert board.reports()[0].realised == 0.25
    assert board.remove("it").name == "it"
    board.count("it", 1, 1)
    assert board.reports() == ()
    with pytest.raises(KeyError):
        board.remove("it")


@pytest.mark.parametrize("take_back", [lambda board: board.remove("it"), FaultBoard.clear])
def test_what_many_ask_about_is_counted_once(take_back: Callable[[FaultBoard], object]) -> None:
    board = FaultBoard(Rng(7))
    for _ in range(2):  # another fault of the name counts for itself
        board.add(fault(FaultKind.STORE_STOPPED))
        for subject, hits in ((("default", "a"), 1), (("default", "b"), 0)) * 3:
            board.count_once("it", subject, hits)
        (report,) = board.reports()
        assert (report.subject_count, report.hit_count) == (2, 1)
        take_back(board)
        board.count_once("it", ("default", "a"), 1)


def test_one_name_is_one_fault() -> None:
    board = FaultBoard(Rng(7), (fault(FaultKind.GAP),))
    with pytest.raises(ValueError, match="'it' already"):
        board.add(fault(FaultKind.DUP))
    assert [one.kind for one in board.clear()] == [FaultKind.GAP]
    assert board.faults(FaultStage.DELIVERY) == ()


def test_what_reads_meets_what_reaches_it_in_its_time() -> None:
    clock = ManualClock(100.0)
    board = FaultBoard(
        Rng(7),
        (
            fault(FaultKind.READ_SLOW, "slow", api="bls", from_at=50.0, until_at=150.0),
            fault(FaultKind.READ_ERROR, "pulls", operation="Pull*", status="500"),
            fault(FaultKind.READ_THROTTLE, "later", from_at=200.0),
        ),
    )
    reads = ReadSide(board, clock)

    def names(api: ReadApi, operation: str) -> list[str]:
        return [effect.fault for effect in reads.meet(api, operation)]

    assert names(ReadApi.BLS, "PullLogRecord") == ["pulls", "slow"]
    assert names(ReadApi.BLS, "QueryLogRecord") == ["slow"]
    assert names(ReadApi.S3, "PullLogRecord") == ["pulls"]
    assert names(ReadApi.S3, "GetObject") == []
    assert [(one.subject_count, one.hit_count) for one in board.reports()] == [
        (2, 2),
        (2, 2),
        (0, 0),
    ]


def test_the_same_requests_meet_the_same_faults() -> None:
    def met() -> list[int]:
        board = FaultBoard(Rng(7), (fault(FaultKind.READ_THROTTLE, share=0.3),))
        reads = ReadSide(board, ManualClock(0.0))
        return [len(reads.meet(ReadApi.BLS, "PullLogRecord")) for _ in range(100)]

    assert met() == met()
    assert 15 < sum(met()) < 45
