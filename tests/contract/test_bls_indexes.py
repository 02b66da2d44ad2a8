"""The index of a LogStore, as the Go SDK's own tests ask for it."""

import pytest
from bls_served import Served

DEFAULT_SEPARATORS = "@&?|#()='\",;:<>[]{}/ \n\t\r\\"
INDEX = "/v1/logstore/access/index?project=default"
GO_BODY = {
    "fulltext": True,
    "caseSensitive": False,
    "separators": "",
    "includeChinese": False,
    "fields": {
        "age": {"type": "long", "caseSensitive": False, "separators": "", "includeChinese": False}
    },
}
OFF = {
    "success": True,
    "code": "OK",
    "fulltext": False,
    "caseSensitive": False,
    "includeChinese": False,
    "separators": DEFAULT_SEPARATORS,
    "fields": {},
}


async def test_an_index_is_made_described_replaced_and_deleted(served: Served) -> None:
    assert (await served.go("GET", INDEX)) == (200, OFF)
    assert (await served.go("POST", INDEX, GO_BODY)) == (
        200,
        {"success": True, "code": "OK", "message": ""},
    )
    assert (await served.go("GET", INDEX)) == (
        200,
        {
            **OFF,
            "fulltext": True,
            "fields": {
                "age": {
                    "type": "long",
                    "caseSensitive": False,
                    "includeChinese": False,
                    "separators": DEFAULT_SEPARATORS,
                    "dynamicMapping": False,
                }
            },
        },
    )
    status, again = await served.go("POST", INDEX, GO_BODY)
    assert (status, again["code"]) == (409, "IndexAlreadyExist")
    custom = {"fulltext": True, "caseSensitive": True, "separators": " ,;", "fields": None}
    assert (await served.go("PUT", INDEX, custom))[0] == 200
    _, described = await served.go("GET", INDEX)
    assert (set(described["separators"]), described["caseSensitive"]) == (set(" ,;"), True)
    assert described["fields"] == {}
    assert (await served.go("DELETE", INDEX))[0] == 200
    assert (await served.go("GET", INDEX)) == (200, OFF)
    status, answer = await served.go("DELETE", INDEX)
    assert (status, answer["code"]) == (404, "IndexNotFound")
    status, answer = await served.go("PUT", INDEX, GO_BODY)
    assert (status, answer["code"]) == (404, "IndexNotFound")
    assert len(served.changes) == 3


async def test_fields_nest_and_are_described_nested(served: Served) -> None:
    inner = {"type": "text", "includeChinese": True, "separators": "-"}
    body = {"fields": {"user": {"type": "object", "dynamicMapping": True, "fields": {"n": inner}}}}
    assert (await served.go("POST", INDEX, body))[0] == 200
    _, described = await served.go("GET", INDEX)
    assert described["fulltext"] is False
    user = described["fields"]["user"]
    assert (user["type"], user["dynamicMapping"]) == ("object", True)
    assert user["fields"] == {
        "n": {
            "type": "text",
            "caseSensitive": False,
            "includeChinese": True,
            "separators": "-",
            "dynamicMapping": False,
        }
    }


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "[fields]"),
        ({"fulltext": False, "fields": {}}, "[fields]"),
        ({"fields": {"a": {"type": "int"}}}, "[fields.a.type]"),
        ({"fields": {"a": {}}}, "[fields.a.type]"),
        ({"fields": {"": {"type": "text"}}}, "[fields]"),
        (
            {"fields": {"a": {"type": "text", "fields": {"b": {"type": "text"}}}}},
            "[fields.a.fields]",
        ),
        ({"fields": {f"f{n}": {"type": "text"} for n in range(1001)}}, "[fields]"),
        ({"fulltext": "yes"}, "[fulltext] expected true or false"),
    ],
)
async def test_definitions_that_are_refused_name_the_place(
    served: Served, body: object, place: str
) -> None:
    status, answer = await served.go("POST", INDEX, body)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert place in answer["message"]
    assert (await served.go("GET", INDEX)) == (200, OFF)


async def test_nesting_without_end_is_refused(served: Served) -> None:
    fields: dict[str, object] = {"a": {"type": "text"}}
    for _ in range(16):
        fields = {"a": {"type": "object", "fields": fields}}
    status, answer = await served.go("POST", INDEX, {"fields": fields})
    assert (status, answer["code"]) == (400, "InvalidParameter")
    deep = b'{"fields":' + b'{"a":{"fields":' * 50_000 + b"{}" + b"}}" * 50_000 + b"}"
    status, answer = await served.go("POST", INDEX, raw=deep)
    assert (status, answer["code"]) == (400, "InvalidParameter")


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
async def test_the_log_store_must_exist(served: Served, method: str) -> None:
    body = GO_BODY if method in {"POST", "PUT"} else None
    status, answer = await served.go(method, "/v1/logstore/gone/index?project", body)
    assert (status, answer["code"], answer["message"]) == (
        404,
        "LogStoreNotFound",
        "LogStore [gone] not exists",
    )


async def test_a_log_store_is_made_with_its_index(served: Served) -> None:
    body = {"project": "", "logStoreName": "demo", "retention": 7, "index": GO_BODY}
    assert (await served.go("POST", "/v1/logstore", body))[0] == 200
    _, described = await served.go("GET", "/v1/logstore/demo?project")
    assert described["indexEnabled"] is True
    assert described["index"]["fields"]["age"]["type"] == "long"
    _, listed = await served.go("GET", "/v1/logstore?project&namePattern=demo")
    assert listed["result"][0]["indexEnabled"] is True
    assert "index" not in listed["result"][0]
    off = {"retention": 7, "indexEnabled": False}
    assert (await served.go("PUT", "/v1/logstore/demo?project", off))[0] == 200
    _, described = await served.go("GET", "/v1/logstore/demo?project")
    assert (described["indexEnabled"], described["index"]["fulltext"]) == (False, True)
    # The Go SDK's update does not name the flag: it stays.
    assert (await served.go("PUT", "/v1/logstore/demo?project", {"retention": 8}))[0] == 200
    assert served.engine.describe_log_store("default", "demo").active_index is None
    broken = {**body, "logStoreName": "other", "index": {"fields": {"a": {"type": "x"}}}}
    assert (await served.go("POST", "/v1/logstore", broken))[0] == 400
    assert (await served.go("GET", "/v1/logstore/other?project"))[0] == 404


@pytest.mark.parametrize(
    "index",
    [
        {"fields": {"a": {"type": "text", "fields": {"b": {"type": "long"}}}}},
        {"fields": {"a" * 257: {"type": "text"}}},
        {"fields": {f"f{number}": {"type": "long"} for number in range(1001)}},
    ],
)
async def test_an_index_made_with_a_log_store_keeps_the_same_limits(
    served: Served, index: object
) -> None:
    body = {"logStoreName": "demo", "retention": 7, "index": index}
    for method, target, asked in (
        ("POST", "/v1/logstore", body),
        ("PUT", "/v1/logstore/access?project", body),
        ("POST", "/v1/logstore/access/index?project", index),
    ):
        status, answer = await served.go(method, target, asked)
        assert (status, answer["code"]) == (400, "InvalidParameter")
    assert not served.engine.has_log_store("default", "demo")
    assert served.engine.describe_log_store("default", "access").active_index is None
