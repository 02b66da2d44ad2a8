"""Everything that BLS keeps, in unusual values, is described the same after a restart."""

from pathlib import Path
from typing import Any

from worlds import call, up

from simulator.world import World

SCENARIO = """\
version: 1
seed: 7
clock: {mode: manual, start: "2026-03-01T08:00:00+08:00"}
account: {auth: off}
log_stores: [{name: access}]
buckets: [shop-logs]
"""
ODD = "日本 \"'\\\u0000\n\u2028 🎉 %2F ../.. $1"
FROM, TO = "2026-02-28T00:00:00Z", "2026-03-01T02:00:00Z"
VIEWS, TEMPLATES = "/v3/bls?action=%sLogStoreView", "/v3/bls?action=%sLogStoreTemplate"
INDEX = {
    "fulltext": True,
    "caseSensitive": True,
    "includeChinese": True,
    "separators": ODD,
    "fields": {
        ODD: {"type": "long", "caseSensitive": True},
        "o": {
            "type": "object",
            "dynamicMapping": True,
            "fields": {"x.y": {"type": "text", "separators": "/", "includeChinese": True}},
        },
    },
}
STORE = {
    "project": "p.-_",
    "logStoreName": "S.-_",
    "retention": 3650,
    "tags": [{"tagKey": "k 日/.", "tagValue": ""}, {"tagKey": "k 日/.", "tagValue": "twice"}],
    "enableHotRetention": True,
    "hotRetention": 3649,
    "shardCount": 50,
    "maxShardCount": 1,
    "disableShardAutoSplit": True,
    "index": INDEX,
    "indexEnabled": False,
}
OBJECT = {"project": "p.-_", "logStoreName": "S.-_"}
SHIPPER = {
    **OBJECT,
    "logShipperName": "s",
    "startTime": "2026-03-01T00:00:00.5+00:00",
    "destConfig": {
        "BOSPath": "/shop-logs/日本/",
        "partitionFormatTS": "日%Y%%",
        "partitionFormatLogStream": True,
        "maxObjectSize": 5 * 1024 * 1024,
        "compressType": "LZOP",
        "deliverInterval": 60,
        "storageFormat": "CSV",
        "shipperType": "kv",
        "fieldsName": [ODD, "b"],
        "fieldsType": ["LONG"],
        "csvHeadline": True,
        "csvDelimiter": "\t",
        "csvQuote": "\u0000",
        "nullIdentifier": ODD,
        "selectedColumnName": " a ,日",
        "selectedColumnType": "BigInt,string",
    },
}
TASK = {
    **OBJECT,
    "name": "n 日",
    "logStreamName": "",
    "query": "",
    "queryStartTime": FROM,
    "queryEndTime": TO,
    "format": "csv",
    "limit": 0,
    "order": "asc",
}
POLICY = {
    "name": "a.-_",
    "targets": [
        {
            "query": "select count(*) as `日`",
            "startTimeOffsetMinute": -1440,
            "endTimeOffsetMinute": -1439,
            "object": OBJECT,
        }
    ],
    "triggerConditions": [{"level": "CRITICAL", "condition": "[$1.日] >= 0 && 1e300 > -1"}],
    "groups": ["日"],
    "schedule": {"intervalMinute": 5},
    "pendingCount": 1,
    "repeatIntervalMinute": 2**40,
    "recoverWithoutNotice": True,
    "notices": [{"name": ODD, "methods": ["SMS"], "deep": [[[{"x": 1e300}]]]}],
    "noticeState": "DISABLED",
}
MADE: list[tuple[str, str, dict[str, Any]]] = [
    *(("POST", "/v1/project", {"name": name, "description": ODD}) for name in ("p.-_", "q", "r")),
    ("PUT", "/v1/project", {"uuid": "p.-_", "description": ODD * 2, "top": True}),
    ("POST", "/v1/logstore", STORE),
    ("POST", "/v1/logstore", {**OBJECT, "logStoreName": "second", "retention": -1}),
    ("POST", "/v1/logstore/bind", {**OBJECT, "scope": ODD, "subScope": ODD, "id": "i"}),
    (
        "POST",
        "/v1/logstore/S.-_/logrecord?project=p.-_",
        {
            "type": "JSON",
            "logStreamName": "a/..//-_.",
            "logRecords": [{"message": '{"日": 18446744073709551616, "": null}', "sequence": -1}],
            "tags": [{"k": ODD, "v": ODD}],
        },
    ),
    (
        "POST",
        VIEWS % "Create",
        {
            "name": "v",
            "logstores": [{**OBJECT, "name": "S.-_", "extends": [{"column": ODD, "alias": "日"}]}],
        },
    ),
    (
        "POST",
        "/v1/fastquery",
        {
            **OBJECT,
            "fastQueryName": "f.-_",
            "query": ODD,
            "description": ODD,
            "startDateTime": ODD,
        },
    ),
    (
        "POST",
        TEMPLATES % "Create",
        {
            "name": "t",
            "projectPatterns": [ODD, "*"],
            "logstorePatterns": ["[x]?"],
            "priority": 2**70,
            "template": {"retention": -1, "index": INDEX},
        },
    ),
    ("POST", "/v1/logshipper", SHIPPER),
    ("POST", "/v1/logshipper", {**SHIPPER, "logShipperName": "gone"}),
    ("POST", "/v2/logstore/download", {**TASK, "fileDir": ""}),
    ("POST", "/v2/logstore/download", {**TASK, "fileDir": "shop-logs/日本//x"}),
    ("POST", "/v2/logstore/download", {**TASK, "query": f"nonsense {ODD}", "format": ""}),
    ("POST", "/v1/alarm/policy", POLICY),
]
LISTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/project/list", {"order": "asc"}),
    ("POST", "/v1/logstore/list", {"order": "asc"}),
    ("POST", "/v1/logstore/list", {"bindingResources": [{"scope": "日本"}]}),
    ("GET", "/v1/logstore/S.-_?project=p.-_", None),
    ("GET", "/v1/logstore/S.-_/logstream?project=p.-_", None),
    (
        "GET",
        f"/v1/logstore/v/logrecord?logStoreType=LOGSTORE_VIEW&startDateTime={FROM}&endDateTime={TO}",
        None,
    ),
    ("POST", VIEWS % "Describe" + "s", {}),
    ("GET", "/v1/fastquery", None),
    ("POST", TEMPLATES % "Describe" + "s", {}),
    ("GET", "/v1/logshipper", None),
    ("POST", "/v2/logstore/download/list", {"order": "asc"}),
    ("POST", "/v1/alarm/policy/list", {}),
    ("POST", "/v1/alarm/record/list", {}),
    ("POST", "/v1/alarm/execution/list", {}),
]


