"""Log shippers, as the Go SDK's own tests ask for them, and what they really put into buckets."""

import bz2
import gzip
import json
from pathlib import Path

import cramjam
import duckdb
import pytest
from bls_served import Served
from lzallright import LZOCompressor

from simulator.errors import ControlError
from simulator.logstore import (
    NewRecord,
    RecordType,
    Selection,
)

SHIPPER = "/v1/logshipper"
DONE = (200, {"success": True, "code": "OK", "message": ""})
GO_CONFIG = {
    "BOSPath": "logs/sdk-test/",
    "partitionFormatTS": "",
    "partitionFormatLogStream": False,
    "maxObjectSize": 0,
    "compressType": "",
    "deliverInterval": 0,
    "storageFormat": "",
    "shipperType": "",
    "csvHeadline": False,
    "csvDelimiter": "",
    "csvQuote": "",
    "nullIdentifier": "",
    "selectedColumnName": "",
    "selectedColumnType": "",
}
EVERYTHING = Selection(start_ms=0, end_ms=2**53)
LINES = ['{"status":200,"host":"a,b","cost":0.5}', '{"status":404,"up":{"n":true}}']
NAME = "access_{id}_20260301081000_0"
"""The window begins at 00:10 UTC, which is 08:10 in Shanghai."""


async def create(served: Served, **config: object) -> str:
    body = {
        "logShipperName": "s",
        "project": "",
        "logStoreName": "access",
        "startTime": "",
        "destType": "",
        "destConfig": GO_CONFIG | config,
    }
    status, answer = await served.go("POST", SHIPPER, body)
    assert status == 200, answer
    return str(answer["logShipperID"])


def push(
    served: Served, *messages: str, stream: str = "", tags: dict[str, str] | None = None
) -> None:
    records = [NewRecord(message=message) for message in messages]
    served.engine.push(
        "default", "access", records, stream=stream, record_type=RecordType.JSON, tags=tags
    )


async def test_a_shipper_lives_as_the_sdk_tests_say(served: Served) -> None:
    id_ = await create(served, storageFormat="JSON", maxObjectSize=10)
    assert len(id_) == 24
    assert id_.isalnum()
    assert (await served.go("GET", f"{SHIPPER}/{id_}/record?sinceHours=480"))[1]["result"] == []
    assert (
        await served.go(
            "PUT",
            f"{SHIPPER}/{id_}",
            {
                "logShipperName": "new",
                "destConfig": {**GO_CONFIG, "BOSPath": "", "csvHeadline": True},
            },
        )
    ) == DONE
    assert (await served.go("PUT", f"{SHIPPER}/{id_}", {"destConfig": None})) == DONE
    status, found = await served.go("GET", f"{SHIPPER}/{id_}")
    assert status == 200
    assert found == {
        "success": True,
        "code": "OK",
        "status": "Running",
        "errMessage": "",
        "logShipperName": "new",
        "project": "default",
        "logStoreName": "access",
        "startTime": "2026-03-01T00:10:00Z",
        "destType": "BOS",
        "destConfig": {
            "BOSPath": "logs/sdk-test/",
            "partitionFormatTS": "%Y/%m/%d/%H/%M/",
            "partitionFormatLogStream": False,
            "maxObjectSize": 10,
            "compressType": "none",
            "deliverInterval": 5,
            "storageFormat": "JSON",
            "shipperType": "text",
            "fieldsName": [],
            "fieldsType": [],
            "csvHeadline": True,
            "csvDelimiter": ",",
            "csvQuote": "",
            "nullIdentifier": "",
            "selectedColumnName": "",
            "selectedColumnType": "",
        },
    }
    _, listed = await served.go("GET", f"{SHIPPER}?=&project=default&logStoreName=acc&pageSize=10")
    assert listed["totalCount"] == 1
    assert listed["result"] == [
        {
            "logShipperID": id_,
            "logShipperName": "new",
            "project": "default",
            "logStoreName": "access",
            "destType": "BOS",
            "status": "Running",
            "errMessage": "",
            "createDateTime": "2026-03-01T00:10:00Z",
        }
    ]
    target = f"{SHIPPER}/{id_}/status"
    assert (await served.go("PUT", target, {"logShipperID": id_, "status": "Paused"})) == DONE
    assert (await served.go("GET", f"{SHIPPER}/{id_}"))[1]["status"] == "Paused"
    assert (await served.go("PUT", target, {"desiredStatus": "Running"})) == DONE
    batch = {"logShipperIDs": [id_, "unknown"], "desiredStatus": "Paused"}
    assert (await served.go("PUT", f"{SHIPPER}/status/batch", batch)) == DONE
    _, listed = await served.go("GET", f"{SHIPPER}?status=Paused&logShipperID={id_[3:9]}")
    assert listed["totalCount"] == 1
    assert (await served.go("DELETE", f"{SHIPPER}/{id_}")) == DONE
    assert (await served.go("GET", f"{SHIPPER}/{id_}"))[1]["status"] == "Deleted"
    assert (await served.go("GET", SHIPPER))[1]["totalCount"] == 0
    for method, body in (("DELETE", None), ("PUT", {"logShipperName": "x"})):
        status, answer = await served.go(method, f"{SHIPPER}/{id_}", body)
        assert (status, answer["code"]) == (404, "LogShipperNotFound")


