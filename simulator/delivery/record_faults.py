r"""What faults make of a record: changes to its encoded line. Pure: bytes in, bytes out.

The line is never decoded and encoded again: what no fault touches stays as it was written, byte
for byte. A value is found by its key; since a quote inside a value is always escaped,
``,"host":`` stands nowhere else.

Source: assumed, each after a fault documented for a comparable service; see the catalogue.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from types import MappingProxyType
from typing import Final

from simulator.delivery.fault_board import FaultBoard
from simulator.model.faults import Fault, FaultKind

_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)
_TIME_LOCAL: Final = re.compile(
    rb"(\d\d)/([A-Z][a-z]{2})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)"
)
_VALUE: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[^,}]*', re.DOTALL)
_NUMBER: Final = re.compile(rb":(-?\d+(?:\.\d+)?)(?=[,}])")
_ESCAPED: Final = re.compile(rb'[\x00-\x1f\x7f"\\]')
_SIMPLE_ESCAPE: Final = re.compile(rb"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_UNESCAPED: Final = {
    b"n": b"\n",
    b"r": b"\r",
    b"t": b"\t",
    b"b": b"\b",
    b"f": b"\f",
    b'"': b'"',
    b"\\": b"\\",
    b"/": b"/",
}
_FORGED: Final = {"response_status": b"200", "remote_addr": b'"203.0.113.66"'}
"""What a forged record says in place of the true one."""
_PAYLOADS: Final = {"newline": b"\ninjected", "tab": b"\tinjected", "ampersand": b"&admin=true"}
_SPOOFED: Final = b'unknown, \\"127.0.0.1\\", 1\'; DROP TABLE access; --'
_HOP: Final = "10.%d.%d.%d"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenRecord:
    """One record on its way, as far as it has come."""

    line: bytes
    logged_ms: int
    """When it was written, Unix milliseconds: the time a LogStore shows for it."""
    subject: tuple[str | int, ...]
    """What names it, for draws."""


_Change = Callable[[FaultBoard, Fault, WrittenRecord], WrittenRecord | None]


def alter(board: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    """What ``fault`` makes of ``record``; None if it has nothing to change in it."""
    return _CHANGES[fault.kind](board, fault, record)


def find_value(line: bytes, field: str) -> tuple[int, int] | None:
    """Where the value of a field stands in the line, quotes included; None if it does not."""
    key = b'"%s":' % field.encode()
    at = line.find(b"," + key)
    if at >= 0:
        start = at + 1 + len(key)
    elif line.startswith(b"{" + key):
        start = 1 + len(key)
    else:
        return None
    found = _VALUE.match(line, start)
    return None if found is None else found.span()


def escape_text(value: bytes) -> bytes:
    """``value`` inside JSON's quotes; bytes above ASCII are copied, whatever they are."""
    return _ESCAPED.sub(lambda found: b"\\u%04X" % found[0][0], value)


def unescape_text(raw: bytes) -> bytes:
    """The text between JSON's quotes, as UTF-8."""

    def plain(found: re.Match[bytes]) -> bytes:
        escape = found[1]
        if escape[:1] == b"u" and len(escape) == 5:
            return chr(int(escape[1:], 16)).encode("utf-8", "replace")
        return _UNESCAPED.get(escape, escape)

    return _SIMPLE_ESCAPE.sub(plain, raw)


def _with_line(record: WrittenRecord, line: bytes | None) -> WrittenRecord | None:
    if line is None:
        return None
    return WrittenRecord(line=line, logged_ms=record.logged_ms, subject=record.subject)


def _put(line: bytes, field: str, value: bytes) -> bytes | None:
    """The line with another value of a field."""
    found = find_value(line, field)
    return None if found is None else line[: found[0]] + value + line[found[1] :]


def _put_all(line: bytes, values: Mapping[str, bytes]) -> bytes | None:
    changed: bytes | None = line
    for field, value in values.items():
        if changed is not None:
            changed = _put(changed, field, value)
    return changed


def _number(line: bytes, text: bytes) -> bytes:
    """A number as this line writes them: in the shape ``strings`` they are quoted."""
    return b'"%s"' % text if b',"vport":"' in line else text


