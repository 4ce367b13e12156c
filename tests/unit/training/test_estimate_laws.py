"""Estimates: more work never costs less, the range is a range, and its source says that it is modelled."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.api.v1alpha1.trainingrun import Estimate
from modelops.domain.money import micro
from modelops.domain.training.pricing.estimate import (
    CannotEstimate,
    DoesNotFit,
    Workload,
    billed_micro_usd,
    estimate_cost,
    parameter_count,
    require_hardware,
)
from modelops.domain.training.pricing.flavor_choice import NoFlavorFits, choose_flavor, memory_limit_gigabytes
from modelops.domain.training.pricing.hardware import DEVICES
from modelops.domain.training.pricing.memory import SEQUENCES, StepLoad
from modelops.domain.training.pricing.model_shape import typical_shape
from modelops.domain.training.pricing.speed import expected_speed, modelled_speed
from modelops.ports import Flavor
from modelops.sandbox.jobs.hardware import FLAVORS as LISTED

FLAVORS = tuple(
    Flavor(name=f.name, usd_micro_per_hour=round(f.usd_per_hour * 10**6), devices=f.gpus)
    for f in LISTED.values()
)
NAMED = {flavor.name: flavor for flavor in FLAVORS}
DEFAULTS = {
    "gpu_selection": {
        "small": {"gpu_type": "a10g", "num_gpus": 1},
        "medium": {"gpu_type": "a10g", "num_gpus": 2},
        "large": {"gpu_type": "h100", "num_gpus": 1},
    }
}
WORK = st.fixed_dictionaries(
    {
        "parameters": st.integers(1, 80_000_000_000),
        "tokens": st.integers(1, 10**9),
        "epochs": st.integers(1, 50),
        "method": st.sampled_from(sorted(SEQUENCES)),
        "length": st.integers(16, 8192),
    }
)


def work(
    *,
    parameters: int = 7_600_000_000,
    tokens: int,
    epochs: int = 3,
    method: str = "sft",
    length: int = 1024,
    measured: Mapping[str, Sequence[float]] | None = None,
) -> Workload:
    load = StepLoad(method=method, batch=1, length=length, rank=32, targets=("all-linear",))
    return Workload(
        shape=typical_shape(parameters), load=load, tokens=tokens, epochs=epochs, measured=measured or {}
    )


def priced(given_: dict[str, Any], flavor: str) -> Estimate | None:
    """None if the training does not fit, or costs more than the API can express."""
    with suppress(CannotEstimate):
        return estimate_cost(work(**given_), require_hardware(NAMED[flavor]))
    return None


@given(WORK, st.sampled_from(sorted(NAMED)))
def test_the_high_end_is_not_below_the_low_end_and_covers_the_timeout(
    given_: dict[str, Any], flavor: str
) -> None:
    found = priced(given_, flavor)
    if found is None:
        return
    assert micro(found.high_usd) >= micro(found.low_usd)
    assert found.high_minutes >= found.low_minutes > 0
    longest = billed_micro_usd(found.high_minutes * 60, NAMED[flavor].usd_micro_per_hour)
    assert longest <= micro(found.high_usd)
    assert "modelled" in found.source
    assert [part.split(" ")[0] for part in found.parts] == ["installation", "download", "training", "merge"]


@given(
    WORK,
    st.sampled_from(sorted(NAMED)),
    st.sampled_from(["parameters", "tokens", "epochs"]),
    st.integers(1, 10**6),
)
def test_more_work_never_costs_less(given_: dict[str, Any], flavor: str, field: str, more: int) -> None:
    one, other = priced(given_, flavor), priced({**given_, field: given_[field] + more}, flavor)
    if one is None or other is None:
        return
    assert micro(other.high_usd) >= micro(one.high_usd)
    assert micro(other.low_usd) >= micro(one.low_usd)
    assert other.high_minutes >= one.high_minutes


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**8))
def test_a_bill_is_by_the_started_minute_and_never_falls(seconds: int, more: int, price: int) -> None:
    assert billed_micro_usd(seconds, price) <= billed_micro_usd(seconds + more, price)
    assert billed_micro_usd(seconds, price) * 60 >= seconds / 60 * price


def test_a_cost_that_the_api_cannot_express_is_refused() -> None:
    endless = work(parameters=10**12, tokens=10**12, epochs=50)
    with pytest.raises(CannotEstimate, match="choose faster hardware"):
        estimate_cost(endless, require_hardware(NAMED["cpu-basic"]))


@pytest.mark.parametrize(
    ("repo", "size"),
    [
        ("Qwen/Qwen2.5-Coder-7B", 7_000_000_000),
        ("Qwen/Qwen2.5-0.5B-Instruct", 500_000_000),
        ("meta/Llama-3.1-70b", 70_000_000_000),
    ],
)
def test_a_size_in_the_name_counts_if_no_other_is_listed(repo: str, size: int) -> None:
    assert parameter_count(repo, None) == size
    assert parameter_count(repo, 123) == 123


@pytest.mark.parametrize("repo", ["acme/model", "acme/b7B2", "acme/v2.5"])
def test_a_size_is_not_guessed(repo: str) -> None:
    with pytest.raises(CannotEstimate, match=f"spec.baseModel {repo}"):
        parameter_count(repo, None)


@pytest.mark.parametrize(
    ("flavor", "kind", "devices"),
    [("a10g-largex2", "a10g", 2), ("h200x8", "h200", 8), ("l40sx4", "l40s", 4), ("l4x1", "l4", 1)],
)
def test_a_flavors_name_says_kind_and_number_of_devices(flavor: str, kind: str, devices: int) -> None:
    found = require_hardware(NAMED[flavor])
    assert (found.kind, found.devices, found.device) == (kind, devices, DEVICES[kind])


def test_every_listed_flavor_is_known() -> None:
    assert {require_hardware(flavor).flavor.name for flavor in FLAVORS} == set(LISTED)
    with pytest.raises(CannotEstimate, match="begins with cpu-basic"):
        require_hardware(Flavor(name="abacus", usd_micro_per_hour=1))


def test_published_speeds_of_an_a100_are_within_the_range_or_just_above_it() -> None:
    high, low = modelled_speed(require_hardware(NAMED["a100-large"]), parameters=7_721_324_544, method="sft")
    # 8 x length / seconds an iteration, of the page that test_memory.py names.
    for published in (8 * 512 / 1.5, 8 * 1024 / 2.8, 8 * 2048 / 5.2, 8 * 4096 / 10.1, 8 * 8192 / 21.3):
        assert low < published < high * 1.1


RATIOS = st.lists(st.floats(0.1, 1.7), min_size=1, max_size=8)
"""Ratios of measured speeds to the middle of the model's range."""


