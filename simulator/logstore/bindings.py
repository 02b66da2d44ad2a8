"""Bindings: other products of the vendor pin a LogStore so that nobody deletes it."""

from dataclasses import dataclass
from typing import Final

import msgspec

from simulator.errors import ControlError, invalid
from simulator.logstore.catalog import Catalog
from simulator.logstore.database import Database
from simulator.logstore.lengths import check_length
from simulator.logstore.resources import ResourceTable

MAX_BINDING_TEXT: Final = 256
"""Source: assumed (no limit is documented)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """One product's hold on a LogStore."""

    project: str
    log_store: str
    scope: str
    """The product, for example ``EDAP``."""
    sub_scope: str = ""
    id: str = ""
    user_id: str = ""

    @property
    def key(self) -> str:
        """What tells bindings apart: binding twice is binding once."""
        parts = (self.project, self.log_store, self.scope, self.sub_scope, self.id)
        return msgspec.json.encode(parts).decode()


class Bindings:
    """Every binding."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        self._table = ResourceTable(database, "bindings", Binding)

    def bind(self, binding: Binding) -> None:
        """Pin a LogStore.

        Raises:
            ControlError: LogStoreNotFound, InvalidParameter.
        """
        if not binding.scope:
            raise invalid("scope", "is required")
        for parameter, text in (
            ("scope", binding.scope),
            ("subScope", binding.sub_scope),
            ("id", binding.id),
            ("userID", binding.user_id),
        ):
            check_length(parameter, text, MAX_BINDING_TEXT)
        with self._database.writing() as transaction:
            self._catalog.store(binding.project, binding.log_store)
            self._table.put(transaction, binding.key, binding)

    def unbind(self, binding: Binding) -> None:
        """Let go of a LogStore; what is not bound is let go of already.

        Source: assumed: texts that ``binding`` leaves empty match any.

        Raises:
            ControlError: LogStoreNotFound.
        """
        with self._database.writing() as transaction:
            self._catalog.store(binding.project, binding.log_store)
            for key, held in self._table.items.items():
                if (
                    (held.project, held.log_store) == (binding.project, binding.log_store)
                    and binding.scope in {"", held.scope}
                    and binding.sub_scope in {"", held.sub_scope}
                    and binding.id in {"", held.id}
                ):
                    self._table.remove(transaction, key)

    def scopes(self, project: str, log_store: str) -> tuple[str, ...]:
        """Who has pinned a LogStore."""
        return tuple(
            held.scope
            for held in self._table.items.values()
            if (held.project, held.log_store) == (project, log_store)
        )

    def check_unbound(self, project: str, log_store: str) -> None:
        """Refuse to delete what is pinned.

        Source: observed in SDK tests, the code; its status is assumed.

        Raises:
            ControlError: LogStoreAlreadyBind.
        """
        scopes = self.scopes(project, log_store)
        if scopes:
            raise ControlError(
                "LogStoreAlreadyBind",
                409,
                f"LogStore [{log_store}] is bound to {', '.join(scopes)}; unbind it first",
            )
