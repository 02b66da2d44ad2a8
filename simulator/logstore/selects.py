"""Compiles one select of the SQL part, and those it selects from."""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlglot import exp

from simulator.logstore.calls import Scope
from simulator.logstore.expressions import ExpressionWriter
from simulator.logstore.functions import find_function
from simulator.logstore.late_rows import LateRows, late_rows
from simulator.logstore.nodes import position_of
from simulator.logstore.sources import Compiled, Records, Source, Subquery, Wanted
from simulator.logstore.typed import Typed, as_bool, invalid_query

MAX_ROWS: Final = 100_000
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07)."""
MAX_OFFSET: Final = 10_000_000
MAX_LEVELS: Final = 8
"""Subqueries within each other. Source: assumed (a bound against abuse), as is the offset's."""

_CLAUSES: Final = frozenset(
    {"expressions", "distinct", "from_", "where", "group", "having", "order"}
)
_LIMITS: Final = frozenset({"limit", "offset"})


class Level:
    """Compiles one select.

    Args:
        records: what the innermost select reads.
        scope: of the statement.
        offset: where the SQL part begins in the query.
        names: source texts of the select items, of this level and those within.
        level: 0 for the outermost.
        comparing: whether this level may compare with earlier ranges.
    """

    def __init__(
        self,
        records: Records,
        scope: Scope,
        offset: int,
        names: Sequence[Sequence[str]],
        level: int = 0,
        *,
        comparing: bool = True,
    ) -> None:
        self._records = records
        self._scope = scope
        self._offset = offset
        self._names = names
        self._level = level
        self._comparing = comparing

    def compile(self, select: exp.Select, back_ms: int = 0) -> Compiled:
        """The statement, for a range so many milliseconds earlier.

        Raises:
            ControlError: InvalidParameter with the position and what was expected.
        """
        self._scope.footprint.reads_earlier |= back_ms > 0
        source = self._source(select, back_ms)
        writer = ExpressionWriter(source.reader, self._scope, self._offset)
        for name, value in select.args.items():
            if value and name not in _CLAUSES | _LIMITS:
                culprit = value if isinstance(value, exp.Expr) else select
                raise writer.refuse(culprit, f"`{name.strip('_')}` is not supported")
        rows = source.reader.order
        groups = f"min({rows})" if _makes_groups(select) else rows
        columns, items = self._items(select, source, writer, groups)
        aliases = {
            node.alias: item
            for node, item in zip(select.expressions, items, strict=False)
            if isinstance(node, exp.Alias)
        }
        positions = {name: index + 1 for index, name in enumerate(columns)}
        places = _Places(writer, aliases, positions, items)
        writer.place = rows
        condition = _where(select, source, writer)
        tail = _group_by(select, places, writer)
        writer.place = groups
        tail += _having(select, writer, aliases)
        limit, offset, limit_given = _limits(select, writer)
        distinct = _is_distinct(select, writer)
        if distinct:
            writer.place = ", ".join(item.sql for item in items)
        order = _order(select, places)
        folded = bool(tail) or distinct or writer.aggregates_written > 0
        row_order = () if folded or order or limit_given else source.row_order
        # Ties are broken, so that the same question always gets the same answer.
        ties = [str(index + 1) for index in range(len(items))] if folded else source.row_order
        order += [(one, "ASC") for one in ties]
        if self._level == 0 or not row_order:
            tail.append(f"ORDER BY {', '.join(' '.join(one) for one in order)}")
        wanted = Wanted(
            condition=condition,
            keys=tuple((places.spelled(one), words) for one, words in order),
            count=limit + offset,
            shown=tuple(item.sql for item in items),
        )
        first = None if folded else source.first(wanted)
        if first is None:
            below, condition = writer.totals.below(
                source.sql() + "".join(source.joins), condition, source.tables, places.groups
            )
        else:
            below, condition = first, "TRUE"
        plain = not folded and self._level == 0 and below == source.sql()
        footprint = self._scope.footprint
        footprint.add(writer.cost)
        if folded:
            footprint.add_groups(items)
        # What is to be measured is compiled anew, and may be refused before it runs.
        if writer.matches and source.sample is not None and not footprint.wants_measures:
            footprint.check_matches(writer.matches, source.sample, self._offset)
        for one in writer.collected:
            footprint.check_collected(one, f"FROM {below} WHERE {condition}", places.groups)
        listed = [f"{item.sql} AS c{index}" for index, item in enumerate(items)]
        if self._level > 0:
            listed += [f"{name} AS {name.rpartition('.')[2]}" for name in row_order]
        return Compiled(
            columns=tuple(columns),
            items=tuple(items),
            sql=(
                f"SELECT {'DISTINCT ' if distinct else ''}{', '.join(listed)}"
                f" FROM {below} WHERE {condition} {' '.join(tail)}"
            ),
            limit=limit,
            offset=offset,
            limit_given=limit_given,
            row_order=row_order,
            late=self._late(source, wanted, items) if plain else None,
        )

    def _late(self, source: Source, wanted: Wanted, items: Sequence[Typed]) -> LateRows | None:
        """How wide rows come out a few at a time."""
        if source.placed is None:
            return None
        record = source.reader.field("@raw").width
        return late_rows(source.placed, wanted.condition, wanted.keys, items, record, wanted.count)

    def _source(self, select: exp.Select, back_ms: int) -> Source:
        clause = select.args.get("from_")
        if clause is None:
            return self._records.source(back_ms)
        inner = clause.this
        if (
            type(inner) is not exp.Subquery
            or type(inner.this) is not exp.Select
            or any(value for key, value in inner.args.items() if key not in {"this", "alias"})
            or (inner.args.get("alias") is not None and inner.args["alias"].args.get("columns"))
        ):
            raise invalid_query(
                "only a subquery can stand after `from`: leave it out, the LogStore is in the path",
                self._position(clause),
            )
        if self._level >= MAX_LEVELS:
            raise invalid_query(f"more than {MAX_LEVELS} subqueries", self._position(clause))
        within: exp.Select = inner.this

        def compiled(earlier_ms: int) -> Compiled:
            level = Level(
                self._records,
                self._scope,
                self._offset,
                self._names,
                self._level + 1,
                comparing=self._comparing and not earlier_ms,
            )
            return level.compile(within, back_ms + earlier_ms)

        subquery = Subquery(
            compiled,
            name=f"q{self._level}",
            alias=inner.alias,
            grouped=select.args.get("group") is not None,
            at=self._offset,
        )
        return subquery.source(comparing=self._comparing)

    def _items(
        self, select: exp.Select, source: Source, writer: ExpressionWriter, groups: str
    ) -> tuple[list[str], list[Typed]]:
        """Names and expressions; those that are grouped by are written for rows, not ``groups``."""
        columns: list[str] = []
        items: list[Typed] = []
        names = self._names[self._level] if self._level < len(self._names) else ()
        if len(names) != len(select.expressions) or "" in names:
            raise invalid_query("expected expressions divided by commas", self._offset)
        by = _grouped_items(select)
        for number, (node, text) in enumerate(zip(select.expressions, names, strict=True)):
            writer.place = source.reader.order if number in by else groups
            if isinstance(node, exp.Star):
                if any(node.args.values()):
                    raise writer.refuse(node, "`*` stands alone")
                # Source: assumed; no doc lists the columns of `select *`.
                columns += source.names
                items += [writer.field(name) for name in source.names]
            elif isinstance(node, exp.Alias):
                columns.append(node.alias)
                items.append(writer.write(node.this))
            else:
                columns.append(text)
                items.append(writer.write(node))
        return columns, items

    def _position(self, node: exp.Expr) -> int:
        return self._offset + (position_of(node) or 0)


