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
)
from simulator.scenario import load_scenario

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
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, tls: str, expected: list[str]):
    found = problems(tmp_path, tls)
    assert len(found) == len(expected)
    for problem, part in zip(found, expected, strict=True):
        assert part in problem
        assert problem.startswith("7:")


def test_certificates_are_for_https_and_traffic_is_not_yet(tmp_path: Path):
    [problem] = problems(tmp_path, "{domains: [a]}", protocol="HTTP")
    assert "expected protocol: HTTPS" in problem
    traffic = 'traffic: [{to: "shop:443", rate: 1/s, for: 1s, requests: [{get: /}]}]'
    [problem] = problems(tmp_path, more=traffic)
    assert "traffic over TLS is not simulated yet" in problem
