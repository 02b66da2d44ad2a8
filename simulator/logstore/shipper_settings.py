"""What a log shipper is told: where it puts files, when, and what they look like.

Source: doc https://cloud.baidu.com/doc/BLS/s/Skref348s and the vendor's API schemas; what is
refused beyond them is assumed.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from simulator.errors import invalid
from simulator.logstore.fields import MAX_NAME_LENGTH
from simulator.logstore.lengths import check_length

DEFAULT_PARTITION: Final = "%Y/%m/%d/%H/%M/"
MAX_PATH_LENGTH: Final = 256
MAX_OBJECT_MB: Final = 5 * 1024 * 1024
MAX_COLUMNS: Final = 256

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9\-]{1,61}[a-z0-9]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_PARTITION: Final = re.compile(r"(?:[^%\x00-\x1f]|%[YymdHM%])*")
_NAME: Final = re.compile(r"[A-Za-z0-9_\-]{1,63}")
_DELIMITERS: Final = frozenset({",", " ", "|", "\t"})


class StorageFormat(StrEnum):
    """What the files hold."""

    JSON = "json"
    CSV = "csv"
    PARQUET = "parquet"


class Compression(StrEnum):
    """How the files are compressed."""

    NONE = "none"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    SNAPPY = "snappy"
    LZOP = "lzop"


_EXTENSIONS: Final = {
    Compression.GZIP: ".gz",
    Compression.BZIP2: ".bz2",
    Compression.SNAPPY: ".snappy",
    Compression.LZOP: ".lzo",
}
"""Of files that hold text. Source: assumed (those that Hadoop's codecs go by)."""


class ColumnType(StrEnum):
    """What the values of a column become."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"


COLUMN_TYPES: Final = {
    **dict.fromkeys(("string", "varchar", "text"), ColumnType.STRING),
    **dict.fromkeys(("long", "bigint", "int", "integer", "int32", "int64"), ColumnType.INTEGER),
    **dict.fromkeys(("float", "double", "decimal"), ColumnType.FLOAT),
    **dict.fromkeys(("bool", "boolean"), ColumnType.BOOLEAN),
}
"""Names of types, in any case. Source: assumed (no source lists them)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipperSettings:
    """``destConfig`` of the wire, with its defaults."""

    path: str
    """Bucket and directory, as sent."""
    partition_format: str = DEFAULT_PARTITION
    partition_by_stream: bool = False
    max_object_mb: int = 64
    compression: str = Compression.NONE
    interval_min: int = 5
    storage_format: str = StorageFormat.JSON
    """In the case it was sent in."""
    kind: str = "text"
    """``text``: whole messages; ``kv``: chosen fields."""
    field_names: tuple[str, ...] = ()
    field_types: tuple[str, ...] = ()
    csv_headline: bool = False
    csv_delimiter: str = ","
    csv_quote: str = ""
    null_text: str = ""
    column_names: str = ""
    """Comma list, as sent."""
    column_types: str = ""

    @property
    def bucket(self) -> str:
        """Where files are put."""
        return self.path.lstrip("/").partition("/")[0]

    @property
    def directory(self) -> str:
        """The part of every key before the partition; empty or ending in a slash."""
        rest = self.path.lstrip("/").partition("/")[2].strip("/")
        return f"{rest}/" if rest else ""

    @property
    def layout(self) -> "FileLayout":
        """What a file looks like."""
        format_ = StorageFormat(self.storage_format.lower())
        names: tuple[str, ...] = ()
        types: tuple[str, ...] = ()
        if format_ is not StorageFormat.JSON:
            names, types = _split(self.column_names), _split(self.column_types)
        elif self.kind == "kv":
            names, types = self.field_names, self.field_types
        return FileLayout(
            format=format_,
            compression=Compression(self.compression.lower()),
            columns=names,
            types=tuple(COLUMN_TYPES[type_.lower()] for type_ in types),
            headline=self.csv_headline,
            delimiter=self.csv_delimiter,
            quote=self.csv_quote,
            null_text=self.null_text,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class FileLayout:
    """How records become the bytes of a file."""

    format: StorageFormat
    compression: Compression = Compression.NONE
    columns: tuple[str, ...] = ()
    """Empty: the whole message, one to a line."""
    types: tuple[ColumnType, ...] = ()
    """Of each column; empty: whatever the values are."""
    headline: bool = False
    delimiter: str = ","
    quote: str = ""
    null_text: str = ""

    extension: str = field(init=False)
    """Of a file's name."""

    def __post_init__(self) -> None:
        base = "log" if self.format is StorageFormat.JSON else self.format.value
        extension = base
        if self.format is not StorageFormat.PARQUET:
            extension += _EXTENSIONS.get(self.compression, "")
        object.__setattr__(self, "extension", extension)


def check_shipper_name(name: str) -> None:
    """Refuse what cannot be the name of a shipper. Names need not be unique.

    Raises:
        ControlError: InvalidParameter.
    """
    if not _NAME.fullmatch(name):
        raise invalid("logShipperName", "expected 1 to 63 of letters, digits, `_` and `-`", name)


def check_shipper_settings(settings: ShipperSettings) -> None:
    """Refuse what the service refuses, and what cannot be written here.

    Raises:
        ControlError: InvalidParameter naming the parameter.
    """
    is_path = _BUCKET.fullmatch(settings.bucket) and not _CONTROL.search(settings.path)
    if len(settings.path) > MAX_PATH_LENGTH or not is_path:
        expected = f"expected bucket/directory/, at most {MAX_PATH_LENGTH} characters"
        raise invalid("BOSPath", expected, settings.path)
    if not _PARTITION.fullmatch(settings.partition_format) or len(settings.partition_format) > 256:
        expected = "expected at most 256 characters, with %Y %y %m %d %H %M only"
        raise invalid("partitionFormatTS", expected, settings.partition_format)
    if not 1 <= settings.max_object_mb <= MAX_OBJECT_MB:
        raise invalid("maxObjectSize", f"expected 1 to {MAX_OBJECT_MB} MB", settings.max_object_mb)
    if not 5 <= settings.interval_min <= 60:
        raise invalid("deliverInterval", "expected 5 to 60 minutes", settings.interval_min)
    if settings.kind not in {"text", "kv"}:
        raise invalid("shipperType", "expected text or kv", settings.kind)
    if settings.storage_format.lower() not in set(StorageFormat):
        expected = f"expected one of {', '.join(StorageFormat)}"
        raise invalid("storageFormat", expected, settings.storage_format)
    if settings.compression.lower() not in set(Compression):
        expected = f"expected one of {', '.join(Compression)}"
        raise invalid("compressType", expected, settings.compression)
    _check_texts(settings)
    _check_columns(settings)
    if settings.csv_delimiter not in _DELIMITERS:
        expected = "expected a comma, a space, a tab or `|`"
        raise invalid("csvDelimiter", expected, settings.csv_delimiter)
    if len(settings.csv_quote) > 1:
        raise invalid("csvQuote", "expected one character, or none", settings.csv_quote)
    _check_compression(settings)


def _check_texts(settings: ShipperSettings) -> None:
    """Bound what is kept, used or not."""
    for parameter, texts in (
        ("fieldsName", settings.field_names),
        ("fieldsType", settings.field_types),
    ):
        if len(texts) > MAX_COLUMNS:
            raise invalid(parameter, f"expected at most {MAX_COLUMNS} texts, not {len(texts)}")
        for number, text in enumerate(texts):
            check_length(f"{parameter}[{number}]", text, MAX_NAME_LENGTH)
    check_length("selectedColumnName", settings.column_names)
    check_length("selectedColumnType", settings.column_types)
    check_length("nullIdentifier", settings.null_text, MAX_NAME_LENGTH)


def _check_columns(settings: ShipperSettings) -> None:
    format_ = settings.storage_format.lower()
    if format_ == StorageFormat.JSON:
        if settings.kind == "text":
            return
        where, names, types = "fieldsName", settings.field_names, settings.field_types
    else:
        where = "selectedColumnName"
        names, types = _split(settings.column_names), _split(settings.column_types)
        if format_ == StorageFormat.PARQUET and not types:
            raise invalid("selectedColumnType", "is required for parquet")
    if not 1 <= len(names) <= MAX_COLUMNS or not all(names):
        expected = f"expected 1 to {MAX_COLUMNS} names, none of them empty"
        raise invalid(where, expected, list(names))
    counts = Counter(name.lower() for name in names)
    twice = next((name for name in names if counts[name.lower()] > 1), None)
    if twice is not None:
        raise invalid(where, f"expected each name once, in whatever case, not {twice[:40]!r} twice")
    other = where.replace("Name", "Type")
    if types and len(types) != len(names):
        raise invalid(other, f"expected one type for each of {len(names)} names, not {len(types)}")
    for type_ in types:
        if type_.lower() not in COLUMN_TYPES:
            raise invalid(other, f"expected types out of {', '.join(COLUMN_TYPES)}", type_)


def _check_compression(settings: ShipperSettings) -> None:
    """Only what can really be written is taken: Parquet itself knows neither bzip2 nor lzop."""
    packed = Compression(settings.compression.lower())
    is_parquet = settings.storage_format.lower() == StorageFormat.PARQUET
    if is_parquet and packed in {Compression.BZIP2, Compression.LZOP}:
        expected = "expected none, gzip or snappy, which Parquet knows"
        raise invalid("compressType", expected, settings.compression)


def _split(names: str) -> tuple[str, ...]:
    """A comma list; blanks around its entries do not count."""
    return tuple(name.strip() for name in names.split(",")) if names.strip() else ()