def measured(given_: dict[str, Any], flavor: str, ratios: Sequence[float]) -> dict[str, Sequence[float]]:
    how = {"parameters": given_["parameters"], "method": given_["method"]}
    high, low = modelled_speed(require_hardware(NAMED[flavor]), **how)
    return {flavor: [ratio * math.sqrt(high * low) for ratio in ratios]}


@given(WORK, st.sampled_from(sorted(NAMED)), RATIOS)
def test_the_reservation_has_a_margin_over_the_measurement(
    given_: dict[str, Any], flavor: str, ratios: list[float]
) -> None:
    known = measured(given_, flavor, ratios)
    found = priced({**given_, "measured": known}, flavor)
    if found is None:
        return
    minutes = given_["tokens"] * given_["epochs"] / statistics.median(known[flavor]) / 60
    assert found.high_minutes >= 1.25 * 1.15 * minutes * (1 - 1e-9)
    assert micro(found.high_usd) >= billed_micro_usd(int(minutes * 60), NAMED[flavor].usd_micro_per_hour)
    assert found.high_minutes >= found.low_minutes > 0


@given(WORK, st.sampled_from(sorted(NAMED)), RATIOS)
def test_a_measured_range_is_narrower_than_the_models(
    given_: dict[str, Any], flavor: str, ratios: list[float]
) -> None:
    how = {"parameters": given_["parameters"], "method": given_["method"]}
    hardware = require_hardware(NAMED[flavor])
    modelled = expected_speed(hardware, **how)
    known = expected_speed(hardware, **how, measured=measured(given_, flavor, ratios)[flavor])
    assert known.fast / known.slow < modelled.fast / modelled.slow
    assert (
        known.slow <= statistics.median_low(ratios) * math.sqrt(modelled.fast * modelled.slow) <= known.fast
    )
    assert known.runs == len(ratios)


@given(WORK, st.sampled_from(sorted(NAMED)), st.floats(1e-9, 1e9), st.floats(1.0, 1e3))
def test_a_slower_measurement_never_lowers_the_estimate(
    given_: dict[str, Any], flavor: str, ratio: float, slower: float
) -> None:
    one = priced({**given_, "measured": measured(given_, flavor, [ratio])}, flavor)
    other = priced({**given_, "measured": measured(given_, flavor, [ratio / slower])}, flavor)
    if one is not None and other is not None:
        assert micro(other.high_usd) >= micro(one.high_usd)