def _where(select: exp.Select, source: Source, writer: ExpressionWriter) -> str:
    where = _optional(select, "where")
    if where is None:
        return source.condition
    before = writer.aggregates_written
    condition = as_bool(writer.write(where.this))
    if writer.aggregates_written > before:
        raise writer.refuse(where, "an aggregate cannot stand in where, use having")
    return f"{source.condition} AND {condition}"


def _makes_groups(select: exp.Select) -> bool:
    """Whether the rows of the result are groups of rows, or one of all."""
    if _optional(select, "group") is not None or _optional(select, "having") is not None:
        return True
    order = _optional(select, "order")
    parts = (*select.expressions, *(() if order is None else order.expressions))
    return any(_is_aggregate(node) for part in parts for node in part.walk())


def _is_aggregate(node: exp.Expr) -> bool:
    if not isinstance(node, exp.Anonymous):
        return False
    function = find_function(str(node.this).lower(), len(node.expressions))
    return function is not None and function.aggregate


def _grouped_items(select: exp.Select) -> frozenset[int]:
    """Which select items GROUP BY names, by their alias or their place."""
    group = _optional(select, "group")
    found: set[int] = set()
    for node in () if group is None else group.expressions:
        if isinstance(node, exp.Literal) and node.name.isdecimal():
            found.add(int(node.name[:9]) - 1)
        elif isinstance(node, exp.Column) and len(node.parts) == 1:
            found |= {
                number
                for number, item in enumerate(select.expressions)
                if isinstance(item, exp.Alias) and item.alias == node.name
            }
    return frozenset(found)


