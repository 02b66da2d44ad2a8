"""What a run was expected to do and whether it did. It measures nothing itself."""

from simulator.model.units import format_duration, format_share, parse_duration, parse_share
from simulator.verdict.evaluation import Outcome, evaluate, format_value
from simulator.verdict.expectation import (
    Comparator,
    Expectation,
    Metric,
    Unit,
    closest_metric,
    parse_expectation,
)
from simulator.verdict.measures import (
    DelaySummary,
    FlowLogMeasures,
    HttpMeasures,
    LoadBalancerMeasures,
)

__all__ = [
    "Comparator",
    "DelaySummary",
    "Expectation",
    "FlowLogMeasures",
    "HttpMeasures",
    "LoadBalancerMeasures",
    "Metric",
    "Outcome",
    "Unit",
    "closest_metric",
    "evaluate",
    "format_duration",
    "format_share",
    "format_value",
    "parse_duration",
    "parse_expectation",
    "parse_share",
]
