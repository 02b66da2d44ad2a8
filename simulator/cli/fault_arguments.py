"""The arguments of ``blbsim fault``."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.cli.remote import Remote

_Verb = Callable[[argparse.Namespace], int]
_New = Callable[[str, _Verb, str, str], argparse.ArgumentParser]


def add_fault_verbs(new: _New, remote_verb: _New) -> None:
    """Declare the verbs below ``fault``.

    Args:
        new: makes the parser of one that needs no simulator.
        remote_verb: the same of one that talks to a simulator.
    """
    parser = remote_verb(
        "add",
        _add,
        "put a fault in force",
        "blbsim fault add F-LATE --share 10% --for 5m --set extra=5m..20m\n"
        "  blbsim fault add READ-THROTTLE --share 20% --set operation=PullLogRecord",
    )
    parser.add_argument("fault", metavar="FAULT", help="its id; `blbsim fault kinds` lists them")
    parser.add_argument(
        "--set",
        dest="knobs",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="what this kind of fault can be told; may be given several times",
    )
    for key, metavar, what in (
        ("name", "NAME", "(default: made from the id)"),
        ("at", "DURATION", "when it begins, from now (default: 0s)"),
        ("for", "DURATION", "how long it is in force (default: to the end)"),
        ("share", "SHARE", "of the subjects in its reach (default: 100%%)"),
        ("flow-log", "NAME", "the only flow log in its reach"),
        ("node", "ADDRESS", "the only service node in its reach"),
        ("to", "KIND", "the only kind of destination: log_store or bucket"),
    ):
        parser.add_argument(
            f"--{key}", dest=f"fault_{key.replace('-', '_')}", metavar=metavar, help=what
        )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="such as 'response_status>=500' or 'host=shop*'; several must all hold",
    )
    remote_verb("list", _list, "show the faults in force", "blbsim fault list --json")
    removing = remote_verb("rm", _remove, "take a fault back", "blbsim fault rm f-late")
    removing.add_argument("name", metavar="NAME")
    remote_verb("clear", _clear, "take all faults back", "blbsim fault clear")
    new("kinds", _kinds, "list what can go wrong", "blbsim fault kinds")


def _add(arguments: argparse.Namespace) -> int:
    from simulator.cli.fault import add

    return add(_remote(arguments), arguments)


def _list(arguments: argparse.Namespace) -> int:
    from simulator.cli.fault import show

    return show(_remote(arguments), as_json=arguments.json)


def _remove(arguments: argparse.Namespace) -> int:
    from simulator.cli.fault import remove

    return remove(_remote(arguments), arguments.name, as_json=arguments.json)


def _clear(arguments: argparse.Namespace) -> int:
    from simulator.cli.fault import clear

    return clear(_remote(arguments), as_json=arguments.json)


def _remote(arguments: argparse.Namespace) -> "Remote":
    from simulator.cli.remote import Remote

    return Remote(arguments.endpoint, arguments.token)


def _kinds(arguments: argparse.Namespace) -> int:
    from simulator.cli.fault import kinds

    return kinds(as_json=arguments.json)
