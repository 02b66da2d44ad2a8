"""A YAML file as values that know where they stand. The only module that sees ``yaml``.

Reading never stops at the first mistake: a reader that finds a value wrong notes a ``Problem``
with the value's line and column and returns the default it was given, so the rest is read too.
"""

import difflib
import math
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeVar

import yaml

from simulator.errors import Problem, ScenarioError

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)

_TAG: Final = "tag:yaml.org,2002:"
_INTEGER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_MAX_INTEGER: Final = 2**63 - 1
_MAX_DIGITS: Final = 20
"""More is out of every range; Python itself refuses to convert thousands."""
_SHOWN: Final = 200
"""Characters of a wrong value that a problem repeats."""
_BROKEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


class Problems:
    """Everything wrong in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[Problem] = []

    def add(self, message: str, *, line: int = 0, column: int = 0, path: str = "") -> None:
        """Note one problem; ``line`` and ``column`` are 1-based, 0 for the whole file."""
        problem = Problem(file=self.file, line=line, column=column, path=path, message=message)
        if problem not in self._found:  # an alias is read once per mention
            self._found.append(problem)

    def raise_if_any(self) -> None:
        """Raise ``ScenarioError`` with all of them, in file order."""
        if self._found:
            self._found.sort(key=lambda problem: (problem.line, problem.column))
            raise ScenarioError(tuple(self._found))


class Value:
    """One node of the document."""

    __slots__ = ("_node", "_problems", "path")

    def __init__(self, node: yaml.Node, path: str, problems: Problems) -> None:
        self._node = node
        self._problems = problems
        self.path = path

    @property
    def line(self) -> int:
        """1-based."""
        return int(self._node.start_mark.line) + 1

    @property
    def place(self) -> str:
        """``file:line:col path``, for what turns out to be wrong only later."""
        column = self._node.start_mark.column + 1
        return f"{self._problems.file}:{self.line}:{column} {self.path}"

    def problem(self, message: str) -> None:
        """Note that this value is wrong; of one that is long only the beginning is repeated."""
        raw = self._node.value if isinstance(self._node, yaml.ScalarNode) else ""
        if len(raw) > _SHOWN:
            message = message.replace(raw, f"{raw[:_SHOWN]}… ({len(raw)} characters)")
        self._problems.add(
            message, line=self.line, column=self._node.start_mark.column + 1, path=self.path
        )

    @property
    def is_mapping(self) -> bool:
        """Whether it has keys."""
        return isinstance(self._node, yaml.MappingNode)

    @property
    def is_list(self) -> bool:
        """Whether it has entries."""
        return isinstance(self._node, yaml.SequenceNode)

    def mapping(self, allowed: Collection[str], required: Collection[str] = ()) -> "Entry":
        """Its keys, of which others than ``allowed`` and missing ``required`` are problems."""
        entries = dict(self.entries())
        for key, (key_value, _) in entries.items():
            if key not in allowed:
                key_value.problem(f"unknown key {key!r}; {suggest(key, allowed)}")
        if self.is_mapping:
            for key in required:
                if key not in entries:
                    self.problem(f"the key {key!r} is missing")
        return Entry(self, {key: value for key, (_, value) in entries.items()})

    def entries(self) -> Iterator[tuple[str, tuple["Value", "Value"]]]:
        """Its keys as text with the values of key and entry; a key given twice is a problem."""
        if not isinstance(self._node, yaml.MappingNode):
            self._wrong_type("a mapping of keys to values")
            return
        seen: dict[str, int] = {}
        for key_node, value_node in self._node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else ""
            path = f"{self.path}.{key}" if self.path else key
            key_value = Value(key_node, path, self._problems)
            if not isinstance(key_node, yaml.ScalarNode):
                key_value.problem("a key has to be text")
            elif _UNPRINTABLE.search(key):
                # Its path could not be shown.
                Value(key_node, self.path, self._problems).problem(_unprintable(key))
            elif key in seen:
                key_value.problem(f"duplicate key {key!r}; it is given in line {seen[key]} already")
            else:
                seen[key] = key_value.line
                yield key, (key_value, Value(value_node, path, self._problems))

    def items(self) -> list["Value"]:
        """The entries of a list."""
        if not isinstance(self._node, yaml.SequenceNode):
            self._wrong_type("a list")
            return []
        return [
            Value(node, f"{self.path}[{index}]", self._problems)
            for index, node in enumerate(self._node.value)
        ]

    def text(self, default: str = "") -> str:
        """Text of one line; a number or boolean is a problem: quoting may be what was meant."""
        if self._kind() != "str":
            self._wrong_type("text")
            return default
        return self._printable(default)

    def word(self, default: str = "") -> str:
        """The letters of a scalar as written, whatever YAML takes them for (``off``, ``10``)."""
        if not isinstance(self._node, yaml.ScalarNode) or self._kind() == "null":
            self._wrong_type("text")
            return default
        return self._printable(default)

    def parsed(self, parse: Callable[[str], T], default: T) -> T:
        """What ``parse`` makes of the scalar; its ``ValueError`` becomes a problem."""
        if not isinstance(self._node, yaml.ScalarNode) or self._kind() == "null":
            self._wrong_type("a single value")
            return default
        if _BROKEN.search(self._raw()):
            self.problem(_unprintable(self._raw()))
            return default
        try:
            return parse(self._raw())
        except ValueError as error:
            self.problem(str(error))
        except ArithmeticError:
            self.problem(f"{self._raw()} is out of range")
        return default

    def integer(self, low: int, high: int, default: int) -> int:
        """A whole number from ``low`` to ``high``."""
        bounds = f"from {low}" if high >= _MAX_INTEGER else f"from {low} to {high}"
        if self._kind() != "int" or not _INTEGER.fullmatch(self._raw()):
            self._wrong_type(f"a whole number {bounds}")
            return default
        number = int(self._raw()) if len(self._raw()) <= _MAX_DIGITS else None
        if number is None or not low <= number <= high:
            self.problem(f"{self._raw()} is out of range; expected a whole number {bounds}")
            return default
        return number

    def positive_number(self, default: float) -> float:
        """A number above zero."""
        if self._kind() not in {"int", "float"} or not _DECIMAL.fullmatch(self._raw()):
            self._wrong_type("a number above 0")
            return default
        number = float(self._raw())
        if number <= 0.0 or math.isinf(number):
            self.problem(f"{self._raw()} is out of range; expected a number above 0")
            return default
        return number

    def boolean(self, *, default: bool) -> bool:
        """``true`` or ``false`` in any of YAML's spellings."""
        if self._kind() != "bool":
            self._wrong_type("true or false")
            return default
        return self._raw().lower() in {"true", "yes", "on"}

    def choice(self, members: type[E], default: E) -> E:
        """A member of an enumeration by its value."""
        word = self.word(default.value)
        known = [member.value for member in members]
        if word not in known:
            self.problem(f"unknown value {word!r}; {suggest(word, known)}")
            return default
        return members(word)

    def reference(self, kind: str, known: Collection[str]) -> str | None:
        """The name of one of ``known``; ``kind`` says of what. None when it names nothing."""
        name = self.text()
        if name in known:
            return name
        if self._kind() == "str" and name == self._raw():
            self.problem(f"no {kind} is named {name!r}; {suggest(name, known)}")
        return None

    def _raw(self) -> str:
        assert isinstance(self._node, yaml.ScalarNode)
        return str(self._node.value)

    def _printable(self, default: str) -> str:
        """The scalar, or ``default`` and a problem if it is not one line that can be shown."""
        raw = self._raw()
        if _UNPRINTABLE.search(raw) is None:
            return raw
        self.problem(_unprintable(raw))
        return default

    def _kind(self) -> str:
        """``str``, ``int``, ``float``, ``bool``, ``null``, ``map``, ``seq``, or another tag."""
        kind = str(self._node.tag).removeprefix(_TAG)
        # Instants are text here: the key decides what they mean, not YAML.
        return "str" if kind in {"timestamp", "value"} else kind

    def _wrong_type(self, expected: str) -> None:
        kind = self._kind()
        match kind:
            case "map" | "seq":
                got = "a mapping" if kind == "map" else "a list"
            case "null":
                got = "nothing; write [] for none" if expected == "a list" else "nothing"
            case "str":
                got = f"the text {self._raw()!r}"
            case "int" | "float":
                got = f"the number {self._raw()}"
                got += "; put it in quotes" if expected == "text" else ""
            case "bool":
                got = f"{self._raw()!r}, which YAML takes for a boolean"
                got += "; put it in quotes" if expected == "text" else ""
            case _:
                got = f"a value with the tag {self._node.tag}"
        self.problem(f"expected {expected}, got {got}")


