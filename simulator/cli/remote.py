"""The verbs that talk to a simulator that is up."""

import shlex
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from email.message import Message
from http.client import HTTPException
from typing import Any, Final

import msgspec

from simulator.clock import monotonic, pause
from simulator.errors import StartupError
from simulator.verdict import format_duration, parse_duration

_TIMEOUT_S: Final = 600.0
"""An advance may have hours of records to deliver."""
_POLL_S: Final = 0.1


class Refused(Exception):
    """The simulator answered, and said no."""


class Remote:
    """The admin API of a simulator that is up.

    Args:
        endpoint: its base URL.
        token: for an admin API that is not on loopback.
    """

    def __init__(self, endpoint: str, token: str | None) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._token = token

    def call(
        self,
        path: str,
        body: object = None,
        method: str | None = None,
        signed: Mapping[str, str] | None = None,
    ) -> Any:  # noqa: ANN401  whatever JSON the API answers with
        """GET ``path``, or POST ``body`` to it, or what ``method`` says.

        Args:
            path: with its query.
            body: becomes JSON; an iterator gives blocks of bytes, which are sent as they are.
            method: GET, or POST with a body, if it is not given.
            signed: headers of a signature, for an API that wants one.

        Raises:
            StartupError: nobody answers there.
            Refused: with the simulator's own message.
        """
        headers = {"Content-Type": "application/json", **(signed or {})}
        if self._token:
            headers["x-blbsim-token"] = self._token
        data: bytes | Iterator[bytes] | None = None
        if body is not None:
            data = body if isinstance(body, Iterator) else msgspec.json.encode(body)
        # Straight to it: a proxy of the environment has no business with a local simulator.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            request = urllib.request.Request(self.endpoint + path, data, headers, method=method)
            with opener.open(request, timeout=_TIMEOUT_S) as response:
                self._check_is_simulator(response.headers)
                return msgspec.json.decode(response.read())
        except urllib.error.HTTPError as error:
            self._check_is_simulator(error.headers)
            raise Refused(_message(error)) from error
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise StartupError(
                f"no simulator answers at {self.endpoint} ({reason}); start one with "
                "`blbsim up SCENARIO`, or say where it is with --endpoint or BLBSIM_ENDPOINT"
            ) from error

    def _check_is_simulator(self, headers: Message) -> None:
        if "x-bce-request-id" not in headers:
            raise StartupError(
                f"what answers at {self.endpoint} is not the API of a simulator: expected the URL "
                "that `blbsim up` shows behind APIs; say it with --endpoint or BLBSIM_ENDPOINT"
            )


def env(remote: Remote, shell: str) -> int:
    """Print what clients need to know, in the words of ``shell``."""
    endpoints = ask(remote, "/_sim/v1/endpoints")
    if endpoints is None:
        return 1
    variables = environment(endpoints)
    if shell == "json":
        print_json(variables)
        return 0
    for name, value in variables.items():
        print(_assignment(shell, name, value))
    return 0


def environment(endpoints: Mapping[str, Any]) -> dict[str, str]:
    """The variables for one simulator: ours, the vendor's, Terraform's and boto3's names."""
    access_key, secret_key = endpoints["access_key"], endpoints["secret_key"]
    region = endpoints["region"]
    variables = {
        "BLBSIM_ENDPOINT": endpoints["api"],
        "BCE_REGION": region,
        "BCE_ACCESS_KEY_ID": access_key,
        "BCE_SECRET_ACCESS_KEY": secret_key,
        "BAIDUCLOUD_REGION": region,
        "BAIDUCLOUD_ACCESS_KEY": access_key,
        "BAIDUCLOUD_SECRET_KEY": secret_key,
    }
    if endpoints["s3"] is not None:
        variables |= {
            "BLBSIM_S3_ENDPOINT": endpoints["s3"],
            "AWS_ENDPOINT_URL_S3": endpoints["s3"],
            "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret_key,
        }
    for project, log_store in endpoints["log_stores"][:1]:
        variables |= {"BLBSIM_PROJECT": project, "BLBSIM_LOG_STORE": log_store}
    for bucket in endpoints["buckets"][:1]:
        variables["BLBSIM_BUCKET"] = bucket
    if endpoints["authority"] is not None:
        variables["BLBSIM_CA_FILE"] = endpoints["authority"]
    for listener in endpoints["listeners"]:
        variables[_listener_variable(listener)] = listener["url"]
    return variables


