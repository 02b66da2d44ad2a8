"""One health check on a real socket: connect, ask, judge.

A probe is none of a listener's requests: it leaves no access record.
"""

import asyncio
import os
import re
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final, Protocol, cast

from simulator.dataplane.certificates import backend_context
from simulator.model import HealthCheck, HealthCheckMethod, HealthCheckType
from simulator.routing.health import ProbeResult, ProbeTarget
from simulator.tls import TlsClientStream

_STATUS_LINE: Final = re.compile(rb"HTTP/[0-9]\.[0-9] ([1-9])[0-9][0-9](?: |\Z)")
_LONGEST_STATUS_LINE: Final = 4096
_DRAIN_BYTES: Final = 1 << 20
_DRAIN_S: Final = 1.0
"""The rest of an answer is read this far, so that the server can finish writing it in peace."""
_NOT_HTTP: Final = "not an HTTP response"
_RESET: Final = struct.pack("ii", 1, 0)
"""Linger on, for no time: close with a reset instead of a goodbye."""


class _Conversation(Protocol):
    def abort(self) -> None:
        """Close at once; fine to call twice, and before there is anything to close."""


class Probe:
    """Probes ``target`` once.

    Args:
        target: what to probe, and how.
        tasks: the connection is opened in it.
        done: called in the loop, once, with the result; never after ``abort``.

    No result within ``timeout_s`` real seconds is a failure. An HTTP connection may outlast the
    result by a second, until the server has finished its answer.
    """

    __slots__ = ("_conversation", "_done", "_target", "_task", "_timer")

    def __init__(
        self,
        target: ProbeTarget,
        *,
        tasks: asyncio.TaskGroup,
        done: Callable[[ProbeResult], None],
    ) -> None:
        self._target = target
        self._done: Callable[[ProbeResult], None] | None = done
        self._conversation: _Conversation | None = None
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(target.check.timeout_s, self._timed_out)
        self._task = tasks.create_task(
            self._open(loop), name=f"probe {target.server.address} for {target.scope}"
        )

    @property
    def is_over(self) -> bool:
        """Whether there is a result, or none is wanted."""
        return self._done is None

    def abort(self) -> None:
        """Close what is open; no result is wanted. Fine to call twice, and when it is over."""
        self._done = None
        self._timer.cancel()
        self._task.cancel()
        if self._conversation is not None:
            self._conversation.abort()

    def finish(self, *, ok: bool, detail: str) -> None:
        """The result is known; whatever else follows changes nothing."""
        done, self._done = self._done, None
        if done is not None:
            self._timer.cancel()
            done(ProbeResult(ok=ok, detail=detail))

    async def _open(self, loop: asyncio.AbstractEventLoop) -> None:
        server, check = self._target.server, self._target.check
        host, port = server.connect_host, check.port or server.connect_port
        try:
            if check.type is HealthCheckType.UDP:
                udp = _UdpConversation(self, check.payload)
                self._conversation = udp
                await loop.create_datagram_endpoint(lambda: udp, remote_addr=(host, port))
            elif check.type is HealthCheckType.HTTPS:
                secure = TlsClientStream(
                    backend_context(), _HttpConversation(self, check), opened=self._opened
                )
                self._conversation = secure
                await loop.create_connection(lambda: secure, host, port)
            else:
                kind = _HttpConversation if check.type is HealthCheckType.HTTP else _TcpConversation
                tcp = kind(self, check)
                self._conversation = tcp
                await loop.create_connection(lambda: tcp, host, port)
        except OSError as error:
            self.finish(ok=False, detail=_reason(error))

    def _opened(self, error: OSError | None) -> None:
        """A TLS handshake is over."""
        if error is not None:
            why = error.reason if isinstance(error, ssl.SSLError) else None
            reason = why.lower().replace("_", " ") if why else _reason(error)
            self.finish(ok=False, detail=f"TLS handshake failed: {reason}")

    def _timed_out(self) -> None:
        self._task.cancel()
        if self._conversation is not None:
            self._conversation.abort()
        self.finish(ok=False, detail=f"no answer within {self._target.check.timeout_s:g}s")


class _TcpConversation(asyncio.Protocol):
    """Source: doc https://cloud.baidu.com/doc/BLB/s/Pmvhr1yg7: SYN+ACK is all; ACK, RST follow."""

    def __init__(self, probe: Probe, check: HealthCheck) -> None:
        self._probe = probe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        reset(transport)
        self._probe.finish(ok=True, detail="connected")

    def abort(self) -> None:
        """It closes as soon as it is open."""


class _UdpConversation(asyncio.DatagramProtocol):
    """Source: doc https://cloud.baidu.com/doc/BLB/s/Pmvhr1yg7: any reply is a success."""

    def __init__(self, probe: Probe, payload: bytes) -> None:
        self._probe = probe
        self._payload = payload
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.DatagramTransport", transport)
        if self._probe.is_over:
            self.abort()
        else:
            self._transport.sendto(self._payload)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.abort()
        self._probe.finish(ok=True, detail="answered")

    def error_received(self, exc: Exception) -> None:
        self.abort()
        self._probe.finish(ok=False, detail=_reason(exc))

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


class _HttpConversation(asyncio.Protocol):
    """Source: doc https://cloud.baidu.com/doc/BLB/s/Pmvhr1yg7: the class of the status decides.

    HTTP/1.0 is assumed (blb-api C18), and that only the status line is looked at.
    """

    def __init__(self, probe: Probe, check: HealthCheck) -> None:
        self._probe = probe
        self._check = check
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._unread_bytes = _DRAIN_BYTES
        self._judged = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        if self._probe.is_over:
            self.abort()
        else:
            self._transport.write(encode_probe(self._check))

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._judged:
            line, ended, _ = self._received.partition(b"\n")
            if not ended and len(line) <= _LONGEST_STATUS_LINE:
                return
            self._judge(line.removesuffix(b"\r"))
        is_head = self._check.method is HealthCheckMethod.HEAD
        self._unread_bytes -= len(data)
        if self._unread_bytes < 0 or (is_head and _has_whole_head(self._received)):
            self._close()
        elif not is_head:
            self._received = b""

    def eof_received(self) -> bool:
        self._close()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._judged:
            return
        if self._received:
            self._probe.finish(ok=False, detail=_NOT_HTTP)
        else:
            why = "closed without an answer" if exc is None else _reason(exc)
            self._probe.finish(ok=False, detail=why)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _judge(self, line: bytes) -> None:
        self._judged = True
        self._timer = asyncio.get_running_loop().call_later(_DRAIN_S, self.abort)
        found = _STATUS_LINE.match(line)
        if found is None:
            self._probe.finish(ok=False, detail=_NOT_HTTP)
        else:
            self._probe.finish(
                ok=int(found[1]) in self._check.normal_status,
                detail=f"status {line.split()[1].decode()}",
            )


def encode_probe(check: HealthCheck) -> bytes:
    """The request of an HTTP probe."""
    host = f"Host: {check.host}" if check.host else "Host:"
    return f"{check.method.value} {check.uri} HTTP/1.0\r\n{host}\r\n\r\n".encode("latin-1")


def reset(transport: asyncio.BaseTransport) -> None:
    """Close a TCP connection with a RST."""
    sock = transport.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    cast("asyncio.Transport", transport).abort()


def _reason(error: Exception) -> str:
    """What went wrong, without the address that the reader knows anyhow."""
    number = error.errno if isinstance(error, OSError) else None
    return (os.strerror(number) if number else str(error) or type(error).__name__).lower()


def _has_whole_head(data: bytes) -> bool:
    return b"\r\n\r\n" in data or b"\n\n" in data
