"""Where the records of a query come from: one LogStore, or the LogStores of a view.

A query names no table. It is given an origin, and what it can read is what the origin has: the
tables of its members, each within its own retention.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from simulator.clock import Clock
from simulator.errors import ControlError
from simulator.logstore.availability import Availability
from simulator.logstore.catalog import Catalog, StoreState, seen_by
from simulator.logstore.conditions import ConditionWriter
from simulator.logstore.database import Cursor
from simulator.logstore.folds import Folds
from simulator.logstore.loader import SEQ_SHIFT
from simulator.logstore.record_sizes import RecordSizes
from simulator.logstore.retention import oldest_ms
from simulator.logstore.search import Search
from simulator.logstore.typed import Bindings, Typed, invalid_query
from simulator.logstore.values import LogStoreType, Selection
from simulator.logstore.views import View, Views, ViewStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A LogStore as a query sees it."""

    state: StoreState
    selection: Selection
    """Without what retention has taken."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Columns of the LogStore by the names that a view has for them."""

    def column(self, name: str) -> str:
        """What the LogStore calls the field that is asked for; a part of one that has an alias,
        such as ``alias.inner``, too.

        Source: assumed: a column keeps its own name beside its alias, unless that is the alias of
        another column.
        """
        found = self.aliases.get(name)
        if found is not None:
            return found
        if self.aliases and "." in name:
            keys = name.split(".")
            for count in range(len(keys) - 1, 0, -1):
                outer = self.aliases.get(".".join(keys[:count]))
                if outer is not None:
                    return ".".join((outer, *keys[count:]))
        return name

    def typed(self, name: str, cursor: Cursor, bindings: Bindings) -> Typed:
        """How to read a field; NULL in records that do not have it."""
        index = self.state.log_store.active_index
        return self.state.fields.typed(self.column(name), cursor, bindings, index)

    def typed_if_known(self, name: str, cursor: Cursor, bindings: Bindings) -> Typed | None:
        """How to read a field; None where all records are known not to have a value."""
        index = self.state.log_store.active_index
        return self.state.fields.typed_if_known(self.column(name), cursor, bindings, index)

    @property
    def names(self) -> list[str]:
        """Of every field, sorted: those with an alias under that.

        Source: assumed (that ``*`` shows an alias in place of its column).
        """
        renamed = frozenset(self.aliases.values())
        own = (name for name in self.state.fields.names if name not in renamed)
        return sorted({*own, *self.aliases})

    def within(self, bindings: Bindings, back_ms: int = 0) -> str:
        """SQL for whether a record is one of the selection, so many milliseconds earlier."""
        selection = self.selection
        start_ms = max(selection.start_ms - back_ms, selection.oldest_ms)
        clause = f"ts >= {start_ms} AND ts < {selection.end_ms - back_ms}"
        if selection.before_seq is not None:
            clause += f" AND seq < {selection.before_seq}"
        if selection.stream is not None:
            clause += f" AND stream = {bindings.text(selection.stream)}"
        return clause

    def condition(
        self, search: Search, cursor: Cursor, bindings: Bindings, sizes: RecordSizes
    ) -> str:
        """SQL for whether a record is found, by the LogStore's own index."""
        folds = Folds(sizes.fold_count(cursor, self.state))
        writer = ConditionWriter(
            self.state.fields,
            self.state.log_store.active_index,
            strict=self.state.log_store.settings.strict_search,
            cursor=cursor,
            bindings=bindings,
            column=self.column,
            folds=folds,
        )
        found = folds.around(writer.write(search))
        records = f"{self.state.table} WHERE {self.within(bindings)}"
        folds.check(cursor, bindings, records, sizes.width(cursor, self.state))
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What a query reads."""

    members: tuple[Member, ...]
    """At least one, in the order their LogStores were made; that breaks ties between records."""
    view: str = ""
    """Name of the view; empty for a LogStore."""

    @property
    def selection(self) -> Selection:
        """What was asked for."""
        return self.members[0].selection

    @property
    def key(self) -> tuple[int, ...]:
        """Tells it from others that read other LogStores."""
        return tuple(member.state.id for member in self.members)

    def before(self, end_ms: int) -> "Origin":
        """The same without records of ``end_ms`` and later."""
        if end_ms >= self.selection.end_ms:
            return self
        members = tuple(
            replace(member, selection=replace(member.selection, end_ms=end_ms))
            for member in self.members
        )
        return replace(self, members=members)

    def seen_by(self, cursor: Cursor) -> "Origin":
        """The same with the fields of all records that a transaction sees."""
        seen = seen_by(cursor, [member.state for member in self.members])
        members = (replace(one, state=state) for one, state in zip(self.members, seen, strict=True))
        return replace(self, members=tuple(members))

    def check_indexed(self) -> None:
        """Refuse what needs an index where a LogStore that insists on one has none.

        Raises:
            ControlError: InvalidParameter.
        """
        for member in self.members:
            store = member.state.log_store
            if store.settings.strict_search and store.active_index is None:
                error = invalid_query("the LogStore has no index, which a histogram needs")
                raise self._said_by(member, error)

    def conditions(
        self, search: Search | None, cursor: Cursor, bindings: Bindings, sizes: RecordSizes
    ) -> tuple[str, ...]:
        """SQL for whether a record is found, for each member; None finds every record.

        Source: assumed: where one LogStore of a view refuses, the view does.

        Raises:
            ControlError: InvalidParameter, which says of a view whose LogStore it is that refuses.
        """
        if search is None:
            return ("TRUE",) * len(self.members)
        return tuple(
            self._condition(member, search, cursor, bindings, sizes) for member in self.members
        )

    def _condition(
        self,
        member: Member,
        search: Search,
        cursor: Cursor,
        bindings: Bindings,
        sizes: RecordSizes,
    ) -> str:
        try:
            return member.condition(search, cursor, bindings, sizes)
        except ControlError as error:
            raise self._said_by(member, error) from error

    def _said_by(self, member: Member, error: ControlError) -> ControlError:
        """``error`` with the LogStore that it comes from, where there are several."""
        if not self.view:
            return error
        where = f" (LogStore {member.state.log_store.name} of the view {self.view})"
        return ControlError(error.code, error.status, error.message + where)


def missing_of_view(name: str, view: str) -> ControlError:
    """The error for a LogStore that a view is over and that has been deleted.

    Source: assumed: the view is not answered from the others, whose records would pass for all.
    """
    message = f"LogStore [{name}] of the view [{view}] not exists"
    return ControlError("LogStoreNotFound", 404, message)


class Origins:
    """Finds what a name stands for.

    Args:
        catalog: of the LogStores.
        views: of the views.
        availability: whether a LogStore answers.
        clock: what retention is judged by.
    """

    def __init__(
        self, catalog: Catalog, views: Views, availability: Availability, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._views = views
        self._availability = availability
        self._clock = clock

    def find(
        self, project: str, name: str, log_store_type: LogStoreType, selection: Selection
    ) -> Origin:
        """The records that ``selection`` selects of a LogStore or a view.

        To be asked before the transaction that reads begins, for which ``seen_by`` adds what came
        between.

        Raises:
            ControlError: LogStoreNotFound, LogStoreViewNotFound, LogStoreNotReady,
                LogStoreStopped.
        """
        if log_store_type is LogStoreType.LOGSTORE:
            return Origin(members=(self._member(self.log_store(project, name), selection),))
        view = self._views.describe(project, name)
        members = [
            self._member(self._state_of(view, one), selection, one.aliases) for one in view.stores
        ]
        members.sort(key=lambda member: member.state.id)
        return Origin(members=tuple(members), view=name)

    def log_store(self, project: str, name: str) -> StoreState:
        """The LogStore, for calls of the data plane, whose error does not name it.

        Source: doc https://cloud.baidu.com/doc/BLS (operation pages of push, pull and query).

        Raises:
            ControlError: LogStoreNotFound, LogStoreNotReady, LogStoreStopped.
        """
        try:
            state = self._catalog.store(project, name)
        except ControlError as error:
            message = f"LogStore not found{self._catalog.explain_missing(project, name)}"
            raise ControlError(error.code, error.status, message) from error
        self._availability.check(state)
        return state

    def _state_of(self, view: View, store: ViewStore) -> StoreState:
        """A LogStore of a view, ready for data."""
        state = self._catalog.stores.get((store.project, store.name))
        if state is None:
            raise missing_of_view(store.name, view.name)
        try:
            self._availability.check(state)
        except ControlError as error:
            where = f"LogStore [{store.name}] of the view [{view.name}]"
            message = error.message.replace("LogStore", where, 1)
            raise ControlError(error.code, error.status, message) from error
        return state

    def _member(
        self, state: StoreState, selection: Selection, aliases: Mapping[str, str] | None = None
    ) -> Member:
        """A LogStore with the fields known now, without what retention has taken, deleted already
        or not, and without what came after an instant that is asked about."""
        now, as_of = self._clock.time(), selection.as_of
        oldest = oldest_ms(state, now if as_of is None else as_of)
        if oldest is not None:
            selection = replace(selection, oldest_ms=oldest)
        if as_of is not None and as_of < now:
            selection = replace(selection, before_seq=int(as_of * 1000 + 1) << SEQ_SHIFT)
        return Member(state=state.frozen(), selection=selection, aliases=aliases or {})
