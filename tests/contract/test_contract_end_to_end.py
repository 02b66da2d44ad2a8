"""The main job: requests over sockets become records that the vendor's SDK and boto3 read."""

import asyncio
import gzip
import json
import textwrap
from collections import Counter
from pathlib import Path

import aiohttp
import boto3
import pytest
from baidubce.auth.bce_credentials import BceCredentials
from baidubce.bce_client_configuration import BceClientConfiguration
from baidubce.services.bls.bls_client import BlsClient
from botocore.config import Config

from simulator.accesslog import FIELDS
from simulator.clock import ClockMode
from simulator.scenario import load_scenario
from simulator.world import World, WorldOptions, running_world

START, END = "2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"
STARTS_AT = 1_772_323_200  # 2026-03-01T08:00:00+08:00


def scenario(directory: Path, **changes: str) -> Path:
    """A scenario file whose backend servers and flow logs the test chooses."""
    parts = {
        "backends": "web: {count: 2}",
        "l7": "{name: l7, load_balancer: shop, to: {log_store: access}}",
        "archive": "{name: archive, load_balancer: shop, to: {bucket: shop-logs, prefix: l7/}}",
        "kind": "application",
        "traffic": "[]",
    } | changes
    text = textwrap.dedent(
        """\
        version: 1
        seed: 7
        clock: {{mode: manual, start: "2026-03-01T08:00:00+08:00"}}
        backends: {{{backends}}}
        load_balancers:
          - name: shop
            kind: {kind}
            vip: 192.168.0.10
            listeners: [{{protocol: HTTP, port: 80, x_forwarded_for: true, to: web}}]
        log_stores: [{{name: access}}]
        buckets: [shop-logs]
        flow_logs:
          - {l7}
          - {archive}
        traffic: {traffic}
        """
    )
    path = directory / "scenario.yaml"
    path.write_text(text.format(**parts))
    return path


def world(path: Path, **options):
    return running_world(load_scenario(path), WorldOptions(free_ports=True, **options))


def bls_client(endpoints) -> BlsClient:
    return BlsClient(
        BceClientConfiguration(
            credentials=BceCredentials(endpoints.access_key, endpoints.secret_key),
            endpoint=endpoints.api,
        )
    )


async def pull_all(world: World) -> list[dict]:
    """Every record of the LogStore, page by page, through the unmodified SDK."""
    client = bls_client(world.endpoints())
    records, marker = [], None
    while True:
        page = await asyncio.to_thread(
            client.pull_log_records, "access", START, END, "", "default", 3, marker
        )
        records += [json.loads(record.message) for record in page.result]
        if not page.is_truncated:
            return records
        marker = page.next_marker


async def objects(world: World) -> dict[str, bytes]:
    """Every object of the bucket, through boto3."""
    endpoints = world.endpoints()

    def read() -> dict[str, bytes]:
        s3 = boto3.client(
            "s3",
            endpoint_url=endpoints.s3,
            region_name=endpoints.region,
            aws_access_key_id=endpoints.access_key,
            aws_secret_access_key=endpoints.secret_key,
            config=Config(
                s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
            ),
        )
        keys = [o["Key"] for o in s3.list_objects_v2(Bucket="shop-logs").get("Contents", [])]
        return {key: s3.get_object(Bucket="shop-logs", Key=key)["Body"].read() for key in keys}

    return await asyncio.to_thread(read)


async def bucket_records(world: World) -> list[dict]:
    records = []
    for key, body in (await objects(world)).items():
        data = gzip.decompress(body) if key.endswith(".gz") else body
        records += [json.loads(line) for line in data.splitlines()]
    return records


