import pytest

from simulator.verdict import (
    Comparator,
    DelaySummary,
    FlowLogMeasures,
    HttpMeasures,
    Metric,
    Unit,
    evaluate,
    parse_expectation,
)

MEASURED = {
    **HttpMeasures(sent=500, failed=1, by_status={200: 495, 404: 2, 500: 2}).metrics(),
    **FlowLogMeasures(
        written=499,
        delivered=498,
        pending=1,
        delay=DelaySummary(min_s=121.25, median_s=150.0, max_s=180.0000004),
    ).metrics("l7"),
    **FlowLogMeasures(written=499, delivered=0, pending=499).metrics("archive"),
}


def test_an_expectation_is_metric_comparator_and_a_value_in_the_metrics_unit() -> None:
    expectation = parse_expectation("  http.success_rate>=99% ")
    assert expectation.text == "http.success_rate>=99%"
    assert expectation.metric == Metric(name="http.success_rate", unit=Unit.SHARE)
    assert expectation.comparator is Comparator.AT_LEAST
    assert expectation.right == 0.99


def test_the_right_side_can_be_another_metric() -> None:
    expectation = parse_expectation("flow_log.a.b.delivered == flow_log.a.b.written")
    assert expectation.right == Metric(name="flow_log.a.b.written", unit=Unit.COUNT)
    assert [metric.flow_log for metric in expectation.metrics] == ["a.b", "a.b"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "http.success_rate",
            "'http.success_rate' is not a comparison; expected 'metric comparator value' with "
            "one of >= <= == != > <, for example 'http.success_rate >= 99%'",
        ),
        (
            "http.sucess_rate >= 99%",
            "unknown metric 'http.sucess_rate'; did you mean 'http.success_rate'?",
        ),
        (
            "flow_log.l7.deliverd > 0",
            "unknown metric 'flow_log.l7.deliverd'; did you mean 'flow_log.l7.delivered'?",
        ),
        (
            "speed > 3",
            "unknown metric 'speed'; expected one of http.requests, http.failed, http.overflowed, "
            "http.success_rate, http.status.<code>, flow_log.<name>.(written|delivered|pending|"
            "lost|dropped|copied|held|objects|delay.min|delay.median|delay.max), "
            "load_balancer.<name>.(requests|"
            "limited_requests|new_connections|dropped_connections|alive_servers|dead_servers|"
            "status.<code>|status.<n>xx)",
        ),
        (
            "http.success_rate >= 0.99",
            "http.success_rate is a percentage, but 0.99 is a count; "
            "compare it with a percentage such as 99%",
        ),
        (
            "flow_log.l7.delay.max <= flow_log.l7.written",
            "flow_log.l7.delay.max is a duration, but flow_log.l7.written is a count; "
            "compare it with a duration such as 3m",
        ),
        (
            "flow_log.l7.delay.max <= 3x",
            "'3x' is not a duration; expected a duration such as 250ms, 5s, 2m, 1h or 7d",
        ),
    ],
)
def test_a_text_that_is_no_expectation_says_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r".+") as caught:
        parse_expectation(text)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "holds", "measured", "right"),
    [
        ("http.requests == 500", True, "500", "500"),
        ("http.failed < 1", False, "1", "1"),
        ("http.success_rate >= 99%", True, "99.4%", "99%"),
        ("http.status.500 == 2", True, "2", "2"),
        ("http.status.503 == 0", True, "0", "0"),
        ("http.status.404 != 2", False, "2", "2"),
        (
            "flow_log.l7.delivered == flow_log.l7.written",
            False,
            "498",
            "flow_log.l7.written (499)",
        ),
        ("flow_log.l7.delay.min > 2m", True, "2m1.25s", "2m"),
        ("flow_log.l7.delay.max <= 3m", True, "3m", "3m"),
        ("flow_log.archive.delay.max <= 3m", False, "not measured", "3m"),
        (
            "flow_log.l8.written > 0",
            False,
            "not measured; did you mean 'flow_log.l7.written'?",
            "0",
        ),
    ],
)
def test_an_outcome_shows_what_was_compared(
    text: str, holds: bool, measured: str, right: str
) -> None:
    (outcome,) = evaluate((parse_expectation(text),), MEASURED)
    assert (outcome.holds, outcome.measured, outcome.right) == (holds, measured, right)


def test_a_right_side_that_was_not_measured_does_not_hold() -> None:
    (outcome,) = evaluate(
        (parse_expectation("flow_log.l7.delay.max <= flow_log.archive.delay.max"),), MEASURED
    )
    assert not outcome.holds
    assert outcome.right == "flow_log.archive.delay.max: not measured"


def test_without_responses_there_is_no_success_rate() -> None:
    assert "http.success_rate" not in HttpMeasures(sent=0, failed=0, by_status={}).metrics()


def test_what_failed_or_was_never_sent_is_no_success():
    measured = HttpMeasures(sent=8, failed=2, overflowed=2, by_status={200: 4, 404: 1, 500: 1})
    assert measured.metrics()["http.success_rate"] == 0.5
    assert measured.metrics()["http.overflowed"] == 2


def test_delays_are_summed_up_as_min_median_and_max() -> None:
    assert DelaySummary.of([3.0, 1.0, 2.0, 4.0]) == DelaySummary(min_s=1.0, median_s=2.5, max_s=4.0)
    assert DelaySummary.of([]) is None
