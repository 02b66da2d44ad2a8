"""Reads the text of the SQL part: into a tree, and into the texts that columns are named by."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.parsers.mysql import MySQLParser
from sqlglot.tokenizer_core import Token, TokenType

from simulator.logstore.statement import Part
from simulator.logstore.typed import invalid_query

MAX_NODES: Final = 5000
"""Parts of one statement. Source: assumed (a bound against abuse)."""
MAX_STEPS: Final = 10_000
MAX_STEPS_PER_WORD: Final = 10
"""Words that are read in all. What is plain needs one step a word, some twos; but sqlglot tries
several readings of a type or an array within another, each anew at every level."""

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

_TRIMS: Final = {"BOTH": "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}
_WORDY: Final = ("CONVERT", "GROUP_CONCAT", "JSON_VALUE", "OVERLAY", "TRY_CAST")
"""Functions that other dialects call with words between arguments, and that are not simulated."""


class _TooManySteps(Exception):
    """Not one of sqlglot's errors, which it takes for a reading that was wrong."""


class _Dialect(MySQL):
    """MySQL's quoting and operators; every function stays a plain call with its arguments."""

    def to_json_path(self, path: exp.Expr | None) -> exp.Expr | None:
        """The text after an arrow as it is: what a path may hold is not sqlglot's to say."""
        return path

    class Parser(MySQLParser):
        """The parser without knowledge of functions: the allow-list is ours."""

        _steps = 0

        def _advance(self, times: int = 1) -> None:
            self._steps += 1
            if self._steps > MAX_STEPS + MAX_STEPS_PER_WORD * self._tokens_size:
                raise _TooManySteps
            super()._advance(times)

        FUNCTIONS: ClassVar[dict[str, Callable[..., Any]]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Callable[..., Any]]] = {
            "CAST": MySQLParser.FUNCTION_PARSERS["CAST"],
            "EXTRACT": lambda self: self._parse_extract_call(),
            "POSITION": lambda self: self._parse_position_call(),
            "SUBSTR": lambda self: self._parse_substring_call(),
            "SUBSTRING": lambda self: self._parse_substring_call(),
            "TRIM": lambda self: self._parse_trim_call(),
            **dict.fromkeys(_WORDY, lambda self: self._parse_unknown_call()),
        }
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        DISJUNCTION: ClassVar[dict[TokenType, type[exp.Expr]]] = {
            token: node
            for token, node in MySQLParser.DISJUNCTION.items()
            if token is not TokenType.DPIPE
        }

        def _warn_unsupported(self) -> None:
            """Nothing into the log: whoever wrote the statement is told what is wrong with it."""

        def _parse_bitwise(self) -> exp.Expr | None:
            """Two bars join texts, as in standard SQL (assumed: the doc has ``or`` only)."""
            this = super()._parse_bitwise()
            while self._match(TokenType.DPIPE):
                right = super()._parse_bitwise()
                this = self.expression(exp.DPipe(this=this, expression=right))
            return this

        def _parse_lambda(self, alias: bool = False) -> exp.Expr | None:
            """Only after bracketed parameters is an arrow that of a lambda: ``max(f->'$.a')``."""
            if self._next.token_type is TokenType.ARROW:
                return self._parse_disjunction()
            return super()._parse_lambda(alias)

        def _called(
            self, name: str, arguments: Sequence[exp.Expr | None], word: Token
        ) -> exp.Anonymous:
            """A plain call; what could not be read as an argument is missing from it.

            Args:
                name: of the function.
                arguments: in their order.
                word: that it is called by, for where it stands.
            """
            given = [one for one in arguments if one is not None]
            call = self.expression(exp.Anonymous(this=name, expressions=given))
            call.update_positions(word)
            return call

        def _word(self) -> Token:
            """The name of the call whose opening bracket was just read."""
            return self._tokens[self._index - 2]

        def _parse_extract_call(self) -> exp.Anonymous:
            """``extract(unit from t)`` beside ``extract(unit, t)``."""
            word = self._word()
            unit = self._parse_string() or self._parse_var(any_token=True)
            if not self._match_set((TokenType.FROM, TokenType.COMMA)):
                self.raise_error("Expected extract(unit from t), such as extract(hour from t)")
            if isinstance(unit, exp.Var):
                unit = exp.Literal.string(unit.name)
            return self._called("extract", (unit, self._parse_disjunction()), word)

        def _parse_position_call(self) -> exp.Anonymous:
            """``position(sub in s)`` beside ``position(sub, s)``."""
            word = self._word()
            arguments = self._parse_csv(self._parse_bitwise)
            within = self._parse_bitwise() if self._match(TokenType.IN) else None
            return self._called("position", (*arguments, within), word)

        def _parse_substring_call(self) -> exp.Anonymous:
            """``substring(s from start for length)`` beside ``substring(s, start, length)``."""
            word = self._word()
            arguments = self._parse_csv(self._parse_disjunction)
            start = length = None
            if self._match(TokenType.FROM):
                start = self._parse_disjunction()
            if self._match(TokenType.FOR):
                start = start or exp.Literal.number(1)
                length = self._parse_disjunction()
            return self._called(word.text.lower(), (*arguments, start, length), word)

        def _parse_trim_call(self) -> exp.Anonymous:
            """``trim([both|leading|trailing] [characters] from s)`` beside ``trim(s)``."""
            word = self._word()
            name, given = "trim", False
            is_a_word = self._next.token_type not in self.LAMBDA_ARG_TERMINATORS
            if is_a_word and self._match_texts(_TRIMS):
                name, given = _TRIMS[self._prev.text.upper()], True
            if self._match(TokenType.FROM):
                return self._called(name, (self._parse_disjunction(),), word)
            arguments = self._parse_csv(self._parse_disjunction)
            if self._match(TokenType.FROM):
                return self._called(name, (self._parse_disjunction(), *arguments), word)
            if given:
                self.raise_error("Expected trim([both|leading|trailing] [characters] from s)")
            return self._called(name, arguments, word)

        def _parse_unknown_call(self) -> exp.Anonymous:
            """A call with words between its arguments, of a function that there is not."""
            word = self._word()
            depth = 0
            while self._curr and (depth or self._curr.token_type is not TokenType.R_PAREN):
                depth += self._curr.token_type is TokenType.L_PAREN
                depth -= self._curr.token_type is TokenType.R_PAREN
                self._advance()
            return self._called(word.text.lower(), (), word)


