"""Projects, LogStores, streams and delivery cursors: kept in tables, mirrored in memory.

Every change takes a transaction and touches the mirror only once that has committed. Changes come
one at a time; reads need no lock, since they see one reference or the other.
"""

import hashlib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from typing import Final

import msgspec

from simulator.errors import ControlError, invalid
from simulator.logstore.database import SCHEMA, Cursor, Row, Transaction
from simulator.logstore.fields import DiscoveredField, FieldCatalog, FieldChanges
from simulator.logstore.lengths import check_length
from simulator.logstore.resources import check_room
from simulator.logstore.typed import Kind
from simulator.logstore.values import (
    DEFAULT_PROJECT,
    LogStore,
    LogStoreSettings,
    LogStream,
    Project,
)

MAX_PROJECTS: Final = 100
MAX_LOG_STORES_PER_PROJECT: Final = 200
"""Source: doc https://cloud.baidu.com/doc/BLS/s/2k7vkicsj (2025-07), as are the other limits."""

_NAME: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_TAG_TEXT: Final = re.compile(r"[A-Za-z0-9\u3400-\u4dbf\u4e00-\u9fff\-_ /.]*")
"""Source: doc of the API's schema (letters, digits, Chinese, ``-_ /.``)."""
_SCHEMA: Final = f"""
CREATE TABLE IF NOT EXISTS {SCHEMA}.projects(
    uuid VARCHAR, name VARCHAR, description VARCHAR, top BOOLEAN,
    created_at DOUBLE, updated_at DOUBLE);
CREATE TABLE IF NOT EXISTS {SCHEMA}.log_stores(
    id BIGINT, project VARCHAR, name VARCHAR, settings VARCHAR,
    created_at DOUBLE, updated_at DOUBLE);
CREATE TABLE IF NOT EXISTS {SCHEMA}.streams(store BIGINT, name VARCHAR, created_at DOUBLE);
CREATE TABLE IF NOT EXISTS {SCHEMA}.fields(
    store BIGINT, name VARCHAR, position INTEGER, kind VARCHAR, since_seq BIGINT);
CREATE TABLE IF NOT EXISTS {SCHEMA}.tag_keys(store BIGINT, name VARCHAR);
CREATE TABLE IF NOT EXISTS {SCHEMA}.cursors(name VARCHAR, position BIGINT);
CREATE TABLE IF NOT EXISTS {SCHEMA}.counters(name VARCHAR, value BIGINT);
"""


@dataclass(slots=True, kw_only=True)
class StoreState:
    """What the engine knows of one LogStore beside its records."""

    id: int
    log_store: LogStore
    table: str
    """Full name of the table of its records."""
    fields: FieldCatalog
    next_seq: int = 0
    ready_at: float = 0.0
    """Unix seconds before which it takes no records and no queries."""
    streams: dict[str, LogStream] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str]:
        """Project and name."""
        return (self.log_store.project, self.log_store.name)

    def frozen(self) -> "StoreState":
        """As it is known now, to plan a query by; ask before the transaction that reads begins,
        which may not see the columns of fields that are discovered later."""
        next_seq = self.next_seq  # first: fields that are newer than it say only more
        return replace(self, next_seq=next_seq, fields=copy(self.fields))


def seen_by(cursor: Cursor, states: Sequence[StoreState]) -> list[StoreState]:
    """Frozen ones with the fields of all records that a transaction sees."""
    newest = " UNION ALL ".join(
        f"SELECT {number}, max(seq) FROM {state.table} WHERE seq >= {state.next_seq}"
        for number, state in enumerate(states)
    )
    seen = list(states)
    rows = cursor.execute(newest).fetchall() if states else []
    for number, seq in rows:
        if seq is not None:
            state = states[number]
            fields = copy(state.fields)
            _load_fields(cursor, {state.id: fields}, f"WHERE store = {state.id}")
            seen[number] = replace(state, next_seq=seq + 1, fields=fields)
    return seen


