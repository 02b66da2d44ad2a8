"""The SQL part of a query: parsed, checked, and put together anew for DuckDB.

Only what is written here can come out. Names are looked up among the LogStore's fields, literals
are bound or printed from their value; there is no way to name a table, a file, an option or
another LogStore.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu for the dialect.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.parsers.mysql import MySQLParser
from sqlglot.tokenizer_core import Token, TokenType

from simulator.logstore.expressions import ExpressionWriter
from simulator.logstore.fields import RESERVED
from simulator.logstore.statement import Part
from simulator.logstore.typed import Bindings, Kind, Typed, as_bool, invalid_query

MAX_ROWS: Final = 100_000
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07)."""
MAX_OFFSET: Final = 10_000_000
MAX_NODES: Final = 5000
"""Parts of one statement. Source: assumed (a bound against abuse), as is the offset's."""

_CLAUSES: Final = frozenset({"expressions", "distinct", "where", "group", "having", "order"})
_LIMITS: Final = frozenset({"limit", "offset"})
_ENDS_OF_SELECT: Final = frozenset(
    {
        TokenType.FROM,
        TokenType.WHERE,
        TokenType.GROUP_BY,
        TokenType.HAVING,
        TokenType.ORDER_BY,
        TokenType.LIMIT,
        TokenType.OFFSET,
        TokenType.SEMICOLON,
    }
)
_OPENING: Final = frozenset({TokenType.L_PAREN, TokenType.L_BRACKET, TokenType.L_BRACE})
_CLOSING: Final = frozenset({TokenType.R_PAREN, TokenType.R_BRACKET, TokenType.R_BRACE})


class _Dialect(MySQL):
    """MySQL's quoting and operators; every function stays a plain call with its arguments."""

    class Parser(MySQLParser):
        """The parser without knowledge of functions: the allow-list is ours."""

        FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
            "CAST": MySQLParser.FUNCTION_PARSERS["CAST"]
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class SqlQuery:
    """A statement ready to run."""

    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    sql: str
    limit: int
    """Rows that the caller may get; the statement asks for one more when it was not given."""
    limit_given: bool


class SqlCompiler:
    """Compiles the SQL part for one LogStore.

    Args:
        field: how to read a field, by name.
        field_names: what ``*`` stands for, beside a record's own properties.
        bindings: of the statement.
    """

    def __init__(
        self, field: Callable[[str], Typed], field_names: Sequence[str], bindings: Bindings
    ) -> None:
        self._field = field
        self._field_names = field_names
        self._bindings = bindings

    def compile(self, part: Part, source: str, condition: str) -> SqlQuery:
        """The statement for ``part``.

        Args:
            part: the SQL part.
            source: the table to read.
            condition: SQL that every record looked at fulfils.

        Raises:
            ControlError: InvalidParameter with the position and what was expected.
        """
        select = _parse(part)
        writer = ExpressionWriter(self._field, self._bindings, part.at)
        for name, value in select.args.items():
            if value and name not in _CLAUSES | _LIMITS:
                culprit = value if isinstance(value, exp.Expr) else select
                raise writer.refuse(culprit, f"`{name.strip('_')}` is not supported")
        columns, items = self._items(select, part, writer)
        aliases = {
            node.alias: item
            for node, item in zip(select.expressions, items, strict=False)
            if isinstance(node, exp.Alias)
        }
        positions = {name: index + 1 for index, name in enumerate(columns)}
        places = _Places(writer, aliases, positions, len(items))
        where = _optional(select, "where")
        clauses = [condition]
        if where is not None:
            before = writer.aggregates_written
            clauses.append(as_bool(writer.write(where.this)))
            if writer.aggregates_written > before:
                raise writer.refuse(where, "an aggregate cannot stand in where, use having")
        sql = [
            "SELECT",
            "DISTINCT" if _is_distinct(select, writer) else "",
            ", ".join(item.sql for item in items),
            f"FROM {source} WHERE {' AND '.join(clauses)}",
        ]
        group = _optional(select, "group")
        if group is not None:
            extras = any(value for key, value in group.args.items() if key != "expressions")
            if extras or not group.expressions:
                raise writer.refuse(group, "only a list of expressions can be grouped by")
            sql.append("GROUP BY " + ", ".join(places.place(node) for node in group.expressions))
        having = _optional(select, "having")
        if having is not None:
            sql.append("HAVING " + as_bool(writer.write(having.this, aliases)))
        order = _order(select, places)
        grouped = group is not None or having is not None or writer.aggregates_written > 0
        # Ties are broken, so that the same question always gets the same answer.
        if grouped or select.args.get("distinct"):
            order += [str(index + 1) for index in range(len(items))]
        else:
            order += ["ts", "seq"]
        limit, offset, given = _limits(select, writer)
        sql.append(f"ORDER BY {', '.join(order)}")
        sql.append(f"LIMIT {limit if given else limit + 1} OFFSET {offset}")
        return SqlQuery(
            columns=tuple(columns),
            kinds=tuple(item.kind for item in items),
            sql=" ".join(sql),
            limit=limit,
            limit_given=given,
        )

    def _items(
        self, select: exp.Select, part: Part, writer: ExpressionWriter
    ) -> tuple[list[str], list[Typed]]:
        columns: list[str] = []
        items: list[Typed] = []
        names = _source_texts(part.text)
        if len(names) != len(select.expressions) or "" in names:
            raise invalid_query("expected expressions divided by commas", part.at)
        for node, text in zip(select.expressions, names, strict=True):
            if isinstance(node, exp.Star):
                if any(node.args.values()):
                    raise writer.refuse(node, "`*` stands alone")
                # Source: assumed; no doc lists the columns of `select *`.
                every = [name for name in RESERVED if name != "@seq"] + list(self._field_names)
                columns += every
                items += [self._field(name) for name in every]
            elif isinstance(node, exp.Alias):
                columns.append(node.alias)
                items.append(writer.write(node.this))
            else:
                columns.append(text)
                items.append(writer.write(node))
        return columns, items


