"""Which backend server gets a request. It decides; it opens nothing and reads no clock."""

from simulator.routing.persistence import TOKEN_DIGITS, session_token
from simulator.routing.route import ListenerRoute, Target, TargetKey, compile_route
from simulator.routing.scheduler import LeastConnections, RoundRobin, ServerScheduler

__all__ = [
    "TOKEN_DIGITS",
    "LeastConnections",
    "ListenerRoute",
    "RoundRobin",
    "ServerScheduler",
    "Target",
    "TargetKey",
    "compile_route",
    "session_token",
]
