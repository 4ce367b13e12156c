"""Training on hardware of one's own: what it is, and what an hour of it costs by the installation's own word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.cluster_hardware import DeviceKind, KubernetesBackend, TrainJobBackend
from modelops.api.v1alpha1.trainingrun import HuggingFaceBackend, TrainingRun
from modelops.domain.established import require_established
from modelops.domain.money import micro
from modelops.ports import Flavor

HUGGING_FACE_FIELD = "spec.backend.huggingFace.flavor"


@dataclass(frozen=True, kw_only=True)
class ClusterHardware:
    """`gpus`: of each node. `field`: where the run says it."""

    backend: KubernetesBackend | TrainJobBackend
    device: DeviceKind
    gpus: int
    nodes: int
    field: str

    @property
    def name(self) -> str:
        """As a flavor's name: `l40sx2`, `h100x8-4nodes`, `cpu-basic`."""
        name = f"{self.device.value}x{self.gpus}" if self.gpus else self.device.value
        return f"{name}-{self.nodes}nodes" if self.nodes > 1 else name

    @property
    def price_key(self) -> str:
        """Under `cost_estimates`; the price of one GPU, or of one node without any."""
        return self.device.value.replace("-", "_") + "_per_hour"


def cluster_hardware(run: TrainingRun) -> ClusterHardware | None:
    """The hardware; None where the run is not trained in this cluster."""
    kubernetes, train_job = run.spec.backend.kubernetes, run.spec.backend.train_job
    if kubernetes is not None:
        field = "spec.backend.kubernetes.device"
        return ClusterHardware(
            backend=kubernetes, device=kubernetes.device, gpus=kubernetes.gpus, nodes=1, field=field
        )
    if train_job is not None:
        return ClusterHardware(
            backend=train_job,
            device=train_job.device,
            gpus=train_job.gpus,
            nodes=train_job.num_nodes,
            field="spec.backend.trainJob.device",
        )
    return None


def hugging_face_backend(run: TrainingRun) -> HuggingFaceBackend:
    """The backend of a run that has no hardware in this cluster: the API admits no run without a backend."""
    return require_established(run.spec.backend.hugging_face, "spec.backend.huggingFace")


def cluster_flavor(own: ClusterHardware, defaults: Mapping[str, Any]) -> Flavor:
    """The hardware with the price of all of it; 0 where the training defaults name none."""
    each = defaults.get("cost_estimates", {}).get(own.price_key, 0)
    devices = max(1, own.gpus) * own.nodes
    return Flavor(
        name=own.name,
        usd_micro_per_hour=micro(str(each)) * devices,
        accelerator=f"{own.gpus * own.nodes}x {own.device.value}" if own.gpus else "",
        devices=devices,
    )


def hardware_field(run: TrainingRun) -> str:
    """Where the run names its hardware, for messages."""
    own = cluster_hardware(run)
    return own.field if own else HUGGING_FACE_FIELD
