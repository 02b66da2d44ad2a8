"""One running simulation: the scenario's parts, wired together."""

import asyncio
import logging
import tempfile
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import msgspec
from aiohttp import web

import simulator
from simulator.accesslog import AccessRecord, RecordEncoder, ServedBy
from simulator.api import Authenticator, make_api_app
from simulator.api.admin import add_admin_routes
from simulator.api.simulation import (
    AdvanceReceipt,
    ClockStatus,
    Endpoints,
    FlowLogView,
    ListenerEndpoint,
    RecordView,
    SimulationStatus,
    TrafficView,
)
from simulator.clock import ClockMode, SimulatedClock
from simulator.dataplane import DataPlane, ListenerAddress, ListenerSettings
from simulator.delivery import Delivery, FlowLogStatus, segment_quantum_s
from simulator.errors import ControlError, StartupError
from simulator.logstore import LogStoreEngine, LogStoreSettings
from simulator.model import BucketDestination, LoadBalancer, LogStoreDestination
from simulator.objectstore import ObjectStore, S3Door
from simulator.rng import Rng
from simulator.routing import compile_route
from simulator.scenario import Ports, Scenario, build_snapshot
from simulator.spool import Spool
from simulator.verdict import DelaySummary, FlowLogMeasures, HttpMeasures
from simulator.workload import BuiltinBackends, TrafficSender
from simulator.world.reading import ReadBack, read_back
from simulator.world.state import DataDirectory

_log = logging.getLogger(__name__)

_RECENT_RECORDS: Final = 1000
"""Newest records kept in memory for ``blbsim records``."""
_SAVE_EVERY_S: Final = 1.0
_DRAIN_S: Final = 1.0
_API_SHUTDOWN_S: Final = 0.5
_LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldOptions:
    """What the command line may say beside the scenario."""

    data_dir: Path | None = None
    """None: a temporary directory that goes with the run."""
    clock_mode: ClockMode | None = None
    """Instead of the scenario's."""
    host: str = "127.0.0.1"
    """Where APIs bind, and listeners that the scenario binds to loopback."""
    admin_token: str | None = None
    """Needed when ``host`` is not loopback."""
    free_ports: bool = False
    """Any free port for every socket instead of the scenario's."""


@dataclass(slots=True, kw_only=True)
class _Recent:
    logged_at: float
    load_balancer: LoadBalancer
    line: bytes


