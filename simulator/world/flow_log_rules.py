"""What a flow log may be: the vendor's rules, as errors of the API."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, assert_never

from simulator.api.flow_log_values import (
    DestinationType,
    FlowLogEdit,
    FlowLogRequest,
    FlowLogTarget,
)
from simulator.errors import ControlError
from simulator.model import (
    BucketDestination,
    ClusterKind,
    DelayDistribution,
    FlowLog,
    LoadBalancerId,
    LogStoreDestination,
)
from simulator.scenario import LoadBalancerPlan, parse_name

MAX_FLOW_LOGS: Final = 10
"""Source: doc https://cloud.baidu.com/doc/VPC/s/Lkdonb0v7: ten per region."""
_DESCRIPTION_LENGTH: Final = 200
_PREFIX_BYTES: Final = 256
_DEFAULT_PROJECT: Final = "default"
_OTHER_RESOURCES: Final = (
    "eip",
    "nat",
    "ipv6gateway",
    "peerconn",
    "dcgw",
    "sslvpn",
    "csn",
    "bcc",
)
"""Source: doc https://cloud.baidu.com/doc/VPC/s/Lkdonb0v7; their spelling is assumed."""
_LAYERS_SOURCE: Final = "https://cloud.baidu.com/doc/BLB/s/Umbq97b2o"

Destination = LogStoreDestination | BucketDestination


