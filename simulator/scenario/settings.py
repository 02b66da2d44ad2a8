"""The parts of a scenario that stand alone: clock, account, ports, record, ledger."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from simulator.accesslog import AccessRecordShape
from simulator.clock import ClockMode
from simulator.model import AuthMode, SearchMode
from simulator.model.units import parse_duration, parse_size
from simulator.scenario.document import Entry, Value
from simulator.scenario.scenario import (
    Account,
    ClockSettings,
    LedgerSettings,
    LogServiceSettings,
    Ports,
    RecordSettings,
    SpoolSettings,
)
from simulator.scenario.units import parse_zone
from simulator.spool import WhenFull

MIN_QUERY_MEMORY: Final = 256 << 20
"""With less, DuckDB cannot write out what records of a few kilobytes fill."""
MAX_QUERY_TIMEOUT_S: Final = 3600.0

_DEFAULT_PORTS: Final = Ports()


class Region(StrEnum):
    """Regions in the vendor's API metadata and documents."""

    BD = "bd"
    BJ = "bj"
    CD = "cd"
    FSH = "fsh"
    FWH = "fwh"
    GZ = "gz"
    HKG = "hkg"
    NJ = "nj"
    SIN = "sin"
    SU = "su"
    YQ = "yq"


def read_clock(value: Value | None) -> ClockSettings:
    """``clock: {mode, start, rate}``."""
    if value is None:
        return ClockSettings()
    entry = value.mapping(("mode", "start", "rate"))
    mode = entry.choice("mode", ClockMode, ClockMode.AUTO)
    rate = entry.get("rate")
    if mode is ClockMode.SCALED:
        if rate is None:
            value.problem("a scaled clock needs a rate; expected for example 'rate: 60'")
    elif rate is not None:
        rate.problem(f"a rate goes with mode 'scaled' only, and the mode is {mode.value!r}")
        rate = None
    return ClockSettings(
        mode=mode,
        start_at=entry.parsed("start", _parse_instant, None),
        rate=None if rate is None else rate.positive_number(1.0),
    )


def read_account(value: Value | None) -> Account:
    """``account: {access_key, secret_key, auth}``."""
    default = Account()
    if value is None:
        return default
    entry = value.mapping(("access_key", "secret_key", "auth"))
    if ("access_key" in entry) != ("secret_key" in entry):
        value.problem("access_key and secret_key go together; give both or neither")
    return Account(
        access_key=_key(entry, "access_key", default.access_key),
        secret_key=_key(entry, "secret_key", default.secret_key),
        auth=entry.choice("auth", AuthMode, AuthMode.ENFORCE),
    )


def read_ports(value: Value | None) -> Ports:
    """``ports: {api, bos, s3}``."""
    if value is None:
        return _DEFAULT_PORTS
    entry = value.mapping(("api", "bos", "s3"))
    ports = Ports(
        api=entry.integer("api", 0, 65535, _DEFAULT_PORTS.api),
        bos=entry.integer("bos", 0, 65535, _DEFAULT_PORTS.bos),
        s3=entry.integer("s3", 0, 65535, _DEFAULT_PORTS.s3),
        api_place=_place(entry, "api"),
        s3_place=_place(entry, "s3"),
    )
    fixed = [port for port in (ports.api, ports.bos, ports.s3) if port]
    if len(set(fixed)) < len(fixed):
        value.problem(
            f"two APIs share a port (api {ports.api}, bos {ports.bos}, s3 {ports.s3}); "
            "expected different ports, or 0 for free ones"
        )
    return ports


def read_record(value: Value | None) -> RecordSettings:
    """``record: {shape, zone}``."""
    if value is None:
        return RecordSettings()
    entry = value.mapping(("shape", "zone"))
    return RecordSettings(
        shape=entry.choice("shape", AccessRecordShape, AccessRecordShape.TYPED),
        zone_offset_s=entry.parsed("zone", parse_zone, 8 * 3600),
    )


def read_log_service(value: Value | None) -> LogServiceSettings:
    """``log_service: {search, ready_after, memory, spill, query_timeout}``."""
    default = LogServiceSettings()
    if value is None:
        return default
    entry = value.mapping(("search", "ready_after", "memory", "spill", "query_timeout"))
    return LogServiceSettings(
        search=entry.choice("search", SearchMode, default.search),
        ready_after_s=entry.parsed("ready_after", parse_duration, default.ready_after_s),
        memory_bytes=entry.parsed("memory", _parse_memory, default.memory_bytes),
        spill_bytes=entry.parsed("spill", _parse_memory, default.spill_bytes),
        query_timeout_s=entry.parsed("query_timeout", _parse_timeout, default.query_timeout_s),
    )


def read_ledger(value: Value | None) -> LedgerSettings:
    """``ledger: {keep}``."""
    if value is None:
        return LedgerSettings()
    entry = value.mapping(("keep",))
    return LedgerSettings(keep_bytes=entry.parsed("keep", parse_size, LedgerSettings().keep_bytes))


def _parse_memory(text: str) -> int:
    size = parse_size(text)
    if size < MIN_QUERY_MEMORY:
        raise ValueError(f"{text} is too little; expected at least 256MiB")
    return size


def _parse_timeout(text: str) -> float:
    timeout_s = parse_duration(text)
    if not 0 < timeout_s <= MAX_QUERY_TIMEOUT_S:
        raise ValueError(f"{text} is out of range; expected more than 0s and at most 1h")
    return timeout_s


def read_spool(value: Value | None) -> SpoolSettings:
    """``spool: {max, when_full}``."""
    if value is None:
        return SpoolSettings()
    entry = value.mapping(("max", "when_full"), required=("max",))
    return SpoolSettings(
        max_bytes=entry.parsed("max", parse_size, SpoolSettings().max_bytes),
        when_full=entry.choice("when_full", WhenFull, WhenFull.DROP),
    )


def _place(entry: Entry, key: str) -> str:
    value = entry.get(key)
    return value.place if value is not None else ""


def _key(entry: Entry, key: str, default: str) -> str:
    def parse(text: str) -> str:
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise ValueError(f"a {key} is printable ASCII without spaces")
        return text

    return entry.parsed(key, parse, default)


def _parse_instant(text: str) -> float | None:
    expected = "expected an instant with its zone such as 2026-03-01T08:00:00+08:00"
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not an instant; {expected}") from error
    if instant.tzinfo is None:
        raise ValueError(f"the instant {text!r} has no zone; {expected}")
    return instant.timestamp()
