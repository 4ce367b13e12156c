"""Backends of a TrainingRun that use the cluster's own hardware: a Kubernetes Job or a TrainJob of Kubeflow Trainer."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, matches, rules
from modelops.api.v1alpha1.meta import ApiModel, ObjectName

_QUANTITY = r"^[0-9]{1,9}(\.[0-9]{1,3})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"
_RESOURCE = r"^[a-z0-9.-]+/[A-Za-z0-9._-]+$"
_LABEL_KEY = r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$"
_LABEL_VALUE = r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$"

Quantity = Annotated[
    str,
    Field(pattern=_QUANTITY, max_length=16),
    matches(_QUANTITY, 'write a quantity as Kubernetes does, such as "8", "500m" or "64Gi"'),
]
LabelValue = Annotated[str, Field(max_length=63, pattern=_LABEL_VALUE)]


class DeviceKind(StrEnum):
    """The devices whose memory and speed the cost estimate knows. Devices named `cpu-*` have no GPU, for trials."""

    CPU_BASIC = "cpu-basic"
    CPU_UPGRADE = "cpu-upgrade"
    CPU_XL = "cpu-xl"
    CPU_PERFORMANCE = "cpu-performance"
    T4 = "t4"
    L4 = "l4"
    A10G = "a10g"
    L40S = "l40s"
    A100 = "a100"
    RTX_PRO_6000 = "rtx-pro-6000"
    H100 = "h100"
    H200 = "h200"

    @property
    def is_processor(self) -> bool:
        """Whether the device has no GPU."""
        return self.value.startswith("cpu-")


_GPUS_FIT = Rule(
    "self.device.startsWith('cpu-') == (self.gpus == 0)",
    "write gpus: 0 for a device that begins with cpu-, and at least 1 for every other",
    field="gpus",
)


class Toleration(ApiModel):
    """A toleration of the training Pod: it may run on nodes with this taint. The fields are those of a Pod."""

    key: str | None = Field(
        default=None,
        max_length=253,
        pattern=_LABEL_KEY,
        description="Key of the tolerated taint. If it is empty, every key is tolerated, and the operator "
        "must be Exists.",
    )
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists",
        description="Exists tolerates every value of the taint. Equal compares the taint's value with `value`.",
    )
    value: LabelValue | None = Field(
        default=None, description="Value of the tolerated taint. Empty with the operator Exists."
    )
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the tolerated taint. If it is empty, every effect is tolerated."
    )


class ClusterHardwareSpec(ApiModel):
    """The fields that both backends in the cluster have in common."""

    device: DeviceKind = Field(
        description="Device of the nodes; the estimate takes memory and speed from it. Its price per hour "
        "is cost_estimates.<device>_per_hour in the operator's training defaults, with `_` for `-`, such "
        "as rtx_pro_6000_per_hour. Devices from cpu-basic to cpu-performance have no GPU.",
    )
    gpus: int = Field(
        default=1,
        ge=0,
        le=16,
        description="Number of GPUs of each Pod, all on one node. Must be 0 for a device without a GPU.",
    )
    gpu_resource: Annotated[
        str, matches(_RESOURCE, "write an extended resource with its domain, such as `nvidia.com/gpu`")
    ] = Field(
        default="nvidia.com/gpu",
        max_length=128,
        pattern=_RESOURCE,
        description="Extended resource under which the nodes offer their GPUs.",
    )
    cpu: Quantity | None = Field(
        default=None,
        description='CPU request of each Pod as a Kubernetes quantity, such as "8". If it is empty, no CPU is '
        "requested.",
    )
    memory: Quantity | None = Field(
        default=None,
        description='Memory request and limit of each Pod as a Kubernetes quantity, such as "64Gi". If it is '
        "empty, there is neither.",
    )
    queue_name: ObjectName | None = Field(
        default=None,
        description="Name of a LocalQueue of Kueue in the same namespace, which decides when the job "
        "starts. If it is empty, the job starts without a queue.",
    )


class KubernetesBackend(ClusterHardwareSpec, json_schema_extra=rules(_GPUS_FIT)):
    """A Kubernetes Job in the run's namespace. All its GPUs are on one node."""

    node_selector: dict[str, LabelValue] = Field(
        default_factory=dict,
        max_length=16,
        description="Labels that a node must carry to run the Pod. If it is empty, every node is allowed.",
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="Tolerations of the Pod, for nodes with taints.",
    )
    runtime_class_name: ObjectName | None = Field(
        default=None,
        description="Name of the Pod's RuntimeClass, such as `nvidia`. If it is empty, the cluster's default is used.",
    )


class TrainJobBackend(ClusterHardwareSpec, json_schema_extra=rules(_GPUS_FIT)):
    """A TrainJob of Kubeflow Trainer v2 in the run's namespace, on one node or several."""

    runtime: ObjectName = Field(
        default="torch-distributed",
        description="Name of the training runtime, which defines the rest of the Pods: node selection, "
        "tolerations, volumes.",
    )
    runtime_kind: Literal["ClusterTrainingRuntime", "TrainingRuntime"] = Field(
        default="ClusterTrainingRuntime",
        description="Kind of the training runtime. A TrainingRuntime is in the run's namespace, a "
        "ClusterTrainingRuntime in none.",
    )
    num_nodes: int = Field(
        default=1, ge=1, le=64, description="Number of nodes. Each node has as many GPUs as `gpus` says."
    )
