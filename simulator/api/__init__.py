"""HTTP faces of the simulator: BCE APIs with their authentication and errors."""

from simulator.api.app import make_api_app, make_runner
from simulator.api.auth import Authenticator

__all__ = ["Authenticator", "make_api_app", "make_runner"]
