"""How a pipeline spells records: renamed, converted, dropped and added fields. Pure.

A mapping goes from the record to what the pipeline keeps, and is used the other way round: what
was kept is brought back into the words of the record before the two are compared.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, TypeAlias

from simulator.accesslog import FIELDS

Json: TypeAlias = "Mapping[str, Json] | list[Json] | str | int | float | bool | None"

RECORD_FIELDS: Final = frozenset(field.name for field in FIELDS)

_EXAMPLE: Final = (
    'an object such as {"fields": {"response_status": "status"}, "ignore": ["extension_log"]}'
)


class Types(StrEnum):
    """Whether a number and its text are the same value."""

    LENIENT = "lenient"
    STRICT = "strict"


class TimeFormat(StrEnum):
    """How a kept time is spelled."""

    TIME_LOCAL = "time_local"
    """``02/Jan/2006:15:04:05 +0800``."""
    ISO_8601 = "iso8601"
    EPOCH_S = "epoch_s"
    EPOCH_MS = "epoch_ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordMapping:
    """What a pipeline does to the fields of a record; the default is nothing."""

    record: str | None = None
    """Where in a kept object the record is; it may be JSON text there. None: the object itself."""
    fields: Mapping[str, str] = field(default_factory=dict)
    """Record field to the path where it is kept; dots lead into nested objects."""
    only: frozenset[str] | None = None
    """Record fields that are kept and compared; None: all."""
    ignore: frozenset[str] = frozenset()
    """Record fields that are not compared."""
    extra: frozenset[str] = frozenset()
    """Fields that the pipeline adds; not compared."""
    any_extra: bool = False
    """Every field of a kept object that is none of the record's is of that sort."""
    constants: Mapping[str, Json] = field(default_factory=dict)
    """Fields that the pipeline adds with a value that is checked."""
    times: Mapping[str, TimeFormat] = field(default_factory=dict)
    """Record fields that are times, and how they are kept."""
    scale: Mapping[str, float] = field(default_factory=dict)
    """Record fields that are kept multiplied by this."""
    lists: frozenset[str] = frozenset()
    """Record fields that are kept as arrays; in the record they are joined by ``, ``."""
    absent: frozenset[str] = frozenset(("-",))
    """Texts that mean the same as null and as no field at all."""
    types: Types = Types.LENIENT

    @property
    def changes_values(self) -> bool:
        """Whether anything beside types and absence has to be done to a record."""
        return self != RecordMapping(types=self.types, absent=self.absent)


def parse_mapping(document: object) -> RecordMapping:
    """A mapping as YAML or JSON gives it.

    Raises:
        ValueError: with the path of what is wrong and what was expected there.
    """
    if not isinstance(document, dict):
        raise _wrong("", document, _EXAMPLE)
    known = {
        "record", "fields", "only", "ignore", "extra", "constants", "times", "scale", "lists",
        "absent", "types",
    }  # fmt: skip
    for key in document:
        if key not in known:
            raise ValueError(f"mapping: unknown key {key!r}; expected {', '.join(sorted(known))}")
    extra = document.get("extra", [])
    return RecordMapping(
        record=_text(document, "record"),
        fields=_texts_by_field(document, "fields"),
        only=_names(document, "only") if "only" in document else None,
        ignore=_names(document, "ignore"),
        extra=frozenset() if extra is True else _names(document, "extra"),
        any_extra=extra is True,
        constants=_object(document, "constants"),
        times={
            name: _time_format(f"times.{name}", spelling)
            for name, spelling in _texts_by_field(document, "times").items()
        },
        scale=_scales(document),
        lists=_names(document, "lists"),
        absent=_names(document, "absent") if "absent" in document else frozenset(("-",)),
        types=_types(document.get("types", "lenient")),
    )


def unwrap(mapping: RecordMapping, kept: Json) -> Json:
    """The record inside a kept value; the value itself if nothing says where it is."""
    return kept if mapping.record is None else _at(kept, mapping.record)


def to_record(mapping: RecordMapping, kept: Mapping[str, Json]) -> dict[str, Json]:
    """A kept object in the words of the record. What does not convert stays as it is."""
    found: dict[str, Json] = {}
    taken: set[str] = set()
    for name, path in mapping.fields.items():
        found[name] = kept.get(path) if path in kept else _at(kept, path)
        taken.add(path if path in kept else path.partition(".")[0])
    for name, value in kept.items():
        if name in taken or name in mapping.extra or name in found:
            continue
        if name not in mapping.constants and (name in RECORD_FIELDS or not mapping.any_extra):
            found[name] = value
    for name, expected in mapping.constants.items():
        if kept.get(name) != expected:
            # Or it would be equal to no field at all.
            found[name] = "(absent)" if kept.get(name) is None else kept[name]
    for name, spelling in mapping.times.items():
        found[name] = _epoch(spelling, found.get(name))
    for name, factor in mapping.scale.items():
        found[name] = _divided(found.get(name), factor)
    return _narrowed(mapping, found)