async def test_bulk_delete_takes_a_body_and_a_deleted_store_ends_its_shippers(
    served: Served,
) -> None:
    ids = [await create(served) for _ in range(3)]  # of one name, which is allowed
    assert (await served.go("DELETE", SHIPPER, {"logShipperIDs": [*ids[:1], "no"]})) == DONE
    assert [one.id for one in served.engine.shippers.list_all()] == ids[1:]
    assert (await served.go("DELETE", "/v1/logstore/access?project"))[0] == 200
    assert served.engine.shippers.list_all() == []
    assert (await served.go("GET", f"{SHIPPER}/{ids[2]}"))[1]["status"] == "Deleted"


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"logStoreName": "gone"}, 404, "LogStoreNotFound"),
        ({"logStoreName": "gone", "destConfig": {}}, 400, "InvalidParameter"),
        ({"destConfig": None}, 400, "InvalidParameter"),
        ({"logShipperName": "a.b"}, 400, "InvalidParameter"),
        ({"logShipperName": "a" * 64}, 400, "InvalidParameter"),
        ({"destType": "KAFKA"}, 501, "NotImplemented"),
        ({"destType": "FTP"}, 400, "InvalidParameter"),
        ({"startTime": "2025-08-01T00:00:00Z"}, 400, "InvalidParameter"),
        ({"startTime": "9999-01-01T00:00:00Z"}, 400, "InvalidParameter"),
        ({"startTime": "soon"}, 400, "InvalidParameter"),
        ({"destConfig": {"BOSPath": "No_Bucket/x"}}, 400, "InvalidParameter"),
        ({"destConfig": {"BOSPath": "logs/" + "x" * 256}}, 400, "InvalidParameter"),
        ({"destConfig": {"BOSPath": "logs/a\nb/"}}, 400, "InvalidParameter"),
        *(
            ({"destConfig": {"BOSPath": "logs/x", **config}}, 400, "InvalidParameter")
            for config in (
                {"partitionFormatTS": "%Y/%S"},
                {"maxObjectSize": -1},
                {"deliverInterval": 4},
                {"deliverInterval": 61},
                {"storageFormat": "orc"},
                {"compressType": "zip"},
                {"shipperType": "xml"},
                {"shipperType": "kv"},
                {"shipperType": "kv", "fieldsName": ["a"], "fieldsType": ["string", "long"]},
                {"shipperType": "kv", "fieldsName": ["a"], "fieldsType": ["date"]},
                {"storageFormat": "csv"},
                {"storageFormat": "csv", "selectedColumnName": "a,a"},
                {"storageFormat": "csv", "selectedColumnName": "a", "csvDelimiter": ";"},
                {"storageFormat": "csv", "selectedColumnName": "a", "csvQuote": "''"},
                {"storageFormat": "parquet", "selectedColumnName": "a"},
                *(
                    {
                        "storageFormat": "parquet",
                        "selectedColumnName": "a",
                        "selectedColumnType": "long",
                        "compressType": packed,
                    }
                    for packed in ("bzip2", "lzop")
                ),
            )
        ),
    ],
)
async def test_refused_shippers(
    served: Served, changes: dict[str, object], status: int, code: str
) -> None:
    body = {"logShipperName": "s", "logStoreName": "access", "destConfig": GO_CONFIG} | changes
    got, answer = await served.go("POST", SHIPPER, body)
    assert (got, answer["code"]) == (status, code)
    assert served.engine.shippers.list_all() == []


@pytest.mark.parametrize("body", [{"desiredStatus": "Abnormal"}, {"desiredStatus": "Deleted"}, {}])
async def test_only_running_and_paused_can_be_set(served: Served, body: object) -> None:
    id_ = await create(served)
    status, answer = await served.go("PUT", f"{SHIPPER}/{id_}/status", body)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    status, answer = await served.go("PUT", f"{SHIPPER}/none/status", {"status": "Paused"})
    assert (status, answer["code"]) == (404, "LogShipperNotFound")
    for size, expected in ((9, 400), (10, 200), (100, 200), (101, 400)):
        assert (await served.go("GET", f"{SHIPPER}?pageSize={size}"))[0] == expected


