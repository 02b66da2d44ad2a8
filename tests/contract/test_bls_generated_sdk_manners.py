"""How the vendor's generated SDK signs and sends, and what it makes of errors and odd answers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest
from aiohttp import web
from baiducloud_python_sdk_bls.models import (
    CreateTaskRequest,
    DeleteProjectRequest,
    DescribeLogStoreRequest,
    ListFastQueryRequest,
    ListLogShipperRequest,
    TaskConfig,
    UpdateTaskRequest,
)
from baiducloud_python_sdk_core.exception import BceHttpClientError
from baiducloud_python_sdk_core.http import http_methods
from bls_served import Served
from generated_sdk import GeneratedSdk, refusal

ACCESS = DescribeLogStoreRequest(log_store_name="access")
Answers = Callable[..., Awaitable[tuple[GeneratedSdk, list[web.Request]]]]


@pytest.fixture
async def answers() -> AsyncIterator[Answers]:
    """An SDK whose calls get the given answers one after another, and the requests it sent."""
    runners: list[web.AppRunner] = []

    async def make(*responses: tuple[int, str]) -> tuple[GeneratedSdk, list[web.Request]]:
        left = list(responses)
        requests: list[web.Request] = []

        async def handle(request: web.Request) -> web.Response:
            await request.read()
            requests.append(request)
            status, text = left.pop(0)
            return web.Response(status=status, text=text, headers={"x-bce-request-id": "r" * 36})

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        runner = web.AppRunner(app)
        runners.append(runner)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return GeneratedSdk(f"http://127.0.0.1:{runner.addresses[0][1]}"), requests

    yield make
    for runner in runners:
        await runner.cleanup()


async def test_it_signs_all_it_lists(answers: Answers) -> None:
    sdk, requests = await answers((200, "{}"))
    await sdk.describe_log_store(ACCESS)
    (request,) = requests
    scheme, _, _, validity, names, signature = request.headers["Authorization"].split("/")
    assert (scheme, validity, names) == ("bce-auth-v1", "1800", "host;x-bce-date")
    assert len(signature) == 64
    assert request.headers["Content-Length"] == "0"
    assert request.headers["Content-Type"] == "application/json;charset=utf-8"
    assert "x-bce-request-id" not in request.headers
    assert "Expect" not in request.headers
    assert "Transfer-Encoding" not in request.headers


@pytest.mark.parametrize("scheme", ["http://", ""])
async def test_endpoints_with_and_without_a_scheme(served: Served, scheme: str) -> None:
    sdk = GeneratedSdk(f"{scheme}127.0.0.1:{served.port}")
    assert (await sdk.describe_log_store(ACCESS)).log_store_name == "access"


async def test_a_wrong_key_is_refused(served: Served) -> None:
    sdk = GeneratedSdk(f"http://127.0.0.1:{served.port}", secret_key="wrong")
    assert await refusal(sdk.describe_log_store(ACCESS)) == (401, "Unauthorized")
    assert sdk.retries.count == 0


async def test_odd_parameters_are_signed_as_they_are_sent(sdk: GeneratedSdk) -> None:
    # This list is sent with a parameter that has no name and no value.
    assert (await sdk.list_log_shipper(ListLogShipperRequest(order="asc"))).total_count == 0
    odd = ListFastQueryRequest(name_pattern="a/b c+d&e=f%中*~", page_no=1, page_size=3)
    found = await sdk.list_fast_query(odd)
    assert (found.total_count, found.page_size) == (0, 3)
    missing = DescribeLogStoreRequest(log_store_name="a b/中", project="$x")
    assert await refusal(sdk.describe_log_store(missing)) == (404, "InvalidURI")
    missing.log_store_name = "a b*中"
    assert await refusal(sdk.describe_log_store(missing)) == (404, "LogStoreNotFound")


async def test_a_session_token_is_not_sent_and_signed_where_it_is(served: Served) -> None:
    endpoint = f"http://127.0.0.1:{served.port}"
    sdk = GeneratedSdk(endpoint, security_token="token of a session")
    assert (await sdk.describe_log_store(ACCESS)).retention == 7  # the SDK leaves the token out

    # What a user with a session has to do: the method that all calls go through takes headers.
    headers = {
        b"Content-Type": b"application/json;charset=utf-8",
        b"x-bce-security-token": b"token of a session",
    }
    sdk.client._send_request = partial(sdk.client._send_request, headers=headers)
    assert (await sdk.describe_log_store(ACCESS)).retention == 7


async def test_the_request_id_is_that_of_the_answer(sdk: GeneratedSdk) -> None:
    found = await sdk.describe_log_store(ACCESS)
    assert len(found.metadata["X-Bce-Request-Id"]) == 36
    assert found.metadata["content-type"] == "application/json; charset=utf-8"


async def test_it_repeats_what_may_pass_and_nothing_else(answers: Answers) -> None:
    error = '{"code": "%s", "message": "m", "requestId": "%s"}'
    fails = error % ("InternalError", "r" * 36)
    sdk, requests = await answers((500, fails), (503, fails), (200, '{"retention": 9}'))
    assert (await sdk.describe_log_store(ACCESS)).retention == 9
    assert (sdk.retries.count, len(requests)) == (2, 3)
    sdk, requests = await answers(*[(500, fails)] * 4)
    assert await refusal(sdk.describe_log_store(ACCESS)) == (500, "InternalError")
    assert (sdk.retries.count, len(requests)) == (3, 4)
    for status, code in (
        (429, "RequestLimited"),
        (408, "ExecutionTimeout"),
        (501, "NotImplemented"),
    ):
        sdk, requests = await answers((status, error % (code, "r" * 36)))
        assert await refusal(sdk.describe_log_store(ACCESS)) == (status, code)
        assert (sdk.retries.count, len(requests)) == (0, 1)


@pytest.mark.parametrize("status", [200, 204])
async def test_an_empty_answer_is_an_empty_model(answers: Answers, status: int) -> None:
    sdk, _ = await answers((status, ""))
    done = await sdk.delete_project(DeleteProjectRequest(uuid="x"))
    assert (done.success, done.code, done.metadata["x-bce-request-id"]) == (None, None, "r" * 36)


async def test_an_error_without_a_body_has_no_code(answers: Answers) -> None:
    sdk, _ = await answers((404, ""))
    assert await refusal(sdk.describe_log_store(ACCESS)) == (404, None)


async def test_an_error_whose_body_is_not_the_vendors_cannot_be_read(answers: Answers) -> None:
    sdk, _ = await answers((404, '{"error": {"type": "index_not_found"}, "status": 404}'))
    with pytest.raises(BceHttpClientError) as caught:
        await sdk.describe_log_store(ACCESS)
    assert isinstance(caught.value.last_error, KeyError)


async def test_paths_nobody_serves(sdk: GeneratedSdk) -> None:
    async def send(method: bytes, path: bytes) -> object:
        return await asyncio.to_thread(sdk.client._send_request, method, path)

    assert await refusal(send(http_methods.GET, b"/v9/nothing")) == (404, "InvalidURI")
    assert await refusal(send(http_methods.PUT, b"/v1/logstore")) == (405, "InvalidHTTPRequest")


async def test_collector_tasks_are_not_simulated(sdk: GeneratedSdk) -> None:
    create = CreateTaskRequest(name="agent", config=TaskConfig())
    update = UpdateTaskRequest(task_id="t-1", name="agent", config=TaskConfig(), hosts=[])
    for call, name in (
        (sdk.create_task(create), "CreateCollectorTask"),
        (sdk.update_task(update), "UpdateCollectorTask"),
    ):
        with pytest.raises(BceHttpClientError) as caught:
            await call
        error = caught.value.last_error
        assert (error.status_code, error.code) == (501, "NotImplemented")
        assert str(error) == f"{name} is not simulated"
    assert sdk.retries.count == 0