@given(WORK, st.sampled_from(sorted(NAMED)))
def test_an_incredible_measurement_is_limited_to_the_credible_range(
    given_: dict[str, Any], flavor: str
) -> None:
    """No hardware is faster than its data sheet, and a run that stood still says little about the next one."""
    how = {"parameters": given_["parameters"], "method": given_["method"]}
    hardware = require_hardware(NAMED[flavor])
    modelled = expected_speed(hardware, **how)
    instant, halted = (expected_speed(hardware, **how, measured=[value]) for value in (1e15, 1e-15))
    assert instant.slow < modelled.fast * 1.1
    assert halted.slow > modelled.slow / 12


def test_estimate_says_in_how_many_runs_the_speed_was_measured() -> None:
    given_ = {"parameters": 7_600_000_000, "tokens": 300_000, "epochs": 3, "method": "sft", "length": 1024}
    found = priced({**given_, "measured": measured(given_, "a10g-large", [0.9, 0.8, 0.5])}, "a10g-large")
    modelled = priced(given_, "a10g-large")
    assert found is not None
    assert modelled is not None
    assert found.source == (
        "price: the service's list; memory: modelled for 7.6B parameters, 300000 tokens x 3 epochs; "
        "speed: measured in 3 runs, 0.8 times the modelled speed"
    )
    assert found.parts[2].startswith("training (measured in 3 runs) ")
    assert (modelled.low_minutes, modelled.high_minutes) == (27, 68)
    assert (found.low_minutes, found.high_minutes) == (37, 72)
    one = priced({**given_, "measured": measured(given_, "a10g-large", [1.0])}, "a10g-large")
    assert one is not None
    assert one.source.endswith("speed: measured in 1 run, 1 times the modelled speed")


def test_measured_speeds_can_change_the_choice_of_auto() -> None:
    given_ = {"parameters": 7_600_000_000, "tokens": 225_000, "epochs": 3, "method": "sft", "length": 1024}
    slow = work(**given_, measured=measured(given_, "l40sx1", [0.3, 0.3, 0.3]))  # type: ignore[arg-type]
    assert choose_flavor(work(**given_), FLAVORS, minutes=240, defaults=DEFAULTS).flavor == "l40sx1"  # type: ignore[arg-type]
    best = choose_flavor(slow, FLAVORS, minutes=240, defaults=DEFAULTS)
    assert best.flavor != "l40sx1"
    assert any(line.startswith("l40sx1: up to $") for line in best.considered)


def test_a_training_that_does_not_fit_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(
        DoesNotFit, match=r"a10g-large is too small: sft with 1 x 8192 tokens .* 22.6 of 24 GB"
    ):
        estimate_cost(work(tokens=10**5, length=8192), require_hardware(NAMED["a10g-large"]))


def test_auto_chooses_the_cheapest_and_says_why_not_the_others() -> None:
    small = work(tokens=225_000)  # 150 examples of 1,500 tokens on a 7B
    best = choose_flavor(small, FLAVORS, minutes=240, defaults=DEFAULTS)
    assert best.flavor == "l40sx1"
    assert Decimal(best.high_usd) < 5
    assert best.high_minutes < 120
    said = " ".join(best.considered)
    assert "a10g-large: up to $" in said
    assert "t4-small is too small" in said
    assert "cpu-basic: has no accelerator" in said
    assert "a100-large: 80 GB, gpu_selection allows 48 GB" in said


def test_a_deadline_or_length_that_no_flavor_meets_is_refused_with_every_reason() -> None:
    with pytest.raises(NoFlavorFits, match="activeDeadlineSeconds leaves 5 min"):
        choose_flavor(work(tokens=10**7), FLAVORS, minutes=5, defaults=DEFAULTS)
    with pytest.raises(NoFlavorFits, match="is too small"):
        choose_flavor(work(parameters=400_000_000_000, tokens=1000), FLAVORS[4:], minutes=600, defaults={})


@given(WORK, st.integers(1, 10_000))
def test_no_fitting_flavor_is_cheaper_than_the_choice_of_auto(given_: dict[str, Any], minutes: int) -> None:
    wanted = work(**given_)
    try:
        best = choose_flavor(wanted, FLAVORS, minutes=minutes, defaults=DEFAULTS)
    except NoFlavorFits:
        best = None
    bound = memory_limit_gigabytes(DEFAULTS, parameters=given_["parameters"])
    for flavor in FLAVORS:
        other = priced(given_, flavor.name)
        allowed = 0 < require_hardware(flavor).gigabytes <= bound
        if other and other.high_minutes <= minutes and allowed:
            assert best is not None
            assert micro(best.high_usd) <= micro(other.high_usd)
