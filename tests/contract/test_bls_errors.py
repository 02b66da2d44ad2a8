"""Codes, statuses and wordings of errors, as the vendor documents them.

Source: doc https://cloud.baidu.com/doc/BLS/s/tk8r3cj4r and the pages of the operations.
"""

import gzip
import json

import pytest
from bls_served import FROM, START_MS, TO, Served

STORE = {"logStoreName": "access", "retention": 7}
IN_NONE = STORE | {"project": "none"}
FAST = {"fastQueryName": "fq", "query": "match *", "logStoreName": "access"}
RANGE = f"startDateTime={FROM}&endDateTime={TO}"
INDEX = "/v1/logstore/access/index?project"
RECORDS = "/v1/logstore/gone/logrecord"
BIND = {"logStoreName": "access", "scope": "EDAP"}
TASK = "/v2/logstore/download"
NOT_THERE, LOST = "LogStore [gone] not exists", "LogStore not found"
NO_FAST, NO_SHIPPER = "FastQuery [none] not found", "LogShipper [none] not found"
STATUS = {
    "InvalidParameter": 400,
    "ProjectNotFound": 404,
    "ProjectAlreadyExist": 409,
    "ProjectLogStoreNotEmpty": 409,
    "LogStoreNotFound": 404,
    "LogStoreAlreadyExist": 409,
    "LogStoreAlreadyBind": 409,
    "FastQueryNotFound": 404,
    "FastQueryAlreadyExist": 409,
    "IndexNotFound": 404,
    "IndexAlreadyExist": 409,
    "LogShipperNotFound": 404,
    "DownloadTaskNotFound": 404,
    "InvalidURI": 404,
    "InvalidHTTPRequest": 405,
}
DOCUMENTED = [
    ("GET", f"{RECORDS}?limit=x&{RANGE}", None, "InvalidParameter", "Request param invalid: ["),
    ("POST", "/v1/project", {"name": "p"}, "ProjectAlreadyExist", "Project already exists"),
    ("GET", "/v1/project/none", None, "ProjectNotFound", "Project [none] not exists"),
    ("DELETE", "/v1/project/p", None, "ProjectLogStoreNotEmpty", "The project has LogStores"),
    ("POST", "/v1/logstore", IN_NONE, "ProjectNotFound", "Project [none] not exists"),
    ("POST", "/v1/logstore", STORE, "LogStoreAlreadyExist", "LogStore [access] already exists"),
    ("GET", "/v1/logstore/gone", None, "LogStoreNotFound", NOT_THERE),
    ("PUT", "/v1/logstore/gone", {"retention": 1}, "LogStoreNotFound", NOT_THERE),
    ("DELETE", "/v1/logstore/gone", None, "LogStoreNotFound", NOT_THERE),
    ("GET", "/v1/logstore/gone/logstream", None, "LogStoreNotFound", NOT_THERE),
    ("GET", "/v1/logstore/gone/index", None, "LogStoreNotFound", NOT_THERE),
    ("POST", RECORDS, {"logRecords": [{"message": "m"}]}, "LogStoreNotFound", LOST),
    ("GET", f"{RECORDS}?{RANGE}", None, "LogStoreNotFound", LOST),
    ("GET", f"{RECORDS}?{RANGE}&query=match%20*", None, "LogStoreNotFound", LOST),
    ("DELETE", "/v1/logstore/access", None, "LogStoreAlreadyBind", "LogStore [access] is bound to"),
    ("POST", "/v1/fastquery", FAST, "FastQueryAlreadyExist", "FastQuery [fq] already exists"),
    ("GET", "/v1/fastquery/none", None, "FastQueryNotFound", NO_FAST),
    ("PUT", "/v1/fastquery/none", FAST, "FastQueryNotFound", NO_FAST),
    ("DELETE", "/v1/fastquery/none", None, "FastQueryNotFound", NO_FAST),
    ("POST", INDEX, {"fulltext": True}, "IndexAlreadyExist", "Index already exists"),
    ("DELETE", "/v1/logstore/plain/index", None, "IndexNotFound", "LogStore [plain] has no index"),
    ("GET", "/v1/logshipper/none", None, "LogShipperNotFound", NO_SHIPPER),
    ("GET", f"{TASK}/none", None, "DownloadTaskNotFound", "Download task not found"),
    ("GET", "/v1/none", None, "InvalidURI", "Could not parse the URI /v1/none"),
    ("PATCH", "/v1/logstore", {}, "InvalidHTTPRequest", "PATCH is not allowed on /v1/logstore"),
]  # fmt: skip
HELPFUL = [
    ("GET", f"{RECORDS}?{RANGE}&project=none", f"{LOST}; there is no project [none]"),
    ("GET", "/v1/logstore/gone?project=none", f"{NOT_THERE}; there is no project [none]"),
    (
        "GET",
        f"/v1/logstore/access/logrecord?{RANGE}&project=p2",
        f"{LOST}; project [default] has one, [p2] has not",
    ),
    (
        "POST",
        "/access/_search",
        "Could not parse the URI /access/_search; of Elasticsearch's calls there are"
        " /{index}/_async_search, /{index}/_field_caps, /{index}/_terms_enum and"
        " /_resolve/index/{pattern}",
    ),
    ("GET", "/_sim/none", "Could not parse the URI /_sim/none"),
]