@asynccontextmanager
async def running_world(scenario: Scenario, options: WorldOptions) -> AsyncIterator["World"]:
    """A simulation that is up inside the block and stopped, flushed, after it.

    Raises:
        StartupError: a port is taken, or the data directory cannot be used.
    """
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
        self._zone = timezone(timedelta(seconds=scenario.record.zone_offset_s))
        settings = scenario.clock
        starts = [at for at in (settings.start_at, data.clock_at) if at is not None]
        self.clock = SimulatedClock(
            options.clock_mode or settings.mode,
            start_at=max(starts) if starts else None,
            rate=settings.rate,
        )
        self._backends: list[BuiltinBackends] = []
        self._data_plane = DataPlane(clock=self.clock, tasks=tasks)
        self._spool: Spool | None = None
        self._engine: LogStoreEngine | None = None
        self._objects: ObjectStore | None = None
        self._door: S3Door | None = None
        self._delivery: Delivery | None = None
        self._runner: web.AppRunner | None = None
        self._api_url = ""
        self._listeners: tuple[ListenerAddress, ...] = ()
        self._senders: tuple[TrafficSender, ...] = ()
        self._recent: deque[_Recent] = deque(maxlen=_RECENT_RECORDS)
        self._saver: asyncio.TimerHandle | None = None
        self._closed = False

    # -- the parts ------------------------------------------------------------------------

    @property
    def delivery(self) -> Delivery:
        """The way from the spool to the destinations."""
        assert self._delivery is not None
        return self._delivery

    @property
    def engine(self) -> LogStoreEngine:
        """The LogStores."""
        assert self._engine is not None
        return self._engine

    @property
    def senders(self) -> tuple[TrafficSender, ...]:
        """The traffic that was started."""
        return self._senders

    # -- start and stop -------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything up, listeners last but one, then the APIs say they are ready.

        Raises:
            StartupError: something the machine refused; what was up is stopped by ``aclose``.
        """
        await self._start_stores()
        bound = {}
        for profile in self.scenario.builtin_backends:
            backends = BuiltinBackends(profile, self._rng)
            self._backends.append(backends)
            bound[profile.name] = await backends.start()
        snapshot = build_snapshot(self.scenario, bound)
        settings = tuple(
            self._listener_settings(load_balancer, index)
            for load_balancer in snapshot.load_balancers
            for index in range(len(load_balancer.listeners))
        )
        await self._start_api()
        self._listeners = await self._data_plane.start(settings)
        self.clock.start()
        self.delivery.start()
        self._save()
        if self.clock.mode is not ClockMode.MANUAL:
            self._save_later()
        self.ready = True

    async def _start_stores(self) -> None:
        scenario, data = self.scenario, self._data
        # The database is locked by its process: opened first, it keeps a second one off the spool.
        self._engine = LogStoreEngine(data.log_stores, self.clock, load_from=(data.spool,))
        self._spool = Spool(data.spool, self.clock, quantum_s=segment_quantum_s(scenario.flow_logs))
        newest = max((segment.last_at for segment in self._spool.recovered), default=0.0)
        if newest > self.clock.time():
            self.clock.set_start(newest)
        for log_store in scenario.log_stores:
            self._create_log_store(log_store.project, log_store.name, log_store.retention_days)
        if scenario.buckets:
            # Importing moto takes most of a second; nothing else needs the loop yet.
            self._objects = ObjectStore(data.objects, region=scenario.region)
            for bucket in scenario.buckets:
                self._objects.create_bucket(bucket.name)
        self._delivery = Delivery(
            clock=self.clock,
            rng=self._rng,
            spool=self._spool,
            engine=self._engine,
            object_store=self._objects,
            flow_logs=scenario.flow_logs,
        )

    def _create_log_store(self, project: str, name: str, retention_days: int) -> None:
        """Make a LogStore; one that an earlier run made stays as it is."""
        engine = self.engine
        with suppress(ControlError):
            engine.create_project(project)
        try:
            engine.create_log_store(project, name, LogStoreSettings(retention_days=retention_days))
        except ControlError as error:
            if error.code != "LogStoreAlreadyExist":
                raise

    async def _start_api(self) -> None:
        scenario, options = self.scenario, self._options
        account = scenario.account
        app = make_api_app(
            engine=self.engine,
            clock=self.clock,
            auth=Authenticator({account.access_key: account.secret_key}, mode=account.auth),
        )
        token = options.admin_token if options.host not in _LOOPBACK else None
        add_admin_routes(app, self, token=token)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_API_SHUTDOWN_S)
        await self._runner.setup()
        ports = Ports(api=0, bos=0, s3=0) if options.free_ports else scenario.ports
        site = web.TCPSite(self._runner, options.host, ports.api)
        try:
            await site.start()
        except OSError as error:
            place = f"{ports.api_place}: " if ports.api_place else ""
            raise StartupError(
                f"{place}the APIs cannot listen on {options.host}:{ports.api}: "
                f"{error.strerror or error}; free the port, set `ports: {{api: 0}}` "
                "(0 picks a free one), or use --free-ports"
            ) from error
        host, port = self._runner.addresses[0][:2]
        self._api_url = _url(host, port)
        if self._objects is not None:
            door = S3Door(options.host, ports.s3)
            try:
                door.start()
            except StartupError as error:
                place = f"{ports.s3_place}: " if ports.s3_place else ""
                raise StartupError(f"{place}{error}") from error
            self._door = door

    def _listener_settings(self, load_balancer: LoadBalancer, index: int) -> ListenerSettings:
        listener = load_balancer.listeners[index]
        if self._options.free_ports:
            listener = replace(listener, bind_port=0)
        if listener.bind_host in _LOOPBACK and self._options.host not in _LOOPBACK:
            listener = replace(listener, bind_host=self._options.host)
        plan = next(
            plan
            for plan in self.scenario.load_balancers
            if plan.load_balancer_id == load_balancer.load_balancer_id
        )
        return ListenerSettings(
            route=compile_route(load_balancer, listener),
            place=plan.listeners[index].place,
            on_record=self._recorder(load_balancer, listener.port),
        )

    def _recorder(self, load_balancer: LoadBalancer, vport: int) -> Callable[[AccessRecord], None]:
        """What becomes of each record of a listener: encoded once, spooled, remembered."""
        node = load_balancer.cluster.nodes[0]
        encode = RecordEncoder(
            ServedBy(
                load_balancer_id=load_balancer.load_balancer_id,
                vip=load_balancer.vip,
                vport=vport,
                node_address=node.address,
                backend_protocol="http",
            ),
            shape=self.scenario.record.shape,
            zone_offset_s=self.scenario.record.zone_offset_s,
        ).encode
        recent = self._recent
        wanted = any(
            flow_log.load_balancer_id == load_balancer.load_balancer_id
            for flow_log in self.scenario.flow_logs
        )
        if not wanted:
            return lambda record: recent.append(
                _Recent(
                    logged_at=record.logged_at,
                    load_balancer=load_balancer,
                    line=encode(record),
                )
            )
        assert self._spool is not None
        append = self._spool.series(load_balancer.load_balancer_id, node.address).append

        def on_record(record: AccessRecord) -> None:
            line = encode(record)
            append(record.logged_at, line)
            recent.append(
                _Recent(logged_at=record.logged_at, load_balancer=load_balancer, line=line)
            )

        return on_record

    def _save(self) -> None:
        self._data.save(seed=self.scenario.seed, clock_at=self.clock.time())

    def _save_later(self) -> None:
        """Keep time every second, so that a restart after a crash goes on and not back."""
        loop = asyncio.get_running_loop()

        def save() -> None:
            try:
                self._save()
            except StartupError as error:
                _log.warning("%s", error)
            self._save_later()

        self._saver = loop.call_later(_SAVE_EVERY_S, save)

    async def aclose(self) -> None:
        """Stop in order: traffic, listeners, APIs, delivery, stores. Fine to call twice."""
        if self._closed:
            return
        self._closed = True
        self.ready = False
        if self._saver is not None:
            self._saver.cancel()
        for sender in self._senders:
            await sender.aclose()
        await self._data_plane.aclose(drain_s=_DRAIN_S)
        for backends in self._backends:
            await backends.aclose()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._door is not None:
            self._door.stop()
        if self._delivery is not None:
            await self._delivery.aclose()
        if self._spool is not None:
            self._spool.close()
            self._save()
        if self._engine is not None:
            self._engine.close()
        if self._objects is not None:
            self._objects.close()
        self.clock.stop()

    # -- traffic --------------------------------------------------------------------------

    def start_traffic(self) -> None:
        """Begin the scenario's traffic; returns at once."""
        addresses = {(a.load_balancer_name, a.port): a for a in self._listeners}
        vips = {plan.name: plan.vip for plan in self.scenario.load_balancers}
        senders = []
        for profile in self.scenario.traffic:
            address = addresses[profile.load_balancer, profile.port]
            sender = TrafficSender(
                profile,
                host=address.host,
                port=address.bound_port,
                vip=vips[profile.load_balancer],
                clock=self.clock,
                rng=self._rng,
                spawn=self._spawn,
            )
            senders.append(sender)
        self._senders = tuple(senders)
        for sender in senders:
            sender.start()

    async def wait_traffic(self) -> None:
        """Return when every request of the scenario's traffic has been answered or failed."""
        for sender in self._senders:
            await sender.wait_done()

    async def run_to_the_end(self) -> None:
        """Send the traffic and return when all of it is delivered. Moves a clock that stands."""
        self.start_traffic()
        if self.clock.mode is ClockMode.MANUAL:
            while (due_at := self.clock.next_timer_at()) is not None and not self._at_the_end():
                await self.clock.advance_to(due_at)
        await self.wait_traffic()
        await self.delivery.wait_until_delivered()

    def _at_the_end(self) -> bool:
        planned = sum(sender.profile.request_count for sender in self._senders)
        counters = [sender.counters for sender in self._senders]
        done = sum(c.completed + c.failed + c.overflowed for c in counters)
        return done >= planned and not any(log.pending for log in self.delivery.status())

    def metrics(self) -> dict[str, float]:
        """Everything an expectation can compare, by name."""
        by_status: Counter[int] = Counter()
        for sender in self._senders:
            by_status.update(sender.counters.by_status)
        measured = HttpMeasures(
            sent=sum(sender.counters.sent for sender in self._senders),
            failed=sum(sender.counters.failed for sender in self._senders),
            by_status=by_status,
        ).metrics()
        for log in self.delivery.status():
            measured |= FlowLogMeasures(
                written=log.written,
                delivered=log.delivered,
                pending=log.pending,
                lost=log.lost,
                objects=log.objects,
                delay=_delays(log),
            ).metrics(log.name)
        return measured

    async def read_back(self) -> ReadBack:
        """Count what is at the destinations, the way a pipeline would find it."""
        return await asyncio.to_thread(
            read_back, self.scenario.flow_logs, self.engine, self._objects
        )

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> object:
        return self._tasks.create_task(work, name=name)

    # -- what the admin API shows ---------------------------------------------------------

    def endpoints(self) -> Endpoints:
        """Where everything is."""
        scenario = self.scenario
        return Endpoints(
            api=self._api_url,
            s3=_url(self._door.host, self._door.port) if self._door is not None else None,
            region=scenario.region,
            access_key=scenario.account.access_key,
            secret_key=scenario.account.secret_key,
            listeners=tuple(
                ListenerEndpoint(
                    load_balancer=address.load_balancer_name,
                    load_balancer_id=address.load_balancer_id,
                    port=address.port,
                    url=_url(address.host, address.bound_port),
                )
                for address in self._listeners
            ),
            log_stores=tuple((store.project, store.name) for store in scenario.log_stores),
            buckets=tuple(bucket.name for bucket in scenario.buckets),
        )

    def clock_status(self) -> ClockStatus:
        """Where time is."""
        now = self.clock.time()
        due_at = self.delivery.next_due_at()
        return ClockStatus(
            mode=self.clock.mode.value,
            time=self.iso(now),
            unix_s=now,
            next_delivery=None if due_at is None else self.iso(due_at),
        )

    def status(self) -> SimulationStatus:
        """Counts of everything."""
        destinations = {
            str(flow_log.flow_log_id): _describe(flow_log.destination)
            for flow_log in self.scenario.flow_logs
        }
        return SimulationStatus(
            scenario=self.scenario.name,
            version=simulator.__version__,
            seed=self.scenario.seed,
            ready=self.ready,
            clock=self.clock_status(),
            connections=self._data_plane.open_connections,
            dropped_records=self._spool.dropped_count if self._spool is not None else 0,
            traffic=tuple(
                TrafficView(
                    name=sender.profile.name,
                    sent=sender.counters.sent,
                    completed=sender.counters.completed,
                    failed=sender.counters.failed,
                    by_status={str(k): v for k, v in sorted(sender.counters.by_status.items())},
                )
                for sender in self._senders
            ),
            flow_logs=tuple(
                FlowLogView(
                    name=status.name,
                    flow_log_id=status.flow_log_id,
                    destination=destinations[status.flow_log_id],
                    status=status.status.value,
                    written=status.written,
                    delivered=status.delivered,
                    pending=status.pending,
                    lost=status.lost,
                    objects=status.objects,
                    delay_min_s=status.delay_min_s,
                    delay_median_s=status.delay_median_s,
                    delay_max_s=status.delay_max_s,
                )
                for status in self.delivery.status()
            ),
        )

    def records(self, limit: int, *, pending: bool) -> tuple[RecordView, ...]:
        """The newest records, oldest of them first; only those not yet visible if ``pending``."""
        if pending:
            lines = self.delivery.pending_lines(limit)
            return tuple(
                RecordView(
                    logged_at=self.iso(line.logged_at),
                    load_balancer_id=line.load_balancer_id,
                    due_at=None if line.due_at is None else self.iso(line.due_at),
                    record=msgspec.json.decode(line.line),
                )
                for line in reversed(lines)
            )
        return tuple(
            RecordView(
                logged_at=self.iso(recent.logged_at),
                load_balancer_id=recent.load_balancer.load_balancer_id,
                due_at=None,
                record=msgspec.json.decode(recent.line),
            )
            for recent in list(self._recent)[-limit:]
        )

    async def advance(self, seconds: float) -> AdvanceReceipt:
        """Move the clock on and wait for all that becomes due."""
        return await self._advance_to(self.clock.time() + seconds)

    async def advance_to_next_delivery(self) -> AdvanceReceipt:
        """Move the clock to the next instant something becomes visible, if there is one."""
        due_at = self.delivery.next_due_at()
        now = self.clock.time()
        return await self._advance_to(now if due_at is None else max(now, due_at))

    async def _advance_to(self, when: float) -> AdvanceReceipt:
        before, mark = self.clock.time(), self.delivery.mark()
        await self.clock.advance_to(when)
        self._save()
        receipt, after = self.delivery.since(mark), self.clock.time()
        return AdvanceReceipt(
            from_time=self.iso(before),
            to_time=self.iso(after),
            advanced_s=round(after - before, 3),
            records=receipt.record_count,
            objects=receipt.object_count,
            by_flow_log=dict(receipt.by_flow_log),
            object_names=receipt.objects,
        )

    def iso(self, at: float) -> str:
        """``at`` in the records' zone, to the millisecond."""
        moment = datetime.fromtimestamp(at, UTC).astimezone(self._zone)
        return moment.isoformat(timespec="milliseconds")


def _url(host: str, port: int) -> str:
    """Where a client on this machine reaches a socket bound to ``host``."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # any address is no address
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _delays(log: FlowLogStatus) -> DelaySummary | None:
    if log.delay_min_s is None or log.delay_median_s is None or log.delay_max_s is None:
        return None
    return DelaySummary(min_s=log.delay_min_s, median_s=log.delay_median_s, max_s=log.delay_max_s)


def _describe(destination: LogStoreDestination | BucketDestination) -> str:
    match destination:
        case LogStoreDestination():
            return f"LogStore {destination.project}/{destination.log_store}"
        case BucketDestination():
            return f"bucket {destination.bucket}/{destination.prefix}"
