"""Memory and disk that a training needs of the machine around the devices, checked before anything is spent.

In GB, with P the parameters of the base model, A those of the adapter, and v the bytes of a value on the device:

| part | GB | why |
|---|---|---|
| process | 4 for each device | Python, PyTorch, the CUDA context, pinned memory (assumed; not measured on a GPU) |
| saving | 2 x 2 | safetensors copies the tensors of a file from the device, and a file has 2 GB (trl_merged.py) |
| without a device | as memory.py | the process, weights, activations and logits are in the machine's memory |
| packages | 14 | the image, 5.6 GB of packages, and uv's cache of them |
| base model | 2 P | its files in the cache of the Hub; files in float32 or stored twice are not counted |
| merged model | v P | written before it is published |
| checkpoints | 2 x 12 A | the last one, and the one that replaces it |
"""

from __future__ import annotations

from typing import Final

from modelops.domain.training.pricing.memory import GIGABYTE, StepLoad, required_memory
from modelops.domain.training.pricing.model_shape import ModelShape
from modelops.ports import Flavor

PROCESS_GIGABYTES: Final = 4.0
SHARD_GIGABYTES: Final = 2.0
PACKAGES_GIGABYTES: Final = 14.0
USABLE_MACHINE: Final = 0.95
"""Fraction of a machine's memory and disk that the job itself can use."""


def machine_memory(
    shape: ModelShape, load: StepLoad, *, processes: int, bytes_per_value: int, has_device: bool
) -> float:
    """GB of the machine's memory at the peak of the job."""
    training = PROCESS_GIGABYTES * processes
    if not has_device:
        training = required_memory(shape, load, bytes_per_value=bytes_per_value).total / GIGABYTE
    shard = min(SHARD_GIGABYTES, bytes_per_value * shape.parameters / GIGABYTE)
    return training + 2 * shard


def machine_disk(shape: ModelShape, load: StepLoad, *, bytes_per_value: int) -> float:
    """GB of the machine's disk that the job fills."""
    adapter = shape.adapter_parameters(rank=load.rank, targets=load.targets)
    stored = (2 + bytes_per_value) * shape.parameters + 2 * 12 * adapter
    return PACKAGES_GIGABYTES + stored / GIGABYTE


def machine_shortage(
    shape: ModelShape,
    load: StepLoad,
    flavor: Flavor,
    *,
    processes: int,
    bytes_per_value: int,
    has_device: bool,
) -> str:
    """Why the flavor's machine is too small; empty if the training fits, or if the service does not say its size."""
    memory = machine_memory(
        shape, load, processes=processes, bytes_per_value=bytes_per_value, has_device=has_device
    )
    usable = flavor.machine_gigabytes * USABLE_MACHINE
    if 0 < usable < memory:
        return (
            f"its machine has {flavor.machine_gigabytes:.3g} GB of memory besides its devices, of which {usable:.3g} "
            f"can be used, and the job needs {memory:.3g} (modelled from {shape.source})"
        )
    disk = machine_disk(shape, load, bytes_per_value=bytes_per_value)
    if 0 < flavor.disk_gigabytes * USABLE_MACHINE < disk:
        return (
            f"its disk has {flavor.disk_gigabytes:.0f} GB, and the job needs {disk:.0f} GB: packages, the base model "
            f"and the merged one (modelled from {shape.source})"
        )
    return ""
