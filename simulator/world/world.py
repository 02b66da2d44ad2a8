"""One running simulation: the scenario's parts, wired together."""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import simulator
from simulator.api.simulation import (
    AdvanceReceipt,
    ClockStatus,
    Endpoints,
    ListenerEndpoint,
    LoadBalancerView,
    RecordView,
    SimulationStatus,
)
from simulator.clock import ClockMode, SimulatedClock, wall_time
from simulator.dataplane import ListenerAddress
from simulator.dataplane.health import HealthChecks
from simulator.delivery import Archive, Delivery, segment_quantum_s
from simulator.delivery.fault_board import FaultBoard
from simulator.delivery.fault_reach import storm_factor
from simulator.delivery.read_side import ReadSide
from simulator.delivery.store_faults import StoreFaults
from simulator.errors import StartupError, UsageError
from simulator.logstore import LogStoreEngine
from simulator.model import LoadBalancerId, Snapshot
from simulator.model.fault_catalogue import FaultStage
from simulator.rng import Rng
from simulator.routing.health import HealthChange
from simulator.scenario import ClockSettings, Scenario, build_snapshot
from simulator.spool import Spool
from simulator.workload import BuiltinBackends, TrafficSender
from simulator.world.advancing import Advancing
from simulator.world.back_pressure import BackPressure
from simulator.world.balancers import BalancerViews, balancer_measures
from simulator.world.doors import Doors
from simulator.world.faults import Faults
from simulator.world.flow_log_rules import FlowLogRules
from simulator.world.flow_logs import FlowLogs
from simulator.world.listeners import Listeners
from simulator.world.overview import LogServiceLook
from simulator.world.reading import ReadBack, read_back
from simulator.world.serving import Serving
from simulator.world.state import DataDirectory
from simulator.world.stores import Stores
from simulator.world.timekeeping import Timekeeper
from simulator.world.traffic import Traffic
from simulator.world.verdicts import WorldVerdicts
from simulator.world.views import (
    Calendar,
    flow_log_views,
    measure,
    pending_views,
    reachable_url,
    recent_views,
    traffic_views,
)

_log = logging.getLogger(__name__)

_DRAIN_S: Final = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What the command line may say beside the scenario."""

    data_dir: Path | None = None
    """None: a temporary directory that goes with the run."""
    clock_mode: ClockMode | None = None
    """Instead of the scenario's."""
    clock_rate: float | None = None
    """Of a scaled clock, instead of the scenario's."""
    host: str = "127.0.0.1"
    """Where APIs bind, and listeners that the scenario binds to loopback."""
    admin_token: str | None = None
    """Needed when ``host`` is not loopback."""
    free_ports: bool = False
    """Any free port for every socket instead of the scenario's."""


@asynccontextmanager
async def running_world(scenario: Scenario, options: WorldOptions) -> AsyncIterator["World"]:
    """A simulation that is up inside the block and stopped, flushed, after it.

    Raises:
        StartupError: a port is taken, or the data directory cannot be used.
        UsageError: the options want a scaled clock and nobody says its rate.
    """
    mode = options.clock_mode or scenario.clock.mode
    if mode is ClockMode.SCALED and not (options.clock_rate or scenario.clock.rate):
        raise UsageError(
            "a scaled clock needs a rate; give one with --rate 60 or in the scenario: "
            "`clock: {mode: scaled, rate: 60}`"
        )
    async with AsyncExitStack() as stack:
        data_dir = options.data_dir
        if data_dir is None:
            temporary = tempfile.TemporaryDirectory(prefix="blbsim-", ignore_cleanup_errors=True)
            data_dir = Path(stack.enter_context(temporary))
        try:
            async with asyncio.TaskGroup() as tasks:
                world = World(scenario, options, DataDirectory(data_dir), tasks)
                try:
                    await world.start()
                    yield world
                finally:
                    await world.aclose()
        except BaseExceptionGroup as group:
            # The group only ever wraps what the block itself raised.
            if len(group.exceptions) == 1:
                raise group.exceptions[0] from None
            raise


