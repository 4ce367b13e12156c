"""Backends of a TrainingRun on hardware of one's own: a Kubernetes Job, or a TrainJob of Kubeflow Trainer."""

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
    """The devices whose memory and speed the estimate knows; `cpu-*`: processors only, to try it out."""

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
        return self.value.startswith("cpu-")


_GPUS_FIT = Rule(
    "self.device.startsWith('cpu-') == (self.gpus == 0)",
    "write gpus: 0 for a device that begins with cpu-, and at least 1 for every other",
    field="gpus",
)


class Toleration(ApiModel):
    """Lets the Pod run on nodes with this taint, as in a Pod."""

    key: str | None = Field(
        default=None, max_length=253, pattern=_LABEL_KEY, description="Key of the taint; without one, of all."
    )
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists", description="Whether the taint's value counts."
    )
    value: LabelValue | None = Field(default=None, description="The taint's value, with the operator Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="Effect of the taint; without one, all."
    )


class ClusterHardwareSpec(ApiModel):
    """What both engines have in common."""

    device: DeviceKind = Field(
        description="What the nodes have; memory and speed follow from it, and its price per hour is "
        "cost_estimates.<device>_per_hour of the operator's training defaults, with `_` for `-`, such as "
        "rtx_pro_6000_per_hour. cpu-basic to cpu-performance are processors only.",
    )
    gpus: int = Field(
        default=1, ge=0, le=16, description="GPUs of a Pod, all on one node; 0 with a device that has none."
    )
    gpu_resource: Annotated[
        str, matches(_RESOURCE, "write an extended resource with its domain, such as `nvidia.com/gpu`")
    ] = Field(
        default="nvidia.com/gpu",
        max_length=128,
        pattern=_RESOURCE,
        description="Name under which the nodes offer their GPUs.",
    )
    cpu: Quantity | None = Field(default=None, description='Processors that a Pod asks for, such as "8".')
    memory: Quantity | None = Field(
        default=None, description='Memory that a Pod asks for and may not exceed, such as "64Gi".'
    )
    queue_name: ObjectName | None = Field(
        default=None, description="Kueue's LocalQueue, in the same namespace, that decides when it starts."
    )


class KubernetesBackend(ClusterHardwareSpec, json_schema_extra=rules(_GPUS_FIT)):
    """A Job of this cluster, in the run's namespace; with several GPUs all on one node."""

    node_selector: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=16, description="Labels of the nodes that may run it."
    )
    tolerations: tuple[Toleration, ...] = Field(
        default=(),
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
        description="Taints of nodes that may run it all the same.",
    )
    runtime_class_name: ObjectName | None = Field(
        default=None, description="The Pod's RuntimeClass, such as `nvidia`."
    )


class TrainJobBackend(ClusterHardwareSpec, json_schema_extra=rules(_GPUS_FIT)):
    """A TrainJob of Kubeflow Trainer v2 in the run's namespace, on several nodes where that is asked."""

    runtime: ObjectName = Field(
        default="torch-distributed",
        description="The runtime, which says everything else of its Pods: nodes, tolerations, volumes.",
    )
    runtime_kind: Literal["ClusterTrainingRuntime", "TrainingRuntime"] = Field(
        default="ClusterTrainingRuntime",
        description="Kind of the runtime; a TrainingRuntime is in the namespace.",
    )
    num_nodes: int = Field(default=1, ge=1, le=64, description="Nodes; each has so many gpus.")
