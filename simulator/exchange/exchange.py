"""The state of one request between its first byte and its record.

=============  ===================================  =======================
phase          event                                next
=============  ===================================  =======================
RECEIVED       ``choose_server`` gave a server      TRYING
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
from simulator.routing import ListenerRoute, Target


class Phase(IntEnum):
    """Where a request is in its life."""

    RECEIVED = 0
    TRYING = 1
    WAITING = 2
    RELAYING = 3
    REPLYING = 4
    DONE = 5


# Looked up once: reaching into an enum costs five times as much, and this is the proxied path.
_RECEIVED: Final = Phase.RECEIVED
_TRYING: Final = Phase.TRYING
_WAITING: Final = Phase.WAITING
_RELAYING: Final = Phase.RELAYING
_DONE: Final = Phase.DONE


class Failure(IntEnum):
    """How a try at a backend server ended badly."""

    REFUSED = 0
    """Refused, unreachable, or its TLS handshake failed: no connection ever stood."""
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
REDIRECT: Final = 301
"""Source: observed in the vendor's operations guide (HTTP listeners with ``redirectPort``)."""


class Exchange:
    """One request, from the routing decision to the record."""

    __slots__ = (
        "_attempt",
        "_attempt_at",
        "_counted",
        "_method",
        "_pool_retries",
        "_replayable",
        "_started_at",
        "_target",
        "_tried",
        "phase",
        "record",
        "route",
    )

    def __init__(self, route: ListenerRoute, *, started_at: float) -> None:
        self.route = route
        self.record = AccessRecord()
        self.phase = _RECEIVED
        self._started_at = started_at
        self._attempt: Attempt | None = None
        self._attempt_at = 0.0
        self._tried: tuple[BackendServer, ...] = ()
        self._target: Target | None = None
        self._counted: BackendServer | None = None
        """The server whose scheduler counts this request."""
        self._method = b""
        self._replayable = True
        self._pool_retries = 0

    def choose_server(
        self,
        method: bytes,
        now: float,
        has_body: bool,
        host: bytes | None = None,
        target: bytes = b"/",
        session: bytes | None = None,
    ) -> BackendServer | int:
        """Settle where the request goes, pick the first server and begin a try at it.

        Args:
            method: of the request.
            now: when its forwarding begins.
            has_body: it cannot be sent twice.
            host: that it names, lower case, without port.
            target: in origin form.
            session: the token in its session cookie, empty without one; None where the listener
                keeps no sessions.

        Returns:
            The server, or the status to reply with; the reply must follow. 301 redirects to the
            listener's ``redirect_port``.
            Source: assumed (404 when no policy matches, 503 for a group without a server of
            weight above 0, 502 when all are dead; blb-api C11 and C12).
        """
        if self.phase is not _RECEIVED:
            self._illegal("choose_server")
        self._method = method
        self._replayable = not has_body
        route = self.route
        to = route.only_target
        if to is None:
            if route.listener.redirect_port:
                return REDIRECT
            to = route.match(host, target)
            if to is None:
                return 404
        self._target = to
        record = self.record
        record.server_group_id = to.group_id
        record.backend_protocol = to.protocol
        server = to.scheduler.select() if session is None else to.select_bound(session)
        if server is None:
            return self._nobody(to)
        if to.counts:
            self._counted = server
        self._begin(server, now)
        return server

    @property
    def session_token(self) -> bytes:
        """What stands in a session cookie for the server being tried."""
        assert self._target is not None
        return self._target.bindings.token(self._tried[-1])

    def connected(self, now: float, *, pooled: bool) -> None:
        """The connection stands; the request is being sent on it."""
        if self.phase is not _TRYING:
            self._illegal("connected")
        attempt = self._attempt
        assert attempt is not None
        attempt.connect_s = 0.0 if pooled else now - self._attempt_at
        self.phase = _WAITING

    def fail(self, failure: Failure, now: float) -> BackendServer | int:
        """The try failed before a response head.

        Returns:
            The server to try next (a try at it has begun), or the status to reply with.
        """
        if self.phase not in (_TRYING, _WAITING):
            self._illegal(f"fail({failure.name})")
        attempt = self._attempt
        assert attempt is not None
        attempt.response_s = now - self._attempt_at
        attempt.status = status = _STATUS[failure]
        if failure in (Failure.REFUSED, Failure.CONNECT_TIMEOUT):
            attempt.connect_s = None
            if len(self._tried) < _MAX_SERVERS:
                assert self._target is not None
                scheduler = self._target.scheduler
                other = scheduler.select(self._tried)
                if other is not None:
                    if self._counted is not None:
                        scheduler.release(self._counted)
                        self._counted = other
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
        if self.phase is not _WAITING:
            self._illegal("response_head")
        attempt = self._attempt
        assert attempt is not None
        # An HTTP/0.9 answer has no status of its own. Source: measured on the reference server.
        attempt.status = 200 if status == 9 else status
        self.record.response_status = status
        self.phase = _RELAYING

    def backend_done(self, now: float) -> None:
        """The last byte of the response was read, or it was cut short."""
        attempt = self._attempt
        if attempt is not None:
            attempt.response_s = now - self._attempt_at

    def reply(self, status: int) -> None:
        """The load balancer answers by itself."""
        if self.phase in (_RELAYING, _DONE):
            self._illegal(f"reply({status})")
        self.record.response_status = status
        self.phase = Phase.REPLYING

    def client_gone(self, now: float, *, mid_request: bool) -> None:
        """The client closed before it had its response.

        Args:
            now: when it was noticed.
            mid_request: its request had not fully arrived: a 400, not a 499.
        """
        if self.phase in (_RECEIVED, _TRYING, _WAITING):
            self.record.response_status = 400 if mid_request else CLIENT_CLOSED_REQUEST
            self.backend_done(now)

    def finish(self, *, now: float, logged_at: float) -> AccessRecord:
        """The last byte for the client is handed to the kernel, or there will be none.

        Args:
            now: on the monotonic timer.
            logged_at: the simulated instant.
        """
        if self.phase is _DONE:
            self._illegal("finish")
        self.phase = _DONE
        if self._counted is not None:
            assert self._target is not None
            self._target.scheduler.release(self._counted)
        record = self.record
        elapsed_s = now - self._started_at
        record.request_time_s = elapsed_s if elapsed_s > 0.0 else 0.0
        record.logged_at = logged_at
        return record

    def _begin(self, server: BackendServer, now: float) -> None:
        self._tried += (server,)
        self._attempt = attempt = Attempt(server.address)
        self._attempt_at = now
        self.record.attempts.append(attempt)
        self.phase = _TRYING

    def _nobody(self, target: Target) -> int:
        """The status when the group has nobody to send to.

        Source: measured on the reference server: when all are dead, the group stands in the
        place of a server.
        """
        if target.is_empty:
            return 503
        attempt = Attempt(target.group_id)
        attempt.status = 502
        self.record.attempts.append(attempt)
        return 502

    def _illegal(self, event: str) -> None:
        raise RuntimeError(f"exchange: {event} is not legal in phase {self.phase.name}")