async def described(world: World, shippers: list[str]) -> list[dict[str, Any]]:
    lists = [*LISTS, *(("GET", f"/v1/logshipper/{id_}", None) for id_ in shippers)]
    found = []
    for method, path, body in lists:
        status, answer = await call(world, method, path, body)
        assert status == 200, (path, answer)
        found.append(answer)
    return found


def items(answer: dict[str, Any]) -> list[Any]:
    """Those of a list; the tags of a LogStore."""
    result = answer.get("result", answer)
    return (
        result
        if isinstance(result, list)
        else next(value for value in result.values() if isinstance(value, list))
    )


async def test_everything_is_described_the_same_after_a_restart(tmp_path: Path) -> None:
    shippers: list[str] = []
    async with up(tmp_path, SCENARIO) as world:
        for method, path, body in MADE:
            status, answer = await call(world, method, path, body)
            assert status in {200, 201}, (path, body, answer)
            shippers += [answer["logShipperID"]] if "logShipperID" in answer else []
        await call(world, "DELETE", f"/v1/logshipper/{shippers[1]}")
        paused = {"desiredStatus": "Paused"}
        await call(world, "PUT", f"/v1/logshipper/{shippers[0]}/status", paused)
        await world.advance(600.0)
        before = await described(world, shippers)
        at = world.clock.time()
    async with up(tmp_path, SCENARIO) as world:
        assert world.clock.time() == at
        assert await described(world, shippers) == before
    assert [len(items(answer)) for answer in before[: len(LISTS)]] == [
        *(3, 3, 1, 2, 1, 1, 1, 1, 1, 1, 3, 1, 1, 2)
    ]
