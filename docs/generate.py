"""Writes the generated parts of the docs, so that they cannot drift from the code.

``python docs/generate.py`` rewrites them; ``--check`` changes nothing and exits 1 if it would. A
generated part stands between ``<!-- generated: name -->`` and ``<!-- end of generated -->``.
"""

import ast
import io
import re
import sys
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final, cast

from aiohttp import web

from simulator.accesslog import FIELDS
from simulator.api.admin import add_admin_routes
from simulator.api.bls import Workers, bls_operations
from simulator.api.flow_log_values import FlowLogRegistry
from simulator.api.flow_logs import flow_log_operations
from simulator.api.operations import OperationStatus
from simulator.api.simulation import Simulation
from simulator.clock import Clock
from simulator.logstore import LogStoreEngine
from simulator.logstore.functions import GROUPS
from simulator.model import ListenerLimits, ListenerTimeouts
from simulator.model.fault_catalogue import CATALOGUE, FaultStage, Knob
from simulator.verdict import format_duration

DOCS: Final = Path(__file__).resolve().parent
ROOT: Final = DOCS.parent

_PART: Final = re.compile(
    r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end of generated -->)", re.DOTALL
)

HOW: Final = {
    "time_local": "`02/Jan/2006:15:04:05 +0800` on the simulated clock, in `record.zone`",
    "vip": "`load_balancers[].vip`, or drawn from the seed",
    "vport": "`listeners[].port`, whatever real port the socket has",
    "response_status": "0 to 999; `9` for an answer that is not HTTP, three digits in `strings`",
    "vdum_ups_id": "`sg-…`; the load balancer's id for `kind: standard`; `-` if none was chosen",
    "upstream_addr": "`ip:port`, IPv6 in brackets; built-in servers get private addresses",
    "upstream_status": "an element is `-` when the try ended before any status",
    "remote_addr": "equal to `cip`; one of the gateway's `bips` with `cip_forward: false`",
    "cip": "from the PROXY protocol, else the socket's peer",
    "cport": "from the PROXY protocol, else the socket's peer",
    "server_addr": "",
    "server_port": "",
    "scheme": "lower case",
    "host": "an absolute target beats the Host header; `-` without either",
    "request": "not normalised; of a line that is too long the first 8192 bytes",
    "request_length": "0 when the request line was never understood",
    "body_bytes_sent": "0 for HEAD, 204, 304 and a client that left before the response",
    "http_referer": "empty when the header was sent empty",
    "http_user_agent": "empty when the header was sent empty",
    "http_x_forwarded_for": "without the hop added here; several headers are joined by `, `",
    "upstream_connect_time": "3 decimals, with the TLS handshake to the server if there is one; "
    "`0.000` on a pooled connection, `-` if none ever stood",
    "upstream_response_time": "3 decimals; connecting included; a failed try has one too",
    "request_time": "3 decimals, one number; a slow upload counts, idle keep-alive does not",
    "ssl_handshake_time": "3 decimals; of the connection, so the same in each of its requests",
    "ssl_session_reused": "of the connection",
    "vdum_rs_proto": "`http` or `https`, by the group; `-` if no server was tried",
    "upstream_local_addr": "in 100.64.0.0/10, drawn from the seed; `-` if no server was tried",
    "extension_log": "`lb-…&0&0&0`; of a request that was limited `lb-…&1&<qps>&<tokens>`",
}
"""What the table of fields does not say: how a value is made, and what it is when absent."""

