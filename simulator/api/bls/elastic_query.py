"""Elasticsearch's query language, as far as BLS takes it, as a search and a range of time.

Source: doc https://cloud.baidu.com/doc/BLS/s/4mfz7wdtl (2025-10) for what is taken; what each query
means is Elasticsearch's own documentation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from simulator.api.bls.wire import invalid
from simulator.logstore import Selection

EVERYTHING: Final = "*"
MAX_DEPTH: Final = 20
_PHRASE: Final = "'"
LATEST_MS: Final = 253_402_300_800_000
"""The year 10000."""

_ALWAYS: Final = Selection(start_ms=0, end_ms=LATEST_MS)

Node: TypeAlias = Mapping[str, Any]  # Any: JSON whose meaning depends on its keys


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What a query asks for."""

    text: str = EVERYTHING
    """In the search language."""
    selection: Selection = _ALWAYS

    def narrowed(self, text: str) -> "Search":
        """What this and another search find."""
        if text == EVERYTHING:
            return self
        return replace(
            self, text=text if self.text == EVERYTHING else f"({self.text}) and ({text})"
        )

    def between(self, start_ms: int, end_ms: int) -> "Search":
        """What this finds from ``start_ms`` on and before ``end_ms``."""
        before = self.selection
        start, end = max(before.start_ms, start_ms), min(before.end_ms, end_ms)
        selection = replace(before, start_ms=start, end_ms=max(start, end))
        return replace(self, selection=selection)


def parse_query(query: Node | None) -> Search:
    """The search that ``query`` is.

    Raises:
        ControlError: InvalidParameter for what BLS does not take, or not there.
    """
    search = Search()
    return _narrow(search, query, 0) if query else search


def parse_condition(query: Node) -> str:
    """A query within another, where a range of ``@timestamp`` cannot be.

    Raises:
        ControlError: InvalidParameter.
    """
    return _condition(query, 0)


def field_text(name: str) -> str:
    """A field in a search or a statement.

    Raises:
        ControlError: InvalidParameter for a name that cannot be written there.
    """
    if not name or "`" in name or len(name) > 256:
        raise invalid("field", f"{name[:40]!r} cannot be searched")
    return f"`{name}`"


def parse_millis(value: object) -> int:
    """An instant: epoch milliseconds, or a date-time.

    Raises:
        ControlError: InvalidParameter.
    """
    if isinstance(value, int | float) and abs(value) < 2**53:
        return int(value)
    if isinstance(value, str):
        if value.lstrip("-").isdigit() and len(value) < 16:
            return int(value)
        try:
            parsed = datetime.fromisoformat(value)
        except ValueError as error:
            raise invalid("query", f"{value[:40]!r} is no instant") from error
        aware = parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    raise invalid("query", "expected an instant")


def single(node: object, where: str) -> tuple[str, Any]:
    """The one entry of an object.

    Raises:
        ControlError: InvalidParameter.
    """
    if not isinstance(node, Mapping) or len(node) != 1:
        raise invalid(where, "expected an object with one entry")
    return next(iter(node.items()))


def _narrow(search: Search, query: Node, depth: int) -> Search:
    """Like ``_condition``, where ranges of time may narrow the selection."""
    if depth > MAX_DEPTH:
        raise invalid("query", "is nested too deeply")
    kind, body = single(query, "query")
    if kind == "range":
        name, bounds = single(body, "range")
        if name == "@timestamp":
            return _in_time(search, bounds)
    if kind != "bool":
        return search.narrowed(_condition(query, depth))
    body = _mapping(body)
    for one in (*_many(body.get("must")), *_many(body.get("filter"))):
        search = _narrow(search, one, depth + 1)
    rest = {key: value for key, value in body.items() if key in {"should", "must_not"}}
    has_required = bool(_many(body.get("must")) or _many(body.get("filter")))
    if has_required and not body.get("minimum_should_match"):
        # Beside what must be, this only orders the hits, by scores that BLS has not.
        rest.pop("should", None)
    return search.narrowed(_condition({"bool": rest}, depth)) if rest else search


