"""Server groups and IP groups of an application load balancer."""

from collections.abc import Mapping
from typing import Final

from simulator.scenario.backends import MAX_SERVERS, parse_server_address, read_weights
from simulator.scenario.document import Entry, Value
from simulator.scenario.health import read_health_check
from simulator.scenario.names import UniqueNames, take_name
from simulator.scenario.scenario import Backends, IpGroupPlan, ServerGroupPlan

_MAX_GROUPS: Final = 50  # of each kind; doc https://cloud.baidu.com/doc/BLB/s/Hjwvxnouu


class Groups:
    """The groups of one load balancer, by name; policies name them.

    A name that is no group's but an entry of backends' stands for a group of all its servers.
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

    def refer(self, value: Value) -> str:
        """The name of the group that ``value`` names; empty when there is none."""
        own = [name for name in (*self.server_groups, *self.ip_groups) if name]
        kind = "server group, IP group or entry of backends" if own else "entry of backends"
        name = value.reference(kind, dict.fromkeys([*own, *self._backends])) or ""
        if name and name not in own:
            self.server_groups[name] = ServerGroupPlan(
                name=name, backends=(name,), weights=self._backends[name].weights
            )
        return name

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
            ("name", "members", "weight", "weights", "health_check"),
            required=("name", "members"),
        )
        name = take_name(entry, self._names)
        members: dict[tuple[str, int], None] = {}
        values = entry.items("members")
        for item in values:
            address = item.parsed(parse_server_address, ("", 0))
            if address in members and address[1]:
                item.problem(f"{item.word()} is in this group already; expected each once")
            members[address] = None
        if len(values) > MAX_SERVERS:
            value.problem(f"{len(values)} members are too many; expected at most {MAX_SERVERS}")
        return IpGroupPlan(
            name=name,
            members=tuple(members),
            weights=read_weights(entry, len(values)),
            health_check=read_health_check(entry.get("health_check")),
        )


def _items(entry: Entry, key: str) -> list[Value]:
    values = entry.items(key)
    if len(values) > _MAX_GROUPS:
        values[_MAX_GROUPS].problem(
            f"{len(values)} groups are too many; expected at most {_MAX_GROUPS}"
        )
    return values
