"""Policies, schedulers, sessions, headers and redirects through real sockets."""

import asyncio

import pytest

from simulator.model import (
    BackendServerId,
    IpGroupId,
    KeepSession,
    KeepSessionType,
    ListenerLimits,
    ListenerTimeouts,
    Policy,
    PolicyId,
    Rule,
    RuleKey,
    Scheduler,
    ServerGroupId,
)
from simulator.routing import session_token
from tests.wire.conftest import GONE, PATIENCE_S, Sim, read_head

UPSTREAM = (
    "vdum_ups_id",
    "upstream_addr",
    "upstream_status",
    "upstream_connect_time",
    "upstream_response_time",
    "vdum_rs_proto",
    "upstream_local_addr",
)
ADDRESSES = ("10.0.2.11:8080", "10.0.2.12:8080", "10.0.2.13:8080")


def named(name: str, seen: list[bytes] | None = None, headers: bytes = b""):
    """A backend that answers with its name."""

    async def handler(reader, writer):
        while True:
            head = await read_head(reader)
            if seen is not None:
                seen.append(head)
            writer.write(
                b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s"
                % (headers, len(name), name.encode())
            )

    return handler


def policy(priority: int, to: str, **rules: str) -> Policy:
    is_ip = to.startswith("ip_group-")
    return Policy(
        policy_id=PolicyId(f"policy-{priority}"),
        priority=priority,
        rules=tuple(Rule(key=RuleKey(key), value=value) for key, value in rules.items()),
        server_group_id=None if is_ip else ServerGroupId(to),
        ip_group_id=IpGroupId(to) if is_ip else None,
    )


class Client:
    """A client that keeps its connection, and cookies when it is told to."""

    def __init__(self, reader, writer) -> None:
        self._reader, self._writer = reader, writer
        self.cookie = b""
        self.head = b""

    async def get(
        self, target: bytes = b"/", host: bytes = b"a", headers: bytes = b"", body: bytes = b""
    ) -> str:
        """What the backend said."""
        if self.cookie:
            headers += b"Cookie: x=1; %s\r\n" % self.cookie
        self._writer.write(
            b"GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s" % (target, host, headers, body)
        )
        self.head = await read_head(self._reader)
        length = int(self.header(b"Content-Length"))
        return (await self._reader.readexactly(length)).decode()

    def header(self, name: bytes) -> bytes | None:
        """Its value in the last response, None if it is not there."""
        lines = [line.partition(b": ") for line in self.head.split(b"\r\n")]
        values = [value for key, _, value in lines if key == name]
        assert len(values) < 2
        return values[0] if values else None

    def keep_cookie(self) -> bytes:
        """Send the cookie of the last response from now on."""
        line = self.header(b"Set-Cookie")
        assert line is not None
        self.cookie = line.partition(b";")[0]
        return line


async def connect(sim: Sim) -> Client:
    return Client(*await sim.connect())


async def test_requests_go_where_the_first_matching_policy_leads(sim: Sim):
    await sim.start(
        [named("web"), named("api"), named("img")],
        groups={"sg-web": [0], "sg-api": [1]},
        ip_groups={"ip_group-1": [2]},
        policies=(
            policy(30, "sg-web", host="*.example.com"),
            policy(20, "sg-api", host="*.example.com", uri="/api/*"),
            policy(10, "ip_group-1", uri="*.jpg"),
        ),
    )
    client = await connect(sim)
    assert await client.get(b"/api/x", b"Shop.Example.com:8080") == "api"
    assert await client.get(b"/api/x.jpg", b"shop.example.com") == "img"
    assert await client.get(b"/?next=/api/x.jpg", b"shop.example.com") == "web"
    assert await client.get(b"http://a.example.com/api/", b"other") == "api"
    records = await sim.fields(4)
    assert [record["vdum_ups_id"] for record in records] == [
        "sg-api",
        "ip_group-1",
        "sg-web",
        "sg-api",
    ]
    assert [record["upstream_addr"] for record in records] == [
        ADDRESSES[1],
        ADDRESSES[2],
        ADDRESSES[0],
        ADDRESSES[1],
    ]


async def test_repeated_requests_are_routed_one_by_one(sim: Sim):
    """Heads that are recognised are routed by their own line all the same."""
    await sim.start(
        [named("web"), named("api")],
        groups={"sg-web": [0], "sg-api": [1]},
        policies=(policy(1, "sg-api", uri="/api/*"), policy(2, "sg-web", uri="/web/*")),
    )
    client = await connect(sim)
    targets = [b"/api/1", b"/web/1", b"/api/2", b"/web/2", b"/none", b"/api/3"]
    answers = [await client.get(target) for target in targets]
    assert [answer[:3] for answer in answers] == ["api", "web", "api", "web", "<!d", "api"]
    records = await sim.fields(6)
    assert [r["vdum_ups_id"] for r in records] == [
        "sg-api",
        "sg-web",
        "sg-api",
        "sg-web",
        "-",
        "sg-api",
    ]


