"""The page of shared memory: one clock's time, and what each service node shows of itself.

::

    clock | what is spooled | node 0: its clock, its counts, its series ... | node 1 ... | ...
"""

import mmap
import os
import tempfile
from dataclasses import dataclass
from typing import Final

from simulator.clock import CELL_BYTES, HEADER_CELLS, SLOT_CELLS, ClockPage, FollowerSlot
from simulator.spool import SERIES_CELLS, RoomCell, SeriesCells, SpoolRoom

SERIES_PER_NODE: Final = 1024
"""Load balancers that one node can serve; the vendor's quota is 60."""
_COUNT_CELLS: Final = 8
_NODE_CELLS: Final = SLOT_CELLS + _COUNT_CELLS + SERIES_PER_NODE * SERIES_CELLS

_SENT: Final = 0
_SPOOLED: Final = 1

_ROOM: Final = HEADER_CELLS
"""Where bytes are that the simulator counts as spooled itself, and those removed."""
_ROOM_CELLS: Final = 8
_FIRST_NODE: Final = _ROOM + _ROOM_CELLS


class NodePage:
    """The page of one simulation.

    Args:
        file: as long as ``make_page_file`` made it; stays the caller's.
    """

    def __init__(self, file: int) -> None:
        self._memory = mmap.mmap(file, 0)
        self.clock = ClockPage(self._memory)

    def node(self, index: int) -> "NodeCells":
        """What the node with that place in the page shows."""
        return NodeCells(page=self.clock, first_cell=_FIRST_NODE + index * _NODE_CELLS)

    @property
    def spooled(self) -> tuple[RoomCell, ...]:
        """Bytes that were spooled, by who counts them: each node, and last the simulator."""
        node_count = (len(self.clock.words) - _FIRST_NODE) // _NODE_CELLS
        nodes = (self.node(index).counts.spooled for index in range(node_count))
        return (*nodes, self.clock.words[_ROOM : _ROOM + 1])

    @property
    def removed(self) -> RoomCell:
        """Bytes that were removed from the spool."""
        return self.clock.words[_ROOM + 1 : _ROOM + 2]

    def share(self, room: SpoolRoom, place: int) -> None:
        """Have ``room`` count here, for the node with that place or, with -1, the simulator."""
        others = list(self.spooled)
        own = others.pop(place)
        room.share(own=own, freed=self.removed, others=others)


@dataclass(frozen=True, slots=True)
class NodeCells:
    """The cells of one node, for the node itself and for who watches it."""

    page: ClockPage
    first_cell: int

    @property
    def slot(self) -> FollowerSlot:
        """What its clock shows."""
        return FollowerSlot(self.page, self.first_cell)

    @property
    def counts(self) -> "NodeCounts":
        """How much it does."""
        first = self.first_cell + SLOT_CELLS
        return NodeCounts(self.page.words[first : first + _COUNT_CELLS])

    def series(self, index: int) -> SeriesCells:
        """The cells of its series with that number."""
        assert index < SERIES_PER_NODE
        first = self.first_cell + SLOT_CELLS + _COUNT_CELLS + index * SERIES_CELLS
        return self.page.words[first : first + SERIES_CELLS]


class NodeCounts:
    """Counts that a node keeps up to date."""

    __slots__ = ("_cells",)

    def __init__(self, cells: memoryview) -> None:
        self._cells = cells

    def reset(self) -> None:
        """Make them those of a process that has done nothing yet."""
        for cell in range(_COUNT_CELLS):
            self._cells[cell] = 0

    @property
    def sent(self) -> int:
        """Messages that it has sent, or is about to."""
        return self._cells[_SENT]

    @property
    def spooled(self) -> RoomCell:
        """Bytes that its process has spooled."""
        return self._cells[_SPOOLED : _SPOOLED + 1]

    def count_sent(self) -> None:
        """One more is about to be sent."""
        self._cells[_SENT] += 1


def make_page_file(node_count: int) -> int:
    """An open file without a name for the page of ``node_count`` nodes; the caller closes it."""
    size = (_FIRST_NODE + node_count * _NODE_CELLS) * CELL_BYTES
    with tempfile.TemporaryFile() as file:
        file.truncate(size)
        return os.dup(file.fileno())
