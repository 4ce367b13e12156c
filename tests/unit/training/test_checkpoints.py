"""How often a job writes a checkpoint: never in a short job, about every ten minutes in a long one."""

from __future__ import annotations

import pytest

from modelops.domain.training.effective_spec import recipe_digest
from modelops.domain.training.pricing.estimate import Workload, estimate_cost, require_hardware
from modelops.domain.training.pricing.memory import StepLoad
from modelops.domain.training.pricing.model_shape import ALL_LINEAR, typical_shape
from modelops.domain.training.submission.checkpoints import (
    CHECKPOINT_MINUTES,
    LARGEST_SHARE,
    STEPS_KEY,
    checkpoint_minutes,
    checkpoint_steps,
)
from modelops.ports import Flavor

VALUES = {"num_epochs": 3, "batch_size": 4, "gradient_accumulation_steps": 4}


@pytest.mark.parametrize(("minutes", "steps"), [(1, 0), (19, 0), (20, 94), (60, 31), (100_000, 1)])
def test_steps_between_checkpoints_follow_from_the_estimate(minutes: int, steps: int) -> None:
    assert checkpoint_steps(examples=1000, values=VALUES, high_minutes=minutes) == steps


def test_a_job_that_takes_as_long_as_estimated_loses_ten_minutes_at_most() -> None:
    in_all = 3 * 63
    every = checkpoint_steps(examples=1000, values=VALUES, high_minutes=60)
    assert every * 60 / in_all <= CHECKPOINT_MINUTES


def test_checkpoints_make_no_other_recipe() -> None:
    assert recipe_digest("sft", {**VALUES, STEPS_KEY: 31}) == recipe_digest("sft", VALUES)


A100 = Flavor(name="a100-large", usd_micro_per_hour=2_500_000, accelerator="1x A100 80 GB", devices=1)


@pytest.mark.parametrize("rank", [8, 32, 256, 512])
def test_checkpoints_are_in_the_estimate_and_take_a_small_share_of_it(rank: int) -> None:
    shape = typical_shape(7_600_000_000)
    load = StepLoad(method="sft", batch=1, length=1024, rank=rank, targets=(ALL_LINEAR,))
    work = Workload(shape=shape, load=load, tokens=10_000_000, epochs=3, held_out_tokens=500_000)
    estimate = estimate_cost(work, require_hardware(A100))
    gigabytes = 12 * shape.adapter_parameters(rank=rank, targets=(ALL_LINEAR,)) / 1e9
    assert estimate.checkpoint_minutes == checkpoint_minutes(gigabytes) >= CHECKPOINT_MINUTES
    high = float(estimate.parts[-1].removeprefix("checkpoints ").split()[2])
    sent = estimate.high_minutes / estimate.checkpoint_minutes * gigabytes / 2.5
    assert high == pytest.approx(sent, rel=0.1, abs=0.2)
    assert sent <= LARGEST_SHARE * estimate.high_minutes


def test_a_short_job_sends_no_checkpoints() -> None:
    load = StepLoad(method="sft", batch=1, length=512, rank=512, targets=(ALL_LINEAR,))
    work = Workload(shape=typical_shape(500_000_000), load=load, tokens=10_000, epochs=1)
    estimate = estimate_cost(work, require_hardware(A100))
    assert estimate.high_minutes < 20
    assert not any("checkpoints" in part for part in estimate.parts)


def test_large_checkpoints_are_further_apart() -> None:
    assert [checkpoint_minutes(gigabytes) for gigabytes in (0.0, 1.0, 1.25, 7.8, 15.6)] == [
        10,
        10,
        10,
        63,
        125,
    ]
    assert checkpoint_steps(examples=1000, values=VALUES, high_minutes=600, minutes=63) == 19
