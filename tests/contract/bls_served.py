"""The BLS API on a socket, and requests to it in the spelling of several SDKs."""

import base64
import hashlib
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yarl
from aiohttp import web
from baidubce.auth.bce_credentials import BceCredentials
from baidubce.bce_client_configuration import BceClientConfiguration
from baidubce.services.bls.bls_client import BlsClient

from simulator.api import Authenticator, make_api_app, make_runner
from simulator.api.auth import AuthMode, canonical_request, sign
from simulator.clock import ManualClock, wall_time
from simulator.errors import ControlError
from simulator.logstore import LogStoreEngine, LogStoreSettings

AK, SK = "ak-of-the-tests", "sk-of-the-tests"
START_S = 1_772_323_200
START_MS = START_S * 1000
FROM, TO = "2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z"


class MemoryBuckets:
    """Objects by bucket and key."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, bytes]] = {"logs": {}}

    def has_bucket(self, bucket: str) -> bool:
        return bucket in self.objects

    def put_object(
        self, bucket: str, key: str, body: bytes | Path, content_type: str, *, last_modified: float
    ) -> None:
        if bucket not in self.objects:
            raise ControlError("NoSuchBucket", 404, f"bucket {bucket} does not exist")
        self.objects[bucket][key] = body.read_bytes() if isinstance(body, Path) else body

    def delete_object(self, bucket: str, key: str) -> None:
        self.objects.get(bucket, {}).pop(key, None)


class Served:
    def __init__(
        self,
        port: int,
        engine: LogStoreEngine,
        changes: list[float],
        runner: web.AppRunner,
        clock: ManualClock,
        buckets: "MemoryBuckets",
    ) -> None:
        self.clock = clock
        self.buckets = buckets
        self.port = port
        self.runner = runner
        self.engine = engine
        self.changes = changes

    async def advance(self, seconds: float) -> None:
        await self.clock.advance(seconds)

    def client(self, secret_key: str = SK) -> BlsClient:
        return BlsClient(
            BceClientConfiguration(
                credentials=BceCredentials(AK, secret_key),
                endpoint=f"http://127.0.0.1:{self.port}",
            )
        )

    async def go(
        self,
        method: str,
        target: str,
        body: object = None,
        secret_key: str = SK,
        raw: bytes = b"",
        signed: tuple[str, ...] | None = None,
        extra: Mapping[str, str] | None = None,
        signed_target: str = "",
    ) -> tuple[int, dict[str, Any]]:
        """One request the way the Go SDK signs it: listed headers, bare keys as they are.

        What holds for every answer is asserted here: it is a JSON object with a request id; an
        error has code, message and id, and none that an SDK would retry.

        Args:
            signed: the headers that are listed as signed, instead of Go's; empty: implied.
            extra: further headers.
            signed_target: what is signed in place of ``target``.
        """
        date = datetime.fromtimestamp(wall_time(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        raw = raw if body is None else json.dumps(body).encode()
        headers = {
            "Host": f"127.0.0.1:{self.port}",
            "Content-Type": "application/json;charset=utf-8",
            "x-bce-date": date,
            "x-bce-request-id": "11111111-2222-3333-4444-555555555555",
        }
        names = ["content-type", "host", "x-bce-date"]
        if raw:
            headers["Content-Length"] = str(len(raw))
            headers["Content-Md5"] = base64.b64encode(hashlib.md5(raw).digest()).decode()
            names = ["content-length", "content-md5", *names]
        headers |= extra or {}
        if signed is not None:
            names = list(signed)
        really = names or [
            name.lower()
            for name in headers
            if name.lower().startswith(("x-bce-", "host", "content-"))
        ]
        prefix = f"bce-auth-v1/{AK}/{date}/1800"
        signature = sign(
            secret_key,
            prefix,
            canonical_request(method, signed_target or target, list(headers.items()), really),
        )
        headers["Authorization"] = f"{prefix}/{';'.join(names)}/{signature}"
        url = yarl.URL(f"http://127.0.0.1:{self.port}{target}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method, url, data=io.BytesIO(raw) if raw else None, headers=headers
            ) as response,
        ):
            text = await response.text()
            answer = json.loads(text)
            # The SDK for Java reads nothing of an answer whose length is not told, which is lost
            # where an answer is packed on the way.
            assert int(response.headers["Content-Length"]) == len(text.encode())
            assert response.headers["x-bce-request-id"] == headers["x-bce-request-id"]
            assert isinstance(answer, dict)
            assert "metadata" not in answer
            if response.status >= 400:
                assert {"code", "message", "requestId"} <= set(answer)
                assert set(answer) - {"code", "message", "requestId"} <= {"error", "status"}
                assert answer["requestId"] == headers["x-bce-request-id"]
                assert response.status not in {500, 502, 503}
                assert answer["code"] not in {"RequestExpired", "Http400"}
            elif (
                target.startswith("/v") and "/_" not in target
            ):  # what is compatible with another product is without
                assert (answer["success"], answer["code"]) == (True, "OK")
            return response.status, answer


@asynccontextmanager
async def unsigned_api() -> AsyncIterator[tuple[int, LogStoreEngine]]:
    """The port of an API that looks at no signature, and its engine with ``default/demo``."""
    clock = ManualClock(float(START_S))
    engine = LogStoreEngine(None, clock, threads=1)
    engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    auth = Authenticator({"ak": "sk"}, mode=AuthMode.OFF)
    runner = make_runner(make_api_app(engine=engine, clock=clock, auth=auth), shutdown_s=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1], engine
    await runner.cleanup()
    engine.close()
