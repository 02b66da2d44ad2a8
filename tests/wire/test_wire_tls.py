"""HTTPS listeners: handshakes, certificates, sessions, and what the record says of them."""

import asyncio
import json
import ssl
from pathlib import Path

import pytest

from simulator.dataplane import pages
from simulator.dataplane.certificates import Authority, make_server_context
from simulator.model import (
    CertificateFiles,
    CertificateForDomains,
    EncryptionType,
    ListenerTimeouts,
    SniCertificate,
    TlsProtocol,
    TlsSettings,
)
from tests.wire.conftest import Sim, read_head

GET = b"GET /cart HTTP/1.1\r\nHost: shop.example.com\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
SHOP = CertificateForDomains(domains=("shop.example.com", "127.0.0.1"))


async def answer_ok(reader, writer):
    while True:
        await read_head(reader)
        writer.write(OK)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "certificates")


def client_context(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.file)


async def start(sim: Sim, authority: Authority, handler=answer_ok, **settings):
    timeouts = settings.pop("timeouts", None)
    tls = TlsSettings(certificate=settings.pop("certificate", SHOP), **settings)
    await sim.start([handler], tls=make_server_context(tls, authority), timeouts=timeouts)


async def connect(sim: Sim, context: ssl.SSLContext, name: str = "shop.example.com", **options):
    reader, writer = await asyncio.open_connection(
        *sim.address, ssl=context, server_hostname=name, **options
    )
    return reader, writer


async def test_a_request_over_tls_leaves_a_record_of_its_handshake(sim: Sim, authority: Authority):
    await start(sim, authority)
    reader, writer = await connect(sim, client_context(authority))
    for _ in range(2):
        writer.write(GET)
        assert await reader.readexactly(len(OK)) == OK
    first, second = await sim.fields(2)
    writer.close()
    assert (first["scheme"], first["ssl_session_reused"]) == ("https", ".")
    assert 0 < first["ssl_handshake_time"] < 5
    assert first["request_length"] == len(GET)
    assert first["body_bytes_sent"] == 5
    assert (second["ssl_handshake_time"], second["ssl_session_reused"]) == (
        first["ssl_handshake_time"],
        ".",
    )
    assert first["vdum_rs_proto"] == "http"


async def test_request_time_does_not_count_the_handshake(
    sim: Sim, authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    ticks = iter((100.0, 107.0))
    monkeypatch.setattr("simulator.dataplane.tls.monotonic", lambda: next(ticks))
    await start(sim, authority)
    reader, writer = await connect(sim, client_context(authority))
    writer.write(GET)
    assert await reader.readexactly(len(OK)) == OK
    [record] = await sim.fields()
    assert record["ssl_handshake_time"] == 7.0
    assert record["request_time"] < 7.0


async def test_a_session_is_reused(sim: Sim, authority: Authority):
    await start(sim, authority)
    context = client_context(authority)
    reader, writer = await connect(sim, context)
    writer.write(GET)
    await reader.readexactly(len(OK))
    session = writer.get_extra_info("ssl_object").session
    writer.close()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="shop.example.com", session=session)
    reader, writer = await sim.connect()
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
    tls.write(GET)
    writer.write(outgoing.read())
    records = await sim.fields(2)
    assert tls.session_reused
    assert [record["ssl_session_reused"] for record in records] == [".", "r"]