def _in_time(search: Search, bounds: object) -> Search:
    bounds = _mapping(bounds)
    start, end = 0, LATEST_MS
    for key, value in bounds.items():
        match key:
            case "gte" | "from":
                start = parse_millis(value)
            case "gt":
                start = parse_millis(value) + 1
            case "lt":
                end = parse_millis(value)
            case "lte" | "to":
                end = parse_millis(value) + 1
            case _:
                pass  # format, time_zone, boost
    return search.between(start, end)


def _condition(query: Node, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise invalid("query", "is nested too deeply")
    kind, body = single(query, "query")
    match kind:
        case "match_all":
            return EVERYTHING
        case "bool":
            return _bool(_mapping(body), depth)
        case "exists":
            return f"{field_text(str(_mapping(body).get('field', '')))}:*"
        case "range":
            return _range(*single(body, kind))
        case "term" | "match_phrase" | "match" | "prefix" | "wildcard":
            return _on_field(kind, *single(body, kind))
        case "terms":
            name, values = single({k: v for k, v in _mapping(body).items() if k != "boost"}, kind)
            return _joined(" or ", [_on_field("term", name, one) for one in _many(values)])
        case "multi_match":
            return _multi_match(_mapping(body))
        case "query_string" | "simple_query_string":
            text = str(_mapping(body).get("query", "")).strip()
            return text if text else EVERYTHING
        case _:
            raise invalid("query", f"{kind[:40]} is not simulated")


def _bool(body: Node, depth: int) -> str:
    def inner(key: str) -> list[str]:
        return [_condition(one, depth + 1) for one in _many(body.get(key))]

    required = inner("must") + inner("filter")
    wanted = inner("should")
    parts = list(required)
    if wanted and (not required or body.get("minimum_should_match")):
        parts.append(_joined(" or ", wanted))
    text = _joined(" and ", parts) if parts else EVERYTHING
    unwanted = inner("must_not")
    return f"({text}) not ({_joined(' or ', unwanted)})" if unwanted else text


def _range(name: str, bounds: object) -> str:
    signs = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "from": ">=", "to": "<="}
    if name == "@timestamp":
        raise invalid("query", "a range of @timestamp can only stand in must or filter")
    parts = []
    for key, value in _mapping(bounds).items():
        if key in signs:
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise invalid("range", f"expected numbers for {name[:40]}")
            parts.append(f"{field_text(name)} {signs[key]} {value}")
    return _joined(" and ", parts) if parts else EVERYTHING


def _on_field(kind: str, name: str, body: object) -> str:
    field = field_text(name)
    options: Node = body if isinstance(body, Mapping) else {}
    value = options.get("value", options.get("query")) if options else body
    if isinstance(value, bool):
        return f"{field}:{str(value).lower()}"
    if isinstance(value, int | float):
        return f"{field} = {value}"
    if not isinstance(value, str):
        raise invalid("query", f"expected a text or a number for {name[:40]}")
    match kind:
        case "match" if str(options.get("operator", "or")).lower() == "or":
            return _joined(" or ", [f"{field}:{_quoted(word)}" for word in value.split()] or ["*"])
        case "match" | "wildcard":
            return f"{field}:{_quoted(value)}"
        case "prefix":
            return f"{field}:{_quoted(value + '*')}"
        case _:
            return f"{field}:{_quoted(value, _PHRASE)}"


def _multi_match(body: Node) -> str:
    text = str(body.get("query", ""))
    is_phrase = body.get("type") == "phrase"
    wrapped = _quoted(text, _PHRASE if is_phrase else '"')
    names = [str(name) for name in _many(body.get("fields")) if name != "*"]
    if not names:
        return wrapped
    return _joined(" or ", [f"{field_text(name)}:{wrapped}" for name in names])


def _quoted(text: str, mark: str = '"') -> str:
    escaped = text.replace("\\", "\\\\").replace(mark, f"\\{mark}")
    return f"{mark}{escaped}{mark}"


def _joined(word: str, parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else word.join(f"({part})" for part in parts)


def _many(value: object) -> list[Any]:  # Any: queries, or values of a field
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]


def _mapping(value: object) -> Node:
    if not isinstance(value, Mapping):
        raise invalid("query", "expected an object")
    return value
