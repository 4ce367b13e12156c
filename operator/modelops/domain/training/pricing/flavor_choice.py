"""`flavor: auto`: the cheapest hardware on which the training fits and ends before the deadline.

A larger device is often cheaper, since it is much faster. `gpu_selection` of training_defaults.yaml bounds the choice:
a flavor with more memory than the devices named there is used only if the run names it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelops.api.v1alpha1.trainingrun import Estimate
from modelops.domain.money import micro
from modelops.domain.training.pricing.estimate import CannotEstimate, Workload, estimate_cost
from modelops.domain.training.pricing.hardware import DEVICES, Hardware, find_hardware
from modelops.ports import Flavor

AUTO = "auto"
SIZE_CLASSES = ((3_000_000_000, "small"), (13_000_000_000, "medium"))
"""Below how many parameters an entry of `gpu_selection` applies; above all of them, `large` applies."""


class NoFlavorFits(CannotEstimate):
    """No flavor fits. The message says why for each."""


def choose_flavor(
    work: Workload, flavors: Sequence[Flavor], *, minutes: int, defaults: Mapping[str, Any]
) -> Estimate:
    """The estimate on the cheapest flavor; of two that cost the same, on the faster.

    Its `considered` says what each other flavor would cost, or why it is excluded. `minutes`: until the deadline.

    Raises:
        NoFlavorFits: every flavor is excluded.
    """
    memory_limit = memory_limit_gigabytes(defaults, parameters=work.shape.parameters)
    candidates: list[Estimate] = []
    excluded: list[str] = []
    for flavor in flavors:
        hardware = find_hardware(flavor)
        if hardware is None or flavor.usd_micro_per_hour <= 0:
            continue
        try:
            candidate = estimate_cost(work, hardware)
        except CannotEstimate as error:
            excluded.append(str(error))
            continue
        reason = reason_against_flavor(candidate, hardware, minutes=minutes, memory_limit=memory_limit)
        if reason:
            excluded.append(reason)
        else:
            candidates.append(candidate)
    if not candidates:
        raise NoFlavorFits(
            "spec.backend.huggingFace.flavor auto: no offered hardware fits: "
            + "; ".join(excluded or ["none is known"])
            + ": set a longer spec.activeDeadlineSeconds, train on shorter examples, or name a flavor"
        )
    best, *others = sorted(
        candidates,
        key=lambda candidate: (micro(candidate.high_usd), candidate.high_minutes, candidate.flavor),
    )
    dearer = [
        f"{candidate.flavor}: up to ${candidate.high_usd} in {candidate.high_minutes} min"
        for candidate in others
    ]
    return best.model_copy(update={"considered": tuple(line[:256] for line in (*dearer, *excluded)[:16])})


def reason_against_flavor(candidate: Estimate, hardware: Hardware, *, minutes: int, memory_limit: int) -> str:
    """Why the flavor is excluded although the training fits on it; empty if it may be used."""
    flavor, high_minutes, gigabytes = candidate.flavor, candidate.high_minutes, hardware.gigabytes
    if not hardware.device.gigabytes:
        return f"{flavor}: has no accelerator; set it by name to use it"
    if high_minutes > minutes:
        return f"{flavor}: may take {high_minutes} min, and spec.activeDeadlineSeconds leaves {minutes} min"
    if gigabytes > memory_limit:
        return f"{flavor}: {gigabytes} GB, gpu_selection allows {memory_limit} GB for a model of this size"
    return ""


def memory_limit_gigabytes(defaults: Mapping[str, Any], *, parameters: int) -> int:
    """Memory of the devices that `gpu_selection` names for this size; unlimited if it names no known device."""
    size = next((name for limit, name in SIZE_CLASSES if parameters < limit), "large")
    named = defaults.get("gpu_selection", {}).get(size, {})
    device = DEVICES.get(str(named.get("gpu_type", "")))
    return device.gigabytes * int(named.get("num_gpus", 1)) if device else 10**9