async def test_large_bodies_pass_both_ways(sim: Sim, authority: Authority):
    size = 5_000_000

    async def handler(reader, writer):
        await read_head(reader)
        body = await reader.readexactly(size)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        writer.write(body[::-1])
        await writer.drain()

    await start(sim, authority, handler)
    reader, writer = await connect(sim, client_context(authority), limit=1 << 20)
    body = bytes(range(250)) * (size // 250)
    writer.write(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size + body)
    assert (await read_head(reader)).startswith(b"HTTP/1.1 200")
    assert await reader.readexactly(size) == body[::-1]
    [record] = await sim.fields()
    writer.close()
    assert record["body_bytes_sent"] == size


async def test_sni_picks_the_certificate(sim: Sim, authority: Authority):
    await start(
        sim,
        authority,
        sni=(
            SniCertificate(
                host="pay.example.com",
                certificate=CertificateForDomains(domains=("pay.example.com",)),
            ),
            SniCertificate(
                host="*.example.org", certificate=CertificateForDomains(domains=("*.example.org",))
            ),
        ),
    )
    for name in ("shop.example.com", "pay.example.com", "a.example.org"):
        # The client checks the name against the certificate it gets.
        reader, writer = await connect(sim, client_context(authority), name)
        writer.write(GET)
        assert await reader.readexactly(len(OK)) == OK
        writer.close()
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(sim, client_context(authority), "a.b.example.org")
    await sim.fields(3)


async def test_certificates_from_files(sim: Sim, authority: Authority, tmp_path: Path):
    files = authority.issue(("files.example.com",))
    await start(sim, authority, certificate=files)
    reader, writer = await connect(sim, client_context(authority), "files.example.com")
    writer.write(GET)
    assert await reader.readexactly(len(OK)) == OK
    writer.close()
    missing = CertificateFiles(certificate=tmp_path / "no.pem", key=files.key)
    with pytest.raises(Exception, match=r"no\.pem"):
        make_server_context(TlsSettings(certificate=missing), authority)
    foreign = CertificateFiles(certificate=files.certificate, key=authority.issue(("b",)).key)
    with pytest.raises(Exception, match="certificate files"):
        make_server_context(TlsSettings(certificate=foreign), authority)


@pytest.mark.parametrize(
    ("encryption", "version", "accepted"),
    [
        (EncryptionType.DEFAULT, ssl.TLSVersion.TLSv1, True),
        (EncryptionType.TLS_1_1, ssl.TLSVersion.TLSv1, False),
        (EncryptionType.TLS_1_1, ssl.TLSVersion.TLSv1_1, True),
        (EncryptionType.TLS_1_2, ssl.TLSVersion.TLSv1_1, False),
        (EncryptionType.TLS_1_2, ssl.TLSVersion.TLSv1_2, True),
        (EncryptionType.TLS_1_2_SECURE, ssl.TLSVersion.TLSv1_2, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions_follow_the_encryption_type(
    sim: Sim, authority: Authority, encryption, version, accepted
):
    await start(sim, authority, encryption=encryption)
    context = client_context(authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if accepted:
        reader, writer = await connect(sim, context)
        writer.write(GET)
        await reader.readexactly(len(OK))
        await sim.fields()
        writer.close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(sim, context)
        assert sim.records == []


@pytest.mark.parametrize(
    ("version", "accepted"),
    [
        (ssl.TLSVersion.TLSv1, True),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_versions_and_ciphers_of_ones_own(sim: Sim, authority: Authority, version, accepted):
    await start(
        sim,
        authority,
        encryption=EncryptionType.USER_DEFINED,
        protocols=(TlsProtocol.TLS_1_2, TlsProtocol.TLS_1_0),
        ciphers="ECDHE-ECDSA-AES256-SHA",
    )
    context = client_context(authority)
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if accepted:
        _, writer = await connect(sim, context)
        assert writer.get_extra_info("ssl_object").cipher()[0] == "ECDHE-ECDSA-AES256-SHA"
        writer.close()
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await connect(sim, context)


async def test_client_certificates(sim: Sim, authority: Authority, tmp_path: Path):
    await start(sim, authority, client_authority=authority.file)
    reader, writer = await connect(sim, client_context(authority))
    writer.write(GET)
    assert (await read_head(reader)).startswith(b"HTTP/1.1 400")
    [refused] = await sim.fields()
    assert (refused["response_status"], refused["scheme"]) == (400, "https")
    assert refused["upstream_addr"] == "-"
    assert refused["request"] == "GET /cart HTTP/1.1"
    writer.close()
    stranger = Authority(tmp_path / "stranger")
    context = client_context(authority)
    files = stranger.issue(("client",))
    context.load_cert_chain(files.certificate, files.key)
    with pytest.raises((ssl.SSLError, ConnectionError)):  # noqa: PT012  where it fails is TLS's
        reader, writer = await connect(sim, context)
        writer.write(GET)
        await reader.readexactly(1)
    assert len(sim.records) == 1


async def test_plain_http_on_the_tls_port_is_a_400_without_tls_fields(
    sim: Sim, authority: Authority
):
    await start(sim, authority)
    raw = await sim.exchange(GET)
    assert raw.startswith(b"HTTP/1.1 400")
    [record] = await sim.fields()
    assert (record["response_status"], record["scheme"]) == (400, "http")
    assert (record["ssl_handshake_time"], record["ssl_session_reused"]) == ("-", "-")
    assert record["body_bytes_sent"] == len(pages.page(400))
    assert record["request"] == "GET /cart HTTP/1.1"


async def test_handshakes_that_fail_or_never_end_leave_no_record(sim: Sim, authority: Authority):
    # Long enough for the handshakes that are to succeed.
    await start(sim, authority, timeouts=ListenerTimeouts(client_header_s=0.5))
    reader, writer = await sim.connect()
    writer.write(b"\x16\x03\x01\x00\x05hello")
    await reader.read()
    reader, writer = await sim.connect()
    writer.write(b"\x16\x03")
    assert await reader.read() == b""
    context = ssl.create_default_context()
    with pytest.raises(ssl.SSLCertVerificationError):
        await connect(sim, context)
    reader, writer = await connect(sim, client_context(authority))
    assert await reader.read() == b""
    writer.close()
    assert sim.records == []
    assert sim.data_plane.open_connections == 0


async def test_a_proxy_header_stands_in_front_of_the_handshake(sim: Sim, authority: Authority):
    await start(sim, authority)
    reader, writer = await sim.connect()
    context = client_context(authority)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname="shop.example.com")
    header = b"PROXY TCP4 198.51.100.9 10.0.1.5 40022 443\r\n"
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    writer.write(header[:9])
    await asyncio.sleep(0)
    writer.write(header[9:] + outgoing.read())
    while True:
        incoming.write(await reader.read(65536))
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
    tls.write(GET)
    writer.write(outgoing.read())
    [record] = await sim.fields()
    assert (record["cip"], record["cport"], record["scheme"]) == ("198.51.100.9", 40022, "https")


async def test_the_authority_is_kept_and_its_keys_are_private(tmp_path: Path):
    first = Authority(tmp_path / "a")
    first.issue(("x.example.com",))
    assert Authority(tmp_path / "a").pem == first.pem
    for key in (tmp_path / "a").glob("*.key"):
        assert key.stat().st_mode & 0o077 == 0
    assert json.dumps(first.pem.decode()).count("BEGIN CERTIFICATE") == 1


async def test_a_held_listener_shakes_hands_and_reads_no_request(sim: Sim, authority: Authority):
    await start(sim, authority)
    old_reader, old_writer = await connect(sim, client_context(authority))
    old_writer.write(GET)
    assert await old_reader.readexactly(len(OK)) == OK
    sim.data_plane.hold()
    old_writer.write(GET)
    new_reader, new_writer = await connect(sim, client_context(authority))
    new_writer.write(GET * 2)
    plain_reader, plain_writer = await sim.connect()
    # What finds out that it is no TLS has the request in its hands already.
    plain_writer.write(GET)
    for _ in range(100):
        await asyncio.sleep(0)
    assert len(sim.records) == 1
    sim.data_plane.resume()
    assert await old_reader.readexactly(len(OK)) == OK
    assert await new_reader.readexactly(2 * len(OK)) == 2 * OK
    assert (await plain_reader.read()).startswith(b"HTTP/1.1 400")
    for writer in (old_writer, new_writer, plain_writer):
        writer.close()
