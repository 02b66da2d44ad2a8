"""What SDKs for Go, Java and TypeScript make of odd values, in their spelling."""

import json
from urllib.parse import quote

import pytest
from bls_served import FROM, START_MS, TO, Served

RECORDS = "/v1/logstore/access/logrecord"
RANGE = f"startDateTime={quote(FROM, safe='')}&endDateTime={quote(TO, safe='')}"
BARE = "project&logStreamName&query"
"""Go sends a parameter without a value for an empty text."""


@pytest.mark.parametrize("name", ["a b", "a+b", "日志", "a&b=c;d,e:f@g$h", "%41", "a%2Fb"])
async def test_names_that_nobody_has_are_not_a_wrong_signature(served: Served, name: str) -> None:
    # As net/url writes a path: what may stand in one is not escaped, but is where it is signed.
    path = quote(name, safe="$&+,:;=@")
    for method, target, code in (
        ("GET", f"/v1/project/{path}", "ProjectNotFound"),
        ("GET", f"/v1/logstore/{path}?project", "LogStoreNotFound"),
        ("DELETE", f"/v1/fastquery/{path}", "FastQueryNotFound"),
        ("GET", f"/v1/logshipper/{path}", "LogShipperNotFound"),
        ("GET", f"/v2/logstore/download/{path}", "DownloadTaskNotFound"),
    ):
        status, answer = await served.go(method, target)
        assert (status, answer["code"]) == (404, code), target


@pytest.mark.parametrize("stream", ["a b+c", "流", "a&b=c#d?", "%41"])
async def test_streams_that_nobody_has_are_empty(served: Served, stream: str) -> None:
    target = f"{RECORDS}?project&logStreamName={quote(stream, safe='')}&{RANGE}"
    status, answer = await served.go("GET", target)
    assert (status, answer["result"]) == (200, [])


async def test_go_sends_an_empty_statement_as_a_bare_parameter(served: Served) -> None:
    status, answer = await served.go("GET", f"{RECORDS}?{BARE}&{RANGE}")
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert "[query]: empty" in answer["message"]
    status, answer = await served.go("GET", f"{RECORDS}?{BARE}&startDateTime&endDateTime")
    assert (status, answer["code"]) == (400, "InvalidParameter")


@pytest.mark.parametrize("query", ["", "?&pageNo=1", "?pageNo=1&", "?order=asc&&pageNo=1"])
async def test_go_signs_a_parameter_without_a_name_that_it_does_not_send(
    served: Served, query: str
) -> None:
    # ListLogShipper of the generated SDK; the order of its parameters is any.
    target = "/v1/logshipper"
    given = [piece for piece in query[1:].split("&") if piece]
    signed = f"{target}?{'&'.join(['=', *given])}"
    status, answer = await served.go("GET", f"{target}{query}", signed_target=signed)
    assert (status, answer["totalCount"]) == (200, 0)
    status, _ = await served.go("GET", f"{target}{query}", signed_target=f"{signed}&more=1")
    assert status == 401


@pytest.mark.parametrize(
    ("paging", "count"),
    [("pageNo=0&pageSize=0", 2), ("pageNo=0&pageSize=0&limit=1", 1), ("pageNo=0&pageSize=1", 1)],
)
async def test_go_sends_zeroes_for_no_page(served: Served, paging: str, count: int) -> None:
    records = [{"message": text, "timestamp": START_MS} for text in "ab"]
    await served.go("POST", RECORDS, {"logRecords": records})
    _, answer = await served.go("GET", f"{RECORDS}?query=match%20*&{paging}&{RANGE}")
    assert len(answer["resultSet"]["rows"]) == count


async def test_go_escapes_what_html_would_take_for_its_own(served: Served) -> None:
    raw = rb'"\u003chtml\u003e\u0026\u2028\ufffd \u0000"'
    record = b'{"message":%s,"timestamp":%d,"sequence":-5}' % (raw, START_MS)
    body = b'{"logStreamName":"a//b","type":"","logRecords":[%s]}' % record
    assert (await served.go("POST", f"{RECORDS}?project", raw=body))[0] == 200
    _, answer = await served.go("GET", f"{RECORDS}?project&logStreamName=a%2F%2Fb&{RANGE}")
    message = "<html>&\u2028\ufffd \0"
    assert answer["result"] == [{"message": message, "timestamp": START_MS, "sequence": -5}]