class _Places:
    """What GROUP BY and ORDER BY may name: an alias, the place of an item, an expression."""

    def __init__(
        self,
        writer: ExpressionWriter,
        aliases: Mapping[str, Typed],
        positions: Mapping[str, int],
        count: int,
    ) -> None:
        self._writer = writer
        self._aliases = aliases
        self._positions = positions
        self._count = count

    def place(self, node: exp.Expr) -> str:
        """SQL for one entry."""
        if isinstance(node, exp.Literal) and not node.is_string:
            if not node.name.isdigit() or not 1 <= int(node.name[:9]) <= self._count:
                raise self._writer.refuse(node, f"expected a place from 1 to {self._count}")
            return str(int(node.name[:9]))
        if isinstance(node, exp.Column) and len(node.parts) == 1 and node.name in self._aliases:
            return str(self._positions[node.name])
        return self._writer.write(node, self._aliases).sql


def _parse(part: Part) -> exp.Select:
    try:
        statements = sqlglot.parse(part.text, dialect=_Dialect)
    except ParseError as error:
        raise _parse_problem(error, part) from error
    except SqlglotError as error:
        raise invalid_query("the SQL cannot be split into words", part.at) from error
    except RecursionError as error:
        raise invalid_query("nested too deeply", part.at) from error
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # sqlglot trips over some nonsense in its own code; that is the caller's text all the same.
        raise invalid_query("the SQL cannot be read", part.at) from error
    if len(statements) != 1 or type(statements[0]) is not exp.Select:
        raise invalid_query("expected one select statement", part.at)
    select = statements[0]
    if not select.expressions:
        raise invalid_query("expected something to select", part.at + len("select"))
    for count, _ in enumerate(select.walk()):
        if count > MAX_NODES:
            raise invalid_query("the statement is too long", part.at)
    return select


def _parse_problem(error: ParseError, part: Part) -> Exception:
    if not error.errors:
        return invalid_query("the SQL cannot be read", part.at)
    problem = error.errors[0]
    highlight = str(problem.get("highlight") or "")
    lines = part.text.split("\n")
    line, column = int(problem.get("line") or 1), int(problem.get("col") or 1)
    before = sum(len(text) + 1 for text in lines[: line - 1])
    description = str(problem.get("description") or "unexpected text").rstrip(".")
    if "missing for" in description:  # names a class of the parser
        description = "an operand is missing"
    near = f" near {highlight[:40]!r}" if highlight else ""
    return invalid_query(
        f"{description}{near}", part.at + max(0, before + column - max(1, len(highlight)))
    )


def _source_texts(sql: str) -> list[str]:
    """The text of each select item: an unaliased column is named by it.

    Source: observed in SDK tests, which expect ``count(*)``.
    """
    texts: list[str] = []
    depth = 0
    current: list[Token] = []
    tokens = _Dialect().tokenize(sql)
    for token in tokens[1:]:
        if depth == 0 and not current and token.token_type is TokenType.DISTINCT:
            continue
        ends = depth == 0 and token.token_type in _ENDS_OF_SELECT
        if ends or (depth == 0 and token.token_type is TokenType.COMMA):
            texts.append(_span(sql, current))
            current = []
            if ends:
                break
            continue
        depth += (token.token_type in _OPENING) - (token.token_type in _CLOSING)
        current.append(token)
    if current:
        texts.append(_span(sql, current))
    return texts


def _span(sql: str, tokens: Sequence[Token]) -> str:
    if len(tokens) == 1 and tokens[0].token_type is TokenType.IDENTIFIER:
        return tokens[0].text
    return sql[tokens[0].start : tokens[-1].end + 1] if tokens else ""


def _optional(select: exp.Select, name: str) -> exp.Expr | None:
    node = select.args.get(name)
    return node if isinstance(node, exp.Expr) else None


def _is_distinct(select: exp.Select, writer: ExpressionWriter) -> bool:
    distinct = _optional(select, "distinct")
    if distinct is not None and any(distinct.args.values()):
        raise writer.refuse(distinct, "`distinct` stands alone")
    return distinct is not None


def _order(select: exp.Select, places: _Places) -> list[str]:
    """Nulls first going up, last going down, as in MySQL (assumed)."""
    order = _optional(select, "order")
    if order is None:
        return []
    return [
        places.place(entry.this)
        + (" DESC NULLS LAST" if entry.args.get("desc") else " ASC NULLS FIRST")
        for entry in order.expressions
    ]


def _limits(select: exp.Select, writer: ExpressionWriter) -> tuple[int, int, bool]:
    limit, offset = _optional(select, "limit"), _optional(select, "offset")
    count = MAX_ROWS if limit is None else _whole(limit, writer, MAX_ROWS)
    skipped = 0 if offset is None else _whole(offset, writer, MAX_OFFSET)
    return count, skipped, limit is not None


def _whole(clause: exp.Expr, writer: ExpressionWriter, most: int) -> int:
    node = clause.args.get("expression")
    extras = any(value for key, value in clause.args.items() if key != "expression")
    if extras or not isinstance(node, exp.Literal) or node.is_string or not node.name.isdecimal():
        raise writer.refuse(clause, "expected a whole number after limit")
    if len(node.name) > 9 or int(node.name) > most:
        raise writer.refuse(clause, f"expected at most {most} after limit")
    return int(node.name)
