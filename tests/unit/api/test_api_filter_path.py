"""Which parts of an answer ``filter_path`` leaves."""

import pytest

from simulator.api.bls.filter_path import MAX_NAMES, filter_answer
from simulator.errors import ControlError

ANSWER = {
    "took": 3,
    "hits": {
        "hits": [
            {"_id": "1", "fields": {"host": ["a"], "status": [200]}},
            {"_id": "2", "fields": {"status": [404]}},
        ]
    },
    "aggregations": {"a": {"value": 1}, "ab": {"value": 2, "meta": None}},
}


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ("took", {"took": 3}),
        ("took,nothing", {"took": 3}),
        ("nothing", {}),
        ("hits.hits._id", {"hits": {"hits": [{"_id": "1"}, {"_id": "2"}]}}),
        ("hits.hits.fields.host", {"hits": {"hits": [{"fields": {"host": ["a"]}}]}}),
        ("aggregations.a*", {"aggregations": ANSWER["aggregations"]}),
        ("*.a.value", {"aggregations": {"a": {"value": 1}}}),
        ("**.value", {"aggregations": {"a": {"value": 1}, "ab": {"value": 2}}}),
        ("hits.**.host", {"hits": {"hits": [{"fields": {"host": ["a"]}}]}}),
        ("t**", {"took": 3}),
        ("took.deeper", {}),
        ("-hits,-aggregations.ab", {"took": 3, "aggregations": {"a": {"value": 1}}}),
        ("aggregations,-**.value", {"aggregations": {"a": {}, "ab": {"meta": None}}}),
        (
            "-hits.hits._id,hits.hits",
            {"hits": {"hits": [{"fields": one["fields"]} for one in ANSWER["hits"]["hits"]]}},
        ),
        ("**.hits.**.host,**.**.host", {"hits": {"hits": [{"fields": {"host": ["a"]}}]}}),
        ("", ANSWER),
        ("**", ANSWER),
    ],
)
def test_the_parts_that_are_named_are_left(paths: str, expected: object) -> None:
    assert filter_answer(ANSWER, paths) == expected


@pytest.mark.parametrize("path", ["**." * (MAX_NAMES - 1) + "x", "**.a." * 60 + "x"])
def test_any_number_of_any_numbers_of_names_is_no_more_work(path: str) -> None:
    answer: object = {"x": 1}
    for _ in range(60):
        answer = {"a": answer}
    assert filter_answer(answer, path) == answer


@pytest.mark.parametrize("paths", ["**." * MAX_NAMES + "x", "x," * MAX_NAMES + "x"])
def test_paths_of_too_many_names_are_refused(paths: str) -> None:
    with pytest.raises(ControlError) as caught:
        filter_answer(ANSWER, paths)
    assert caught.value.code == "InvalidParameter"
