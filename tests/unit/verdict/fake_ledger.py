"""A ledger whose content a test writes down, batch by batch."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

STARTS_AT = 1_772_323_200.0


def record(number: int = 0, **changes: object) -> dict[str, object]:
    """A whole record; ``number`` makes it unlike others."""
    second = number % 60
    return {
        "time_local": f"01/Mar/2026:08:{number // 60 % 60:02d}:{second:02d} +0800",
        "vip": "192.168.0.10",
        "vport": 80,
        "response_status": 200,
        "vdum_ups_id": "sg-bb62bbb1",
        "upstream_addr": f"192.168.26.{number % 3 + 1}:8080",
        "upstream_status": "200",
        "remote_addr": f"198.19.{number // 250 % 250}.{number % 250}",
        "cip": f"198.19.{number // 250 % 250}.{number % 250}",
        "cport": 1024 + number % 60000,
        "server_addr": "192.168.0.10",
        "server_port": 80,
        "scheme": "http",
        "host": "shop.example.com",
        "request": f"GET /item/{number} HTTP/1.1",
        "request_length": 90 + len(str(number)),
        "body_bytes_sent": 62,
        "http_referer": "-",
        "http_user_agent": "okhttp/4.12.0",
        "http_x_forwarded_for": "-",
        "upstream_connect_time": 0.0,
        "upstream_response_time": 0.5,
        "request_time": 0.011 + number % 7 / 1000,
        "ssl_handshake_time": "-",
        "ssl_session_reused": "-",
        "vdum_rs_proto": "http",
        "upstream_local_addr": "100.126.44.90",
        "extension_log": "lb-d40ea534&0&0&0",
    } | changes


def line(number: int = 0, **changes: object) -> bytes:
    """The record as the simulator writes it."""
    return json.dumps(record(number, **changes), separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeFlowLog:
    flow_log_id: str = "fl-00000001"
    name: str = "l7"
    project: str = "default"
    container: str = "access"


@dataclass(slots=True, kw_only=True, eq=False)
class FakeBatch:
    content: Sequence[bytes]
    flow_log_id: str = "fl-00000001"
    series_key: str = "lb-d40ea534_100.126.44.90"
    visible_at: float = STARTS_AT + 150
    object_key: str | None = None
    seq: int = 1
    reads: int = 0

    @property
    def is_object(self) -> bool:
        return self.object_key is not None

    def lines(self) -> Sequence[bytes]:
        self.reads += 1
        return self.content

    def ledger_id(self, index: int) -> str:
        return f"{self.series_key}/{self.seq}/{index + 1}"

    def place(self, index: int) -> str:
        if self.object_key is not None:
            return f"{self.object_key} line {index + 1}"
        return f"default/access @seq {1000 + index}"


@dataclass(slots=True, kw_only=True)
class FakeLedger:
    batches: list[FakeBatch] = field(default_factory=list)
    waiting: int = 0
    logs: tuple[FakeFlowLog, ...] = (FakeFlowLog(),)
    since: float | None = None

    def flow_logs(self):
        return self.logs

    def complete_since(self):
        return self.since

    def visible(self, flow_log_ids):
        return iter([batch for batch in self.batches if batch.flow_log_id in flow_log_ids])

    def awaited_count(self, flow_log_id):
        return self.waiting