ADMIN: Final = {
    ("GET", "/_sim/live"): "200 while the process answers; needs no token",
    ("GET", "/_sim/ready"): "200 when everything is up, 503 before; needs no token",
    ("GET", "/_sim/v1/endpoints"): "URLs, region, keys, listeners, LogStores, buckets",
    ("GET", "/_sim/v1/authority.pem"): "the certificate that signed those made for HTTPS listeners",
    ("GET", "/_sim/v1/clock"): "mode, time, next delivery",
    ("POST", "/_sim/v1/clock/advance"): "moves the clock and answers with a receipt",
    (
        "GET",
        "/_sim/v1/status",
    ): "counts of load balancers, traffic, flow logs and LogStores; health of servers; nodes",
    (
        "GET",
        "/_sim/metrics",
    ): "the counts of load balancers, flow logs and LogStores for Prometheus",
    ("GET", "/_sim/v1/faults"): "the faults in force, each with requested and realised share",
    ("POST", "/_sim/v1/faults"): "puts one in force, from the keys of a scenario's `faults`; `at` "
    "counts from now",
    ("DELETE", "/_sim/v1/faults"): "takes all faults back",
    ("DELETE", "/_sim/v1/faults/{name}"): "takes one fault back",
    ("GET", "/_sim/v1/records"): "the newest records; `last` 1 to 1000, `pending` true or false",
    ("GET", "/_sim/v1/watermarks"): "up to which instant each flow log and destination is complete",
    ("GET", "/_sim/v1/advice"): "how far back pollers must read; `interval` between two polls",
    ("POST", "/_sim/v1/explain"): "the life of a record, by ledger id or text",
    ("POST", "/_sim/v1/reconcile"): "compares the records in the body with what was delivered",
}
"""What each route of the admin API is for."""

LONGEST: Final = {"client_header": "2m", "client_body": "2m"}
"""Timeouts whose longest value is not the one hour of the others."""

_NOTES: Final = {
    "client_header": "for a whole request head; then 408",
    "client_body": "between two reads of a body; then 408",
    "client_send": "between two writes to a client that does not read",
    "keep_alive": "an idle client connection is closed after this",
    "connect": "to a backend server; then the next server, or 504",
    "server": "between two reads from a backend server; then 504",
    "backend_keep_alive": "an idle pooled connection is closed after this",
    "request_line": "longer: 414",
    "header": "longer header block: 400",
    "response_header": "longer response header: 502",
    "body_buffer": "bodies up to this are read whole before a backend server sees the request",
    "body": "larger body: 413",
}


_STAGES: Final = {
    FaultStage.RECORD: "What a record says",
    FaultStage.DELIVERY: "Whether, when and how often records arrive",
    FaultStage.OBJECT: "Objects in a bucket",
    FaultStage.MANAGEMENT: "The flow log and its destination",
    FaultStage.LOG_STORE: "A LogStore as a whole",
    FaultStage.READ: "What meets a pipeline that reads",
}
"""Headings of the catalogue of faults."""


