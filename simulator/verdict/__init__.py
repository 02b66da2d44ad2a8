"""What a run was expected to do and whether it did; what a pipeline kept of what was delivered.

It measures and delivers nothing itself: it compares values it is given.
"""

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
from simulator.verdict.findings import (
    Example,
    FieldDifference,
    Finding,
    FlowLogFindings,
    Reconciliation,
)
from simulator.verdict.ledger import Ledger, LedgerBatch, LedgerFlowLog
from simulator.verdict.mapping import RecordMapping, parse_mapping
from simulator.verdict.measures import (
    DelaySummary,
    FlowLogMeasures,
    HttpMeasures,
    LoadBalancerMeasures,
)
from simulator.verdict.reconcile import Reconciler, choose_flow_logs

__all__ = [
    "Comparator",
    "DelaySummary",
    "Example",
    "Expectation",
    "FieldDifference",
    "Finding",
    "FlowLogFindings",
    "FlowLogMeasures",
    "HttpMeasures",
    "Ledger",
    "LedgerBatch",
    "LedgerFlowLog",
    "LoadBalancerMeasures",
    "Metric",
    "Outcome",
    "Reconciler",
    "Reconciliation",
    "RecordMapping",
    "Unit",
    "choose_flow_logs",
    "closest_metric",
    "evaluate",
    "format_duration",
    "format_share",
    "format_value",
    "parse_duration",
    "parse_expectation",
    "parse_mapping",
    "parse_share",
]
