"""The operations of BLS, all of them.

Source: doc the vendor's SDKs (Go 0.9.273, Go 2, Python 0.9.79) and API schemas (2026-08).
"""

from collections.abc import Callable
from dataclasses import replace

from simulator.api.bls.alarms import Alarms
from simulator.api.bls.downloads import Downloads
from simulator.api.bls.elastic import Elastic
from simulator.api.bls.fast_queries import FastQueries
from simulator.api.bls.indexes import Indexes
from simulator.api.bls.log_stores import LogStores
from simulator.api.bls.projects import Projects
from simulator.api.bls.records import Records
from simulator.api.bls.shippers import Shippers
from simulator.api.bls.templates import Templates
from simulator.api.bls.views import Views
from simulator.api.bls.workers import Workers
from simulator.api.operations import Handle, Operation, OperationStatus
from simulator.clock import Clock
from simulator.logstore import LogStoreEngine

_STORE = "/v1/logstore/{name}"
_FAST = "/v1/fastquery"
_ACTION = "/v3/bls?action="
_DOWNLOAD = "/v2/logstore/download"


def bls_operations(
    engine: LogStoreEngine,
    clock: Clock,
    on_change: Callable[[], None],
    object_url: Callable[[str, str], str],
    region: str,
    workers: Workers,
) -> tuple[Operation, ...]:
    """Every operation, simulated or not.

    Args:
        engine: holds the LogStores.
        clock: does not jump while a call is at work.
        on_change: told each time that something has changed.
        object_url: the address of an object, from its bucket and key.
        region: of everything that is served.
        workers: the threads that the engine works in.
    """
    shared = (engine, clock, on_change, workers)
    projects = Projects(*shared)
    stores = LogStores(*shared)
    rec = Records(*shared)
    indexes = Indexes(*shared)
    fast = FastQueries(*shared)
    templates = Templates(*shared)
    views = Views(*shared, region)
    downloads = Downloads(*shared, object_url)
    return (
        *_rows(
            ("CreateProject", "POST", "/v1/project", projects.create),
            ("UpdateProject", "PUT", "/v1/project", projects.update),
            ("ListProject", "POST", "/v1/project/list", projects.list_all),
            ("DescribeProject", "GET", "/v1/project/{uuid}", projects.describe),
            ("DeleteProject", "DELETE", "/v1/project/{uuid}", projects.delete),
            ("CreateLogStore", "POST", "/v1/logstore", stores.create),
            ("ListLogStore", "GET", "/v1/logstore", stores.list_all),
            ("ListLogStore", "POST", "/v1/logstore/list", stores.list_all_post),
            ("ListLogStore", "POST", "/v2/logstore/list", stores.list_all_post),
            ("BatchGetLogStore", "POST", "/v1/logstore/batch", stores.get_batch),
            ("UpdateLogStore", "PUT", _STORE, stores.update),
            ("DescribeLogStore", "GET", _STORE, stores.describe),
            ("DeleteLogStore", "DELETE", _STORE, stores.delete),
            ("BindResource", "POST", "/v1/logstore/bind", stores.bind),
            ("UnBindResource", "POST", "/v1/logstore/unbind", stores.unbind),
            ("ListLogStream", "GET", f"{_STORE}/logstream", stores.list_streams),
            ("PushLogRecord", "POST", f"{_STORE}/logrecord", rec.push),
            ("PullLogRecord / QueryLogRecord", "GET", f"{_STORE}/logrecord", rec.read),
            ("PullLogRecordV3", "GET", "/v3/logstore/{name}/logrecord/pull", rec.pull_v3),
            ("QueryLogHistogram", "GET", "/v2/logstore/{name}/loghistogram", rec.histogram),
            ("CreateIndex", "POST", f"{_STORE}/index", indexes.create),
            ("UpdateIndex", "PUT", f"{_STORE}/index", indexes.update),
            ("DescribeIndex", "GET", f"{_STORE}/index", indexes.describe),
            ("DeleteIndex", "DELETE", f"{_STORE}/index", indexes.delete),
            ("CreateFastQuery", "POST", _FAST, fast.create),
            ("ListFastQuery", "GET", _FAST, fast.list_all),
            ("DescribeFastQuery", "GET", f"{_FAST}/{{fastQueryName}}", fast.describe),
            ("UpdateFastQuery", "PUT", f"{_FAST}/{{fastQueryName}}", fast.update),
            ("DeleteFastQuery", "DELETE", f"{_FAST}/{{fastQueryName}}", fast.delete),
            *(
                (name, "POST", f"{_ACTION}{name}", handle)
                for name, handle in (
                    ("CreateLogStoreTemplate", templates.create),
                    ("UpdateLogStoreTemplate", templates.update),
                    ("DeleteLogStoreTemplates", templates.delete),
                    ("DescribeLogStoreTemplate", templates.describe),
                    ("DescribeLogStoreTemplates", templates.list_all),
                    ("CreateLogStoreView", views.create),
                    ("UpdateLogStoreView", views.update),
                    ("DeleteLogStoreView", views.delete),
                    ("DescribeLogStoreView", views.describe),
                    ("DescribeLogStoreViews", views.list_all),
                )
            ),
            ("CreateDownloadTask", "POST", _DOWNLOAD, downloads.create),
            ("ListDownloadTask", "POST", f"{_DOWNLOAD}/list", downloads.list_all),
            ("GetDownloadTaskLink", "GET", f"{_DOWNLOAD}/link/{{uuid}}", downloads.link),
            ("DescribeDownloadTask", "GET", f"{_DOWNLOAD}/{{uuid}}", downloads.describe),
            ("DeleteDownloadTask", "DELETE", f"{_DOWNLOAD}/{{uuid}}", downloads.delete),
        ),
        *_shipper_rows(Shippers(*shared)),
        *_alarm_rows(Alarms(*shared)),
        *_elastic_rows(Elastic(*shared)),
        *(
            Operation(
                service="bls",
                name=name,
                method=method,
                path=path,
                pattern=pattern,
                status=OperationStatus.NOT,
            )
            for name, method, path, pattern in _NOT_SIMULATED
        ),
    )