class Entry:
    """The entries of a mapping, with defaults for the keys that are not given."""

    __slots__ = ("_values", "value")

    def __init__(self, value: Value, values: dict[str, Value]) -> None:
        self.value = value
        self._values = values

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> Value | None:
        """The value of ``key``, None if it is not given."""
        return self._values.get(key)

    def keys(self) -> Iterable[str]:
        """The keys that are given, the unknown ones too."""
        return self._values.keys()

    def items(self, key: str) -> list[Value]:
        """The entries of the list under ``key``; none if it is not given."""
        value = self._values.get(key)
        return [] if value is None else value.items()

    def text(self, key: str, default: str) -> str:
        """The text under ``key``."""
        value = self._values.get(key)
        return default if value is None else value.text(default)

    def parsed(self, key: str, parse: Callable[[str], T], default: T) -> T:
        """What ``parse`` makes of the value under ``key``."""
        value = self._values.get(key)
        return default if value is None else value.parsed(parse, default)

    def integer(self, key: str, low: int, high: int, default: int) -> int:
        """The whole number under ``key``."""
        value = self._values.get(key)
        return default if value is None else value.integer(low, high, default)

    def boolean(self, key: str, *, default: bool) -> bool:
        """The truth under ``key``."""
        value = self._values.get(key)
        return default if value is None else value.boolean(default=default)

    def choice(self, key: str, members: type[E], default: E) -> E:
        """The member of an enumeration under ``key``."""
        value = self._values.get(key)
        return default if value is None else value.choice(members, default)


