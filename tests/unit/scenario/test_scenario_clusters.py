"""``shared_cluster`` and ``dedicated_clusters``."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.model import ClusterLimits
from simulator.scenario import load_scenario

BASE = """\
version: 1
seed: 7
backends: {web: {count: 1}}
load_balancers:
  - {name: a, listeners: [{protocol: HTTP, port: 80, to: web}]}
  - {name: b, cluster: own, listeners: [{protocol: HTTP, port: 80, to: web}]}
"""


def load(tmp_path: Path, text: str):
    path = tmp_path / "scenario.yaml"
    path.write_text(BASE + text)
    return load_scenario(path)


def test_nodes_have_different_addresses_that_follow_from_the_seed(tmp_path: Path):
    text = "shared_cluster: {nodes: 16}\ndedicated_clusters: [{name: own, nodes: 16}]\n"
    clusters = [plan.cluster for plan in load(tmp_path, text).load_balancers]
    nodes = [node for cluster in clusters for node in cluster.nodes]
    addresses = [node.address for node in nodes]
    assert len(set(addresses)) == 32
    assert all(ip_address(address) in ip_network("100.64.0.0/10") for address in addresses)
    assert [node.index for node in clusters[0].nodes] == list(range(16))
    again = [plan.cluster for plan in load(tmp_path, text).load_balancers]
    assert again == clusters


def test_more_nodes_leave_the_address_of_the_first_alone(tmp_path: Path):
    one = load(tmp_path, "dedicated_clusters: [{name: own}]\n").load_balancers
    two = load(
        tmp_path, "shared_cluster: {nodes: 2}\ndedicated_clusters: [{name: own, nodes: 2}]\n"
    ).load_balancers
    assert [len(plan.cluster.nodes) for plan in one] == [1, 1]
    assert one[0].cluster.nodes[0] == two[0].cluster.nodes[0]


def test_limits_of_a_dedicated_cluster(tmp_path: Path):
    text = (
        "dedicated_clusters: [{name: own, limits: "
        "{http_qps: 10, https_new_connections: 5, https_qps: unlimited}}]\n"
    )
    shared, own = (plan.cluster for plan in load(tmp_path, text).load_balancers)
    assert shared.limits == ClusterLimits()
    assert own.limits == ClusterLimits(http_qps=10, https_new_connections=5)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("shared_cluster: {nodes: 0}", "shared_cluster.nodes"),
        ("shared_cluster: {nodes: 17}", "shared_cluster.nodes"),
        ("shared_cluster: {limits: {http_qps: 1}}", "shared_cluster.limits"),
        ("dedicated_clusters: [{name: own, nodes: x}]", "dedicated_clusters[0].nodes"),
        (
            "dedicated_clusters: [{name: own, limits: {http_qps: 0}}]",
            "dedicated_clusters[0].limits.http_qps",
        ),
        (
            "dedicated_clusters: [{name: own, limits: {qps: 1}}]",
            "dedicated_clusters[0].limits.qps",
        ),
    ],
)
def test_what_is_no_cluster_is_refused_where_it_stands(tmp_path: Path, text: str, path: str):
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, f"{text}\n")
    assert path in [problem.path for problem in caught.value.problems]
