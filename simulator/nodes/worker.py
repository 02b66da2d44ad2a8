"""A service node: one process that serves its cluster's listeners and spools their records.

It does what it is told over its channel and ends with it. It knows neither flow logs nor other
nodes; where time is it reads from the shared page.
"""

import asyncio
import os
import socket
import ssl
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Final

import uvloop

from simulator.clock import FollowerClock
from simulator.dataplane import DataPlane, ListenerKey
from simulator.dataplane.certificates import make_server_context
from simulator.errors import StartupError
from simulator.model import LoadBalancerId
from simulator.nodes.channel import Channel
from simulator.nodes.composition import NodeComposition
from simulator.nodes.messages import (
    Begin,
    Closed,
    Commit,
    Committed,
    Cut,
    Full,
    Health,
    Hold,
    Idle,
    Prepare,
    Prepared,
    Refused,
    Report,
    Reported,
    Resume,
    SeriesOrder,
    ServedListener,
    Sockets,
    Stop,
    Wake,
    Woken,
)
from simulator.nodes.page import NodePage
from simulator.routing.checked import checked_pools
from simulator.routing.health import ServerPool
from simulator.spool import PublishedSeries, SegmentInfo, SpoolRoom

_PARENT_GONE: Final = 3
"""Exit status of a node whose simulator has ended."""


def serve_node(end: socket.socket, page: NodePage, blanks: Sequence[ssl.SSLContext]) -> None:
    """Be a node until told to stop.

    Args:
        end: of the channel to the simulator.
        page: shared with it.
        blanks: TLS contexts without certificates, the same in every node: with each come the keys
            of its session tickets, so that a session made on one node resumes on another.
    """
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_Worker(page, blanks).run(end))


class _Worker:
    def __init__(self, page: NodePage, blanks: Sequence[ssl.SSLContext]) -> None:
        self._page = page
        self._blanks = blanks
        self._stop: asyncio.Future[Stop]
        self._channel: Channel
        self._tasks: asyncio.TaskGroup
        self._serving: _Serving | None = None

    async def run(self, end: socket.socket) -> None:
        self._stop = asyncio.get_running_loop().create_future()
        self._channel = Channel(end, on_message=self._take, on_closed=_parent_gone)
        async with asyncio.TaskGroup() as self._tasks:
            stop = await self._stop
            if self._serving is not None:
                await self._serving.aclose(stop.drain_s)

    def _take(self, message: object, descriptors: list[int]) -> None:
        if isinstance(message, Begin):
            self._serving = _Serving(message, self._page, self._blanks, self._channel, self._tasks)
        elif isinstance(message, Stop):
            if not self._stop.done():
                self._stop.set_result(message)
        else:
            assert self._serving is not None
            self._serving.take(message, descriptors)