def open_document(path: Path) -> tuple[Value, Problems]:
    """The root of the YAML document in ``path``, and where its problems are noted.

    Raises:
        ScenarioError: the file cannot be read, or is not one YAML document.
    """
    problems = Problems(str(path))
    root = _compose(_read(path, problems), problems)
    problems.raise_if_any()
    assert root is not None
    return Value(root, "", problems), problems


def _read(path: Path, problems: Problems) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        problems.add(f"the file cannot be read: {error.strerror or error}")
        problems.raise_if_any()
        raise  # pragma: no cover - raised above
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        problems.add(
            f"the byte 0x{data[error.start]:02x} is not UTF-8",
            line=before.count(b"\n") + 1,
            column=len(before) - before.rfind(b"\n"),
        )
        problems.raise_if_any()
        raise  # pragma: no cover - raised above


def _compose(text: str, problems: Problems) -> yaml.Node | None:
    try:
        root: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ", ".join(part for part in (error.problem, error.context) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
        problems.add(f"not valid YAML: {what}", line=line, column=column)
        return None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        problems.add(
            f"not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed",
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        )
        return None
    except RecursionError:
        problems.add("not a scenario: it is nested too deeply")
        return None
    if root is None:
        problems.add("the file is empty; expected a scenario that starts with 'version: 1'")
    return root


def _unprintable(text: str) -> str:
    """What to say of ``text``, which has such a character."""
    found = _BROKEN.search(text) or _UNPRINTABLE.search(text)
    assert found is not None  # the caller has looked
    return f"the character U+{ord(found[0]):04X} is not allowed here; expected printable text"


def suggest(word: str, known: Collection[str]) -> str:
    """What to say after naming a ``word`` that is none of ``known``."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    if not known:
        return "none is defined"
    return f"expected {'one of ' if len(known) > 1 else ''}{', '.join(known)}"


def read_plain(path: Path) -> object:
    """The values of a small YAML or JSON file that is no scenario.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no YAML; the message says where.
    """
    try:
        return yaml.safe_load(path.read_bytes())
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
