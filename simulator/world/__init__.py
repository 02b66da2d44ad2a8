"""The composition root: builds every part of a simulation, starts and stops them in order."""

from simulator.world.reading import ReadBack
from simulator.world.state import DataDirectory, load_for
from simulator.world.world import World, WorldOptions, running_world

__all__ = ["DataDirectory", "ReadBack", "World", "WorldOptions", "load_for", "running_world"]
