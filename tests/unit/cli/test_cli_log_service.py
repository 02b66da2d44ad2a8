"""What ``blbsim status`` shows of the log service where something is wrong."""

import pytest

from simulator.api.simulation import AlarmPolicyView, LogServiceView, LogStoreStatus, ShipperView
from simulator.cli.tables import PlainConsole, print_log_service


def test_what_is_stopped_failing_or_not_counted_is_told(capsys: pytest.CaptureFixture[str]):
    service = LogServiceView(
        log_stores=(
            LogStoreStatus(
                project="web",
                name="access",
                state="stopped",
                index="off",
                records=None,
                oldest=None,
                newest=None,
            ),
        ),
        shippers=(
            ShipperView(
                name="s",
                shipper_id="id",
                project="web",
                log_store="access",
                bucket="b",
                status="Abnormal",
                last_run_at=None,
                records=None,
                error="no such bucket",
            ),
        ),
        alarm_policies=(
            AlarmPolicyView(name="p", state="alert", error="stopped", alarms=2, evaluated_at=None),
        ),
    )
    print_log_service(PlainConsole(), service)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "web/access (stopped) ? - - off" in lines
    assert "s web/access, b Abnormal - ?" in lines
    assert "log shipper s: no such bucket" in lines
    assert "alarm policy p: alert, 2 open alarms, evaluated -, in vain: stopped" in lines