def _text(line: bytes, field: str) -> tuple[int, int, bytes] | None:
    """Where the inside of a text value stands, and what it is."""
    found = find_value(line, field)
    if found is None or line[found[0] : found[0] + 1] != b'"':
        return None
    start, end = found[0] + 1, found[1] - 1
    return start, end, line[start:end]


def _extend(line: bytes, field: str, added: bytes) -> bytes | None:
    """The line with something at the end of a text value."""
    found = _text(line, field)
    return None if found is None else line[: found[1]] + added + line[found[1] :]


def _oversize(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    found = _text(record.line, fault.text("field"))
    if found is None:
        return None
    missing = int(fault.number("size")) - len(unescape_text(found[2]))
    return _with_line(record, _extend(record.line, fault.text("field"), b"x" * max(0, missing)))


def _cut_field(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    found = _text(record.line, fault.text("field"))
    if found is None:
        return None
    value = unescape_text(found[2])
    kept = value[: int(fault.number("bytes"))]
    if kept == value:
        return None
    line = record.line
    return _with_line(record, line[: found[0]] + escape_text(kept) + line[found[1] :])


def _bad_encoding(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    added = escape_text(bytes.fromhex(fault.text("bytes")))
    return _with_line(record, _extend(record.line, fault.text("field"), added))


def _bad_escape(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    return _with_line(record, _extend(record.line, fault.text("field"), rb"\x22"))


def _bad_json(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    found = find_value(record.line, fault.text("field"))
    if found is None:
        return None
    old = record.line[found[0] : found[1]].strip(b'"')
    zeros = b"00" + old if old[:1].isdigit() else b"009"
    value = {"dash": b"-", "empty": b"", "zeros": zeros}[fault.text("form")]
    return _with_line(record, _put(record.line, fault.text("field"), value))


def _other_type(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    field, line = fault.text("field"), record.line
    if field == "*":
        # Outside of strings only: inside, a quote before the colon would be escaped.
        changed = re.sub(rb'(?<=[^\\]")' + _NUMBER.pattern, rb':"\1"', line)
        return None if changed == line else _with_line(record, changed)
    found = find_value(line, field)
    if found is None or line[found[0] : found[0] + 1] == b'"':
        return None
    return _with_line(record, _put(line, field, b'"%s"' % line[found[0] : found[1]]))


def _inject(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    field, line = fault.text("field"), record.line
    if fault.text("payload") != "record":
        return _with_line(record, _extend(line, field, _PAYLOADS[fault.text("payload")]))
    found = _text(line, field)
    if found is None:
        return None
    forged = _put_all(line, {key: value for key, value in _FORGED.items() if key != field}) or line
    inside = _text(forged, field)
    if inside is None:
        return None
    return _with_line(record, line[: found[1]] + b'"}\n' + forged[: inside[0]] + line[found[1] :])


def _spoof(board: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    line = record.line
    match fault.text("payload"):
        case "xff-text":
            return _with_line(record, _put(line, "http_x_forwarded_for", b'"%s"' % _SPOOFED))
        case "xff-hops":
            count = int(fault.number("hops"))
            hops = ", ".join(_HOP % (n >> 16 & 255, n >> 8 & 255, n & 255) for n in range(count))
            return _with_line(record, _put(line, "http_x_forwarded_for", b'"%s"' % hops.encode()))
        case "dash-agent":
            return _with_line(record, _put(line, "http_user_agent", b'"-"'))
        case _:
            found = _text(line, "host")
            if found is None:
                return None
            return _with_line(record, _put(line, "host", b'"%s:8080"' % found[2].upper()))


def _new_field(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    key, value = fault.text("key").encode(), escape_text(fault.text("value").encode())
    if not record.line.endswith(b"}"):
        return None
    return _with_line(record, record.line[:-1] + b',"%s":"%s"}' % (key, value))


def _old_schema(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    line = record.line
    found = find_value(line, "extension_log")
    if found is None:
        return None
    start = found[0] - len(b',"extension_log":')
    parts = line[found[0] : found[1]].strip(b'"').split(b"&")
    fields = b""
    if fault.text("form") == "dylimit":
        status = parts[1] if len(parts) > 1 else b"0"
        fields = b',"dylimit_id":"%s","dylimit_status":"%s"' % (parts[0], status)
    return _with_line(record, line[:start] + fields + line[found[1] :])


def _skew(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    offset_s = fault.number("offset")
    line = _rewrite_time(record.line, lambda at: at + timedelta(seconds=offset_s))
    if line is None:
        return None
    shift_ms = round(offset_s * 1000) if fault.flag("timestamp") else 0
    return WrittenRecord(
        line=line, logged_ms=max(0, record.logged_ms + shift_ms), subject=record.subject
    )


def _other_zone(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    text = fault.text("zone")
    sign = -1 if text[0] == "-" else 1
    zone = timezone(sign * timedelta(hours=int(text[1:3]), minutes=int(text[3:5])))
    return _with_line(record, _rewrite_time(record.line, lambda at: at.astimezone(zone)))


def _rewrite_time(line: bytes, change: Callable[[datetime], datetime]) -> bytes | None:
    found = find_value(line, "time_local")
    told = None if found is None else _TIME_LOCAL.fullmatch(line[found[0] + 1 : found[1] - 1])
    if told is None or told[2].decode() not in _MONTHS:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = (
        part.decode() for part in told.groups()
    )
    offset = timedelta(hours=int(hours), minutes=int(minutes))
    zone = timezone(-offset if sign == "-" else offset)
    try:
        at = datetime(
            int(year),
            _MONTHS.index(month) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=zone,
        )
        at = change(at)
    except (ValueError, OverflowError):
        return None
    text = at.strftime(f"%d/{_MONTHS[at.month - 1]}/%Y:%H:%M:%S %z")
    return _put(line, "time_local", b'"%s"' % text.encode())


def _epoch(_: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    text = b"%d.%03d" % divmod(record.logged_ms, 1000)
    line = record.line
    return _with_line(record, _put(line, fault.text("field"), _number(line, text)))


def _cip_off(board: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    line, addresses = record.line, fault.text("bip").split(" ")
    peer = [line[slice(*found)] for key in ("cip", "cport") if (found := find_value(line, key))]
    # One gateway for all requests of a connection.
    chosen = board.choose(fault, len(addresses), b":".join(peer).decode("utf-8", "replace"))
    return _with_line(record, _put(line, "remote_addr", b'"%s"' % addresses[chosen].encode()))


def _no_group(_: FaultBoard, __: Fault, record: WrittenRecord) -> WrittenRecord | None:
    line = record.line
    group = find_value(line, "vdum_ups_id")
    if group is None:
        return None
    changed = _put_all(
        line,
        {
            "response_status": _number(line, b"502"),
            "upstream_addr": line[group[0] : group[1]],
            "upstream_status": b'"502"',
            "upstream_connect_time": b'"-"',
            "upstream_response_time": _number(line, b"0.000"),
        },
    )
    return _with_line(record, changed)


def _long(board: FaultBoard, fault: Fault, record: WrittenRecord) -> WrittenRecord | None:
    lasted = _number(record.line, b"%.3f" % board.draw(fault, "lasted", *record.subject))
    changed = _put_all(
        record.line,
        {
            "response_status": _number(record.line, b"101"),
            "upstream_status": b'"101"',
            "upstream_response_time": lasted,
            "request_time": lasted,
        },
    )
    return _with_line(record, changed)


_CHANGES: Final[Mapping[FaultKind, _Change]] = MappingProxyType(
    {
        FaultKind.OVERSIZE: _oversize,
        FaultKind.CUTFIELD: _cut_field,
        FaultKind.ENC: _bad_encoding,
        FaultKind.BADESC: _bad_escape,
        FaultKind.BADJSON: _bad_json,
        FaultKind.TYPE: _other_type,
        FaultKind.INJECT: _inject,
        FaultKind.SPOOF: _spoof,
        FaultKind.NEWFIELD: _new_field,
        FaultKind.OLDSCHEMA: _old_schema,
        FaultKind.SKEW: _skew,
        FaultKind.TZ: _other_zone,
        FaultKind.EPOCH: _epoch,
        FaultKind.CIPOFF: _cip_off,
        FaultKind.NOGROUP: _no_group,
        FaultKind.LONG: _long,
    }
)
