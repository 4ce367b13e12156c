"""Report lines of the job while TRL's trainer trains."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.pace import Pace
else:
    import job as jobs
    from pace import Pace


class Reports(TrainerCallback):  # type: ignore[misc]  # from the training environment, not installed here
    """Writes begin, log and checkpoint lines. `metrics` has the newest value of each metric.

    `push_checkpoint(folder, step)` uploads a saved checkpoint and returns whether it is on the Hub. `tokens_per_epoch`
    gives `num_tokens` where a trainer (ORPO's) does not count them. `pace` is measured elsewhere (`trl_pace`) and only
    read here. `first_step` is the step at which this training began, `checkpoint_step` the step from which another
    attempt would resume.
    """

    def __init__(
        self,
        reporter: jobs.Reporter,
        *,
        push_checkpoint: Callable[[Path, int], bool],
        tokens_per_epoch: int,
        pace: Pace,
    ) -> None:
        self.metrics: dict[str, float] = {}
        self.first_step = self.checkpoint_step = 0
        self._reporter = reporter
        self._push_checkpoint = push_checkpoint
        self._tokens_per_epoch = tokens_per_epoch
        self._pace = pace
        self._logged = (0, 0.0)

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        self.first_step = self.checkpoint_step = state.global_step
        self._write("begin", state)

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        numbers = {
            name: float(value)
            for name, value in logs.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        }
        epoch = numbers.pop("epoch", 0.0)
        numbers.setdefault("num_tokens", round(self._tokens_per_epoch * epoch))
        for misleading in ("total_flos", "train_loss"):  # They are wrong for adapters, or after a resumption.
            numbers.pop(misleading, None)
        if "loss" in numbers:
            numbers |= self._speed(state)
        self.metrics |= numbers
        self._write("log", state, metrics=numbers)

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and self._push_checkpoint(folder, state.global_step):
            self.checkpoint_step = state.global_step
            self._write("checkpoint", state)

    def _speed(self, state: Any) -> dict[str, float]:
        """Tokens per second of the steps since the last log."""
        previous, self._logged = self._logged, (self._pace.steps, self._pace.busy)
        steps, seconds = (now - then for now, then in zip(self._logged, previous, strict=True))
        if not steps or seconds <= 0:
            return {}
        tokens = steps * self._tokens_per_epoch * state.num_train_epochs / state.max_steps
        return {"tokens_per_second": tokens / seconds}

    def _write(self, kind: str, state: Any, **more: Any) -> None:
        epoch = round(float(state.epoch or 0.0), 6)
        at = {"step": state.global_step, "max_steps": state.max_steps, "checkpoint": self.checkpoint_step}
        self._reporter.write(kind, epoch=epoch, **at, **more)
