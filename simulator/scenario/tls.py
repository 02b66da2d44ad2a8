"""``tls`` of an HTTPS listener: certificates, versions, client authentication."""

import ipaddress
import re
from pathlib import Path
from typing import Final

from simulator.model import (
    Certificate,
    CertificateFiles,
    CertificateForDomains,
    EncryptionType,
    SniCertificate,
    TlsSettings,
)
from simulator.scenario.document import Value

_DOMAIN: Final = re.compile(
    r"(?=.{1,253}$)(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
)
_MAX_SNI: Final = 50
"""Source: doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu (2025-09): extension domains."""
DEFAULT_DOMAINS: Final = ("localhost", "127.0.0.1", "::1")
_NOTHING: Final = CertificateForDomains(domains=DEFAULT_DOMAINS)


def read_tls(value: Value | None, directory: Path) -> TlsSettings:
    """``tls: {certificate, key, domains, sni, encryption, client_authority}``.

    Args:
        value: None takes every default: a certificate made for this machine's own names.
        directory: what relative file names are relative to: the scenario's.
    """
    if value is None:
        return TlsSettings(certificate=_NOTHING)
    entry = value.mapping(
        ("certificate", "key", "domains", "sni", "encryption", "client_authority")
    )
    sni = entry.items("sni")
    if len(sni) > _MAX_SNI:
        sni[_MAX_SNI].problem(f"{len(sni)} SNI certificates are too many; expected at most 50")
    authority = entry.get("client_authority")
    return TlsSettings(
        certificate=_read_certificate(value, directory),
        sni=tuple(_read_sni(item, directory) for item in sni),
        encryption=entry.choice("encryption", EncryptionType, EncryptionType.DEFAULT),
        client_authority=None if authority is None else _read_file(authority, directory),
    )


def _read_sni(value: Value, directory: Path) -> SniCertificate:
    entry = value.mapping(("host", "certificate", "key"), required=("host",))
    host = entry.parsed("host", parse_domain, "localhost")
    if "certificate" in entry or "key" in entry:
        return SniCertificate(host=host, certificate=_read_certificate(value, directory))
    return SniCertificate(host=host, certificate=CertificateForDomains(domains=(host,)))


def _read_certificate(value: Value, directory: Path) -> Certificate:
    """The certificate of a ``tls`` or ``sni`` entry: files, or domains to make one for."""
    given = {key: item for key, (_, item) in value.entries()}
    certificate, key, domains = (given.get(name) for name in ("certificate", "key", "domains"))
    if certificate is not None and key is not None:
        if domains is not None:
            domains.problem("domains are for a certificate to be made; one is given in files")
        return CertificateFiles(
            certificate=_read_file(certificate, directory), key=_read_file(key, directory)
        )
    if certificate is not None or key is not None:
        lone = certificate if certificate is not None else key
        assert lone is not None
        lone.problem("certificate and key go together; give both files or neither")
    if domains is None:
        return _NOTHING
    items = domains.items()
    if not items:
        domains.problem("expected at least one domain")
        return _NOTHING
    return CertificateForDomains(domains=tuple(item.parsed(parse_domain, "x") for item in items))


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