async def test_a_request_that_meets_no_policy_gets_404_and_no_upstream(sim: Sim):
    seen: list[bytes] = []
    await sim.start([named("web", seen)], policies=(policy(1, "sg-11bd8054", host="b"),))
    client = await connect(sim)
    page = await client.get()
    assert client.head.startswith(b"HTTP/1.1 404 Not Found\r\n")
    [record] = await sim.fields()
    assert [record[name] for name in UPSTREAM] == ["-"] * 7
    assert (record["response_status"], record["body_bytes_sent"]) == (404, len(page))
    assert seen == []


@pytest.mark.parametrize("length", [3, 50_000])
async def test_a_body_that_meets_no_policy_is_refused_once(sim: Sim, length):
    await sim.start([named("web")], policies=(policy(1, "sg-11bd8054", host="b"),))
    reader, writer = await sim.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length)
    writer.write(b"x" * length)
    assert (await read_head(reader)).startswith(b"HTTP/1.1 404 ")
    writer.close()
    [record] = await sim.fields()
    assert (record["response_status"], record["upstream_addr"]) == (404, "-")


@pytest.mark.parametrize("refusal", ["no policy", "empty group", "refused", "redirect"])
async def test_a_body_that_was_not_sent_does_not_go_with_the_next_request(sim: Sim, refusal):
    seen: list[bytes] = []
    to = {"no policy": "sg-none", "empty group": "sg-empty"}.get(refusal, "sg-gone")
    policies = (policy(1, to, uri="/lost"), policy(2, "sg-web", uri="/kept"))
    await sim.start(
        [named("web", seen), GONE],
        groups={"sg-web": [0], "sg-gone": [1], "sg-empty": []},
        policies=policies[1:] if refusal == "no policy" else policies,
        redirect_port=443 if refusal == "redirect" else 0,
    )
    client = await connect(sim)
    await client.get(b"/lost", headers=b"Content-Length: 19\r\n", body=b"GET /x HTTP/1.1\r\n\r\n")
    if refusal == "redirect":
        await sim.change(redirect_port=0)
    assert await client.get(b"/kept") == "web"
    assert seen == [b"GET /kept HTTP/1.1\r\nHost: a\r\n\r\n"]
    await sim.fields(2)


async def test_after_a_refusal_the_connection_is_idle_and_closed_as_such(sim: Sim):
    await sim.start(
        [named("web")],
        policies=(policy(1, "sg-11bd8054", host="b"),),
        timeouts=ListenerTimeouts(keep_alive_s=0.02, server_s=600.0, client_body_s=600.0),
    )
    reader, writer = await sim.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx")
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.read()).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("weights", [[0, 0], None])
async def test_an_empty_group_gets_503_with_its_id(sim: Sim, weights):
    await sim.start(
        [named("a"), named("b")],
        weights=weights,
        groups={"sg-empty": [0, 1] if weights else []},
        policies=(policy(1, "sg-empty"),),
    )
    client = await connect(sim)
    await client.get()
    [record] = await sim.fields()
    assert [record[name] for name in UPSTREAM] == ["sg-empty", "-", "-", "-", "-", "-", "-"]
    assert record["response_status"] == 503


async def test_a_group_whose_servers_are_all_dead_gets_502_in_its_own_name(sim: Sim):
    await sim.start([named("a"), named("b")], x_forwarded_for=True)
    [target] = sim.route.targets
    client = await connect(sim)
    target.mark_dead(BackendServerId("i-0"))
    assert {await client.get() for _ in range(3)} == {"b"}
    target.mark_dead(BackendServerId("i-1"))
    await client.get()
    target.mark_alive(BackendServerId("i-0"))
    assert {await client.get() for _ in range(2)} == {"a"}
    record = (await sim.fields(6))[3]
    assert record["response_status"] == 502
    assert [record[name] for name in UPSTREAM[:5]] == [
        "sg-11bd8054",
        "sg-11bd8054",
        "502",
        "-",
        0.0,
    ]


async def test_a_retry_stays_in_the_group(sim: Sim):
    await sim.start(
        [GONE, named("spare"), named("other")],
        groups={"sg-1": [0, 1], "sg-2": [2]},
        policies=(policy(1, "sg-1", uri="/a"), policy(2, "sg-2")),
    )
    client = await connect(sim)
    assert await client.get(b"/a") == "spare"
    [record] = await sim.fields()
    assert record["upstream_addr"] == f"{ADDRESSES[0]}, {ADDRESSES[1]}"
    assert (record["upstream_status"], record["vdum_ups_id"]) == ("502, 200", "sg-1")