def first_snappy(packed: bytes) -> bytes:
    """The first block of a file in Hadoop's framing."""
    return bytes(cramjam.snappy.decompress_raw(packed[8:]))


def first_lzop(packed: bytes) -> bytes:
    """The first block of a file of lzop, behind its header of 38 bytes."""
    return LZOCompressor.decompress(packed[50:-4], int.from_bytes(packed[38:42]))


@pytest.mark.parametrize(
    ("config", "extension", "unpack", "text"),
    [
        ({}, "log", bytes, "\n".join(LINES) + "\n"),
        ({"compressType": "gzip"}, "log.gz", gzip.decompress, "\n".join(LINES) + "\n"),
        ({"compressType": "bzip2"}, "log.bz2", bz2.decompress, "\n".join(LINES) + "\n"),
        ({"compressType": "snappy"}, "log.snappy", first_snappy, "\n".join(LINES) + "\n"),
        ({"compressType": "lzop"}, "log.lzo", first_lzop, "\n".join(LINES) + "\n"),
        (
            {
                "shipperType": "kv",
                "fieldsName": ["status", "up.n", "env"],
                "partitionFormatTS": "%y%m",
            },
            "log",
            bytes,
            '{"status":200,"up.n":null,"env":"test"}\n{"status":404,"up.n":true,"env":"test"}\n',
        ),
        (
            {
                "shipperType": "kv",
                "fieldsName": ["status", "host"],
                "fieldsType": ["string", "long"],
            },
            "log",
            bytes,
            '{"status":"200","host":null}\n{"status":"404","host":null}\n',
        ),
        (
            {
                "storageFormat": "CSV",
                "selectedColumnName": "status, host,@stream,@timestamp",
                "csvHeadline": True,
                "csvQuote": "'",
                "nullIdentifier": "NULL",
                "compressType": "gzip",
            },
            "csv.gz",
            gzip.decompress,
            "'status','host','@stream','@timestamp'\n"
            "'200','a,b','web/1','1772323860000'\n'404',NULL,'web/1','1772323860000'\n",
        ),
        (
            {"storageFormat": "csv", "selectedColumnName": "status,cost", "csvDelimiter": "|"},
            "csv",
            bytes,
            "200|0.5\n404|\n",
        ),
    ],
)
async def test_what_is_shipped(
    served: Served, config: dict[str, object], extension: str, unpack: object, text: str
) -> None:
    id_ = await create(served, **config)
    await served.advance(60)
    push(served, *LINES, stream="web/1", tags={"env": "test"})
    await served.advance(239)
    assert served.buckets.objects == {"logs": {}}
    await served.advance(1)
    partition = "2603/" if "partitionFormatTS" in config else "2026/03/01/08/10/"
    key = f"sdk-test/{partition}{NAME.format(id=id_[:8])}.{extension}"
    assert list(served.buckets.objects["logs"]) == [key]
    assert unpack(served.buckets.objects["logs"][key]).decode() == text
    _, records = await served.go("GET", f"{SHIPPER}/{id_}/record?sinceHours=1&pageNo=1&pageSize=10")
    assert records["result"] == [
        {
            "startTime": "2026-03-01T00:10:00Z",
            "endTime": "2026-03-01T00:15:00Z",
            "finishedCount": 2,
        }
    ]
    await served.advance(3601)
    assert list(served.buckets.objects["logs"]) == [key]
    _, records = await served.go("GET", f"{SHIPPER}/{id_}/record")
    assert records["totalCount"] == 0
    _, records = await served.go("GET", f"{SHIPPER}/{id_}/record?sinceHours=2")
    assert records["totalCount"] == 1


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy"])
async def test_parquet_has_the_types_asked_for(served: Served, tmp_path: Path, codec: str) -> None:
    await create(
        served,
        storageFormat="parquet",
        compressType=codec,
        selectedColumnName="status,host,cost,up.n",
        selectedColumnType="long,string,double,boolean",
    )
    push(served, *LINES)
    await served.advance(300)
    ((key, body),) = served.buckets.objects["logs"].items()
    assert key.endswith("_0.parquet")
    file = tmp_path / "x.parquet"
    file.write_bytes(body)
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet($f)", {"f": str(file)})
        assert [str(column[1]) for column in found.description] == [
            "BIGINT",
            "VARCHAR",
            "DOUBLE",
            "BOOLEAN",
        ]
        assert found.fetchall() == [(200, "a,b", 0.5, None), (404, None, None, True)]
        codecs = connection.execute(
            "SELECT DISTINCT compression FROM parquet_metadata($f)", {"f": str(file)}
        ).fetchall()
    assert codecs == [("UNCOMPRESSED" if codec == "none" else codec.upper(),)]


