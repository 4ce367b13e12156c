"""What a person can do after the last attempt has failed."""

from __future__ import annotations

import re
from typing import Final

from modelops.domain.reasons import TrainingReason
from modelops.domain.training.effective_spec import training_values
from modelops.domain.training.pricing.cluster_hardware import cluster_hardware, hardware_field
from modelops.domain.training.state import State
from modelops.ports import Job

OUT_OF_MEMORY: Final = re.compile(r"\boom|out of memory", re.IGNORECASE)
"""What a service says if the kernel killed the container for its memory. Exit code 137 alone can be any kill."""


def remedy_for(state: State, reason: TrainingReason) -> str:
    """The remedy as the end of a sentence; empty if the message says it already."""
    hardware = hardware_field(state.run)
    if reason is TrainingReason.OutOfMemory:
        return f"; {memory_remedy(state, hardware)} in a new run"
    if reason is TrainingReason.HubRefused:
        return (
            "; check that the token of spec.secretRefs.huggingFace is valid and may write to the organisation, and "
            "that private storage is left, then create a new run"
        )
    if reason is TrainingReason.JobKilled:
        cluster = cluster_hardware(state.run)
        if cluster is not None:
            return f"; raise {cluster.field.rpartition('.')[0]}.memory in a new run"
        return f"; choose a {hardware} whose machine has more memory, or auto, in a new run"
    if reason in (TrainingReason.TimedOut, TrainingReason.TooSlow):
        return (
            f"; choose a faster {hardware}, fewer spec.config.numEpochs, or a higher spec.maxUSD in a new run"
        )
    if reason is TrainingReason.DeadlineExceeded:
        return "; set a longer spec.activeDeadlineSeconds, or choose other hardware, in a new run"
    return "; find out who stopped it, then create a new run" if reason is TrainingReason.JobStopped else ""


def memory_remedy(state: State, hardware: str) -> str:
    """More memory for the machine if the kernel killed the container, else for the device."""
    cluster = cluster_hardware(state.run)
    if cluster is not None and isinstance(state.job, Job) and OUT_OF_MEMORY.search(state.job.message):
        return f"raise {cluster.field.rpartition('.')[0]}.memory"
    batch = int(training_values(state).get("batch_size", 1))
    smaller_field = "batchSize" if batch > 1 else "maxSeqLength"
    return f"choose a larger {hardware}, or a smaller spec.config.{smaller_field},"
