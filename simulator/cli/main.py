"""Arguments and exit codes of ``blbsim``.

0 all is well; 1 an expectation does not hold, or the simulator said no; 2 a bad scenario or bad
arguments; 3 the machine refused: a port is taken, a disk cannot be written, nobody answers.
"""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import simulator
from simulator.cli.endpoint import DEFAULT_ENDPOINT
from simulator.cli.fault_arguments import add_fault_verbs
from simulator.cli.flow_log_arguments import add_flow_log_verbs
from simulator.cli.verdict_arguments import add_verdict_verbs
from simulator.clock import ClockMode
from simulator.errors import ScenarioError, StartupError, UsageError
from simulator.model import AuthMode

if TYPE_CHECKING:
    from simulator.cli.remote import Remote

    _Verbs: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001  it has no public name

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_MACHINE: Final = 3

_Verb = Callable[[argparse.Namespace], int]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="blbsim: %(message)s", stream=sys.stderr)
    arguments = _parser().parse_args(argv)
    verb: _Verb = arguments.verb
    try:
        return verb(arguments)
    except ScenarioError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)
        count = len(error.problems)
        print(f"{count} problem{'s' if count != 1 else ''}; nothing was started", file=sys.stderr)
        return EXIT_USAGE
    except (UsageError, StartupError) as error:
        print(f"blbsim: {error}", file=sys.stderr)
        return EXIT_USAGE if isinstance(error, UsageError) else EXIT_MACHINE
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blbsim",
        description="A local simulator of Baidu AI Cloud's load balancer, flow logs, BLS and BOS.",
    )
    parser.add_argument("--version", action="version", version=f"blbsim {simulator.__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    _add_run(verbs)
    _add_up(verbs)
    _add_env(verbs)
    _add_remote(
        verbs,
        "status",
        _status,
        "show the counts of a running simulation",
        "blbsim status --json | jq .flow_logs",
    )
    _add_advance(verbs)
    _add_records(verbs)
    _add_wait(verbs)
    _add_fault(verbs)
    _add_flow_log(verbs)
    add_verdict_verbs(partial(_add_remote, verbs))
    return parser


def _new(
    verbs: "_Verbs", name: str, verb: _Verb, summary: str, example: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.set_defaults(verb=verb)
    return parser


def _add_scenario(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("scenario", type=Path, metavar="SCENARIO", help="a YAML file")
    parser.add_argument(
        "--data-dir", type=Path, metavar="DIR", help="keep everything here and go on from it"
    )
    parser.add_argument(
        "--clock",
        type=_clock_mode,
        metavar="MODE",
        help="real, scaled, manual or auto instead of the scenario's",
    )
    parser.add_argument(
        "--rate",
        type=_positive,
        metavar="N",
        help="simulated seconds per second of a scaled clock, instead of the scenario's",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="instead of the scenario's")
    parser.add_argument(
        "--free-ports", action="store_true", help="any free ports instead of the scenario's"
    )


def _clock_mode(text: str) -> ClockMode:
    try:
        return ClockMode(text)
    except ValueError as error:
        expected = ", ".join(ClockMode)
        raise argparse.ArgumentTypeError(f"{text!r} is none of {expected}") from error


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _add_run(verbs: "_Verbs") -> None:
    parser = _new(
        verbs,
        "run",
        _run,
        "run a scenario to its end and judge its expectations",
        "blbsim run scenarios/quickstart.yaml",
    )
    _add_scenario(parser)


def _add_up(verbs: "_Verbs") -> None:
    parser = _new(
        verbs,
        "up",
        _up,
        "bring a scenario up and serve until interrupted",
        "blbsim up scenarios/quickstart.yaml --data-dir .blbsim",
    )
    _add_scenario(parser)
    parser.add_argument("--no-traffic", action="store_true", help="do not send its traffic")
    parser.add_argument(
        "--auth",
        choices=tuple(mode.value for mode in AuthMode),
        help="what becomes of a request to BLS whose signature does not hold, instead of the "
        "scenario's account.auth",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        metavar="ADDRESS",
        help="bind here instead of loopback; the admin API then demands a token",
    )
    parser.add_argument(
        "--admin-token",
        default=os.environ.get("BLBSIM_ADMIN_TOKEN"),
        metavar="TOKEN",
        help="the token (default: $BLBSIM_ADMIN_TOKEN, else one is made and printed)",
    )


def _add_remote(
    verbs: "_Verbs",
    name: str,
    verb: _Verb,
    summary: str,
    example: str,
) -> argparse.ArgumentParser:
    parser = _new(verbs, name, verb, summary, example)
    parser.add_argument(
        "--endpoint",
        default=os.environ.get("BLBSIM_ENDPOINT") or DEFAULT_ENDPOINT,
        metavar="URL",
        help=f"where the simulator is (default: $BLBSIM_ENDPOINT or {DEFAULT_ENDPOINT})",
    )
    parser.set_defaults(token=os.environ.get("BLBSIM_ADMIN_TOKEN"))
    return parser


def _add_env(verbs: "_Verbs") -> None:
    parser = _add_remote(
        verbs,
        "env",
        _env,
        "print what clients need as environment variables",
        'eval "$(blbsim env)"\n'
        "  blbsim env --shell fish | source\n"
        "  blbsim env --shell pwsh | Out-String | Invoke-Expression\n"
        "  blbsim env --shell dotenv > .env",
    )
    parser.add_argument(
        "--shell",
        choices=("sh", "fish", "pwsh", "dotenv", "json"),
        default="sh",
        help="in which form (default: sh)",
    )


def _add_advance(verbs: "_Verbs") -> None:
    parser = _add_remote(
        verbs,
        "advance",
        _advance,
        "move the simulated clock and wait for what becomes due",
        "blbsim advance 3m\n  blbsim advance next_delivery",
    )
    parser.add_argument(
        "by", metavar="DURATION|next_delivery", help="such as 90s or 3m, or up to the next delivery"
    )


def _add_records(verbs: "_Verbs") -> None:
    parser = _add_remote(
        verbs,
        "records",
        _records,
        "print the newest access records, one JSON object a line",
        "blbsim records --last 5 --pending",
    )
    parser.add_argument("--last", type=int, default=10, metavar="N", help="how many (default: 10)")
    parser.add_argument(
        "--pending", action="store_true", help="only those not yet visible anywhere"
    )


def _add_wait(verbs: "_Verbs") -> None:
    parser = _add_remote(
        verbs,
        "wait",
        _wait,
        "wait until a simulator is ready",
        "blbsim wait --until ready --timeout 30s",
    )
    parser.add_argument("--until", choices=("ready",), default="ready", help="what for")
    parser.add_argument("--timeout", default="30s", metavar="DURATION", help="(default: 30s)")


def _add_flow_log(verbs: "_Verbs") -> None:
    below = _group(verbs, "flowlog", "make, change, start, stop and delete flow logs")
    add_flow_log_verbs(partial(_add_remote, below))


def _group(verbs: "_Verbs", name: str, summary: str) -> "_Verbs":
    """The verbs below ``name``."""
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + "."
    )
    return parser.add_subparsers(metavar="VERB", required=True)


def _add_fault(verbs: "_Verbs") -> None:
    below = _group(
        verbs, "fault", "put faults in force while a simulation runs, and see what they did"
    )
    add_fault_verbs(partial(_new, below), partial(_add_remote, below))


def _run(arguments: argparse.Namespace) -> int:
    from simulator.cli.run import run

    return run(
        arguments.scenario,
        data_dir=arguments.data_dir,
        clock_mode=arguments.clock,
        rate=arguments.rate,
        seed=arguments.seed,
        free_ports=arguments.free_ports,
        as_json=arguments.json,
    )


def _up(arguments: argparse.Namespace) -> int:
    from simulator.cli.up import up

    return up(
        arguments.scenario,
        data_dir=arguments.data_dir,
        clock_mode=arguments.clock,
        rate=arguments.rate,
        seed=arguments.seed,
        free_ports=arguments.free_ports,
        host=arguments.host,
        admin_token=arguments.admin_token,
        traffic=not arguments.no_traffic,
        auth=None if arguments.auth is None else AuthMode(arguments.auth),
        as_json=arguments.json,
    )


def _env(arguments: argparse.Namespace) -> int:
    from simulator.cli.remote import env

    return env(_remote(arguments), "json" if arguments.json else arguments.shell)


def _status(arguments: argparse.Namespace) -> int:
    from simulator.cli.remote import status

    return status(_remote(arguments), as_json=arguments.json)


def _advance(arguments: argparse.Namespace) -> int:
    from simulator.cli.remote import advance

    return advance(_remote(arguments), arguments.by, as_json=arguments.json)


def _records(arguments: argparse.Namespace) -> int:
    from simulator.cli.remote import records

    return records(
        _remote(arguments), arguments.last, pending=arguments.pending, as_json=arguments.json
    )


def _wait(arguments: argparse.Namespace) -> int:
    from simulator.cli.remote import wait

    return wait(_remote(arguments), arguments.timeout, as_json=arguments.json)


def _remote(arguments: argparse.Namespace) -> "Remote":
    from simulator.cli.remote import Remote

    return Remote(arguments.endpoint, arguments.token)