class World:
    """Every part of a simulation. Use ``running_world``.

    After ``start`` you must call ``aclose`` on the same event loop.
    """

    def __init__(
        self,
        scenario: Scenario,
        options: WorldOptions,
        data: DataDirectory,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self.scenario = scenario
        self.ready = False
        self._options = options
        self._data = data
        self._tasks = tasks
        self._rng = Rng(scenario.seed)
        self._calendar = Calendar(scenario.record.zone_offset_s)
        self.clock = _make_clock(scenario.clock, options, data.clock_at)
        self._timekeeper = Timekeeper(data, self.clock, seed=scenario.seed)
        self._backends: list[BuiltinBackends] = []
        self._health = HealthChecks(clock=self.clock, tasks=tasks, on_change=self._tell_health)
        self._faults: Faults | None = None
        self._flow_logs: FlowLogs | None = None
        self._read_side: ReadSide | None = None
        self._spool: Spool | None = None
        self._serving: Serving | None = None
        self._back_pressure: BackPressure | None = None
        self._stores: Stores | None = None
        self._log_service: LogServiceLook | None = None
        self._delivery: Delivery | None = None
        self._advancing: Advancing | None = None
        self._doors: Doors | None = None
        self._snapshot = Snapshot(load_balancers=())
        self._listeners: Listeners | None = None
        self._addresses: tuple[ListenerAddress, ...] = ()
        self._traffic = Traffic(
            scenario, clock=self.clock, rng=self._rng, spawn=self._spawn, storm=self._storm
        )
        self._closed = False

    # -- the parts ------------------------------------------------------------------------

    @property
    def delivery(self) -> Delivery:
        """The way from the spool to the destinations."""
        assert self._delivery is not None
        return self._delivery

    @property
    def verdicts(self) -> WorldVerdicts:
        """What became of the records."""
        return WorldVerdicts(
            self.delivery,
            clock=self.clock,
            flow_logs=lambda: self.flow_logs.flow_logs,
            names=self._balancer_name,
            calendar=self._calendar,
        )

    def _balancer_name(self, load_balancer_id: str) -> str:
        return next(
            (
                balancer.name
                for balancer in self._snapshot.load_balancers
                if balancer.load_balancer_id == load_balancer_id
            ),
            load_balancer_id,
        )

    @property
    def engine(self) -> LogStoreEngine:
        """The LogStores."""
        assert self._stores is not None
        return self._stores.engine

    @property
    def flow_logs(self) -> FlowLogs:
        """The flow logs there are."""
        assert self._flow_logs is not None
        return self._flow_logs

    @property
    def faults(self) -> Faults:
        """What goes wrong on purpose."""
        assert self._faults is not None
        return self._faults

    @property
    def senders(self) -> tuple[TrafficSender, ...]:
        """The traffic that was started."""
        return self._traffic.senders

    # -- start and stop -------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything up, listeners last but one, then the APIs say they are ready.

        Raises:
            StartupError: something the machine refused; what was up is stopped by ``aclose``.
        """
        lock = await self._data.lock()
        self._data.take_over(self.scenario)
        self._spool = Spool(
            self._data.spool,
            self.clock,
            quantum_s=segment_quantum_s(self.scenario.flow_logs),
            max_bytes=self.scenario.spool.max_bytes,
            when_full=self.scenario.spool.when_full,
        )
        # Early: where nodes are processes, they start while the rest does.
        self._serving = Serving(
            self.scenario,
            self._spool,
            clock=self.clock,
            health=self._health,
            lock=lock,
            tasks=self._tasks,
        )
        self._back_pressure = BackPressure(
            self._spool, self._serving, clock=self.clock, senders=lambda: self._traffic.senders
        )
        stores = self._start_stores()
        self._listeners = Listeners(
            self.scenario, self._data, host=self._options.host, free_ports=self._options.free_ports
        )
        self._snapshot = build_snapshot(self.scenario, await self._start_backends(self._listeners))
        self._serving.prepare(self._listeners.served(self._snapshot))
        self._health.apply(self._serving.routes.values())
        self._doors = self._make_doors()
        await self._doors.start(self, stores, self.flow_logs, on_change=stores.look_after)
        # No request may come before it is known who can serve it.
        await self._health.wait_first()
        self.delivery.start()
        stores.start_upkeep()
        self._back_pressure.start()
        self._addresses = await self._serving.start()
        self._timekeeper.start()
        self.ready = True

    async def _start_backends(self, listeners: Listeners) -> dict[str, list[tuple[str, int]]]:
        """Start the built-in backend servers; where each set of them listens, by name."""
        bound = {}
        for profile in self.scenario.builtin_backends:
            tls = listeners.backend_context() if profile.tls else None
            backends = BuiltinBackends(profile, self._rng, tls=tls)
            self._backends.append(backends)
            bound[profile.name] = await backends.start()
        return bound

    def _start_stores(self) -> Stores:
        """Open what keeps records, and start all that stands between the spool and it."""
        scenario, data = self.scenario, self._data
        stores = self._stores = Stores(
            scenario, data, clock=self.clock, rng=self._rng, spawn=self._spawn
        )
        assert self._spool is not None
        # A crash may have kept state.json from the last instant; what was written knows it.
        spooled = (segment.last_at for segment in self._spool.recovered)
        newest = max((stores.engine.newest_at(), *spooled))
        if newest > self.clock.time():
            self.clock.set_start(newest)
        board = self._start_faults()
        stores.engine.availability.gate = StoreFaults(board)
        self._start_flow_logs(stores, board)
        stores.create_log_stores()
        self._log_service = LogServiceLook(stores.engine.overview, self._calendar)
        versions = self.flow_logs.versions()
        if scenario.buckets or any(version.needs_bucket for version in versions):
            stores.open_buckets()
        self._delivery = Delivery(
            clock=self.clock,
            rng=self._rng,
            spool=self._spool,
            log_stores=stores.engine.deliveries,
            object_store=stores.objects,
            versions=versions,
            deleted=self.flow_logs.deleted(),
            archive=Archive(data.ledger, scenario.ledger.keep_bytes),
            faults=board,
            held_directory=data.held,
        )
        self._advancing = Advancing(
            self.clock, self._delivery, self._calendar, self._timekeeper.save
        )
        self.flow_logs.attach(self._delivery, self._spool)
        return stores

    def _start_faults(self) -> FaultBoard:
        """Set the scenario's faults to their instants, which count from the first run's first."""
        began_at = self._timekeeper.began_at
        shifted = tuple(fault.shifted(began_at) for fault in self.scenario.faults)
        self._faults = Faults(
            shifted, self._data.faults, self.clock, self._rng, lambda: self.flow_logs.names
        )
        self._read_side = ReadSide(self._faults.board, self.clock)
        return self._faults.board

    def _start_flow_logs(self, stores: Stores, board: FaultBoard) -> None:
        scenario = self.scenario
        self._flow_logs = FlowLogs(
            scenario.flow_logs,
            self._data.flow_logs,
            rules=FlowLogRules(
                region=scenario.region,
                load_balancers=scenario.load_balancers,
                has_log_store=stores.engine.has_log_store,
                has_bucket=stores.has_bucket,
            ),
            board=board,
            clock=self.clock,
            rng=self._rng,
            spawn=self._spawn,
            on_renamed=self.faults.rename_flow_log,
        )

    def _make_doors(self) -> Doors:
        assert self._read_side is not None
        return Doors(
            self.scenario,
            host=self._options.host,
            admin_token=self._options.admin_token,
            free_ports=self._options.free_ports,
            clock=self.clock,
            read_side=self._read_side,
        )

    def authority_pem(self) -> bytes | None:
        """The certificate of the authority that clients of HTTPS listeners can trust."""
        authority = None if self._listeners is None else self._listeners.authority
        return None if authority is None else authority.pem

    def _tell_health(self, load_balancer_id: LoadBalancerId, change: HealthChange) -> None:
        after = change.after
        _log.info(
            "%s: %s is %s for %s: %s",
            load_balancer_id,
            after.target.server.address,
            after.state.value,
            after.target.scope,
            after.detail,
        )
        if self._serving is not None:
            self._serving.tell_health(load_balancer_id, change)

    async def aclose(self) -> None:
        """Stop in order: traffic, listeners, APIs, delivery, stores. Fine to call twice."""
        if self._closed:
            return
        self._closed = True
        self.ready = False
        self._timekeeper.stop()
        if self._stores is not None:
            # First: before the APIs end what is queried, also by upkeep.
            self._stores.stop_upkeep()
        # Last in, first out: whatever fails to stop, the rest still does.
        async with AsyncExitStack() as stack:
            stack.callback(self.clock.stop)
            stack.callback(self._data.unlock)
            if self._log_service is not None:
                stack.callback(self._log_service.close)
            if self._stores is not None:
                stack.push_async_callback(self._stores.aclose)
            if self._spool is not None:
                stack.callback(self._timekeeper.save)
                stack.callback(self._spool.close)
            if self._delivery is not None:
                stack.push_async_callback(self._delivery.aclose)
            if self._doors is not None:
                stack.push_async_callback(self._doors.aclose)
            for backends in self._backends:
                stack.push_async_callback(backends.aclose)
            if self._serving is not None:
                stack.push_async_callback(self._serving.aclose, drain_s=_DRAIN_S)
            stack.callback(self._health.aclose)
            stack.push_async_callback(self._traffic.aclose)

    # -- traffic --------------------------------------------------------------------------

    def start_traffic(self) -> None:
        """Begin the scenario's traffic; returns at once."""
        assert self._listeners is not None
        self._traffic.start(self._addresses, self._listeners.client_context)
        if self._back_pressure is not None:
            self._back_pressure.tell_senders()

    def _storm(self, load_balancer_id: LoadBalancerId, at: float) -> int:
        """How many times the traffic of a load balancer there is at an instant."""
        board = self.faults.board
        if not board.faults(FaultStage.DELIVERY):
            return 1
        taking = tuple(
            flow_log
            for flow_log in self.flow_logs.flow_logs
            if flow_log.load_balancer_id == load_balancer_id
        )
        return storm_factor(board, taking, at)

    async def wait_traffic(self) -> None:
        """Return when every request of the scenario's traffic has been answered or failed."""
        await self._traffic.wait_done()

    async def run_to_the_end(self) -> None:
        """Send the traffic and return when all of it is delivered. Moves a clock that stands.

        Raises:
            StartupError: a destination keeps refusing; what is pending stays in the spool.
        """
        self.start_traffic()
        if self.clock.mode is ClockMode.MANUAL:
            while (due_at := self.clock.next_timer_at()) is not None and not self._at_the_end():
                await self.clock.advance_to(due_at)
        await self.wait_traffic()
        if self._serving is not None:
            # A response may come before its record is written.
            await self._serving.settle()
        await self.delivery.wait_until_delivered()
        if (failure := self.delivery.failing()) is not None:
            raise StartupError(f"records cannot be delivered: {failure}")

    def _at_the_end(self) -> bool:
        if not self._traffic.is_done():
            return False
        pending = any(log.pending for log in self.delivery.status())
        return not pending or self.delivery.failing() is not None

    def metrics(self) -> dict[str, float]:
        """Everything an expectation can compare, by name."""
        views = self._balancers()
        return measure(
            self.senders,
            self.delivery.status(),
            {view.name: balancer_measures(view) for view in views},
        )

    async def read_back(self) -> ReadBack:
        """Count what is at the destinations, the way a pipeline would find it."""
        assert self._stores is not None
        return await asyncio.to_thread(
            read_back, self.flow_logs.flow_logs, self.engine, self._stores.objects
        )

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> object:
        return self._tasks.create_task(work, name=name)

    # -- what the admin API shows ---------------------------------------------------------

    def endpoints(self) -> Endpoints:
        """Where everything is."""
        scenario, doors = self.scenario, self._doors
        return Endpoints(
            api="" if doors is None else doors.api_url,
            s3=None if doors is None else doors.s3_url,
            region=scenario.region,
            access_key=scenario.account.access_key,
            secret_key=scenario.account.secret_key,
            listeners=tuple(
                ListenerEndpoint(
                    load_balancer=address.load_balancer_name,
                    load_balancer_id=address.load_balancer_id,
                    port=address.port,
                    url=reachable_url(address.host, address.bound_port, address.scheme),
                )
                for address in self._addresses
            ),
            log_stores=tuple((store.project, store.name) for store in scenario.log_stores),
            buckets=tuple(bucket.name for bucket in scenario.buckets),
            authority=self._authority_file(),
        )

    def _authority_file(self) -> str | None:
        authority = None if self._listeners is None else self._listeners.authority
        return None if authority is None else str(authority.file.resolve())

    def clock_status(self) -> ClockStatus:
        """Where time is."""
        now = self.clock.time()
        due_at = self.delivery.next_due_at()
        return ClockStatus(
            mode=self.clock.mode.value,
            time=self._calendar.iso(now),
            unix_s=now,
            next_delivery=None if due_at is None else self._calendar.iso(due_at),
        )

    async def refresh(self, record_count: int = 0) -> None:
        """Bring in what is not at hand, before ``status`` or so many ``records``."""
        if self._serving is not None:
            await self._serving.refresh(record_count)
        if self._log_service is not None and not record_count:
            await self._log_service.refresh()

    def status(self) -> SimulationStatus:
        """Counts of everything."""
        assert self._log_service is not None
        nodes = () if self._serving is None else self._serving.views(self._calendar)
        return SimulationStatus(
            scenario=self.scenario.name,
            version=simulator.__version__,
            seed=self.scenario.seed,
            ready=self.ready,
            clock=self.clock_status(),
            connections=sum(node.connections for node in nodes),
            dropped_records=self._spool.dropped_count if self._spool is not None else 0,
            spool=None if self._back_pressure is None else self._back_pressure.view(self._calendar),
            nodes=nodes,
            load_balancers=self._balancers(),
            traffic=traffic_views(self.senders),
            flow_logs=flow_log_views(self.delivery.status(), self.flow_logs.flow_logs),
            log_service=self._log_service.view,
        )

    def _balancers(self) -> tuple[LoadBalancerView, ...]:
        if self._serving is None:
            return ()
        return BalancerViews(
            serving=self._serving, health=self._health, calendar=self._calendar
        ).views(self._snapshot.load_balancers)

    def records(self, limit: int, *, pending: bool) -> tuple[RecordView, ...]:
        """The newest records, oldest of them first; only those not yet visible if ``pending``."""
        if pending:
            return pending_views(self.delivery.pending_lines(limit), self._calendar)
        recent = () if self._serving is None else self._serving.recent[-limit:]
        return recent_views(recent, self._calendar)

    async def advance(self, seconds: float) -> AdvanceReceipt:
        """Move the clock on; see ``Advancing.by``."""
        assert self._advancing is not None
        return await self._advancing.by(seconds)

    async def advance_to_next_delivery(self) -> AdvanceReceipt:
        """Move the clock to the next instant something becomes visible, if there is one."""
        assert self._advancing is not None
        return await self._advancing.to_next_delivery()


def _make_clock(
    settings: ClockSettings, options: WorldOptions, kept_at: float | None
) -> SimulatedClock:
    """The clock of a run; ``kept_at`` is how far an earlier run had come."""
    starts = [at for at in (settings.start_at, kept_at) if at is not None]
    mode = options.clock_mode or settings.mode
    if mode is ClockMode.REAL and settings.start_at is None:
        # It stood still while nothing ran; the machine's time did not.
        starts.append(wall_time())
    rate = options.clock_rate or settings.rate
    return SimulatedClock(mode, start_at=max(starts, default=None), rate=rate or 1.0)