async def start_backend() -> tuple[asyncio.Server, str]:
    """A backend server that the test controls: answers 201 with a body as long as it is told."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                writer.close()
                return
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    await reader.readexactly(int(line[15:]))
            size = int(head.split(b" ")[1].rpartition(b"/")[2])
            writer.write(b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\n\r\n" % size)
            writer.write(b"x" * size)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("kind", ["application", "standard"])
async def test_every_field_of_every_record_is_what_was_sent(tmp_path: Path, kind: str):
    backend, address = await start_backend()
    path = scenario(tmp_path, backends=f"web: {{address: '{address}'}}", kind=kind)
    async with backend, world(path) as sim:
        [listener] = sim.endpoints().listeners
        sent = []
        async with aiohttp.ClientSession(
            headers={"Host": "Shop.Example.com", "User-Agent": "pipeline-test/1"}
        ) as client:
            for size, body in ((0, None), (5000, None), (17, b"b" * 3000)):
                target = f"/caf%C3%A9?id=7/{size}"
                referer = {"Referer": f"http://a.example/{size}"} if size else {}
                method = "GET" if body is None else "POST"
                async with client.request(
                    method,
                    aiohttp.client.URL(listener.url + target, encoded=True),
                    data=body,
                    headers=referer,
                ) as response:
                    assert response.status == 201
                    assert await response.read() == b"x" * size
                    head = sum(
                        len(f"{name}: {value}\r\n")
                        for name, value in response.request_info.headers.items()
                    )
                sent.append(
                    {
                        "time_local": "01/Mar/2026:08:00:00 +0800",
                        "vip": "192.168.0.10",
                        "vport": 80,
                        "response_status": 201,
                        "upstream_addr": address,
                        "upstream_status": "201",
                        "remote_addr": "127.0.0.1",
                        "cip": "127.0.0.1",
                        "server_addr": "192.168.0.10",
                        "server_port": 80,
                        "scheme": "http",
                        "host": "shop.example.com",
                        "request": f"{method} {target} HTTP/1.1",
                        "request_length": len(f"{method} {target} HTTP/1.1\r\n")
                        + head
                        + 2
                        + len(body or b""),
                        "body_bytes_sent": size,
                        "http_referer": referer.get("Referer", "-"),
                        "http_user_agent": "pipeline-test/1",
                        "http_x_forwarded_for": "-",
                        "ssl_handshake_time": "-",
                        "ssl_session_reused": "-",
                        "vdum_rs_proto": "http",
                        "extension_log": f"{listener.load_balancer_id}&0&0&0",
                    }
                )
        await sim.advance(180)
        delivered = await pull_all(sim)
        assert delivered == await bucket_records(sim)
        assert len(delivered) == 3
        node = delivered[0]["upstream_local_addr"]
        for record, expected in zip(delivered, sent, strict=True):
            assert list(record) == [field.name for field in FIELDS]
            assert record.pop("upstream_local_addr") == node
            group = record.pop("vdum_ups_id")
            assert (group == listener.load_balancer_id) is (kind == "standard")
            assert 1024 <= record.pop("cport") <= 65535
            connect, answered, total = (
                record.pop(f"{name}_time")
                for name in ("upstream_connect", "upstream_response", "request")
            )
            assert 0 <= connect <= answered <= total < 5
            assert record == expected


async def test_nothing_is_visible_before_the_delay_and_everything_once_after_it(tmp_path: Path):
    async with world(scenario(tmp_path)) as sim:
        [listener] = sim.endpoints().listeners
        async with aiohttp.ClientSession() as client:
            for minute in range(3):
                for n in range(4):
                    async with client.get(f"{listener.url}/{minute}/{n}"):
                        pass
                if minute < 2:
                    receipt = await sim.advance(40)
                    assert (receipt.records, receipt.objects) == (0, 0)
        expected = Counter(f"GET /{minute}/{n} HTTP/1.1" for minute in range(3) for n in range(4))
        # The oldest records are 80 s old, the newest 0 s: 39 s on, the oldest are at 119 s.
        await sim.advance(39)
        assert await pull_all(sim) == []
        assert await objects(sim) == {}
        receipt = await sim.advance(180 - 39)
        assert (receipt.records, receipt.objects) == (24, 2)
        assert Counter(r["request"] for r in await pull_all(sim)) == expected
        assert Counter(r["request"] for r in await bucket_records(sim)) == expected
        receipt = await sim.advance(3600)
        assert (receipt.records, receipt.objects) == (0, 0)
        for log in sim.status().flow_logs:
            assert (log.written, log.delivered, log.pending, log.lost) == (12, 12, 0, 0)
            assert 120 <= log.delay_min_s <= log.delay_median_s <= log.delay_max_s <= 180


async def test_queries_through_the_sdk(tmp_path: Path):
    async with world(scenario(tmp_path)) as sim:
        [listener] = sim.endpoints().listeners
        async with aiohttp.ClientSession() as client:
            for n in range(10):
                async with client.get(f"{listener.url}/{'even' if n % 2 == 0 else 'odd'}"):
                    pass
        await sim.advance(180)
        sdk = bls_client(sim.endpoints())

        async def query(text: str):
            answer = await asyncio.to_thread(
                sdk.query_log_records, "access", START, END, "", query=text
            )
            return answer.result_set.rows

        assert len(await query("match response_status:200")) == 10
        assert len(await query("match request:even and not request:odd")) == 5
        assert await query("select count(*) where response_status = 200") == [[10]]
        rows = await query(
            "select request, count(*) as cnt, avg(request_time) as t "
            "group by request order by cnt desc, request limit 5"
        )
        assert [row[:2] for row in rows] == [["GET /even HTTP/1.1", 5], ["GET /odd HTTP/1.1", 5]]
        rows = await query("match request:odd | select max(response_status) as s")
        assert rows == [[200]]


async def test_delay_zero_is_visible_at_once_on_a_clock_that_stands(tmp_path: Path):
    path = scenario(
        tmp_path, l7="{name: l7, load_balancer: shop, to: {log_store: access}, delay: 0s}"
    )
    async with world(path) as sim:
        [listener] = sim.endpoints().listeners
        async with aiohttp.ClientSession() as client, client.get(f"{listener.url}/now"):
            pass
        await sim.advance(0)
        assert [r["request"] for r in await pull_all(sim)] == ["GET /now HTTP/1.1"]


async def test_the_same_seed_gives_the_same_ids_traffic_and_delays(tmp_path: Path):
    traffic = (
        '[{to: "shop:80", rate: 20/s, for: 5s, clients: {count: 5},'
        " requests: [{get: '/item/{int:1-500}'}, {post: /cart, body: 200B..4KiB}]}]"
    )
    runs = []
    for _ in range(2):
        path = scenario(tmp_path, traffic=traffic)
        async with world(path, clock_mode=ClockMode.MANUAL) as sim:
            await sim.run_to_the_end()
            records = await bucket_records(sim)
            keys = sorted(await objects(sim))
            for record in records:
                for name in ("request_time", "upstream_response_time", "upstream_connect_time"):
                    record.pop(name)
            delays = [
                (log.flow_log_id, log.delay_min_s, log.delay_max_s)
                for log in sim.status().flow_logs
            ]
            runs.append((records, keys, delays))
            # The port of a simulated client is drawn as well: nothing is left to the machine.
    assert len(runs[0][0]) == 100
    assert runs[0] == runs[1]


async def test_other_credentials_are_refused(tmp_path: Path):
    from baidubce.exception import BceHttpClientError

    async with world(scenario(tmp_path)) as sim:
        endpoints = sim.endpoints()
        client = BlsClient(
            BceClientConfiguration(
                credentials=BceCredentials(endpoints.access_key, "wrong"), endpoint=endpoints.api
            )
        )
        with pytest.raises(BceHttpClientError) as caught:
            await asyncio.to_thread(client.pull_log_records, "access", START, END, "")
        assert caught.value.last_error.code == "Unauthorized"
        assert caught.value.last_error.status_code == 401
