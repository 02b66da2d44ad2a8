"""Certificates: read from files, or made by an authority of our own; and TLS contexts of them."""

import hashlib
import ipaddress
import os
import ssl
import warnings
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from simulator.clock import wall_time
from simulator.errors import StartupError
from simulator.model import (
    Certificate,
    CertificateFiles,
    CertificateForDomains,
    EncryptionType,
    TlsProtocol,
    TlsSettings,
)

_AUTHORITY_DAYS: Final = 3650
_CERTIFICATE_DAYS: Final = 397
"""The longest that browsers accept."""
_OLDEST: Final = {
    EncryptionType.DEFAULT: "TLSv1",
    EncryptionType.TLS_1_1: "TLSv1_1",
    EncryptionType.TLS_1_2: "TLSv1_2",
    EncryptionType.TLS_1_2_SECURE: "TLSv1_2",
}
_PROTOCOLS: Final = {
    TlsProtocol.TLS_1_0: "TLSv1",
    TlsProtocol.TLS_1_1: "TLSv1_1",
    TlsProtocol.TLS_1_2: "TLSv1_2",
}
_CIPHERS: Final = {
    EncryptionType.DEFAULT: "DEFAULT",
    EncryptionType.TLS_1_1: "DEFAULT",
    EncryptionType.TLS_1_2: "DEFAULT",
    EncryptionType.TLS_1_2_SECURE: "ECDHE+AESGCM",
    EncryptionType.USER_DEFINED: "DEFAULT",
}


class Authority:
    """Signs the certificates that a scenario asks for; clients can trust it by its PEM.

    Args:
        directory: where its key and certificate are kept for the next run.

    Raises:
        StartupError: the directory cannot be written, or what lies there cannot be read.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key_file = directory / "authority.key"
        self.file = directory / "authority.pem"
        try:
            directory.mkdir(parents=True, exist_ok=True)
            if self._key_file.exists() and self.file.exists():
                self._load()
            else:
                self._make()
        except (OSError, ValueError) as error:
            raise StartupError(f"certificates in {directory}: {error}") from error

    @property
    def pem(self) -> bytes:
        """Its certificate, for clients to trust."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, domains: tuple[str, ...]) -> CertificateFiles:
        """A certificate for ``domains`` and its key, in files.

        Raises:
            StartupError: they cannot be written.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = (
            self._builder(domains[0], key.public_key(), _CERTIFICATE_DAYS)
            .issuer_name(self._certificate.subject)
            .add_extension(x509.SubjectAlternativeName([_alternative(d) for d in domains]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(usage, False)
            .sign(self._key, hashes.SHA256())
        )
        # One that is read again later must not be another's with the same first domain.
        name = domains[0] if len(domains) == 1 else f"{domains[0]}-{_digest(domains)}"
        stem = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
        files = CertificateFiles(
            certificate=self._directory / f"{stem}.pem", key=self._directory / f"{stem}.key"
        )
        try:
            _write_private(files.key, _key_bytes(key))
            files.certificate.write_bytes(
                certificate.public_bytes(serialization.Encoding.PEM) + self.pem
            )
        except OSError as error:
            raise StartupError(f"certificate for {domains[0]}: {error}") from error
        return files

    def _load(self) -> None:
        key = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self._key_file} is no elliptic-curve key")  # noqa: TRY004  bad data
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(self.file.read_bytes())

    def _make(self) -> None:
        self._key = key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder("blbsim local authority", key.public_key(), _AUTHORITY_DAYS)
        self._certificate = (
            builder.issuer_name(_name("blbsim local authority"))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .sign(key, hashes.SHA256())
        )
        _write_private(self._key_file, _key_bytes(key))
        self.file.write_bytes(self.pem)

    def _builder(
        self, name: str, key: ec.EllipticCurvePublicKey, days: int
    ) -> x509.CertificateBuilder:
        # Clients judge validity by the machine's time, whatever the simulated one is.
        now = datetime.fromtimestamp(wall_time(), UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=days))
        )


def with_certificate_files(settings: TlsSettings, authority: Authority) -> TlsSettings:
    """``settings`` with every certificate in files; those that are wanted are made now.

    Raises:
        StartupError: they cannot be written.
    """

    def in_files(certificate: Certificate) -> CertificateFiles:
        if isinstance(certificate, CertificateForDomains):
            return authority.issue(certificate.domains)
        return certificate

    return replace(
        settings,
        certificate=in_files(settings.certificate),
        sni=tuple(replace(sni, certificate=in_files(sni.certificate)) for sni in settings.sni),
    )


def make_server_context(
    settings: TlsSettings, authority: Authority | None, *, blank: ssl.SSLContext | None = None
) -> ssl.SSLContext:
    """The TLS context of a listener, with its SNI certificates.

    Args:
        settings: of the listener.
        authority: makes certificates; None if all are in files.
        blank: a server context without certificate to use, for the keys of its session tickets.

    Raises:
        StartupError: a file is missing, is no certificate, or does not fit its key.
    """
    default = _make_one(settings, settings.certificate, authority, blank)
    if settings.sni:
        exact: dict[str, ssl.SSLContext] = {}
        wildcard: dict[str, ssl.SSLContext] = {}
        for sni in settings.sni:
            context = _make_one(settings, sni.certificate, authority)
            if sni.host.startswith("*."):
                wildcard[sni.host[2:]] = context
            else:
                exact[sni.host] = context

        def choose(
            socket: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext
        ) -> None:
            host = (name or "").lower()
            found = exact.get(host) or wildcard.get(host.partition(".")[2])
            if found is not None:
                socket.context = found

        default.sni_callback = choose
    return default


def make_client_context(
    settings: TlsSettings, authority: Authority | None, certificate: CertificateFiles | None
) -> ssl.SSLContext:
    """The TLS context of simulated clients of a listener.

    Args:
        settings: the listener's.
        authority: signed the certificates that were made; they are verified, but not for the name
            that clients ask for. Certificates from files are taken as they are.
        certificate: of the clients.

    Raises:
        StartupError: a file is missing, is no certificate, or does not fit its key.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    served = (settings.certificate, *(sni.certificate for sni in settings.sni))
    if authority is not None and all(isinstance(c, CertificateForDomains) for c in served):
        context.load_verify_locations(authority.file)
    else:
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        try:
            context.load_cert_chain(certificate.certificate, certificate.key)
        except (OSError, ssl.SSLError) as error:
            shown = f"{certificate.certificate}, {certificate.key}"
            raise StartupError(f"certificate files {shown}: {error.strerror or error}") from error
    return context


