"""The vendor's SDK that is made from its API schemas, one call at a time and off the event loop."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from baiducloud_python_sdk_bls.api.bls_client import BlsClient
from baiducloud_python_sdk_core.abstract_model import AbstractModel
from baiducloud_python_sdk_core.auth.bce_credentials import BceCredentials
from baiducloud_python_sdk_core.bce_client_configuration import BceClientConfiguration
from baiducloud_python_sdk_core.exception import BceHttpClientError, BceServerError
from baiducloud_python_sdk_core.retry.retry_policy import BackOffRetryPolicy
from bls_served import AK, SK

Call = Callable[[Any], Awaitable[Any]]


class CountedRetries(BackOffRetryPolicy):
    """The SDK's own policy without its pauses; it counts how often it lets a call be repeated."""

    def __init__(self) -> None:
        super().__init__(base_interval_in_millis=0)
        self.count = 0

    def __deepcopy__(self, _memo: object) -> "CountedRetries":
        return self  # the client copies its configuration for each call

    def should_retry(self, error: Exception, retries_attempted: int) -> bool:
        again = super().should_retry(error, retries_attempted)
        self.count += again
        return again


class GeneratedSdk:
    """``await sdk.describe_project(request)`` is that method of the SDK's client.

    Args:
        endpoint: where the API is.
        secret_key: what requests are signed with.
        settings: further ones of the SDK's configuration.
    """

    def __init__(self, endpoint: str, secret_key: str = SK, **settings: object) -> None:
        self.retries = CountedRetries()
        self.client = BlsClient(
            BceClientConfiguration(
                credentials=BceCredentials(AK, secret_key),
                endpoint=endpoint,
                retry_policy=self.retries,
                **settings,
            )
        )

    def __getattr__(self, method: str) -> Call:
        call = getattr(self.client, method)

        def checked(request: object) -> object:
            answer = call(request)
            if isinstance(answer, AbstractModel):
                check_types(answer)
            return answer

        return lambda request: asyncio.to_thread(checked, request)


_SCALARS = {"str": str, "int": int, "float": float, "bool": bool, "dict": dict}
_LONG = {"Bucket.key", "Bucket.doc_count", "LogRecord.timestamp"}
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def check_types(model: AbstractModel) -> None:
    """Every attribute is of the type that the SDK documents; this SDK would not look.

    Those for Go and Java of the same schemas do, and read nothing of an answer with a wrong one.
    Integers are of 32 bits there, but for what ``_LONG`` names.
    """
    documented = dict(
        re.findall(r":type (\w+): (.*?)(?: \(.*\))?\n", f"{type(model).__init__.__doc__}\n")
    )
    for name, expected in documented.items():
        _check(getattr(model, name, None), expected, f"{type(model).__name__}.{name}")


def _check(value: object, expected: str, where: str) -> None:
    if value is None or expected == "object":
        return
    if listed := re.fullmatch(r"List\[(.*)\]", expected):
        assert isinstance(value, list), (where, expected, value)
        for number, item in enumerate(value):
            _check(item, listed[1], f"{where}[{number}]")
    elif mapped := re.fullmatch(r"Dict\[str, (.*)\]", expected):
        assert isinstance(value, dict), (where, expected, value)
        for key, item in value.items():
            _check(item, mapped[1], f"{where}[{key}]")
    elif expected == "datetime":
        assert isinstance(value, str), (where, expected, value)
        assert _DATE_TIME.fullmatch(value), (where, expected, value)
    elif expected == "float":
        assert type(value) in {int, float}, (where, expected, value)
    elif expected in _SCALARS:
        assert type(value) is _SCALARS[expected], (where, expected, value)
        if expected == "int" and where not in _LONG:
            assert abs(value) < 2**31, (where, expected, value)
    else:
        assert type(value).__name__ == expected, (where, expected, value)
        assert isinstance(value, AbstractModel), (where, expected, value)
        check_types(value)


async def refusal(call: Awaitable[object]) -> tuple[int, str]:
    """Status and code of the error that a call ends in; the SDK must have understood its body."""
    with pytest.raises(BceHttpClientError) as caught:
        await call
    error = caught.value.last_error
    assert isinstance(error, BceServerError), caught.value
    assert str(error)
    assert error.request_id == caught.value.request_id
    assert len(error.request_id) == 36
    return error.status_code, error.code
