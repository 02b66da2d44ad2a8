"""Runs ``terms``: a bucket for each of the commonest values of a field."""

import math
from collections.abc import Sequence
from typing import Final

from simulator.logstore.elastic.aggregations import Aggregation, find_ordered
from simulator.logstore.elastic.dates import encode_date
from simulator.logstore.elastic.groups import Context, Groups, Key, Keys, Runner, Shown
from simulator.logstore.elastic.metrics import Metric, metric_columns, order_sql, text_of
from simulator.logstore.elastic.names import TIME
from simulator.logstore.elastic.terms import MAX_TERM_BYTES, Choice, Terms
from simulator.logstore.typed import Kind, Typed, as_kind, as_text, encode_number

_KEY_TYPES: Final = {Kind.INT: "BIGINT", Kind.FLOAT: "DOUBLE", Kind.BOOL: "BOOLEAN"}
_KINDS: Final = {bool: Kind.BOOL, int: Kind.INT, float: Kind.FLOAT}
_TITLES: Final = {"BIGINT": "lterms", "BOOLEAN": "lterms", "DOUBLE": "dterms", "VARCHAR": "sterms"}
"""What Elasticsearch calls the result, by the type of its keys."""


def run_terms(
    runner: Runner, one: Aggregation, terms: Terms, context: Context
) -> dict[Keys, Shown]:
    """The buckets for each combination of the keys around them."""
    groups = runner.groups
    key = _term_key(groups, terms)
    context = context.within(f"({key.sql}) IS NOT NULL")
    if key.type == "DOUBLE":
        context = context.within(f"isfinite({key.sql})")
    if key.type == "VARCHAR":
        context = context.within(f"strlen({key.sql}) <= {MAX_TERM_BYTES}")
    if terms.include is not None:
        context = context.within(_chosen(groups, key, terms.include))
    if terms.exclude is not None:
        context = context.within(f"NOT {_chosen(groups, key, terms.exclude)}")
    inner_context = context.grouped(key)
    apart = ", ".join(one.sql for one in context.keys)
    partition = f"PARTITION BY {apart} " if apart else ""
    orders = _orders(runner, one, terms, key, context)
    items = [
        "count(*)",
        f"sum(count(*)) OVER ({partition})",
        f"row_number() OVER ({partition}ORDER BY {orders}) AS place",
    ]
    rows = groups.select(
        inner_context,
        items,
        having=f"count(*) >= {max(1, terms.least)}",
        tail=f" QUALIFY place <= {terms.size} ORDER BY place",
    )
    groups.count_buckets(len(rows))
    found: dict[Keys, list[tuple[object, int]]] = {}
    totals: dict[Keys, int] = {}
    for keys, (count, total, _) in rows:
        found.setdefault(keys[:-1], []).append((keys[-1], count))
        totals[keys[:-1]] = int(total)
    inner: dict[Keys, Shown] = {}
    if one.inner and rows:
        wanted = groups.one_of(inner_context, [keys for keys, _ in rows])
        inner = runner.run_within(one.inner, inner_context.within(wanted))
    return {
        keys: {
            "doc_count_error_upper_bound": 0,
            "sum_other_doc_count": context.scaled(
                totals[keys] - sum(count for _, count in buckets)
            ),
            "buckets": [
                {
                    **_shown_key(term, terms.field),
                    "doc_count": context.scaled(count),
                    **({"doc_count_error_upper_bound": 0} if terms.show_error else {}),
                    **runner.complete(one.inner, inner.get((*keys, term), {})),
                }
                for term, count in buckets
            ],
        }
        for keys, buckets in found.items()
    }


def no_terms() -> Shown:
    """The result without any record."""
    return {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0, "buckets": []}


def terms_title(groups: Groups, terms: Terms) -> str:
    """What Elasticsearch calls the result: by what the keys are."""
    if terms.missing is None and not groups.records.knows(terms.field, terms.path):
        return "umterms"
    return _TITLES[_term_key(groups, terms).type]


