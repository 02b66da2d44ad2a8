"""``tls`` of HTTPS listeners: what is read, what is refused and where."""

from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.model import (
    CertificateFiles,
    CertificateForDomains,
    EncryptionType,
    Protocol,
    SniCertificate,
    TlsProtocol,
)
from simulator.scenario import load_scenario
from simulator.workload import TrafficTls

SCENARIO = """\
version: 1
seed: 7
backends: {{web: {{count: 1}}}}
load_balancers:
  - name: shop
    kind: application
    listeners: [{{protocol: {protocol}, port: 443, to: web{tls}}}]
{more}
"""


def load(tmp_path: Path, tls: str = "", protocol: str = "HTTPS", more: str = ""):
    path = tmp_path / "scenario.yaml"
    path.write_text(
        SCENARIO.format(tls=f", tls: {tls}" if tls else "", protocol=protocol, more=more)
    )
    return load_scenario(path).load_balancers[0].listeners[0]


def problems(tmp_path: Path, tls: str = "", **options) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, tls, **options)
    return [f"{p.line}:{p.column} {p.path}: {p.message}" for p in caught.value.problems]


def test_without_tls_a_certificate_is_made_for_this_machine(tmp_path: Path):
    listener = load(tmp_path)
    assert listener.protocol is Protocol.HTTPS
    assert listener.tls is not None
    assert listener.tls.certificate == CertificateForDomains(
        domains=("localhost", "127.0.0.1", "::1")
    )
    assert listener.tls.encryption is EncryptionType.DEFAULT


def test_everything_is_read_and_files_are_relative_to_the_scenario(tmp_path: Path):
    for name in ("shop.pem", "shop.key", "pay.pem", "pay.key", "clients.pem"):
        (tmp_path / name).write_text("")
    listener = load(
        tmp_path,
        "{certificate: shop.pem, key: shop.key, encryption: tls_cipher_policy_1_2, "
        "client_authority: clients.pem, sni: [{host: Pay.Example.com, certificate: pay.pem, "
        "key: pay.key}, {host: '*.example.org'}]}",
    )
    assert listener.tls is not None
    assert listener.tls.certificate == CertificateFiles(
        certificate=tmp_path / "shop.pem", key=tmp_path / "shop.key"
    )
    assert listener.tls.encryption is EncryptionType.TLS_1_2
    assert listener.tls.client_authority == tmp_path / "clients.pem"
    assert listener.tls.sni == (
        SniCertificate(
            host="pay.example.com",
            certificate=CertificateFiles(
                certificate=tmp_path / "pay.pem", key=tmp_path / "pay.key"
            ),
        ),
        SniCertificate(
            host="*.example.org", certificate=CertificateForDomains(domains=("*.example.org",))
        ),
    )


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ("{certificate: no.pem, key: no.key}", ["certificate: there is no file", "key: there is"]),
        ("{certificate: no.pem}", ["certificate and key go together"]),
        ("{domains: []}", ["expected at least one domain"]),
        ("{domains: ['a b']}", ["'a b' is not a domain; expected such as shop.example.com"]),
        (
            "{encryption: tls_cipher_policy_9}",
            ["unknown value 'tls_cipher_policy_9'; did you mean"],
        ),
        ("{sni: [{}]}", ["the key 'host' is missing"]),
        ("{cipher: x}", ["unknown key 'cipher'"]),
        ("{protocols: [tlsv12]}", ["protocols are chosen with encryption: userDefind only"]),
        ("{encryption: userDefind}", ["userDefind needs protocols, such as [tlsv12]"]),
        ("{encryption: userDefind, protocols: []}", ["expected at least one of tlsv10"]),
        (
            "{encryption: userDefind, protocols: [tlsv13], ciphers: NO}",
            ["unknown value 'tlsv13'", "'NO' names no cipher that is known here"],
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, tls: str, expected: list[str]):
    found = problems(tmp_path, tls)
    assert len(found) == len(expected)
    for problem, part in zip(found, expected, strict=True):
        assert part in problem
        assert problem.startswith("7:")


def test_versions_and_ciphers_of_ones_own(tmp_path: Path):
    listener = load(
        tmp_path,
        "{encryption: userDefind, protocols: [tlsv11, tlsv12], ciphers: 'AES128-SHA:AES256-SHA'}",
    )
    assert listener.tls is not None
    assert listener.tls.encryption is EncryptionType.USER_DEFINED
    assert listener.tls.protocols == (TlsProtocol.TLS_1_1, TlsProtocol.TLS_1_2)
    assert listener.tls.ciphers == "AES128-SHA:AES256-SHA"


def test_certificates_are_for_https(tmp_path: Path):
    [problem] = problems(tmp_path, "{domains: [a]}", protocol="HTTP")
    assert "expected protocol: HTTPS" in problem


TRAFFIC = 'traffic: [{{to: "shop:443", rate: 1/s, for: 1s{more}}}]'


def traffic_of(tmp_path: Path, more: str = "", protocol: str = "HTTPS"):
    load(tmp_path, protocol=protocol, more=TRAFFIC.format(more=more))
    [profile] = load_scenario(tmp_path / "scenario.yaml").traffic
    return profile


@pytest.mark.parametrize(
    ("tls", "share"),
    [
        ("", 1.0),
        (", tls: {}", 1.0),
        (", tls: {resume: true}", 1.0),
        (", tls: {resume: false}", 0.0),
        (", tls: {resume: 30%}", 0.3),
    ],
)
def test_traffic_to_an_https_listener_is_sent_over_tls(tmp_path: Path, tls: str, share: float):
    profile = traffic_of(tmp_path, tls)
    assert profile.tls == TrafficTls(resume_share=share)
    assert profile.keep_share == 1.0
    assert traffic_of(tmp_path, protocol="HTTP").tls is None


def test_clients_can_have_a_certificate_and_leave(tmp_path: Path):
    for name in ("client.pem", "client.key"):
        (tmp_path / name).write_text("")
    profile = traffic_of(
        tmp_path,
        ", clients: {count: 3, keep: 25%}, tls: {certificate: client.pem, key: client.key}",
    )
    assert (profile.client_count, profile.keep_share) == (3, 0.25)
    assert profile.tls.certificate == CertificateFiles(
        certificate=tmp_path / "client.pem", key=tmp_path / "client.key"
    )


@pytest.mark.parametrize(
    ("more", "protocol", "expected"),
    [
        (
            ", tls: {}",
            "HTTP",
            "traffic[0].tls: the listener speaks plain HTTP; expected tls for an HTTPS listener",
        ),
        (
            ", tls: {resume: often}",
            "HTTPS",
            "traffic[0].tls.resume: 'often' is not a share; expected true, false or such as 50%",
        ),
        (
            ", tls: {key: no.key}",
            "HTTPS",
            "traffic[0].tls.key: certificate and key go together; give both files or neither",
        ),
        (
            ", clients: {count: 1, keep: 2}",
            "HTTPS",
            "traffic[0].clients.keep: '2' has no unit; expected a percentage such as 0.5%",
        ),
    ],
)
def test_what_is_wrong_with_traffic_is_said(
    tmp_path: Path, more: str, protocol: str, expected: str
):
    [problem] = problems(tmp_path, protocol=protocol, more=TRAFFIC.format(more=more))
    assert problem.partition(" ")[2] == expected
