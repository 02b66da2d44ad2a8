"""Fast queries: statements kept under a name. They are stored, not run and not checked."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError, invalid
from simulator.logstore.catalog import check_name
from simulator.logstore.database import Database
from simulator.logstore.lengths import check_length
from simulator.logstore.resources import ResourceTable, check_room
from simulator.logstore.values import LogStoreType
from simulator.logstore.views import Views

MAX_FAST_QUERIES: Final = 200
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FastQueryContent:
    """The part of a fast query its owner chooses."""

    query: str
    project: str
    log_store: str
    description: str = ""
    stream: str = ""
    log_store_type: LogStoreType = LogStoreType.LOGSTORE
    """What ``log_store`` names."""
    start: str = ""
    """Start and end of its range as they were sent: text, whatever it says."""
    end: str = ""

    @property
    def target(self) -> tuple[str, str, LogStoreType]:
        """What it is about."""
        return (self.project, self.log_store, self.log_store_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class FastQuery:
    """A statement under a name."""

    name: str
    """Unique in the account."""
    content: FastQueryContent
    created_at: float
    updated_at: float


class FastQueries:
    """Every fast query."""

    def __init__(self, database: Database, views: Views, clock: Clock) -> None:
        self._database = database
        self._views = views
        self._clock = clock
        self._table = ResourceTable(database, "fast_queries", FastQuery)

    def create(self, name: str, content: FastQueryContent) -> None:
        """Keep a statement.

        Source: assumed: its LogStore or view must exist.

        Raises:
            ControlError: FastQueryAlreadyExist, LogStoreNotFound, LogStoreViewNotFound,
                ResourceOverflow, InvalidParameter.
        """
        check_name("fastQueryName", name)
        _check(content)
        with self._database.writing() as transaction:
            if name in self._table.items:
                raise ControlError(
                    "FastQueryAlreadyExist", 409, f"FastQuery [{name}] already exists"
                )
            self._views.check_target(*content.target)
            check_room("fastQueries", len(self._table.items), MAX_FAST_QUERIES)
            now = self._clock.time()
            made = FastQuery(name=name, content=content, created_at=now, updated_at=now)
            self._table.put(transaction, name, made)

    def update(self, name: str, change: Callable[[FastQueryContent], FastQueryContent]) -> None:
        """Put what ``change`` makes of a fast query's content in its place.

        Raises:
            ControlError: FastQueryNotFound, LogStoreNotFound, LogStoreViewNotFound,
                InvalidParameter.
        """
        with self._database.writing() as transaction:
            before = self.describe(name)
            content = change(before.content)
            _check(content)
            if content.target != before.content.target:
                self._views.check_target(*content.target)
            after = replace(before, content=content, updated_at=self._clock.time())
            self._table.put(transaction, name, after)

    def describe(self, name: str) -> FastQuery:
        """The fast query called ``name``.

        Raises:
            ControlError: FastQueryNotFound.
        """
        found = self._table.items.get(name)
        if found is None:
            raise ControlError("FastQueryNotFound", 404, f"FastQuery [{name}] not found")
        return found

    def delete(self, name: str) -> None:
        """Forget a fast query.

        Raises:
            ControlError: FastQueryNotFound.
        """
        with self._database.writing() as transaction:
            self.describe(name)
            self._table.remove(transaction, name)

    def list_all(self) -> list[FastQuery]:
        """Every fast query in the order made, those of deleted LogStores too (assumed)."""
        return list(self._table.items.values())


def _check(content: FastQueryContent) -> None:
    if not content.query:
        raise invalid("query", "is required")
    for parameter, text in (
        ("query", content.query),
        ("description", content.description),
        ("logStreamName", content.stream),
        ("startDateTime", content.start),
        ("endDateTime", content.end),
    ):
        check_length(parameter, text)
