"""Flow logs as their API speaks of them, and what it asks of the simulation."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class DestinationType(StrEnum):
    """What a flow log delivers to, by the name on the wire."""

    BLS = "BLS"
    BOS = "BOS"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogTarget:
    """Where a flow log is asked to deliver to."""

    type: DestinationType
    project: str = ""
    log_store: str = ""
    bucket: str = ""
    prefix: str = ""
    region: str = ""
    """Empty: that of the simulation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogRequest:
    """A flow log that is to be made."""

    name: str
    description: str = ""
    resource_type: str = "blb"
    resource_id: str
    layer: int = 7
    traffic_type: str = ""
    """Of layer 4: ``ALL``, ``ACCEPT`` or ``REJECT``; empty: not given."""
    sampling_rate: float = 1.0
    target: FlowLogTarget


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogEdit:
    """What is to change of a flow log; None leaves it."""

    name: str | None = None
    description: str | None = None
    target: FlowLogTarget | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowLogInfo:
    """A flow log as it is."""

    flow_log_id: str
    name: str
    description: str
    resource_type: str
    resource_id: str
    layer: int
    target: FlowLogTarget
    status: str
    """``running``, ``stopped`` or ``abnormal``."""
    created_at: float
    """Unix seconds on the simulated clock."""


class FlowLogRegistry(Protocol):
    """The flow logs of a simulation.

    Every method raises ControlError: FlowLogNotFound for an id it does not know.
    """

    def list(self) -> tuple[FlowLogInfo, ...]:
        """All of them, in the order they were made."""
        ...

    def get(self, flow_log_id: str) -> FlowLogInfo:
        """One of them."""
        ...

    async def create(self, request: FlowLogRequest) -> FlowLogInfo:
        """Make a flow log; it takes what is written from now on.

        Raises:
            ControlError: QuotaExceeded, InstanceNotFound, LogStoreNotFound, NoSuchBucket,
                OperationNotSupported, FlowLogAlreadyExist, InvalidParameter.
        """
        ...

    async def update(self, flow_log_id: str, edit: FlowLogEdit) -> FlowLogInfo:
        """Change it; a new destination gets what is written from now on.

        Raises:
            ControlError: as ``create`` does.
        """
        ...

    async def start(self, flow_log_id: str) -> FlowLogInfo:
        """Take what is written from now on; nothing changes if it runs."""
        ...

    async def stop(self, flow_log_id: str) -> FlowLogInfo:
        """Take nothing more; what was written is still delivered."""
        ...

    async def delete(self, flow_log_id: str) -> None:
        """Stop it and forget it; what it has delivered stays."""
        ...