def parse_sql(part: Part) -> exp.Select:
    """The tree of the one select in ``part``.

    Raises:
        ControlError: InvalidParameter with the position and what was expected.
    """
    try:
        statements = sqlglot.parse(part.text, dialect=_Dialect)
    except ParseError as error:
        raise _parse_problem(error, part) from error
    except SqlglotError as error:
        raise invalid_query("the SQL cannot be split into words", part.at) from error
    except (RecursionError, _TooManySteps) as error:
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


def source_texts(sql: str) -> list[list[str]]:
    """The text of each select item, of the select itself and of each subquery within.

    An unaliased column is named by it. Source: observed in SDK tests, which expect ``count(*)``.
    """
    levels: list[list[str]] = []
    tokens = _Dialect().tokenize(sql)
    position = 0
    while position < len(tokens) and tokens[position].token_type is TokenType.SELECT:
        texts, position = _item_texts(sql, tokens, position + 1)
        levels.append(texts)
        if position >= len(tokens) or tokens[position].token_type is not TokenType.FROM:
            break
        position += 1
        while position < len(tokens) and tokens[position].token_type is TokenType.L_PAREN:
            position += 1
    return levels


def _item_texts(sql: str, tokens: Sequence[Token], position: int) -> tuple[list[str], int]:
    """The texts of the items from ``position`` on, and where they end."""
    texts: list[str] = []
    depth = 0
    current: list[Token] = []
    while position < len(tokens):
        token = tokens[position]
        kind = token.token_type
        ends = depth == 0 and (kind in _ENDS_OF_SELECT or kind in _CLOSING)
        if ends:
            break
        position += 1
        if depth == 0 and not current and kind is TokenType.DISTINCT:
            continue
        if depth == 0 and kind is TokenType.COMMA:
            texts.append(_span(sql, current))
            current = []
            continue
        depth += (kind in _OPENING) - (kind in _CLOSING)
        current.append(token)
    texts.append(_span(sql, current))
    return texts, position


def _span(sql: str, tokens: Sequence[Token]) -> str:
    if len(tokens) == 1 and tokens[0].token_type is TokenType.IDENTIFIER:
        return tokens[0].text
    return sql[tokens[0].start : tokens[-1].end + 1] if tokens else ""