def _orders(runner: Runner, one: Aggregation, terms: Terms, key: Key, context: Context) -> str:
    records = runner.groups.records
    parts: list[str] = []
    for order in terms.orders:
        found = find_ordered(order, one.inner)
        filters = [records.write(each.query) for each in found if not isinstance(each, Metric)]
        where = " AND ".join(filters)
        last = found[-1] if found else None
        if isinstance(last, Metric):
            value = records.typed(last.field, last.path)
            columns = metric_columns(last, value, context.scale, records.bindings.text)
            sql = order_sql(columns, order.value, where)
        elif order.by == "_key":
            sql = key.sql
        else:
            sql = f"count(*) FILTER (WHERE {where})" if where else "count(*)"
        parts.append(f"{sql} {'DESC' if order.descending else 'ASC'} NULLS LAST")
    return ", ".join((*(parts or ["count(*) DESC"]), f"{key.sql} ASC"))


def _chosen(groups: Groups, key: Key, choice: Choice) -> str:
    """SQL for whether there is a bucket for the value of a record."""
    text = f"CAST({key.sql} AS VARCHAR)"
    if choice.values is None:
        pattern = groups.records.bindings.text(f"(?s)(?:{choice.pattern})")
        # DuckDB may try conditions in any order, and what is no term may be long.
        is_term = f"strlen({text}) <= {MAX_TERM_BYTES}"
        return f"(CASE WHEN {is_term} THEN regexp_full_match({text}, {pattern}) ELSE FALSE END)"
    values: Sequence[object] = choice.values
    type_ = "VARCHAR"
    if key.type == "DOUBLE":
        # 2 and 2.0 are one number, and are not spelled alike.
        numbers = [_as_float(one) for one in choice.values]
        text, type_ = key.sql, "DOUBLE"
        values = [one for one in numbers if one is not None]
    return f"({text} IN (SELECT {groups.listed(values, type_)}))"


def _as_float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _term_key(groups: Groups, terms: Terms) -> Key:
    """What there are buckets by.

    The value of records without one must be of the field's kind, or all are texts; of a field that
    no record has, it is the only one, of its own kind. Source: assumed: Elasticsearch refuses what
    is not of the field's kind.
    """
    value = groups.records.typed(terms.field, terms.path)
    if terms.missing is not None and not groups.records.knows(terms.field, terms.path):
        kind = _KINDS.get(type(terms.missing), Kind.STRING)
        value = Typed(as_kind(None, kind), kind)
    type_ = _KEY_TYPES.get(value.kind, "VARCHAR")
    if terms.missing is None:
        return Key(sql=as_text(value) if type_ == "VARCHAR" else value.sql, type=type_)
    missing = _spelled(terms.missing, value)
    if missing is not None:
        return Key(sql=f"coalesce({value.sql}, {missing})", type=type_)
    bound = groups.records.bindings.text(text_of(terms.missing))
    return Key(sql=f"coalesce({as_text(value)}, {bound})", type="VARCHAR")


def _spelled(missing: str | float | bool, value: Typed) -> str | None:
    """SQL for a value of the kind of a field; None when it is of another."""
    match value.kind:
        case Kind.BOOL if text_of(missing) in {"true", "false"}:
            return text_of(missing)
        case Kind.INT if not isinstance(missing, (float, bool)):
            whole = str(missing).removeprefix("-")
            return str(missing) if whole.isascii() and whole.isdigit() and len(whole) < 19 else None
        case Kind.FLOAT if not isinstance(missing, bool):
            number = _as_float(str(missing))
            return None if number is None or not math.isfinite(number) else encode_number(number)
        case _:
            return None


def _shown_key(key: object, field: str) -> Shown:
    match key:
        case bool():
            return {"key": int(key), "key_as_string": str(key).lower()}
        case int() if field == TIME:
            return {"key": key, "key_as_string": encode_date(key)}
        case _:
            return {"key": key}
