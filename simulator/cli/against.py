"""What a pipeline kept, wherever it keeps it: files, a directory, a SQLite table, a URL.

Every source gives records as lines, and can say afterwards where the line of a number came from.
"""

import csv
import gzip
import json
import sqlite3
import sys
import urllib.error
import urllib.request
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import closing
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import parse_qs, quote, urljoin

import msgspec

EXPECTED: Final = "a file, -, dir:PATH, sqlite:FILE?table=NAME, or an http: or https: URL"

_FILES: Final = (".jsonl", ".ndjson", ".json", ".log", ".txt", ".csv")
_GZIP: Final = ".gz"
_TIMEOUT_S: Final = 60.0
_MAX_PAGES: Final = 100_000
_LONGEST_FIELD: Final = 16 << 20


class SourceError(Exception):
    """What the pipeline kept cannot be read; the message says what, where and what was expected."""


class Source(Protocol):
    """What a pipeline kept."""

    def lines(self) -> Iterator[bytes]:
        """Every record, one a line, without line ends. Call it once.

        Raises:
            SourceError: it cannot be read.
        """
        ...

    def place(self, number: int) -> str:
        """Where line ``number`` (1-based) came from. Call it after ``lines``."""
        ...


def open_source(text: str) -> Source:
    """The source that an argument names.

    Raises:
        SourceError: it is none.
    """
    scheme, colon, rest = text.partition(":")
    if scheme in ("http", "https") and colon:
        return UrlSource(text)
    if scheme == "sqlite" and colon:
        return _sqlite(rest)
    if scheme == "dir" and colon:
        return _directory(Path(rest))
    if text == "-":
        return StdinSource()
    path = Path(text)
    if path.is_dir():
        return _directory(path)
    if not path.exists():
        raise SourceError(f"{text}: no such file; expected {EXPECTED}")
    return FilesSource([path])


class StdinSource:
    """Standard input: JSON lines."""

    def lines(self) -> Iterator[bytes]:
        """See ``Source.lines``."""
        return _records(sys.stdin.buffer, "standard input")

    def place(self, number: int) -> str:
        """See ``Source.place``."""
        return f"line {number}"


