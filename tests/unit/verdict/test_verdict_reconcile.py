"""The comparison of what a pipeline kept with what it could have seen."""

import json
from collections.abc import Iterable

import pytest
from fake_ledger import (
    STARTS_AT,
    FakeBatch,
    FakeFlowLog,
    FakeLedger,
    line,
    record,
)
from hypothesis import given
from hypothesis import strategies as st

from simulator.verdict.findings import Finding, Reconciliation
from simulator.verdict.mapping import RecordMapping
from simulator.verdict.reconcile import Reconciler, choose_flow_logs

LATER = STARTS_AT + 1000


def reconcile(ledger: FakeLedger, kept: Iterable[bytes], **options) -> Reconciliation:
    options = {"as_of": LATER} | options
    reconciler = Reconciler(ledger, ledger.logs, **options)
    reconciler.read_delivered()
    for number, one in enumerate(kept, 1):
        reconciler.keep(number, one)
    return reconciler.finish()


def counts(found: Reconciliation) -> dict[str, int]:
    """Every finding there is any of."""
    return {str(one): count for one in Finding if (count := found.count(one))}


def ledger_of(*numbers: int, **batch) -> FakeLedger:
    return FakeLedger(batches=[FakeBatch(content=[line(n) for n in numbers], **batch)])


def test_a_pipeline_that_is_right_is_matched_in_any_order():
    found = reconcile(ledger_of(1, 2, 2, 3), [line(2), line(3), line(1), line(2)])
    assert counts(found) == {"matched": 4}
    assert found.is_right
    assert found.examples == ()
    assert found.kept == 4


def test_byte_for_byte_nothing_is_read_twice():
    ledger = ledger_of(*range(50))
    assert reconcile(ledger, [line(n) for n in range(50)]).is_right
    assert ledger.batches[0].reads == 1


def test_a_missing_record_is_shown_with_where_it_could_be_read():
    found = reconcile(ledger_of(1, 2, 3), [line(1), line(3)])
    assert counts(found) == {"matched": 2, "missing": 1}
    assert not found.is_right
    (example,) = found.examples
    assert example.finding is Finding.MISSING
    assert example.ledger_id == "lb-d40ea534_100.126.44.90/1/2"
    assert example.place == "default/access @seq 1001"
    assert example.visible_at == STARTS_AT + 150
    assert example.delivered == line(2).decode()
    assert example.reproduce == "blbsim explain 'lb-d40ea534_100.126.44.90/1/2'"
    assert example.flow_log == "l7"


def test_equal_records_are_counted_not_matched_one_to_one():
    found = reconcile(ledger_of(1, 1, 1), [line(1)])
    assert counts(found) == {"matched": 1, "missing": 2}
    (example,) = found.examples
    assert example.count == 2


def test_what_is_kept_more_often_than_it_was_visible_is_duplicated():
    found = reconcile(ledger_of(1, 2, 2), [line(2), line(1), line(2), line(1), line(1)])
    assert counts(found) == {"matched": 3, "duplicated": 2}
    (example,) = found.examples
    assert (example.finding, example.count) == (Finding.DUPLICATED, 2)
    assert example.kept_at == (4, 5)
    assert example.ledger_id == "lb-d40ea534_100.126.44.90/1/1"


def test_a_copy_spelled_differently_is_a_copy():
    again = json.dumps(record(1), indent=None, sort_keys=True).encode()
    found = reconcile(ledger_of(1, 2), [line(1), again, line(2)])
    assert counts(found) == {"matched": 2, "duplicated": 1}


def test_what_was_never_delivered_is_unexpected():
    found = reconcile(ledger_of(1), [line(1), line(500), line(500)])
    assert counts(found) == {"matched": 1, "unexpected": 2}
    (example,) = found.examples
    assert (example.finding, example.count) == (Finding.UNEXPECTED, 2)
    assert example.kept_at == (2, 3)
    assert example.kept == line(500).decode()
    assert example.ledger_id is None
    assert example.flow_log is None
    assert example.reproduce is None


