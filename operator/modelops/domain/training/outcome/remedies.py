"""What a person can do about an attempt's end that no further attempt follows."""

from __future__ import annotations

import re
from typing import Final

from modelops.domain.reasons import TrainingReason
from modelops.domain.training.effective_spec import training_values
from modelops.domain.training.pricing.cluster_hardware import cluster_hardware, hardware_field
from modelops.domain.training.state import State
from modelops.ports import Job

OUT_OF_MEMORY: Final = re.compile(r"\boom|out of memory", re.IGNORECASE)
"""What a service says of a container that the kernel ended for memory. Exit code 137 alone can be any kill."""


def remedy_for(state: State, reason: TrainingReason) -> str:
    """The end of a sentence; empty where the message says all."""
    hardware = hardware_field(state.run)
    if reason is TrainingReason.OutOfMemory:
        return f"; {memory_remedy(state, hardware)} in a new run"
    if reason in (TrainingReason.TimedOut, TrainingReason.TooSlow):
        return (
            f"; choose a faster {hardware}, fewer spec.config.numEpochs, or a higher spec.maxUSD in a new run"
        )
    if reason is TrainingReason.DeadlineExceeded:
        return "; set a longer spec.activeDeadlineSeconds, or choose other hardware, in a new run"
    return "; ask who, and create a new run" if reason is TrainingReason.JobStopped else ""


def memory_remedy(state: State, hardware: str) -> str:
    """Of the machine where the kernel ended the container, else of the device."""
    own = cluster_hardware(state.run)
    if own is not None and isinstance(state.job, Job) and OUT_OF_MEMORY.search(state.job.message):
        return f"raise {own.field.rpartition('.')[0]}.memory"
    batch = int(training_values(state).get("batch_size", 1))
    smaller = "batchSize" if batch > 1 else "maxSeqLength"
    return f"choose a larger {hardware}, or a smaller spec.config.{smaller},"
