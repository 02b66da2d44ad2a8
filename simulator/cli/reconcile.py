"""``blbsim reconcile``: what a pipeline kept, against what it could have seen."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import msgspec
from rich.console import Console
from rich.text import Text

from simulator.cli.against import Source, SourceError, open_source
from simulator.cli.junit import encode_junit
from simulator.cli.remote import Remote, ask, print_json
from simulator.cli.tables import PlainConsole, plain_table
from simulator.model.units import format_duration
from simulator.scenario.document import read_plain
from simulator.verdict import parse_mapping

_BLOCK_BYTES: Final = 1 << 18
_COUNTS: Final = ("visible", "matched", "missing", "duplicated", "altered", "not_due", "set_aside")
_SHOWN: Final = 400
"""Characters of a record."""


def reconcile(
    remote: Remote,
    against: str,
    *,
    flow_logs: Sequence[str],
    destination: str | None,
    grace: str,
    mapping: Path | None,
    examples: int,
    allow_broken: bool,
    allow_deduped: bool,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Compare and print; returns 0, 1 if something is wrong, 2 for what cannot be read."""
    try:
        source = open_source(against)
        query = [("flow_log", name) for name in flow_logs]
        query += [("grace", grace), ("examples", str(examples))]
        if destination is not None:
            query.append(("destination", destination))
        if allow_broken:
            query.append(("allow_broken", "true"))
        if allow_deduped:
            query.append(("allow_deduped", "true"))
        if mapping is not None:
            query.append(("mapping", _read_mapping(mapping)))
        found = ask(remote, f"/_sim/v1/reconcile?{urlencode(query)}", _blocks(source))
    except SourceError as error:
        print(f"blbsim: {error}", file=sys.stderr)
        return 2
    if found is None:
        return 1
    for example in found["examples"]:
        example["kept_places"] = [source.place(number) for number in example["kept_at"]]
    if junit is not None:
        texts = [
            (example["finding"], example["flow_log"], "\n".join(_example(example)))
            for example in found["examples"]
        ]
        try:
            junit.write_bytes(encode_junit(found, texts))
        except OSError as error:
            print(f"blbsim: {junit}: cannot be written ({error.strerror})", file=sys.stderr)
            return 2
    if as_json:
        print_json(found)
    else:
        _print(PlainConsole(), found)
    return 0 if found["right"] else 1


def _read_mapping(path: Path) -> str:
    """The mapping file as JSON, looked over before anything is sent."""
    try:
        document = read_plain(path)
        parse_mapping(document)
        return msgspec.json.encode(document).decode()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, TypeError) as error:
        raise SourceError(f"{path}: {error}") from error


def _blocks(source: Source) -> Iterator[bytes]:
    """The lines of a source, some at a time."""
    lines: list[bytes] = []
    size = 0
    for line in source.lines():
        lines.append(line)
        size += len(line)
        if size >= _BLOCK_BYTES:
            yield b"\n".join(lines) + b"\n"
            lines, size = [], 0
    yield b"\n".join(lines) + b"\n"


def _print(out: Console, found: Mapping[str, Any]) -> None:
    logs = ", ".join(f"{log['flow_log']} -> {log['destination']}" for log in found["flow_logs"])
    out.print(f"{found['kept']} records kept, compared with {logs}")
    out.print(
        f"as of {found['as_of']}"
        + (f" with {format_duration(found['grace_s'])} of grace" if found["grace_s"] else "")
    )
    columns = [name for name in _COUNTS if name != "set_aside" or _any(found, name)]
    table = plain_table("What the pipeline could have seen, and what it kept of it")
    table.add_column("flow log", no_wrap=True)
    for name in columns:
        table.add_column(name.replace("_", " "), justify="right", no_wrap=True)
    for log in found["flow_logs"]:
        table.add_row(Text(log["flow_log"]), *(str(log[name]) for name in columns))
    out.print(table)
    if found["altered_fields"]:
        fields = ", ".join(f"{name} ({n})" for name, n in found["altered_fields"].items())
        out.print(f"fields that differ: {fields}")
    for example in found["examples"]:
        out.print()
        for line in _example(example):
            out.print(line)
    for note in found["notes"]:
        out.print(f"\nnote: {note}")
    wrong = [
        f"{found['totals'][name]} {name}"
        for name in ("missing", "duplicated", "altered", "unexpected")
        if found["totals"][name]
    ]
    out.print(
        Text(f"\nWRONG: {', '.join(wrong)}", "bold red")
        if wrong
        else Text("\nRIGHT: the pipeline kept what it could have seen, once each", "green")
    )


def _any(found: Mapping[str, Any], name: str) -> bool:
    return any(log[name] for log in found["flow_logs"])


def _example(example: Mapping[str, Any]) -> Iterator[str]:
    count = example["count"]
    times = f" {count} times" if count > 1 else ""
    where = f": {example['place']}" if example["place"] else ""
    since = f", visible since {example['visible_at']}" if example["visible_at"] else ""
    yield f"{example['finding']}{times}{where}{since}"
    if example["differences"]:
        for difference in example["differences"]:
            yield (
                f"  {difference['field']}: delivered {difference['delivered'] or 'nothing'}, "
                f"kept {difference['kept'] or 'nothing'}"
            )
    else:
        record = example["delivered"] or example["kept"]
        if record:
            yield f"  {record if len(record) <= _SHOWN else record[:_SHOWN] + '…'}"
    if example["kept_places"]:
        yield f"  kept at {', '.join(example['kept_places'])}"
    if example["reproduce"]:
        yield f"  {example['reproduce']}"
