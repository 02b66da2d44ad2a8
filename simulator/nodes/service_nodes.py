"""All service nodes that are processes: started, told what to serve, started again, stopped.

The simulator keeps their listening sockets and their channels and owns everything behind the
spool. A node that dies loses what is in its hands: its connections. What it spooled is read back.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Final

from simulator.clock import SimulatedClock, monotonic, real_sleep
from simulator.dataplane import ListenerAddress, ListenerKey
from simulator.errors import StartupError
from simulator.model import BackendServerId, Cluster, LoadBalancerId, TlsSettings
from simulator.nodes.channel import MAX_DESCRIPTORS
from simulator.nodes.forker import Forker
from simulator.nodes.messages import (
    Begin,
    Commit,
    Cut,
    Health,
    Hold,
    Prepare,
    RecentRecord,
    RecordFormat,
    Refused,
    Report,
    Resume,
    SeriesOrder,
    ServedListener,
    Sockets,
    Stop,
    Wake,
)
from simulator.nodes.node import Node, NodeStatus
from simulator.nodes.page import SERIES_PER_NODE, NodePage, make_page_file
from simulator.nodes.sockets import Groups, ListenerSockets
from simulator.nodes.traffic import NodeTraffic
from simulator.spool import RemoteSeries, Spool, WhenFull

_log = logging.getLogger(__name__)

_SHORT_LIFE_S: Final = 1.0
"""A process that ends sooner is started again only after a while."""
_FIRST_WAIT_S: Final = 0.1
_LONGEST_WAIT_S: Final = 5.0
_STOP_S: Final = 1.0
"""Real seconds that a node may take to stop beyond its draining."""
_WATCH_S: Final = 1.0
_STOP_PAUSE_S: Final = 0.005
_SPARE_CONTEXTS: Final = 16
"""For HTTPS listeners that are added or given another certificate later."""

Unusable = Callable[[], tuple[tuple[LoadBalancerId, str, BackendServerId], ...]]
"""Load balancer, scope and id of each server that gets no traffic now."""


class ServiceNodes:
    """The nodes of every cluster that has several.

    Args:
        clusters: with more than one node each.
        clock: they follow it.
        spool: gets their series.
        record: how records are written.
        https_count: HTTPS listeners there will be, more or less.
        keep: descriptors that every node holds open until it ends.
        unusable: what health checks have found; a node that starts is told.
        tasks: outlives the nodes; those that died are started again in it.
        patience_s: real seconds after which a node that does not answer is killed.

    After making it you must call ``aclose`` on the same event loop.
    """

    def __init__(
        self,
        clusters: Sequence[Cluster],
        *,
        clock: SimulatedClock,
        spool: Spool,
        record: RecordFormat,
        https_count: int,
        keep: Sequence[int],
        unusable: Unusable,
        tasks: asyncio.TaskGroup,
        patience_s: float = 30.0,
    ) -> None:
        self._clock = clock
        self._spool = spool
        self._record = record
        self._keep = tuple(keep)
        self._unusable = unusable
        self._tasks = tasks
        self._patience_s = patience_s
        self._watch: asyncio.TimerHandle | None = None
        self._context_count = _SPARE_CONTEXTS + 2 * https_count
        placed = [(cluster, node) for cluster in clusters for node in cluster.nodes]
        self._page_file = make_page_file(len(placed))
        self._page = NodePage(self._page_file)
        if spool.room is not None:
            self._page.share(spool.room, -1)
        self._is_held = False
        self._nodes = tuple(
            Node(
                cluster=cluster,
                service_node=service_node,
                place=place,
                cells=self._page.node(place),
                on_activity=self._on_activity,
                on_full=self._on_full,
                on_lost=self._on_lost,
                time=clock.time,
            )
            for place, (cluster, service_node) in enumerate(placed)
        )
        for node in self._nodes:
            node.slot.reset()
        self._numbers = count(1)
        self._is_started = False
        self._served: tuple[ServedListener, ...] = ()
        self._sockets = ListenerSockets()
        self._contexts: dict[tuple[ListenerKey, TlsSettings], int] = {}
        self._applying = asyncio.Lock()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closing = False
        self._forker = self._make_forker()
        clock.lead(self)

    # -- what they serve

    async def apply(self, served: Iterable[ServedListener]) -> tuple[ListenerAddress, ...]:
        """Serve these listeners from now on, on all nodes of the cluster of each.

        Nodes change one after another, within moments. See ``DataPlane.apply``.

        Returns:
            Where each listens, in the order given.

        Raises:
            StartupError: a socket cannot be had, or a node refuses; then nothing has changed.
        """
        async with self._applying:
            served = tuple(served)
            opened = self._sockets.open(served)
            try:
                if self._is_started:
                    await self._change(served, opened)
                else:
                    await self._start_all(served, opened)
            except BaseException:
                self._sockets.discard(opened)
                raise
            return tuple(self._sockets.address(each) for each in served)

    async def _start_all(self, served: tuple[ServedListener, ...], opened: Groups) -> None:
        """The first listeners: no node runs yet."""
        self._is_started = True
        self._watch_nodes()
        self._take_over(served, opened)
        for node in self._nodes:
            self._orders(node, tuple(each for each in served if _is_served_by(node, each)))
        async with asyncio.TaskGroup() as tasks:
            serving = [
                tasks.create_task(self._serve(node), name="start a service node")
                for node in self._nodes
            ]
        for each in serving:
            refusal = each.result()
            if refusal is not None:
                raise StartupError(refusal)

    async def _change(self, served: tuple[ServedListener, ...], opened: Groups) -> None:
        """Two rounds: nobody changes anything before everybody can."""
        prepared = [(node, await self._prepare(node, served)) for node in self._nodes if node.is_up]
        for _, answer in prepared:
            if isinstance(answer, Refused):
                raise StartupError(answer.reason)
        self._take_over(served, opened)
        for node, answer in prepared:
            # One that has died meanwhile is started again after this, with the new listeners.
            if answer is not None:
                await self._commit(node)

    def _take_over(self, served: tuple[ServedListener, ...], opened: Groups) -> None:
        """What nodes that start from now on serve."""
        self._sockets.take_over(served, opened)
        self._served = served

    def tell_health(
        self, load_balancer_id: LoadBalancerId, scope: str, server_id: BackendServerId, *, ok: bool
    ) -> None:
        """A server has become usable, or is not any more, for those who ask under ``scope``."""
        message = Health(
            load_balancer_id=load_balancer_id, scope=scope, server_id=server_id, is_usable=ok
        )
        for node in self._nodes:
            node.send(message)

    def hold_requests(self) -> None:
        """Have all take no new request until ``resume_requests``, those that start later too."""
        self._is_held = True
        for node in self._nodes:
            node.send(Hold())

    def resume_requests(self) -> None:
        """Have all take requests again."""
        self._is_held = False
        for node in self._nodes:
            node.send(Resume())

    def _on_full(self, node: Node) -> None:
        """A node has found the spool full, and takes no new request."""
        room = self._spool.room
        assert room is not None
        if room.is_roomy:
            # Room was made while it said so.
            node.send(Resume())
        else:
            room.close()

    # -- one node

    async def _serve(self, node: Node) -> str | None:
        """Fork a process for ``node`` and have it serve; why it does not, None if it does."""
        if not self._forker.is_up:
            _log.warning("the process that service nodes are forked from ended; starting another")
            await self._forker.aclose()
            self._forker = self._make_forker()
        with node.begin() as end:
            self._forker.fork(node.place, end)
        node.started_at, node.started_mono = self._clock.time(), monotonic()
        room = self._spool.room
        node.send(
            Begin(
                place=node.place,
                node_index=node.service_node.index,
                spool=self._spool.directory.resolve(),
                quantum_s=self._spool.quantum_s,
                max_segment_bytes=self._spool.max_segment_bytes,
                max_bytes=None if room is None else room.max_bytes,
                when_full=WhenFull.BLOCK if room is not None and room.blocks else WhenFull.DROP,
                record=self._record,
            )
        )
        if self._is_held:
            node.send(Hold())
        answer = await self._prepare(node, self._served)
        if isinstance(answer, Refused):
            return f"service node {node.service_node.address}: {answer.reason}"
        if answer is None or await self._commit(node) is None:
            return f"service node {node.service_node.address}: its process ended at once"
        return None

    async def _prepare(self, node: Node, served: tuple[ServedListener, ...]) -> object | None:
        own = tuple(each for each in served if _is_served_by(node, each))
        series = self._orders(node, own)
        number = next(self._numbers)
        contexts = tuple(map(self._context, own))
        return await node.asked(
            number,
            Prepare(number=number, listeners=own, contexts=contexts, series=series),
        )

    def _orders(self, node: Node, own: tuple[ServedListener, ...]) -> tuple[SeriesOrder, ...]:
        """The series that it writes for these listeners."""
        ids = {each.load_balancer.load_balancer_id for each in own}
        series = {
            load_balancer_id: self._series(node, load_balancer_id) for load_balancer_id in ids
        }
        cells = {load_balancer_id: index for index, load_balancer_id in enumerate(node.series)}
        return tuple(
            SeriesOrder(
                load_balancer_id=load_balancer_id,
                node_address=node.service_node.address,
                cells=cells[load_balancer_id],
                next_seq=each.next_seq,
            )
            for load_balancer_id, each in series.items()
        )

    async def _commit(self, node: Node) -> object | None:
        keys = [
            each.key
            for each in self._served
            if _is_served_by(node, each)
            and node.groups.get(each.key) is not self._sockets.group(each.key)
        ]
        for first in range(0, len(keys), MAX_DESCRIPTORS):
            some = keys[first : first + MAX_DESCRIPTORS]
            groups = [self._sockets.group(key) for key in some]
            node.groups.update(zip(some, groups, strict=True))
            index = node.service_node.index
            descriptors = [group.sockets[index].fileno() for group in groups]
            node.send(Sockets(keys=tuple(some)), descriptors)
        number = next(self._numbers)
        return await node.asked(number, Commit(number=number, unusable=self._unusable()))

    def _series(self, node: Node, load_balancer_id: LoadBalancerId) -> RemoteSeries:
        series = node.series.get(load_balancer_id)
        if series is None:
            if len(node.series) == SERIES_PER_NODE:
                raise StartupError(
                    f"cluster {node.cluster.name} has {SERIES_PER_NODE} load balancers; "
                    "a node takes no more"
                )
            series = node.series[load_balancer_id] = self._spool.remote_series(
                load_balancer_id,
                node.service_node.address,
                cells=node.cells.series(len(node.series)),
                writer=_Writer(self, node),
            )
        return series

    def _context(self, served: ServedListener) -> int | None:
        """The number of its TLS context: never that of another listener or certificate."""
        if served.tls is None:
            return None
        key = served.key, served.tls
        number = self._contexts.setdefault(key, len(self._contexts))
        # Beyond those made before the fork each node makes its own: sessions stay on one node.
        return number if number < self._forker.context_count else None

    def _on_lost(self, node: Node) -> None:
        """Read back what it spooled and start it again."""
        if self._closing:
            return
        for series in node.series.values():
            try:
                series.read_back()
            except OSError as error:
                _log.warning("%s: %s", series.directory, error.strerror)
        node.restart_count += 1
        lived_s = monotonic() - node.started_mono
        node.failure_count = 0 if lived_s >= _SHORT_LIFE_S else node.failure_count + 1
        wait_s = 0.0
        if node.failure_count > 1:
            wait_s = min(_FIRST_WAIT_S * 2**node.failure_count, _LONGEST_WAIT_S)
        _log.warning(
            "service node %s of cluster %s ended; the requests in its hands are lost",
            node.service_node.address,
            node.cluster.name,
        )
        loop = asyncio.get_running_loop()

        def again() -> None:
            self._timers.discard(timer)
            self._tasks.create_task(self._restart(node), name="start a service node again")

        timer = loop.call_later(wait_s, again)
        self._timers.add(timer)
        self._clock.nudge()

    def _watch_nodes(self) -> None:
        """Every second, ask each how it is, so that little is lost of the counts of one that dies.

        One that hangs is ended: whoever asked it would wait for ever.
        """
        for node in self._nodes:
            if node.silent_s > self._patience_s and node.pid is not None:
                _log.warning("service node %s hangs: ending it", node.service_node.address)
                self._forker.kill(node.pid)
            elif not node.silent_s:
                number = next(self._numbers)
                node.ask(number, Report(number, 0), _ignore)
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(_WATCH_S, self._watch_nodes)

    async def _restart(self, node: Node) -> None:
        async with self._applying:
            if self._closing or node.is_up:
                return
            refusal = await self._serve(node)
        if refusal is not None and not self._closing:
            _log.warning("%s", refusal)
            if node.pid is not None:
                # It is no use so; the next one may find what this one missed.
                self._forker.kill(node.pid)

    # -- the process that forks

    def _make_forker(self) -> Forker:
        return Forker(
            page=self._page_file,
            keep=self._keep,
            context_count=self._context_count,
            on_forked=self._on_forked,
            on_exited=self._on_exited,
        )

    def _on_forked(self, place: int, pid: int) -> None:
        self._nodes[place].pid = pid

    def _on_exited(self, pid: int, status: int) -> None:
        """Only for the log: the end of its channel is what counts."""
        _log.info("service node process %d ended with status %d", pid, status)

    # -- what a clock asks of its followers

    def publish(self, now: float, mono: float, rate: float, *, attentive: bool) -> None:
        """Show where time is."""
        self._page.clock.publish(now, mono, rate, attentive=attentive)

    def next_timer_at(self) -> float | None:
        """When the earliest timer of any of them is due."""
        earliest = min(node.slot.wake_at for node in self._nodes)
        return None if earliest == float("inf") else earliest

    def is_busy(self) -> bool:
        """Whether a request, a hold or a message is on its way somewhere."""
        return any(node.is_busy for node in self._nodes)

    def wake(self, now: float) -> None:
        """Have those whose timers are due fire them; holds the clock until they have."""
        for node in self._nodes:
            if node.slot.wake_at <= now:
                self._wake(node, _nothing)

    def resume(self) -> None:
        """Have all look at their timers; waits for nothing."""
        for node in self._nodes:
            number = next(self._numbers)
            node.ask(number, Wake(number), _ignore)

    async def settle(self) -> bool:
        """Return when what was set off in them is done and known here; whether some still is."""
        busy = [node for node in self._nodes if node.is_busy]
        for node in busy:
            # Whoever it has answered, it has recorded by the time it takes this.
            number = next(self._numbers)
            await node.asked(number, Wake(number))
        return any(node.slot.holds for node in busy)

    def _wake(self, node: Node, then: Callable[[], None]) -> None:
        """Have it fire what is due, then call ``then``; the clock is held meanwhile."""
        self._clock.acquire()

        def woken(_: object | None) -> None:
            try:
                then()
            finally:
                self._clock.release()

        number = next(self._numbers)
        node.ask(number, Wake(number), woken)

    def close_ended(self, node: Node, then: Callable[[], None]) -> None:
        """Have a node close and report the segments that are over, then call ``then``."""
        self._wake(node, then)

    def cut(self, node: Node, load_balancer_id: str, then: Callable[[], None]) -> None:
        """Have a node close and report what it writes of a load balancer, then call ``then``."""
        number = next(self._numbers)
        message = Cut(number, LoadBalancerId(load_balancer_id))
        node.ask(number, message, lambda _: then())

    def _on_activity(self) -> None:
        if not self.is_busy():
            self._clock.nudge()

    # -- for people

    async def refresh(self, record_count: int) -> None:
        """Bring in what only the nodes know: connections and their newest records."""
        for node in self._nodes:
            number = next(self._numbers)
            await node.asked(number, Report(number, record_count))

    @property
    def recent(self) -> tuple[RecentRecord, ...]:
        """The newest records of all nodes, as of the last ``refresh``."""
        return tuple(record for node in self._nodes for record in node.recent)

    @property
    def traffic(self) -> NodeTraffic:
        """What all have served, as of the last ``refresh``."""
        traffic = NodeTraffic()
        for node in self._nodes:
            traffic.merge(node.traffic)
        return traffic

    def statuses(self) -> tuple[NodeStatus, ...]:
        """Every node; connections as of the last ``refresh``."""
        return tuple(node.status() for node in self._nodes)

    # -- the end

    async def aclose(self, *, drain_s: float) -> None:
        """Drain all nodes and end them; what they have spooled stays. Fine to call twice."""
        if self._closing:
            return
        self._closing = True
        for timer in (*self._timers, *([self._watch] if self._watch is not None else [])):
            timer.cancel()
        for node in self._nodes:
            node.send(Stop(drain_s))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + drain_s + _STOP_S
        while any(node.is_up for node in self._nodes) and loop.time() < deadline:
            await real_sleep(_STOP_PAUSE_S)
        for node in self._nodes:
            node.drop()
        await self._forker.aclose()
        self._sockets.close()
        os.close(self._page_file)


class _Writer:
    """One node, as its series reach it."""

    def __init__(self, nodes: ServiceNodes, node: Node) -> None:
        self._nodes = nodes
        self._node = node

    @property
    def written_until(self) -> float:
        return self._node.written_until

    def close_ended(self, then: Callable[[], None]) -> None:
        self._nodes.close_ended(self._node, then)

    def cut(self, load_balancer_id: str, then: Callable[[], None]) -> None:
        self._nodes.cut(self._node, load_balancer_id, then)


def _is_served_by(node: Node, served: ServedListener) -> bool:
    return served.load_balancer.cluster.name == node.cluster.name


def _nothing() -> None:
    """Nothing follows."""


def _ignore(_: object | None) -> None:
    """Nobody waits for the answer."""