def _group_by(select: exp.Select, places: "_Places", writer: ExpressionWriter) -> list[str]:
    group = _optional(select, "group")
    if group is None:
        return []
    extras = any(value for key, value in group.args.items() if key != "expressions")
    if extras or not group.expressions:
        raise writer.refuse(group, "only a list of expressions can be grouped by")
    return ["GROUP BY " + ", ".join(places.group(node) for node in group.expressions)]


def _having(
    select: exp.Select, writer: ExpressionWriter, aliases: Mapping[str, Typed]
) -> list[str]:
    having = _optional(select, "having")
    if having is None:
        return []
    return ["HAVING " + as_bool(writer.write(having.this, aliases))]


class _Places:
    """What GROUP BY and ORDER BY may name: an alias, the place of an item, an expression."""

    def __init__(
        self,
        writer: ExpressionWriter,
        aliases: Mapping[str, Typed],
        positions: Mapping[str, int],
        items: Sequence[Typed],
    ) -> None:
        self._writer = writer
        self._aliases = aliases
        self._positions = positions
        self._items = items
        self.groups: list[str] = []
        """What the rows are grouped by, without places."""

    def group(self, node: exp.Expr) -> str:
        """SQL for one entry of GROUP BY."""
        place = self.place(node)
        self.groups.append(self.spelled(place))
        if place.isdecimal() and self._items[int(place) - 1].is_constant:
            # By `2` every 2 of the statement would be that of the group, and no constant any more.
            return f"[{self.spelled(place)}]"
        return place

    def place(self, node: exp.Expr) -> str:
        """SQL for one entry."""
        if isinstance(node, exp.Literal) and not node.is_string:
            if not node.name.isdigit() or not 1 <= int(node.name[:9]) <= len(self._items):
                raise self._writer.refuse(node, f"expected a place from 1 to {len(self._items)}")
            return str(int(node.name[:9]))
        if isinstance(node.unnest(), exp.Literal | exp.Null | exp.Boolean):
            # DuckDB takes no parameter here, and it would be the same for every row.
            expected = "expected a field, without quotes or in back-quotes, not a constant"
            raise self._writer.refuse(node, expected)
        if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name in self._aliases:
            return str(self._positions[node.name])
        value = self._writer.write(node, self._aliases)
        # A number is a place for DuckDB, and some functions are one; other constants it refuses.
        bare = value.is_constant or value.sql.isdecimal() or value.sql.startswith("$")
        return f"[{value.sql}]" if bare else value.sql

    def spelled(self, place: str) -> str:
        """The expression that a place stands for."""
        return self._items[int(place) - 1].sql if place.isdecimal() else place


def _optional(select: exp.Select, name: str) -> exp.Expr | None:
    node = select.args.get(name)
    return node if isinstance(node, exp.Expr) else None


def _is_distinct(select: exp.Select, writer: ExpressionWriter) -> bool:
    distinct = _optional(select, "distinct")
    if distinct is not None and any(distinct.args.values()):
        raise writer.refuse(distinct, "`distinct` stands alone")
    return distinct is not None


def _order(select: exp.Select, places: _Places) -> list[tuple[str, str]]:
    """What rows are ordered by, and how.

    Nulls stand as it says, else first going up and last going down, as in MySQL (assumed).
    """
    order = _optional(select, "order")
    if order is None:
        return []
    return [
        (
            places.place(entry.this),
            ("DESC" if entry.args.get("desc") else "ASC")
            + (" NULLS FIRST" if entry.args.get("nulls_first") else " NULLS LAST"),
        )
        for entry in order.expressions
    ]


def _limits(select: exp.Select, writer: ExpressionWriter) -> tuple[int, int, bool]:
    limit, offset = _optional(select, "limit"), _optional(select, "offset")
    count = MAX_ROWS if limit is None else _whole(limit, writer, MAX_ROWS)
    skipped = 0 if offset is None else _whole(offset, writer, MAX_OFFSET)
    return count, skipped, limit is not None


def _whole(clause: exp.Expr, writer: ExpressionWriter, most: int) -> int:
    if isinstance(clause, exp.Fetch):
        raise writer.refuse(clause, "there is no `fetch`: use limit n")
    node = clause.args.get("expression")
    extras = any(value for key, value in clause.args.items() if key != "expression")
    if extras or not isinstance(node, exp.Literal) or node.is_string or not node.name.isdecimal():
        raise writer.refuse(clause, "expected a whole number after limit")
    if len(node.name) > 9 or int(node.name) > most:
        raise writer.refuse(clause, f"expected at most {most} after limit")
    return int(node.name)
