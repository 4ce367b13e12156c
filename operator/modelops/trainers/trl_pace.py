"""The pace of a language model's training: measured in Trainer's steps, and held against what the job may run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.pace import Moment, Pace, after_training, is_too_slow, told
else:
    import job as jobs
    from pace import Moment, Pace, after_training, is_too_slow, told


class Deadline(TrainerCallback):  # type: ignore[misc]  # the training environment's, unknown elsewhere
    """Times each step, and stops a training that cannot end in time: with a checkpoint, in every process at once.

    `elapsed` tells the seconds since the job began to run, `limit` how many it may; None: as many as it takes.
    `stopped` says where it did. Evaluations and checkpoints are not part of a step: leaving them out makes a
    decision late rather than wrong.
    """

    def __init__(
        self, *, elapsed: Callable[[], float], limit: int | None, pace: Pace, tokens_per_epoch: int
    ) -> None:
        self.stopped: Moment | None = None
        self._elapsed = elapsed
        self._limit = limit
        self._pace = pace
        self._tokens_per_epoch = tokens_per_epoch
        self._tokens_per_step = 0.0
        self._epoch = 0.0
        self._after = (0.0, 0.0)
        self._ready: float | None = None
        self._begun = self._ended = 0.0

    def on_train_begin(self, _args: Any, state: Any, _control: Any, *, model: Any, **_: Any) -> None:
        self._tokens_per_step = self._tokens_per_epoch * state.num_train_epochs / max(1, state.max_steps)
        self._after = after_training(sum(p.numel() * p.element_size() for p in model.parameters()))

    def on_step_begin(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        self._begun = self._elapsed()
        self._ready = self._begun if self._ready is None else self._ready

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        _wait_for(args.device)
        self._ended = self._elapsed()
        self._pace.add(self._ended - self._begun)
        if self._limit is None or self._ready is None:
            return
        at = Moment(
            limit=self._limit,
            elapsed=self._ended,
            ready=self._ready,
            after=self._after,
            steps=state.max_steps,
            done=state.global_step,
        )
        if _of_the_first(is_too_slow(self._pace, at), args.device):
            self.stopped, self._epoch = at, float(state.epoch or 0.0)
            control.should_save = control.should_training_stop = True
            control.should_evaluate = False

    def average(self) -> dict[str, float]:
        """Of this process's steps, with all that came between them; empty where there was none."""
        if self._ready is None or not self._pace.seen:
            return {}
        seconds = max(self._ended - self._ready, 1e-9) / self._pace.seen
        return {"seconds_per_step": seconds, "tokens_per_second": self._tokens_per_step / seconds}

    def too_slow(self, *, kept: int) -> jobs.TooSlow:
        """What is said of a training that was stopped. `kept`: the step of the checkpoint on the Hub."""
        assert self.stopped is not None
        at = self.stopped
        words, metrics = told(self._pace, at, kept=kept, tokens_per_step=self._tokens_per_step)
        return jobs.TooSlow(
            words, metrics=metrics, step=at.done, max_steps=at.steps, epoch=round(self._epoch, 6)
        )


def _wait_for(device: Any) -> None:
    """A GPU may still be at work on what the step has asked for."""
    if device.type == "cuda":
        import torch

        torch.cuda.synchronize(device)


def _of_the_first(answer: bool, device: Any) -> bool:
    """The first process's answer, in all of them: their clocks differ, and they must stop at the same step."""
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return answer
    flag = torch.tensor([int(answer)], device=device)
    torch.distributed.broadcast(flag, src=0)
    return bool(flag.item())