class Catalog:
    """All projects and LogStores of one database."""

    def __init__(self) -> None:
        self.projects: Mapping[str, Project] = {}
        """By name."""
        self.stores: Mapping[tuple[str, str], StoreState] = {}
        """By project and name."""
        self.cursors: Mapping[str, int] = {}
        self.clock_at: float | None = None
        """The newest instant at which a cursor moved or records expired, Unix seconds."""
        self.has_view: Callable[[str, str], bool] = lambda _project, _name: False
        """Whether a project has a view of that name."""
        self.has_views: Callable[[str], bool] = lambda _project: False
        """Whether a project has views."""
        self._made = 0

    def load(self, transaction: Transaction, now: float) -> None:
        """Read everything; makes what a new database needs."""
        cursor = transaction.cursor
        cursor.execute(_SCHEMA)
        self.projects = {row[1]: _project(row) for row in _rows(cursor, "projects")}
        counters: dict[str, int] = {row[0]: row[1] for row in _rows(cursor, "counters")}
        self._made = counters.get("made", 0)
        self.clock_at = counters["clock"] / 1_000_000 if "clock" in counters else None
        states = {row[0]: _state(row) for row in _rows(cursor, "log_stores")}
        for store, name, created_at in _rows(cursor, "streams"):
            states[store].streams[name] = LogStream(name=name, created_at=created_at)
        _load_fields(cursor, {state.id: state.fields for state in states.values()})
        for state in states.values():
            row = cursor.execute(f"SELECT max(seq) FROM {state.table}").fetchone()
            state.next_seq = 0 if row is None or row[0] is None else row[0] + 1
        self.stores = {state.key: state for state in states.values()}
        self.cursors = {row[0]: row[1] for row in _rows(cursor, "cursors")}
        if DEFAULT_PROJECT not in self.projects:
            self.add_project(transaction, DEFAULT_PROJECT, "", now)

    def project(self, name: str) -> Project:
        """The project called ``name``.

        Raises:
            ControlError: ProjectNotFound.
        """
        found = self.projects.get(name)
        if found is None:
            raise ControlError("ProjectNotFound", 404, f"Project [{name}] not exists")
        return found

    def project_by_id(self, id_or_name: str) -> Project:
        """The project with this uuid; a name is taken as well.

        Source: observed in SDK tests, which delete a project by its name.

        Raises:
            ControlError: ProjectNotFound.
        """
        by_id = {project.uuid: project for project in self.projects.values()}
        return by_id.get(id_or_name) or self.project(id_or_name)

    def store(self, project: str, name: str) -> StoreState:
        """The LogStore ``name`` of ``project``.

        Raises:
            ControlError: LogStoreNotFound.
        """
        found = self.stores.get((project, name))
        if found is None:
            message = f"LogStore [{name}] not exists{self.explain_missing(project, name)}"
            raise ControlError("LogStoreNotFound", 404, message)
        return found

    def explain_missing(self, project: str, name: str) -> str:
        """What to add to the error for a LogStore that is not there; empty where nothing helps."""
        if self.has_view(project, name):
            return (
                "; it is a view, which has no records and no index of its own: it can be pulled and"
                " queried, with logStoreType=LOGSTORE_VIEW"
            )
        if project not in self.projects:
            return f"; there is no project [{project}]"
        elsewhere = next((one for one, store in tuple(self.stores) if store == name), None)
        return "" if elsewhere is None else f"; project [{elsewhere}] has one, [{project}] has not"

    def add_project(
        self, transaction: Transaction, name: str, description: str, now: float
    ) -> Project:
        """Make a project.

        Raises:
            ControlError: ProjectAlreadyExist, ResourceOverflow, InvalidParameter.
        """
        check_name("name", name)
        check_length("description", description)
        if name in self.projects:
            raise ControlError("ProjectAlreadyExist", 409, "Project already exists")
        check_room("projects", len(self.projects), MAX_PROJECTS)
        number = self.next_number(transaction)
        # The default project's uuid is the same in every database.
        seed = "default" if name == DEFAULT_PROJECT else f"{number}/{name}"
        row = (make_uuid(f"project/{seed}"), name, description, False, now, now)
        _insert(transaction, "projects", row)
        project = _project(row)
        self._show_project(transaction, project)
        return project

    def update_project(
        self, transaction: Transaction, project: Project, description: str, top: bool, now: float
    ) -> Project:
        """Change what can change of a project."""
        check_length("description", description)
        changed = replace(project, description=description, top=top, updated_at=now)
        # In its place: they are read back in the order of their rows.
        transaction.cursor.execute(
            f"UPDATE {SCHEMA}.projects SET description = $description, top = $top,"
            " updated_at = $now WHERE uuid = $uuid",
            {"description": description, "top": top, "now": now, "uuid": project.uuid},
        )
        self._show_project(transaction, changed)
        return changed

    def remove_project(self, transaction: Transaction, project: Project) -> None:
        """Remove a project without LogStores and views.

        Source: assumed, that views keep a project as LogStores do.

        Raises:
            ControlError: ProjectLogStoreNotEmpty; InvalidParameter for the default project.
        """
        if project.name == DEFAULT_PROJECT:
            raise invalid("uuid", "expected a project other than the default one, which stays")
        if any(name == project.name for name, _ in self.stores):
            raise ControlError("ProjectLogStoreNotEmpty", 409, "The project has LogStores")
        if self.has_views(project.name):
            raise ControlError("ProjectLogStoreNotEmpty", 409, "The project has LogStore views")
        _delete(transaction, "projects", "uuid", project.uuid)
        rest = {name: kept for name, kept in self.projects.items() if name != project.name}
        transaction.after_commit(lambda: setattr(self, "projects", rest))

    def add_store(
        self,
        transaction: Transaction,
        project: str,
        name: str,
        settings: LogStoreSettings,
        now: float,
    ) -> StoreState:
        """Make a LogStore and its table.

        Raises:
            ControlError: ProjectNotFound, LogStoreAlreadyExist, ResourceOverflow, InvalidParameter.
        """
        self.project(project)
        check_name("logStoreName", name)
        check_settings(settings)
        if (project, name) in self.stores:
            raise ControlError("LogStoreAlreadyExist", 409, f"LogStore [{name}] already exists")
        count = sum(owner == project for owner, _ in self.stores)
        check_room("logStores", count, MAX_LOG_STORES_PER_PROJECT)
        row = (
            self.next_number(transaction),
            project,
            name,
            msgspec.json.encode(settings).decode(),
            now,
            now,
        )
        state = _state(row)
        # Messages are most of the data; zstd keeps them small and is the quickest to write.
        transaction.cursor.execute(
            f"CREATE TABLE {state.table}(seq BIGINT, ts BIGINT, stream VARCHAR, sequence BIGINT,"
            " message VARCHAR USING COMPRESSION zstd, size INTEGER, type VARCHAR, tags VARCHAR)"
        )
        _insert(transaction, "log_stores", row)
        stores = {**self.stores, (project, name): state}
        transaction.after_commit(lambda: setattr(self, "stores", stores))
        return state

    def update_store(
        self, transaction: Transaction, state: StoreState, settings: LogStoreSettings, now: float
    ) -> LogStore:
        """Change a LogStore's settings.

        Raises:
            ControlError: InvalidParameter.
        """
        check_settings(settings)
        changed = replace(state.log_store, settings=settings, updated_at=now)
        encoded = msgspec.json.encode(settings).decode()
        transaction.cursor.execute(
            f"UPDATE {SCHEMA}.log_stores SET settings = $settings, updated_at = $now"
            f" WHERE id = {state.id}",
            {"settings": encoded, "now": now},
        )
        transaction.after_commit(lambda: setattr(state, "log_store", changed))
        return changed

    def remove_store(self, transaction: Transaction, state: StoreState) -> None:
        """Remove a LogStore with its records, streams and fields."""
        for table in ("streams", "fields", "tag_keys"):
            _delete(transaction, table, "store", state.id)
        _delete(transaction, "log_stores", "id", state.id)
        transaction.cursor.execute(f"DROP TABLE {state.table}")
        rest = {other: kept for other, kept in self.stores.items() if other != state.key}
        transaction.after_commit(lambda: setattr(self, "stores", rest))

    def set_cursor(self, transaction: Transaction, name: str, position: int, now: float) -> None:
        """Keep the position of a delivery, and that it was reached at ``now``."""
        _delete(transaction, "cursors", "name", name)
        _insert(transaction, "cursors", (name, position))
        cursors = {**self.cursors, name: position}
        transaction.after_commit(lambda: setattr(self, "cursors", cursors))
        self.keep_clock(transaction, now)

    def keep_clock(self, transaction: Transaction, now: float) -> None:
        """Keep that the clock has come to ``now``, of what does not say when it was changed."""
        if self.clock_at is None or now > self.clock_at:
            _delete(transaction, "counters", "name", "clock")
            # Rounded up: the next run may not begin before what this one has delivered.
            _insert(transaction, "counters", ("clock", math.ceil(now * 1_000_000)))
            transaction.after_commit(lambda: setattr(self, "clock_at", now))

    def add_stream(
        self, transaction: Transaction, state: StoreState, name: str, now: float
    ) -> None:
        """Remember a stream at its first record; the one without a name is not listed."""
        if name and name not in state.streams:
            _insert(transaction, "streams", (state.id, name, now))
            streams = {**state.streams, name: LogStream(name=name, created_at=now)}
            transaction.after_commit(lambda: setattr(state, "streams", streams))

    def add_fields(
        self, transaction: Transaction, state: StoreState, changes: FieldChanges
    ) -> None:
        """Keep newly discovered fields and give them their columns."""
        for found in changes.discovered:
            if found.position is not None:
                transaction.cursor.execute(
                    f"ALTER TABLE {state.table} ADD COLUMN f{found.position} VARCHAR"
                )
            row = (state.id, found.name, found.position, found.kind, found.since_seq)
            _insert(transaction, "fields", row)
        for known in changes.retyped:
            transaction.cursor.execute(
                f"UPDATE {SCHEMA}.fields SET kind = $kind"
                f" WHERE store = {state.id} AND name = $name",
                {"kind": known.kind, "name": known.name},
            )
        changed = changes.discovered + changes.retyped
        transaction.after_commit(lambda: state.fields.apply(changed))

    def add_tag_keys(
        self, transaction: Transaction, state: StoreState, keys: frozenset[str]
    ) -> None:
        """Keep the keys of tags not seen before."""
        new = keys - state.fields.tag_keys
        for key in sorted(new):
            _insert(transaction, "tag_keys", (state.id, key))
        if new:
            transaction.after_commit(lambda: state.fields.add_tag_keys(new))

    def next_number(self, transaction: Transaction) -> int:
        """A number that nothing made in this database has had."""
        self._made += 1
        _delete(transaction, "counters", "name", "made")
        _insert(transaction, "counters", ("made", self._made))
        return self._made

    def _show_project(self, transaction: Transaction, project: Project) -> None:
        projects = {**self.projects, project.name: project}
        transaction.after_commit(lambda: setattr(self, "projects", projects))


