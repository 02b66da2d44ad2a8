"""Which check holds for which servers, and who shares what it finds."""

from simulator.model import (
    BackendServer,
    BackendServerId,
    Cluster,
    ClusterKind,
    HealthCheck,
    HealthCheckType,
    IpGroup,
    IpGroupId,
    Listener,
    LoadBalancer,
    LoadBalancerId,
    LoadBalancerKind,
    Policy,
    PolicyId,
    Protocol,
    Rule,
    RuleKey,
    Scheduler,
    ServerGroup,
    ServerGroupId,
    ServerGroupPort,
)
from simulator.routing import ListenerRoute, compile_route
from simulator.routing.checked import checked_pools
from simulator.routing.health import HealthBoard, ProbeResult

OWN = HealthCheck(type=HealthCheckType.TCP)
LISTENERS = HealthCheck(uri="/up")
A = BackendServer(
    backend_server_id=BackendServerId("i-a"),
    address="10.0.0.1:8000",
    connect_host="127.0.0.1",
    connect_port=8000,
)


def policy(
    priority: int, *, server_group: str | None = None, ip_group: str | None = None, port: int = 0
) -> Policy:
    return Policy(
        policy_id=PolicyId(f"policy-{priority}"),
        priority=priority,
        rules=(Rule(key=RuleKey.URI, value=f"/{priority}"),),
        server_group_id=None if server_group is None else ServerGroupId(server_group),
        ip_group_id=None if ip_group is None else IpGroupId(ip_group),
        backend_port=port,
    )


def route(
    *policies: Policy,
    port: int = 80,
    check: HealthCheck | None = None,
    groups: tuple[ServerGroup, ...] = (),
    ip_groups: tuple[IpGroup, ...] = (),
) -> ListenerRoute:
    listener = Listener(
        protocol=Protocol.HTTP,
        port=port,
        bind_host="127.0.0.1",
        bind_port=0,
        scheduler=Scheduler.ROUND_ROBIN,
        x_forwarded_for=False,
        policies=policies,
        server_group_id=None if policies else groups[0].server_group_id,
        health_check=check,
    )
    balancer = LoadBalancer(
        load_balancer_id=LoadBalancerId("lb-1"),
        name="shop",
        kind=LoadBalancerKind.APPLICATION,
        vip="10.0.0.1",
        cluster=Cluster(name="shared", kind=ClusterKind.SHARED, cluster_id="", nodes=()),
        listeners=(listener,),
        server_groups=groups,
        ip_groups=ip_groups,
    )
    return compile_route(balancer, listener)


def group(check: HealthCheck | None = None, *ports: ServerGroupPort) -> ServerGroup:
    return ServerGroup(
        server_group_id=ServerGroupId("sg-1"),
        name="web",
        servers=(A,),
        ports=ports,
        health_check=check,
    )


def found(made: ListenerRoute) -> list[tuple[str, HealthCheck | None]]:
    return [(pool.scope, pool.check) for pool in checked_pools(made)]


def test_a_standard_load_balancers_servers_are_checked_by_each_listener_for_itself():
    one = route(check=LISTENERS, groups=(group(),))
    other = route(port=81, check=OWN, groups=(group(),))
    assert found(one) == [("sg-1 for HTTP:80", LISTENERS)]
    assert found(other) == [("sg-1 for HTTP:81", OWN)]
    assert found(route(groups=(group(),))) == [("sg-1 for HTTP:80", None)]


def test_a_port_of_a_group_has_its_own_check_and_the_listener_checks_what_has_none():
    ports = (
        ServerGroupPort(port_id="port-1", port=8000, health_check=OWN),
        ServerGroupPort(port_id="port-2", port=8001),
    )
    made = route(
        policy(1, server_group="sg-1", port=8000),
        policy(2, server_group="sg-1", port=8001),
        policy(3, server_group="sg-1"),
        check=LISTENERS,
        groups=(group(None, *ports),),
    )
    assert found(made) == [
        ("sg-1:8000", OWN),
        ("sg-1:8001 for HTTP:80", LISTENERS),
        ("sg-1 for HTTP:80", LISTENERS),
    ]


def test_a_groups_check_holds_for_the_ports_that_its_servers_have():
    made = route(policy(1, server_group="sg-1"), check=LISTENERS, groups=(group(OWN),))
    assert found(made) == [("sg-1", OWN)]


def test_an_ip_group_has_its_own_check():
    members = IpGroup(ip_group_id=IpGroupId("ip_group-1"), name="", members=(A,), health_check=OWN)
    made = route(policy(1, ip_group="ip_group-1"), ip_groups=(members,))
    assert found(made) == [("ip_group-1", OWN)]


def test_listeners_that_lead_to_one_checked_group_share_what_probes_find():
    groups = (group(OWN),)
    routes = [route(policy(1, server_group="sg-1"), port=port, groups=groups) for port in (80, 81)]
    board = HealthBoard()
    board.apply([pool for made in routes for pool in checked_pools(made)], 0.0)
    assert [made.targets[0].dead for made in routes] == [{"i-a"}, {"i-a"}]
    [target] = board.targets()
    board.observe(target, ProbeResult(ok=True, detail=""), 0.0)
    assert [made.targets[0].dead for made in routes] == [set(), set()]
