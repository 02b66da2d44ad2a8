"""Languages that have a grammar: how their texts are read, and what is said of those that are not.

The one place that knows what lark raises.
"""

import re
from collections.abc import Mapping
from functools import cached_property
from typing import Final, TypeVar

from lark import Lark, Token, Transformer
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken, VisitError

T = TypeVar("T")

ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
"""A character that a backslash takes as it is."""


def unescaped(text: str) -> str:
    """A text without the backslashes before what is to be taken as it is."""
    return ESCAPED.sub(r"\1", text)


class Misread(ValueError):
    """A text that its grammar does not take.

    Args:
        position: where it goes wrong, from 0.
        message: what was found there, and what was expected.
    """

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position
        self.message = message


class Grammar:
    """A language.

    Args:
        rules: in lark's notation; LALR(1).
        names: what its terminals are called in errors, by their names in ``rules``; those without
            a text are not mentioned.
        other: what terminals are called that have no name.
    """

    def __init__(
        self, rules: str, names: Mapping[str, str], *, other: str = "something else"
    ) -> None:
        self._rules = rules
        self._names = {"$END": "the end", "LPAR": "`(`", "RPAR": "`)`", **names}
        self._other = other

    @cached_property
    def _parser(self) -> Lark:
        """Made when the first text comes: it takes longer than most imports."""
        return Lark(self._rules, parser="lalr", lexer="contextual", maybe_placeholders=False)

    def read(self, text: str, builder: Transformer[Token, T]) -> T:
        """What ``builder`` makes of the tree of ``text``.

        Raises:
            Misread: it is not in the language.
            RecursionError: it is nested too deeply.
            Exception: whatever ``builder`` raises.
        """
        try:
            return builder.transform(self._parser.parse(text))
        except UnexpectedInput as error:
            raise self._misread(error, text) from error
        except VisitError as error:
            raise error.orig_exc from error

    def _misread(self, error: UnexpectedInput, text: str) -> Misread:
        match error:
            case UnexpectedCharacters():
                position, wanted = error.pos_in_stream or 0, set(error.allowed or ())
                found = repr(text[position])
            case UnexpectedToken() if error.token.type != "$END":
                position, wanted = error.token.start_pos or 0, error.accepts or error.expected
                found = repr(str(error.token)[:40])
            case UnexpectedToken():
                position, wanted = len(text), error.accepts or error.expected
                found = "the end"
            case _:
                raise error
        names = sorted({self._names.get(str(one), self._other) for one in wanted} - {""})
        return Misread(position, f"found {found}, expected {' or '.join(names)}")