@cache
def backend_context() -> ssl.SSLContext:
    """The TLS context towards backend servers, whose certificates nobody checks.

    One for the process: a session is resumed in the context that made it.

    Source: assumed (the vendor documents re-encryption and that the server has a certificate of
    its own, not that it is verified; versions 1.0 to 1.3 and any cipher, to reach every server).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def _offer(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Offer the versions and ciphers of a listener, and no others."""
    names = [_PROTOCOLS[protocol] for protocol in sorted(settings.protocols)]
    oldest, newest = (names[0], names[-1]) if names else (_OLDEST[settings.encryption], "TLSv1_2")
    with warnings.catch_warnings():
        # Old versions on purpose: what a listener offers is what is simulated.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion[oldest]
        context.maximum_version = ssl.TLSVersion[newest]
        if names and TlsProtocol.TLS_1_1 not in settings.protocols:
            # Where 1.0 and 1.2 are named, 1.1 between them is not.
            context.options |= ssl.OP_NO_TLSv1_1
    ciphers = settings.ciphers or _CIPHERS[settings.encryption]
    # Old versions need old signature algorithms, which the default security level refuses.
    old = oldest != "TLSv1_2" and "@SECLEVEL" not in ciphers
    context.set_ciphers(f"{ciphers}:@SECLEVEL=0" if old else ciphers)


def _make_one(
    settings: TlsSettings,
    certificate: Certificate,
    authority: Authority | None,
    blank: ssl.SSLContext | None = None,
) -> ssl.SSLContext:
    if isinstance(certificate, CertificateForDomains):
        assert authority is not None
        files = authority.issue(certificate.domains)
    else:
        files = certificate
    context = blank or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _offer(context, settings)
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(files.certificate, files.key)
        if settings.client_authority is not None:
            # Optional for TLS: a client without one gets a 400 and a record, not an alert.
            context.verify_mode = ssl.CERT_OPTIONAL
            context.load_verify_locations(settings.client_authority)
    except (OSError, ssl.SSLError) as error:
        shown = f"{files.certificate}, {files.key}"
        if settings.client_authority is not None:
            shown += f", {settings.client_authority}"
        raise StartupError(f"certificate files {shown}: {error.strerror or error}") from error
    return context


def _digest(domains: tuple[str, ...]) -> str:
    return hashlib.blake2b("\n".join(domains).encode(), digest_size=4).hexdigest()


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternative(domain: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(domain))
    except ValueError:
        return x509.DNSName(domain)


def _key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
