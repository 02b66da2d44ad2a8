"""``blbsim fault``: put faults in force while a simulation runs, and see what they did."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Any
from urllib.parse import quote

from rich.table import Table

from simulator.cli.remote import Remote, ask, print_json
from simulator.cli.tables import PlainConsole
from simulator.model.fault_catalogue import CATALOGUE
from simulator.model.units import format_share

_FAULTS = "/_sim/v1/faults"


def add(remote: Remote, arguments: argparse.Namespace) -> int:
    """Put a fault in force and print it."""
    body: dict[str, object] = {"fault": arguments.fault}
    for key in ("name", "at", "for", "share", "flow_log", "node", "to"):
        given = getattr(arguments, f"fault_{key}")
        if given is not None:
            body[key] = given
    for pair in arguments.knobs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            print(
                f"blbsim: {pair!r} is no setting; expected KEY=VALUE such as extra=5m..20m",
                file=sys.stderr,
            )
            return 2
        body[key] = value
    where = dict(_condition(text) for text in arguments.where)
    if where:
        body["where"] = where
    added = ask(remote, _FAULTS, body)
    if added is None:
        return 1
    return _show(remote, added, (added,), as_json=arguments.json)


def show(remote: Remote, *, as_json: bool) -> int:
    """Print every fault in force, with requested and realised share."""
    found = ask(remote, _FAULTS)
    if found is None:
        return 1
    if not as_json and not found["faults"]:
        print("no fault is in force", file=sys.stderr)
        return 0
    return _show(remote, found, found["faults"], as_json=as_json)


def remove(remote: Remote, name: str, *, as_json: bool) -> int:
    """Take one fault back."""
    removed = ask(remote, f"{_FAULTS}/{quote(name, safe='')}", method="DELETE")
    if removed is None:
        return 1
    if as_json:
        print_json(removed)
    else:
        print(f"{name} is no longer in force; it hit {removed['hits']} of {removed['subjects']}")
    return 0


def clear(remote: Remote, *, as_json: bool) -> int:
    """Take all faults back."""
    removed = ask(remote, _FAULTS, method="DELETE")
    if removed is None:
        return 1
    if as_json:
        print_json(removed)
    else:
        count = removed["removed"]
        print(f"{count} fault{'s are' if count != 1 else ' is'} no longer in force")
    return 0


def kinds(*, as_json: bool) -> int:
    """Print the catalogue."""
    if as_json:
        print_json(
            [
                {
                    "fault": spec.kind.value,
                    "stage": spec.stage.value,
                    "subject": spec.subject.value,
                    "what": spec.what,
                    "knobs": [
                        {"name": knob.name, "default": knob.default, "what": knob.what}
                        for knob in spec.knobs
                    ],
                }
                for spec in CATALOGUE.values()
            ]
        )
        return 0
    table = Table("fault", "what is seen", "its own keys", box=None, pad_edge=False)
    for spec in CATALOGUE.values():
        knobs = " ".join(f"{knob.name}={knob.default}" for knob in spec.knobs)
        table.add_row(spec.kind.value, spec.what, knobs)
    PlainConsole().print(table)
    return 0


def _condition(text: str) -> tuple[str, str]:
    """``response_status>=500`` as a field and what it is compared with."""
    at = next((index for index, letter in enumerate(text) if letter in "<>=!"), len(text))
    return text[:at].strip(), text[at:].strip()


def _show(
    remote: Remote, answer: object, faults: Sequence[Mapping[str, Any]], *, as_json: bool
) -> int:
    """Print the faults of an answer, their times in the zone of the simulation's."""
    if as_json:
        print_json(answer)
        return 0
    clock = ask(remote, "/_sim/v1/clock")
    if clock is None:
        return 1
    PlainConsole().print(fault_table(faults, clock["time"]))
    return 0


def fault_table(faults: Sequence[Mapping[str, Any]], now: str) -> Table:
    """Faults with their time, what was asked of them and what they did.

    Args:
        faults: as the admin API shows them.
        now: the time of the simulation, which says the zone that times are shown in.
    """
    zone, offset = datetime.fromisoformat(now).tzinfo, now[-6:]
    table = Table(
        "name", "fault", "status", "requested", "realised", "hits", f"time ({offset}) and settings",
        box=None, pad_edge=False,
    )  # fmt: skip
    for fault in faults:
        realised = fault["realised"]
        settings = {key: text for key, text in fault["settings"].items() if key != "share"}
        table.add_row(
            fault["name"],
            fault["fault"],
            fault["status"],
            format_share(fault["requested"]),
            "-" if realised is None else format_share(realised),
            f"{fault['hits']} of {fault['subjects']}",
            " ".join((_span(fault, zone), *(f"{key}={text}" for key, text in settings.items()))),
        )
    return table


def _span(fault: Mapping[str, Any], zone: tzinfo | None) -> str:
    """When a fault is in force; the date of its end where that is another one."""
    begins = datetime.fromtimestamp(fault["begins_at"], zone)
    span = f"from {begins:%Y-%m-%d %H:%M:%S}"
    if fault["ends_at"] is None:
        return span
    ends = datetime.fromtimestamp(fault["ends_at"], zone)
    date = "" if ends.date() == begins.date() else f"{ends:%Y-%m-%d} "
    return f"{span} to {date}{ends:%H:%M:%S}"
