"""What each kind of fault does, why it is realistic, and what it can be told.

Source: flow logs promise no order, completeness or single delivery (doc
https://cloud.baidu.com/doc/BLB/s/Umbq97b2o is silent on all three); each fault is documented for a
comparable service of another cloud or was reported by its users; numbers and names are assumed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from simulator.model.faults import DestinationKind, FaultKind, KnobValue
from simulator.model.units import (
    format_duration,
    format_share,
    parse_duration,
    parse_duration_range,
    parse_share,
    parse_size,
)


class FaultStage(StrEnum):
    """Where on a record's way a fault sits; also the order in which faults compose."""

    RECORD = "record"
    """Changes what the record says."""
    DELIVERY = "delivery"
    """Changes whether, when and how often records arrive, at either destination."""
    OBJECT = "object"
    """Concerns the objects in a bucket."""
    MANAGEMENT = "management"
    """Concerns the flow log as a resource."""
    LOG_STORE = "log store"
    """Concerns a LogStore as a resource."""
    READ = "read"
    """Meets the pipeline when it reads."""


class Subject(StrEnum):
    """What a fault decides on, once each."""

    RECORD = "record"
    BATCH = "batch"
    """Records of one node that become visible together."""
    NODE = "node"
    OBJECT = "object"
    FLOW_LOG = "flow log"
    CHANGE = "change"
    """An edit, start or stop of a flow log."""
    LOG_STORE = "LogStore"
    REQUEST = "request"
    """Of a pipeline that reads."""


class KnobType(StrEnum):
    """How the value of a knob is written."""

    DURATION = "duration"
    OFFSET = "duration with a sign"
    RANGE = "range of durations"
    SHARE = "percentage"
    SIZE = "size"
    COUNT = "whole number from 1"
    BOOLEAN = "true or false"
    TEXT = "text"
    CHOICE = "one of"


