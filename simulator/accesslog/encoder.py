"""Turns an AccessRecord into one line of JSON, once. Runs on the proxied path.

Key order is the table's. Values are escaped as JSON; bytes that are not UTF-8 become U+FFFD, so
every line is valid JSON and holds neither a line feed nor a tab.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Final

from simulator.accesslog.record import AccessRecord, AccessRecordShape, Attempt

_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)
_NEEDS_ESCAPE: Final = re.compile(r'[\x00-\x1f\x7f"\\]')
_ESCAPES: Final = {
    '"': '\\"',
    "\\": "\\\\",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\b": "\\b",
    "\f": "\\f",
}
_ABSENT: Final = '"-"'
_MEMO_ENTRIES: Final = 4096
_MEMO_BYTES: Final = 512
"""Longer values are not kept: the memo stays below some 5 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedBy:
    """What is the same in every record of one listener on one service node."""

    load_balancer_id: str
    vip: str
    vport: int
    node_address: str


class RecordEncoder:
    """Encodes the records of one listener on one service node.

    Args:
        served_by: the constant part.
        shape: how values are typed.
        zone_offset_s: zone of ``time_local``. Source: assumed +0800 in every region.
        extension_separator: between the parts of ``extension_log``. Source: assumed.
    """

    def __init__(
        self,
        served_by: ServedBy,
        *,
        shape: AccessRecordShape = AccessRecordShape.TYPED,
        zone_offset_s: int = 8 * 3600,
        extension_separator: str = "&",
    ) -> None:
        self._served_by = served_by
        self._separator = extension_separator
        self._zone = timezone(timedelta(seconds=zone_offset_s))
        self._second = -1
        self._time_local = ""
        empty = shape is AccessRecordShape.JSON_EMPTY
        self._absent = '""' if empty else _ABSENT
        self._quote_numbers = shape is AccessRecordShape.STRINGS
        self._unlimited = f"{served_by.load_balancer_id}{extension_separator}0" + (
            f"{extension_separator}0{extension_separator}0"
        )
        self._template = self._make_template()
        self._single_try = None if self._quote_numbers else self._make_single_try()
        self._texts: dict[bytes | None, str] = {}
        """Header values met before; clients send the same ones again and again."""

    def encode(self, record: AccessRecord) -> bytes:
        """One JSON object in UTF-8, without a line end."""
        attempts = record.attempts
        if self._single_try is not None and len(attempts) == 1:
            attempt = attempts[0]
            if (
                attempt.status is not None
                and attempt.connect_s is not None
                and record.server_group_id is not None
                and record.limited is None
            ):
                return self._encode_single_try(self._single_try, record, attempt)
        return self._encode_any(record)

    def _encode_single_try(self, template: str, record: AccessRecord, attempt: Attempt) -> bytes:
        """The short way for one try that was answered; gives what ``_encode_any`` gives."""
        second = int(record.logged_at)
        texts = self._texts
        host, referer = record.host, record.http_referer
        agent, forwarded = record.http_user_agent, record.http_x_forwarded_for
        handshake_s = record.ssl_handshake_time_s
        if handshake_s is None:
            scheme = "http"
            handshake = reused = self._absent
        else:
            scheme = "https"
            handshake = f"{handshake_s:.3f}"
            reused = '"r"' if record.ssl_session_reused else '"."'
        request = record.request.decode("utf-8", "replace")
        if _NEEDS_ESCAPE.search(request) is not None:
            request = _NEEDS_ESCAPE.sub(_escape, request)
        return (
            template
            % (
                self._time_local if second == self._second else self._time(second),
                record.response_status,
                record.server_group_id,
                attempt.address,
                attempt.status,
                record.remote_addr,
                record.client_ip,
                record.client_port,
                scheme,
                texts.get(host) or self._text(host),
                request,
                record.request_length,
                record.body_bytes_sent,
                texts.get(referer) or self._text(referer),
                texts.get(agent) or self._text(agent),
                texts.get(forwarded) or self._text(forwarded),
                attempt.connect_s,
                attempt.response_s,
                record.request_time_s,
                handshake,
                reused,
                record.backend_protocol,
            )
        ).encode()

    def _encode_any(self, record: AccessRecord) -> bytes:
        attempts = record.attempts
        absent = self._absent
        if len(attempts) == 1:
            attempt = attempts[0]
            addr = f'"{attempt.address}"'
            status = absent if attempt.status is None else f'"{attempt.status}"'
            connect = absent if attempt.connect_s is None else self._seconds(attempt.connect_s)
            response = self._seconds(attempt.response_s)
        elif attempts:
            addr, status, connect, response = _lists(attempts)
        else:
            addr = status = connect = response = absent
        limited = record.limited
        return (
            self._template
            % (
                self._time(int(record.logged_at)),
                self._number(record.response_status),
                absent if record.server_group_id is None else f'"{record.server_group_id}"',
                addr,
                status,
                record.remote_addr,
                record.client_ip,
                record.client_port,
                "http" if record.ssl_handshake_time_s is None else "https",
                self._text(record.host),
                self._quote(record.request),
                record.request_length,
                record.body_bytes_sent,
                self._text(record.http_referer),
                self._text(record.http_user_agent),
                self._text(record.http_x_forwarded_for),
                connect,
                response,
                self._seconds(record.request_time_s),
                absent
                if record.ssl_handshake_time_s is None
                else self._seconds(record.ssl_handshake_time_s),
                absent
                if record.ssl_session_reused is None
                else ('"r"' if record.ssl_session_reused else '"."'),
                f'"{record.backend_protocol}"' if attempts else absent,
                f'"{self._served_by.node_address}"' if attempts else absent,
                self._unlimited if limited is None else self._extension(*limited),
            )
        ).encode()

    def _make_template(self) -> str:
        """The whole object with a ``%s`` where a value changes from request to request."""
        served = self._served_by
        number = '"%s"' if self._quote_numbers else "%s"
        vip = served.vip.replace("%", "%%")
        return (
            '{"time_local":"%s",'
            f'"vip":"{vip}","vport":{number % served.vport},'
            '"response_status":%s,"vdum_ups_id":%s,"upstream_addr":%s,"upstream_status":%s,'
            f'"remote_addr":"%s","cip":"%s","cport":{number},'
            f'"server_addr":"{vip}","server_port":{number % served.vport},'
            f'"scheme":"%s","host":%s,"request":%s,"request_length":{number},'
            f'"body_bytes_sent":{number},"http_referer":%s,"http_user_agent":%s,'
            '"http_x_forwarded_for":%s,"upstream_connect_time":%s,"upstream_response_time":%s,'
            '"request_time":%s,"ssl_handshake_time":%s,"ssl_session_reused":%s,'
            '"vdum_rs_proto":%s,"upstream_local_addr":%s,"extension_log":"%s"}'
        )

    def _make_single_try(self) -> str:
        """The template with everything filled in that one answered try settles."""
        served = self._served_by
        values = (
            *("%s", "%d", '"%s"', '"%s"', '"%d"', "%s", "%s", "%d", "%s", "%s", '"%s"', "%d"),
            *("%d", "%s", "%s", "%s", "%.3f", "%.3f", "%.3f", "%s", "%s"),
            *('"%s"', f'"{served.node_address}"', self._unlimited),
        )
        # What is constant must survive a second formatting.
        constant = self._template.replace("%%", "%%%%")
        return constant % tuple(
            value if value.strip('"').startswith("%") else value.replace("%", "%%")
            for value in values
        )

    def _time(self, second: int) -> str:
        if second != self._second:
            local = datetime.fromtimestamp(second, UTC).astimezone(self._zone)
            self._second = second
            self._time_local = local.strftime(f"%d/{_MONTHS[local.month - 1]}/%Y:%H:%M:%S %z")
        return self._time_local

    def _number(self, status: int) -> str:
        return f'"{status:03d}"' if self._quote_numbers else str(status)

    def _seconds(self, value: float) -> str:
        return f'"{value:.3f}"' if self._quote_numbers else f"{value:.3f}"

    def _text(self, raw: bytes | None) -> str:
        """The JSON of a header's value."""
        text = self._texts.get(raw)
        if text is None:
            text = self._absent if raw is None else self._quote(raw)
            if raw is None or len(raw) <= _MEMO_BYTES:
                if len(self._texts) >= _MEMO_ENTRIES:
                    self._texts.clear()
                self._texts[raw] = text
        return text

    def _quote(self, raw: bytes) -> str:
        text = raw.decode("utf-8", "replace")
        if _NEEDS_ESCAPE.search(text) is not None:
            text = _NEEDS_ESCAPE.sub(_escape, text)
        return f'"{text}"'

    def _extension(self, qps: int, tokens: int) -> str:
        separator = self._separator
        return f"{self._served_by.load_balancer_id}{separator}1{separator}{qps}{separator}{tokens}"


def _lists(attempts: list[Attempt]) -> tuple[str, str, str, str]:
    """The four list fields of several tries; always strings, with ``-`` for what a try lacks."""
    connects = ("-" if a.connect_s is None else f"{a.connect_s:.3f}" for a in attempts)
    return (
        '"' + ", ".join(a.address for a in attempts) + '"',
        '"' + ", ".join("-" if a.status is None else str(a.status) for a in attempts) + '"',
        '"' + ", ".join(connects) + '"',
        '"' + ", ".join(f"{a.response_s:.3f}" for a in attempts) + '"',
    )


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPES.get(character) or f"\\u{ord(character):04X}"
