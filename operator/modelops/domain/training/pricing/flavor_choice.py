"""`flavor: auto`: the cheapest hardware that the training fits and that ends it before the deadline.

A bigger device is often cheaper, since it is faster by more than it is dearer. `gpu_selection` of
training_defaults.yaml bounds the choice: nothing with more memory than its devices have is taken by itself.
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
"""Up to which number of parameters which entry of `gpu_selection` holds; above them, `large`."""


class NoFlavorFits(CannotEstimate):
    """No flavor will do; the message says why for each."""


def choose_flavor(
    work: Workload, flavors: Sequence[Flavor], *, minutes: int, defaults: Mapping[str, Any]
) -> Estimate:
    """The estimate of the cheapest; of two that cost the same, of the faster.

    `minutes`: until the deadline. Its `considered` says of every other one what it would cost, or why it is out.
    Raises NothingFits.
    """
    bound = memory_limit_gigabytes(defaults, parameters=work.shape.parameters)
    found: list[Estimate] = []
    out: list[str] = []
    for flavor in flavors:
        hardware = find_hardware(flavor)
        if hardware is None or flavor.usd_micro_per_hour <= 0:
            continue
        try:
            here = estimate_cost(work, hardware)
        except CannotEstimate as error:
            out.append(str(error))
            continue
        why = reason_against_flavor(here, hardware, minutes=minutes, bound=bound)
        if why:
            out.append(why)
        else:
            found.append(here)
    if not found:
        raise NoFlavorFits(
            "spec.backend.huggingFace.flavor auto: no offered hardware will do: "
            + "; ".join(out or ["none is known"])
            + ": set a longer spec.activeDeadlineSeconds, train on shorter examples, or name a flavor"
        )
    best, *others = sorted(found, key=lambda one: (micro(one.high_usd), one.high_minutes, one.flavor))
    dearer = [f"{one.flavor}: up to ${one.high_usd} in {one.high_minutes} min" for one in others]
    return best.model_copy(update={"considered": tuple(line[:256] for line in (*dearer, *out)[:16])})


def reason_against_flavor(here: Estimate, hardware: Hardware, *, minutes: int, bound: int) -> str:
    """Why it is not taken although the training fits; empty where nothing speaks against it."""
    if not hardware.device.gigabytes:
        return f"{here.flavor}: has no accelerator; name it to take it"
    if here.high_minutes > minutes:
        return f"{here.flavor}: may take {here.high_minutes} min, and spec.activeDeadlineSeconds leaves {minutes} min"
    if hardware.gigabytes > bound:
        return f"{here.flavor}: {hardware.gigabytes} GB, gpu_selection allows {bound} GB for a model of this size"
    return ""


def memory_limit_gigabytes(defaults: Mapping[str, Any], *, parameters: int) -> int:
    """Memory of the devices that `gpu_selection` names for this size; unlimited where it names none that is known."""
    size = next((name for most, name in SIZE_CLASSES if parameters < most), "large")
    named = defaults.get("gpu_selection", {}).get(size, {})
    device = DEVICES.get(str(named.get("gpu_type", "")))
    return device.gigabytes * int(named.get("num_gpus", 1)) if device else 10**9
