"""What a scenario expects of a run: one comparison, parsed from one line of text.

It knows every metric by name and unit. It measures nothing and compares nothing.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from simulator.model.units import parse_duration, parse_share


class Unit(StrEnum):
    """What a metric counts in; both sides of a comparison share one."""

    COUNT = "count"
    SHARE = "share"
    DURATION = "duration"


class Comparator(StrEnum):
    """How the measured value must stand to the right side."""

    AT_LEAST = ">="
    AT_MOST = "<="
    EQUAL = "=="
    NOT_EQUAL = "!="
    MORE = ">"
    LESS = "<"


HTTP_METRICS: Final = {
    "http.requests": Unit.COUNT,
    "http.failed": Unit.COUNT,
    "http.overflowed": Unit.COUNT,
    "http.success_rate": Unit.SHARE,
}
"""Fixed names; ``http.status.<code>`` is a count as well."""

FLOW_LOG_METRICS: Final = {
    "written": Unit.COUNT,
    "delivered": Unit.COUNT,
    "pending": Unit.COUNT,
    "lost": Unit.COUNT,
    "dropped": Unit.COUNT,
    "copied": Unit.COUNT,
    "held": Unit.COUNT,
    "objects": Unit.COUNT,
    "delay.min": Unit.DURATION,
    "delay.median": Unit.DURATION,
    "delay.max": Unit.DURATION,
}
"""What follows ``flow_log.<name>.``."""

LOAD_BALANCER_METRICS: Final = {
    "requests": Unit.COUNT,
    "limited_requests": Unit.COUNT,
    "new_connections": Unit.COUNT,
    "dropped_connections": Unit.COUNT,
    "alive_servers": Unit.COUNT,
    "dead_servers": Unit.COUNT,
}
"""What follows ``load_balancer.<name>.``; ``status.<code>`` and ``status.4xx`` are counts as
well."""

_STATUS_METRIC: Final = re.compile(r"http\.status\.([0-9]{3})")
_FLOW_LOG_METRIC: Final = re.compile(
    r"flow_log\.(\S+)\.(" + "|".join(map(re.escape, FLOW_LOG_METRICS)) + ")"
)
_LOAD_BALANCER_METRIC: Final = re.compile(
    r"load_balancer\.(\S+)\.(status\.[0-9](?:[0-9]{2}|xx)|" + "|".join(LOAD_BALANCER_METRICS) + ")"
)
_COMPARISON: Final = re.compile(r"\s*([^\s<>=!]+)\s*(>=|<=|==|!=|>|<)\s*([^\s<>=!]+)\s*")
_NUMBER: Final = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_EXAMPLES: Final = {Unit.COUNT: "500", Unit.SHARE: "99%", Unit.DURATION: "3m"}
_ARTICLES: Final = {
    Unit.COUNT: "a count",
    Unit.SHARE: "a percentage",
    Unit.DURATION: "a duration",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A measured value, by name."""

    name: str
    """For example ``flow_log.l7.delay.max``."""
    unit: Unit

    @property
    def flow_log(self) -> str | None:
        """The flow log it is about, None for another metric."""
        found = _FLOW_LOG_METRIC.fullmatch(self.name)
        return found[1] if found else None

    @property
    def load_balancer(self) -> str | None:
        """The load balancer it is about, None for another metric."""
        found = _LOAD_BALANCER_METRIC.fullmatch(self.name)
        return found[1] if found else None

    @property
    def total(self) -> str | None:
        """The metric that a count of one status is a part of; None for another metric."""
        whole, status, _ = self.name.rpartition(".status.")
        return f"{whole}.requests" if status else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """``metric comparator right``, with the text it was parsed from."""

    text: str
    metric: Metric
    comparator: Comparator
    right: float | Metric
    """A number in the metric's unit (fraction, seconds, count), or another metric."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every metric it needs."""
        return (self.metric, self.right) if isinstance(self.right, Metric) else (self.metric,)


def parse_expectation(text: str) -> Expectation:
    """``http.success_rate >= 99%`` as a value.

    Raises:
        ValueError: not a comparison, an unknown metric, or sides of different units; the message
            says what was expected.
    """
    found = _COMPARISON.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r} is not a comparison; expected 'metric comparator value' with one of "
            f"{' '.join(Comparator)}, for example 'http.success_rate >= 99%'"
        )
    metric = _parse_metric(found[1])
    return Expectation(
        text=text.strip(),
        metric=metric,
        comparator=Comparator(found[2]),
        right=_parse_right(found[3], metric),
    )


def closest_metric(name: str, known: Iterable[str]) -> str | None:
    """The known name that ``name`` was most likely meant to be."""
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return matches[0] if matches else None


def _parse_metric(name: str) -> Metric:
    if unit := HTTP_METRICS.get(name):
        return Metric(name=name, unit=unit)
    if _STATUS_METRIC.fullmatch(name):
        return Metric(name=name, unit=Unit.COUNT)
    if found := _FLOW_LOG_METRIC.fullmatch(name):
        return Metric(name=name, unit=FLOW_LOG_METRICS[found[2]])
    if found := _LOAD_BALANCER_METRIC.fullmatch(name):
        return Metric(name=name, unit=LOAD_BALANCER_METRICS.get(found[2], Unit.COUNT))
    raise ValueError(f"unknown metric {name!r}; {_suggestion(name)}")


def _suggestion(name: str) -> str:
    candidates = [*HTTP_METRICS, "http.status.200"]
    parts = name.split(".")
    if len(parts) > 1:
        # The name of flow log or load balancer is the second part of whatever was meant.
        candidates += [f"flow_log.{parts[1]}.{suffix}" for suffix in FLOW_LOG_METRICS]
        candidates += [f"load_balancer.{parts[1]}.{suffix}" for suffix in LOAD_BALANCER_METRICS]
        candidates += [f"load_balancer.{parts[1]}.status.{status}" for status in ("200", "5xx")]
    closest = closest_metric(name, candidates)
    if closest is not None:
        return f"did you mean {closest!r}?"
    return (
        f"expected one of {', '.join(HTTP_METRICS)}, http.status.<code>, "
        f"flow_log.<name>.({'|'.join(FLOW_LOG_METRICS)}), "
        f"load_balancer.<name>.({'|'.join(LOAD_BALANCER_METRICS)}|status.<code>|status.<n>xx)"
    )


def _parse_right(text: str, metric: Metric) -> float | Metric:
    right: float | Metric
    if _NUMBER.fullmatch(text):
        right, unit = float(text), Unit.COUNT
    elif text.endswith("%"):
        right, unit = parse_share(text), Unit.SHARE
    elif text[0].isdigit():
        right, unit = parse_duration(text), Unit.DURATION
    else:
        right = _parse_metric(text)
        unit = right.unit
    if unit is not metric.unit:
        raise ValueError(
            f"{metric.name} is {_ARTICLES[metric.unit]}, but {text} is {_ARTICLES[unit]}; "
            f"compare it with {_ARTICLES[metric.unit]} such as {_EXAMPLES[metric.unit]}"
        )
    return right