def test_an_altered_record_names_the_fields_that_differ():
    changed = line(2, request_time=0.9, http_user_agent="okhttp")
    found = reconcile(ledger_of(1, 2, 3), [line(1), changed, line(3)])
    assert counts(found) == {"matched": 2, "altered": 1}
    assert found.altered_fields == {"request_time": 1, "http_user_agent": 1}
    (example,) = found.examples
    assert example.ledger_id == "lb-d40ea534_100.126.44.90/1/2"
    assert example.kept_at == (2,)
    assert [(d.field, d.delivered, d.kept) for d in example.differences] == [
        ("http_user_agent", '"okhttp/4.12.0"', '"okhttp"'),
        ("request_time", "0.013", "0.9"),
    ]


def test_a_field_the_pipeline_drops_or_adds_is_an_alteration():
    dropped, added = record(1), record(2, ingested_at=7)
    del dropped["host"]
    found = reconcile(ledger_of(1, 2), [json.dumps(dropped).encode(), json.dumps(added).encode()])
    assert counts(found) == {"altered": 2}
    differences = [d for example in found.examples for d in example.differences]
    assert [(d.field, d.delivered, d.kept) for d in differences] == [
        ("host", '"shop.example.com"', ""),
        ("ingested_at", "", "7"),
    ]


def test_the_nearest_of_several_is_the_one_that_was_altered():
    same_second = [record(n, time_local="01/Mar/2026:08:00:00 +0800") for n in range(30)]
    ledger = FakeLedger(
        batches=[FakeBatch(content=[json.dumps(one).encode() for one in same_second])]
    )
    kept = [json.dumps(one | {"cport": 1, "host": "x"}).encode() for one in same_second]
    found = reconcile(ledger, kept)
    assert counts(found) == {"altered": 30}
    assert found.altered_fields == {"cport": 30, "host": 30}


def test_records_with_little_in_common_are_not_called_altered():
    strange = {name: f"other {name}" for name in record()}
    found = reconcile(ledger_of(1), [json.dumps(strange).encode()])
    assert counts(found) == {"missing": 1, "unexpected": 1}


def test_a_line_cut_short_is_an_altered_one():
    found = reconcile(ledger_of(*range(40)), [*(line(n) for n in range(39)), line(39)[:450]])
    assert counts(found) == {"matched": 39, "altered": 1}
    (example,) = found.examples
    assert example.ledger_id == "lb-d40ea534_100.126.44.90/1/40"
    assert [d.field for d in example.differences] == ["(text)"]
    assert example.differences[0].kept == line(39)[430:450].decode()


def test_what_is_not_visible_yet_is_nobodys_fault():
    ledger = ledger_of(1)
    ledger.waiting = 2
    found = reconcile(ledger, [line(1)])
    assert counts(found) == {"matched": 1, "not_due": 2}
    assert found.is_right


def test_grace_excuses_what_became_visible_just_now():
    ledger = ledger_of(1, visible_at=LATER - 30)
    assert counts(reconcile(ledger, [])) == {"missing": 1}
    assert counts(reconcile(ledger, [], grace_s=30)) == {"missing": 1}
    assert counts(reconcile(ledger, [], grace_s=31)) == {"not_due": 1}
    assert counts(reconcile(ledger, [line(1)], grace_s=31)) == {"matched": 1}


def test_what_was_kept_within_the_grace_may_be_altered_all_the_same():
    ledger = ledger_of(1, 2, visible_at=LATER - 30)
    found = reconcile(ledger, [line(2, host="elsewhere")], grace_s=60)
    assert counts(found) == {"altered": 1, "not_due": 1}
    found = reconcile(ledger, [line(1), line(2)[:300]], grace_s=60)
    assert counts(found) == {"matched": 1, "altered": 1}


def test_what_becomes_visible_during_the_comparison_is_not_demanded_but_may_be_kept():
    ledger = ledger_of(1)
    late = FakeBatch(content=[line(2), line(3)], visible_at=LATER + 1, seq=2)
    ledger.waiting = 2
    reconciler = Reconciler(ledger, ledger.logs, as_of=LATER)
    reconciler.read_delivered()
    ledger.waiting, ledger.batches = 0, [*ledger.batches, late]
    for number, one in enumerate((line(1), line(3)), 1):
        reconciler.keep(number, one)
    assert counts(reconciler.finish()) == {"matched": 2, "not_due": 1}


