"""Turns records into the bytes of files: lines of JSON, CSV, Parquet. No store, no clock."""

import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

import duckdb
import msgspec

from simulator.logstore.compression import compress
from simulator.logstore.database import quote_text
from simulator.logstore.json_objects import decode_object
from simulator.logstore.shipper_settings import ColumnType, Compression, FileLayout, StorageFormat
from simulator.logstore.values import RecordType

_PARQUET_TYPES: Final = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.FLOAT: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
}
_PARQUET_CODECS: Final = {Compression.GZIP: "gzip", Compression.SNAPPY: "snappy"}
_TRUE, _FALSE = frozenset({"true", "1"}), frozenset({"false", "0"})
_INT64: Final = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecord:
    """A record as it is in a LogStore."""

    seq: int
    timestamp_ms: int
    stream: str
    message: str
    type: RecordType
    tags: str | None
    """JSON object of texts."""


def encode_line(record: StoredRecord, layout: FileLayout) -> bytes:
    """One record as a line of a file.

    Of a Parquet file, which has no lines, it is the row as JSON; ``encode_file`` makes the rest.
    """
    if not layout.columns:
        return record.message.encode("utf-8", "surrogatepass") + b"\n"
    values = _values(record, layout)
    if layout.format is StorageFormat.CSV:
        cells = (_cell(value, layout) for value in values)
        return layout.delimiter.join(cells).encode("utf-8", "surrogatepass") + b"\n"
    row = dict(zip(layout.columns, values, strict=True))
    return msgspec.json.encode(row) + b"\n"


def encode_head(layout: FileLayout) -> bytes:
    """What a file begins with."""
    if layout.format is not StorageFormat.CSV or not layout.headline:
        return b""
    return layout.delimiter.join(_cell(name, layout) for name in layout.columns).encode() + b"\n"


def encode_file(lines: bytes, layout: FileLayout) -> bytes:
    """The whole file of some lines. The same lines make the same bytes."""
    if layout.format is StorageFormat.PARQUET:
        return _parquet(lines, layout)
    return compress(encode_head(layout) + lines, layout.compression)


def _values(record: StoredRecord, layout: FileLayout) -> list[object]:
    fields: Mapping[str, object] = {}
    if record.type is RecordType.JSON:
        try:
            fields = decode_object(record.message, _number)
        except (msgspec.DecodeError, UnicodeError):
            fields = {}  # a segment's line that is no object was loaded as text
    tags = msgspec.json.decode(record.tags, type=dict[str, str]) if record.tags else {}
    own: dict[str, object] = {
        "@timestamp": record.timestamp_ms,
        "@stream": record.stream,
        "@seq": record.seq,
        "@raw": record.message,
    }
    found = [_look_up(name, (own, fields, tags)) for name in layout.columns]
    if not layout.types:
        return found
    return [_convert(value, type_) for value, type_ in zip(found, layout.types, strict=True)]


def _number(text: str) -> object:
    """What a file says of a number: one beyond a float is said as it was."""
    number = float(text)
    return number if math.isfinite(number) else text


def _look_up(name: str, places: Iterable[Mapping[str, object]]) -> object:
    """The value of a field: a record's own, then what a dotted path leads to, then a tag."""
    for place in places:
        if name in place:
            return place[name]
        inner: object = place
        for step in name.split("."):
            inner = inner.get(step) if isinstance(inner, Mapping) else None
        if inner is not None:
            return inner
    return None


def _convert(value: object, type_: ColumnType) -> object:
    """``value`` as ``type_``; null when it is none."""
    if value is None:
        return None
    text = _text(value)
    try:
        match type_:
            case ColumnType.STRING:
                return text
            case ColumnType.INTEGER:
                number = int(value) if isinstance(value, bool | int) else int(float(text))
                return number if -_INT64 <= number < _INT64 else None
            case ColumnType.FLOAT:
                real = float(text)
                return real if math.isfinite(real) else None
            case ColumnType.BOOLEAN:
                lowered = text.lower()
                return True if lowered in _TRUE else False if lowered in _FALSE else None
    except (ValueError, OverflowError):
        return None
    assert_never(type_)


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()


def _cell(value: object, layout: FileLayout) -> str:
    if value is None or value == "":
        return layout.null_text
    text = _text(value)
    if not layout.quote:
        return text
    return layout.quote + text.replace(layout.quote, layout.quote * 2) + layout.quote


def _parquet(lines: bytes, layout: FileLayout) -> bytes:
    """DuckDB's own writer, in a database of its own: the LogStores' opens no files."""
    names: Sequence[str] = layout.columns
    columns = {name: _PARQUET_TYPES[type_] for name, type_ in zip(names, layout.types, strict=True)}
    codec = _PARQUET_CODECS.get(layout.compression, "uncompressed")
    with tempfile.TemporaryDirectory(prefix="blbsim-parquet-") as directory:
        source, made = Path(directory) / "rows.json", Path(directory) / "rows.parquet"
        source.write_bytes(lines)
        with duckdb.connect(":memory:", config={"threads": "1"}) as connection:
            wanted = ", ".join('"' + name.replace('"', '""') + '"' for name in names)
            connection.execute(
                f"COPY (SELECT {wanted} FROM read_json($source, columns = $columns,"
                " format = 'newline_delimited', maximum_object_size = 67108864))"
                f" TO {quote_text(str(made))} (FORMAT parquet, COMPRESSION {codec})",
                {"source": str(source), "columns": columns},
            )
        return made.read_bytes()
