"""Aggregations of generated records beside those of a small reference."""

import json
import math
import random
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from demo_store import NOW_MS, NOW_S
from elastic_reference import Record, aggregate, matches

from simulator.clock import ManualClock
from simulator.logstore import LogStoreEngine, LogStoreSettings, NewRecord, RecordType

Body = dict[str, Any]
CASES = 10
"""Of each seed."""


class Cases:
    """Makes records and searches, always the same ones for one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._pick = self._random.choice

    def records(self) -> list[Record]:
        return [self._record() for _ in range(self._random.randrange(30))]

    def _record(self) -> Body:
        fields = {
            "status": self._pick([200, 200, 301, 404, 404, 502]),
            "host": self._pick(["a", "b", "b", "c", "dd"]),
            "cost": self._random.randrange(-8, 40) / 4,
            "ok": self._pick([True, False]),
        }
        kept = {name: value for name, value in fields.items() if self._random.random() < 0.7}
        return {"@timestamp": NOW_MS - self._random.randrange(60) * 1000, **kept}

    def query(self, depth: int = 0) -> Body:
        if depth < 2 and self._random.random() < 0.3:
            must, must_not = (
                [self.query(depth + 1) for _ in range(self._random.randrange(most + 1))]
                for most in (2, 1)
            )
            return {"bool": {"must": must, "must_not": must_not}}
        return self._pick(
            [
                {"match_all": {}},
                {"match_all": {}},
                {"term": {"host": "b"}},
                {"term": {"status": 404}},
                {"term": {"ok": True}},
                {"exists": {"field": "cost"}},
                {"range": {"cost": {"gte": 1, "lt": 5}}},
                {"range": {"status": {"gte": 301}}},
            ]
        )

    def aggregations(self, depth: int = 0) -> Body:
        names = self._random.sample("pqr", self._random.randrange(0 if depth else 1, 3))
        return {name: self._aggregation(depth) for name in names}

    def _aggregation(self, depth: int) -> Body:
        if depth > 2 or self._random.random() < 0.3:
            return self._metric()
        if depth == 0 and self._random.random() < 0.1:
            return {"random_sampler": {"probability": 1}, "aggs": self.aggregations(1)}
        kinds = (self._terms, self._numbers, self._times, self._single, self._single)
        make = self._pick(kinds)
        body = make()
        body["aggs"] = self.aggregations(depth + 1) | body.get("aggs", {})
        return body

    def _metric(self) -> Body:
        field = self._pick(["status", "host", "cost", "ok", "nowhere"])
        kind = self._pick(["value_count", "cardinality", "min", "max", "sum", "avg", "stats"])
        if kind in {"value_count", "cardinality"}:
            return {kind: {"field": field}}
        if self._random.random() < 0.3:
            return {kind: {"field": "cost", "missing": 3}}
        return {kind: {"field": "cost" if field == "ok" else field}}

    def _some(self, **members: Any) -> Body:
        """Some of the members, which are values or what gives them."""
        return {name: value for name, value in members.items() if self._random.random() < 0.4}

    def _terms(self) -> Body:
        field = self._pick(["status", "host", "cost", "ok", "nowhere", "_index"])
        own = {
            "status": self._some(missing=404, include=[404, 502], exclude=[200]),
            "host": self._some(missing="none", include=["a", "b"], exclude=["b"]),
            "cost": self._some(missing=0.5, exclude=[0.25, 1]),
        }
        order = self._pick(
            [
                {"_count": "asc", "_key": "asc"},
                {"_key": "desc"},
                {"m": "desc", "_key": "asc"},
                {"m.value": "asc", "_key": "desc"},
                {"s.min": "desc", "_key": "asc"},
                {"f": "desc", "_key": "asc"},
                {"f>_count": "asc", "_key": "asc"},
                {"f>s.max": "asc", "_key": "asc"},
                {"f>s.max": "desc", "_key": "asc"},
            ]
        )
        common = self._some(
            size=self._random.randrange(1, 4),
            min_doc_count=self._random.randrange(1, 4),
            order=order,
        )
        stats = {"s": {"stats": {"field": "cost"}}}
        inner = {
            "m": {"avg": {"field": "cost"}},
            "f": {"filter": {"term": {"ok": True}}, "aggs": stats},
            **stats,
        }
        return {"terms": {"field": field, **own.get(field, {}), **common}, "aggs": inner}

    def _order(self) -> Body:
        return self._pick([{"_key": "desc"}, {"_count": "desc", "_key": "asc"}, {"_count": "asc"}])

    def _numbers(self) -> Body:
        some = self._some(
            offset=self._pick([0.5, 1, 3]),
            min_doc_count=self._random.randrange(3),
            extended_bounds=self._pick([{"min": -3}, {"max": 7}, {"min": 2, "max": 11}]),
            hard_bounds=self._pick([{"min": 0}, {"max": 4.5}]),
            order=self._order(),
        )
        return {"histogram": {"field": "cost", "interval": self._pick([0.5, 2, 4]), **some}}

    def _times(self) -> Body:
        some = self._some(
            offset=self._pick(["3s", "-4s"]),
            min_doc_count=self._random.randrange(3),
            extended_bounds=self._pick([{"min": NOW_MS - 90_000}, {"max": NOW_MS + 9000}]),
            hard_bounds={"min": NOW_MS - 20_000},
            order=self._order(),
        )
        step = self._pick(["5s", "12s", "60s"])
        return {"date_histogram": {"field": "@timestamp", "fixed_interval": step, **some}}

    def _single(self) -> Body:
        match self._random.randrange(4):
            case 0:
                return {"filter": self.query()}
            case 1:
                return {"sampler": {"shard_size": self._random.randrange(1, 8)}}
            case _:
                names = self._random.sample("xyz", self._random.randrange(1, 4))
                queries = {name: self.query() for name in names}
                return {"filters": {"filters": queries, "other_bucket": self._pick([True, False])}}


@pytest.fixture(scope="module")
def engine() -> Iterator[LogStoreEngine]:
    engine = LogStoreEngine(None, ManualClock(float(NOW_S + 60)), threads=1)
    yield engine
    engine.close()


def fill(engine: LogStoreEngine, records: Sequence[Record], names: Sequence[str]) -> list[Record]:
    """Spread records over new LogStores; the records with their index and order of receipt."""
    ordered: list[Record] = []
    for number, name in enumerate(names):
        engine.create_log_store("default", name, LogStoreSettings(retention_days=-1))
        own = records[number :: len(names)]
        pushed = [
            NewRecord(
                message=json.dumps({key: one[key] for key in one if key != "@timestamp"}),
                timestamp_ms=one["@timestamp"],
            )
            for one in own
        ]
        if pushed:
            engine.push("default", name, pushed, record_type=RecordType.JSON)
        # All are received in one millisecond: the first ones of the LogStores share their @seq.
        ordered += [{**one, "_index": name, "@seq": seq} for seq, one in enumerate(own)]
    return ordered


def differs(found: Any, expected: Any, place: str = "") -> str:
    """Where what is found is not what is expected, but for the last digits of numbers."""
    if isinstance(expected, dict) and isinstance(found, dict):
        known = {name for name in found if name != "key_as_string" or name in expected}
        if known != set(expected):
            return f"{place}: {sorted(known)} instead of {sorted(expected)}"
        places = [differs(found[name], expected[name], f"{place}.{name}") for name in expected]
        return next(filter(None, places), "")
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return f"{place}: {len(found)} instead of {len(expected)}"
        numbers = range(len(found))
        places = [differs(found[one], expected[one], f"{place}[{one}]") for one in numbers]
        return next(filter(None, places), "")
    if isinstance(expected, float) and isinstance(found, float):
        same = math.isclose(found, expected, abs_tol=1e-6)
    else:
        same = found == expected
    return "" if same else f"{place}: {found!r} instead of {expected!r}"


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("stores", [1, 2])
def test_aggregations_are_those_of_the_reference(
    engine: LogStoreEngine, seed: int, stores: int
) -> None:
    cases = Cases(seed * 10 + stores)
    for number in range(CASES):
        records, query, aggs = cases.records(), cases.query(), cases.aggregations()
        names = [f"s{seed}-{stores}-{number}-{one}" for one in range(stores)]
        ordered = fill(engine, records, names)
        search = {"size": 0, "query": query, "aggs": aggs}
        found = engine.elastic.search(",".join(names), search)["response"].get("aggregations", {})
        expected = aggregate(aggs, [record for record in ordered if matches(query, record)])
        where = differs(found, expected)
        assert not where, f"{where}\n{json.dumps(search)}\n{json.dumps(ordered)}"
        for name in names:
            engine.delete_log_store("default", name)
