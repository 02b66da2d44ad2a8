"""Templates of LogStores: defaults for those that are made under a matching name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final

from simulator.clock import Clock
from simulator.errors import ControlError, invalid, within
from simulator.logstore.catalog import check_name, check_settings
from simulator.logstore.database import Database
from simulator.logstore.indexes import check_index_of
from simulator.logstore.resources import ResourceTable, check_room
from simulator.logstore.values import IndexSettings, LogStoreSettings
from simulator.logstore.wildcards import compile_pattern

MAX_TEMPLATES: Final = 100
MAX_PATTERNS: Final = 100
MAX_PATTERN_LENGTH: Final = 128
"""Source: assumed (no limit is documented)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSettings:
    """What a template says of a LogStore; None is left to other templates, then to the default."""

    retention_days: int | None = None
    shard_count: int | None = None
    max_shard_count: int | None = None
    disable_shard_auto_split: bool | None = None
    enable_hot_retention: bool | None = None
    hot_retention_days: int | None = None
    index: IndexSettings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateContent:
    """The part of a template its owner can change."""

    project_patterns: tuple[str, ...]
    """``*`` stands for any text."""
    log_store_patterns: tuple[str, ...]
    priority: int
    """No two templates have the same; the highest goes first."""
    settings: TemplateSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A template."""

    name: str
    content: TemplateContent
    created_at: float
    updated_at: float


class Templates:
    """Every template."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._table = ResourceTable(database, "templates", Template)

    def create(self, name: str, content: TemplateContent) -> None:
        """Make a template; LogStores that are there stay as they are.

        Source: assumed: names of the errors.

        Raises:
            ControlError: LogStoreTemplateAlreadyExist, ResourceOverflow, InvalidParameter.
        """
        check_name("name", name)
        with self._database.writing() as transaction:
            if name in self._table.items:
                raise ControlError(
                    "LogStoreTemplateAlreadyExist", 409, f"LogStoreTemplate [{name}] already exists"
                )
            self._check(name, content)
            check_room("templates", len(self._table.items), MAX_TEMPLATES)
            now = self._clock.time()
            made = Template(name=name, content=content, created_at=now, updated_at=now)
            self._table.put(transaction, name, made)

    def update(self, name: str, change: Callable[[TemplateContent], TemplateContent]) -> None:
        """Put what ``change`` makes of a template's content in its place.

        Raises:
            ControlError: LogStoreTemplateNotFound, InvalidParameter.
        """
        with self._database.writing() as transaction:
            before = self.describe(name)
            content = change(before.content)
            self._check(name, content)
            after = replace(before, content=content, updated_at=self._clock.time())
            self._table.put(transaction, name, after)

    def describe(self, name: str) -> Template:
        """The template called ``name``.

        Raises:
            ControlError: LogStoreTemplateNotFound.
        """
        found = self._table.items.get(name)
        if found is None:
            raise ControlError(
                "LogStoreTemplateNotFound", 404, f"LogStoreTemplate [{name}] not found"
            )
        return found

    def delete(self, names: Sequence[str]) -> None:
        """Forget templates, all or none.

        Raises:
            ControlError: LogStoreTemplateNotFound.
        """
        with self._database.writing() as transaction:
            for name in dict.fromkeys(names):
                self.describe(name)
                self._table.remove(transaction, name)

    def list_all(self) -> list[Template]:
        """Every template, in the order made."""
        return list(self._table.items.values())

    def defaults(self, project: str, log_store: str) -> LogStoreSettings:
        """What a new LogStore has where its owner says nothing; retention 0 when nobody says.

        Each value is that of the matching template of the highest priority which has it.
        """
        matching = sorted(
            (one.content for one in self.list_all() if _matches(one.content, project, log_store)),
            key=lambda content: content.priority,
        )
        settings = LogStoreSettings(retention_days=0)
        for content in matching:  # the highest is the last word
            said = {
                field.name: value
                for field in fields(TemplateSettings)
                if (value := getattr(content.settings, field.name)) is not None
            }
            settings = replace(settings, **said)
        return settings

    def _check(self, name: str, content: TemplateContent) -> None:
        for parameter, patterns in (
            ("projectPatterns", content.project_patterns),
            ("logstorePatterns", content.log_store_patterns),
        ):
            if not 1 <= len(patterns) <= MAX_PATTERNS:
                raise invalid(
                    parameter, f"expected 1 to {MAX_PATTERNS} patterns, not {len(patterns)}"
                )
            for number, pattern in enumerate(patterns):
                if not 1 <= len(pattern) <= MAX_PATTERN_LENGTH:
                    expected = f"expected 1 to {MAX_PATTERN_LENGTH} characters"
                    raise invalid(f"{parameter}[{number}]", expected, pattern)
        for other in self.list_all():
            if other.name != name and other.content.priority == content.priority:
                expected = f"expected another than that of the template [{other.name}]"
                raise invalid("priority", expected, content.priority)
        settings = content.settings
        whole = LogStoreSettings(retention_days=settings.retention_days or 3650)
        whole = replace(whole, index=settings.index)
        whole = replace(
            whole,
            shard_count=settings.shard_count or whole.shard_count,
            max_shard_count=settings.max_shard_count or whole.max_shard_count,
            enable_hot_retention=bool(settings.enable_hot_retention),
            hot_retention_days=settings.hot_retention_days or 0,
        )
        with within("template"):
            check_index_of(whole)
            check_settings(whole)


def _matches(content: TemplateContent, project: str, log_store: str) -> bool:
    return any(compile_pattern(one)(project) for one in content.project_patterns) and any(
        compile_pattern(one)(log_store) for one in content.log_store_patterns
    )
