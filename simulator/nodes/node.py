"""What the simulator knows of one service node that is a process of its own."""

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass

from simulator.clock import monotonic
from simulator.dataplane import ListenerKey
from simulator.model import Cluster, LoadBalancerId, ServiceNode
from simulator.nodes.channel import Channel
from simulator.nodes.messages import (
    Closed,
    Committed,
    Full,
    Idle,
    Prepared,
    RecentRecord,
    Refused,
    Reported,
    Woken,
)
from simulator.nodes.page import NodeCells
from simulator.nodes.sockets import SocketGroup
from simulator.nodes.traffic import NodeTraffic
from simulator.spool import RemoteSeries

Answer = Callable[[object | None], None]
"""Called once with what a node answers, or with None when it is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """A service node, for people."""

    cluster: str
    index: int
    address: str
    pid: int | None
    """None while it is started."""
    started_at: float
    """Unix seconds on the simulated clock."""
    restart_count: int
    connections: int
    """Client connections open when it last told."""
    request_count: int
    """Requests answered, those of earlier processes of it included."""


class Node:
    """One node: its process, as far as there is one, and its series.

    Args:
        cluster: it belongs to.
        service_node: which of it.
        place: in the page.
        cells: what it shows there.
        on_activity: called after every message: what it has under way may be over.
        time: tells the simulated instant.
        on_full: called when it has found the spool full.
        on_lost: called when its process is gone, and everything that one sent has been taken.
    """

    def __init__(
        self,
        *,
        cluster: Cluster,
        service_node: ServiceNode,
        place: int,
        cells: NodeCells,
        on_activity: Callable[[], None],
        on_full: Callable[["Node"], None],
        on_lost: Callable[["Node"], None],
        time: Callable[[], float],
    ) -> None:
        self.cluster = cluster
        self.service_node = service_node
        self.place = place
        self.cells = cells
        self.series: dict[LoadBalancerId, RemoteSeries] = {}
        self.pid: int | None = None
        self.started_at = 0.0
        self.started_mono = 0.0
        self.restart_count = 0
        self.failure_count = 0
        """Processes in a row that did not live long."""
        self.groups: dict[ListenerKey, SocketGroup] = {}
        """Of which its process has its socket."""
        self.recent: tuple[RecentRecord, ...] = ()
        self._traffic = NodeTraffic()
        self._traffic_before = NodeTraffic()
        self.slot = cells.slot
        self._counts = cells.counts
        self._on_activity = on_activity
        self._on_full = on_full
        self._on_lost = on_lost
        self._time = time
        self.written_until = time()
        """Every record dated before this is in the spool: asked at this instant, it answered."""
        self._channel: Channel | None = None
        self._received = 0
        self._requests_before = 0
        self._answers: dict[int, tuple[float, float, Answer]] = {}
        """When it was asked, on the clock and in monotonic seconds, and who waits."""

    @property
    def is_up(self) -> bool:
        """Whether it has a process."""
        return self._channel is not None

    @property
    def is_busy(self) -> bool:
        """Whether a request or a hold is under way in it, or a message on its way from it."""
        slot = self.slot
        return bool(slot.requests or slot.holds) or self._counts.sent != self._received

    def begin(self) -> socket.socket:
        """Make it that of a new process; returns that one's end of the channel."""
        assert self._channel is None
        self.slot.reset()
        self._counts.reset()
        self._received = 0
        self.groups = {}
        ours, theirs = socket.socketpair()
        self._channel = Channel(ours, on_message=self._take, on_closed=self._ended)
        return theirs

    def send(self, message: object, descriptors: list[int] | None = None) -> None:
        """Send a message; nothing happens while it has no process."""
        if self._channel is not None:
            self._channel.send(message, descriptors)

    def ask(self, number: int, message: object, answer: Answer) -> None:
        """Send a message and have ``answer`` called; at once with None if there is no process.

        Args:
            number: of the message, which the answer repeats.
            message: to send.
            answer: called once.
        """
        if self._channel is None:
            answer(None)
            return
        self._answers[number] = self._time(), monotonic(), answer
        self._channel.send(message)

    async def asked(self, number: int, message: object) -> object | None:
        """The answer to a message, as with ``ask``."""
        answered: asyncio.Future[object | None] = asyncio.get_running_loop().create_future()
        self.ask(number, message, lambda found: _resolve(answered, found))
        return await answered

    @property
    def silent_s(self) -> float:
        """How many real seconds the oldest question has been without an answer."""
        asked = next(iter(self._answers.values()), None)
        return 0.0 if asked is None else monotonic() - asked[1]

    def drop(self) -> None:
        """Have no more to do with its process."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    @property
    def request_count(self) -> int:
        """Requests answered, those of earlier processes included."""
        return self._requests_before + self.slot.ended_count

    @property
    def traffic(self) -> NodeTraffic:
        """What it has served, as it last told; what a process did after that is not in it."""
        traffic = NodeTraffic()
        traffic.merge(self._traffic_before)
        traffic.merge(self._traffic)
        return traffic

    def status(self) -> NodeStatus:
        """For people."""
        return NodeStatus(
            cluster=self.cluster.name,
            index=self.service_node.index,
            address=self.service_node.address,
            pid=self.pid,
            started_at=self.started_at,
            restart_count=self.restart_count,
            connections=self._traffic.open_connections,
            request_count=self.request_count,
        )

    def _take(self, message: object, _descriptors: list[int]) -> None:
        self._received += 1
        match message:
            case Closed(segment=segment):
                self.series[LoadBalancerId(segment.load_balancer_id)].reported(segment)
            case Full():
                self._on_full(self)
            case Idle():
                pass
            case Prepared() | Refused() | Committed() | Woken() | Reported():
                if isinstance(message, Reported):
                    self._traffic = message.traffic
                    if message.records is not None:
                        self.recent = message.records
                asked_at, _, answer = self._answers.pop(message.number)
                self.written_until = max(self.written_until, asked_at)
                answer(message)
            case _:
                raise AssertionError(f"a node sent {message!r}")
        self._on_activity()

    def _ended(self) -> None:
        self._channel = None
        self._requests_before += self.slot.ended_count
        self.pid = None
        self.recent = ()
        self._traffic.ended()
        self._traffic_before.merge(self._traffic)
        self._traffic = NodeTraffic()
        self.slot.reset()
        self._counts.reset()
        self._received = 0
        self._on_lost(self)
        self.written_until = self._time()
        answers, self._answers = self._answers, {}
        for _, _, answer in answers.values():
            answer(None)


def _resolve(future: asyncio.Future[object | None], found: object | None) -> None:
    if not future.done():
        future.set_result(found)
