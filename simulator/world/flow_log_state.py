"""What is kept of flow logs over a restart: resources, their versions, changes put off."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import msgspec

from simulator.delivery import FlowLogVersion
from simulator.model import (
    BucketDestination,
    DelayDistribution,
    FlowLog,
    FlowLogId,
    LoadBalancerId,
    LogStoreDestination,
)
from simulator.world.state import read_kept


class ChangeKind(StrEnum):
    """Half of a change."""

    END = "end"
    """The newest version takes nothing more."""
    OPEN = "open"
    """The next version takes what is written from then on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Half of a change that takes effect at its instant."""

    flow_log_id: FlowLogId
    kind: ChangeKind
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A flow log as a resource."""

    flow_log: FlowLog
    description: str = ""
    resource_type: str = "blb"
    resource_id: str
    layer: int = 7
    created_at: float
    is_running: bool = True
    is_served: bool = True
    """Whether records of it exist at all: not of resources that are no load balancers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All flow logs at one moment."""

    flow_logs: tuple[Kept, ...] = ()
    versions: tuple[FlowLogVersion, ...] = ()
    """Oldest first."""
    changes: tuple[Change, ...] = ()
    """Put off, in order."""
    deleted: tuple[FlowLogId, ...] = ()
    """Of the scenario's, which must not come back with a restart."""
    change_count: int = 0

    def find(self, flow_log_id: FlowLogId) -> Kept | None:
        """The flow log with this id."""
        return next(
            (one for one in self.flow_logs if one.flow_log.flow_log_id == flow_log_id), None
        )

    def open_versions(self) -> tuple[FlowLogVersion, ...]:
        """What a delivery begins with: everything that may still owe something, under the names
        of now."""
        names = {one.flow_log.flow_log_id: one.flow_log.name for one in self.flow_logs}
        return tuple(
            replace(
                one,
                flow_log=replace(
                    one.flow_log, name=names.get(one.flow_log.flow_log_id, one.flow_log.name)
                ),
            )
            for one in self.versions
        )

    def with_scenario(self, scenario: Iterable[FlowLog], now: float) -> "State":
        """With the scenario's flow logs that it does not know yet."""
        known = {one.flow_log.flow_log_id for one in self.flow_logs} | set(self.deleted)
        new = [one for one in scenario if one.flow_log_id not in known]
        return replace(
            self,
            flow_logs=(
                *self.flow_logs,
                *(
                    Kept(flow_log=one, resource_id=one.load_balancer_id, created_at=now)
                    for one in new
                ),
            ),
            versions=(*self.versions, *(FlowLogVersion(flow_log=one) for one in new)),
        )

    def unlike(self, scenario: Iterable[FlowLog]) -> list[str]:
        """Names of the scenario's flow logs that are here in another form, or were deleted."""
        kept = {one.flow_log.flow_log_id: one.flow_log for one in self.flow_logs}
        return [
            one.name
            for one in scenario
            if one.flow_log_id in self.deleted or kept.get(one.flow_log_id, one) != one
        ]

    def with_flow_log(self, kept: Kept) -> "State":
        """With a flow log made or changed."""
        others = self.find(kept.flow_log.flow_log_id)
        flow_logs = (
            (*self.flow_logs, kept)
            if others is None
            else tuple(kept if one is others else one for one in self.flow_logs)
        )
        return replace(self, flow_logs=flow_logs, change_count=self.change_count + 1)

    def without_flow_log(self, flow_log_id: FlowLogId) -> "State":
        """With a flow log deleted; what it has taken is still delivered."""
        return replace(
            self,
            flow_logs=tuple(
                one for one in self.flow_logs if one.flow_log.flow_log_id != flow_log_id
            ),
            changes=tuple(one for one in self.changes if one.flow_log_id != flow_log_id),
            deleted=(*self.deleted, flow_log_id),
            change_count=self.change_count + 1,
        )

    def with_changes(self, changes: tuple[Change, ...]) -> "State":
        """With changes in place of those of the same flow log that were put off before."""
        ids = {change.flow_log_id for change in changes}
        kept = tuple(one for one in self.changes if one.flow_log_id not in ids)
        return replace(self, changes=(*kept, *changes))

    def without_change(self, change: Change) -> "State":
        """With a change that takes effect."""
        return replace(self, changes=tuple(one for one in self.changes if one != change))

    def next_version(self, flow_log: FlowLog, after: Mapping[str, int]) -> FlowLogVersion:
        """The version that follows the newest of a flow log."""
        numbers = [one.number for one in self.versions if _is_of(one, flow_log.flow_log_id)]
        number = max(numbers, default=-1) + 1
        return FlowLogVersion(flow_log=flow_log, number=number, after=dict(after))

    def with_version(self, version: FlowLogVersion) -> "State":
        """With one more version."""
        return replace(self, versions=(*self.versions, version))

    def with_end(self, flow_log_id: FlowLogId, upto: Mapping[str, int]) -> "State":
        """With an end to the version of a flow log that has none."""
        return replace(
            self,
            versions=tuple(
                one.ended(dict(upto)) if _is_of(one, flow_log_id) and one.upto is None else one
                for one in self.versions
            ),
        )

    def encode(self) -> bytes:
        """As bytes for a file."""
        return msgspec.msgpack.encode(
            _File(
                flow_logs=tuple(_KeptFile.of(one) for one in self.flow_logs),
                versions=tuple(_VersionFile.of(one) for one in self.versions),
                changes=self.changes,
                deleted=self.deleted,
                change_count=self.change_count,
            )
        )