def _listener_variable(listener: Mapping[str, Any]) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in listener["load_balancer"])
    return f"BLBSIM_LISTENER_{name.upper()}_{listener['port']}"


def _assignment(shell: str, name: str, value: str) -> str:
    match shell:
        case "fish":
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            return f"set -gx {name} '{quoted}'"
        case "pwsh":
            quoted = value.replace("'", "''")
            return f"$env:{name} = '{quoted}'"
        case "dotenv":
            return f"{name}={value}"
        case _:
            return f"export {name}={shlex.quote(value)}"


def status(remote: Remote, *, as_json: bool) -> int:
    """Print the counts of everything."""
    found = ask(remote, "/_sim/v1/status")
    if found is None:
        return 1
    if as_json:
        print_json(found)
        return 0
    from simulator.cli.tables import print_status

    print_status(found)
    return 0


def advance(remote: Remote, by: str, *, as_json: bool) -> int:
    """Move the clock; print the receipt."""
    body = {"to": by} if by == "next_delivery" else {"by": by}
    receipt = ask(remote, "/_sim/v1/clock/advance", body)
    if receipt is None:
        return 1
    if as_json:
        print_json(receipt)
        return 0
    print(f"from {receipt['from_time']}")
    print(f"to   {receipt['to_time']}  (+{format_duration(receipt['advanced_s'])})")
    parts = [f"{name} {count}" for name, count in receipt["by_flow_log"].items()]
    detail = f" ({', '.join(parts)})" if parts else ""
    print(f"visible now: {receipt['records']} records{detail}, {receipt['objects']} objects")
    for name in receipt["object_names"][-5:]:
        print(f"  {name}")
    return 0


def records(remote: Remote, last: int, *, pending: bool, as_json: bool) -> int:
    """Print the newest records, one JSON object a line."""
    query = f"?last={last}&pending={'true' if pending else 'false'}"
    found = ask(remote, f"/_sim/v1/records{query}")
    if found is None:
        return 1
    if as_json:
        print_json(found)
        return 0
    for view in found["records"]:
        print(msgspec.json.encode(view["record"]).decode())
    if not found["records"]:
        print("no record is pending" if pending else "no record yet", file=sys.stderr)
    return 0


def wait(remote: Remote, timeout: str, *, as_json: bool) -> int:
    """Return when the simulator is ready; 1 if it is not in time."""
    try:
        limit_s = parse_duration(timeout)
    except ValueError as error:
        print(f"blbsim: --timeout: {error}", file=sys.stderr)
        return 2
    deadline = monotonic() + limit_s
    while True:
        try:
            remote.call("/_sim/ready")
        except (Refused, StartupError) as error:
            if monotonic() >= deadline:
                print(f"blbsim: not ready after {timeout}: {error}", file=sys.stderr)
                return 1
            pause(_POLL_S)
        else:
            if as_json:
                print_json({"status": "ready"})
            return 0


def ask(
    remote: Remote,
    path: str,
    body: object = None,
    method: str | None = None,
    signed: Mapping[str, str] | None = None,
) -> Any | None:  # noqa: ANN401  JSON
    """What the simulator answers; None if it said no, and then that is printed."""
    try:
        return remote.call(path, body, method, signed)
    except Refused as error:
        print(f"blbsim: {error}", file=sys.stderr)
        return None


def _message(error: urllib.error.HTTPError) -> str:
    try:
        answer = msgspec.json.decode(error.read())
        return str(answer["message"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"HTTP {error.code}"


def print_json(value: object) -> None:
    """Print one JSON document."""
    print(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