async def test_java_sends_nulls_and_a_date_that_is_not_signed(served: Served) -> None:
    records = [{"timestamp": 0, "message": "without a time"}]
    body = {
        "requestCredentials": None,
        "project": None,
        "logStoreName": "access",
        "logStreamName": None,
        "type": None,
        "logRecords": records,
        "logTags": None,
    }
    date = {"Date": "Sun, 01 Mar 2026 00:00:00 GMT"}
    status, _ = await served.go("POST", RECORDS, body, signed=("host",), extra=date)
    assert status == 200
    status, answer = await served.go("GET", f"{RECORDS}?{RANGE}", signed=("host",), extra=date)
    assert status == 200
    assert [one["message"] for one in answer["result"]] == ["without a time"]


async def test_a_histogram_begins_and_ends_with_the_range(served: Served) -> None:
    body = {"logRecords": [{"message": "m", "timestamp": START_MS + 125_000}]}
    await served.go("POST", RECORDS, body)
    asked = "startDateTime=2026-03-01T08:02:05%2B08:00&endDateTime=2026-03-01T00:52:01Z"
    target = f"/v2/logstore/access/loghistogram?query=match%20*&{asked}"
    _, answer = await served.go("GET", target)
    statistic = answer["searchStatistic"]
    edges = (statistic["startTime"], statistic["endTime"])
    assert edges == ("2026-03-01T00:02:05Z", "2026-03-01T00:52:01Z")
    first, last = statistic["histogram"][0], statistic["histogram"][-1]
    assert (first["key"], first["doc_count"]) == (START_MS + 120_000, 1)
    assert last["end"] == START_MS + 53 * 60_000


async def test_typescript_sends_a_blank_as_plus_and_signs_it_as_a_blank(served: Served) -> None:
    # @otakustay/bce-sdk: what URLSearchParams writes, of which only host and date are signed.
    records = [{"message": text, "timestamp": START_MS} for text in ("a+b c", "a b c")]
    await served.go("POST", RECORDS, {"logRecords": records})

    async def ask(query: str, sent: str) -> tuple[int, list[str]]:
        target = f"{RECORDS}?query={{}}&{RANGE.replace('%3A', ':')}&limit=10"
        signed = target.format(quote(query, safe=""))
        status, answer = await served.go(
            "GET", target.format(sent), signed=("host", "x-bce-date"), signed_target=signed
        )
        return status, [row[3] for row in answer["resultSet"]["rows"]] if status == 200 else []

    assert await ask('match "a+b c"', "match+%22a%2Bb+c%22") == (200, ["a+b c"])
    assert await ask('match "a b c"', "match+%22a+b+c%22") == (200, ["a b c"])
    assert await ask('match "a+b c"', "match+%22a+b+c%22") == (401, [])


async def test_a_plus_that_became_a_blank_is_told_of(served: Served) -> None:
    target = f"{RECORDS}?startDateTime=2026-03-01T08:00:00+08:00&endDateTime={quote(TO)}"
    status, answer = await served.go("GET", target)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert "the + of an offset sent as %2B" in answer["message"]


async def test_the_command_line_sends_all_that_it_unfolds_as_texts(served: Served) -> None:
    # bce bls PushLogRecord --unfold --logRecords message=m timestamp=..., and so on.
    body = {"logRecords": [{"message": "12", "timestamp": str(START_MS)}]}
    assert (await served.go("POST", RECORDS, body))[0] == 200
    _, answer = await served.go("GET", f"{RECORDS}?{RANGE}")
    assert answer["result"] == [{"message": "12", "timestamp": START_MS, "sequence": 0}]
    index = {"fulltext": "true", "fields": {"n": {"type": "long", "caseSensitive": "false"}}}
    store = {"logStoreName": "unfolded", "retention": 3, "index": index}
    assert (await served.go("POST", "/v1/logstore", store))[0] == 200
    _, answer = await served.go("GET", "/v1/logstore/unfolded")
    assert answer["index"]["fulltext"] is True
    assert answer["index"]["fields"]["n"]["caseSensitive"] is False
    place = {"object": {"logStoreName": "access"}}
    policy = {
        "name": "p",
        "targets": [{"query": "match *", "startTimeOffsetMinute": "-5", **place}],
        "triggerConditions": [{"level": "INFO", "condition": "$1.__QUERYCOUNT__ > 0"}],
        "schedule": {"intervalMinute": "5"},
        "noticeRawLogs": [
            {"type": "REF", "refTarget": "1", "limit": "2", "columns": ["1"]},
            {"type": "CUSTOM", "customTarget": {"startTimeOffsetMinute": "-9", "query": "7"}},
        ],
    }
    assert (await served.go("POST", "/v1/alarm/policy", policy))[0] == 200
    _, answer = await served.go("GET", "/v1/alarm/policy?PolicyName=p")
    found = answer["policy"]
    assert found["schedule"] == {"intervalMinute": 5}
    assert found["targets"][0]["startTimeOffsetMinute"] == -5
    assert found["noticeRawLogs"] == [
        {"type": "REF", "refTarget": 1, "limit": 2, "columns": ["1"]},
        {"type": "CUSTOM", "customTarget": {"startTimeOffsetMinute": -9, "query": "7"}},
    ]