class Gate:
    """Backends that answer when they are let."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting: list[str] = []
        self._changed = asyncio.Condition()

    def named(self, name: str):
        async def handler(reader, writer):
            while True:
                await read_head(reader)
                async with self._changed:
                    self.waiting.append(name)
                    self._changed.notify_all()
                await self.open.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode())

        return handler

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(PATIENCE_S), self._changed:
            await self._changed.wait_for(lambda: len(self.waiting) >= count)
        return self.waiting


async def test_least_connections_levels_requests_under_way(sim: Sim):
    gate = Gate()
    await sim.start(
        [gate.named("a"), gate.named("b"), gate.named("c")],
        weights=[50, 25, 0],
        scheduler=Scheduler.LEAST_CONNECTION,
    )
    clients = [await connect(sim) for _ in range(6)]
    async with asyncio.TaskGroup() as tasks:
        for client in clients:
            tasks.create_task(client.get())
        waiting = list(await gate.until(6))
        states = sim.route.targets[0].scheduler.states
        assert {i: state.active_count for i, state in states.items()} == {"i-0": 4, "i-1": 2}
        gate.open.set()
    assert sorted(waiting) == ["a"] * 4 + ["b"] * 2
    await sim.fields(6)
    assert {state.active_count for state in states.values()} == {0}


async def test_clients_that_leave_are_counted_no_longer(sim: Sim):
    gate = Gate()
    await sim.start([gate.named("a"), gate.named("b")], scheduler=Scheduler.LEAST_CONNECTION)
    writers = []
    for _ in range(4):
        _, writer = await sim.connect()
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        writers.append(writer)
    await gate.until(4)
    for writer in writers:
        writer.transport.abort()
    records = await sim.fields(4)
    assert [record["response_status"] for record in records] == [499] * 4
    states = sim.route.targets[0].scheduler.states
    assert [state.active_count for state in states.values()] == [0, 0]


async def test_an_inserted_cookie_brings_a_client_back(sim: Sim):
    seen: list[bytes] = []
    await sim.start(
        [named("a", seen), named("b", seen), named("c", seen)],
        keep_session=KeepSession(lifetime_s=600),
    )
    client = await connect(sim)
    first = await client.get()
    line = client.keep_cookie()
    index = "abc".index(first)
    token = session_token(BackendServerId(f"i-{index}"))
    assert line == b"BLB_SESSION=%s; Path=/; HttpOnly; Max-Age=600" % token
    for _ in range(5):
        assert await client.get() == first
        # Refreshed, though request and response are the same again.
        assert client.header(b"Set-Cookie") == line
    assert b"Cookie: x=1; BLB_SESSION=%s\r\n" % token in seen[-1]
    strangers = {await (await connect(sim)).get() for _ in range(2)}
    assert len(strangers) == 2
    records = await sim.fields(8)
    assert {record["upstream_addr"] for record in records[:6]} == {ADDRESSES[index]}


@pytest.mark.parametrize("loss", ["dead", "gone", "weight 0", "refused"])
async def test_a_session_whose_server_is_lost_moves_to_another_and_stays(sim: Sim, loss):
    # GONE is bound by the cookie only, so that the first request goes to a server that answers.
    first_of_two = GONE if loss == "refused" else named("a")
    await sim.start(
        [first_of_two, named("b"), named("c")],
        weights=[100, 100, 0] if loss != "weight 0" else [0, 100, 0],
        groups={"sg-1": [1] if loss == "gone" else [0, 1]},
        policies=(policy(1, "sg-1"),),
        keep_session=KeepSession(cookie_name="SID"),
    )
    if loss == "dead":
        sim.route.targets[0].mark_dead(BackendServerId("i-0"))
    client = await connect(sim)
    client.cookie = b"SID=" + session_token(BackendServerId("i-0"))
    assert await client.get() == "b"
    client.keep_cookie()
    assert client.cookie == b"SID=" + session_token(BackendServerId("i-1"))
    assert await client.get() == "b"
    records = await sim.fields(2)
    assert records[1]["upstream_addr"] == ADDRESSES[1]


async def test_a_rewritten_cookie_is_the_backends_own_to_the_backend(sim: Sim):
    seen: list[bytes] = []
    cookie = b"Set-Cookie: SID=abc; Path=/\r\n"
    await sim.start(
        [named("a", seen, cookie), named("b", seen, cookie)],
        keep_session=KeepSession(type=KeepSessionType.REWRITE, cookie_name="SID"),
    )
    client = await connect(sim)
    first = await client.get()
    token = session_token(BackendServerId(f"i-{'ab'.index(first)}"))
    assert client.keep_cookie() == b"SID=abc|%s; Path=/" % token
    for _ in range(4):
        assert await client.get() == first
        assert client.header(b"Set-Cookie") == b"SID=abc|%s; Path=/" % token
    assert [b"Cookie: x=1; SID=abc\r\n" in head for head in seen] == [False, *[True] * 4]
    await sim.fields(5)


async def test_without_a_cookie_of_the_backend_nothing_is_rewritten(sim: Sim):
    await sim.start(
        [named("a")], keep_session=KeepSession(type=KeepSessionType.REWRITE, cookie_name="SID")
    )
    client = await connect(sim)
    await client.get()
    assert client.header(b"Set-Cookie") is None


@pytest.mark.parametrize("repeat", [1, 4])
async def test_the_forwarded_protocol_replaces_the_clients_word(sim: Sim, repeat):
    seen: list[bytes] = []
    await sim.start([named("a", seen)], x_forwarded_proto=True, x_forwarded_for=True)
    client = await connect(sim)
    for _ in range(repeat):
        await client.get(headers=b"x-forwarded-proto: https\r\nX: y\r\n")
    assert (
        seen
        == [
            b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\nX-Forwarded-For: 127.0.0.1\r\n"
            b"X-Forwarded-Proto: http\r\n\r\n"
        ]
        * repeat
    )


async def test_switched_off_the_clients_own_headers_pass(sim: Sim):
    seen: list[bytes] = []
    await sim.start([named("a", seen)])
    client = await connect(sim)
    own = b"X-Forwarded-Proto: https\r\nX-Forwarded-For: 1.1.1.1\r\n"
    await client.get(headers=own)
    assert seen == [b"GET / HTTP/1.1\r\nHost: a\r\n" + own + b"\r\n"]


@pytest.mark.parametrize(
    ("port", "request_head", "location"),
    [
        (443, b"GET /a?b=c HTTP/1.1\r\nHost: Shop.test:8080\r\n\r\n", b"https://shop.test/a?b=c"),
        (8443, b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", b"https://[::1]:8443/"),
        (443, b"HEAD http://b/x HTTP/1.1\r\nHost: a\r\n\r\n", b"https://b/x"),
        (443, b"GET /x HTTP/1.0\r\n\r\n", b"https://10.0.1.5/x"),
        (
            443,
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
            b"https://a/x",
        ),
    ],
)
async def test_a_redirect_calls_no_backend(sim: Sim, port, request_head, location):
    seen: list[bytes] = []
    await sim.start([named("a", seen)], redirect_port=port)
    reader, writer = await sim.connect()
    writer.write(request_head)
    head = await read_head(reader)
    lines = head.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 301 Moved Permanently"
    assert b"Location: " + location in lines
    assert b"Content-Length: 0" in lines
    [record] = await sim.fields()
    assert [record[name] for name in UPSTREAM] == ["-"] * 7
    assert (record["response_status"], record["body_bytes_sent"]) == (301, 0)
    assert record["request_length"] == len(request_head)
    assert seen == []
    writer.close()


async def test_a_redirected_connection_is_kept(sim: Sim):
    await sim.start([named("a")], redirect_port=443)
    client = await connect(sim)
    for _ in range(3):
        await client.get()
        assert client.header(b"Location") == b"https://a/"
    await sim.fields(3)


async def test_an_upload_that_is_redirected_is_not_awaited(sim: Sim):
    await sim.start([named("a")], redirect_port=443, limits=ListenerLimits(body_buffer_bytes=1000))
    reader, writer = await sim.connect()
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" + b"x" * 2000)
    assert (await read_head(reader)).startswith(b"HTTP/1.1 301 ")
    [record] = await sim.fields()
    assert record["response_status"] == 301
    writer.close()


async def test_a_change_moves_new_requests_and_leaves_those_under_way(sim: Sim):
    gate = Gate()
    await sim.start(
        [gate.named("a"), named("b")],
        groups={"sg-1": [0]},
        policies=(policy(1, "sg-1"),),
        scheduler=Scheduler.LEAST_CONNECTION,
        keep_session=KeepSession(),
    )
    slow, quick = await connect(sim), await connect(sim)
    slow.cookie = b"BLB_SESSION=" + session_token(BackendServerId("i-0"))
    async with asyncio.TaskGroup() as tasks:
        answer = tasks.create_task(slow.get())
        await gate.until(1)
        await sim.change(groups={"sg-1": [0, 1]})
        assert await quick.get() == "b"
        await sim.change(groups={"sg-1": [1]}, policies=(policy(1, "sg-1", uri="/*"),))
        assert await quick.get() == "b"
        gate.open.set()
    assert answer.result() == "a"
    # Bound to a server that has gone: it moves.
    slow.keep_cookie()
    assert await slow.get() == "b"
    records = await sim.fields(4)
    assert [record["response_status"] for record in records] == [200] * 4
    assert {record["vdum_ups_id"] for record in records} == {"sg-1"}
