"""Memory that a LoRA training needs on a device, checked before anything is spent.

Per device, in bytes, with T the tokens of one step on it (batch x sequences of an example x longest example):

| part | bytes | why |
|---|---|---|
| weights | v P | the base model; v is 2 in bf16, 4 where a device has only fp32 |
| adapter | 16 A | its weights, gradients and two Adam moments, in fp32 |
| checkpoints | v L T h | gradient checkpointing keeps each layer's input |
| one layer | v T (6 h + 3 f) | recomputed in the backward pass |
| logits | 12 T V | in bf16, their copy in fp32, and the gradients of both |
| new token | 3 v V h | where the head is trained: PEFT's copies of it with the new rows, and their gradient |
| runtime | 1 GB | CUDA context, kernels, fragments |

P, L, h, f, V as in ModelShape; A as in ModelShape.adapter_parameters. Modelled. Against published figures of Qwen-7B
with LoRA of rank 64 on one A100 (QwenLM/Qwen, README, "Profiling of Memory and Speed", 256 to 8,192 tokens: 20.1 to
36.6 GB) it is within 8 % at every length; tests/unit/training/test_memory.py has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from modelops.domain.training.pricing.model_shape import ModelShape

GIGABYTE = 1_000_000_000
RUNTIME_BYTES = GIGABYTE
SEQUENCES = {"sft": 1, "dpo": 2, "orpo": 2}
"""Sequences that one example puts through the model at once: DPO and ORPO compare a chosen and a rejected one."""
USABLE_MEMORY = 0.94
"""Fraction of a device's nominal memory that a process can use: an A10G of "24 GB" has 22.5 GB."""


@dataclass(frozen=True, kw_only=True)
class StepLoad:
    """What a training step processes on one device. `length`: tokens of the longest example."""

    method: str
    batch: int
    length: int
    rank: int
    targets: tuple[str, ...]
    trains_tokens: bool = False
    """Whether rows of the embedding and the output head may be trained, too (spec.prompt.eos)."""

    @property
    def tokens(self) -> int:
        return self.batch * self.length * SEQUENCES[self.method]


@dataclass(frozen=True, kw_only=True)
class MemoryNeed:
    """Memory that a training needs on one device: bytes by part."""

    weights: int
    adapter: int
    activations: int
    logits: int
    new_token: int = 0
    runtime: int = RUNTIME_BYTES

    @property
    def total(self) -> int:
        parts = self.weights + self.adapter + self.activations + self.logits
        return parts + self.new_token + self.runtime

    def __str__(self) -> str:
        parts = {
            "weights": self.weights,
            "adapter with its optimizer": self.adapter,
            "activations": self.activations,
            "logits": self.logits,
            **({"new token": self.new_token} if self.new_token else {}),
            "runtime": self.runtime,
        }
        return " + ".join(f"{count / GIGABYTE:.1f} {name}" for name, count in parts.items())


def required_memory(shape: ModelShape, load: StepLoad, *, bytes_per_value: int = 2) -> MemoryNeed:
    """The peak memory of one device."""
    tokens = load.tokens
    checkpoints = bytes_per_value * shape.layers * tokens * shape.hidden
    layer = bytes_per_value * tokens * (6 * shape.hidden + 3 * shape.feed_forward)
    return MemoryNeed(
        weights=bytes_per_value * shape.parameters,
        adapter=16 * shape.adapter_parameters(rank=load.rank, targets=load.targets),
        activations=checkpoints + layer,
        logits=12 * tokens * shape.vocabulary,
        new_token=3 * bytes_per_value * shape.vocabulary * shape.hidden if load.trains_tokens else 0,
    )


def memory_shortage(
    shape: ModelShape, load: StepLoad, *, device_gigabytes: int, bytes_per_value: int = 2
) -> str:
    """Why a device with so much memory is too small, with the arithmetic; empty if the training fits."""
    need = required_memory(shape, load, bytes_per_value=bytes_per_value)
    usable = int(device_gigabytes * GIGABYTE * USABLE_MEMORY)
    if need.total <= usable:
        return ""
    return (
        f"{load.method} with {load.batch} x {load.length} tokens on a device needs {need.total / GIGABYTE:.1f} GB "
        f"({need}; modelled from {shape.source}) and {usable / GIGABYTE:.1f} of {device_gigabytes} GB can be used"
    )
