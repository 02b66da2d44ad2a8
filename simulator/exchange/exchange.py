"""The state of one request between its first byte and its record.

=============  ===================================  =======================
phase          event                                next
=============  ===================================  =======================
RECEIVED       ``choose_server`` found one          TRYING
RECEIVED       ``reply``                            REPLYING
TRYING         ``connected``                        WAITING
TRYING         ``fail`` with another try left       TRYING
TRYING         ``fail`` with none left              REPLYING
WAITING        ``fail``                             TRYING or REPLYING
WAITING        ``response_head``                    RELAYING
RELAYING       ``fail`` (cut short)                 RELAYING
any but DONE   ``client_gone``, then ``finish``     DONE
=============  ===================================  =======================

Durations are seconds of a monotonic timer that the driver reads once per event.
"""

from enum import IntEnum
from typing import Final

from simulator.accesslog import AccessRecord, Attempt
from simulator.model import BackendServer
from simulator.routing import ListenerRoute


class Phase(IntEnum):
    """Where a request is in its life."""

    RECEIVED = 0
    TRYING = 1
    WAITING = 2
    RELAYING = 3
    REPLYING = 4
    DONE = 5


class Failure(IntEnum):
    """How a try at a backend server ended badly."""

    REFUSED = 0
    """Refused or unreachable: no connection ever stood."""
    CONNECT_TIMEOUT = 1
    CLOSED_EARLY = 2
    """Closed or reset before a whole response head."""
    POOLED_CLOSED = 3
    """A connection from the pool turned out to be closed before it answered anything."""
    READ_TIMEOUT = 4
    BAD_RESPONSE = 5
    """A response head that is too large, malformed or contradicts itself."""


_STATUS: Final = {
    Failure.REFUSED: 502,
    Failure.CONNECT_TIMEOUT: 504,
    Failure.CLOSED_EARLY: 502,
    Failure.POOLED_CLOSED: 502,
    Failure.READ_TIMEOUT: 504,
    Failure.BAD_RESPONSE: 502,
}
_IDEMPOTENT: Final = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE"})
_MAX_SERVERS: Final = 2
"""The first, and one other. Source: assumed (one retry, only before bytes were sent)."""

CLIENT_CLOSED_REQUEST: Final = 499


class Exchange:
    """One request, from the routing decision to the record."""

    __slots__ = (
        "_attempt",
        "_attempt_at",
        "_method",
        "_pool_retries",
        "_replayable",
        "_started_at",
        "_tried",
        "phase",
        "record",
        "route",
    )

    def __init__(self, route: ListenerRoute, *, started_at: float) -> None:
        self.route = route
        self.record = AccessRecord()
        self.phase = Phase.RECEIVED
        self._started_at = started_at
        self._attempt: Attempt | None = None
        self._attempt_at = 0.0
        self._tried: tuple[BackendServer, ...] = ()
        self._method = b""
        self._replayable = True
        self._pool_retries = 0

    def choose_server(self, method: bytes, now: float, *, has_body: bool) -> BackendServer | None:
        """Pick the first server and begin a try at it.

        Returns:
            None when the group has no usable server; ``reply(503)`` must follow.
            Source: assumed (503 for an empty group, blb-api C12).
        """
        self._expect(Phase.RECEIVED, "choose_server")
        self._method = method
        self._replayable = not has_body
        group = self.route.group
        self.record.server_group_id = group.server_group_id
        server = self.route.scheduler.select()
        if server is not None:
            self._begin(server, now)
        return server

    def connected(self, now: float, *, pooled: bool) -> None:
        """The connection stands; the request is being sent on it."""
        self._expect(Phase.TRYING, "connected")
        attempt = self._attempt
        assert attempt is not None
        attempt.connect_s = 0.0 if pooled else now - self._attempt_at
        self.phase = Phase.WAITING

    def fail(self, failure: Failure, now: float) -> BackendServer | int:
        """The try failed before a response head.

        Returns:
            The server to try next (a try at it has begun), or the status to reply with.
        """
        if self.phase not in (Phase.TRYING, Phase.WAITING):
            self._illegal(f"fail({failure.name})")
        attempt = self._attempt
        assert attempt is not None
        attempt.response_s = now - self._attempt_at
        attempt.status = status = _STATUS[failure]
        if failure in (Failure.REFUSED, Failure.CONNECT_TIMEOUT):
            attempt.connect_s = None
            if len(self._tried) < _MAX_SERVERS:
                other = self.route.scheduler.select(self._tried)
                if other is not None:
                    self._begin(other, now)
                    return other
        elif (
            failure is Failure.POOLED_CLOSED
            and self._replayable
            and self._pool_retries == 0
            and self._method in _IDEMPOTENT
        ):
            self._pool_retries = 1
            same = self._tried[-1]
            self._begin(same, now)
            return same
        return status

    def response_head(self, status: int) -> None:
        """The backend server answered; its response is being relayed.

        Args:
            status: as received; 9 stands for an answer that is not HTTP at all.
        """
        self._expect(Phase.WAITING, "response_head")
        assert self._attempt is not None
        # An HTTP/0.9 answer has no status of its own. Source: measured on the reference server.
        self._attempt.status = 200 if status == 9 else status
        self.record.response_status = status
        self.phase = Phase.RELAYING

    def backend_done(self, now: float) -> None:
        """The last byte of the response was read, or it was cut short."""
        if self._attempt is not None:
            self._attempt.response_s = now - self._attempt_at

    def reply(self, status: int) -> None:
        """The load balancer answers by itself."""
        if self.phase in (Phase.RELAYING, Phase.DONE):
            self._illegal(f"reply({status})")
        self.record.response_status = status
        self.phase = Phase.REPLYING

    def client_gone(self, now: float, *, mid_request: bool) -> None:
        """The client closed before it had its response.

        Args:
            now: when it was noticed.
            mid_request: its request had not fully arrived: a 400, not a 499.
        """
        if self.phase in (Phase.RECEIVED, Phase.TRYING, Phase.WAITING):
            self.record.response_status = 400 if mid_request else CLIENT_CLOSED_REQUEST
            self.backend_done(now)

    def finish(self, *, now: float, logged_at: float) -> AccessRecord:
        """The last byte for the client is handed to the kernel, or there will be none.

        Args:
            now: on the monotonic timer.
            logged_at: the simulated instant.
        """
        if self.phase is Phase.DONE:
            self._illegal("finish")
        self.phase = Phase.DONE
        record = self.record
        record.request_time_s = max(0.0, now - self._started_at)
        record.logged_at = logged_at
        return record

    def _begin(self, server: BackendServer, now: float) -> None:
        self._tried += (server,)
        self._attempt = Attempt(server.address)
        self._attempt_at = now
        self.record.attempts.append(self._attempt)
        self.phase = Phase.TRYING

    def _expect(self, phase: Phase, event: str) -> None:
        if self.phase is not phase:
            self._illegal(event)

    def _illegal(self, event: str) -> None:
        raise RuntimeError(f"exchange: {event} is not legal in phase {self.phase.name}")
