"""The catalogue of faults, and faults as an API or a command is given them."""

import pytest

from simulator.model.fault_catalogue import CATALOGUE
from simulator.model.fault_text import keys_of, parse_fault, show_fault
from simulator.model.faults import FAULT_KEYS, Fault, FaultKind

FIELDS = ("response_status", "host", "http_user_agent")


def parse(taken: tuple[str, ...] = (), /, **given: object):
    return parse_fault(given, now=1000.0, fields=FIELDS, flow_logs=("l7",), taken=taken)  # type: ignore[arg-type]


def test_every_kind_is_in_the_catalogue_once() -> None:
    assert set(CATALOGUE) == set(FaultKind)


@pytest.mark.parametrize("kind", FaultKind)
def test_every_default_reads_back_as_it_is_shown(kind: FaultKind) -> None:
    spec = CATALOGUE[kind]
    fault = parse(fault=kind.value)
    shown = show_fault(fault)
    again = parse_fault(
        {"fault": kind.value, **shown}, now=1000.0, fields=FIELDS, flow_logs=(), taken=()
    )
    assert again == fault
    assert {knob.name for knob in spec.knobs} <= set(shown)
    assert not set(FAULT_KEYS) & {knob.name for knob in spec.knobs}


def test_time_counts_from_now() -> None:
    fault = parse(**{"fault": "F-GAP", "at": "30s", "for": "1m", "share": "1%"})
    assert (fault.from_at, fault.until_at, fault.share) == (1030.0, 1090.0, 0.01)
    assert [fault.is_active(at) for at in (1029.9, 1030.0, 1090.0)] == [False, True, False]


def test_a_fault_reaches_a_record_of_the_instant_at_which_it_begins() -> None:
    now, record_at = 1772323508.2886126, 1772323508288 / 1000  # records keep whole milliseconds
    added = parse_fault({"fault": "F-GAP"}, now=now, fields=FIELDS, flow_logs=(), taken=())
    begun = Fault(name="gap", kind=FaultKind.GAP, from_at=0.0, until_at=60.0).shifted(now)
    assert [one.is_active(record_at) for one in (added, begun)] == [True, True]


def test_a_name_is_made_or_has_to_be_free() -> None:
    assert parse(("f-gap", "f-gap-2"), fault="f-gap").name == "f-gap-3"
    with pytest.raises(ValueError, match="name: there is a fault 'mine' already"):
        parse(("mine",), fault="F-GAP", name="mine")


def test_all_mistakes_are_told() -> None:
    with pytest.raises(ValueError, match="x") as caught:
        parse(
            fault="F-DUP",
            copies="x",
            share="5",
            where={"hots": "a", "response_status": "> high"},
            flow_log="l8",
            extra="1m",
        )
    assert str(caught.value).splitlines() == [
        f"extra: F-DUP has no such key; expected {', '.join(keys_of(CATALOGUE[FaultKind.DUP]))}",
        "where.hots: a record has no field 'hots'; did you mean 'host'?",
        "where.response_status: '> high' compares with no number; expected one such as '> 500'",
        "copies: 'x' is no count; expected a whole number from 1",
        "share: '5' has no unit; expected a percentage such as 0.5%",
        "flow_log: there is no flow log 'l8'; there is l7",
    ]


def test_what_pipelines_read_knows_no_node() -> None:
    with pytest.raises(ValueError, match="node: READ-SLOW has no such key"):
        parse(fault="READ-SLOW", node="100.64.0.1")
