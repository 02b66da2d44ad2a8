"""What a world keeps records in: the LogStores, the buckets, and their upkeep."""

from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress

from simulator.clock import SimulatedClock
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings, Upkeep
from simulator.model import LogStore, SearchMode
from simulator.objectstore import ObjectStore
from simulator.rng import Rng
from simulator.scenario import Scenario
from simulator.world.state import DataDirectory


class Stores:
    """Opens the database of the LogStores at once, the buckets when asked.

    You must call ``aclose``.

    Args:
        rng: draws what queries leave to chance.
        spawn: starts a task of the world's.
    """

    def __init__(
        self,
        scenario: Scenario,
        data: DataDirectory,
        *,
        clock: SimulatedClock,
        rng: Rng,
        spawn: Callable[[Coroutine[None, None, None], str], object],
    ) -> None:
        self._scenario = scenario
        self._data = data
        self._clock = clock
        service = scenario.log_service
        self.engine = LogStoreEngine(
            data.log_stores,
            clock,
            load_from=(data.spool,),
            downloads=data.downloads,
            memory_limit=f"{service.memory_bytes}B",
            spill_limit=f"{service.spill_bytes}B",
            query_limit_s=service.query_timeout_s,
            rng=rng,
        )
        """The LogStores."""
        self._upkeep = Upkeep(self.engine.jobs, clock, spawn)
        self.objects: ObjectStore | None = None
        """The buckets; None where nothing needs one."""

    def create_log_stores(self) -> None:
        """Make the scenario's LogStores; those that an earlier run made stay as they are."""
        for log_store in self._scenario.log_stores:
            self._create(log_store)
        # From here on they are made through the API.
        service = self._scenario.log_service
        self.engine.ready_after_s = service.ready_after_s
        self.engine.strict_search = service.search is SearchMode.STRICT

    def _create(self, log_store: LogStore) -> None:
        settings = LogStoreSettings(
            retention_days=log_store.retention_days,
            strict_search=log_store.search is SearchMode.STRICT,
        )
        with suppress(ControlError):
            self.engine.create_project(log_store.project)
        try:
            self.engine.create_log_store(log_store.project, log_store.name, settings)
        except ControlError as error:
            if error.code != "LogStoreAlreadyExist":
                raise

    def open_buckets(self) -> None:
        """Make the scenario's buckets, and let the LogStores put objects into them."""
        # Importing moto takes most of a second; call it where nothing else needs the loop.
        self.objects = ObjectStore(
            self._data.objects, region=self._scenario.region, time=self._clock.time
        )
        for bucket in self._scenario.buckets:
            self.objects.create_bucket(bucket.name)
        self.engine.use_buckets(self.objects)

    def has_bucket(self, name: str) -> bool:
        """Whether there is a bucket of this name."""
        return self.objects is not None and self.objects.has_bucket(name)

    def start_upkeep(self) -> None:
        """Begin what LogStores do by themselves, on the clock."""
        self._upkeep.start()

    def stop_upkeep(self) -> None:
        """Begin nothing more of it; what is at work comes to an end soon."""
        self._upkeep.stop()

    def look_after(self) -> None:
        """Let the LogStores' own work follow what a call has changed."""
        self._upkeep.look()

    async def aclose(self) -> None:
        """Finish what upkeep runs, close both. After whatever uses them; fine to call twice."""
        # Last in, first out: whatever fails to stop, the rest still does.
        async with AsyncExitStack() as stack:
            if self.objects is not None:
                stack.callback(self.objects.close)
            stack.callback(self.engine.close)
            stack.push_async_callback(self._upkeep.aclose)
