"""The operations of BLS, all of them.

Source: doc the vendor's SDKs (Go 0.9.273, Go 2, Python 0.9.79) and API schemas (2026-08).
"""

from collections.abc import Callable
from functools import partial

from simulator.api.bls.records import Records
from simulator.api.bls.resources import Resources
from simulator.api.operations import Operation, OperationStatus
from simulator.clock import Clock
from simulator.logstore import LogStoreEngine

_STORE = "/v1/logstore/{name}"
_NO_INDEX = "an index cannot be given"
_done = partial(Operation, service="bls", status=OperationStatus.DONE)
_partly = partial(Operation, service="bls", status=OperationStatus.PARTLY)


def bls_operations(
    engine: LogStoreEngine, clock: Clock, on_change: Callable[[str], None]
) -> tuple[Operation, ...]:
    """Every operation, simulated or not.

    Args:
        engine: holds the LogStores.
        clock: held while a call is at work.
        on_change: told the name of each operation that has changed a project or LogStore.
    """
    res = Resources(engine, clock, on_change)
    rec = Records(engine, clock, on_change)
    return (
        _done(name="CreateProject", method="POST", path="/v1/project", handle=res.create_project),
        _done(name="UpdateProject", method="PUT", path="/v1/project", handle=res.update_project),
        _done(name="ListProject", method="POST", path="/v1/project/list", handle=res.list_project),
        _done(
            name="DescribeProject",
            method="GET",
            path="/v1/project/{uuid}",
            handle=res.describe_project,
        ),
        _done(
            name="DeleteProject",
            method="DELETE",
            path="/v1/project/{uuid}",
            handle=res.delete_project,
        ),
        _partly(
            name="CreateLogStore",
            method="POST",
            path="/v1/logstore",
            handle=res.create_log_store,
            remark=_NO_INDEX,
        ),
        _done(name="ListLogStore", method="GET", path="/v1/logstore", handle=res.list_log_store),
        _done(
            name="ListLogStore",
            method="POST",
            path="/v1/logstore/list",
            handle=res.list_log_store_post,
        ),
        _done(
            name="ListLogStore",
            method="POST",
            path="/v2/logstore/list",
            handle=res.list_log_store_post,
        ),
        _done(
            name="BatchGetLogStore",
            method="POST",
            path="/v1/logstore/batch",
            handle=res.batch_get_log_store,
        ),
        _partly(
            name="UpdateLogStore",
            method="PUT",
            path=_STORE,
            handle=res.update_log_store,
            remark=_NO_INDEX,
        ),
        _done(name="DescribeLogStore", method="GET", path=_STORE, handle=res.describe_log_store),
        _done(name="DeleteLogStore", method="DELETE", path=_STORE, handle=res.delete_log_store),
        _done(
            name="ListLogStream",
            method="GET",
            path=f"{_STORE}/logstream",
            handle=res.list_log_stream,
        ),
        _done(name="PushLogRecord", method="POST", path=f"{_STORE}/logrecord", handle=rec.push),
        _partly(
            name="PullLogRecord / QueryLogRecord",
            method="GET",
            path=f"{_STORE}/logrecord",
            handle=rec.read,
            remark="no sampling, no views; a part of the SQL functions",
        ),
        _partly(
            name="PullLogRecordV3",
            method="GET",
            path="/v3/logstore/{name}/logrecord/pull",
            handle=rec.pull_v3,
            remark="no views",
        ),
        *(
            Operation(
                service="bls", name=name, method=method, path=path, status=OperationStatus.NOT
            )
            for name, method, path in _NOT_SIMULATED
        ),
    )


_NOT_SIMULATED = (
    ("BindResource", "POST", "/v1/logstore/bind"),
    ("UnBindResource", "POST", "/v1/logstore/unbind"),
    ("QueryLogHistogram", "GET", "/v2/logstore/{name}/loghistogram"),
    ("CreateIndex", "POST", f"{_STORE}/index"),
    ("UpdateIndex", "PUT", f"{_STORE}/index"),
    ("DescribeIndex", "GET", f"{_STORE}/index"),
    ("DeleteIndex", "DELETE", f"{_STORE}/index"),
    ("CreateFastQuery", "POST", "/v1/fastquery"),
    ("ListFastQuery", "GET", "/v1/fastquery"),
    ("DescribeFastQuery", "GET", "/v1/fastquery/{fastQueryName}"),
    ("UpdateFastQuery", "PUT", "/v1/fastquery/{fastQueryName}"),
    ("DeleteFastQuery", "DELETE", "/v1/fastquery/{fastQueryName}"),
    ("CreateLogShipper", "POST", "/v1/logshipper"),
    ("ListLogShipper", "GET", "/v1/logshipper"),
    ("BulkDeleteLogShipper", "DELETE", "/v1/logshipper"),
    ("BulkSetLogShipperStatus", "PUT", "/v1/logshipper/status/batch"),
    ("GetLogShipper", "GET", "/v1/logshipper/{id}"),
    ("UpdateLogShipper", "PUT", "/v1/logshipper/{id}"),
    ("DeleteSingleLogShipper", "DELETE", "/v1/logshipper/{id}"),
    ("SetSingleLogShipperStatus", "PUT", "/v1/logshipper/{id}/status"),
    ("ListLogShipperRecord", "GET", "/v1/logshipper/{id}/record"),
    ("CreateDownloadTask", "POST", "/v2/logstore/download"),
    ("ListDownloadTask", "POST", "/v2/logstore/download/list"),
    ("GetDownloadTaskLink", "GET", "/v2/logstore/download/link/{uuid}"),
    ("DescribeDownloadTask", "GET", "/v2/logstore/download/{uuid}"),
    ("DeleteDownloadTask", "DELETE", "/v2/logstore/download/{uuid}"),
    ("CreateAlarmPolicy", "POST", "/v1/alarm/policy"),
    ("UpdateAlarmPolicy", "PUT", "/v1/alarm/policy"),
    ("DescribeAlarmPolicy", "GET", "/v1/alarm/policy"),
    ("DeleteAlarmPolicy", "DELETE", "/v1/alarm/policy"),
    ("EnableAlarmPolicy", "POST", "/v1/alarm/policy/enable"),
    ("DisableAlarmPolicy", "POST", "/v1/alarm/policy/disable"),
    ("ListAlarmPolicy", "POST", "/v1/alarm/policy/list"),
    ("DescribeAlarmRecord", "GET", "/v1/alarm/record"),
    ("ListAlarmRecord", "POST", "/v1/alarm/record/list"),
    ("ListAlarmExecutions", "POST", "/v1/alarm/execution/list"),
    ("ListAlarmExecutionStats", "POST", "/v1/alarm/execution/stats"),
    ("ValidateAlarmCondition", "POST", "/v1/alarm/condition/validate"),
    ("ValidateAlarmPolicySQL", "POST", "/v1/logstore/validate"),
    ("LogStoreTemplatesAndViews", "POST", "/v3/bls"),
    ("CreateCollectorTask", "POST", "/task"),
    ("UpdateCollectorTask", "POST", "/task/{taskId}"),
    ("AsyncSearch", "POST", "/{index}/_async_search"),
    ("FieldCaps", "POST", "/{index}/_field_caps"),
    ("TermsEnum", "POST", "/{index}/_terms_enum"),
    ("ResolveIndex", "GET", "/_resolve/index/{pattern}"),
)
