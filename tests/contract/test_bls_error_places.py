"""Each refusal of a parameter says which it was, by its place, what it was and what was expected.

Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r for how the message begins.
"""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest
from bls_served import FROM, TO, Served

FAST = {"fastQueryName": "fq", "query": "match *", "logStoreName": "access"}
BIND = {"logStoreName": "access", "scope": "EDAP"}
RANGE = f"startDateTime={FROM}&endDateTime={TO}"
INDEX = "/v1/logstore/access/index?project"
RECORDS = "/v1/logstore/access/logrecord"
TASK = "/v2/logstore/download"
LONG = "x" * 70_000
TOO_LONG = "expected at most 256 characters, not 70000"
SHIPPER = {"logShipperName": "s", "logStoreName": "access"}
DOWNLOAD = {"logStoreName": "access", "queryStartTime": FROM, "queryEndTime": TO}
VIEWED = {"name": "v", "logstores": [{"name": "access"}]}
PATTERNS = {"name": "t", "projectPatterns": ["*"], "logstorePatterns": ["*"], "priority": 1}
POLICY = {
    "name": "p",
    "targets": [
        {"query": "match *", "startTimeOffsetMinute": -5, "object": {"logStoreName": "access"}}
    ],
    "triggerConditions": [{"level": "INFO", "condition": "$1.n > 0"}],
    "schedule": {"intervalMinute": 5},
}
VIEW_CALL, TEMPLATE_CALL = (f"/v3/bls?action=CreateLogStore{kind}" for kind in ("View", "Template"))


