"""The pace of a language model's training: measured in Trainer's steps, and compared with the job's time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.pace import Pace, Position, describe_too_slow, is_too_slow, seconds_after_training
else:
    import job as jobs
    from pace import Pace, Position, describe_too_slow, is_too_slow, seconds_after_training


class Deadline(TrainerCallback):  # type: ignore[misc]  # from the training environment, not installed here
    """Times each step, and stops a training that cannot end in time: with a checkpoint, in all processes at once.

    `elapsed` returns the seconds since the job's start; `limit` is the job's time limit, or None. `stopped_at` is set
    where the training was stopped. Evaluations and checkpoints are not part of a step: without them, a decision
    may be late, but it is not wrong.
    """

    def __init__(
        self, *, elapsed: Callable[[], float], limit: int | None, pace: Pace, tokens_per_epoch: int
    ) -> None:
        self.stopped_at: Position | None = None
        self._elapsed = elapsed
        self._limit = limit
        self._pace = pace
        self._tokens_per_epoch = tokens_per_epoch
        self._tokens_per_step = 0.0
        self._epoch = 0.0
        self._after = (0.0, 0.0)
        self._ready: float | None = None
        self._step_start = self._step_end = 0.0

    def on_train_begin(self, _args: Any, state: Any, _control: Any, *, model: Any, **_: Any) -> None:
        self._tokens_per_step = self._tokens_per_epoch * state.num_train_epochs / max(1, state.max_steps)
        self._after = seconds_after_training(sum(p.numel() * p.element_size() for p in model.parameters()))

    def on_step_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self._step_start = self._elapsed()
        self._ready = self._step_start if self._ready is None else self._ready

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        _wait_for(args.device)
        self._step_end = self._elapsed()
        self._pace.add(self._step_end - self._step_start)
        if self._limit is None or self._ready is None:
            return
        at = Position(
            limit=self._limit,
            elapsed=self._step_end,
            ready=self._ready,
            after=self._after,
            steps=state.max_steps,
            done=state.global_step,
        )
        if _first_process_answer(is_too_slow(self._pace, at), args.device):
            self.stopped_at, self._epoch = at, float(state.epoch or 0.0)
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def mean_pace(self) -> dict[str, float]:
        """Mean pace of this process's steps, with evaluations and checkpoints between them; empty before a step."""
        if self._ready is None or not self._pace.steps:
            return {}
        seconds = max(self._step_end - self._ready, 1e-9) / self._pace.steps
        return {"seconds_per_step": seconds, "tokens_per_second": self._tokens_per_step / seconds}

    def too_slow(self, *, checkpoint: int) -> jobs.TooSlow:
        """The failure of a training that was stopped. `checkpoint` is the step of the checkpoint on the Hub, or 0."""
        assert self.stopped_at is not None
        at = self.stopped_at
        message, metrics = describe_too_slow(
            self._pace, at, checkpoint=checkpoint, tokens_per_step=self._tokens_per_step
        )
        return jobs.TooSlow(
            message, metrics=metrics, step=at.done, max_steps=at.steps, epoch=round(self._epoch, 6)
        )


def _wait_for(device: Any) -> None:
    """Wait for the GPU, which may still be computing the operations of the step."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def _first_process_answer(answer: bool, device: Any) -> bool:
    """The first process's answer, in all processes: their clocks differ, and they must stop at the same step."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return answer
    flag = torch.tensor([int(answer)], device=device)
    torch.distributed.broadcast(flag, src=0)
    return bool(flag.item())
