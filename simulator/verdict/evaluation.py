"""Compares what was expected with what was measured. What is printed is what was compared."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

from simulator.model.units import format_duration, format_share
from simulator.verdict.expectation import (
    Comparator,
    Expectation,
    Metric,
    Unit,
    closest_metric,
)

_OPERATORS: Final[Mapping[Comparator, Callable[[float, float], bool]]] = {
    Comparator.AT_LEAST: operator.ge,
    Comparator.AT_MOST: operator.le,
    Comparator.EQUAL: operator.eq,
    Comparator.NOT_EQUAL: operator.ne,
    Comparator.MORE: operator.gt,
    Comparator.LESS: operator.lt,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One expectation and how it came out."""

    expectation: Expectation
    holds: bool
    measured: str
    """The measured value in the metric's unit, or why there is none."""
    right: str
    """The right side in the same unit; with its value when it is a metric."""


def evaluate(
    expectations: Iterable[Expectation], measured: Mapping[str, float]
) -> tuple[Outcome, ...]:
    """The outcome of each expectation, in order.

    Args:
        expectations: what the scenario said.
        measured: metric names to values: counts, fractions, seconds.

    A metric that was not measured makes its expectation fail, with the reason as its value.
    """
    return tuple(_evaluate_one(expectation, measured) for expectation in expectations)


def format_value(value: float, unit: Unit) -> str:
    """``value`` as a person writes it: ``500``, ``99.4%``, ``2m41s``."""
    match unit:
        case Unit.COUNT:
            return f"{value:.0f}" if float(value).is_integer() else f"{value:g}"
        case Unit.SHARE:
            return format_share(value)
        case Unit.DURATION:
            return format_duration(value)
        case _:
            assert_never(unit)


def _evaluate_one(expectation: Expectation, measured: Mapping[str, float]) -> Outcome:
    metric, right = expectation.metric, expectation.right
    left_value = _lookup(metric, measured)
    right_value = _lookup(right, measured) if isinstance(right, Metric) else right
    if right_value is None:
        assert isinstance(right, Metric)
        right_text = f"{right.name}: {_absent(right, measured)}"
    elif isinstance(right, Metric):
        right_text = f"{right.name} ({format_value(right_value, right.unit)})"
    else:
        right_text = format_value(right_value, metric.unit)
    return Outcome(
        expectation=expectation,
        holds=left_value is not None
        and right_value is not None
        and _OPERATORS[expectation.comparator](
            _rounded(left_value, metric.unit), _rounded(right_value, metric.unit)
        ),
        measured=_absent(metric, measured)
        if left_value is None
        else format_value(left_value, metric.unit),
        right=right_text,
    )


def _lookup(metric: Metric, measured: Mapping[str, float]) -> float | None:
    value = measured.get(metric.name)
    if value is None and metric.total in measured:
        return 0.0  # a status nobody got is counted nowhere
    return value


def _absent(metric: Metric, measured: Mapping[str, float]) -> str:
    known = (metric.flow_log is None or f"flow_log.{metric.flow_log}.written" in measured) and (
        metric.load_balancer is None or f"load_balancer.{metric.load_balancer}.requests" in measured
    )
    closest = None if known else closest_metric(metric.name, measured)
    return f"not measured; did you mean {closest!r}?" if closest else "not measured"


def _rounded(value: float, unit: Unit) -> float:
    # Delays are differences of Unix times, good to a microsecond at best.
    return round(value, 3) if unit is Unit.DURATION else round(value, 6)