def test_what_became_visible_while_the_ledger_was_read_counts_once():
    late = FakeBatch(content=[line(2)], visible_at=LATER + 1, seq=2)
    ledger = ledger_of(1)
    ledger.batches.append(late)
    ledger.waiting = 1
    assert counts(reconcile(ledger, [line(1)])) == {"matched": 1, "not_due": 1}
    assert counts(reconcile(ledger, [line(1), line(2)])) == {"matched": 2}


def test_several_flow_logs_are_counted_apart():
    two = FakeFlowLog(flow_log_id="fl-2", name="archive", project="", container="shop-logs")
    ledger = FakeLedger(
        logs=(FakeFlowLog(), two),
        batches=[
            FakeBatch(content=[line(1), line(2)]),
            FakeBatch(content=[line(1), line(2)], flow_log_id="fl-2", object_key="a.log"),
        ],
    )
    found = reconcile(ledger, [line(1), line(1), line(2)])
    assert [(f.flow_log, f.destination, f.matched, f.missing) for f in found.flow_logs] == [
        ("l7", "default/access", 2, 0),
        ("archive", "shop-logs", 1, 1),
    ]
    assert found.examples[0].place == "a.log line 2"


def test_objects_are_read_line_by_line_and_messages_are_not():
    content = [line(1), b'{"request":"GET /a\nGET /b"}', line(2)]
    kept = [line(1), b'{"request":"GET /a', b'GET /b"}', line(2)]
    ledger = FakeLedger(batches=[FakeBatch(content=content, object_key="a.log")])
    assert counts(reconcile(ledger, kept)) == {"matched": 4}
    found = reconcile(ledger, [line(1), line(2)])
    assert counts(found) == {"matched": 2, "missing": 2}
    assert {example.place for example in found.examples} == {"a.log line 2"}
    ledger = FakeLedger(batches=[FakeBatch(content=content)])
    assert counts(reconcile(ledger, [line(1), json.dumps(content[1].decode()).encode()])) == {
        "matched": 2,
        "missing": 1,
    }


def test_broken_records_can_be_set_aside():
    broken = line(2)[:100]
    ledger = FakeLedger(batches=[FakeBatch(content=[line(1), broken, line(3)])])
    assert counts(reconcile(ledger, [line(1), line(3)])) == {"matched": 2, "missing": 1}
    found = reconcile(ledger, [line(1)], allow_broken=True)
    assert counts(found) == {"matched": 1, "missing": 1}
    assert found.flow_logs[0].set_aside == 1
    assert counts(reconcile(ledger, [line(1), broken, line(3)], allow_broken=True)) == {
        "matched": 3
    }


def test_copies_of_one_record_may_be_dropped_and_equal_requests_may_not():
    copied = FakeBatch(content=[line(1)], seq=1)
    ledger = FakeLedger(
        batches=[FakeBatch(content=[line(1), line(2), line(2)], seq=1), copied, copied]
    )
    assert counts(reconcile(ledger, [line(1), line(2)])) == {"matched": 2, "missing": 3}
    found = reconcile(ledger, [line(1), line(2)], allow_deduped=True)
    assert counts(found) == {"matched": 2, "missing": 1}
    assert found.flow_logs[0].set_aside == 2
    assert found.examples[0].delivered == line(2).decode()
    found = reconcile(ledger, [line(2)], allow_deduped=True)
    assert counts(found) == {"matched": 1, "missing": 2}
    respelled = [json.dumps(record(n)).encode() for n in (1, 1, 2, 2)]
    found = reconcile(ledger, respelled, allow_deduped=True)
    assert (found.is_right, found.flow_logs[0].set_aside) == (True, 1)


def test_empty_lines_are_no_records():
    found = reconcile(ledger_of(1), [b"", line(1), b"  "])
    assert (counts(found), found.kept) == ({"matched": 1}, 1)


def test_examples_are_bounded_and_spread():
    found = reconcile(ledger_of(*range(100)), [], examples=3)
    assert [example.ledger_id.rpartition("/")[2] for example in found.examples] == [
        "1", "51", "100",
    ]  # fmt: skip
    assert reconcile(ledger_of(*range(100)), [], examples=0).examples == ()
    many = reconcile(ledger_of(1), [line(1)] * 50, examples=3)
    assert many.examples[0].count == 49
    assert len(many.examples[0].kept_at) == 10


