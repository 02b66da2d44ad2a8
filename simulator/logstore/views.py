"""Views of LogStores: several LogStores of the region under one name, to be read together.

A view holds no records. What is read through it, and how, is in ``origins``.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError, invalid
from simulator.logstore.catalog import Catalog, check_name
from simulator.logstore.database import Database
from simulator.logstore.fields import MAX_NAME_LENGTH, RESERVED
from simulator.logstore.resources import ResourceTable, check_room
from simulator.logstore.values import LogStoreType

MAX_VIEWS_PER_PROJECT: Final = 200
"""Source: assumed (as many as LogStores, no limit is documented)."""
MAX_STORES: Final = 200
"""Of a view. Source: assumed (as many as a project may have, no limit is documented)."""
MAX_COLUMNS: Final = 1000
"""With an alias, of a LogStore of a view. Source: assumed, as many as an index has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewColumn:
    """A column of a LogStore under a name of the view."""

    column: str
    alias: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewStore:
    """One of the LogStores that a view is over."""

    project: str
    name: str
    columns: tuple[ViewColumn, ...] = ()

    @property
    def aliases(self) -> Mapping[str, str]:
        """Columns by the names that the view has for them."""
        return {one.alias: one.column for one in self.columns}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A view."""

    project: str
    name: str
    """Unique in its project among views; a LogStore may have the same name.

    Source: assumed: each call that may mean either says which (``logStoreType``).
    """
    stores: tuple[ViewStore, ...]
    """By name: one that is deleted and made anew is in the view again (assumed)."""
    created_at: float
    updated_at: float


class Views:
    """Every view.

    Source: doc of the API's schema for the operations; names of the errors are assumed.
    """

    def __init__(self, database: Database, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock
        self._table = ResourceTable(database, "views", View)
        catalog.has_view = lambda project, name: _key(project, name) in self._table.items
        catalog.has_views = lambda project: any(
            view.project == project for view in self._table.items.values()
        )

    def create(self, project: str, name: str, stores: Sequence[ViewStore]) -> None:
        """Make a view.

        Source: assumed: its LogStores must exist, in whatever project.

        Raises:
            ControlError: LogStoreViewAlreadyExist, ProjectNotFound, LogStoreNotFound,
                ResourceOverflow, InvalidParameter.
        """
        check_name("name", name)
        _check(stores)
        with self._database.writing() as transaction:
            self._catalog.project(project)
            if _key(project, name) in self._table.items:
                raise ControlError(
                    "LogStoreViewAlreadyExist", 409, f"LogStoreView [{name}] already exists"
                )
            self._find(stores)
            count = sum(view.project == project for view in self.list_all())
            check_room("logStoreViews", count, MAX_VIEWS_PER_PROJECT)
            now = self._clock.time()
            view = View(
                project=project, name=name, stores=tuple(stores), created_at=now, updated_at=now
            )
            self._table.put(transaction, _key(project, name), view)

    def update(self, project: str, name: str, stores: Sequence[ViewStore]) -> None:
        """Put a view over other LogStores; what it was over before is replaced as a whole.

        Raises:
            ControlError: LogStoreViewNotFound, LogStoreNotFound, InvalidParameter.
        """
        _check(stores)
        with self._database.writing() as transaction:
            before = self.describe(project, name)
            self._find(stores)
            after = replace(before, stores=tuple(stores), updated_at=self._clock.time())
            self._table.put(transaction, _key(project, name), after)

    def describe(self, project: str, name: str) -> View:
        """The view ``name`` of ``project``.

        Raises:
            ControlError: LogStoreViewNotFound.
        """
        found = self._table.items.get(_key(project, name))
        if found is None:
            raise ControlError("LogStoreViewNotFound", 404, f"LogStoreView [{name}] not exists")
        return found

    def check_target(self, project: str, name: str, log_store_type: LogStoreType) -> None:
        """See that there is what a resource is to be about: a LogStore or a view.

        Raises:
            ControlError: LogStoreNotFound, LogStoreViewNotFound.
        """
        if log_store_type is LogStoreType.LOGSTORE_VIEW:
            self.describe(project, name)
        else:
            self._catalog.store(project, name)

    def delete(self, project: str, name: str) -> None:
        """Forget a view; its LogStores stay.

        Raises:
            ControlError: LogStoreViewNotFound.
        """
        with self._database.writing() as transaction:
            self.describe(project, name)
            self._table.remove(transaction, _key(project, name))

    def list_all(self) -> list[View]:
        """Every view, in the order made."""
        return list(self._table.items.values())

    def _find(self, stores: Sequence[ViewStore]) -> None:
        for one in stores:
            self._catalog.store(one.project, one.name)


def _key(project: str, name: str) -> str:
    """Names have no slash."""
    return f"{project}/{name}"


def _check(stores: Sequence[ViewStore]) -> None:
    if not 1 <= len(stores) <= MAX_STORES:
        raise invalid("logstores", f"expected 1 to {MAX_STORES} LogStores, not {len(stores)}")
    seen: set[tuple[str, str]] = set()
    for number, store in enumerate(stores):
        if (store.project, store.name) in seen:
            expected = f"expected each LogStore once; it is in the project {store.project}"
            raise invalid(f"logstores[{number}].name", expected, store.name)
        seen.add((store.project, store.name))
        _check_columns(f"logstores[{number}].extends", store.columns)


def _check_columns(place: str, columns: Sequence[ViewColumn]) -> None:
    if len(columns) > MAX_COLUMNS:
        raise invalid(place, f"expected at most {MAX_COLUMNS} columns, not {len(columns)}")
    aliases: set[str] = set()
    for number, one in enumerate(columns):
        for member, text in (("column", one.column), ("alias", one.alias)):
            if not 1 <= len(text) <= MAX_NAME_LENGTH:
                expected = f"expected 1 to {MAX_NAME_LENGTH} characters"
                raise invalid(f"{place}[{number}].{member}", expected, text)
        if one.alias in RESERVED or one.alias in aliases:
            why = "every record has" if one.alias in RESERVED else "another column has"
            expected = f"expected a name other than what {why}"
            raise invalid(f"{place}[{number}].alias", expected, one.alias)
        aliases.add(one.alias)
