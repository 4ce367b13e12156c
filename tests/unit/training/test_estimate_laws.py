"""Estimates: more work never costs less, the range is a range, and its source says that it is modelled."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.api.v1alpha1.trainingrun import Estimate
from modelops.domain.money import micro
from modelops.domain.training.estimate import (
    PEAK_TFLOPS,
    CannotEstimate,
    billed_micro_usd,
    estimate,
    parameters_of,
    peak_tflops,
)
from modelops.ports import Flavor

FLAVORS = st.builds(
    Flavor, name=st.sampled_from(sorted(PEAK_TFLOPS)), usd_micro_per_hour=st.integers(1, 40_000_000)
)
WORK = st.fixed_dictionaries(
    {
        "parameters": st.integers(1, 80_000_000_000),
        "tokens": st.integers(1, 10**9),
        "epochs": st.integers(1, 50),
        "flavor": FLAVORS,
    }
)


def priced(work: dict[str, Any]) -> Estimate | None:
    """None where it is beyond reason."""
    with suppress(CannotEstimate):
        return estimate(repo="acme/model", **work)
    return None


@given(WORK)
def test_the_high_end_is_not_below_the_low_end_and_covers_the_timeout(work: dict[str, Any]) -> None:
    found = priced(work)
    if found is None:
        return
    assert micro(found.high_usd) >= micro(found.low_usd)
    assert found.high_minutes >= found.low_minutes > 0
    longest = billed_micro_usd(found.high_minutes * 60, work["flavor"].usd_micro_per_hour)
    assert longest <= micro(found.high_usd)
    assert "modelled" in found.source


@given(WORK, st.sampled_from(["parameters", "tokens", "epochs"]), st.integers(1, 10**6))
def test_more_work_never_costs_less(work: dict[str, Any], field: str, more: int) -> None:
    one, other = priced(work), priced({**work, field: work[field] + more})
    if other is None:
        return
    assert one is not None
    assert micro(other.high_usd) >= micro(one.high_usd)
    assert micro(other.low_usd) >= micro(one.low_usd)
    assert other.high_minutes >= one.high_minutes


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**8))
def test_a_bill_is_by_the_started_minute_and_never_falls(seconds: int, more: int, price: int) -> None:
    assert billed_micro_usd(seconds, price) <= billed_micro_usd(seconds + more, price)
    assert billed_micro_usd(seconds, price) * 60 >= seconds / 60 * price


def test_cost_beyond_reason_is_refused_rather_than_unwritable() -> None:
    work = {"parameters": 10**12, "tokens": 10**12, "epochs": 50}
    with pytest.raises(CannotEstimate, match="choose a faster flavor"):
        estimate(repo="m", flavor=Flavor(name="cpu-basic", usd_micro_per_hour=10_000), **work)


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
    ("flavor", "like"), [("a10g-largex2", "a10g"), ("h200x8", "h200"), ("l40sx4", "l40s"), ("l4x1", "l4")]
)
def test_a_flavors_speed_is_that_of_one_device(flavor: str, like: str) -> None:
    assert peak_tflops(flavor) == PEAK_TFLOPS[like]
