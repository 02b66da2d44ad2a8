"""The arguments of ``blbsim flowlog``."""

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.cli.remote import Remote

_Verb = Callable[[argparse.Namespace], int]
_New = Callable[[str, _Verb, str, str], argparse.ArgumentParser]


def add_flow_log_verbs(new: _New) -> None:
    """Declare the verbs below ``flowlog``; ``new`` makes the parser of one."""
    creating = new(
        "create",
        _create,
        "make a flow log; it takes what is written from now on",
        "blbsim flowlog create l7 --load-balancer shop --log-store access",
    )
    creating.add_argument("name", metavar="NAME")
    creating.add_argument(
        "--load-balancer", required=True, metavar="NAME|ID", help="whose records it takes"
    )
    creating.add_argument("--layer", type=int, default=7, metavar="N", help="(default: 7)")
    creating.add_argument("--description", default="", metavar="TEXT")
    _add_destination(creating, required=True)
    new("list", _list, "show the flow logs", "blbsim flowlog list --json")
    _add_name(new("show", _show, "show one flow log", "blbsim flowlog show l7"))
    changing = new(
        "update",
        _update,
        "change a flow log; a new destination gets what is written from now on",
        "blbsim flowlog update l7 --bucket shop-logs --prefix l7/",
    )
    _add_name(changing)
    changing.add_argument("--name", metavar="NAME", help="a new name")
    changing.add_argument("--description", metavar="TEXT")
    _add_destination(changing, required=False)
    _add_name(new("start", _start, "take records again", "blbsim flowlog start l7"))
    _add_name(
        new("stop", _stop, "take no more records; pending ones arrive", "blbsim flowlog stop l7")
    )
    _add_name(new("delete", _delete, "stop and forget a flow log", "blbsim flowlog delete l7"))


def _add_name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("flow_log", metavar="NAME|ID")


def _add_destination(parser: argparse.ArgumentParser, *, required: bool) -> None:
    group = parser.add_mutually_exclusive_group(required=required)
    group.add_argument("--log-store", metavar="NAME", help="deliver to this LogStore")
    group.add_argument("--bucket", metavar="NAME", help="deliver to this bucket")
    parser.add_argument(
        "--project", default="default", metavar="NAME", help="of the LogStore (default: default)"
    )
    parser.add_argument("--prefix", default="", metavar="TEXT", help="of keys in the bucket")


def _create(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import create

    return create(_remote(arguments), arguments)


def _list(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import show

    return show(_remote(arguments), as_json=arguments.json)


def _show(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import describe

    return describe(_remote(arguments), arguments.flow_log, as_json=arguments.json)


def _update(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import update

    return update(_remote(arguments), arguments)


def _start(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import switch

    return switch(_remote(arguments), arguments.flow_log, "start", as_json=arguments.json)


def _stop(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import switch

    return switch(_remote(arguments), arguments.flow_log, "stop", as_json=arguments.json)


def _delete(arguments: argparse.Namespace) -> int:
    from simulator.cli.flow_log import delete

    return delete(_remote(arguments), arguments.flow_log, as_json=arguments.json)


def _remote(arguments: argparse.Namespace) -> "Remote":
    from simulator.cli.remote import Remote

    return Remote(arguments.endpoint, arguments.token)
