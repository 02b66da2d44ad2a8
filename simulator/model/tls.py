"""What an HTTPS listener needs to know of TLS."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class EncryptionType(StrEnum):
    """Sets of protocol versions and ciphers, by the vendor's names.

    Source: doc https://cloud.baidu.com/doc/BLB/s/Pjwvxnxdm for the names; the versions behind
    them are assumed (the vendor's table was not readable).
    """

    DEFAULT = "tls_cipher_policy_default"
    """TLS 1.0 to 1.2."""
    TLS_1_1 = "tls_cipher_policy_1_1"
    """TLS 1.1 to 1.2."""
    TLS_1_2 = "tls_cipher_policy_1_2"
    """TLS 1.2."""
    TLS_1_2_SECURE = "tls_cipher_policy_1_2_secure"
    """TLS 1.2 with forward secrecy and AES-GCM only."""
    USER_DEFINED = "userDefind"
    """The versions and ciphers that the listener names; so spelled by the vendor."""


class TlsProtocol(StrEnum):
    """A version of TLS, by the vendor's name in ``encryptionProtocols``.

    Source: the vendor's API metadata.
    """

    TLS_1_0 = "tlsv10"
    TLS_1_1 = "tlsv11"
    TLS_1_2 = "tlsv12"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """A certificate and its key in PEM files."""

    certificate: Path
    """The chain, the server's own first."""
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateForDomains:
    """A certificate to be made, signed by the simulator's own authority."""

    domains: tuple[str, ...]
    """DNS names, ``*.example.com`` allowed, or IP addresses."""


Certificate = CertificateFiles | CertificateForDomains


@dataclass(frozen=True, slots=True, kw_only=True)
class SniCertificate:
    """A further certificate, for clients that ask for ``host``."""

    host: str
    """Lower case; ``*.`` in front stands for one label."""
    certificate: Certificate


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How an HTTPS listener speaks TLS."""

    certificate: Certificate
    sni: tuple[SniCertificate, ...] = ()
    encryption: EncryptionType = EncryptionType.DEFAULT
    protocols: tuple[TlsProtocol, ...] = ()
    """With ``USER_DEFINED``: those that are offered, at least one."""
    ciphers: str = ""
    """With ``USER_DEFINED``: OpenSSL's names joined by ``:``; empty: OpenSSL's default."""
    client_authority: Path | None = None
    """PEM file of the authorities whose client certificates are accepted; None asks for none."""
