"""Estimates: more work never costs less, the range is a range, and its source says that it is modelled."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.api.v1alpha1.trainingrun import Estimate
from modelops.domain.money import micro
from modelops.domain.training.choice import NothingFits, bound_gigabytes, chosen
from modelops.domain.training.estimate import (
    CannotEstimate,
    DoesNotFit,
    Work,
    billed_micro_usd,
    estimate,
    hardware_of,
    parameters_of,
)
from modelops.domain.training.hardware import DEVICES
from modelops.domain.training.memory import SEQUENCES, Load
from modelops.domain.training.shape import of_size
from modelops.domain.training.speed import tokens_per_second
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
    *, parameters: int = 7_600_000_000, tokens: int, epochs: int = 3, method: str = "sft", length: int = 1024
) -> Work:
    load = Load(method=method, batch=1, length=length, rank=32, targets=("all-linear",))
    return Work(shape=of_size(parameters), load=load, tokens=tokens, epochs=epochs)


def priced(given_: dict[str, Any], flavor: str) -> Estimate | None:
    """None where it does not fit, or is beyond reason."""
    with suppress(CannotEstimate):
        return estimate(work(**given_), hardware_of(NAMED[flavor]))
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


def test_cost_beyond_reason_is_refused_rather_than_unwritable() -> None:
    endless = work(parameters=10**12, tokens=10**12, epochs=50)
    with pytest.raises(CannotEstimate, match="choose a faster flavor"):
        estimate(endless, hardware_of(NAMED["cpu-basic"]))


@pytest.mark.parametrize(
    ("repo", "size"),
    [
        ("Qwen/Qwen2.5-Coder-7B", 7_000_000_000),
        ("Qwen/Qwen2.5-0.5B-Instruct", 500_000_000),
        ("meta/Llama-3.1-70b", 70_000_000_000),
    ],
)
def test_a_size_in_the_name_counts_where_no_other_is_listed(repo: str, size: int) -> None:
    assert parameters_of(repo, None) == size
    assert parameters_of(repo, 123) == 123


@pytest.mark.parametrize("repo", ["acme/model", "acme/b7B2", "acme/v2.5"])
def test_a_size_is_not_guessed(repo: str) -> None:
    with pytest.raises(CannotEstimate, match=f"spec.baseModel {repo}"):
        parameters_of(repo, None)


@pytest.mark.parametrize(
    ("flavor", "kind", "devices"),
    [("a10g-largex2", "a10g", 2), ("h200x8", "h200", 8), ("l40sx4", "l40s", 4), ("l4x1", "l4", 1)],
)
def test_a_flavor_is_so_many_devices_of_a_kind(flavor: str, kind: str, devices: int) -> None:
    found = hardware_of(NAMED[flavor])
    assert (found.kind, found.devices, found.device) == (kind, devices, DEVICES[kind])


def test_every_listed_flavor_is_known() -> None:
    assert {hardware_of(flavor).flavor.name for flavor in FLAVORS} == set(LISTED)
    with pytest.raises(CannotEstimate, match="begins with cpu-basic"):
        hardware_of(Flavor(name="abacus", usd_micro_per_hour=1))


def test_published_speeds_of_an_a100_are_within_the_range_or_just_above_it() -> None:
    high, low = tokens_per_second(hardware_of(NAMED["a100-large"]), parameters=7_721_324_544, method="sft")
    # 8 x length / seconds an iteration, of the page that test_memory.py names.
    for published in (8 * 512 / 1.5, 8 * 1024 / 2.8, 8 * 2048 / 5.2, 8 * 4096 / 10.1, 8 * 8192 / 21.3):
        assert low < published < high * 1.1


def test_what_does_not_fit_is_refused_with_the_arithmetic() -> None:
    with pytest.raises(
        DoesNotFit, match=r"a10g-large is too small: sft with 1 x 8192 tokens .* 22.6 of 24 GB"
    ):
        estimate(work(tokens=10**5, length=8192), hardware_of(NAMED["a10g-large"]))


def test_auto_takes_the_cheapest_and_says_what_speaks_against_the_others() -> None:
    small = work(tokens=225_000)  # the mission's: 150 examples of 1,500 tokens on a 7B
    best = chosen(small, FLAVORS, minutes=240, defaults=DEFAULTS)
    assert best.flavor == "l40sx1"
    assert Decimal(best.high_usd) < 5
    assert best.high_minutes < 120
    said = " ".join(best.considered)
    assert "a10g-large: up to $" in said
    assert "t4-small is too small" in said
    assert "cpu-basic: has no accelerator" in said
    assert "a100-large: 80 GB, gpu_selection allows 48 GB" in said


def test_a_deadline_or_a_length_that_nothing_meets_is_refused_with_every_reason() -> None:
    with pytest.raises(NothingFits, match="activeDeadlineSeconds leaves 5 min"):
        chosen(work(tokens=10**7), FLAVORS, minutes=5, defaults=DEFAULTS)
    with pytest.raises(NothingFits, match="is too small"):
        chosen(work(parameters=400_000_000_000, tokens=1000), FLAVORS[4:], minutes=600, defaults={})


@given(WORK, st.integers(1, 10_000))
def test_nothing_that_fits_is_cheaper_than_what_auto_takes(given_: dict[str, Any], minutes: int) -> None:
    wanted = work(**given_)
    try:
        best = chosen(wanted, FLAVORS, minutes=minutes, defaults=DEFAULTS)
    except NothingFits:
        best = None
    bound = bound_gigabytes(DEFAULTS, parameters=given_["parameters"])
    for flavor in FLAVORS:
        other = priced(given_, flavor.name)
        allowed = 0 < hardware_of(flavor).gigabytes <= bound
        if other and other.high_minutes <= minutes and allowed:
            assert best is not None
            assert micro(best.high_usd) <= micro(other.high_usd)
