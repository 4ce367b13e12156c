"""The hardware of Inference Endpoints, with the documented prices of 2026-08-20 (USD per replica and hour)."""

from dataclasses import dataclass
from typing import Any

REGIONS = {"aws": ("us-east-1", "eu-west-1")}


@dataclass(frozen=True)
class Compute:
    """One instance type in one size."""

    accelerator: str
    instance_type: str
    instance_size: str
    architecture: str
    accelerators: int
    vcpus: int
    memory_gb: float
    usd_per_hour: float
    gpu_memory_gb: int | None = None
    status: str = "available"
    quota: int = 8
    """The number of accelerators of this type that a namespace may use at once."""

    def to_json(self, *, vendor: str, region: str, used: int) -> dict[str, Any]:
        """Return an item of `computes` in `GET /v2/provider/{namespace}`."""
        return {
            "id": f"{vendor}-{region}-{self.instance_type}-{self.instance_size}",
            "accelerator": self.accelerator,
            "instanceType": self.instance_type,
            "instanceSize": self.instance_size,
            "architecture": self.architecture,
            "numAccelerators": self.accelerators,
            "numCpus": self.vcpus,
            "memoryGb": self.memory_gb,
            "gpuMemoryGb": self.gpu_memory_gb,
            "pricePerHour": self.usd_per_hour,
            "status": self.status,
            "quota": {"maxAccelerators": self.quota, "usedAccelerators": used},
        }


COMPUTES = (
    Compute("cpu", "intel-spr", "x1", "Intel Sapphire Rapids", 1, 1, 2, 0.033, quota=64),
    Compute("cpu", "intel-spr", "x2", "Intel Sapphire Rapids", 2, 2, 4, 0.067, quota=64),
    Compute("cpu", "intel-spr", "x4", "Intel Sapphire Rapids", 4, 4, 8, 0.134, quota=64),
    Compute("gpu", "nvidia-t4", "x1", "Nvidia T4", 1, 3, 14, 0.50, 16),
    Compute("gpu", "nvidia-l4", "x1", "Nvidia L4", 1, 7, 30, 0.80, 24),
    Compute("gpu", "nvidia-l4", "x4", "Nvidia L4", 4, 45, 186, 3.80, 96),
    Compute("gpu", "nvidia-a10g", "x1", "Nvidia A10G", 1, 6, 28, 1.00, 24),
    Compute("gpu", "nvidia-l40s", "x1", "Nvidia L40S", 1, 7, 60, 1.80, 48),
    Compute("gpu", "nvidia-a100", "x1", "Nvidia A100", 1, 11, 145, 2.50, 80),
    Compute("gpu", "nvidia-h100", "x1", "Nvidia H100", 1, 23, 240, 4.50, 80, "deprecated"),
    Compute("gpu", "nvidia-h200", "x1", "Nvidia H200", 1, 23, 256, 5.00, 141),
)


def find(accelerator: str, instance_type: str, instance_size: str) -> Compute | None:
    """Return the instance with these names, or None."""
    wanted = (accelerator, instance_type, instance_size)
    for compute in COMPUTES:
        if (compute.accelerator, compute.instance_type, compute.instance_size) == wanted:
            return compute
    return None
