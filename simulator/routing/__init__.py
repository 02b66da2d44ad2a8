"""Which backend server gets a request. It decides; it opens nothing and reads no clock."""

from simulator.routing.route import ListenerRoute, compile_route
from simulator.routing.scheduler import RoundRobin

__all__ = ["ListenerRoute", "RoundRobin", "compile_route"]
