"""Templates of LogStores, and what they do to those that are made."""

import pytest
from bls_served import Served

DONE = (200, {"success": True, "code": "OK", "message": ""})


def act(action: str) -> str:
    return f"/v3/bls?action={action}"


BODY = {
    "name": "web",
    "projectPatterns": ["shop*", "default"],
    "logstorePatterns": ["web-*"],
    "priority": 5,
    "template": {
        "retention": 30,
        "shardCount": 2,
        "maxShardCount": 0,
        "index": {"fulltext": True, "fields": None},
    },
}


async def made(served: Served, name: str, **body: object) -> dict[str, object]:
    status, answer = await served.go("POST", "/v1/logstore", {"logStoreName": name, **body})
    assert status == 200, answer
    return (await served.go("GET", f"/v1/logstore/{name}"))[1]


async def test_a_template_is_made_described_changed_and_deleted(served: Served) -> None:
    assert (await served.go("POST", act("CreateLogStoreTemplate"), BODY)) == DONE
    status, answer = await served.go("POST", act("CreateLogStoreTemplate"), BODY)
    assert (status, answer["code"]) == (409, "LogStoreTemplateAlreadyExist")
    await served.advance(1)
    change = {"name": "web", "priority": 6, "template": {"retention": 9}}
    assert (await served.go("POST", act("UpdateLogStoreTemplate"), change)) == DONE
    _, found = await served.go("POST", act("DescribeLogStoreTemplate"), {"name": "web"})
    assert found == {
        "success": True,
        "code": "OK",
        "message": "",
        "name": "web",
        "projectPatterns": ["shop*", "default"],
        "logstorePatterns": ["web-*"],
        "priority": 6,
        "template": {"retention": 9},
        "createdTimestamp": "2026-03-01T00:10:00Z",
        "updatedTimestamp": "2026-03-01T00:10:01Z",
    }
    other = BODY | {"name": "other", "priority": 7}
    assert (await served.go("POST", act("CreateLogStoreTemplate"), other)) == DONE
    _, listed = await served.go(
        "POST", act("DescribeLogStoreTemplates"), {"name": "", "pageSize": 1}
    )
    assert (listed["totalCount"], listed["orderBy"]) == (2, "priority")
    assert [one["name"] for one in listed["templates"]] == ["other"]
    assert listed["templates"][0]["template"]["index"]["fulltext"] is True
    status, _ = await served.go("POST", act("DescribeLogStoreTemplates"), {"pageSize": 101})
    assert status == 400
    names = {"names": ["web", "gone"]}
    status, answer = await served.go("POST", act("DeleteLogStoreTemplates"), names)
    assert (status, answer["code"]) == (404, "LogStoreTemplateNotFound")
    assert (await served.go("POST", act("DeleteLogStoreTemplates"), {"names": ["web"]})) == DONE
    status, answer = await served.go("POST", act("DescribeLogStoreTemplate"), {"name": "web"})
    assert (status, answer["code"]) == (404, "LogStoreTemplateNotFound")
    assert [one.name for one in served.engine.templates.list_all()] == ["other"]


async def test_templates_say_what_a_creation_does_not(served: Served) -> None:
    await served.go("POST", act("CreateLogStoreTemplate"), BODY)
    low = {
        **BODY,
        "name": "low",
        "priority": 1,
        "logstorePatterns": ["*"],
        "template": {"retention": 3, "shardCount": 9, "disableShardAutoSplit": True},
    }
    await served.go("POST", act("CreateLogStoreTemplate"), low)
    found = await made(served, "web-1")
    assert (found["retention"], found["shardCount"], found["disableShardAutoSplit"]) == (
        30,
        2,
        True,
    )
    assert (found["indexEnabled"], found["maxShardCount"]) == (True, 50)
    found = await made(served, "web-2", retention=8, shardCount=0)
    assert (found["retention"], found["shardCount"]) == (8, 2)
    found = await made(served, "api")
    assert (found["retention"], found["shardCount"], found["indexEnabled"]) == (3, 9, False)
    served.engine.create_project("other")
    status, _ = await served.go(
        "POST", "/v1/logstore", {"project": "other", "logStoreName": "web-1"}
    )
    assert status == 400


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "a b"},
        {"projectPatterns": []},
        {"logstorePatterns": [""]},
        {"logstorePatterns": ["*"] * 101},
        {"template": {"retention": 4000}},
        {"template": {"retention": 5, "enableHotRetention": True, "hotRetention": 3}},
        {"template": {"index": {"fields": {"a": {"type": "x"}}}}},
    ],
)
async def test_refused_templates(served: Served, changes: dict[str, object]) -> None:
    status, answer = await served.go("POST", act("CreateLogStoreTemplate"), BODY | changes)
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert served.engine.templates.list_all() == []


async def test_priorities_are_unique(served: Served) -> None:
    await served.go("POST", act("CreateLogStoreTemplate"), BODY)
    status, answer = await served.go("POST", act("CreateLogStoreTemplate"), BODY | {"name": "b"})
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert "[priority] expected another than that of the template [web]" in answer["message"]


@pytest.mark.parametrize("action", ["Unheard", ""])
async def test_other_actions(served: Served, action: str) -> None:
    status, answer = await served.go("POST", act(action), {})
    assert (status, answer["code"]) == (400, "InvalidParameter")
    assert action in answer["message"]
