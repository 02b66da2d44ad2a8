"""``blbsim flowlog``: the API of flow logs from the command line, signed as a client would."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from rich.table import Table

from simulator.api.auth import canonical_request, sign
from simulator.cli.remote import Remote, ask, print_json
from simulator.cli.tables import PlainConsole
from simulator.clock import wall_time

_FLOW_LOG = "/v1/flowlog"
_VALID_S = 1800


def create(remote: Remote, arguments: argparse.Namespace) -> int:
    """Make a flow log and print its id."""
    body: dict[str, object] = {
        "name": arguments.name,
        "description": arguments.description,
        "resourceId": arguments.load_balancer,
        "layer": arguments.layer,
        **_destination(arguments),
    }
    made = _call(remote, "POST", _FLOW_LOG, body)
    if made is None:
        return 1
    if arguments.json:
        print_json(made)
    else:
        print(made["flowLogId"])
    return 0


def show(remote: Remote, *, as_json: bool) -> int:
    """Print every flow log."""
    found = _call(remote, "GET", _FLOW_LOG)
    if found is None:
        return 1
    if as_json:
        print_json(found)
    elif found["flowLogs"]:
        _print(found["flowLogs"])
    else:
        print("there is no flow log", file=sys.stderr)
    return 0


def describe(remote: Remote, which: str, *, as_json: bool) -> int:
    """Print one flow log."""
    return _one(remote, "GET", which, as_json=as_json)


def update(remote: Remote, arguments: argparse.Namespace) -> int:
    """Change one flow log and print it."""
    body: dict[str, object] = _destination(arguments)
    if arguments.name is not None:
        body["name"] = arguments.name
    if arguments.description is not None:
        body["description"] = arguments.description
    return _one(remote, "PUT", arguments.flow_log, body=body, as_json=arguments.json)


def switch(remote: Remote, which: str, action: str, *, as_json: bool) -> int:
    """Start or stop one flow log and print it."""
    return _one(remote, "PUT", which, query=f"?{action}", as_json=as_json)


def delete(remote: Remote, which: str, *, as_json: bool) -> int:
    """Delete one flow log."""
    path = _path(remote, which)
    if path is None or _call(remote, "DELETE", path) is None:
        return 1
    if as_json:
        print_json({})
    else:
        print(f"{which} is deleted; what it has taken is still delivered")
    return 0


def _destination(arguments: argparse.Namespace) -> dict[str, object]:
    if arguments.log_store is not None:
        config = {"project": arguments.project, "logStore": arguments.log_store}
        return {"destType": "BLS", "destConfig": config}
    if arguments.bucket is not None:
        config = {"bucket": arguments.bucket, "prefix": arguments.prefix}
        return {"destType": "BOS", "destConfig": config}
    return {}


def _one(
    remote: Remote,
    method: str,
    which: str,
    *,
    query: str = "",
    body: object = None,
    as_json: bool,
) -> int:
    path = _path(remote, which)
    found = None if path is None else _call(remote, method, path + query, body)
    if found is None:
        return 1
    if as_json:
        print_json(found)
    else:
        _print((found,))
    return 0


def _path(remote: Remote, which: str) -> str | None:
    """The path of a flow log given by id or name."""
    listed = _call(remote, "GET", _FLOW_LOG)
    if listed is None:
        return None
    ids = {one["name"]: one["flowLogId"] for one in listed["flowLogs"]}
    return f"{_FLOW_LOG}/{quote(ids.get(which, which), safe='')}"


def _call(remote: Remote, method: str, path: str, body: object = None) -> Any | None:  # noqa: ANN401  JSON
    """What the API answers to a signed request; None if it said no, and then that is printed."""
    endpoints = ask(remote, "/_sim/v1/endpoints")
    if endpoints is None:
        return None
    host = urlsplit(remote.endpoint).netloc
    now = f"{datetime.fromtimestamp(wall_time(), UTC):%Y-%m-%dT%H:%M:%SZ}"
    prefix = f"bce-auth-v1/{endpoints['access_key']}/{now}/{_VALID_S}"
    headers = [("host", host), ("x-bce-date", now)]
    request = canonical_request(method, path, headers, ("host", "x-bce-date"))
    signature = sign(endpoints["secret_key"], prefix, request)
    signed = {"x-bce-date": now, "Authorization": f"{prefix}/host;x-bce-date/{signature}"}
    return ask(remote, path, body, method, signed)


def _print(flow_logs: Sequence[Mapping[str, Any]]) -> None:
    table = Table("id", "name", "load balancer", "status", "destination", box=None, pad_edge=False)
    for one in flow_logs:
        config = one["destConfig"]
        to_log_store = one["destType"] == "BLS"
        place = (
            f"LogStore {config['project']}/{config['logStore']}"
            if to_log_store
            else f"bucket {config['bucket']}/{config['prefix']}"
        )
        table.add_row(one["flowLogId"], one["name"], one["resourceId"], one["status"], place)
    PlainConsole().print(table)