async def test_objects_are_cut_by_size_and_stream(served: Served) -> None:
    id_ = await create(served, maxObjectSize=1, partitionFormatLogStream=True)
    big = json.dumps({"x": "y" * 400_000})
    push(served, big, big, big, stream="a")
    push(served, "{}", stream="b/c")
    push(served, "{}")
    await served.advance(300)
    at = "sdk-test/2026/03/01/08/10/"
    name = f"access_{id_[:8]}_20260301081000"
    assert {key: len(body) for key, body in served.buckets.objects["logs"].items()} == {
        f"{at}{name}_0.log": 3,
        f"{at}a/{name}_0.log": 2 * (len(big) + 1),
        f"{at}a/{name}_1.log": len(big) + 1,
        f"{at}b/c/{name}_0.log": 3,
    }
    assert (await served.go("GET", f"{SHIPPER}/{id_}/record"))[1]["result"][0]["finishedCount"] == 5


async def test_a_shipper_starts_with_records_of_its_start_and_ships_each_window(
    served: Served,
) -> None:
    push(served, '{"n":1}')
    await served.advance(60)
    push(served, '{"n":2}')
    body = {
        "logShipperName": "s",
        "logStoreName": "access",
        "startTime": "2026-03-01T00:11:00Z",
        "destConfig": GO_CONFIG,
    }
    assert (await served.go("POST", SHIPPER, body))[0] == 200
    for number in range(3, 7):
        await served.advance(299)
        push(served, f'{{"n":{number}}}')
        await served.advance(1)
    # The clock passes many windows at once; each record is in its own.
    await served.advance(4000)
    assert [body.decode() for body in served.buckets.objects["logs"].values()] == [
        '{"n":2}\n{"n":3}\n',
        '{"n":4}\n',
        '{"n":5}\n',
        '{"n":6}\n',
    ]


async def test_trouble_is_told_and_passes(served: Served) -> None:
    id_ = await create(served, BOSPath="missing/x")
    push(served, *LINES)
    await served.advance(300)
    _, found = await served.go("GET", f"{SHIPPER}/{id_}")
    assert (found["status"], found["errMessage"]) == ("Abnormal", "bucket missing does not exist")
    _, listed = await served.go("GET", f"{SHIPPER}?status=Abnormal")
    assert listed["result"][0]["errMessage"] == "bucket missing does not exist"
    served.buckets.objects["missing"] = {}
    await served.advance(299)
    assert served.buckets.objects["missing"] == {}
    await served.advance(1)
    assert len(served.buckets.objects["missing"]) == 1
    _, found = await served.go("GET", f"{SHIPPER}/{id_}")
    assert (found["status"], found["errMessage"]) == ("Running", "")


async def test_a_paused_shipper_ships_nothing_until_it_runs_again(served: Served) -> None:
    id_ = await create(served)
    await served.go("PUT", f"{SHIPPER}/{id_}/status", {"desiredStatus": "Paused"})
    push(served, *LINES)
    await served.advance(900)
    assert served.buckets.objects["logs"] == {}
    await served.go("PUT", f"{SHIPPER}/{id_}/status", {"desiredStatus": "Running"})
    await served.advance(0)
    assert len(served.buckets.objects["logs"]) == 1


async def test_an_interrupted_run_is_no_fault_of_the_shipper(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    id_ = await create(served)
    push(served, *LINES)
    put = served.buckets.put_object

    def interrupted(*_args: object, **_kwargs: object) -> None:
        raise ControlError("ExecutionTimeout", 408, "The query took too long")

    served.buckets.put_object = interrupted
    await served.advance(300)
    assert "Shipping failed" in caplog.text
    assert (await served.go("GET", f"{SHIPPER}/{id_}"))[1]["status"] == "Running"
    served.buckets.put_object = put
    await served.advance(60)
    assert len(served.buckets.objects["logs"]) == 1


async def test_a_clock_that_jumps_past_retention_ships_first(served: Served) -> None:
    id_ = await create(served)
    push(served, *LINES)
    await served.advance(40 * 86_400)
    assert (await served.go("GET", f"{SHIPPER}/{id_}"))[1]["status"] == "Running"
    shipped = b"".join(served.buckets.objects["logs"].values()).decode()
    assert shipped.splitlines() == LINES
    assert served.engine.query("default", "access", EVERYTHING, "select count(*)").rows == ((0,),)
