"""SDKs stamp with the machine's clock; the simulation may be of another day."""

from datetime import UTC, datetime

import pytest
from bls_served import START_S, Served

from simulator.clock import wall_time

DAY_S = 86_400
RECORDS = "/v1/logstore/access/logrecord"
SHIPPER = {"logShipperName": "s", "logStoreName": "access", "destConfig": {"BOSPath": "logs/"}}


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.fixture(params=[-400, 0, 400], ids=["a year ago", "the same day", "a year on"])
def machine_s(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> float:
    """What the machine's clock says, in days from the simulation."""
    at = float(START_S + request.param * DAY_S)
    monkeypatch.setattr("simulator.logstore.client_time.wall_time", lambda: at)
    return at


async def test_records_may_carry_the_time_of_either_clock(served: Served, machine_s: float) -> None:
    named = [START_S, machine_s, (START_S + machine_s) / 2, max(START_S, machine_s) + DAY_S - 1]
    for at in named:
        body = {"logRecords": [{"message": f"at {at:.0f}", "timestamp": int(at * 1000)}]}
        assert (await served.go("POST", RECORDS, body))[0] == 200
        span = f"startDateTime={iso(at)}&endDateTime={iso(at + 1)}"
        _, pulled = await served.go("GET", f"{RECORDS}?{span}")
        kept = at >= START_S - DAY_S  # the LogStore's retention goes by the simulated clock
        assert (f"at {at:.0f}" in [one["message"] for one in pulled["result"]]) is kept
    late = int((max(served.clock.time(), machine_s) + DAY_S + 1) * 1000)
    body = {"logRecords": [{"message": "late", "timestamp": late}]}
    status, answer = await served.go("POST", RECORDS, body)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert "timestamp" in answer["message"]


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [record.getMessage() for record in caplog.records if "remarks" in record.name]
    caplog.clear()
    return found


@pytest.mark.parametrize("read", [RECORDS, "/v3/logstore/access/logrecord/pull"])
async def test_the_terminal_says_why_the_hour_of_the_machine_is_empty(
    served: Served, caplog: pytest.LogCaptureFixture, read: str
) -> None:
    wall = wall_time()
    around = f"startDateTime={iso(wall - 3600)}&endDateTime={iso(wall + 60)}"
    simulated = f"startDateTime={iso(START_S)}&endDateTime={iso(START_S + 60)}"
    _, answer = await served.go("GET", f"{read}?{simulated}")
    assert (answer["result"], said(caplog)) == ([], [])
    for _ in range(2):  # said once a minute
        assert (await served.go("GET", f"{read}?{around}"))[1]["result"] == []
    [text] = said(caplog)
    assert text.startswith(f"default/access has nothing from {iso(wall - 3600)} to ")
    assert text.endswith(f"simulated time, which flow logs go by, is {iso(served.clock.time())}")


async def test_the_terminal_says_that_a_range_is_still_to_come(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    at = served.clock.time()
    local = f"startDateTime={iso(at + 7 * 3600)}&endDateTime={iso(at + 8 * 3600)}"
    await served.go("GET", f"{RECORDS}?{local}")
    [text] = said(caplog)
    assert text.endswith(f"still to come; times without an offset are UTC, and it is {iso(at)}")


async def test_a_query_of_records_that_finds_none_of_them_is_no_wrong_range(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    wall = wall_time()
    around = f"startDateTime={iso(wall - 3600)}&endDateTime={iso(wall + 60)}"
    body = {"logRecords": [{"message": "here", "timestamp": int(wall * 1000)}]}
    await served.go("POST", RECORDS, body)
    await served.go("GET", f"{RECORDS}?{around}&query=match%20elsewhere")
    assert said(caplog) == []
    earlier = f"startDateTime={iso(wall - 3600)}&endDateTime={iso(wall - 60)}"
    await served.go("GET", f"{RECORDS}?{earlier}&query=select%20count(*)")
    assert len(said(caplog)) == 1


@pytest.mark.parametrize("index", ["access", "acc*"])
async def test_the_terminal_says_the_same_of_elasticsearch_compatible_searches(
    served: Served, caplog: pytest.LogCaptureFixture, index: str
) -> None:
    async def search(*bounds: object, **more: object) -> None:
        musts = [{"range": {"@timestamp": bound}} for bound in bounds]
        body = {"query": {"bool": {"filter": musts}}, **more}
        assert (await served.go("POST", f"/{index}/_async_search", body))[0] == 200

    wall = wall_time()
    await search({"gte": iso(wall - 3600), "lte": iso(wall)}, size=0)
    [text] = said(caplog)
    assert text.startswith(f"{index} has nothing from {iso(wall - 3600)} to {iso(wall)}, around")
    assert text.endswith(f"simulated time, which flow logs go by, is {iso(served.clock.time())}")
    await search({"gte": iso(wall - 3600), "lte": iso(wall)})  # said once a minute
    assert said(caplog) == []


async def test_a_search_that_finds_none_of_the_records_of_a_range_is_no_wrong_range(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    wall = wall_time()
    body = {"logRecords": [{"message": "here", "timestamp": int(wall * 1000)}]}
    await served.go("POST", RECORDS, body)
    around = {"range": {"@timestamp": {"gte": iso(wall - 3600)}}}
    for other in ({"match": {"@raw": "elsewhere"}}, {"match_all": {}}):
        query = {"query": {"bool": {"filter": [around, other]}}, "size": 0}
        assert (await served.go("POST", "/access/_async_search", query))[0] == 200
    query = {"query": {"bool": {"should": [around, {"match": {"@raw": "elsewhere"}}]}}}
    assert (await served.go("POST", "/access/_async_search", query))[0] == 200
    assert said(caplog) == []
    later = {"range": {"@timestamp": {"gt": iso(wall + 60)}}}
    assert (await served.go("POST", "/access/_async_search", {"query": later}))[0] == 200
    [text] = said(caplog)
    assert text.startswith(f"access has nothing from {iso(wall + 61)[:-4]}")


async def test_the_terminal_says_that_a_record_is_too_old_to_be_read(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def body(timestamp: int) -> object:
        return {"logRecords": [{"message": "m"}, {"message": "m", "timestamp": timestamp}]}

    await served.go("POST", RECORDS, body(START_S * 1000))
    assert said(caplog) == []
    await served.go("POST", RECORDS, body(START_S))
    [text] = said(caplog)
    assert text.startswith(f"default/access took a record of {iso(START_S / 1000)} (timestamp")
    assert text.endswith("; timestamps are milliseconds")
    await served.go("POST", RECORDS, body(START_S))
    assert said(caplog) == []


async def test_shippers_may_start_by_either_clock(served: Served, machine_s: float) -> None:
    for at in (served.clock.time(), machine_s, machine_s - 179 * DAY_S):
        body = {**SHIPPER, "startTime": iso(at)}
        assert (await served.go("POST", "/v1/logshipper", body))[0] == 200
    now = served.clock.time()
    for at in (max(now, machine_s) + DAY_S + 1, min(now, machine_s) - 181 * DAY_S):
        status, answer = await served.go(
            "POST", "/v1/logshipper", {**SHIPPER, "startTime": iso(at)}
        )
        assert (status, answer["code"]) == (400, "InvalidParameter")
        assert "startTime" in answer["message"]