_STANDINGS: Final = {
    "documented": re.compile(r"(?<!no )\bdoc\b|\bRFC\b|specification|API metadata|examples"),
    "observed": re.compile(r"observed|measured|captures"),
    "assumed": re.compile(r"\bassumed\b"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence in the code about where a behaviour comes from."""

    where: str
    """Path from the root."""
    symbol: str
    behaviour: str
    standings: tuple[str, ...]
    source: str


def record_fields() -> str:
    """The 28 fields."""
    if list(HOW) != [field.name for field in FIELDS]:
        raise SystemExit("docs/generate.py: HOW does not match simulator.accesslog.FIELDS")
    rows = [
        (str(number), f"`{field.name}`", field.type.value, field.meaning, HOW[field.name])
        for number, field in enumerate(FIELDS, 1)
    ]
    return _table(("#", "field", "type", "meaning", "remarks"), rows)


def bls_coverage() -> str:
    """The operations of BLS, with what is missing of each."""
    # The handlers are only named here, never called.
    operations = bls_operations(
        cast("LogStoreEngine", None),
        cast("Clock", None),
        lambda _operation: None,
        lambda _bucket, key: key,
        "",
        Workers(),
    )
    counts = Counter(one.status for one in operations)
    done, partly = counts[OperationStatus.DONE], counts[OperationStatus.PARTLY]
    table = _table(
        ("operation", "request", "simulated", "what is missing"),
        [
            (one.name, f"`{one.method} {one.path}`", one.status.value, one.remark)
            for one in operations
        ],
    )
    rest = f"the {counts[OperationStatus.NOT]} others answer 501 with their name"
    return f"{table}\n\n{done} are done, {partly} partly; {rest}."


def flow_log_coverage() -> str:
    """The operations of flow logs."""
    operations = flow_log_operations(cast("FlowLogRegistry", None), cast("Clock", None))
    return _table(
        ("operation", "request"), [(one.name, f"`{one.method} {one.path}`") for one in operations]
    )


def admin_routes() -> str:
    """The routes of the simulator's own API."""
    app = web.Application()
    add_admin_routes(app, cast("Simulation", None), token=None)
    served = [
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    ]
    if set(served) != set(ADMIN):
        raise SystemExit("docs/generate.py: ADMIN does not match the routes of the admin API")
    return _table(("request", "what"), [(f"`{m} {path}`", ADMIN[m, path]) for m, path in served])


def sql_functions() -> str:
    """What a select may call."""
    rows = [
        (group, ", ".join(f"`{function.form}`" for _, function in sorted(functions.items())))
        for group, functions in GROUPS.items()
    ]
    return _table(("functions", "calls"), rows)


def listener_timeouts() -> str:
    """The keys of ``timeouts``."""
    default = ListenerTimeouts()
    names = [field.name.removesuffix("_s") for field in fields(ListenerTimeouts)]
    rows = [
        (
            f"`{name}`",
            format_duration(getattr(default, f"{name}_s")),
            LONGEST.get(name, "1h"),
            _NOTES[name],
        )
        for name in names
    ]
    return _table(("key", "default", "at most", "what"), rows)


def listener_limits() -> str:
    """The keys of ``limits``."""
    default = ListenerLimits()
    names = [field.name.removesuffix("_bytes") for field in fields(ListenerLimits)]
    rows = [(f"`{name}`", _size(getattr(default, f"{name}_bytes")), _NOTES[name]) for name in names]
    return _table(("key", "default", "what"), rows)


def fault_catalogue() -> str:
    """Every kind of fault with its knobs, by the stage it sits at."""
    parts: list[str] = []
    for stage in FaultStage:
        parts.append(f"### {_STAGES[stage]}\n")
        specs = [spec for spec in CATALOGUE.values() if spec.stage is stage]
        rows = [
            (
                f"`{spec.kind}`",
                spec.what,
                spec.subject.value,
                "; ".join(_knob(knob) for knob in spec.knobs) or "none",
                spec.why,
            )
            for spec in specs
        ]
        parts.append(
            _table(("fault", "what is seen", "decided per", "its own keys", "why"), rows) + "\n"
        )
    return "\n".join(parts).rstrip()


def _knob(knob: Knob) -> str:
    choices = f"; {', '.join(f'`{choice}`' for choice in knob.choices)}" if knob.choices else ""
    return f"`{knob.name}` ({knob.type.value}{choices}; `{knob.default}`): {knob.what}"


def fidelity_register() -> str:
    """Every behaviour whose source the code names."""
    claims = [claim for path in sorted(ROOT.glob("simulator/**/*.py")) for claim in _claims(path)]
    rows = [
        (
            claim.behaviour,
            ", ".join(claim.standings),
            claim.source,
            f"[{claim.where.removeprefix('simulator/')}](../{claim.where}) `{claim.symbol}`"
            if claim.symbol
            else f"[{claim.where.removeprefix('simulator/')}](../{claim.where})",
        )
        for claim in claims
    ]
    return _table(("behaviour", "standing", "source", "where"), rows)


PARTS: Final[dict[str, Callable[[], str]]] = {
    "record-fields": record_fields,
    "bls-coverage": bls_coverage,
    "flow-log-coverage": flow_log_coverage,
    "admin-routes": admin_routes,
    "sql-functions": sql_functions,
    "listener-timeouts": listener_timeouts,
    "listener-limits": listener_limits,
    "fault-catalogue": fault_catalogue,
    "fidelity-register": fidelity_register,
}


def rendered(text: str) -> str:
    """``text`` with every generated part made anew."""
    return _PART.sub(lambda found: found[1] + PARTS[found["name"]]() + "\n" + found[3], text)


def main(arguments: Sequence[str]) -> int:
    """Rewrite the pages, or with ``--check`` tell which would change."""
    stale: list[str] = []
    for page in sorted(DOCS.glob("*.md")):
        before = page.read_text(encoding="utf-8")
        after = rendered(before)
        if before == after:
            continue
        stale.append(page.name)
        if "--check" not in arguments:
            page.write_text(after, encoding="utf-8")
    if stale and "--check" in arguments:
        sys.stderr.write(f"out of date, run `make docs`: {', '.join(stale)}\n")
        return 1
    return 0


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def _size(count: int | None) -> str:
    if count is None:
        return "none"
    for unit, size in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return f"{count}B"


def _claims(path: Path) -> Iterator[Claim]:
    source = path.read_text(encoding="utf-8")
    where = str(path.relative_to(ROOT))
    tree = ast.parse(source)
    for symbol, text in (*_docstrings(tree, ""), *_comments(source, tree)):
        summary = _flat(text.split("\n\n")[0]).partition("Source:")[0]
        for paragraph in _paragraphs(text):
            before, marker, after = _flat(paragraph).partition("Source:")
            # Two or three words before it are a label, not a sentence.
            own = before if len(before.split()) > 2 else summary
            if marker:
                yield _claim(where, symbol, own or after, after)
            elif "assumed" in before.lower() and "Source:" not in text:
                yield _claim(where, symbol, before, "assumed")


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs of a docstring, and each argument of an ``Args`` section by itself."""
    for paragraph in re.split(r"\n\s*\n", text):
        head, _, rest = paragraph.partition("\n")
        if head.strip() not in {"Args:", "Returns:", "Raises:"}:
            yield paragraph
            continue
        margin = len(rest) - len(rest.lstrip(" "))
        yield from re.split(rf"\n(?= {{{margin}}}\S)", rest)


def _flat(text: str) -> str:
    return " ".join(text.split()).replace("``", "`")


def _claim(where: str, symbol: str, behaviour: str, source: str) -> Claim:
    source = source.strip()
    standings = tuple(name for name, pattern in _STANDINGS.items() if pattern.search(source))
    return Claim(
        where=where,
        symbol=symbol,
        behaviour=behaviour.strip().rstrip(":;"),
        standings=standings or ("assumed",),
        source=source,
    )


def _docstrings(node: ast.AST, outer: str) -> Iterator[tuple[str, str]]:
    """``(symbol, text)`` of every docstring below ``node``, those of attributes too."""
    body: list[ast.stmt] = getattr(node, "body", [])
    target, value = outer, ""
    for statement in body:
        match statement:
            case ast.Expr(value=ast.Constant(value=str(text))):
                # A constant whose text is only a source has its value for a description.
                yield target, value + text if text.startswith("Source:") else text
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                target = f"{outer}.{name}".strip(".")
                value = _shown(name, statement.value)
                continue
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield from _docstrings(statement, f"{outer}.{name}".strip("."))
            case ast.AsyncFunctionDef(name=name):
                yield from _docstrings(statement, f"{outer}.{name}".strip("."))
            case _:
                pass
        target, value = outer, ""


def _shown(name: str, value: ast.expr | None) -> str:
    written = "" if value is None else ast.unparse(value)
    return f"`{name}` is `{written}`. " if 0 < len(written) < 40 else f"The value of `{name}`. "


def _comments(source: str, tree: ast.Module) -> Iterator[tuple[str, str]]:
    """``(symbol, text)`` of every run of comment lines."""
    spans = [
        (node.lineno, node.end_lineno or node.lineno, node.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    ]
    runs: list[tuple[int, list[str]]] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        line, text = token.start[0], token.string.lstrip("# ")
        if runs and line == runs[-1][0] + len(runs[-1][1]):
            runs[-1][1].append(text)
        else:
            runs.append((line, [text]))
    for line, texts in runs:
        around = [name for first, last, name in spans if first <= line <= last]
        yield (around[-1] if around else ""), " ".join(texts)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