def check_settings(settings: LogStoreSettings) -> None:
    """Refuse what the service refuses.

    Raises:
        ControlError: InvalidParameter naming the parameter.
    """
    retention = settings.retention_days
    if retention != -1 and not 1 <= retention <= 3650:
        raise invalid("retention", "expected 1 to 3650 days, or -1", retention)
    if settings.enable_hot_retention:
        if retention != -1 and retention <= 7:
            expected = f"expected false, or a retention of more than 7 days, not {retention}"
            raise invalid("enableHotRetention", expected)
        hot = settings.hot_retention_days
        if hot < 1 or (retention != -1 and hot >= retention):
            most = "" if retention == -1 else f" to {retention - 1}, less than the retention"
            raise invalid("hotRetention", f"expected 1 day{most or ' or more'}", hot)
    if not 1 <= settings.shard_count <= 50:
        raise invalid("shardCount", "expected 1 to 50", settings.shard_count)
    if not 1 <= settings.max_shard_count <= 50:
        raise invalid("maxShardCount", "expected 1 to 50", settings.max_shard_count)
    for number, (key, value) in enumerate(settings.tags):
        _check_tag_text(f"tags[{number}].tagKey", key, 1)
        _check_tag_text(f"tags[{number}].tagValue", value, 0)


def _check_tag_text(place: str, text: str, least: int) -> None:
    if not least <= len(text) <= 65 or not _TAG_TEXT.fullmatch(text):
        expected = f"expected {least} to 65 letters, digits, Chinese characters and `-_ /.`"
        raise invalid(place, expected, text)


