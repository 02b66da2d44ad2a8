"""A few queries are at work at once; the others wait for their turn."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from demo_store import NOW_MS, Store

from simulator.clock import monotonic
from simulator.errors import ControlError
from simulator.logstore import NewRecord
from simulator.logstore.admission import Admission
from simulator.logstore.watchdog import QueryHandle

PATIENCE_S = 20.0


class Guest:
    """Somebody in a thread who wants a place, and has it until told to leave."""

    def __init__(self, admission: Admission, order: list[str], name: str) -> None:
        self.handle = QueryHandle()
        self.inside = threading.Event()
        self.leave = threading.Event()
        self.error = ""
        self._admission, self._order, self._name = admission, order, name
        self._thread = threading.Thread(target=self._visit, daemon=True)
        self._thread.start()

    def _visit(self) -> None:
        try:
            with self._admission.place(monotonic() + PATIENCE_S, self.handle):
                self._order.append(self._name)
                self.inside.set()
                self.leave.wait(PATIENCE_S)
        except ControlError as error:
            self.error = error.code

    def gone(self) -> str:
        """Wait for the end; the code of the error, if any."""
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive()
        return self.error


class House:
    """An admission with two places, and who came."""

    def __init__(self, places: int = 2) -> None:
        self.admission = Admission(100 << 20, places)
        self.order: list[str] = []
        self.guests: list[Guest] = []

    def come(self, *names: str, waiting: int) -> list[Guest]:
        """Let guests come one after the other; ``waiting`` of them find no place."""
        came = []
        for number, name in enumerate(names):
            came.append(Guest(self.admission, self.order, name))
            if number < len(names) - waiting:
                assert came[-1].inside.wait(PATIENCE_S)
            else:
                queued = number + 1 - (len(names) - waiting)
                assert self.admission.wait_for_queue(queued, PATIENCE_S)
        self.guests += came
        return came


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    for guest in house.guests:
        guest.leave.set()
        guest.gone()


def test_places_are_taken_in_the_order_of_coming(house: House) -> None:
    a, b, *_ = house.come("a", "b", "c", "d", waiting=2)
    assert house.order == ["a", "b"]
    a.leave.set()
    assert house.admission.wait_for_queue(1, PATIENCE_S)
    b.leave.set()
    assert house.admission.wait_for_queue(0, PATIENCE_S)
    for guest in house.guests:
        guest.leave.set()
        assert guest.gone() == ""
    assert sorted(house.order[2:]) == ["c", "d"]
    assert house.order.index("c") == 2


def test_many_that_wait_are_let_in_one_by_one_as_they_came() -> None:
    house = House(places=1)
    names = [f"guest {number}" for number in range(20)]
    guests = house.come(*names, waiting=19)
    left = [guests[3], guests[11], guests[19]]
    for guest in left:
        guest.handle.cancel()
        assert guest.gone() == "ExecutionTimeout"
    stayed = [guest for guest in guests if guest not in left]
    for number, guest in enumerate(stayed, 1):
        assert guest.inside.wait(PATIENCE_S)
        assert len(house.order) == number  # nobody else is inside
        guest.leave.set()
        assert guest.gone() == ""
    assert house.order == [name for name in names if name not in {names[3], names[11], names[19]}]


def test_what_wants_little_memory_does_not_overtake_what_wants_much(house: House) -> None:
    order: list[str] = []

    def work(name: str, byte_count: int) -> None:
        with house.admission.room(byte_count, monotonic() + PATIENCE_S):
            order.append(name)

    def waiting(count: int) -> bool:
        admission = house.admission
        with admission._changed:
            return admission._changed.wait_for(
                lambda: len(admission._bytes.waiting) == count, PATIENCE_S
            )

    sizes = {"much": 90 << 20, "little": 2 << 20, "more": 100 << 20}
    threads = [threading.Thread(target=work, args=one, daemon=True) for one in sizes.items()]
    with house.admission.room(20 << 20, monotonic() + PATIENCE_S):
        for number, thread in enumerate(threads, 1):
            thread.start()
            assert waiting(number)
        work("so little that nobody counts it", 1000)
    for thread in threads:
        thread.join(PATIENCE_S)
    assert order[0].startswith("so little")
    assert order[-1] == "more"
    assert sorted(order[1:3]) == ["little", "much"]


def test_one_that_gives_up_waiting_lets_the_next_one_on(house: House) -> None:
    a, _, c, d = house.come("a", "b", "c", "d", waiting=2)
    c.handle.cancel()
    assert c.gone() == "ExecutionTimeout"
    a.leave.set()
    assert d.inside.wait(PATIENCE_S)


def test_waiting_ends_at_the_deadline(house: House) -> None:
    house.come("a", "b", waiting=0)
    with pytest.raises(ControlError) as caught, house.admission.place(monotonic()):
        pass
    assert (caught.value.code, caught.value.status) == ("ExecutionTimeout", 408)
    assert house.admission.wait_for_queue(0, PATIENCE_S)


def test_what_waits_is_sent_away_and_what_comes_later_is_not(house: House) -> None:
    a, _, c = house.come("a", "b", "c", waiting=1)
    house.admission.interrupt_all()
    assert c.gone() == "ExecutionTimeout"
    a.leave.set()
    a.gone()
    house.come("d", waiting=0)


def test_nothing_is_let_in_after_the_end(house: House) -> None:
    *_, c = house.come("a", "b", "c", waiting=1)
    house.admission.close()
    assert c.gone() == "ExecutionTimeout"
    with pytest.raises(ControlError), house.admission.place(monotonic() + PATIENCE_S):
        pass


def test_twenty_who_ask_much_are_all_answered_while_one_writes(store: Store) -> None:
    records = [NewRecord(message=f"{n} " * 50, timestamp_ms=NOW_MS) for n in range(1000)]
    store.engine.push("default", "demo", records)
    statement = "select length(`@raw`) as l, max(lpad(`@raw`, 2000, 'ab')) as m group by l"
    at_work = threading.Semaphore(0)
    pushed: list[int] = []

    def ask() -> int:
        at_work.release()
        return len(store.select(statement))

    with ThreadPoolExecutor(20) as threads:
        answers = [threads.submit(ask) for _ in range(20)]
        assert all(at_work.acquire(timeout=PATIENCE_S) for _ in answers)
        while not all(one.done() for one in answers) or not pushed:
            store.push("one more", at_ms=NOW_MS + len(pushed))
            pushed.append(sum(not one.done() for one in answers))
        assert all(one.result() >= 3 for one in answers)
    assert store.select("select count(*)") == [(1000 + len(pushed),)]
