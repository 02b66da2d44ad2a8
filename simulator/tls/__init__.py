"""TLS over a socket's transport, for either side of a connection. It knows nothing of HTTP."""

from simulator.tls.client import TlsClientStream
from simulator.tls.stream import TlsStream, TlsTransport

__all__ = ["TlsClientStream", "TlsStream", "TlsTransport"]
