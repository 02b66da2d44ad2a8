"""The arguments of ``blbsim reconcile``, ``explain``, ``watermarks`` and ``advise``."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.cli.remote import Remote

_Verb = Callable[[argparse.Namespace], int]
_New = Callable[[str, _Verb, str, str], argparse.ArgumentParser]


def add_verdict_verbs(remote_verb: _New) -> None:
    """Declare the verbs.

    Args:
        remote_verb: makes the parser of one that talks to a simulator.
    """
    _add_reconcile(remote_verb)
    parser = remote_verb(
        "explain",
        _explain,
        "tell the life of a record, from its writing to every place where it is visible",
        "blbsim explain 'lb-d40ea534_100.126.44.90/1/1'\n  tail -1 out.jsonl | blbsim explain -",
    )
    parser.add_argument(
        "record", metavar="RECORD", help="its ledger id, its text, or - for standard input"
    )
    remote_verb(
        "watermarks",
        _watermarks,
        "show up to which instant everything is visible",
        "blbsim watermarks --json | jq -r '.flow_logs[0].visible_until'",
    )
    parser = remote_verb(
        "advise",
        _advise,
        "show how far back a poller must read, from the delays that occurred",
        "blbsim advise --interval 30s",
    )
    parser.add_argument(
        "--interval", default="1m", metavar="DURATION", help="between two polls (default: 1m)"
    )


def _add_reconcile(remote_verb: _New) -> None:
    parser = remote_verb(
        "reconcile",
        _reconcile,
        "compare what a pipeline kept with what it could have seen",
        "blbsim reconcile --against out.jsonl --flow-log l7\n"
        "  blbsim reconcile --against 'sqlite:logs.db?table=records' --destination access",
    )
    parser.add_argument(
        "--against",
        required=True,
        metavar="WHAT",
        help="a file (JSON lines, a JSON array or CSV, also .gz), - for standard input, dir:PATH, "
        "sqlite:FILE?table=NAME[&column=NAME], or an http: or https: URL",
    )
    parser.add_argument(
        "--flow-log",
        action="append",
        default=[],
        metavar="NAME",
        help="that the pipeline reads; may be repeated (default: the only one)",
    )
    parser.add_argument(
        "--destination", metavar="NAME", help="all flow logs to this LogStore or bucket instead"
    )
    parser.add_argument(
        "--grace",
        default="0s",
        metavar="DURATION",
        help="how long after a record became visible it may still be missing (default: 0s)",
    )
    parser.add_argument(
        "--mapping", type=Path, metavar="FILE", help="YAML: how the pipeline spells records"
    )
    parser.add_argument(
        "--allow-broken",
        action="store_true",
        help="records that are no whole JSON objects may be missing",
    )
    parser.add_argument(
        "--allow-deduped",
        action="store_true",
        help="of the copies of a record that faults add, all but one may be missing",
    )
    parser.add_argument(
        "--examples", type=int, default=3, metavar="N", help="of each finding (default: 3)"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write JUnit XML here as well")


def _reconcile(arguments: argparse.Namespace) -> int:
    from simulator.cli.reconcile import reconcile

    return reconcile(
        _remote(arguments),
        arguments.against,
        flow_logs=arguments.flow_log,
        destination=arguments.destination,
        grace=arguments.grace,
        mapping=arguments.mapping,
        examples=arguments.examples,
        allow_broken=arguments.allow_broken,
        allow_deduped=arguments.allow_deduped,
        junit=arguments.junit,
        as_json=arguments.json,
    )


def _explain(arguments: argparse.Namespace) -> int:
    from simulator.cli.deliveries import explain

    return explain(_remote(arguments), arguments.record, as_json=arguments.json)


def _watermarks(arguments: argparse.Namespace) -> int:
    from simulator.cli.deliveries import watermarks

    return watermarks(_remote(arguments), as_json=arguments.json)


def _advise(arguments: argparse.Namespace) -> int:
    from simulator.cli.deliveries import advise

    return advise(_remote(arguments), arguments.interval, as_json=arguments.json)


def _remote(arguments: argparse.Namespace) -> "Remote":
    from simulator.cli.remote import Remote

    return Remote(arguments.endpoint, arguments.token)
