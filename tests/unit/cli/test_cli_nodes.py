"""What ``blbsim status`` shows of service nodes."""

import msgspec
import pytest

from simulator.api.simulation import ClockStatus, LogServiceView, NodeView, SimulationStatus
from simulator.cli.tables import print_status


def node(address: str, pid: int | None) -> NodeView:
    return NodeView(
        cluster="shared",
        address=address,
        pid=pid,
        started_at="2026-03-01T08:00:11.538+08:00",
        restarts=12,
        connections=1000,
        requests=1_234_567,
    )


def shown(capsys: pytest.CaptureFixture[str], *nodes: NodeView) -> list[str]:
    status = SimulationStatus(
        scenario="shop",
        version="0.1.0",
        seed=7,
        ready=True,
        clock=ClockStatus(mode="real", time="now", unix_s=0.0, next_delivery=None),
        connections=0,
        dropped_records=0,
        spool=None,
        nodes=nodes,
        load_balancers=(),
        traffic=(),
        flow_logs=(),
        log_service=LogServiceView(log_stores=(), shippers=(), alarm_policies=()),
    )
    print_status(msgspec.to_builtins(status))
    return capsys.readouterr().out.splitlines()


def test_each_node_has_a_line_that_fits_a_terminal(capsys: pytest.CaptureFixture[str]):
    lines = shown(capsys, node("100.126.244.190", 4194304), node("100.95.42.147", None))
    [first] = [line for line in lines if "100.126.244.190" in line]
    assert first.split() == [
        *("shared", "100.126.244.190", "4194304", "2026-03-01T08:00", "12", "1000", "1234567"),
    ]
    assert len(first.rstrip()) <= 80
    assert any("100.95.42.147" in line and "starting" in line for line in lines)


def test_the_one_node_of_a_simulator_without_others_is_not_listed(
    capsys: pytest.CaptureFixture[str],
):
    assert not any("100.95" in line for line in shown(capsys, node("100.95.42.147", 1)))
