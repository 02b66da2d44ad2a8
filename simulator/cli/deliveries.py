"""``blbsim explain``, ``watermarks`` and ``advise``: what became of records."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from rich.text import Text

from simulator.cli.remote import Remote, ask, print_json
from simulator.cli.tables import PlainConsole, plain_table
from simulator.model.units import format_duration


def explain(remote: Remote, record: str, *, as_json: bool) -> int:
    """Print the life of a record; ``-`` reads it from standard input."""
    if record == "-":
        record = sys.stdin.read()
    found = ask(remote, "/_sim/v1/explain", {"record": record})
    if found is None:
        return 1
    if as_json:
        print_json(found)
        return 0
    out = PlainConsole()
    lives = found["records"]
    if len(lives) > 1:
        more = "more than " if found["more"] else ""
        out.print(f"{more}{len(lives)} equal records; nothing in a record tells them apart\n")
    for number, life in enumerate(lives):
        if number:
            out.print()
        for line in _life(life, with_record=number == 0):
            out.print(line)
    return 0


def watermarks(remote: Remote, *, as_json: bool) -> int:
    """Print how far everything is visible."""
    found = ask(remote, "/_sim/v1/watermarks")
    if found is None:
        return 1
    if as_json:
        print_json(found)
        return 0
    out = PlainConsole()
    out.print(f"now {found['time']}")
    table = plain_table("Everything written before this instant that will ever be visible is")
    table.add_column("flow log", no_wrap=True)
    table.add_column("visible until", no_wrap=True)
    table.add_column("behind", no_wrap=True, justify="right")
    table.add_column("pending", no_wrap=True, justify="right")
    for log in found["flow_logs"]:
        behind = format_duration(round(log["behind_s"]))
        table.add_row(Text(log["flow_log"]), log["visible_until"], behind, str(log["pending"]))
        for node in log["nodes"] if len(log["nodes"]) > 1 else ():
            table.add_row(Text(f"  node {node['node']}"), node["visible_until"])
    out.print(table)
    for destination in found["destinations"]:
        out.print(f"{destination['destination']}: {destination['visible_until']}")
    return 0


def advise(remote: Remote, interval: str, *, as_json: bool) -> int:
    """Print how far back pollers must read."""
    found = ask(remote, f"/_sim/v1/advice?{urlencode({'interval': interval})}")
    if found is None:
        return 1
    if as_json:
        print_json(found)
        return 0
    out = PlainConsole()
    for number, log in enumerate(found["flow_logs"]):
        if number:
            out.print()
        out.print(f"{log['flow_log']} -> {log['destination']}", style="bold")
        for line in _advice(log["advice"]):
            out.print(line)
    return 0


def _life(life: Mapping[str, Any], *, with_record: bool) -> Iterator[str]:
    yield f"{life['ledger_id']}"
    if with_record:
        yield f"  {life['record']}"
    yield (
        f"  written {life['logged_at']} by node {life['node']} of {life['load_balancer']} "
        f"({life['load_balancer_id']})"
    )
    if not life["passages"]:
        yield "  no flow log takes it"
    for passage in life["passages"]:
        yield f"  {passage['flow_log']}: {_state(passage)}"
        for hit in passage["hits"]:
            until = f" until {hit['until']}" if hit["until"] else ""
            detail = f": {hit['detail']}" if hit["detail"] else ""
            yield f"    {hit['kind']} ({hit['fault']}) {hit['action']}{until}{detail}"
        for sighting in passage["sightings"]:
            yield (
                f"    visible {sighting['visible_at']} (+{format_duration(sighting['delay_s'])}) "
                f"at {sighting['place']}"
            )


def _state(passage: Mapping[str, Any]) -> str:
    text = str(passage["state"])
    if passage["due_at"]:
        text += f", due {passage['due_at']}"
    if passage["tries"] > 1:
        text += f", after {passage['tries']} tries"
    if passage["reason"]:
        text += f": {passage['reason']}"
    return text


def _advice(advice: Mapping[str, Any]) -> Iterator[str]:
    if not advice["record_count"]:
        yield "  nothing is visible yet, so nothing is known"
        return
    delays = ", ".join(
        f"{name} {format_duration(round(advice[f'delay_{key}_s']))}"
        for name, key in (
            ("shortest", "min"),
            ("median", "p50"),
            ("p90", "p90"),
            ("p99", "p99"),
            ("longest", "max"),
        )
    )
    yield f"  {advice['record_count']} records became visible after: {delays}"
    yield (
        f"  a poller that comes every {format_duration(advice['interval_s'])} must read the last "
        f"{format_duration(advice['lookback_s'])} each time"
    )
    yield from _losses(advice["losses"])
    listing = advice["listing"]
    if listing is not None:
        yield from _listing(listing)


def _losses(losses: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The lookbacks that lose something, from the first that no longer loses all."""
    everything = max((loss["possible"] for loss in losses), default=0)
    following = 0
    for index, loss in enumerate(losses):
        if loss["certain"] == everything:
            following = index
    for loss in losses[following:]:
        if not loss["possible"]:
            continue
        certain, possible = loss["certain"], loss["possible"]
        span = f"{certain}" if certain == possible else f"{certain} to {possible}"
        yield f"    with {format_duration(loss['lookback_s'])} it would have lost {span} records"


def _listing(listing: Mapping[str, Any]) -> Iterator[str]:
    if not listing["late_object_count"]:
        yield (
            f"  {listing['object_count']} objects appeared in the order of their keys: listing "
            "after the last key would have lost nothing"
        )
        return
    yield (
        f"  {listing['late_object_count']} of {listing['object_count']} objects appeared behind a "
        f"later key: listing after the last key could have lost {listing['late_record_count']} "
        "records"
    )
    yield (
        "  a key is safe to list after once its object has been visible for more than "
        f"{format_duration(listing['safe_after_s'])}"
    )
    for late in listing["examples"]:
        yield f"    {late['key']} came {format_duration(late['lag_s'])} after a later key"