DEEP = "[" * 501 + "]" * 501
PUSHED = [
    ("timestamp", {"message": "m", "timestamp": START_MS * 100}),
    ("timestamp", {"message": "m", "timestamp": -62_135_596_800_001}),
    ("sequence", {"message": "m", "sequence": 2**63}),
    ("message", {"message": "x" * (512 * 1024 + 1)}),
    ("message", {"message": "[1]"}),
    ("message", {"message": f'{{"a": {DEEP}}}'}),
]


@pytest.fixture
async def lived_in(served: Served) -> Served:
    """A region with something of everything that can be there already."""
    for target, body in (
        ("/v1/project", {"name": "p"}),
        ("/v1/logstore", {**STORE, "project": "p"}),
        ("/v1/logstore", {**STORE, "logStoreName": "plain"}),
        ("/v1/fastquery", FAST),
        (INDEX, {"fulltext": True}),
        ("/v1/logstore/bind", BIND),
    ):
        assert (await served.go("POST", target, body))[0] < 300
    return served


@pytest.mark.parametrize(("method", "target", "message"), HELPFUL)
async def test_what_is_not_there_is_said_to_be_elsewhere(
    served: Served, method: str, target: str, message: str
) -> None:
    await served.go("POST", "/v1/project", {"name": "p2"})
    body = {} if method == "POST" else None
    status, answer = await served.go(method, target, body)
    assert (status, answer["message"]) == (404, message)


@pytest.mark.parametrize(("method", "target", "body", "code", "message"), DOCUMENTED)
async def test_an_error_has_the_documented_words(
    lived_in: Served,
    method: str,
    target: str,
    body: object,
    code: str,
    message: str,
) -> None:
    got, answer = await lived_in.go(method, target, body)
    assert (got, answer["code"]) == (STATUS[code], code)
    assert answer["message"].startswith(message)


@pytest.mark.parametrize(("member", "record"), PUSHED)
async def test_a_push_that_is_refused_names_the_record(
    served: Served, member: str, record: dict[str, object]
) -> None:
    body = {"type": "JSON", "logRecords": [{"message": "{}"}, record]}
    status, answer = await served.go("POST", "/v1/logstore/access/logrecord", body)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert answer["message"].startswith(f"Request param invalid: [logRecords[1].{member}] ")
    _, page = await served.go("GET", f"/v1/logstore/access/logrecord?{RANGE}")
    assert page["result"] == []


async def test_a_date_header_that_is_none_is_named(served: Served) -> None:
    status, answer = await served.go("GET", "/v1/logstore", extra={"x-bce-date": "today"})
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert answer["message"].startswith("Request param invalid: [x-bce-date] expected a time")


@pytest.mark.parametrize(
    ("raw", "status", "code", "message"),
    [
        (b'{"a', 400, "MalformedJSON", 'The JSON provided is not well-formed: {"a'),
        (b"\xff", 400, "MalformedJSON", "The JSON provided is not well-formed: \ufffd"),
        (
            b" " * (1024 * 1024 + 1),
            413,
            "RequestOverload",
            "Requested body too large, size exceed limit",
        ),
    ],
)
async def test_a_body_that_cannot_be_taken(
    served: Served, raw: bytes, status: int, code: str, message: str
) -> None:
    got, answer = await served.go("POST", "/v1/logstore", raw=raw)
    assert (got, answer["code"], answer["message"]) == (status, code, message)


async def test_bindings_are_told_apart_whatever_is_in_them(served: Served) -> None:
    for texts in ({"scope": "a\x1fb", "subScope": "c"}, {"scope": "a", "subScope": "b\x1fc"}):
        assert (await served.go("POST", "/v1/logstore/bind", {**BIND, **texts}))[0] == 200
    assert (await served.go("POST", "/v1/logstore/unbind", {**BIND, "scope": "a"}))[0] == 200
    status, answer = await served.go("DELETE", "/v1/logstore/access")
    assert (status, answer["code"]) == (409, "LogStoreAlreadyBind")


async def test_a_wrong_signature(served: Served) -> None:
    status, answer = await served.go("GET", "/v1/logstore", secret_key="another")
    assert (status, answer["code"]) == (401, "Unauthorized")
    assert answer["message"].startswith("Check unauthorized: invalid ak/sk")


async def test_a_body_in_no_encoding_is_the_clients_fault(served: Served) -> None:
    packed = {"Content-Encoding": "gzip"}
    status, answer = await served.go("POST", "/v1/logstore", raw=b"plain", extra=packed)
    assert (status, answer["code"]) == (400, "InvalidHTTPRequest")
    assert answer["message"].startswith("The body cannot be read: ")
    body = gzip.compress(json.dumps({"logStoreName": "demo", "retention": 1}).encode())
    assert (await served.go("POST", "/v1/logstore", raw=body, extra=packed))[0] == 200


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("k" * 65, "v" * 65, 200),
        ("k" * 66, "v", 400),
        ("", "v", 400),
        ("k", "v" * 66, 400),
        ("aZ0 _-/.", "值", 200),
        ("k", "é", 400),
        ("k:", "v", 400),
        ("k", "a\nb", 400),
    ],
)
async def test_tags_of_a_log_store(served: Served, key: str, value: str, status: int) -> None:
    tags = [{"tagKey": key, "tagValue": value}]
    body = {"logStoreName": "demo", "retention": 1, "tags": tags}
    assert (await served.go("POST", "/v1/logstore", body))[0] == status
    changed = {"retention": 7, "tags": tags}
    assert (await served.go("PUT", "/v1/logstore/access", changed))[0] == status
