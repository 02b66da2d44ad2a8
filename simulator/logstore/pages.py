"""Finds one page of records, of one LogStore or of several merged."""

from collections.abc import Sequence
from typing import Final

from simulator.logstore.database import Cursor, Row, run_statement
from simulator.logstore.marker import Marker, encode_marker, parse_marker
from simulator.logstore.origins import Member, Origin
from simulator.logstore.record_sizes import MAX_PAGE_BYTES, RecordSizes, fitting_count
from simulator.logstore.search import Search
from simulator.logstore.typed import MAX_WRITTEN, Bindings, invalid_query
from simulator.logstore.values import Paging, Sort

_COLUMNS: Final = "ts, seq, stream, message, sequence, tags, type"
_SAMPLE_PARTS: Final = 1_000_000


def find_page(
    cursor: Cursor, origin: Origin, search: Search | None, paging: Paging, sizes: RecordSizes
) -> tuple[Sequence[Row], str]:
    """The hits of a search in the order of time, or all records.

    A page ends before its records are too many bytes; what is left follows its marker.

    Records of the same time are in the order of their ``@seq``, and those of several LogStores
    that have the same one in the order their LogStores were made; all turned round together.
    Source: assumed (how a view orders what its LogStores number alike; and that a sample of a view
    is the samples of its LogStores).

    Returns:
        Rows that begin with time, seq, stream, message, sequence, tags, type; and the next page's
        marker, empty when nothing is left.
    """
    bindings = Bindings()
    marker = None if paging.marker is None else parse_marker(paging.marker)
    conditions = [
        " AND ".join([member.within(bindings), condition, *_beyond(marker, member, paging)])
        for member, condition in zip(
            origin.members, origin.conditions(search, cursor, bindings, sizes), strict=True
        )
    ]
    largest = max(sizes.largest(cursor, member.state) for member in origin.members)
    if largest * (paging.limit + 1) > MAX_PAGE_BYTES:
        rows, has_more = _narrow_first(cursor, origin.members, conditions, bindings, paging)
    else:
        if len(origin.members) == 1:
            sql = _of_one(origin.members[0], conditions[0], paging)
        else:
            sql = _of_several(origin.members, conditions, paging)
        _, rows = _run(cursor, sql, bindings)
        has_more = len(rows) > paging.limit
        rows = rows[: paging.limit]
    if not rows or not has_more:
        return rows, ""
    time_ms, seq, *_, store = rows[-1]
    last = Marker(time_ms=time_ms, seq=seq, store=store if origin.view else None)
    return rows, encode_marker(last)


def _run(cursor: Cursor, sql: str, bindings: Bindings) -> tuple[tuple[str, ...], list[Row]]:
    if len(sql) > 4 * MAX_WRITTEN:
        raise invalid_query("the search is too large")
    return run_statement(cursor, sql, bindings.used_in(sql))


def _narrow_first(
    cursor: Cursor,
    members: Sequence[Member],
    conditions: Sequence[str],
    bindings: Bindings,
    paging: Paging,
) -> tuple[list[Row], bool]:
    """First the places and sizes of records, then as many records as may be read at a time.

    Returns:
        The records, and whether there are more.
    """
    order = _order("ts, seq, store", paging)
    sql = f"SELECT * FROM ({_places(members, conditions)}) ORDER BY {order} {_limit(paging)}"
    _, places = _run(cursor, sql, bindings)
    count = fitting_count(size for *_, size in places[: paging.limit])
    found: dict[tuple[int, int], Row] = {}
    for member in members:
        store = member.state.id
        numbers = [place for _, _, of, place, _ in places[:count] if of == store]
        if numbers:
            sql = (
                f"SELECT {_COLUMNS}, {store} AS store, rowid AS place FROM {member.state.table}"
                " WHERE rowid IN (SELECT unnest($places))"
            )
            _, rows = run_statement(cursor, sql, {"places": numbers})
            found |= {(store, row[-1]): row[:-1] for row in rows}
    kept = [found[store, place] for _, _, store, place, _ in places[:count]]
    return kept, count < len(places)


def _places(members: Sequence[Member], conditions: Sequence[str]) -> str:
    """Time, seq, LogStore, place and size of each record."""
    return " UNION ALL ".join(
        f"SELECT ts, seq, {member.state.id} AS store, rowid AS place, size"
        f" FROM {member.state.table} WHERE {condition}"
        for member, condition in zip(members, conditions, strict=True)
    )


def _of_one(member: Member, condition: str, paging: Paging) -> str:
    return (
        f"SELECT {_COLUMNS}, {member.state.id} AS store FROM {member.state.table}"
        f" WHERE {condition} ORDER BY {_order('ts, seq', paging)} {_limit(paging)}"
    )


def _of_several(members: Sequence[Member], conditions: Sequence[str], paging: Paging) -> str:
    """First the places of the page's records, by narrow columns, then the records.

    DuckDB does that by itself for one table and not for a union, which it would read whole.
    """
    records = " UNION ALL ".join(
        f"SELECT {_COLUMNS}, {member.state.id} AS store FROM {member.state.table}"
        f" WHERE rowid IN (SELECT place FROM places WHERE store = {member.state.id})"
        for member in members
    )
    order = _order("ts, seq, store", paging)
    places = _places(members, conditions)
    return (
        f"WITH places AS MATERIALIZED"
        f" (SELECT store, place FROM ({places}) ORDER BY {order} {_limit(paging)})"
        f" SELECT * FROM ({records}) ORDER BY {order}"
    )


def _order(columns: str, paging: Paging) -> str:
    direction = "ASC" if paging.sort is Sort.ASC else "DESC"
    return ", ".join(f"{column} {direction}" for column in columns.split(", "))


def _limit(paging: Paging) -> str:
    """One more than is wanted shows whether there are more."""
    return f"LIMIT {paging.limit + 1} OFFSET {paging.offset}"


def _beyond(marker: Marker | None, member: Member, paging: Paging) -> list[str]:
    """SQL for whether a record follows the marker and belongs to the sample."""
    clauses: list[str] = []
    if marker is not None:
        side = ">" if paging.sort is Sort.ASC else "<"
        # The first part alone lets DuckDB skip what the pages before were in.
        clauses.append(f"ts {side}= {marker.time_ms}")
        ties = side
        if marker.store is not None and _follows(member.state.id, marker.store, paging):
            ties = f"{side}="
        clauses.append(f"(ts {side} {marker.time_ms} OR seq {ties} {marker.seq})")
    if paging.sample_percentage < 100:
        share = int(paging.sample_percentage / 100 * _SAMPLE_PARTS)
        clauses.append(f"hash(seq, {paging.sample_seed}) % {_SAMPLE_PARTS} < {share}")
    return clauses


def _follows(store: int, other: int, paging: Paging) -> bool:
    """Whether the records of ``store`` come behind those of ``other`` with the same time and
    seq."""
    return store > other if paging.sort is Sort.ASC else store < other
