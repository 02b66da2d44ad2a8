"""How much the spool may hold: who is told when it is full, and when there is room again."""

import pytest

from simulator.spool import SpoolRoom, WhenFull
from simulator.spool.room import new_cell


def test_a_room_that_drops_refuses_what_does_not_fit_and_tells_nobody():
    room = SpoolRoom(100)
    room.on_full = pytest.fail
    room.take(90)
    assert [room.refuses(count) for count in (10, 11)] == [False, True]
    room.take(10)
    assert room.is_full
    room.free(1)
    assert [room.refuses(count) for count in (1, 2)] == [False, True]


def test_a_room_that_blocks_refuses_nothing_and_tells_once_until_it_is_opened():
    told: list[int] = []
    room = SpoolRoom(100, WhenFull.BLOCK)
    room.on_full = lambda: told.append(room.used_bytes)
    room.take(99)
    assert not told
    for _ in range(3):
        assert not room.refuses(1000)
        room.take(1)
    assert told == [100]
    room.free(11)
    assert (room.used_bytes, room.is_roomy) == (91, False)
    room.free(1)
    assert room.is_roomy
    room.is_closed = False
    room.take(10)
    assert told == [100, 100]


def test_a_shared_room_counts_what_all_have_taken():
    mine, freed, theirs = new_cell(), new_cell(), new_cell()
    room = SpoolRoom(100)
    room.take(40)
    room.free(5)
    room.share(own=mine, freed=freed, others=(theirs,))
    theirs[0] = 50
    assert room.used_bytes == 85
    room.take(5)
    room.free(2)
    assert (mine[0], freed[0], room.used_bytes) == (45, 7, 88)
    assert room.refuses(13)