@dataclass(frozen=True, slots=True, kw_only=True)
class Knob:
    """One thing a kind of fault can be told."""

    name: str
    type: KnobType
    default: str
    """As it would be written."""
    what: str
    choices: tuple[str, ...] = ()
    pattern: str = ""
    """That a text has to match as a whole; empty: any."""
    most: int = 1_000_000_000
    """Of a size or a count."""

    def parse(self, text: str) -> KnobValue:
        """The value that ``text`` means.

        Raises:
            ValueError: with what was expected.
        """
        match self.type:
            case KnobType.DURATION:
                return parse_duration(text)
            case KnobType.OFFSET:
                sign = -1 if text.startswith("-") else 1
                return sign * parse_duration(text.lstrip("+-"))
            case KnobType.RANGE:
                return parse_duration_range(text)
            case KnobType.SHARE:
                return parse_share(text)
            case KnobType.SIZE:
                return self._bounded(parse_size(text), text)
            case KnobType.COUNT:
                if not (text.isascii() and text.isdecimal() and len(text) <= 10):
                    raise ValueError(f"{text!r} is no count; expected a whole number from 1")
                return self._bounded(int(text), text)
            case KnobType.BOOLEAN:
                if text.lower() not in ("true", "false", "on", "off", "yes", "no"):
                    raise ValueError(f"{text!r} is neither true nor false")
                return text.lower() in ("true", "on", "yes")
            case KnobType.TEXT:
                if self.pattern and not re.fullmatch(self.pattern, text):
                    raise ValueError(f"{text!r} will not do; expected {self.what}")
                return text
            case KnobType.CHOICE:
                if text not in self.choices:
                    raise ValueError(f"{text!r} is unknown; expected {' or '.join(self.choices)}")
                return text

    def _bounded(self, number: int, text: str) -> int:
        if not 1 <= number <= self.most:
            raise ValueError(f"{text} is out of range; expected 1 to {self.most}")
        return number

    def show(self, value: KnobValue) -> str:
        """``value`` as ``parse`` reads it."""
        if isinstance(value, tuple):
            return f"{format_duration(value[0])}..{format_duration(value[1])}"
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return value
        match self.type:
            case KnobType.DURATION | KnobType.OFFSET:
                return format_duration(value)
            case KnobType.SHARE:
                return format_share(value)
            case KnobType.SIZE:
                return f"{int(value)}B"
            case _:
                return str(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultSpec:
    """What is known of one kind of fault."""

    kind: FaultKind
    stage: FaultStage
    subject: Subject
    what: str
    """What the consumer sees."""
    why: str
    """Where it has been seen or is documented."""
    destination: DestinationKind | None = None
    """The only kind of destination it can happen to; None: both."""
    knobs: tuple[Knob, ...] = ()


_BUCKET: Final = DestinationKind.BUCKET
_LOG_STORE: Final = DestinationKind.LOG_STORE
_BY: Final = Knob(
    name="by",
    type=KnobType.CHOICE,
    default="record",
    choices=("record", "batch", "node"),
    what="what is decided on: each record, each batch of a node, or each node as a whole",
)
_TEXT_FIELD: Final = Knob(
    name="field",
    type=KnobType.TEXT,
    default="http_user_agent",
    what="a text field of the record",
)
_API: Final = Knob(
    name="api",
    type=KnobType.CHOICE,
    default="all",
    choices=("bls", "s3", "all"),
    what="whose requests",
)
_OPERATION: Final = Knob(
    name="operation",
    type=KnobType.TEXT,
    default="*",
    what="name of the operation such as `PullLogRecord` or `GetObject`; `*` stands for any run",
)

_WHICH_STORE: Final = Knob(
    name="log_store",
    type=KnobType.TEXT,
    default="*",
    what="a name, or project/name, in which `*` stands for any run of characters",
    pattern=r"[A-Za-z0-9_.\-*/]{1,257}",
)


def _knob(name: str, type_: KnobType, default: str, what: str, *choices: str) -> Knob:
    return Knob(name=name, type=type_, default=default, what=what, choices=choices)


_SPECS: Final = (
    FaultSpec(
        kind=FaultKind.OVERSIZE,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="a field of many kilobytes",
        why="other clouds cut such fields at 8 KB; some stores refuse more than 32 766 bytes",
        knobs=(
            _TEXT_FIELD,
            Knob(
                name="size",
                type=KnobType.SIZE,
                default="8KiB",
                what="of the field; at most 448KiB, or no LogStore would take the record",
                most=448 * 1024,
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.CUTFIELD,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="a field ends after some bytes, perhaps inside a character",
        why="other clouds cut the user agent silently",
        knobs=(_TEXT_FIELD, _knob("bytes", KnobType.COUNT, "16", "that are left of it")),
    ),
    FaultSpec(
        kind=FaultKind.ENC,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="bytes that are not UTF-8; U+FFFD in a LogStore, whose API answers in JSON",
        why="escaping for JSON copies such bytes; strict parsers refuse the record or the batch",
        knobs=(
            _TEXT_FIELD,
            Knob(
                name="bytes",
                type=KnobType.TEXT,
                default="FFFE",
                what="pairs of hex digits, put at the end of the field",
                pattern="(?:[0-9A-Fa-f]{2}){1,64}",
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.BADESC,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what=r"`\x22` inside JSON, which no JSON parser takes",
        why="the usual result of a JSON template with the default escaping",
        knobs=(_TEXT_FIELD,),
    ),
    FaultSpec(
        kind=FaultKind.BADJSON,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="a number that is empty, a bare `-`, or has leading zeros",
        why="what an unquoted variable without a value becomes",
        knobs=(
            _knob("field", KnobType.TEXT, "upstream_response_time", "of the record"),
            _knob("form", KnobType.CHOICE, "dash", "of the value", "dash", "empty", "zeros"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.TYPE,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="numbers become strings in some records",
        why="lists in float fields do this by themselves; some stores keep the first type",
        knobs=(_knob("field", KnobType.TEXT, "*", "the only one; `*`: every number"),),
    ),
    FaultSpec(
        kind=FaultKind.INJECT,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="a value holds a line feed, a tab, `&`, or a whole forged record, not escaped",
        why="log forging, where a stage on the way decodes what the client sent",
        knobs=(
            _TEXT_FIELD,
            _knob(
                "payload",
                KnobType.CHOICE,
                "newline",
                "what is put into the field",
                "newline",
                "tab",
                "ampersand",
                "record",
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.SPOOF,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="header values that a client made up",
        why="any client can send them",
        knobs=(
            _knob(
                "payload",
                KnobType.CHOICE,
                "xff-text",
                "text, quotes and SQL or thousands of hops in X-Forwarded-For; a user agent `-`; "
                "a host in capitals with a port",
                "xff-text",
                "xff-hops",
                "dash-agent",
                "odd-host",
            ),
            _knob("hops", KnobType.COUNT, "1000", "of `xff-hops`"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.NEWFIELD,
        stage=FaultStage.RECORD,
        subject=Subject.NODE,
        what="a 29th key, on some nodes first",
        why="fields are added without notice, node by node",
        knobs=(
            Knob(
                name="key",
                type=KnobType.TEXT,
                default="new_field",
                what="a name of letters, digits and underscores",
                pattern="[A-Za-z_][A-Za-z0-9_]{0,63}",
            ),
            _knob("value", KnobType.TEXT, "-", "its value"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.OLDSCHEMA,
        stage=FaultStage.RECORD,
        subject=Subject.NODE,
        what="no `extension_log`, or `dylimit_id` and `dylimit_status` in its place",
        why="the older access log of the same product has those",
        knobs=(
            _knob("form", KnobType.CHOICE, "dylimit", "what stands there", "dylimit", "missing"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.SKEW,
        stage=FaultStage.RECORD,
        subject=Subject.NODE,
        what="`time_local` and the LogStore's timestamp are off, and right again afterwards",
        why="records carry the node's wall clock",
        knobs=(
            _knob("offset", KnobType.OFFSET, "-5m", "of the node's clock; `-` runs behind"),
            _knob("timestamp", KnobType.BOOLEAN, "true", "the LogStore's timestamp is off too"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.TZ,
        stage=FaultStage.RECORD,
        subject=Subject.NODE,
        what="`time_local` in another zone: the same instant, written differently",
        why="records carry the node's zone",
        knobs=(
            Knob(
                name="zone",
                type=KnobType.TEXT,
                default="+0000",
                what="an offset such as +0000 or -0330",
                pattern="[+-](?:[01][0-9]|2[0-3])[0-5][0-9]",
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.EPOCH,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="a duration that is the time of day since 1970",
        why="a subtraction without its starting point, seen in the handshake time",
        knobs=(_knob("field", KnobType.TEXT, "ssl_handshake_time", "of the record"),),
    ),
    FaultSpec(
        kind=FaultKind.CIPOFF,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="`remote_addr` is one of a few gateway addresses; `cip` stays right",
        why="documented for gateways that do not forward client addresses",
        knobs=(
            Knob(
                name="bip",
                type=KnobType.TEXT,
                default="100.64.0.17",
                what="one or more IPv4 addresses, separated by spaces",
                pattern=r"\d{1,3}(?:\.\d{1,3}){3}(?: \d{1,3}(?:\.\d{1,3}){3})*",
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.NOGROUP,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="502, and `upstream_addr` is the name of the group: nobody in it was alive",
        why="what the reference server writes",
    ),
    FaultSpec(
        kind=FaultKind.LONG,
        stage=FaultStage.RECORD,
        subject=Subject.RECORD,
        what="101, and `request_time` of hours: a WebSocket that was closed just now",
        why="an upgraded connection is logged when it closes",
        knobs=(_knob("lasted", KnobType.RANGE, "1h..6h", "how long it was open"),),
    ),
    FaultSpec(
        kind=FaultKind.SAMPLE,
        stage=FaultStage.DELIVERY,
        subject=Subject.RECORD,
        what="only a part of the records arrives; `share` is the part that does not",
        why="sampling that another cloud offers, without a weight in the record",
    ),
    FaultSpec(
        kind=FaultKind.GAP,
        stage=FaultStage.DELIVERY,
        subject=Subject.RECORD,
        what="records never arrive, and nothing says so",
        why="every comparable service promises best effort only",
        knobs=(_BY,),
    ),
    FaultSpec(
        kind=FaultKind.LATE,
        stage=FaultStage.DELIVERY,
        subject=Subject.RECORD,
        what="records arrive minutes or hours after the others",
        why="every comparable service says that some records take much longer",
        knobs=(_BY, _knob("extra", KnobType.RANGE, "5m..60m", "on top of the delay")),
    ),
    FaultSpec(
        kind=FaultKind.STALL,
        stage=FaultStage.DELIVERY,
        subject=Subject.NODE,
        what="a node's records stop, and come at once when its time is over, or never",
        why="a full disk on the node",
        knobs=(_knob("replay", KnobType.BOOLEAN, "true", "whether they come at all"),),
    ),
    FaultSpec(
        kind=FaultKind.THROTTLE,
        stage=FaultStage.DELIVERY,
        subject=Subject.BATCH,
        destination=_LOG_STORE,
        what="what is above the write rate of a LogStore is dropped or put off",
        why="documented limits: 5 MB/s per shard",
        knobs=(
            _knob("rate", KnobType.SIZE, "5MB", "that the LogStore takes each second"),
            _knob("excess", KnobType.CHOICE, "delay", "what becomes of the rest", "delay", "drop"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.DUP,
        stage=FaultStage.DELIVERY,
        subject=Subject.RECORD,
        what="the same lines once more: with another @seq, or in a second object",
        why="documented for another cloud's server logs; any retry of an at-least-once pipe",
        knobs=(
            _BY,
            _knob("copies", KnobType.COUNT, "1", "beyond the first"),
            _knob("after", KnobType.RANGE, "0s..5m", "when a copy follows"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.REORDER,
        stage=FaultStage.DELIVERY,
        subject=Subject.RECORD,
        what="later lines with an earlier time, within a batch and across batches",
        why="no service promises order; overlapping files were reported",
        knobs=(_knob("window", KnobType.DURATION, "1m", "how far a record may fall behind"),),
    ),
    FaultSpec(
        kind=FaultKind.STORM,
        stage=FaultStage.DELIVERY,
        subject=Subject.FLOW_LOG,
        what="many times the traffic of the scenario, larger objects, longer delays",
        why="high traffic splits files and slows delivery",
        knobs=(
            _knob("factor", KnobType.COUNT, "10", "of the scenario's traffic in its time"),
            _knob("extra", KnobType.RANGE, "0s..2m", "on top of the delay"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.LATEOBJ,
        stage=FaultStage.OBJECT,
        subject=Subject.OBJECT,
        destination=_BUCKET,
        what="an object appears behind keys that were listed before",
        why="reported: files with an older name, uploaded after newer ones were read",
        knobs=(_knob("lag", KnobType.RANGE, "5m..30m", "on top of the delay"),),
    ),
    FaultSpec(
        kind=FaultKind.MULTI,
        stage=FaultStage.OBJECT,
        subject=Subject.OBJECT,
        destination=_BUCKET,
        what="several objects for one node and period",
        why="documented for another cloud's access logs",
        knobs=(_knob("parts", KnobType.COUNT, "2", "in place of one object"),),
    ),
    FaultSpec(
        kind=FaultKind.EMPTY,
        stage=FaultStage.OBJECT,
        subject=Subject.OBJECT,
        destination=_BUCKET,
        what="an object of 0 bytes beside the real one, not even a gzip header",
        why="reported for readers of gzipped objects",
    ),
    FaultSpec(
        kind=FaultKind.GZMULTI,
        stage=FaultStage.OBJECT,
        subject=Subject.OBJECT,
        destination=_BUCKET,
        what="several gzip members in a row; naive readers stop after the first",
        why="other clouds write them, and reported for five readers",
        knobs=(_knob("members", KnobType.COUNT, "3", "in one object"),),
    ),
    FaultSpec(
        kind=FaultKind.TRUNC,
        stage=FaultStage.OBJECT,
        subject=Subject.OBJECT,
        destination=_BUCKET,
        what="an object that ends early: inside its last line, or without the gzip trailer",
        why="incomplete writes",
        knobs=(
            _knob(
                "cut",
                KnobType.CHOICE,
                "byte",
                "at a line's end, at any byte, or inside a character",
                "record",
                "byte",
                "utf8",
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.LAGLIST,
        stage=FaultStage.OBJECT,
        subject=Subject.OBJECT,
        destination=_BUCKET,
        what="an object can be read but is not listed yet, or is listed and cannot be read yet",
        why="eventual consistency of older stores",
        knobs=(
            _knob("lag", KnobType.RANGE, "10s..2m", "until both agree"),
            _knob(
                "form", KnobType.CHOICE, "unlisted", "which comes late", "unlisted", "unreadable"
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.CONFLAG,
        stage=FaultStage.MANAGEMENT,
        subject=Subject.CHANGE,
        what="for a while after an edit, start or stop, records still follow the old settings, "
        "or are missing",
        why="documented for other clouds: minutes to an hour",
        knobs=(
            _knob("lag", KnobType.DURATION, "5m", "after the change"),
            _knob("form", KnobType.CHOICE, "old", "what happens", "old", "missing"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.DESTGONE,
        stage=FaultStage.MANAGEMENT,
        subject=Subject.FLOW_LOG,
        what="the destination refuses: `abnormal` and a gap that is never filled, or retries",
        why="documented: logging is switched off silently when the bucket goes",
        knobs=(
            _knob(
                "form",
                KnobType.CHOICE,
                "removed",
                "gone and read-only lose what is due, throttled puts it off",
                "removed",
                "readonly",
                "throttled",
            ),
        ),
    ),
    FaultSpec(
        kind=FaultKind.STORE_STOPPED,
        stage=FaultStage.LOG_STORE,
        subject=Subject.LOG_STORE,
        what="403 LogStoreStopped to push, pull, query and all that runs statements; what flow "
        "logs would deliver meanwhile is lost, and shippers try again",
        why="documented: an account in arrears",
        destination=_LOG_STORE,
        knobs=(_WHICH_STORE,),
    ),
    FaultSpec(
        kind=FaultKind.STORE_NOTREADY,
        stage=FaultStage.LOG_STORE,
        subject=Subject.LOG_STORE,
        what="409 LogStoreNotReady from a LogStore that was made while this is in force; "
        "deliveries of flow logs are put off",
        why="documented: a LogStore that is still being set up",
        destination=_LOG_STORE,
        knobs=(
            _WHICH_STORE,
            _knob("lasts", KnobType.DURATION, "30s", "from the making of each"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.STORE_LIMIT,
        stage=FaultStage.LOG_STORE,
        subject=Subject.LOG_STORE,
        what="429 RequestLimited to pushes above the write rate; a second's worth may come at once",
        why="documented limits: 5 MB/s per shard, 250 MB/s per LogStore",
        destination=_LOG_STORE,
        knobs=(
            _WHICH_STORE,
            _knob(
                "per_shard", KnobType.SIZE, "5MB", "that each of its `shardCount` takes a second"
            ),
            _knob("per_store", KnobType.SIZE, "250MB", "that it takes a second at most"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.READ_THROTTLE,
        stage=FaultStage.READ,
        subject=Subject.REQUEST,
        what="429 RequestLimited from BLS, 503 SlowDown from S3",
        why="documented codes",
        knobs=(_API, _OPERATION),
    ),
    FaultSpec(
        kind=FaultKind.READ_ERROR,
        stage=FaultStage.READ,
        subject=Subject.REQUEST,
        what="a server error that clients retry",
        why="documented codes InternalError and ServiceUnavailable",
        knobs=(
            _API,
            _OPERATION,
            _knob("status", KnobType.CHOICE, "503", "of the answer", "500", "502", "503"),
        ),
    ),
    FaultSpec(
        kind=FaultKind.READ_SLOW,
        stage=FaultStage.READ,
        subject=Subject.REQUEST,
        what="an answer that takes its time",
        why="any network",
        knobs=(_API, _OPERATION, _knob("takes", KnobType.RANGE, "1s..10s", "real time")),
    ),
    FaultSpec(
        kind=FaultKind.READ_RESET,
        stage=FaultStage.READ,
        subject=Subject.REQUEST,
        what="the connection is reset in place of an answer; what was asked for may have been done",
        why="any network",
        knobs=(_API, _OPERATION),
    ),
    FaultSpec(
        kind=FaultKind.READ_TRUNC,
        stage=FaultStage.READ,
        subject=Subject.REQUEST,
        what="an answer that ends before its Content-Length",
        why="any network",
        knobs=(_API, _OPERATION, _knob("keep", KnobType.SHARE, "50%", "of the body that is sent")),
    ),
    FaultSpec(
        kind=FaultKind.READ_EXPIRED,
        stage=FaultStage.READ,
        subject=Subject.REQUEST,
        what="a good signature is answered as if it had expired: 401 from BLS, 403 from S3",
        why="clocks that differ, requests that waited in a queue",
        knobs=(_API, _OPERATION),
    ),
)

CATALOGUE: Final[Mapping[FaultKind, FaultSpec]] = MappingProxyType(
    {spec.kind: spec for spec in _SPECS}
)
"""Every kind of fault, in the order in which they compose: what comes first is applied first."""
