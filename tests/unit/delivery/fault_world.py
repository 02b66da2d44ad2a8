"""Faults, and records as a load balancer writes them, for the tests of delivery."""

import zlib

from delivery_world import FakeObjects, World

from simulator.accesslog import AccessRecord, AccessRecordShape, Attempt, RecordEncoder, ServedBy
from simulator.model.fault_catalogue import CATALOGUE
from simulator.model.faults import Fault, FaultKind, KnobValue


def fault(kind: FaultKind, name: str = "", *, share: float = 1.0, **given: object) -> Fault:
    """A fault with the defaults of its kind, but for what is given."""
    spec = CATALOGUE[kind]
    names = {knob.name for knob in spec.knobs}
    knobs: dict[str, KnobValue] = {knob.name: knob.parse(knob.default) for knob in spec.knobs}
    knobs |= {key: value for key, value in given.items() if key in names}  # type: ignore[misc]
    rest = {key: value for key, value in given.items() if key not in names}
    return Fault(
        name=name or kind.value.lower(),
        kind=kind,
        share=share,
        knobs=tuple(knobs.items()),
        **rest,  # type: ignore[arg-type]
    )


def encode(
    number: int,
    at: float,
    *,
    shape: AccessRecordShape = AccessRecordShape.TYPED,
    node: str = "100.64.0.1",
    agent: bytes = b'Mozilla/5.0 (\xe4\xb8\xad\xe6\x96\x87) "quoted"',
) -> bytes:
    """One record, different for every number."""
    served = ServedBy(
        load_balancer_id="lb-00000001",
        vip="192.168.0.10",
        vport=80,
        node_address=node,
    )
    attempt = Attempt("10.0.2.11:8080")
    attempt.status = 200
    attempt.connect_s, attempt.response_s = 0.001, 0.01
    record = AccessRecord()
    record.attempts.append(attempt)
    record.server_group_id = "sg-11bd8054"
    record.response_status = 200 if number % 5 else 500
    record.remote_addr = record.client_ip = f"203.0.113.{number % 250}"
    record.client_port = 20000 + number
    record.host = b"shop.example.com"
    record.request = b"GET /item/%d HTTP/1.1" % number
    record.http_user_agent = agent
    record.request_time_s = 0.012
    record.logged_at = at
    return RecordEncoder(served, shape=shape).encode(record)


async def write_records(
    world: World, *times: float, node: str = "100.64.0.1", first: int = 0
) -> list[bytes]:
    """Write a record at each instant, moving the clock there; the records."""
    lines = []
    for number, at in enumerate(times, start=first):
        await world.clock.advance_to(at)
        line = encode(number, at, node=node)
        world.spool.series("lb-00000001", node).append(at, line)
        lines.append(line)
    return lines


def object_lines(objects: FakeObjects) -> list[tuple[float, str, int, bytes]]:
    """(visible at, key, line number, line) of everything a patient reader gets out of objects."""
    found = []
    for key, (body, _, at) in sorted(objects.objects.items()):
        text = unpack(body) if key.endswith(".gz") else body
        pieces = text.split(b"\n")
        pieces = pieces[:-1] if pieces[-1] == b"" else pieces
        found += [(at, key, number, line) for number, line in enumerate(pieces, start=1)]
    return found


def unpack(body: bytes) -> bytes:
    """All gzip members, as far as they go."""
    text = b""
    while body:
        unpacker = zlib.decompressobj(31)
        text += unpacker.decompress(body)
        body = unpacker.unused_data if unpacker.eof else b""
    return text