class FilesSource:
    """Files, one after the other.

    Args:
        paths: JSON lines, a JSON array, or CSV with a header; each may be gzip.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._starts = array("q")
        """The number of lines before each file."""

    def lines(self) -> Iterator[bytes]:
        """See ``Source.lines``."""
        count = 0
        for path in self._paths:
            self._starts.append(count)
            for line in self._read(path):
                count += 1
                yield line

    def place(self, number: int) -> str:
        """See ``Source.place``."""
        index = bisect_right(self._starts, number - 1) - 1
        return f"{self._paths[index]}:{number - self._starts[index]}"

    def _read(self, path: Path) -> Iterator[bytes]:
        count = 0
        try:
            with path.open("rb") as file:
                is_gzip = file.read(2) == b"\x1f\x8b"
                file.seek(0)
                opened: Iterable[bytes] = gzip.GzipFile(fileobj=file) if is_gzip else file
                named = path.name.removesuffix(_GZIP)
                for line in _csv(opened) if named.endswith(".csv") else _records(opened, str(path)):
                    count += 1
                    yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{path}: broken gzip after line {count} ({error})") from error
        except (OSError, csv.Error) as error:
            raise SourceError(f"{path}: cannot be read ({error})") from error


class SqliteSource:
    """A table of a SQLite database.

    Args:
        path: the database.
        table: by name.
        column: the text of a record; None: the columns are the fields.
    """

    def __init__(self, path: Path, table: str, column: str | None) -> None:
        self._path = path
        self._table = table
        self._column = column
        self._row_ids = array("q")

    def lines(self) -> Iterator[bytes]:
        """See ``Source.lines``."""
        try:
            with closing(_connect(self._path)) as database:
                yield from self._rows(database)
        except (sqlite3.Error, OverflowError) as error:
            raise SourceError(f"sqlite:{self._path}: {error}") from error

    def place(self, number: int) -> str:
        """See ``Source.place``."""
        row_id = self._row_ids[number - 1] if self._row_ids else number
        return f"{self._path} {self._table} row {row_id}"

    def check(self) -> None:
        """See that there are such a table and column.

        Raises:
            SourceError: there are not; the message lists those that are.
        """
        place = f"sqlite:{self._path}"
        if not self._path.is_file():
            raise SourceError(f"{place}: no such file")
        try:
            with closing(_connect(self._path)) as database:
                tables = [
                    str(name)
                    for (name,) in database.execute(
                        "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
                        "AND name NOT LIKE 'sqlite_%' ORDER BY name"
                    )
                ]
                if self._table not in tables:
                    raise SourceError(
                        f"{place}: no table {self._table!r}; there are "
                        f"{', '.join(tables) or 'none at all'}"
                        + ("" if self._table else "; name one with ?table=NAME")
                    )
                columns = [
                    str(row[1]) for row in database.execute(f"PRAGMA table_info({self._quoted()})")
                ]
        except sqlite3.Error as error:
            raise SourceError(f"{place}: {error}") from error
        if self._column is not None and self._column not in columns:
            raise SourceError(
                f"{place}: no column {self._column!r} in {self._table}; there are "
                f"{', '.join(columns)}"
            )

    def _rows(self, database: sqlite3.Connection) -> Iterator[bytes]:
        database.text_factory = bytes  # a pipeline may have stored what is not UTF-8
        what = "*" if self._column is None else f'"{self._column.replace(chr(34), chr(34) * 2)}"'
        try:
            cursor = database.execute(f"SELECT rowid, {what} FROM {self._quoted()}")
        except sqlite3.OperationalError:  # a table without row ids
            cursor = database.execute(f"SELECT NULL, {what} FROM {self._quoted()}")
        names = [str(one[0]) for one in cursor.description][1:]
        for row_id, *values in cursor:
            if row_id is not None:  # as it is in a view
                self._row_ids.append(row_id)
            if self._column is None:
                yield _object(zip(names, values, strict=True))
            else:
                yield _text(values[0])

    def _quoted(self) -> str:
        return f'"{self._table.replace(chr(34), chr(34) * 2)}"'


class UrlSource:
    """What an HTTP service answers to GET: JSON lines or a JSON array, page by page.

    Args:
        url: of the first page; a ``Link`` header with ``rel="next"`` leads to the next.
    """

    def __init__(self, url: str) -> None:
        self._urls: list[str] = [url]
        self._starts = array("q")

    def lines(self) -> Iterator[bytes]:
        """See ``Source.lines``."""
        count = 0
        for url in self._urls:
            self._starts.append(count)
            request = urllib.request.Request(
                url, headers={"Accept": "application/x-ndjson, application/json"}
            )
            try:
                with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:
                    for line in _records(response, url):
                        count += 1
                        yield line
                    self._add_next(url, response)
            except urllib.error.HTTPError as error:
                raise SourceError(f"{url}: answered {error.code} {error.reason}") from error
            except (OSError, HTTPException, ValueError) as error:
                reason = getattr(error, "reason", error)
                raise SourceError(f"{url}: cannot be read ({reason})") from error

    def place(self, number: int) -> str:
        """See ``Source.place``."""
        index = bisect_right(self._starts, number - 1) - 1
        return f"{self._urls[index]} record {number - self._starts[index]}"

    def _add_next(self, url: str, response: HTTPResponse) -> None:
        for link in ",".join(response.headers.get_all("Link", [])).split(","):
            target, _, parameters = link.partition(";")
            if parameters.replace('"', "").replace(" ", "") == "rel=next":
                found = urljoin(url, target.strip().removeprefix("<").removesuffix(">"))
                if not found.startswith(("http://", "https://")) or found in self._urls:
                    raise SourceError(f"{url}: its next page is {found}; expected a new http page")
                if len(self._urls) >= _MAX_PAGES:
                    raise SourceError(f"{url}: more than {_MAX_PAGES} pages")
                self._urls.append(found)


def _sqlite(text: str) -> SqliteSource:
    name, _, query = text.partition("?")
    options = parse_qs(query, keep_blank_values=True)
    if unknown := set(options) - {"table", "column"}:
        raise SourceError(
            f"sqlite:{text}: unknown option {sorted(unknown)[0]!r}; expected table and column"
        )
    column = options.get("column", [None])[0]
    source = SqliteSource(Path(name), options.get("table", [""])[0], column)
    source.check()
    return source


def _directory(path: Path) -> FilesSource:
    if not path.is_dir():
        raise SourceError(f"dir:{path}: no such directory")
    found = []
    for file in sorted(one for one in path.rglob("*") if one.is_file()):
        if file.name.startswith((".", "_")):
            continue  # marks that writers leave beside their files
        if not file.name.removesuffix(_GZIP).endswith(_FILES):
            raise SourceError(
                f"{file}: cannot tell what it is; expected {', '.join(_FILES)}, each also with "
                f"{_GZIP}"
            )
        found.append(file)
    return FilesSource(found)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True)


def _records(lines: Iterable[bytes], name: str) -> Iterator[bytes]:
    """JSON lines, or the elements of a JSON array."""
    following = iter(lines)
    for first in following:
        if first.lstrip().startswith(b"["):
            yield from _array(first + b"".join(following), name)
        else:
            yield first.rstrip(b"\r\n")
        break
    for line in following:
        yield line.rstrip(b"\r\n")


def _array(data: bytes, name: str) -> Iterator[bytes]:
    try:
        elements = msgspec.json.decode(data, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as error:
        raise SourceError(
            f"{name}: begins like a JSON array and is none ({error}); expected an array, or one "
            "JSON object a line"
        ) from error
    for element in elements:
        # Inside a JSON text a line feed is always escaped; between its parts it means nothing.
        yield bytes(element).replace(b"\n", b" ").replace(b"\r", b" ")


def _csv(lines: Iterable[bytes]) -> Iterator[bytes]:
    csv.field_size_limit(_LONGEST_FIELD)
    text = (line.decode("utf-8", "replace") for line in lines)
    for row in csv.DictReader(text):
        yield _object((name, value) for name, value in row.items() if name is not None)


def _object(fields: Iterable[tuple[str, object]]) -> bytes:
    return json.dumps(
        {name: _plain(value) for name, value in fields}, separators=(",", ":")
    ).encode()


def _plain(value: object) -> object:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _text(value: object) -> bytes:
    """A record as one line: one with line feeds as a JSON text."""
    if isinstance(value, bytes) and b"\n" not in value and b"\r" not in value:
        return value
    return json.dumps(_plain(value)).encode()
