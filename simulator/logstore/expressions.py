"""Writes the expressions of the SQL part anew for DuckDB, node by node.

What no branch names is refused: this is the allow-list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from sqlglot import exp

from simulator.errors import ControlError
from simulator.logstore.aggregates import DISTINCT_AGGREGATES
from simulator.logstore.calls import Argument, Call, Function, Scope, unify
from simulator.logstore.comparisons import compare, is_in
from simulator.logstore.containers import make_array, subscript
from simulator.logstore.footprint import Collected, priced
from simulator.logstore.functions import (
    BARE_FUNCTIONS,
    COMPARING,
    RANDOM,
    describe_missing,
    find_function,
)
from simulator.logstore.nodes import (
    has_extras,
    is_bare_name,
    kind_of_number,
    literal_value,
    position_of,
)
from simulator.logstore.repeats import Repeats
from simulator.logstore.sources import Reader
from simulator.logstore.spellings import INSTEAD_OF_WORD, describe_node, describe_type
from simulator.logstore.times import MOVING_UNITS, UNIT_FIRST, move
from simulator.logstore.typed import (
    MAX_WRITTEN,
    WHOLE,
    Kind,
    Typed,
    as_bool,
    as_huge,
    as_number,
    as_text,
    as_time,
    as_whole,
    encode_number,
    fitting,
    invalid_query,
    parse_number,
)
from simulator.logstore.widths import of
from simulator.logstore.windows import RunningTotals

MAX_DEPTH: Final = 50
"""Levels of nesting in one expression. Source: assumed (a bound against abuse)."""
MAX_SECONDS_AGO: Final = 10 * 366 * 86_400

_COMPARISONS: Final[Mapping[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}
_ARITHMETIC: Final[Mapping[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}
_ARROW: Final = ("this", "expression", "variant")
_INT_TYPES: Final = frozenset({exp.DType.BIGINT, exp.DType.INT})
_FLOAT_TYPES: Final = frozenset({exp.DType.DECIMAL, exp.DType.DOUBLE, exp.DType.FLOAT})
_TEXT_TYPES: Final = frozenset({exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR})
_TIME_TYPES: Final = frozenset({exp.DType.TIMESTAMP, exp.DType.TIMESTAMPTZ})


class ExpressionWriter:
    """Writes the expressions of one select.

    Args:
        reader: how its source is read.
        scope: of the statement.
        offset: where the SQL part begins in the query, so that errors point there.
    """

    def __init__(self, reader: Reader, scope: Scope, offset: int) -> None:
        self.aggregates_written = 0
        """How many aggregates have been written so far."""
        self.totals = RunningTotals()
        """What they need of the source."""
        self.collected: list[Collected] = []
        """What they collect of all rows."""
        self.matches: list[str] = []
        """What is matched with patterns, which may take long."""
        self.cost = 0.0
        """Bytes that all expressions take for one row."""
        self.place = reader.order
        """SQL that tells the rows apart that are written for; to be set where they are groups."""
        self._reader = reader
        self._scope = scope
        self._offset = offset
        self._depth = 0
        self._in_aggregate = False
        self._lambda: Mapping[str, Typed] = {}
        self._parts: list[list[Typed]] = []
        """What has been written within each expression that is being written."""

    def write(self, node: exp.Expr, aliases: Mapping[str, Typed] | None = None) -> Typed:
        """SQL and kind of ``node``.

        Args:
            node: what was parsed.
            aliases: names of select items that may stand for them here.

        Raises:
            ControlError: InvalidParameter for anything that is not allowed.
        """
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise invalid_query("nested too deeply", self.position(node))
        self._parts.append([])
        try:
            written = self._write(node, aliases or {})
        finally:
            self._depth -= 1
            parts = self._parts.pop()
        called = self._called(node)
        aggregate = called is not None and called.aggregate
        constant = all(part.is_constant for part in parts) and not (aggregate or _is_random(node))
        written = priced(written, parts, is_constant=constant, is_aggregate=aggregate)
        if isinstance(node, exp.Anonymous):
            self._scope.footprint.look_at(written, str(node.this).lower(), self.position(node))
        if self._parts:
            self._parts[-1].append(written)
        else:
            self.cost += written.cost
        # Some functions repeat an argument, so nesting could double the text at every level.
        if Repeats(written.sql).length > MAX_WRITTEN:
            raise self.refuse(node, "the expression is too large")
        return written

    def _called(self, node: exp.Expr) -> Function | None:
        """The function that ``node`` calls, if any."""
        if not isinstance(node, exp.Anonymous):
            return None
        return find_function(str(node.this).lower(), len(node.expressions))

    def field(self, name: str) -> Typed:
        """A field by itself."""
        found = self._reader.field(name)
        self.cost += found.cost
        return found

    def position(self, node: exp.Expr) -> int | None:
        """Where ``node`` stands in the query, as near as it is known."""
        at = position_of(node)
        return None if at is None else self._offset + at

    def refuse(self, node: exp.Expr, message: str) -> ControlError:
        """The error for ``node``."""
        return invalid_query(message, self.position(node))

    def _write(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        kind = type(node)
        if kind in _COMPARISONS:
            left, right = self._operands(node, aliases)
            return Typed(compare(left, _COMPARISONS[kind], right), Kind.BOOL)
        if kind in _ARITHMETIC:
            return self._arithmetic(node, aliases)
        match node:
            case exp.Literal() | exp.Boolean() | exp.Null():
                return self._literal(node)
            case exp.Column() | exp.Parameter() | exp.Identifier():
                return self._name(node, aliases)
            case exp.Paren() | exp.Neg() | exp.Not():
                return self._unary(node, aliases)
            case exp.And() | exp.Or():
                return self._logic(node, aliases)
            case exp.Is() | exp.Like() | exp.Escape() | exp.Between() | exp.In():
                return self._predicate(node, aliases)
            case exp.DPipe() | exp.RegexpLike():
                return self._spelled(node, aliases)
            case exp.Case() | exp.If():
                return self._conditional(node, aliases)
            case exp.Cast() if kind is exp.Cast:
                return self._cast(node, aliases)
            case exp.Anonymous():
                return self._call(node, aliases)
            case exp.Array() | exp.Bracket() | exp.JSONExtract() | exp.JSONExtractScalar():
                return self._part(node, aliases)
            case _:
                raise self.refuse(node, describe_node(node))

    def _unary(self, node: exp.Unary, aliases: Mapping[str, Typed]) -> Typed:
        operand = self.write(node.this, aliases)
        match node:
            case exp.Not():
                return Typed(f"(NOT {as_bool(operand)})", Kind.BOOL)
            case exp.Neg():
                if operand.kind in WHOLE:
                    return Typed(fitting(f"- {as_huge(operand)}"), Kind.INT)
                return Typed(f"(- {as_number(operand)})", Kind.FLOAT)
            case _:
                return replace(operand, sql=f"({operand.sql})")

    def _operands(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> tuple[Typed, Typed]:
        return self.write(node.this, aliases), self.write(node.args["expression"], aliases)

    def _literal(self, node: exp.Expr) -> Typed:
        if isinstance(node, exp.Null):
            return Typed("NULL", Kind.NULL, is_constant=True)
        if isinstance(node, exp.Boolean):
            return Typed("TRUE" if node.this else "FALSE", Kind.BOOL, is_constant=True)
        text = str(node.this)
        if node.args.get("is_string"):
            width = of(len(text.encode("utf-8", "surrogatepass")) + 1)
            bound = self._scope.bindings.text(text)
            return Typed(bound, Kind.STRING, width=width, is_constant=True)
        try:
            number = parse_number(text)
            return Typed(encode_number(number), kind_of_number(number), is_constant=True)
        except (ValueError, OverflowError) as error:
            raise self.refuse(node, f"{text[:40]} is not a number that fits") from error

    def _name(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        if isinstance(node, exp.Parameter):
            # The docs write @timestamp without back-ticks, which MySQL reads as a variable.
            return self._field(node, f"@{node.name}")
        if isinstance(node, exp.Identifier):  # only within a lambda
            parameter = self._lambda.get(str(node.this))
            if parameter is None:
                raise self.refuse(node, f"there is no parameter {str(node.this)[:40]}")
            return parameter
        parts = node.parts if isinstance(node, exp.Column) else []
        if any(type(part) is not exp.Identifier for part in parts):
            raise self.refuse(node, "`*` cannot stand here")
        name = ".".join(str(part.this) for part in parts)
        bare = len(parts) == 1 and not parts[0].args.get("quoted")
        if bare and name.lower() in BARE_FUNCTIONS and name not in aliases:
            return self._call(exp.Anonymous(this=name), aliases)
        if bare and name.lower() in INSTEAD_OF_WORD and name not in aliases:
            instead = INSTEAD_OF_WORD[name.lower()]
            raise self.refuse(
                node, f"{name}: use {instead}; a field of that name stands in back-quotes"
            )
        alias = None if self._in_aggregate else aliases.get(name)
        return self._field(node, name) if alias is None else alias

    def _field(self, node: exp.Expr, name: str) -> Typed:
        try:
            return self._reader.field(name)
        except LookupError as error:
            raise self.refuse(node, str(error)) from error

    def _spelled(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        """An operator that is another spelling of a function."""
        parts = [node.this, node.args["expression"]]
        if isinstance(node, exp.RegexpLike):
            if has_extras(node, "this", "expression", "full_match"):
                raise self.refuse(node, "expected s regexp pattern")
            return self._call(exp.Anonymous(this="regexp_like", expressions=parts), aliases)
        # A chain is one level, however long it is.
        parts = [self.write(part, aliases) for part in node.flatten()]
        if any(part.kind is Kind.BOOL for part in parts):
            raise self.refuse(node, "`||` joins texts; expected `or` between conditions")
        return Typed(f"({' || '.join(as_text(part) for part in parts)})", Kind.STRING)

    def _arithmetic(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        one, other = node.this, node.args["expression"]
        if isinstance(other, exp.Interval) and isinstance(node, exp.Add | exp.Sub):
            return self._moved(one, other, aliases, back=isinstance(node, exp.Sub))
        if isinstance(one, exp.Interval) and isinstance(node, exp.Add):
            return self._moved(other, one, aliases)
        left, right = self._operands(node, aliases)
        operator = _ARITHMETIC[type(node)]
        if operator != "/" and {left.kind, right.kind} <= WHOLE:
            divisor = as_huge(right)
            if operator == "%":
                divisor = f"nullif({divisor}, 0)"
            return Typed(fitting(f"{as_huge(left)} {operator} {divisor}"), Kind.INT)
        divisor = as_number(right)
        if operator in {"/", "%"}:
            divisor = f"nullif({divisor}, 0)"
        return Typed(f"({as_number(left)} {operator} {divisor})", Kind.FLOAT)

    def _moved(
        self,
        instant: exp.Expr,
        moving: exp.Interval,
        aliases: Mapping[str, Typed],
        *,
        back: bool = False,
    ) -> Typed:
        """An instant plus or minus an interval."""
        value = self.write(instant, aliases)
        count, unit = self._interval(moving)
        moved = move(value, -count if back else count, unit)
        if moved is None:
            raise self.refuse(moving, f"expected an interval of {', '.join(MOVING_UNITS)}")
        return moved

    def _part(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        """An array that is written out, one of its elements, or a part of a JSON text."""
        match node:
            case exp.Array():
                return make_array([self.write(item, aliases) for item in node.expressions])
            case exp.Bracket(expressions=[key]):
                container = self.write(node.this, aliases)
                found = subscript(container, self.write(key, aliases))
                if found is None:
                    raise self.refuse(node, "only a map or an array has elements")
                return found
            case exp.JSONExtract() | exp.JSONExtractScalar() if not has_extras(node, *_ARROW):
                # MySQL's ->> gives what json_extract gives here: texts without their quotes.
                parts = [node.this, node.args["expression"]]
                return self._call(exp.Anonymous(this="json_extract", expressions=parts), aliases)
            case _:
                raise self.refuse(
                    node, f"this form of `{type(node).__name__.lower()}` is not supported"
                )

    def _logic(self, node: exp.Connector, aliases: Mapping[str, Typed]) -> Typed:
        # A chain of one operator is one level, however long it is.
        word = " AND " if isinstance(node, exp.And) else " OR "
        parts = [as_bool(self.write(part, aliases)) for part in node.flatten()]
        return Typed(f"({word.join(parts)})", Kind.BOOL)

    def _like(self, node: exp.Expr, aliases: Mapping[str, Typed], escape: str = "") -> Typed:
        """Without ``escape`` no character of the pattern is one that escapes (assumed)."""
        value, pattern = self._operands(node, aliases)
        word = "NOT LIKE" if node.args.get("negate") else "LIKE"
        return Typed(f"({as_text(value)} {word} {as_text(pattern)}{escape})", Kind.BOOL)

    def _escaped(self, node: exp.Escape, aliases: Mapping[str, Typed]) -> Typed:
        """``like`` with the character that makes a wildcard stand for itself."""
        like, character = node.this, literal_value(node.args["expression"])
        pattern = literal_value(like.args["expression"]) if isinstance(like, exp.Like) else None
        if not (isinstance(pattern, str) and isinstance(character, str) and len(character) == 1):
            raise self.refuse(node, "expected s like 'pattern' escape 'c', with one character")
        bare = pattern.replace(character * 2, "")
        if bare.endswith(character):
            raise self.refuse(node, "the pattern must not end with the character that escapes")
        return self._like(like, aliases, f" ESCAPE {self._scope.bindings.text(character)}")

    def _predicate(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        if isinstance(node, exp.Escape):
            return self._escaped(node, aliases)
        if isinstance(node, exp.Like):
            return self._like(node, aliases)
        value = self.write(node.this, aliases)
        match node:
            case exp.Is(expression=exp.Null()):
                return Typed(f"({value.sql} IS NULL)", Kind.BOOL)
            case exp.Is(expression=exp.Boolean() as wanted):
                truth = "TRUE" if wanted.this else "FALSE"
                return Typed(f"({as_bool(value)} IS {truth})", Kind.BOOL)
            case exp.Between() if not node.args.get("symmetric"):
                low = compare(value, ">=", self.write(node.args["low"], aliases))
                high = compare(value, "<=", self.write(node.args["high"], aliases))
                return Typed(f"({low} AND {high})", Kind.BOOL)
            case exp.In() if node.args.get("query"):
                raise self.refuse(node, describe_node(node.args["query"]))
            case exp.In() if node.expressions and not has_extras(node, "this", "expressions"):
                items = [self.write(item, aliases) for item in node.expressions]
                return Typed(is_in(value, items), Kind.BOOL)
            case _:
                raise self.refuse(
                    node, f"this form of `{type(node).__name__.lower()}` is not supported"
                )

    def _conditional(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Typed:
        branches = node.args["ifs"] if isinstance(node, exp.Case) else [node]
        subject = (
            self.write(node.this, aliases)
            if isinstance(node, exp.Case) and node.this is not None
            else None
        )
        conditions: list[str] = []
        for branch in branches:
            condition = self.write(branch.this, aliases)
            conditions.append(
                as_bool(condition) if subject is None else compare(subject, "=", condition)
            )
        default = node.args.get("default" if isinstance(node, exp.Case) else "false")
        values = [self.write(branch.args["true"], aliases) for branch in branches]
        values.append(Typed("NULL", Kind.NULL) if default is None else self.write(default, aliases))
        parts, pattern = unify(values)
        arms = " ".join(
            f"WHEN {condition} THEN {part}"
            for condition, part in zip(conditions, parts, strict=False)
        )
        return replace(pattern, sql=f"CASE {arms} ELSE {parts[-1]} END")

    def _cast(self, node: exp.Cast, aliases: Mapping[str, Typed]) -> Typed:
        value = self.write(node.this, aliases)
        target = node.to.this
        if has_extras(node, "this", "to"):
            raise self.refuse(node, "expected cast(x as type)")
        if target in _INT_TYPES:
            return Typed(as_whole(value), Kind.INT)
        if target in _FLOAT_TYPES:
            return Typed(f"TRY_CAST({as_number(value)} AS DOUBLE)", Kind.FLOAT)
        if target in _TEXT_TYPES:
            return Typed(as_text(value), Kind.STRING)
        if target in _TIME_TYPES:
            return Typed(as_time(value), Kind.TIME, style=value.style)
        raise self.refuse(node, describe_type(node.to))

    def _call(self, node: exp.Anonymous, aliases: Mapping[str, Typed]) -> Typed:
        name = str(node.this).lower()
        arguments: Sequence[exp.Expr] = node.expressions
        function = find_function(name, len(arguments))
        if function is None:
            raise self.refuse(node, describe_missing(name))
        if has_extras(node, "this", "expressions"):
            raise self.refuse(node, f"{name}: only arguments are expected")
        if len(arguments) >= UNIT_FIRST.get(name, inf) and is_bare_name(arguments[0]):
            arguments = [exp.Literal.string(arguments[0].name), *arguments[1:]]
        distinct = len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)
        if distinct:
            if name not in DISTINCT_AGGREGATES or arguments[0].args.get("on"):
                raise self.refuse(node, f"{name}: distinct is not supported")
            arguments = arguments[0].expressions
        if len(arguments) < function.least or (
            function.most is not None and len(arguments) > function.most
        ):
            raise self.refuse(
                node,
                f"{name}: {len(arguments)} arguments are too few or too many for {function.form}",
            )
        if name in COMPARING:
            return self._comparison(node, name, aliases)
        within = self._in_aggregate
        if function.aggregate:
            if within:
                raise self.refuse(node, f"{name}: an aggregate cannot be inside another")
            self.aggregates_written += 1
            self._in_aggregate = True
        try:
            call = Call(
                name=name,
                arguments=[self._argument(argument, aliases) for argument in arguments],
                distinct=distinct,
                at=self.position(node),
                scope=self._scope,
                order=self._reader.order,
                place=self._place(),
                totals=self.totals,
                collected=self.collected,
                matches=self.matches,
            )
        finally:
            self._in_aggregate = within
        return function.write(call)

    def _place(self) -> str:
        """SQL that tells apart what a call is made for: rows, and within a lambda elements."""
        rows = self._reader.order if self._in_aggregate else self.place
        return ", ".join((rows, *(parameter.sql for parameter in self._lambda.values())))

    def _comparison(self, node: exp.Anonymous, name: str, aliases: Mapping[str, Typed]) -> Typed:
        """A column of the subquery beside what it was before."""
        column, *ago = node.expressions
        if self._reader.compare is None or self._in_aggregate:
            raise self.refuse(node, f"{name}: needs `from (select ...)`, without {name} in it")
        seconds = [self._argument(one, aliases).literal for one in ago]
        if not all(isinstance(one, int) and 0 < one <= MAX_SECONDS_AGO for one in seconds):
            raise self.refuse(node, f"{name}: expected whole numbers of seconds after the column")
        if not isinstance(column, exp.Column) or len(column.parts) != 1:
            raise self.refuse(node, f"{name}: the first argument must be a column of the subquery")
        self._field(column, column.name)
        return self._reader.compare(
            column.name, [int(one) for one in seconds if one is not None], name == "ts_compare"
        )

    def _argument(self, node: exp.Expr, aliases: Mapping[str, Typed]) -> Argument:
        match node:
            case exp.Star() if not has_extras(node):
                return Argument(typed=None)
            case exp.Interval():
                return Argument(typed=None, interval=self._interval(node))
            case exp.Literal() | exp.Neg():
                return Argument(typed=self.write(node, aliases), literal=literal_value(node))
            case exp.Array():
                return Argument(
                    typed=self.write(node, aliases),
                    literals=tuple(literal_value(item) for item in node.expressions),
                )
            case exp.Lambda():
                return Argument(typed=None, lambda_=lambda given: self._body(node, given, aliases))
            case _:
                return Argument(typed=self.write(node, aliases))

    def _body(
        self, node: exp.Lambda, given: Sequence[Typed], aliases: Mapping[str, Typed]
    ) -> Typed:
        """The body of a lambda with its parameters in place."""
        names = [str(one.this) for one in node.expressions]
        if len(names) != len(given) or len(set(names)) != len(names):
            raise self.refuse(node, f"expected a lambda of {len(given)} parameters")
        outer = self._lambda
        self._lambda = {**outer, **dict(zip(names, given, strict=True))}
        try:
            return self.write(node.this, aliases)
        finally:
            self._lambda = outer

    def _interval(self, node: exp.Interval) -> tuple[int, str]:
        count, unit = node.this, node.args.get("unit")
        back = isinstance(count, exp.Neg)
        count = count.this if back else count
        if not isinstance(count, exp.Literal) or not isinstance(unit, exp.Var):
            raise self.refuse(node, "expected an interval such as `interval 5 minute`")
        text = count.name.removeprefix("-")
        if not (text.isascii() and text.isdecimal()) or len(text) > 15:
            raise self.refuse(node, "an interval needs a whole number")
        signed = -int(text) if back != count.name.startswith("-") else int(text)
        return signed, unit.name.lower().removesuffix("s")


def _is_random(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == RANDOM
