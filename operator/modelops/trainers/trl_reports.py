"""What the trainer says while it trains, as the job's report lines."""

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


class Reports(TrainerCallback):  # type: ignore[misc]  # the training environment's, unknown elsewhere
    """begin, log and checkpoint lines. `metrics` has the newest value of each name.

    `keep(folder, step)` puts a saved checkpoint where another job finds it, and says whether it is there.
    `tokens_per_epoch` stands in for `num_tokens` where a trainer (ORPO's) does not count. `pace` is what somebody
    else measures. `kept_step` is the step that another attempt goes on from.
    """

    def __init__(
        self,
        reporter: jobs.Reporter,
        *,
        keep: Callable[[Path, int], bool],
        tokens_per_epoch: int,
        pace: Pace,
    ) -> None:
        self.metrics: dict[str, float] = {}
        self.began_at_step = self.kept_step = 0
        self._reporter = reporter
        self._keep = keep
        self._tokens_per_epoch = tokens_per_epoch
        self._pace = pace
        self._logged = (0, 0.0)

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        self.began_at_step = self.kept_step = state.global_step
        self._say("begin", state)

    def on_log(self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any], **_: Any) -> None:
        numbers = {
            name: float(value)
            for name, value in logs.items()
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        }
        epoch = numbers.pop("epoch", 0.0)
        numbers.setdefault("num_tokens", round(self._tokens_per_epoch * epoch))
        for misleading in ("total_flos", "train_loss"):  # They know no adapters, and no resumption.
            numbers.pop(misleading, None)
        if "loss" in numbers:
            numbers |= self._speed(state)
        self.metrics |= numbers
        self._say("log", state, metrics=numbers)

    def on_save(self, args: Any, state: Any, _control: Any, **_: Any) -> None:
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if state.is_world_process_zero and self._keep(folder, state.global_step):
            self.kept_step = state.global_step
            self._say("checkpoint", state)

    def _speed(self, state: Any) -> dict[str, float]:
        """Of the steps since the last log."""
        before, self._logged = self._logged, (self._pace.seen, self._pace.busy)
        steps, seconds = (now - then for now, then in zip(self._logged, before, strict=True))
        if not steps or seconds <= 0:
            return {}
        tokens = steps * self._tokens_per_epoch * state.num_train_epochs / state.max_steps
        return {"tokens_per_second": tokens / seconds}

    def _say(self, kind: str, state: Any, **more: Any) -> None:
        epoch = round(float(state.epoch or 0.0), 6)
        self._reporter.say(kind, step=state.global_step, max_steps=state.max_steps, epoch=epoch, **more)