def changed(body: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """``body`` with another value at a place such as ``targets[0].query``."""
    copied: Any = json.loads(json.dumps(body))
    *steps, last = re.findall(r"[^.\[\]]+", path)
    at = copied
    for step in steps:
        at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
    if isinstance(at, list):
        at[int(last)] = value
    else:
        at[last] = value
    return dict(copied)


Row = tuple[str, object, str]
CREATIONS: tuple[tuple[str, dict[str, Any], Sequence[Row]], ...] = (
    (
        "/v1/logstore",
        {"logStoreName": "new", "retention": 10},
        (
            ("logStoreName", "a b", "expected 1 to 128 of letters, digits, `_`, `-` and `.`, not"),
            ("retention", 3651, "expected 1 to 3650 days, or -1, not 3651"),
            ("retention", "7d", 'expected a whole number, not "7d"'),
            ("shardCount", 51, "expected 1 to 50, not 51"),
            ("maxShardCount", -1, "expected 1 to 50, not -1"),
            ("index.fields.a.type", "date", "expected one of "),
            ("index.fields.a.type", "date", 'not "date"'),
            ("index.fields.a.fields.b.type", 1, "expected a text, not 1"),
            ("index.separators", 5, "expected a text, not 5"),
        ),
    ),
    (
        "/v1/logshipper",
        {**SHIPPER, "destConfig": {"BOSPath": "logs/x/"}},
        (
            (
                "logShipperName",
                "a.b",
                'expected 1 to 63 of letters, digits, `_` and `-`, not "a.b"',
            ),
            ("startTime", "soon", 'expected a time such as 2020-01-10T13:23:34Z, not "soon"'),
            ("startTime", "2020-01-01T00:00:00Z", "expected a time at most 180 days ago and 24"),
            ("destType", "FTP", 'expected BOS or KAFKA, not "FTP"'),
            ("destConfig", [], "expected an object, not []"),
            (
                "destConfig.BOSPath",
                "No_Bucket",
                "expected bucket/directory/, at most 256 characters",
            ),
            ("destConfig.partitionFormatTS", "%S", 'with %Y %y %m %d %H %M only, not "%S"'),
            ("destConfig.maxObjectSize", -1, "expected 1 to 5242880 MB, not -1"),
            ("destConfig.maxObjectSize", "1 MB", 'expected a whole number, not "1 MB"'),
            ("destConfig.deliverInterval", 4, "expected 5 to 60 minutes, not 4"),
            ("destConfig.storageFormat", "orc", 'expected one of json, csv, parquet, not "orc"'),
            ("destConfig.compressType", "zip", 'snappy, lzop, not "zip"'),
            ("destConfig.shipperType", "xml", 'expected text or kv, not "xml"'),
            ("destConfig.fieldsName", ["a", 1], "expected a text, not 1"),
            ("destConfig.fieldsName", ["a", LONG], TOO_LONG),
            ("destConfig.fieldsType", ["long"] * 257, "expected at most 256 texts, not 257"),
            ("destConfig.selectedColumnName", LONG, "expected at most 65536 characters, not 70000"),
            ("destConfig.nullIdentifier", LONG, "expected at most 256 characters, not 70000"),
            ("destConfig.csvDelimiter", ";", 'a tab or `|`, not ";"'),
            ("destConfig.csvQuote", "''", "expected one character, or none, not \"''\""),
        ),
    ),
    (
        "/v1/alarm/policy",
        POLICY,
        (
            ("name", "", "expected 1 to 128 of letters, digits"),
            ("targets", [], "expected 1 to 3, not 0"),
            ("targets[0].query", "foo", "] at character 1: "),
            ("targets[0].query", "match (", "] at character 8: found the end"),
            ("targets[0].query", "match * | select a, count(", "] at character "),
            ("targets[0].startTimeOffsetMinute", -1441, "expected -1440 to -1, not -1441"),
            ("targets[0].endTimeOffsetMinute", -5, "expected -4 to 0, after the start, not -5"),
            ("targets[0].object", {}, "expected a LogStore, or `objects`"),
            (
                "triggerConditions[0].level",
                "BAD",
                'of INFO, WARN, CRITICAL, not "BAD"',
            ),
            ("triggerConditions[0].condition", "$1.n >", "at character"),
            (
                "triggerConditions[0].condition",
                "$2.n > 1",
                'statements from 1 to 1, not "$2.n"',
            ),
            ("schedule.intervalMinute", 1441, "expected 1 to 1440, not 1441"),
            ("schedule.intervalMinute", None, "is required, or fixTimeMinute"),
            ("schedule.fixTimeMinute", 1440, "expected 0 to 1439, not 1440"),
            ("schedule.dayOfWeek", 8, "expected 0 to 7, not 8"),
            ("groups", ["a", ""], "expected the name of a column"),
            ("pendingCount", 1001, "expected 1 to 1000, not 1001"),
            ("repeatIntervalMinute", -1, "expected 0 or more, not -1"),
            ("state", "ON", 'expected ENABLED or DISABLED, not "ON"'),
            ("notices", [{"methods": ["PIGEON"]}], "invalid enum value"),
            ("noticeRawLogs", [{"limit": 6}], "expected a whole number <= 5, not 6"),
        ),
    ),
    (
        VIEW_CALL,
        VIEWED,
        (
            ("name", "a/b", "expected 1 to 128 of letters"),
            ("logstores", [{"name": "access"}] * 2, "expected each LogStore once"),
            ("logstores[0].region", "gz", 'expected bj, the view\'s own, not "gz"'),
            ("logstores[0].extends", [{"column": "a"}], 'to 256 characters, not ""'),
            ("logstores[0].extends", [{"column": "a", "alias": "@seq"}], "every record has"),
        ),
    ),
    (
        TEMPLATE_CALL,
        PATTERNS,
        (
            ("projectPatterns", [], "expected 1 to "),
            ("logstorePatterns", ["a", "x" * 500], "expected 1 to "),
            ("template.retention", 3651, "expected 1 to 3650 days, or -1, not 3651"),
            ("template.shardCount", 51, "expected 1 to 50, not 51"),
            ("template.index.fields.a.type", "x", 'not "x"'),
            (
                "template.index",
                {"fulltext": True, "separators": "y" * 300},
                "at most 256 characters, not 300",
            ),
        ),
    ),
    (
        TASK,
        DOWNLOAD,
        (
            ("format", "xml", 'expected json or csv, not "xml"'),
            ("order", "up", 'expected asc or desc, not "up"'),
            ("limit", 1_000_001, "expected 1 to 1000000, or 0 for the most, not 1000001"),
            ("queryStartTime", "x", 'expected a time such as 2020-01-10T13:23:34Z, not "x"'),
            ("queryEndTime", FROM, f'expected a time after queryStartTime, which is {FROM}, not "'),
            ("fileDir", "nowhere/", 'expected a bucket that exists, not "nowhere"'),
            ("query", LONG, "expected at most 65536 characters, not 70000"),
            ("logStreamName", LONG, "expected at most 65536 characters, not 70000"),
        ),
    ),
    (
        "/v1/fastquery",
        FAST,
        (
            ("fastQueryName", "a b", "expected 1 to 128 of letters"),
            ("description", LONG, "expected at most 65536 characters, not 70000"),
            ("startDateTime", LONG, "expected at most 65536 characters, not 70000"),
            ("logStoreType", "TABLE", 'expected LOGSTORE or LOGSTORE_VIEW, not "TABLE"'),
        ),
    ),
    (
        "/v1/logstore/bind",
        BIND,
        (
            ("userID", LONG, TOO_LONG),
            ("scope", "", "is required"),
        ),
    ),
    ("/v1/project", {"name": "p"}, (("description", LONG, "expected at most 65536 characters"),)),
    (
        INDEX,
        {"fulltext": True},
        (
            ("separators", "x" * 257, "expected at most 256 characters, not 257"),
            ("fields.a", {"type": "text", "separators": LONG}, "expected at most 256 characters"),
            ("fields.a.type", "x", 'not "x"'),
        ),
    ),
    (
        RECORDS,
        {"logRecords": [{"message": "m"}]},
        (
            ("type", "XML", 'expected TEXT or JSON, not "XML"'),
            ("logStreamName", "a b", "expected at most 192 of letters, digits and `_-./`, not"),
            ("logRecords", [], "expected 1 to 1000 records, not 0"),
            ("logRecords[0].message", 5, "expected a text, not 5"),
            ("logRecords[0]", {}, "is required"),
            (
                "tags",
                [{"k": "a", "v": "x" * 9000}],
                "at most 8192 bytes of JSON, not 9008",
            ),
        ),
    ),
)
DEEPER = {
    ("logstores", "expected each LogStore once"): "logstores[1].name",
    ("logstores[0].extends", 'to 256 characters, not ""'): "logstores[0].extends[0].alias",
    ("logstores[0].extends", "every record has"): "logstores[0].extends[0].alias",
    ("logstorePatterns", "expected 1 to "): "logstorePatterns[1]",
    ("groups", "expected the name of a column"): "groups[1]",
    ("targets[0].object", "expected a LogStore, or `objects`"): "targets[0].object",
    ("destConfig.fieldsName", "expected a text, not 1"): "destConfig.fieldsName[1]",
    ("destConfig.fieldsName", TOO_LONG): "destConfig.fieldsName[1]",
    ("template.index", "at most 256 characters, not 300"): "template.index.separators",
    ("notices", "invalid enum value"): "notices[0].methods[0]",
    ("noticeRawLogs", "expected a whole number <= 5, not 6"): "noticeRawLogs[0].limit",
    ("fields.a", "expected at most 256 characters"): "fields.a.separators",
    ("logRecords[0]", "is required"): "logRecords[0].message",
}
"""Where what is wrong is within what was changed."""
NAMED = [
    ("POST", "/v1/project/list", {"pageNo": -1}, "pageNo", "expected 1 or more, not -1"),
    ("POST", "/v1/project/list", {"pageSize": -1}, "pageSize", "not -1"),
    ("GET", "/v1/fastquery?pageNo=x", None, "pageNo", 'expected a whole number from 0 to'),
    ("GET", "/v1/logshipper?pageSize=9", None, "pageSize", "expected 10 to 100, not 9"),
    ("POST", "/v3/bls?action=Nothing", {}, "action", 'DescribeLogStoreViews, not "Nothing"'),
    ("GET", f"{RECORDS}?{RANGE}&marker=x", None, "marker", 'one that was handed out, not "x"'),
    ("GET", f"{RECORDS}?{RANGE}&limit=1001", None, "limit", 'number from 0 to 1000, not "1001"'),
    ("GET", f"{RECORDS}?{RANGE}&query=match%20*&sort=up", None, "sort", 'asc or desc, not "up"'),
    ("GET", f"{RECORDS}?{RANGE}&query=match%20*&samplePercentage=0", None, "samplePercentage",
     'expected a number from 1 to 100, not "0"'),
    ("GET", f"{RECORDS}?{RANGE}&query=match%20*&sampleSeed=x", None, "sampleSeed", 'not "x"'),
    ("GET", f"{RECORDS}?startDateTime=x&endDateTime={TO}", None, "startDateTime", 'not "x"'),
    ("GET", f"{RECORDS}?startDateTime={TO}&endDateTime={FROM}", None, "endDateTime",
     f"expected a time after startDateTime, which is {TO}, not"),
    ("GET", f"{RECORDS}?{RANGE}&logStoreType=x", None, "logStoreType", 'LOGSTORE_VIEW, not "x"'),
    ("GET", "/v1/logstore/access?logStoreType=LOGSTORE_VIEW", None, "logStoreType",
     "expected LOGSTORE: a view can be"),
    ("DELETE", "/v1/project/default", None, "uuid", "other than the default one"),
    ("PUT", "/v1/logshipper/status/batch", {"logShipperIDs": ["a"], "status": "On"},
     "desiredStatus", 'expected Running or Paused, not "On"'),
    ("POST", "/v1/logstore/batch", {"logStores": [{}] * 101}, "logStores", "at most 100, not 101"),
]  # fmt: skip


async def refused(
    served: Served, method: str, target: str, body: object, parameter: str, words: str
) -> None:
    status, answer = await served.go(method, target, body)
    assert (status, answer["code"]) == (400, "InvalidParameter"), (target, parameter, answer)
    assert answer["message"].startswith(f"Request param invalid: [{parameter}]")
    assert words in answer["message"]


@pytest.mark.parametrize(("target", "body", "rows"), CREATIONS, ids=[one[0] for one in CREATIONS])
async def test_a_body_is_refused_by_the_place_in_it(
    served: Served, target: str, body: dict[str, Any], rows: Sequence[Row]
) -> None:
    for path, value, words in rows:
        place = DEEPER.get((path, words), path)
        await refused(served, "POST", target, changed(body, path, value), place, words)


async def test_a_parameter_of_an_address_or_a_list_is_refused_by_its_name(served: Served) -> None:
    for method, target, body, parameter, words in NAMED:
        await refused(served, method, target, body, parameter, words)


async def test_what_is_shown_of_a_parameter_is_text_and_short(served: Served) -> None:
    raw = b'{"logShipperName": "\\ud800' + b"x" * 70_000 + b'"}'
    for target in ("/v1/logshipper", "/v1/project", "/v1/fastquery"):
        for name in ("logShipperName", "name", "fastQueryName"):
            sent = raw.replace(b"logShipperName", name.encode())
            status, answer = await served.go("POST", target, raw=sent)
            assert status == 400
            assert len(answer["message"]) < 400
