"""Queries over HTTP: sampling, the histogram, pages, and what is refused."""

from urllib.parse import quote

import pytest
from bls_served import FROM, START_MS, TO, Served

from simulator.api.bls.results import JsonRows
from simulator.logstore import LogStoreSettings, NewRecord

RECORDS = "/v1/logstore/demo/logrecord"
RANGE = f"startDateTime={FROM}&endDateTime={TO}"


@pytest.fixture
def store(served: Served) -> Served:
    served.engine.create_log_store("default", "demo", LogStoreSettings(retention_days=-1))
    records = [NewRecord(message=f"r{n}", timestamp_ms=START_MS + n * 1000) for n in range(100)]
    served.engine.push("default", "demo", records)
    return served


async def test_histogram_has_both_spellings_of_its_statistic(store: Served) -> None:
    target = f"/v2/logstore/demo/loghistogram?project&query=match%20r5%20or%20r99&{RANGE}"
    status, answer = await store.go("GET", target)
    assert (status, answer["success"], answer["code"]) == (200, True, "OK")
    info = answer["searchInfo"]
    assert (info["queryType"], info["hits"], info["isTruncated"]) == ("match", 2, False)
    statistic = answer["searchStatistic"]
    assert answer["searchStatics"] == statistic
    assert (statistic["interval"], statistic["startTime"], statistic["endTime"]) == (
        60_000,
        FROM,
        TO,
    )
    assert len(statistic["histogram"]) == 60
    assert statistic["histogram"][1] == {
        "key": START_MS + 60_000,
        "doc_count": 1,
        "start": START_MS + 60_000,
        "end": START_MS + 120_000,
    }


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        (RANGE, 400, "InvalidParameter"),
        (f"query=match%20(&{RANGE}", 400, "InvalidParameter"),
        (f"query=match%20*&endDateTime={TO}", 400, "InvalidParameter"),
        (f"query=match%20*&project=nope&{RANGE}", 404, "LogStoreNotFound"),
    ],
)
async def test_histogram_refuses(store: Served, parameters: str, status: int, code: str) -> None:
    found = await store.go("GET", f"/v2/logstore/demo/loghistogram?{parameters}")
    assert (found[0], found[1]["code"]) == (status, code)


async def test_sample_is_drawn_by_its_seed(store: Served) -> None:
    async def sample(parameters: str) -> list[str]:
        target = f"{RECORDS}?query=match%20*&limit=1000&{RANGE}&{parameters}"
        _, answer = await store.go("GET", target)
        return [row[3] for row in answer["resultSet"]["rows"]]

    half = await sample("samplePercentage=50&sampleSeed=3")
    assert 20 < len(half) < 80
    assert await sample("samplePercentage=50&sampleSeed=3") == half
    assert await sample("samplePercentage=50&sampleSeed=4") != half
    assert len(await sample("samplePercentage=100&sampleSeed=3")) == 100
    assert len(await sample("samplePercentage=&sampleSeed")) == 100
    drawn = await sample("samplePercentage=50")
    assert 20 < len(drawn) < 80
    assert await sample("samplePercentage=50&sampleSeed") != drawn
    assert await sample("samplePercentage=50&sampleSeed=0") == (
        await sample("samplePercentage=50&sampleSeed=0")
    )


@pytest.mark.parametrize(
    "parameters", ["samplePercentage=0.5", "samplePercentage=x", "samplePercentage=50&sampleSeed=x"]
)
async def test_sampling_out_of_range_is_refused(store: Served, parameters: str) -> None:
    status, answer = await store.go("GET", f"{RECORDS}?query=match%20*&{RANGE}&{parameters}")
    assert (status, answer["code"]) == (400, "InvalidParameter")


async def test_sql_is_not_sampled(store: Served) -> None:
    query = quote("select count(*)", safe="")
    target = f"{RECORDS}?query={query}&{RANGE}&samplePercentage=10&limit=5&pageNo=3&pageSize=1"
    _, answer = await store.go("GET", target)
    assert answer["resultSet"]["rows"] == [[100]]


async def test_statement_over_http_with_a_subquery(store: Served) -> None:
    query = quote(
        "match r* | select n, histogram(n) from (select length(`@raw`) as n) group by n order by n",
        safe="",
    )
    _, answer = await store.go("GET", f"{RECORDS}?query={query}&{RANGE}")
    result = answer["resultSet"]
    assert result["queryType"] == "match_and_sql"
    assert result["columnTypes"] == ["int", "string"]
    assert result["rows"] == [[2, '{"2":10}'], [3, '{"3":90}']]


async def test_a_long_statement_is_read_whole(store: Served) -> None:
    """Four-byte characters, so that the request line is twelve times as long."""
    longest = "select '" + "\N{GRINNING FACE}" * 32_700 + "' as face limit 1"
    status, answer = await store.go("GET", f"{RECORDS}?query={quote(longest, safe='')}&{RANGE}")
    assert status == 200
    assert len(answer["resultSet"]["rows"][0][0]) == 32_700
    longer = "match " + "a" * 40_000
    status, answer = await store.go("GET", f"{RECORDS}?query={quote(longer, safe='')}&{RANGE}")
    assert (status, answer["code"]) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("1970-01-01T00:00:00Z", "2030-01-01T00:00:00Z"),
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"),
        ("0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59"),
    ],
)
async def test_a_histogram_of_all_times_is_one_that_clients_can_read(
    store: Served, start: str, end: str
) -> None:
    target = "/v2/logstore/demo/loghistogram?query=match%20*"
    status, answer = await store.go("GET", f"{target}&startDateTime={start}&endDateTime={end}")
    assert status == 200
    assert answer["searchInfo"]["hits"] == 100
    statistic = answer["searchStatistic"]
    assert 0 < statistic["interval"] < 2**31
    assert statistic["startTime"][4] == statistic["endTime"][4] == "-"
    assert sum(bucket["doc_count"] for bucket in statistic["histogram"]) == 100


async def test_large_result_is_sent_from_a_file(store: Served) -> None:
    records = [NewRecord(message="x" * 500, timestamp_ms=START_MS + n) for n in range(1000)]
    store.engine.push("default", "demo", records)
    wide = ", ".join(f"concat(`@raw`, '{n}')" for n in range(8))
    target = f"{RECORDS}?query={quote(f'select {wide} where length(`@raw`) = 500')}&{RANGE}"
    status, answer = await store.go("GET", target)
    rows = answer["resultSet"]["rows"]
    assert (status, len(rows)) == (200, 1000)
    assert rows[0] == [f"{'x' * 500}{n}" for n in range(8)]
    assert answer["resultSet"]["isTruncated"] is False


async def test_result_ends_before_it_is_too_large(
    store: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JsonRows, "most_bytes", 50)
    target = f"{RECORDS}?query={quote('select `@timestamp` as t order by t')}&{RANGE}"
    status, answer = await store.go("GET", target)
    result = answer["resultSet"]
    assert status == 200
    assert [row[0] for row in result["rows"]] == [START_MS + n * 1000 for n in range(6)]
    assert result["isTruncated"] is True
    assert "the first 6 rows" in result["truncatedReason"]
    assert answer["datasetScanInfo"]["isTruncated"] is True


async def test_result_without_rows(store: Served) -> None:
    status, answer = await store.go(
        "GET", f"{RECORDS}?query={quote('select 1 as one where 1 = 2')}&{RANGE}"
    )
    assert (status, answer["resultSet"]["rows"]) == (200, [])
    assert answer["resultSet"]["columns"] == ["one"]