class _Serving:
    """What a node has once it has begun."""

    def __init__(
        self,
        begin: Begin,
        page: NodePage,
        blanks: Sequence[ssl.SSLContext],
        channel: Channel,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._begin = begin
        self._blanks = blanks
        self._channel = channel
        self._tasks = tasks
        self._cells = page.node(begin.place)
        self._counts = self._cells.counts
        self._clock = FollowerClock(page.clock, self._cells.first_cell, self._became_idle)
        self._plane = DataPlane(clock=self._clock, tasks=tasks)
        self._composition = NodeComposition(node_index=begin.node_index, record=begin.record)
        self._room: SpoolRoom | None = None
        if begin.max_bytes is not None:
            self._room = SpoolRoom(begin.max_bytes, begin.when_full)
            page.share(self._room, begin.place)
            self._room.on_full = self._full
        self._series: dict[LoadBalancerId, PublishedSeries] = {}
        self._contexts: dict[int, ssl.SSLContext] = {}
        self._prepared: tuple[Prepare, tuple[ssl.SSLContext | None, ...]] | None = None
        self._sockets: dict[ListenerKey, socket.socket] = {}
        self._pools: dict[tuple[LoadBalancerId, str], list[ServerPool]] = {}

    def take(self, message: object, descriptors: list[int]) -> None:
        """Do what a message asks."""
        match message:
            case Prepare():
                self._prepare(message)
            case Sockets(keys=keys):
                for key, descriptor in zip(keys, descriptors, strict=True):
                    self._sockets[key] = socket.socket(fileno=descriptor)
            case Commit():
                self._tasks.create_task(self._commit(message), name="commit")
            case Health():
                for pool in self._pools.get((message.load_balancer_id, message.scope), ()):
                    mark = pool.mark_alive if message.is_usable else pool.mark_dead
                    mark(message.server_id)
            case Hold():
                self._plane.hold()
                self._open_room(is_open=False)
            case Resume():
                self._open_room(is_open=True)
                self._plane.resume()
            case Wake(number=number):
                self._clock.wake()
                self._send(Woken(number))
            case Cut(number=number, load_balancer_id=load_balancer_id):
                if load_balancer_id in self._series:
                    self._series[load_balancer_id].close_segment()
                self._send(Woken(number))
            case Report():
                self._report(message)
            case _:
                raise AssertionError(f"a node was sent {message!r}")

    async def aclose(self, drain_s: float) -> None:
        """Drain; what is open in the spool stays there for the next run."""
        await self._plane.aclose(drain_s=drain_s)
        for series in self._series.values():
            series.close()

    # -- what is served

    def _prepare(self, order: Prepare) -> None:
        """Do all that can fail."""
        try:
            contexts = tuple(
                self._context(served, number)
                for served, number in zip(order.listeners, order.contexts, strict=True)
            )
        except StartupError as error:
            self._send(Refused(order.number, str(error)))
            return
        for series in order.series:
            if series.load_balancer_id not in self._series:
                self._series[series.load_balancer_id] = opened = self._open_series(series)
                self._composition.append_to(opened)
        self._prepared = order, contexts
        self._send(Prepared(order.number))

    async def _commit(self, commit: Commit) -> None:
        assert self._prepared is not None
        order, contexts = self._prepared
        settings = self._composition.settings(
            order.listeners, contexts, self._plane.route_of, self._sockets
        )
        self._sockets = {}
        pools: dict[tuple[LoadBalancerId, str], list[ServerPool]] = defaultdict(list)
        for setting in settings:
            load_balancer_id = setting.route.load_balancer.load_balancer_id
            for checked in checked_pools(setting.route):
                pools[load_balancer_id, checked.scope].append(checked.pool)
        for load_balancer_id, scope, server_id in commit.unusable:
            for pool in pools.get((load_balancer_id, scope), ()):
                pool.mark_dead(server_id)
        self._pools = dict(pools)
        await self._plane.apply(settings)
        self._send(Committed(commit.number))

    def _context(self, served: ServedListener, number: int | None) -> ssl.SSLContext | None:
        if served.tls is None:
            return None
        if number is None:
            return make_server_context(served.tls, None)
        if number not in self._contexts:
            self._contexts[number] = make_server_context(
                served.tls, None, blank=self._blanks[number]
            )
        return self._contexts[number]

    # -- the spool

    def _open_series(self, order: SeriesOrder) -> PublishedSeries:
        load_balancer_id = order.load_balancer_id
        node_address = order.node_address
        return PublishedSeries(
            cells=self._cells.series(order.cells),
            load_balancer_id=load_balancer_id,
            node_address=node_address,
            directory=self._begin.spool / f"{load_balancer_id}_{node_address}",
            next_seq=order.next_seq,
            clock=self._clock,
            on_closed=self._closed,
            quantum_s=self._begin.quantum_s,
            max_segment_bytes=self._begin.max_segment_bytes,
            room=self._room,
        )

    def _open_room(self, *, is_open: bool) -> None:
        if self._room is not None:
            self._room.is_closed = not is_open

    def _full(self) -> None:
        self._plane.hold()
        self._send(Full())

    def _closed(self, segment: SegmentInfo) -> None:
        self._send(Closed(segment))

    # -- what the simulator is told

    def _send(self, message: object) -> None:
        self._counts.count_sent()
        self._channel.send(message)

    def _became_idle(self) -> None:
        self._send(Idle())

    def _report(self, report: Report) -> None:
        recent = self._composition.recent
        asked = report.record_count
        count = min(asked, len(recent))
        self._send(
            Reported(
                number=report.number,
                traffic=self._composition.traffic(self._plane),
                records=tuple(islice(recent, len(recent) - count, None)) if asked else None,
            )
        )


def _parent_gone() -> None:
    """Everything spooled is in the kernel's hands, and nobody is left to serve for."""
    os._exit(_PARENT_GONE)