def of_record(mapping: RecordMapping, record: Mapping[str, Json]) -> dict[str, Json]:
    """A delivered record as ``to_record`` would bring it back from a pipeline that is right."""
    found = dict(record)
    for name in mapping.times:
        found[name] = _epoch(TimeFormat.TIME_LOCAL, found.get(name))
    for name in mapping.scale:
        found[name] = _divided(found.get(name), 1.0)
    for name in mapping.lists:
        value = found.get(name)
        if isinstance(value, str) and value not in mapping.absent:
            parts: list[Json] = list(value.split(", "))
            found[name] = parts
        elif isinstance(value, int | float):
            found[name] = [value]
    return _narrowed(mapping, found)


def _narrowed(mapping: RecordMapping, found: dict[str, Json]) -> dict[str, Json]:
    if mapping.only is not None:
        return {name: value for name, value in found.items() if name in mapping.only}
    for name in mapping.ignore:
        found.pop(name, None)
    return found


def _at(value: Json, path: str) -> Json:
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(part)
    return value


def _epoch(spelling: TimeFormat, value: Json) -> Json:
    """Whole Unix seconds; ``time_local`` is no finer."""
    try:
        match spelling, value:
            case TimeFormat.TIME_LOCAL, str():
                return int(datetime.strptime(value, "%d/%b/%Y:%H:%M:%S %z").timestamp())
            case TimeFormat.ISO_8601, str():
                moment = datetime.fromisoformat(value)
                # Without a zone it is UTC: so the documents of most stores say.
                zoned = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                return math.floor(zoned.timestamp())
            case TimeFormat.EPOCH_S, str() | int() | float():
                return math.floor(float(value))
            case TimeFormat.EPOCH_MS, str() | int() | float():
                return math.floor(float(value) / 1000)
            case _:
                return value
    except (ValueError, OverflowError):
        return value


def _divided(value: Json, factor: float) -> Json:
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return round(float(value) / factor, 9)
    except ValueError:
        pass
    return value


def _wrong(path: str, value: object, expected: str) -> ValueError:
    return ValueError(f"mapping{path} is {_kind(value)}; expected {expected}")


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case list():
            return "a list"
        case str():
            return f"the text {value!r}"
        case _:
            return repr(value)


def _text(document: dict[str, object], key: str) -> str | None:
    value = document.get(key)
    if value is not None and not isinstance(value, str):
        raise _wrong(f".{key}", value, "the name of a field")
    return value


def _object(document: dict[str, object], key: str) -> dict[str, Json]:
    value = document.get(key, {})
    if not isinstance(value, dict):
        raise _wrong(f".{key}", value, "an object, field to value")
    return {str(name): _json(f"{key}.{name}", one) for name, one in value.items()}


def _json(path: str, value: object) -> Json:
    if value is None or isinstance(value, str | int | float | bool | list | dict):
        return value
    raise _wrong(f".{path}", value, "a value that JSON has")


def _texts_by_field(document: dict[str, object], key: str) -> dict[str, str]:
    found = {}
    for name, value in _object(document, key).items():
        if not isinstance(value, str) or not value:
            raise _wrong(f".{key}.{name}", value, "a text")
        found[name] = value
    return found


def _names(document: dict[str, object], key: str) -> frozenset[str]:
    value = document.get(key, [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _wrong(f".{key}", value, "a list of texts")
    return frozenset(map(str, value))


def _scales(document: dict[str, object]) -> dict[str, float]:
    found = {}
    for name, value in _object(document, "scale").items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not value:
            expected = "a number such as 1000 for seconds that are kept as milliseconds"
            raise _wrong(f".scale.{name}", value, expected)
        found[name] = float(value)
    return found


def _time_format(path: str, spelling: str) -> TimeFormat:
    try:
        return TimeFormat(spelling)
    except ValueError:
        raise _wrong(f".{path}", spelling, f"one of {', '.join(TimeFormat)}") from None


def _types(value: object) -> Types:
    try:
        return Types(str(value))
    except ValueError:
        raise _wrong(".types", value, f"one of {', '.join(Types)}") from None
