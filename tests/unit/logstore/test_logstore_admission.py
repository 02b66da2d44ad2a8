"""A few queries are at work at once; the others wait for their turn."""

import threading
from collections.abc import Iterator

import pytest

from simulator.clock import monotonic
from simulator.errors import ControlError
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

    def __init__(self) -> None:
        self.admission = Admission(100, 2)
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
