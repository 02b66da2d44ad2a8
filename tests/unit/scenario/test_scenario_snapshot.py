import ipaddress
from pathlib import Path

import pytest

from simulator.model import LoadBalancer, Snapshot
from simulator.scenario import build_snapshot, load_scenario

TEXT = """\
version: 1
seed: {seed}
backends:
  web: {{count: 3, weights: [50, 50, 0]}}
  outside: {{addresses: ["10.9.8.7:9000", "[::1]:9001"]}}
dedicated_clusters: [{{name: gold}}]
load_balancers:
  - name: shop
    vip: 192.168.16.5
    cluster: gold
    listeners:
      - {{protocol: HTTP, port: 80, to: web}}
      - {{protocol: HTTP, port: 81, to: outside}}
      - {{protocol: HTTP, port: 82, to: web}}
  - name: plain
    kind: standard
    listeners: [{{protocol: HTTP, port: 80, to: web}}, {{protocol: HTTP, port: 81, to: web}}]
"""
BOUND = {"web": [("127.0.0.1", 4001), ("127.0.0.1", 4002), ("127.0.0.1", 4003)]}


def snapshot(tmp_path: Path, *, seed: int = 7, text: str = TEXT) -> Snapshot:
    path = tmp_path / "scenario.yaml"
    path.write_text(text.format(seed=seed))
    return build_snapshot(load_scenario(path), BOUND)


@pytest.fixture
def shop(tmp_path: Path) -> LoadBalancer:
    return snapshot(tmp_path).load_balancers[0]


@pytest.fixture
def plain(tmp_path: Path) -> LoadBalancer:
    return snapshot(tmp_path).load_balancers[1]


def test_the_same_seed_builds_the_same_snapshot(tmp_path: Path) -> None:
    assert snapshot(tmp_path) == snapshot(tmp_path)


def test_another_seed_gives_other_ids_and_addresses(tmp_path: Path) -> None:
    one, other = snapshot(tmp_path).load_balancers[1], snapshot(tmp_path, seed=8).load_balancers[1]
    assert one.load_balancer_id != other.load_balancer_id
    assert one.vip != other.vip
    assert one.cluster.nodes != other.cluster.nodes
    assert one.server_groups[0].servers != other.server_groups[0].servers


def test_a_load_balancer_put_in_front_changes_nothing_of_the_others(tmp_path: Path) -> None:
    more = TEXT.replace("load_balancers:\n", "load_balancers:\n  - name: first\n")
    assert snapshot(tmp_path, text=more).load_balancers[1:] == snapshot(tmp_path).load_balancers


def test_listeners_join_their_server_groups_by_id(shop: LoadBalancer) -> None:
    web, outside = shop.server_groups
    assert (web.name, outside.name) == ("web", "outside")
    policies = [listener.policies for listener in shop.listeners]
    assert [[policy.server_group_id for policy in each] for each in policies] == [
        [web.server_group_id],
        [outside.server_group_id],
        [web.server_group_id],
    ]
    assert web.server_group_id.startswith("sg-")


def test_built_in_servers_are_recorded_privately_and_connected_to_really(
    shop: LoadBalancer,
) -> None:
    servers = shop.server_groups[0].servers
    assert [(server.connect_host, server.connect_port) for server in servers] == BOUND["web"]
    assert [server.weight for server in servers] == [50, 50, 0]
    addresses = [server.address.split(":") for server in servers]
    assert all(port == "8080" for _, port in addresses)
    network = ipaddress.ip_network("192.168.16.0/20")
    assert all(ipaddress.ip_address(ip) in network for ip, _ in addresses)
    assert len({ip for ip, _ in addresses} | {shop.vip}) == 4


def test_external_servers_are_recorded_under_their_own_address(shop: LoadBalancer) -> None:
    servers = shop.server_groups[1].servers
    assert [(server.address, server.connect_host, server.connect_port) for server in servers] == [
        ("10.9.8.7:9000", "10.9.8.7", 9000),
        ("[::1]:9001", "::1", 9001),
    ]


def test_a_server_is_the_same_in_every_group(shop: LoadBalancer, plain: LoadBalancer) -> None:
    assert shop.server_groups[0].servers == plain.server_groups[0].servers


def test_a_standard_load_balancers_group_has_the_id_of_the_instance(plain: LoadBalancer) -> None:
    (group,) = plain.server_groups
    assert group.server_group_id == plain.load_balancer_id
    assert {listener.server_group_id for listener in plain.listeners} == {group.server_group_id}


def test_nodes_have_addresses_of_the_reserved_range(
    shop: LoadBalancer, plain: LoadBalancer
) -> None:
    network = ipaddress.ip_network("100.64.0.0/10")
    for balancer in (shop, plain):
        (node,) = balancer.cluster.nodes
        assert ipaddress.ip_address(node.address) in network
    assert shop.cluster.nodes != plain.cluster.nodes


def test_too_few_sockets_are_a_bug_of_the_caller(tmp_path: Path) -> None:
    path = tmp_path / "scenario.yaml"
    path.write_text(TEXT.format(seed=7))
    with pytest.raises(ValueError, match=r"shorter"):
        build_snapshot(load_scenario(path), {"web": BOUND["web"][:2]})
