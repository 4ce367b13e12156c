"""Hardware of this cluster: what a run asks for, and its price per hour by the installation's training defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from modelops.api.v1alpha1.cluster_hardware import DeviceKind, KubernetesBackend, TrainJobBackend
from modelops.api.v1alpha1.trainingrun import HuggingFaceBackend, TrainingRun
from modelops.domain.established import require_established
from modelops.domain.money import micro
from modelops.domain.training.pricing.memory import GIGABYTE
from modelops.ports import Flavor

_BYTES = {"m": 1e-3, "": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12} | {
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}
"""Bytes of a quantity's suffix (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity)."""
HUGGING_FACE_FIELD = "spec.backend.huggingFace.flavor"


@dataclass(frozen=True, kw_only=True)
class ClusterHardware:
    """The devices that a run asks for. `gpus`: of each node. `field`: the field of the run that names the device."""

    backend: KubernetesBackend | TrainJobBackend
    device: DeviceKind
    gpus: int
    nodes: int
    field: str

    @property
    def name(self) -> str:
        """The hardware as the name of a flavor: `l40sx2`, `h100x8-4nodes`, `cpu-basic`."""
        name = f"{self.device.value}x{self.gpus}" if self.gpus else self.device.value
        return f"{name}-{self.nodes}nodes" if self.nodes > 1 else name

    @property
    def price_key(self) -> str:
        """Key under `cost_estimates`: the price per hour of one GPU, or of one node without GPUs."""
        return self.device.value.replace("-", "_") + "_per_hour"


def cluster_hardware(run: TrainingRun) -> ClusterHardware | None:
    """The run's hardware in this cluster; None if it trains elsewhere."""
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
    """The backend of a run that does not train in this cluster; the API admits no run without a backend."""
    return require_established(run.spec.backend.hugging_face, "spec.backend.huggingFace")


def cluster_flavor(hardware: ClusterHardware, defaults: Mapping[str, Any]) -> Flavor:
    """The hardware as a flavor, with the price of all its devices; 0 if the training defaults name no price."""
    price = defaults.get("cost_estimates", {}).get(hardware.price_key, 0)
    devices = max(1, hardware.gpus) * hardware.nodes
    memory = hardware.backend.memory
    return Flavor(
        name=hardware.name,
        usd_micro_per_hour=micro(str(price)) * devices,
        accelerator=f"{hardware.gpus * hardware.nodes}x {hardware.device.value}" if hardware.gpus else "",
        devices=devices,
        machines=hardware.nodes,
        machine_gigabytes=quantity_in_gigabytes(memory) if memory else 0.0,
    )


def quantity_in_gigabytes(quantity: str) -> float:
    """A Kubernetes quantity of bytes, such as `64Gi` or `500M`, in GB of 10^9 bytes. The API has checked its form."""
    number = quantity.rstrip("mkMGTi")
    return float(number) * _BYTES[quantity[len(number) :]] / GIGABYTE


def hardware_field(run: TrainingRun) -> str:
    """The field in which the run names its hardware, for messages."""
    hardware = cluster_hardware(run)
    return hardware.field if hardware else HUGGING_FACE_FIELD
