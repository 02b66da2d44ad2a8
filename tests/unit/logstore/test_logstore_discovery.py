"""Fields have the kinds of all records, also of those that are only proven to be like others."""

import json
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest
from demo_store import (
    EVERYTHING,
    NOW_MS,
    Store,
    deliver_lines,
    deliver_segment,
    push_lines,
)

from simulator.logstore import LogStoreEngine, LogStoreSettings
from simulator.logstore.discovery import MAX_PROVEN, discover_kinds
from simulator.logstore.typed import Kind

COUNT = 400
LATE = 205
NAMES = ("a", "b", 'q"', "\\", "\n", "中", "", "__init__", "f0")
VALUES: tuple[object, ...] = (
    None, True, False, 0, 7, -5, 2**63, 2**70, 0.5, 7.0, "", "x", "7", "-", [], [1], {}, {"a": "é"},
)  # fmt: skip
TEXTS = ("", "x", "7", "[]", '{"a":', '{"a":NaN}', '{"a":"\\ud800"}', '{"a":1e400}', "{}", b"\xff")


def kind_of(value: object) -> Kind:
    if value is None:
        return Kind.NULL
    if isinstance(value, bool):
        return Kind.BOOL
    if isinstance(value, int | float):
        return Kind.INT if isinstance(value, int) else Kind.FLOAT
    return Kind.STRING


def expected(known: Mapping[str, Kind], texts: list[str | bytes]) -> dict[str, Kind]:
    """By sets of the kinds that each field has."""
    kinds = {name: {kind} for name, kind in known.items()}
    for text in texts:
        try:
            record = json.loads(text, parse_constant=lambda _: 1 / 0)
        except (ValueError, ZeroDivisionError):
            continue
        if isinstance(record, dict) and "\\ud8" not in str(text):
            for name, value in record.items():
                kinds.setdefault(name, set()).add(kind_of(value))
    merged = {}
    for name, found in kinds.items():
        one = found - {Kind.NULL}
        kind = Kind.FLOAT if one == {Kind.INT, Kind.FLOAT} else Kind.MIXED
        merged[name] = kind if len(one) > 1 else next(iter(one), Kind.NULL)
    return {name: kind for name, kind in merged.items() if known.get(name) is not kind}


def record(random: Random, usual: Mapping[str, object]) -> str | bytes:
    """Mostly with a few fields that are always alike."""
    rare = random.random()
    if rare < 0.01:
        return random.choice(TEXTS)
    fields = dict(usual)
    if rare < 0.1:
        fields[random.choice(NAMES)] = random.choice(VALUES)
    return json.dumps(fields, ensure_ascii=random.random() < 0.5)


@pytest.mark.parametrize("seed", range(40))
def test_kinds_are_those_of_all_records(seed: int) -> None:
    random = Random(seed)
    known: dict[str, Kind] = {}
    for _ in range(3):
        names = random.sample(NAMES, 4)
        usual = {name: random.choice(VALUES) for name in names}
        texts = [record(random, usual) for _ in range(random.choice((0, 1, 9, 60)))]
        found = discover_kinds(texts, known)
        assert found == expected(known, texts)
        known |= found


def test_kinds_of_more_fields_than_are_proven() -> None:
    texts: list[str | bytes] = [json.dumps({f"f{number}": number}) for number in range(MAX_PROVEN)]
    texts += ['{"f1": "x", "new": 1}'] * 20
    known = discover_kinds(texts, {})
    assert known["f1"] is Kind.MIXED
    assert len(known) == MAX_PROVEN + 1
    assert discover_kinds(['{"f2": 2}', '{"f3": 0.5, "more": null}'], known) == {
        "f3": Kind.FLOAT,
        "more": Kind.NULL,
    }


CASES: Mapping[str, tuple[dict[str, object], ...]] = {
    "text among numbers": ({"f": 3}, {"f": "x"}, {"f": 5}),
    "first a text": ({"a": 1}, {"f": "x"}, {"f": 5}),
    "first a number": ({"a": 1}, {"f": 7}, {"f": "y"}),
    "a number among booleans": ({"f": True}, {"f": 7}, {"f": True}),
    "text among booleans": ({"f": False}, {"f": "x"}, {"f": 5}),
    "a number among texts": ({"f": "y"}, {"f": 7}, {"f": "y"}),
    "a boolean among nulls": ({"f": None}, {"f": True}, {"f": 5}),
    "digits among numbers": ({"f": 7}, {"f": "7"}, {"f": 5}),
    "an object among numbers": ({"f": 7}, {"f": {"g": 7}}, {"f": 5}),
}
"""A record before and after one, and what comes in the next segment."""
QUERIES = (
    "select f, count(*) group by f order by f",
    "select count(f), max(f), sum(f)",
    "select count(*) where f = 'x'",
    "select count(*) where f > 5",
    "select count(*) where f is null",
    "select distinct f order by f",
    "match f:x | select count(*)",
    "match f:7 | select count(*)",
    "match f>5 | select count(*)",
    "match f:true | select count(*)",
    "select *",
)


@pytest.mark.parametrize("case", CASES)
def test_one_record_of_a_segment_counts(store: Store, tmp_path: Path, case: str) -> None:
    usual, late, then = CASES[case]
    rows = [late if number == LATE else usual for number in range(COUNT)] + [then] * 10
    lines = [(NOW_MS + at, json.dumps(row)) for at, row in enumerate(rows)]
    engine = store.engine
    for name in ("pieces", "segments"):
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
    for number, part in enumerate((lines[:COUNT], lines[COUNT:])):
        push_lines(engine, "demo", part, "s")
        deliver_lines(engine, "pieces", part, "s")
        deliver_segment(engine, "segments", tmp_path / f"{number}.seg", part, "s")
    pushed, pieces, segments = (_answers(engine, name) for name in ("demo", "pieces", "segments"))
    assert pieces == pushed
    assert segments == pushed


def _answers(engine: LogStoreEngine, name: str) -> list[object]:
    found = [engine.query("default", name, EVERYTHING, query) for query in QUERIES]
    rows = [(one.columns, one.column_types, sorted(map(str, one.rows))) for one in found]
    kinds = engine.elastic.field_caps(name, {})["fields"]
    return [rows, engine.elastic.search(name, TERMS)["response"]["aggregations"], kinds]


TERMS = {
    "size": 0,
    "aggs": {"most": {"terms": {"field": "f"}}, "count": {"value_count": {"field": "f"}}},
}