def read_state(file: Path) -> State:
    """What ``file`` keeps; an empty state if there is no file.

    Raises:
        StartupError: it cannot be read, or is damaged.
    """
    kept = read_kept(file, _File, advice="go on with the scenario's flow logs alone")
    if kept is None:
        return State()
    return State(
        flow_logs=tuple(one.to_kept() for one in kept.flow_logs),
        versions=tuple(one.to_version() for one in kept.versions),
        changes=kept.changes,
        deleted=kept.deleted,
        change_count=kept.change_count,
    )


class _FlowLogFile(msgspec.Struct):
    """A flow log; a union of destinations cannot be told apart in a file."""

    flow_log_id: FlowLogId
    name: str
    load_balancer_id: LoadBalancerId
    log_store: LogStoreDestination | None
    bucket: BucketDestination | None
    delay: DelayDistribution

    @classmethod
    def of(cls, flow_log: FlowLog) -> "_FlowLogFile":
        destination = flow_log.destination
        return cls(
            flow_log_id=flow_log.flow_log_id,
            name=flow_log.name,
            load_balancer_id=flow_log.load_balancer_id,
            log_store=destination if isinstance(destination, LogStoreDestination) else None,
            bucket=destination if isinstance(destination, BucketDestination) else None,
            delay=flow_log.delay,
        )

    def to_flow_log(self) -> FlowLog:
        destination = self.log_store or self.bucket
        assert destination is not None
        return FlowLog(
            flow_log_id=self.flow_log_id,
            name=self.name,
            load_balancer_id=self.load_balancer_id,
            destination=destination,
            delay=self.delay,
        )


class _KeptFile(msgspec.Struct):
    flow_log: _FlowLogFile
    description: str
    resource_type: str
    resource_id: str
    layer: int
    created_at: float
    is_running: bool
    is_served: bool

    @classmethod
    def of(cls, kept: Kept) -> "_KeptFile":
        return cls(
            flow_log=_FlowLogFile.of(kept.flow_log),
            description=kept.description,
            resource_type=kept.resource_type,
            resource_id=kept.resource_id,
            layer=kept.layer,
            created_at=kept.created_at,
            is_running=kept.is_running,
            is_served=kept.is_served,
        )

    def to_kept(self) -> Kept:
        return Kept(
            flow_log=self.flow_log.to_flow_log(),
            description=self.description,
            resource_type=self.resource_type,
            resource_id=self.resource_id,
            layer=self.layer,
            created_at=self.created_at,
            is_running=self.is_running,
            is_served=self.is_served,
        )


class _VersionFile(msgspec.Struct):
    flow_log: _FlowLogFile
    number: int
    after: dict[str, int]
    upto: dict[str, int] | None

    @classmethod
    def of(cls, version: FlowLogVersion) -> "_VersionFile":
        return cls(
            flow_log=_FlowLogFile.of(version.flow_log),
            number=version.number,
            after=dict(version.after),
            upto=None if version.upto is None else dict(version.upto),
        )

    def to_version(self) -> FlowLogVersion:
        return FlowLogVersion(
            flow_log=self.flow_log.to_flow_log(),
            number=self.number,
            after=self.after,
            upto=self.upto,
        )


class _File(msgspec.Struct):
    flow_logs: tuple[_KeptFile, ...]
    versions: tuple[_VersionFile, ...]
    changes: tuple[Change, ...]
    deleted: tuple[FlowLogId, ...]
    change_count: int


def _is_of(version: FlowLogVersion, flow_log_id: FlowLogId) -> bool:
    return version.flow_log.flow_log_id == flow_log_id
