"""``faults`` in a scenario: what is read, and what is refused where."""

from math import inf
from pathlib import Path

import pytest

from simulator.errors import ScenarioError
from simulator.model.faults import Condition, DestinationKind, FaultKind
from simulator.scenario import load_scenario

HEAD = """\
version: 1
backends: {web: {}}
load_balancers: [{name: shop, listeners: [{protocol: HTTP, port: 80, to: web}]}]
buckets: [shop-logs]
flow_logs: [{name: archive, load_balancer: shop, to: {bucket: shop-logs}}]
"""


def load(tmp_path: Path, faults: str):
    path = tmp_path / "scenario.yaml"
    path.write_text(f"{HEAD}faults:\n{faults}", encoding="utf-8")
    return load_scenario(path)


def problems(tmp_path: Path, faults: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(tmp_path, faults)
    return [str(problem).partition("yaml:")[2] for problem in caught.value.problems]


def test_a_fault_with_everything(tmp_path: Path) -> None:
    (fault,) = load(
        tmp_path,
        "  - {fault: F-LATE, name: slow, at: 1m, for: 5m, share: 10%, flow_log: archive,"
        " node: 100.64.0.1, to: bucket, where: {response_status: '>= 500', host: 'shop*'},"
        " by: batch, extra: 5m..20m}\n",
    ).faults
    assert (fault.name, fault.kind, fault.share) == ("slow", FaultKind.LATE, 0.1)
    assert (fault.from_at, fault.until_at) == (60.0, 360.0)
    assert (fault.flow_log, fault.node) == ("archive", "100.64.0.1")
    assert fault.destination is DestinationKind.BUCKET
    assert fault.where == (
        Condition(field="response_status", operator=">=", value="500"),
        Condition(field="host", operator="=", value="shop*"),
    )
    assert (fault.text("by"), fault.range("extra")) == ("batch", (300.0, 1200.0))


def test_what_is_not_said_is_the_kinds_default(tmp_path: Path) -> None:
    late, other, skew = load(
        tmp_path, "  - {fault: f-late}\n  - {fault: F-LATE}\n  - {fault: F-SKEW, offset: -90s}\n"
    ).faults
    assert [late.name, other.name, skew.name] == ["f-late", "f-late-2", "f-skew"]
    assert (late.from_at, late.until_at, late.share, late.where) == (0.0, inf, 1.0, ())
    assert late.range("extra") == (300.0, 3600.0)
    assert (skew.number("offset"), skew.flag("timestamp")) == (-90.0, True)


def test_everything_wrong_is_told_at_once(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "  - {fault: F-LAT}\n"
        "  - {fault: F-SKIP}\n"
        "  - {fault: F-DUP, copies: 0, share: 2, extra: 1m, flow_log: l7}\n"
        "  - {fault: F-GAP, name: g, for: 0s, where: {respons_status: 5, vport: '> x'}, by: all}\n"
        "  - {fault: F-CUTFIELD, name: g, field: http_user_agentt}\n"
        "  - {fault: READ-SLOW, node: a}\n"
        "  - {fault: F-TZ, zone: UTC}\n",
    ) == [
        "7:13 faults[0].fault: there is no fault 'F-LAT'; did you mean 'F-LATE'?",
        "8:13 faults[1].fault: F-SKIP is of layer-4 records, which are not simulated yet",
        "9:28 faults[2].copies: 0 is out of range; expected 1 to 1000000000",
        "9:38 faults[2].share: '2' has no unit; expected a percentage such as 0.5%",
        "9:41 faults[2].extra: unknown key 'extra'; expected one of fault, name, at, for, share, "
        "where, flow_log, node, to, by, copies, after",
        "9:62 faults[2].flow_log: no flow log is named 'l7'; expected archive",
        "10:34 faults[3].for: 0s is no time at all; expected more than 0s",
        "10:46 faults[3].where.respons_status: a record has no field 'respons_status'; "
        "did you mean 'response_status'?",
        "10:72 faults[3].where.vport: '> x' compares with no number; expected one such as '> 500'",
        "10:84 faults[3].by: 'all' is unknown; expected record or batch or node",
        "11:31 faults[4].name: duplicate name 'g'; line 10 has a fault of that name already",
        "11:41 faults[4].field: a record has no field 'http_user_agentt'; "
        "did you mean 'http_user_agent'?",
        "12:24 faults[5].node: unknown key 'node'; expected one of fault, name, at, for, share, "
        "api, operation, takes",
        "13:25 faults[6].zone: 'UTC' will not do; expected an offset such as +0000 or -0330",
    ]


def test_a_condition_compares_numbers_and_text() -> None:
    record = {"response_status": 502, "host": "shop.example.com", "upstream_response_time": "-"}

    def holds(field: str, operator: str, value: str) -> bool:
        return Condition(field=field, operator=operator, value=value).matches(record)

    assert holds("response_status", ">=", "500")
    assert not holds("response_status", "<", "500")
    assert holds("response_status", "=", "502")
    assert holds("host", "=", "shop.*")
    assert holds("host", "!=", "cart.*")
    assert not holds("upstream_response_time", ">", "0")
    assert not holds("no_such", "!=", "x")
