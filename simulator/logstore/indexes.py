"""The index of each LogStore: made, replaced, deleted. What it does to a search is not here."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError, invalid, within
from simulator.logstore.catalog import Catalog
from simulator.logstore.database import Database
from simulator.logstore.fields import MAX_NAME_LENGTH
from simulator.logstore.lengths import check_length
from simulator.logstore.values import IndexField, IndexSettings, IndexType, LogStoreSettings

MAX_INDEX_FIELDS: Final = 1000
MAX_INDEX_DEPTH: Final = 16
"""Of an index definition. Source: assumed: as many fields as a LogStore remembers."""
MAX_SEPARATORS: Final = 256
"""Of the index, and of each field. Source: assumed (a set of some characters is meant)."""

_NESTING: Final = frozenset({IndexType.JSON, IndexType.OBJECT})


class Indexes:
    """Changes the index of LogStores. The definition is one of a LogStore's settings."""

    def __init__(self, database: Database, catalog: Catalog, clock: Clock) -> None:
        self._database = database
        self._catalog = catalog
        self._clock = clock

    def create(self, project: str, log_store: str, index: IndexSettings) -> None:
        """Give a LogStore its index; it holds for the records that are there already.

        Raises:
            ControlError: LogStoreNotFound, IndexAlreadyExist, InvalidParameter.
        """
        check_index(index)
        self._change(project, log_store, index, exists=False)

    def update(self, project: str, log_store: str, index: IndexSettings) -> None:
        """Replace a LogStore's index as a whole.

        Raises:
            ControlError: LogStoreNotFound, IndexNotFound, InvalidParameter.
        """
        check_index(index)
        self._change(project, log_store, index, exists=True)

    def describe(self, project: str, log_store: str) -> IndexSettings:
        """A LogStore's index; with everything off when it has none.

        Source: observed in SDK tests: describing a deleted index succeeds.

        Raises:
            ControlError: LogStoreNotFound.
        """
        return self._catalog.store(project, log_store).log_store.settings.index or IndexSettings()

    def delete(self, project: str, log_store: str) -> None:
        """Take a LogStore's index away.

        Raises:
            ControlError: LogStoreNotFound, IndexNotFound.
        """
        self._change(project, log_store, None, exists=True)

    def _change(
        self, project: str, log_store: str, index: IndexSettings | None, *, exists: bool
    ) -> None:
        with self._database.writing() as transaction:
            state = self._catalog.store(project, log_store)
            settings = state.log_store.settings
            if exists and settings.index is None:
                raise ControlError("IndexNotFound", 404, f"LogStore [{log_store}] has no index")
            if not exists and settings.index is not None:
                raise ControlError("IndexAlreadyExist", 409, "Index already exists")
            # A definition that is given anew is meant to be used.
            changed = replace(settings, index=index, index_enabled=True)
            self._catalog.update_store(transaction, state, changed, self._clock.time())


def check_index_of(settings: LogStoreSettings) -> None:
    """Refuse an index of a LogStore that ``check_index`` refuses.

    Raises:
        ControlError: InvalidParameter naming the field.
    """
    if settings.index is not None:
        with within("index"):
            check_index(settings.index)


def check_index(index: IndexSettings) -> None:
    """Refuse a definition that the service refuses.

    Source: doc https://cloud.baidu.com/doc/BLS (index page: one of both kinds must be on); what a
    name may be, and how many there may be, is assumed.

    Raises:
        ControlError: InvalidParameter naming the field.
    """
    if not index.fulltext and not index.fields:
        raise invalid("fields", "a full-text index or the index of a field must be on")
    check_length("separators", index.separators, MAX_SEPARATORS)
    if _check_fields(index.fields, "fields", 1) > MAX_INDEX_FIELDS:
        raise invalid(
            "fields", f"expected at most {MAX_INDEX_FIELDS} fields, those within included"
        )


def _check_fields(fields: Sequence[IndexField], place: str, depth: int) -> int:
    """How many fields there are, those within others too."""
    if depth > MAX_INDEX_DEPTH:
        raise invalid(place, f"expected at most {MAX_INDEX_DEPTH} levels of fields")
    count = len(fields)
    for name, times in Counter(field.name for field in fields).items():
        if times > 1:
            raise invalid(f"{place}.{name}", "is named twice")
    for field in fields:
        if not 1 <= len(field.name) <= MAX_NAME_LENGTH:
            expected = f"expected a name of 1 to {MAX_NAME_LENGTH} characters"
            raise invalid(place, expected, field.name)
        check_length(f"{place}.{field.name}.separators", field.separators, MAX_SEPARATORS)
        if field.fields and field.type not in _NESTING:
            raise invalid(
                f"{place}.{field.name}.fields",
                f"only json and object have fields, not {field.type.value}",
            )
        count += _check_fields(field.fields, f"{place}.{field.name}.fields", depth + 1)
    return count