def _shipper_rows(shippers: Shippers) -> tuple[Operation, ...]:
    shipper, one = "/v1/logshipper", "/v1/logshipper/{id}"
    return (
        *_partly(
            "not to Kafka; bzip2 and lzop not in Parquet",
            ("CreateLogShipper", "POST", shipper, shippers.create),
            ("UpdateLogShipper", "PUT", one, shippers.update),
        ),
        *_rows(
            ("ListLogShipper", "GET", shipper, shippers.list_all),
            ("GetLogShipper", "GET", one, shippers.describe),
            ("ListLogShipperRecord", "GET", f"{one}/record", shippers.list_records),
            ("SetSingleLogShipperStatus", "PUT", f"{one}/status", shippers.set_status),
            ("BulkSetLogShipperStatus", "PUT", f"{shipper}/status/batch", shippers.set_statuses),
            ("DeleteSingleLogShipper", "DELETE", one, shippers.delete),
            ("BulkDeleteLogShipper", "DELETE", shipper, shippers.delete_all),
        ),
    )


def _alarm_rows(alarms: Alarms) -> tuple[Operation, ...]:
    policy, validate = "/v1/alarm/policy", "/v1/alarm/condition/validate"
    return (
        *_partly(
            "nobody is notified, no raw logs",
            ("CreateAlarmPolicy", "POST", policy, alarms.create),
            ("UpdateAlarmPolicy", "PUT", policy, alarms.update),
        ),
        *_rows(
            ("DescribeAlarmPolicy", "GET", policy, alarms.describe),
            ("DeleteAlarmPolicy", "DELETE", policy, alarms.delete),
            ("EnableAlarmPolicy", "POST", f"{policy}/enable", alarms.enable),
            ("DisableAlarmPolicy", "POST", f"{policy}/disable", alarms.disable),
            ("ListAlarmPolicy", "POST", f"{policy}/list", alarms.list_policies),
            ("ValidateAlarmCondition", "POST", validate, alarms.validate_condition),
            ("ValidateAlarmPolicySQL", "POST", "/v1/logstore/validate", alarms.validate_statement),
        ),
        *_partly(
            "nobody is notified, no raw logs",
            ("DescribeAlarmRecord", "GET", "/v1/alarm/record", alarms.describe_alarm),
            ("ListAlarmRecord", "POST", "/v1/alarm/record/list", alarms.list_alarms),
            ("ListAlarmExecutions", "POST", "/v1/alarm/execution/list", alarms.list_executions),
            ("ListAlarmExecutionStats", "POST", "/v1/alarm/execution/stats", alarms.list_stats),
        ),
    )


def _elastic_rows(elastic: Elastic) -> tuple[Operation, ...]:
    return _rows(
        ("AsyncSearch", "POST", "/{index}/_async_search", elastic.search),
        ("FieldCaps", "POST", "/{index}/_field_caps", elastic.field_caps),
        ("FieldCaps", "GET", "/{index}/_field_caps", elastic.field_caps),
        ("TermsEnum", "POST", "/{index}/_terms_enum", elastic.terms_enum),
        ("ResolveIndex", "GET", "/_resolve/index/{pattern}", elastic.resolve),
        ("ResolveIndex", "POST", "/_resolve/index/{pattern}", elastic.resolve),
    )


def _rows(*rows: tuple[str, str, str, Handle]) -> tuple[Operation, ...]:
    """Operations that are simulated in full."""
    return tuple(
        Operation(
            service="bls",
            name=name,
            method=method,
            path=path,
            status=OperationStatus.DONE,
            handle=handle,
        )
        for name, method, path, handle in rows
    )


def _partly(remark: str, *rows: tuple[str, str, str, Handle]) -> tuple[Operation, ...]:
    """Operations of which the same is missing."""
    return tuple(replace(one, status=OperationStatus.PARTLY, remark=remark) for one in _rows(*rows))


_NOT_SIMULATED = (
    ("CreateCollectorTask", "POST", "/task", ""),
    # An index may be called task: what begins with a low line is a call of its search.
    ("UpdateCollectorTask", "POST", "/task/{taskId}", "/task/{taskId:[^_/][^/]*}"),
)
