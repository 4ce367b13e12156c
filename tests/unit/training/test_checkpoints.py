"""How often a job writes a checkpoint: never in a short job, about every ten minutes in a long one."""

from __future__ import annotations

import pytest

from modelops.domain.training.effective_spec import recipe_digest
from modelops.domain.training.submission.checkpoints import CHECKPOINT_MINUTES, STEPS_KEY, checkpoint_steps

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