def test_thousands_that_are_spelled_differently_match_and_the_odd_one_is_still_found():
    numbers = range(2500)
    kept = [json.dumps(record(n)).encode() for n in numbers]
    kept[1700] = json.dumps(record(1700, host="elsewhere")).encode()
    kept[2400] = kept[2300]
    found = reconcile(ledger_of(*numbers), kept)
    assert counts(found) == {"matched": 2498, "missing": 1, "duplicated": 1, "altered": 1}
    by_finding = {example.finding: example for example in found.examples}
    assert by_finding[Finding.ALTERED].kept_at == (1701,)
    assert by_finding[Finding.DUPLICATED].kept_at == (2401,)
    assert by_finding[Finding.MISSING].ledger_id.endswith("/2401")


def test_an_incomplete_ledger_is_said():
    ledger = ledger_of(1)
    ledger.since = STARTS_AT
    assert "let go" in reconcile(ledger, [line(1)]).notes[0]


def test_a_mapping_is_applied():
    kept = record(1)
    kept["status"] = kept.pop("response_status")
    mapping = RecordMapping(fields={"response_status": "status"})
    assert counts(reconcile(ledger_of(1), [json.dumps(kept).encode()])) == {"altered": 1}
    assert reconcile(ledger_of(1), [json.dumps(kept).encode()], mapping=mapping).is_right


@given(
    delivered=st.lists(st.integers(0, 5), max_size=30),
    kept=st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=30),
)
def test_the_counts_are_those_of_multisets(delivered: list[int], kept: list[tuple[int, bool]]):
    # Records so far apart that none is an altered other.
    def far(number: int) -> dict[str, object]:
        return {name: f"{name} {number}" for name in record()}

    def spelled(number: int, *, sort: bool) -> bytes:
        return json.dumps(far(number), sort_keys=sort).encode()

    ledger = FakeLedger(batches=[FakeBatch(content=[spelled(n, sort=False) for n in delivered])])
    found = reconcile(ledger, [spelled(n, sort=sort) for n, sort in kept])
    numbers = [number for number, _ in kept]
    matched = missing = duplicated = unexpected = 0
    for number in {*delivered, *numbers}:
        seen, has = delivered.count(number), numbers.count(number)
        matched += min(seen, has)
        missing += max(0, seen - has)
        duplicated += max(0, has - seen) if seen else 0
        unexpected += 0 if seen else has
    assert found.count(Finding.MATCHED) == matched
    assert found.count(Finding.MISSING) == missing
    assert found.count(Finding.DUPLICATED) == duplicated
    assert found.count(Finding.UNEXPECTED) == unexpected


TWO = (FakeFlowLog(), FakeFlowLog(flow_log_id="fl-2", name="archive", project="", container="b"))


@pytest.mark.parametrize(
    ("names", "destination", "chosen"),
    [
        (["l7"], None, ["l7"]),
        (["archive", "l7", "archive"], None, ["archive", "l7"]),
        ([], "access", ["l7"]),
        ([], "default/access", ["l7"]),
        ([], "b", ["archive"]),
    ],
)
def test_flow_logs_are_chosen_by_name_or_destination(names, destination, chosen):
    found = choose_flow_logs(FakeLedger(logs=TWO), names, destination)
    assert [log.name for log in found] == chosen


@pytest.mark.parametrize(
    ("logs", "names", "destination", "message"),
    [
        (TWO, [], None, "which flow log does the pipeline read? There are l7, archive"),
        (TWO, ["l8"], None, "no flow log is called 'l8'; there are l7, archive"),
        (TWO, [], "c", "no flow log delivers to 'c'; they deliver to default/access, b"),
        ((), [], None, "there is no flow log, so there is nothing to compare with"),
    ],
)
def test_a_choice_that_is_none_is_explained(logs, names, destination, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the message is what is tested
        choose_flow_logs(FakeLedger(logs=logs), names, destination)
    assert message in str(caught.value)


def test_the_only_flow_log_need_not_be_named():
    assert [log.name for log in choose_flow_logs(FakeLedger())] == ["l7"]