@pytest.mark.parametrize("timestamp", ["", "soon", " 1", "0x1", "一", "true", True, [1]])
async def test_other_texts_are_no_numbers(served: Served, timestamp: object) -> None:
    body = {"logRecords": [{"message": "m", "timestamp": timestamp}]}
    status, answer = await served.go("POST", RECORDS, body)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert "[logRecords[0].timestamp] expected a whole number, not" in answer["message"]


@pytest.mark.parametrize("timestamp", [1e400, "1e400", "nan", 1.5, "1.5"])
async def test_numbers_that_are_not_whole_are_refused(served: Served, timestamp: object) -> None:
    body = b'{"logRecords":[{"message":"m","timestamp":%s}]}'
    shown = "1e400" if timestamp == 1e400 else json.dumps(timestamp)
    status, answer = await served.go("POST", RECORDS, raw=body % shown.encode())
    assert (status, answer["code"]) in {(400, "InvalidParameter"), (400, "MalformedJSON")}


async def test_go_sends_a_zero_for_no_number_of_terms(served: Served) -> None:
    records = [{"message": json.dumps({"n": f"{n:02}"}), "timestamp": START_MS} for n in range(12)]
    await served.go("POST", RECORDS, {"type": "JSON", "logRecords": records})
    for size, count in ((0, 10), (11, 11)):
        body = {"field": "n", "size": size}
        status, answer = await served.go("POST", "/access/_terms_enum", body)
        assert (status, len(answer["terms"])) == (200, count)


async def test_directions_may_be_capitals(served: Served) -> None:
    records = [{"message": text, "timestamp": START_MS + n} for n, text in enumerate("ab")]
    await served.go("POST", RECORDS, {"logRecords": records})
    for sort, first in (("ASC", "a"), ("DESC", "b"), ("Asc", "a")):
        target = f"{RECORDS}?query=match%20*&sort={sort}&{RANGE}"
        _, answer = await served.go("GET", target)
        assert answer["resultSet"]["rows"][0][3] == first
    status, answer = await served.go("GET", f"{RECORDS}?query=match%20*&sort=up&{RANGE}")
    assert (status, answer["code"]) == (400, "InvalidParameter")
    task = {"logStoreName": "access", "queryStartTime": FROM, "queryEndTime": TO, "order": "ASC"}
    _, made = await served.go("POST", "/v2/logstore/download", task)
    _, found = await served.go("GET", f"/v2/logstore/download/{made['result']['uuid']}")
    assert (found["result"]["task"]["state"], found["result"]["task"]["order"]) == (
        "SUCCESS",
        "ASC",
    )


async def test_a_number_beyond_a_float_is_kept_as_it_was_pushed(served: Served) -> None:
    messages = ['{"a":1e400,"b":{"c":[-1e999]}}', '{"a":2.5,"b":{"c":[1]}}']
    records = [{"message": text, "timestamp": START_MS} for text in messages]
    body = {"type": "JSON", "logRecords": records}
    assert (await served.go("POST", RECORDS, body))[0] == 200
    _, answer = await served.go("GET", f"{RECORDS}?{RANGE}")
    assert [one["message"] for one in answer["result"]] == messages

    async def rows(statement: str) -> list[list[object]]:
        _, answer = await served.go("GET", f"{RECORDS}?query={quote(statement)}&{RANGE}")
        found: list[list[object]] = answer["resultSet"]["rows"]
        return found

    assert await rows("select sum(a), max(a), count(a)") == [[2.5, 2.5, 2]]
    assert await rows("select a, b.c where a > 2") == [["2.5", "[1]"]]
    assert await rows("select a, b.c where a is not null order by a limit 1") == [
        ["1e400", "[-1e999]"]
    ]
    assert len(await rows("match a > 2")) == 1
    search = {"query": {"range": {"a": {"gte": 2}}}, "fields": ["a"], "size": 5}
    status, answer = await served.go("POST", "/access/_async_search", search)
    assert (status, len(answer["response"]["hits"]["hits"])) == (200, 1)
    status, answer = await served.go("POST", "/access/_async_search", {"fields": ["*"]})
    assert (status, len(answer["response"]["hits"]["hits"])) == (200, 2)
