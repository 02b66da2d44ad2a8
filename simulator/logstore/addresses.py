"""Functions of IPv4 addresses of the SQL part; what is no IPv4 address or subnet gives NULL.

Source: doc https://cloud.baidu.com/doc/BLS/s/xk5cc9piu, for IPv4 alone.
"""

from collections.abc import Mapping
from typing import Final

from simulator.logstore.calls import Call, Function, scalar
from simulator.logstore.typed import Kind, Typed, as_whole

_OCTET: Final = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_ADDRESS: Final = rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}$"
_SUBNET: Final = rf"^{_OCTET}\.{_OCTET}\.{_OCTET}\.{_OCTET}/(3[0-2]|[12]?[0-9])$"
_CITIES: Final = (
    "北京", "上海", "广州", "深圳", "成都", "杭州", "武汉", "西安", "南京", "重庆", "天津", "苏州",
    "长沙", "郑州", "青岛", "沈阳", "合肥", "福州", "济南", "大连", "昆明", "哈尔滨", "厦门",
)  # fmt: skip
_UNROUTED: Final = (
    ("0.0.0.0", 8), ("10.0.0.0", 8), ("100.64.0.0", 10), ("127.0.0.0", 8),
    ("169.254.0.0", 16), ("172.16.0.0", 12), ("192.168.0.0", 16), ("224.0.0.0", 3),
)  # fmt: skip


def _number(address: str) -> str:
    """The 32 bits of an address without anything behind it."""
    parts = f"list_transform(string_split({address}, '.'), lambda o: TRY_CAST(o AS BIGINT))"
    return f"list_reduce({parts}, lambda a, b: a * 256 + b)"


def _of_address(call: Call, index: int) -> str:
    text = call.text(index)
    valid = f"CASE WHEN regexp_matches({text}, '{_ADDRESS}') THEN {text} END"
    return _number(valid)


def _of_subnet(call: Call, index: int) -> tuple[str, str]:
    """The first address of a subnet and how many it has, as numbers."""
    text = call.text(index)
    valid = f"CASE WHEN regexp_matches({text}, '{_SUBNET}') THEN {text} END"
    size = f"(CAST(1 AS BIGINT) << (32 - TRY_CAST(split_part({valid}, '/', 2) AS BIGINT)))"
    number = _number(f"split_part({valid}, '/', 1)")
    return f"({number} // {size} * {size})", size


def _text(number: str) -> str:
    octets = " || '.' || ".join(f"({number} // {1 << shift} % 256)" for shift in (24, 16, 8, 0))
    return f"({octets})"


def _ip_prefix(call: Call) -> Typed:
    bits = as_whole(call.value(1))
    size = f"(CAST(1 AS BIGINT) << (32 - CASE WHEN {bits} BETWEEN 0 AND 32 THEN {bits} END))"
    number = f"({_of_address(call, 0)} // {size} * {size})"
    return Typed(f"({_text(number)} || '/' || {bits})", Kind.STRING)


def _is_subnet_of(call: Call) -> Typed:
    start, size = _of_subnet(call, 0)
    number = _of_address(call, 1)
    return Typed(f"({number} // {size} * {size} = {start})", Kind.BOOL)


def _is_prefix_subnet_of(call: Call) -> Typed:
    start, size = _of_subnet(call, 0)
    inner_start, inner_size = _of_subnet(call, 1)
    return Typed(
        f"({inner_size} <= {size} AND {inner_start} // {size} * {size} = {start})", Kind.BOOL
    )


def _subnet_min(call: Call) -> Typed:
    start, _ = _of_subnet(call, 0)
    return Typed(_text(start), Kind.STRING)


def _subnet_max(call: Call) -> Typed:
    start, size = _of_subnet(call, 0)
    return Typed(_text(f"({start} + {size} - 1)"), Kind.STRING)


def _subnet_range(call: Call) -> Typed:
    start, size = _of_subnet(call, 0)
    both = f"[{_text(start)}, {_text(f'({start} + {size} - 1)')}]"
    return Typed(f"CASE WHEN {start} IS NOT NULL THEN {both} END", Kind.ARRAY, Kind.STRING)


def _ip_to_city(call: Call) -> Typed:
    """A city that is made up: always the same one for the 65 536 addresses of a /16.

    NULL for private and other addresses that are not routed. Source: doc for the Chinese name
    without a suffix; assumed that which city it is matters less than that it is stable, since
    simulated clients have no real addresses.
    """
    number = _of_address(call, 0)
    unrouted = " OR ".join(
        f"{number} // {1 << (32 - bits)} = {_value(address) >> (32 - bits)}"
        for address, bits in _UNROUTED
    )
    cities = ", ".join(f"'{city}'" for city in _CITIES)
    # A multiplicative hash, so that neighbours are far apart.
    place = f"({number} // 65536 * 40503 % 65536 % {len(_CITIES)} + 1)"
    return Typed(f"CASE WHEN {unrouted} THEN NULL ELSE [{cities}][{place}] END", Kind.STRING)


def _value(address: str) -> int:
    return int.from_bytes(int(octet) for octet in address.split("."))


ADDRESSES: Final[Mapping[str, Function]] = {
    "ip_prefix": scalar("ip_prefix(ip, bits)", 2, 2, _ip_prefix),
    "ip_subnet_max": scalar("ip_subnet_max(subnet)", 1, 1, _subnet_max),
    "ip_subnet_min": scalar("ip_subnet_min(subnet)", 1, 1, _subnet_min),
    "ip_subnet_range": scalar("ip_subnet_range(subnet)", 1, 1, _subnet_range),
    "ip_to_city": scalar("ip_to_city(ip)", 1, 1, _ip_to_city),
    "is_prefix_subnet_of": scalar("is_prefix_subnet_of(subnet, inner)", 2, 2, _is_prefix_subnet_of),
    "is_subnet_of": scalar("is_subnet_of(subnet, ip)", 2, 2, _is_subnet_of),
}
