"""Random searches on random records, against an evaluator that is simple and slow."""

import json
import re
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from simulator.clock import ManualClock
from simulator.logstore import (
    DEFAULT_SEPARATORS,
    IndexField,
    IndexSettings,
    IndexType,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    Paging,
    RecordType,
    Selection,
)

NOW_MS = 1_772_323_200_000
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
PLAIN = DEFAULT_SEPARATORS
OWN = ".-_"
Record = dict[str, object]
Finds = Callable[[Record, str], bool]
"""Whether a search finds a record, given as its fields and as its raw text."""

WORDS = ("get", "Error", "a.b", "cart-7", "x_1", "7", "é")
RECORDS = st.fixed_dictionaries(
    {},
    optional={
        "m": st.lists(st.sampled_from((*WORDS, "/", " ", ".", "-", "ERR")), max_size=5).map(
            "".join
        ),
        "n": st.integers(-3, 9) | st.sampled_from((0.5, 7.25)),
        "k": st.sampled_from(("red", "Red green", "blue")),
    },
)


def _tokens(text: str, separators: str, fold: bool) -> list[str]:
    words = "".join("\0" if one in separators else one for one in text).split("\0")
    return [word.lower() if fold else word for word in words if word]


def _matches(word: str, token: str) -> bool:
    pattern = "".join(".*" if one == "*" else "." if one == "?" else re.escape(one) for one in word)
    return re.fullmatch(pattern, token, re.DOTALL) is not None


class Rules:
    """How the raw text and the field ``m`` are split."""

    def __init__(self, index: IndexSettings | None) -> None:
        self.index = index
        self.raw = (OWN, False) if index else (PLAIN, True)
        self.fields = {"m": (OWN, True)} if index else {}

    def text_of(self, field: str | None, record: Record, raw: str) -> tuple[str | None, str, bool]:
        if field is None:
            return raw, *self.raw
        separators, fold = self.fields.get(field, (PLAIN, True))
        value = record.get(field)
        return None if value is None else str(value), separators, fold


def terms(rules: Rules) -> st.SearchStrategy[tuple[str, Finds]]:
    """A condition as text, and what it finds."""

    def words(field: str | None, word: str) -> tuple[str, Finds]:
        def finds(record: Record, raw: str) -> bool:
            text, separators, fold = rules.text_of(field, record, raw)
            if text is None:
                return False
            asked = _tokens(word, "".join(s for s in separators if s not in "*?"), fold)
            tokens = _tokens(text, separators, fold)
            return all(any(_matches(one, token) for token in tokens) for one in asked)

        return (word if field is None else f"{field}:{word}"), finds

    def phrase(field: str | None, pair: tuple[str, str]) -> tuple[str, Finds]:
        asked = " ".join(pair) if rules.index is None or field == "k" else "-".join(pair)

        def finds(record: Record, raw: str) -> bool:
            text, separators, fold = rules.text_of(field, record, raw)
            if text is None:
                return False
            tokens, wanted = _tokens(text, separators, fold), _tokens(asked, separators, fold)
            starts = range(len(tokens) - len(wanted) + 1)
            return any(tokens[at : at + len(wanted)] == wanted for at in starts)

        return (f"'{asked}'" if field is None else f"{field}:'{asked}'"), finds

    def compares(operator: str, number: float) -> tuple[str, Finds]:
        def finds(record: Record, _raw: str) -> bool:
            value = record.get("n")
            if not isinstance(value, int | float):
                return False
            return {
                "=": value == number,
                ">": value > number,
                ">=": value >= number,
                "<": value < number,
                "<=": value <= number,
            }[operator]

        return f"n {operator} {number}", finds

    def within(low: int, high: int, ends: str) -> tuple[str, Finds]:
        def finds(record: Record, _raw: str) -> bool:
            value = record.get("n")
            if not isinstance(value, int | float):
                return False
            above = value >= low if ends[0] == "[" else value > low
            return above and (value <= high if ends[1] == "]" else value < high)

        return f"n in {ends[0]}{low} {high}{ends[1]}", finds

    field = st.sampled_from((None, "m", "k"))
    word = st.sampled_from((*WORDS, "e*", "g?t", "err*r", "red", "green"))
    return st.one_of(
        st.builds(words, field, word),
        st.builds(phrase, field, st.tuples(st.sampled_from(WORDS[:3]), st.sampled_from(WORDS))),
        st.builds(phrase, st.just("k"), st.just(("red", "green"))),
        st.builds(compares, st.sampled_from(("=", ">", ">=", "<", "<=")), st.integers(-2, 8)),
        st.builds(
            within, st.integers(-2, 3), st.integers(2, 9), st.sampled_from(("[]", "()", "[)"))
        ),
    )


def searches(rules: Rules) -> st.SearchStrategy[tuple[str, Finds]]:
    """A search as text, and what it finds."""

    def both(one: tuple[str, Finds], other: tuple[str, Finds], word: str) -> tuple[str, Finds]:
        return f"({one[0]} {word} {other[0]})", lambda r, raw: one[1](r, raw) and other[1](r, raw)

    def either(one: tuple[str, Finds], other: tuple[str, Finds]) -> tuple[str, Finds]:
        return f"({one[0]} or {other[0]})", lambda r, raw: one[1](r, raw) or other[1](r, raw)

    def without(one: tuple[str, Finds]) -> tuple[str, Finds]:
        return f"not {one[0]}", lambda r, raw: not one[1](r, raw)

    def difference(one: tuple[str, Finds], other: tuple[str, Finds]) -> tuple[str, Finds]:
        return f"({one[0]} not {other[0]})", lambda r, raw: one[1](r, raw) and not other[1](r, raw)

    return st.recursive(
        terms(rules),
        lambda inner: st.one_of(
            st.builds(both, inner, inner, st.sampled_from(("and", "", "AND"))),
            st.builds(either, inner, inner),
            st.builds(without, inner),
            st.builds(difference, inner, inner),
        ),
        max_leaves=5,
    )


INDEX = IndexSettings(
    fulltext=True,
    case_sensitive=True,
    separators=OWN,
    fields=(
        IndexField(name="m", type=IndexType.TEXT, separators=OWN),
        IndexField(name="n", type=IndexType.FLOAT),
    ),
)


@pytest.fixture(scope="module")
def engine():
    engine = LogStoreEngine(None, ManualClock(NOW_MS / 1000), threads=1)
    yield engine
    engine.close()


@pytest.mark.parametrize("index", [None, INDEX], ids=["scanning", "indexed"])
@settings(
    max_examples=15,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data(), records=st.lists(RECORDS, min_size=1, max_size=12))
def test_search_finds_what_the_evaluator_finds(
    engine: LogStoreEngine,
    index: IndexSettings | None,
    data: st.DataObject,
    records: list[Record],
) -> None:
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1, index=index))
    raws = [json.dumps(record, ensure_ascii=False) for record in records]
    engine.push(
        "default",
        "demo",
        [NewRecord(message=raw, timestamp_ms=NOW_MS + at) for at, raw in enumerate(raws)],
        record_type=RecordType.JSON,
    )
    try:
        for text, finds in data.draw(st.lists(searches(Rules(index)), min_size=1, max_size=6)):
            paging = Paging(limit=1000)
            found = engine.query("default", "demo", EVERYTHING, f"match {text}", paging)
            times = sorted(int(str(row[0])) - NOW_MS for row in found.rows)
            pairs = zip(records, raws, strict=True)
            expected = [at for at, (record, raw) in enumerate(pairs) if finds(record, raw)]
            assert times == expected, text
    finally:
        engine.delete_log_store("default", "demo")
