"""The devices of a flavor: how many, their memory, and their speed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from modelops.ports import Flavor


class Device(NamedTuple):
    """One accelerator, or the processors of a flavor without accelerators.

    `peak_tflops`: dense, in the type that the trainer uses: bf16, or fp32 on devices without it (T4, processors); for
    L4 and RTX PRO 6000, the value that they sustain within their power limits.
    `gigabytes`: nominal memory; 0 for processors, whose memory is not checked.
    `bytes_per_value`: of weights and activations: 2 in bf16, 4 in fp32.
    """

    peak_tflops: float
    gigabytes: int
    bytes_per_value: int = 2


DEVICES: dict[str, Device] = {
    "cpu-basic": Device(0.05, 0, 4),
    "cpu-upgrade": Device(0.2, 0, 4),
    "cpu-xl": Device(0.4, 0, 4),
    "cpu-performance": Device(0.8, 0, 4),
    "t4": Device(8.1, 16, 4),
    "l4": Device(60.0, 24),
    "a10g": Device(70.0, 24),
    "l40s": Device(362.0, 48),
    "a100": Device(312.0, 80),
    "rtx-pro-6000": Device(250.0, 96),
    "h100": Device(989.0, 80),
    "h200": Device(989.0, 141),
}
"""By the prefix of the flavor's name. Source: the makers' data sheets."""


@dataclass(frozen=True, kw_only=True)
class Hardware:
    """A flavor whose devices are in the table."""

    flavor: Flavor
    kind: str
    device: Device
    devices: int

    @property
    def gigabytes(self) -> int:
        """Memory of all devices together."""
        return self.device.gigabytes * self.devices


def find_hardware(flavor: Flavor) -> Hardware | None:
    """The flavor's hardware; None if its kind is not in the table."""
    name = flavor.name
    kinds = [kind for kind in DEVICES if name == kind or name.startswith((kind + "-", kind + "x"))]
    if not kinds:
        return None
    kind = max(kinds, key=len)
    return Hardware(flavor=flavor, kind=kind, device=DEVICES[kind], devices=max(1, flavor.devices))
