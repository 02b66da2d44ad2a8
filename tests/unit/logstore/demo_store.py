"""A LogStore for the tests, and when they are.

By itself, since `conftest` is a name that several directories have.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from simulator.logstore import (
    IndexSettings,
    LedgerChange,
    LogStoreEngine,
    LogStoreSettings,
    NewRecord,
    RecordType,
    Selection,
)

NOW_S = 1_772_323_200
NOW_MS = NOW_S * 1000
EVERYTHING = Selection(start_ms=0, end_ms=NOW_MS * 2)


class Store:
    """One LogStore named ``default/demo``."""

    def __init__(self, engine: LogStoreEngine) -> None:
        self.engine = engine

    def push(self, *records: object, at_ms: int = NOW_MS, **options: object) -> None:
        """Texts go in as TEXT, anything else as JSON; one millisecond apart."""
        for index, record in enumerate(records):
            text = isinstance(record, str)
            message = record if text else json.dumps(record, ensure_ascii=False)
            self.engine.push(
                "default",
                "demo",
                [NewRecord(message=message, timestamp_ms=at_ms + index)],
                record_type=RecordType.TEXT if text else RecordType.JSON,
                **options,
            )

    def index(self, index: IndexSettings | None, *, strict: bool = False) -> None:
        """Give the LogStore another index."""
        settings = LogStoreSettings(retention_days=-1, index=index, strict_search=strict)
        self.engine.update_log_store("default", "demo", lambda _before: settings)

    def find(self, query: str) -> list[str]:
        """Raw texts of all hits of a search, oldest first."""
        rows = self.engine.query("default", "demo", EVERYTHING, query).rows
        return [str(row[3]) for row in reversed(rows)]

    def select(self, query: str) -> list[tuple[object, ...]]:
        """The rows of a statement."""
        return list(self.engine.query("default", "demo", EVERYTHING, query).rows)


def push_lines(
    engine: LogStoreEngine, name: str, lines: Iterable[tuple[int, str]], stream: str
) -> None:
    """Push JSON records with their times in epoch milliseconds."""
    records = [NewRecord(message=text, timestamp_ms=at_ms) for at_ms, text in lines]
    engine.push("default", name, records, stream=stream, record_type=RecordType.JSON)


def deliver_lines(
    engine: LogStoreEngine, name: str, lines: Iterable[tuple[int, str]], stream: str
) -> None:
    """Deliver the same from memory."""
    engine.deliveries.deliver_lines(
        project="default",
        log_store=name,
        stream=stream,
        lines=[(at_ms, text.encode()) for at_ms, text in lines],
        cursor=None,
        position=0,
        change=LedgerChange(),
    )


def deliver_segment(
    engine: LogStoreEngine, name: str, path: Path, lines: Iterable[tuple[int, str]], stream: str
) -> None:
    """Deliver the same as a segment at ``path``."""
    path.write_bytes(b"".join(f"{at_ms}\t{text}\n".encode() for at_ms, text in lines))
    engine.deliveries.deliver_segments(
        project="default", log_store=name, stream=stream, paths=[path], cursor="flow", position=1
    )
