"""``tls`` of an HTTPS listener: certificates, versions, client authentication."""

import ipaddress
import re
import ssl
from pathlib import Path
from typing import Final

from simulator.model import (
    Certificate,
    CertificateFiles,
    CertificateForDomains,
    EncryptionType,
    SniCertificate,
    TlsProtocol,
    TlsSettings,
)
from simulator.scenario.document import Entry, Value

_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_MAX_SNI: Final = 50
"""Source: doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu (2025-09): extension domains."""
DEFAULT_DOMAINS: Final = ("localhost", "127.0.0.1", "::1")
_NOTHING: Final = CertificateForDomains(domains=DEFAULT_DOMAINS)


def read_tls(value: Value | None, directory: Path) -> TlsSettings:
    """``tls: {certificate, key, domains, sni, encryption, protocols, ciphers, client_authority}``.

    Args:
        value: None takes every default: a certificate made for this machine's own names.
        directory: what relative file names are relative to: the scenario's.
    """
    if value is None:
        return TlsSettings(certificate=_NOTHING)
    entry = value.mapping(
        (
            "certificate",
            "key",
            "domains",
            "sni",
            "encryption",
            "protocols",
            "ciphers",
            "client_authority",
        )
    )
    encryption = entry.choice("encryption", EncryptionType, EncryptionType.DEFAULT)
    _check_own_choice(entry, encryption)
    sni = entry.items("sni")
    if len(sni) > _MAX_SNI:
        sni[_MAX_SNI].problem(f"{len(sni)} SNI certificates are too many; expected at most 50")
    authority = entry.get("client_authority")
    return TlsSettings(
        certificate=_read_certificate(value, directory),
        sni=tuple(_read_sni(item, directory) for item in sni),
        encryption=encryption,
        protocols=tuple(
            item.choice(TlsProtocol, TlsProtocol.TLS_1_2) for item in entry.items("protocols")
        ),
        ciphers=entry.parsed("ciphers", _parse_ciphers, ""),
        client_authority=None if authority is None else _read_file(authority, directory),
    )


def _check_own_choice(entry: Entry, encryption: EncryptionType) -> None:
    """``protocols`` and ``ciphers`` go with ``encryption: userDefind``, which needs the first."""
    if encryption is not EncryptionType.USER_DEFINED:
        for key in ("protocols", "ciphers"):
            value = entry.get(key)
            if value is not None:
                value.problem(f"{key} are chosen with encryption: userDefind only")
        return
    protocols = entry.get("protocols")
    if protocols is None:
        entry.value.problem("encryption: userDefind needs protocols, such as [tlsv12]")
    elif not protocols.items():
        protocols.problem("expected at least one of tlsv10, tlsv11, tlsv12")


def _parse_ciphers(text: str) -> str:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).set_ciphers(text)
    except ssl.SSLError as error:
        raise ValueError(
            f"{text!r} names no cipher that is known here; expected OpenSSL's names joined by ':'"
        ) from error
    return text


def _read_sni(value: Value, directory: Path) -> SniCertificate:
    entry = value.mapping(("host", "certificate", "key"), required=("host",))
    host = entry.parsed("host", parse_domain, "localhost")
    if "certificate" in entry or "key" in entry:
        return SniCertificate(host=host, certificate=_read_certificate(value, directory))
    return SniCertificate(host=host, certificate=CertificateForDomains(domains=(host,)))


def _read_certificate(value: Value, directory: Path) -> Certificate:
    """The certificate of a ``tls`` or ``sni`` entry: files, or domains to make one for."""
    domains = {key: item for key, (_, item) in value.entries()}.get("domains")
    files = read_certificate_files(value, directory)
    if files is not None:
        if domains is not None:
            domains.problem("domains are for a certificate to be made; one is given in files")
        return files
    if domains is None:
        return _NOTHING
    items = domains.items()
    if not items:
        domains.problem("expected at least one domain")
        return _NOTHING
    return CertificateForDomains(domains=tuple(item.parsed(parse_domain, "x") for item in items))


def read_certificate_files(value: Value, directory: Path) -> CertificateFiles | None:
    """``certificate`` and ``key`` among other keys; None without both.

    Args:
        value: the mapping.
        directory: what relative file names are relative to.
    """
    given = {key: item for key, (_, item) in value.entries()}
    certificate, key = given.get("certificate"), given.get("key")
    if certificate is not None and key is not None:
        return CertificateFiles(
            certificate=_read_file(certificate, directory), key=_read_file(key, directory)
        )
    lone = certificate if certificate is not None else key
    if lone is not None:
        lone.problem("certificate and key go together; give both files or neither")
    return None


def _read_file(value: Value, directory: Path) -> Path:
    path = directory / value.text("-")
    if not path.is_file():
        value.problem(f"there is no file {path}")
    return path


def parse_domain(text: str) -> str:
    """A DNS name in lower case, ``*.`` allowed in front, or an IP address.

    Raises:
        ValueError: it is neither.
    """
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        pass
    domain = text.lower()
    if _DOMAIN.fullmatch(domain) is None:
        raise ValueError(
            f"{text!r} is not a domain; expected such as shop.example.com or *.example.com"
        )
    return domain