class FlowLogRules:
    """Checks flow logs that are to be made or changed.

    Args:
        region: of the simulation.
        load_balancers: all there are.
        has_log_store: whether there is one, by project and name.
        has_bucket: whether there is one.

    Source: doc https://cloud.baidu.com/doc/VPC/s/Lkdonb0v7 (ten per region, LogStore of the same
    region) and https://cloud.baidu.com/doc/BLB/s/Umbq97b2o (layers and clusters); codes
    are assumed.
    """

    def __init__(
        self,
        *,
        region: str,
        load_balancers: tuple[LoadBalancerPlan, ...],
        has_log_store: Callable[[str, str], bool],
        has_bucket: Callable[[str], bool],
    ) -> None:
        self._region = region
        self._load_balancers = load_balancers
        self._has_log_store = has_log_store
        self._has_bucket = has_bucket

    def check(
        self, request: FlowLogRequest, existing: tuple[FlowLog, ...]
    ) -> tuple[Destination, DelayDistribution]:
        """Where a new flow log delivers to, and when.

        Raises:
            ControlError: it may not be made.
        """
        if len(existing) >= MAX_FLOW_LOGS:
            raise ControlError(
                "QuotaExceeded", 413, f"there are {len(existing)} flow logs in {self._region}; "
                f"at most {MAX_FLOW_LOGS} are allowed per region"
            )  # fmt: skip
        self._check_name(request.name, existing)
        self.check_description(request.description)
        if request.sampling_rate != 1.0:
            raise _invalid(
                "samplingRate: only 1 is simulated; the fault F-SAMPLE leaves records out"
            )
        if request.resource_type == "blb":
            self._check_layer(request)
        elif request.resource_type not in _OTHER_RESOURCES:
            raise _invalid(
                f"resourceType: {request.resource_type!r} is unknown; expected blb or one of "
                f"{', '.join(_OTHER_RESOURCES)}"
            )
        destination = self._destination(request.target)
        self._check_duplicate(self.load_balancer_id(request.resource_id), destination, existing)
        return destination, DelayDistribution()

    def edited(self, before: FlowLog, edit: FlowLogEdit, others: tuple[FlowLog, ...]) -> FlowLog:
        """A flow log after an edit.

        Raises:
            ControlError: it may not be changed like this.
        """
        flow_log = before
        if edit.name is not None and edit.name != before.name:
            self._check_name(edit.name, others)
            flow_log = replace(flow_log, name=edit.name)
        if edit.target is not None:
            destination = self._destination(edit.target)
            if isinstance(destination, BucketDestination) and isinstance(
                before.destination, BucketDestination
            ):
                # What the API does not speak of stays as it is.
                destination = replace(
                    before.destination, bucket=destination.bucket, prefix=destination.prefix
                )
            self._check_duplicate(before.load_balancer_id, destination, others)
            flow_log = replace(flow_log, destination=destination)
        return flow_log

    def load_balancer_id(self, resource_id: str) -> LoadBalancerId:
        """The id of a load balancer, by which it is named, or by its name."""
        for plan in self._load_balancers:
            if plan.name == resource_id:
                return plan.load_balancer_id
        return LoadBalancerId(resource_id)

    def check_description(self, text: str) -> None:
        """Raise for a description that is too long.

        Raises:
            ControlError: InvalidParameter.
        """
        if len(text) > _DESCRIPTION_LENGTH:
            raise _invalid(
                f"description: {len(text)} characters; expected at most {_DESCRIPTION_LENGTH}"
            )

    def _check_name(self, name: str, others: tuple[FlowLog, ...]) -> None:
        try:
            parse_name(name)
        except ValueError as error:
            raise _invalid(f"name: {error}") from error
        if any(other.name == name for other in others):
            raise ControlError("FlowLogAlreadyExist", 409, f"a flow log is named {name!r} already")

    def _check_layer(self, request: FlowLogRequest) -> None:
        wanted = self.load_balancer_id(request.resource_id)
        plan = next((one for one in self._load_balancers if one.load_balancer_id == wanted), None)
        if plan is None:
            raise ControlError(
                "InstanceNotFound", 404, f"load balancer {request.resource_id} does not exist"
            )
        if request.layer == 7:
            if request.traffic_type:
                raise _invalid("trafficType: it is of layer 4 only")
            if not plan.listeners:
                raise ControlError(
                    "OperationNotSupported",
                    400,
                    f"load balancer {plan.name} has no HTTP or HTTPS listener to record",
                )
            return
        if plan.cluster.kind is ClusterKind.SHARED:
            raise ControlError(
                "OperationNotSupported",
                400,
                f"layer-4 flow logs need a dedicated cluster, and load balancer {plan.name} is on "
                f"the shared one ({_LAYERS_SOURCE})",
            )
        raise ControlError("NotImplemented", 501, "CreateFlowLog of layer 4 is not simulated")

    def _destination(self, target: FlowLogTarget) -> Destination:
        if target.region not in ("", self._region):
            raise _invalid(
                f"destConfig.region: the destination is in {target.region}, the flow log in "
                f"{self._region}; expected the same region"
            )
        match target.type:
            case DestinationType.BLS:
                project = target.project or _DEFAULT_PROJECT
                if not self._has_log_store(project, target.log_store):
                    raise ControlError(
                        "LogStoreNotFound", 404, f"LogStore [{target.log_store}] not exists"
                    )
                return LogStoreDestination(project=project, log_store=target.log_store)
            case DestinationType.BOS:
                if not self._has_bucket(target.bucket):
                    raise ControlError(
                        "NoSuchBucket", 404, f"the bucket {target.bucket} does not exist"
                    )
                prefix = target.prefix
                too_long = len(prefix.encode()) > _PREFIX_BYTES
                if prefix.startswith("/") or not prefix.isprintable() or too_long:
                    raise _invalid(
                        f"destConfig.prefix: {prefix!r} will not do; expected at most "
                        f"{_PREFIX_BYTES} printable bytes and no leading '/'"
                    )
                return BucketDestination(bucket=target.bucket, prefix=prefix)
            case _ as never:
                assert_never(never)

    def _check_duplicate(
        self,
        load_balancer_id: LoadBalancerId,
        destination: Destination,
        others: tuple[FlowLog, ...],
    ) -> None:
        for other in others:
            same_place = _place(other.destination) == _place(destination)
            if same_place and other.load_balancer_id == load_balancer_id:
                raise ControlError(
                    "FlowLogAlreadyExist",
                    409,
                    f"flow log {other.name} ({other.flow_log_id}) delivers from this load "
                    "balancer to this destination already",
                )


def target_of(destination: Destination) -> FlowLogTarget:
    """A destination as the API speaks of it."""
    match destination:
        case LogStoreDestination():
            return FlowLogTarget(
                type=DestinationType.BLS,
                project=destination.project,
                log_store=destination.log_store,
            )
        case BucketDestination():
            return FlowLogTarget(
                type=DestinationType.BOS, bucket=destination.bucket, prefix=destination.prefix
            )
        case _ as never:
            assert_never(never)


def _place(destination: Destination) -> tuple[str, ...]:
    """What makes two destinations the same."""
    match destination:
        case LogStoreDestination():
            return ("log_store", destination.project, destination.log_store)
        case BucketDestination():
            return ("bucket", destination.bucket, destination.prefix)
        case _ as never:
            assert_never(never)


def _invalid(message: str) -> ControlError:
    return ControlError("InvalidParameter", 400, message)
