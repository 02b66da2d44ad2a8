"""A small reference of aggregations: records in a list, one after the other, nothing clever."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
"""Its fields, ``@timestamp`` in epoch milliseconds, ``@seq``, and its LogStore as ``_index``."""
Result = dict[str, Any]


def aggregate(aggs: Mapping[str, Any], records: Sequence[Record]) -> Result:
    """The results by name."""
    return {name: _one(body, records) for name, body in aggs.items()}


def matches(query: Mapping[str, Any], record: Record) -> bool:
    ((kind, body),) = query.items()
    match kind:
        case "match_all":
            return True
        case "term":
            ((field, value),) = body.items()
            return field in record and record[field] == value
        case "exists":
            return body["field"] in record
        case "range":
            ((field, bounds),) = body.items()
            value = record.get(field)
            return (
                value is not None
                and value >= bounds.get("gte", -math.inf)
                and value < bounds.get("lt", math.inf)
            )
        case "bool":
            must = all(matches(one, record) for one in body.get("must", []))
            return must and not any(matches(one, record) for one in body.get("must_not", []))
    raise AssertionError(kind)


def _one(body: Mapping[str, Any], records: Sequence[Record]) -> Result:
    (kind,) = body.keys() - {"aggs"}
    inner, what = body.get("aggs", {}), body[kind]
    match kind:
        case "terms":
            return _terms(what, inner, records)
        case "histogram" | "date_histogram":
            return _histogram(what, inner, records)
        case "filter":
            return _bucket(inner, [one for one in records if matches(what, one)])
        case "filters":
            return _filters(what, inner, records)
        case "sampler":
            # The newest; of one instant, what was received last.
            newest = sorted(
                records, key=lambda one: (-one["@timestamp"], -one["@seq"], one["_index"])
            )
            return _bucket(inner, newest[: what["shard_size"]])
        case "random_sampler":
            return {"seed": 0, "probability": 1, **_bucket(inner, records)}
    return _metric(kind, what, records)


def _bucket(inner: Mapping[str, Any], records: Sequence[Record]) -> Result:
    return {"doc_count": len(records), **aggregate(inner, records)}


def _metric(kind: str, what: Mapping[str, Any], records: Sequence[Record]) -> Result:
    field, missing = what["field"], what.get("missing")
    values = [record.get(field, missing) for record in records]
    values = [value for value in values if value is not None]
    numbers = [float(value) for value in values if not isinstance(value, str)]
    found = {
        "value_count": len(values),
        "cardinality": len({str(value) for value in values}),
        "count": len(numbers),
        "min": min(numbers, default=None),
        "max": max(numbers, default=None),
        "sum": math.fsum(numbers),
        "avg": math.fsum(numbers) / len(numbers) if numbers else None,
    }
    if kind == "stats":
        return {name: found[name] for name in ("count", "min", "max", "avg", "sum")}
    return {"value": found[kind]}


def _filters(
    what: Mapping[str, Any], inner: Mapping[str, Any], records: Sequence[Record]
) -> Result:
    queries = what["filters"]
    buckets = {
        name: _bucket(inner, [one for one in records if matches(query, one)])
        for name, query in queries.items()
    }
    if what.get("other_bucket"):
        rest = [one for one in records if not any(matches(each, one) for each in queries.values())]
        buckets["_other_"] = _bucket(inner, rest)
    return {"buckets": buckets}


def _histogram(
    what: Mapping[str, Any], inner: Mapping[str, Any], records: Sequence[Record]
) -> Result:
    dated = "fixed_interval" in what
    step = int(what["fixed_interval"].removesuffix("s")) * 1000 if dated else what["interval"]
    offset = (
        int(what.get("offset", "0s").removesuffix("s")) * 1000 if dated else what.get("offset", 0)
    )
    hard = what.get("hard_bounds", {})
    places: dict[int, list[Record]] = {}
    for record in records:
        value = record.get(what["field"])
        if value is None or isinstance(value, str):
            continue
        if hard.get("min", -math.inf) <= value <= hard.get("max", math.inf):
            places.setdefault(math.floor((value - offset) / step), []).append(record)
    least = what.get("min_doc_count", 0)
    wanted = set(places)
    if least == 0:
        bounds = what.get("extended_bounds", {})
        wanted |= {math.floor((bound - offset) / step) for bound in bounds.values()}
        if wanted:
            wanted = set(range(min(wanted), max(wanted) + 1))
    buckets = [
        {"key": place * step + offset, **_bucket(inner, places.get(place, []))}
        for place in sorted(wanted)
        if len(places.get(place, [])) >= least
    ]
    for by, direction in reversed(what.get("order", {}).items()):
        name = {"_key": "key", "_count": "doc_count"}[by]
        buckets.sort(key=lambda one: one[name], reverse=direction == "desc")
    return {"buckets": buckets}


def _terms(what: Mapping[str, Any], inner: Mapping[str, Any], records: Sequence[Record]) -> Result:
    groups: dict[Any, list[Record]] = {}
    for record in records:
        value = record.get(what["field"], what.get("missing"))
        if value is None:
            continue
        if value in what.get("exclude", []):
            continue
        if "include" in what and value not in what["include"]:
            continue
        groups.setdefault(value, []).append(record)
    least = what.get("min_doc_count", 1)
    buckets = [
        {"key": value, **_bucket(inner, group)}
        for value, group in sorted(groups.items())
        if len(group) >= least
    ]
    for by, direction in reversed(what.get("order", {"_count": "desc"}).items()):
        down = direction == "desc"
        # What has no value comes last, whatever the direction.
        buckets.sort(key=lambda one: _ordered(one, by, down=down))
    total = sum(one["doc_count"] for one in buckets)
    shown = buckets[: what.get("size", 10)]
    return {
        "doc_count_error_upper_bound": 0,
        "sum_other_doc_count": total - sum(one["doc_count"] for one in shown),
        "buckets": [_named(one) for one in shown],
    }


def _named(bucket: Result) -> Result:
    key = bucket["key"]
    if isinstance(key, bool):
        return {**bucket, "key": int(key), "key_as_string": str(key).lower()}
    return bucket


def _ordered(bucket: Result, by: str, *, down: bool) -> tuple[bool, Any]:
    value: Any = bucket
    for name in by.split(">"):
        name, _, number = name.partition(".")  # noqa: PLW2901 - the name without its number
        value = value[{"_key": "key", "_count": "doc_count"}.get(name, name)]
        if isinstance(value, dict) and "doc_count" not in value:
            value = value[number or "value"]
    if isinstance(value, dict):
        value = value["doc_count"]
    if value is None:
        return True, 0
    if isinstance(value, str):
        return False, tuple(-ord(one) for one in value) if down else value
    return False, -value if down else value
