"""Server groups and IP groups of an application load balancer."""

from collections.abc import Mapping
from typing import Final

from simulator.model import Protocol
from simulator.scenario.backends import MAX_SERVERS, parse_server_address, read_weights
from simulator.scenario.document import Entry, Value
from simulator.scenario.health import read_health_check
from simulator.scenario.names import UniqueNames, take_name
from simulator.scenario.scenario import Backends, IpGroupPlan, ServerGroupPlan

_MAX_GROUPS: Final = 50  # of each kind; doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu
_MEMBER_WEIGHT: Final = 100
_NOBODY: Final = ("", 0)


class Groups:
    """The groups of one load balancer, by name; policies name them.

    A name that is no group's but an entry of backends' stands for a group of all its servers: a
    server group, or an IP group if they speak TLS.
    """

    def __init__(self, entry: Entry, backends: Mapping[str, Backends]) -> None:
        self._backends = backends
        self._names = UniqueNames("group")
        self.server_groups: dict[str, ServerGroupPlan] = {}
        self.ip_groups: dict[str, IpGroupPlan] = {}
        for value in _items(entry, "server_groups"):
            server_group = self._read_server_group(value)
            self.server_groups.setdefault(server_group.name, server_group)
        for value in _items(entry, "ip_groups"):
            ip_group = self._read_ip_group(value)
            self.ip_groups.setdefault(ip_group.name, ip_group)

    def refer(self, value: Value, protocol: Protocol) -> str:
        """The name of the group that ``value`` names; empty when there is none.

        Args:
            value: the name.
            protocol: of the listener that leads there.
                Source: doc https://cloud.baidu.com/doc/BLB/s/Ymotqzfzu and
                https://cloud.baidu.com/doc/BLB/s/ymots3eaq (an HTTP listener forwards to HTTP
                only, an HTTPS listener to HTTP or HTTPS).
        """
        own = [name for name in (*self.server_groups, *self.ip_groups) if name]
        kind = "server group, IP group or entry of backends" if own else "entry of backends"
        name = value.reference(kind, dict.fromkeys([*own, *self._backends])) or ""
        if name and name not in own:
            self._make(self._backends[name])
        group = self.ip_groups.get(name)
        if group is not None and group.protocol is Protocol.HTTPS and protocol is Protocol.HTTP:
            value.problem(
                f"the servers of {name!r} speak HTTPS and an HTTP listener forwards to HTTP only; "
                "expected protocol: HTTPS for the listener, or another group"
            )
        return name

    def _make(self, backends: Backends) -> None:
        """The group that an entry of backends stands for."""
        name = backends.name
        if backends.tls:
            self.ip_groups[name] = IpGroupPlan(
                name=name, members=(name,), weights=backends.weights, protocol=Protocol.HTTPS
            )
        else:
            self.server_groups[name] = ServerGroupPlan(
                name=name, backends=(name,), weights=backends.weights
            )

    def _read_server_group(self, value: Value) -> ServerGroupPlan:
        entry = value.mapping(
            ("name", "servers", "weight", "weights", "health_check"),
            required=("name", "servers"),
        )
        name = take_name(entry, self._names)
        servers = entry.get("servers")
        backends: dict[str, None] = {}
        for item in [] if servers is None else servers.items() if servers.is_list else [servers]:
            found = item.reference("entry of backends", self._backends)
            if found in backends:
                item.problem(f"{found!r} is in this group already; expected each once")
            elif found is not None:
                backends[found] = None
                if self._backends[found].tls:
                    item.problem(
                        f"the servers of {found!r} speak TLS and a server group is reached over "
                        f"HTTP; expected an IP group with protocol: HTTPS and members: {found}"
                    )
        weights = tuple(weight for found in backends for weight in self._backends[found].weights)
        if len(weights) > MAX_SERVERS and servers is not None:
            servers.problem(f"{len(weights)} servers are too many; expected at most {MAX_SERVERS}")
        if "weight" in entry or "weights" in entry:
            weights = read_weights(entry, len(weights))
        return ServerGroupPlan(
            name=name,
            backends=tuple(backends),
            weights=weights,
            health_check=read_health_check(entry.get("health_check")),
        )

    def _read_ip_group(self, value: Value) -> IpGroupPlan:
        entry = value.mapping(
            ("name", "protocol", "members", "weight", "weights", "health_check"),
            required=("name", "members"),
        )
        name = take_name(entry, self._names)
        protocol = entry.choice("protocol", Protocol, Protocol.HTTP)
        given = entry.get("members")
        values = [] if given is None else given.items() if given.is_list else [given]
        members: dict[tuple[str, int] | str, None] = {}
        weights: tuple[int, ...] = ()
        for item in values:
            member, its_weights = self._read_member(item, protocol)
            if member in members and member != _NOBODY:
                item.problem(f"{item.word()} is in this group already; expected each once")
            members[member] = None
            weights += its_weights
        if len(weights) > MAX_SERVERS:
            value.problem(f"{len(weights)} members are too many; expected at most {MAX_SERVERS}")
        if "weight" in entry or "weights" in entry:
            weights = read_weights(entry, len(weights))
        return IpGroupPlan(
            name=name,
            members=tuple(members),
            weights=weights,
            protocol=protocol,
            health_check=read_health_check(entry.get("health_check"), protocol),
        )

    def _read_member(
        self, value: Value, protocol: Protocol
    ) -> tuple[tuple[str, int] | str, tuple[int, ...]]:
        """An address, or the name of an entry of backends; and the weights of the servers."""
        if ":" in value.word():
            return value.parsed(parse_server_address, _NOBODY), (_MEMBER_WEIGHT,)
        name = value.reference("entry of backends", self._backends)
        if name is None:
            return _NOBODY, (_MEMBER_WEIGHT,)
        backends = self._backends[name]
        if backends.tls is not (protocol is Protocol.HTTPS):
            speak, expected = ("speak", "HTTPS") if backends.tls else ("do not speak", "HTTP")
            value.problem(
                f"the servers of {name!r} {speak} TLS; expected protocol: {expected} in "
                f"this group, or tls: {str(not backends.tls).lower()} in backends.{name}"
            )
        return name, backends.weights


def _items(entry: Entry, key: str) -> list[Value]:
    values = entry.items(key)
    if len(values) > _MAX_GROUPS:
        values[_MAX_GROUPS].problem(
            f"{len(values)} groups are too many; expected at most {_MAX_GROUPS}"
        )
    return values