def check_name(parameter: str, name: str) -> None:
    """Refuse what cannot be the name of a project, of a LogStore and its like.

    Raises:
        ControlError: InvalidParameter naming the parameter.
    """
    if not _NAME.fullmatch(name):
        raise invalid(parameter, "expected 1 to 128 of letters, digits, `_`, `-` and `.`", name)


def _project(row: Row) -> Project:
    uuid, name, description, top, created_at, updated_at = row
    return Project(
        uuid=uuid,
        name=name,
        description=description,
        top=top,
        created_at=created_at,
        updated_at=updated_at,
    )


def _state(row: Row) -> StoreState:
    id_, project, name, settings, created_at, updated_at = row
    table = f"{SCHEMA}.records_{id_}"
    return StoreState(
        id=id_,
        table=table,
        fields=FieldCatalog(table),
        log_store=LogStore(
            project=project,
            name=name,
            settings=msgspec.json.decode(settings, type=LogStoreSettings),
            short_id=_digest(f"short/{id_}/{project}/{name}")[:8],
            resource_id=_digest(f"resource/{id_}/{project}/{name}")[:24],
            created_at=created_at,
            updated_at=updated_at,
        ),
    )


def _load_fields(cursor: Cursor, fields: Mapping[int, FieldCatalog], where: str = "") -> None:
    """Read what is kept of fields and tags, by the ids of their LogStores."""
    for store, name, position, kind, since_seq in _rows(cursor, f"fields {where}"):
        found = DiscoveredField(name=name, position=position, kind=Kind(kind), since_seq=since_seq)
        fields[store].apply([found])
    for store, name in _rows(cursor, f"tag_keys {where}"):
        fields[store].add_tag_keys([name])


def _digest(seed: str) -> str:
    return hashlib.blake2b(seed.encode(), digest_size=16).hexdigest()


def make_uuid(seed: str) -> str:
    """A UUID that follows from ``seed``."""
    digest = _digest(seed)
    return "-".join((digest[:8], digest[8:12], digest[12:16], digest[16:20], digest[20:]))


def _rows(cursor: Cursor, table: str) -> list[Row]:
    return cursor.execute(f"SELECT * FROM {SCHEMA}.{table} ORDER BY rowid").fetchall()


def _insert(transaction: Transaction, table: str, row: Row) -> None:
    marks = ", ".join("?" * len(row))
    transaction.cursor.execute(f"INSERT INTO {SCHEMA}.{table} VALUES ({marks})", list(row))


def _delete(transaction: Transaction, table: str, column: str, value: object) -> None:
    transaction.cursor.execute(f"DELETE FROM {SCHEMA}.{table} WHERE {column} = ?", [value])
