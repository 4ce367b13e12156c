"""Tells what is new about a TrainingRun and a Rollout, each thing once."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelops.demo.board import Board, Json, Tone
from modelops.demo.objects import gate, message_of, status_of, usd

_PERCENT_STEP = 25
_BAD = {"Failed", "Rejected", "Aborted"}
_GOOD = {"Succeeded"}


@dataclass
class Follower:
    """Of one act's objects."""

    board: Board
    _told: set[str] = field(default_factory=set)
    _percent: int = -1

    def look(self, *, run: Json, rollout: Json) -> None:
        """Compares with what was told before."""
        self._look_at_run(status_of(run), message_of(run))
        self._look_at_rollout(rollout)

    def _look_at_run(self, status: Json, message: str) -> None:
        phase = status.get("phase")
        if not phase:
            return
        dataset, estimate, progress = (status.get(name) for name in ("dataset", "estimate", "progress"))
        if dataset and dataset.get("digest"):
            findings = "; ".join(dataset.get("findings") or ())
            self._once(
                "dataset",
                f"dataset read, checked, rendered and uploaded: {dataset['train']:,} examples to train on, "
                f"{dataset['test']:,} held out{f' ({findings})' if findings else ''}",
            )
        if estimate:
            self._once(
                "estimate",
                f"estimate {usd(estimate['lowUSD'])} to {usd(estimate['highUSD'])} on {estimate['flavor']}; "
                "the high end is reserved before anything is paid",
            )
        if progress and phase == "Running":
            self._look_at_progress(progress)
        if status.get("reason") not in ("DatasetPrepared", "Trained"):
            self._moved("TrainingRun", str(phase), str(status.get("reason", "")), message)
        if phase == "Succeeded":
            cost = usd(status.get("costUSD"))
            model = status.get("model") or {}
            trained = f"{model.get('version')} is trained and verified on the Hub as {model.get('repo')}"
            self._once("trained", f"{trained}; billed {cost}", Tone.GOOD)

    def _look_at_progress(self, progress: Json) -> None:
        percent = int(progress.get("percent", 0))
        loss = float(progress.get("loss") or 0)
        if loss:
            losses = self.board.losses
            if not losses or losses[-1] != loss:
                self.board.losses = (*losses, loss)
        if percent >= self._percent + _PERCENT_STEP or self._percent < 0:
            self._percent = percent
            eta = progress.get("etaMinutes")
            left = f", about {eta} min left" if eta else ""
            self.board.tell(
                f"training {percent} %, step {progress.get('step')} of {progress.get('maxSteps')}, "
                f"loss {loss:.3f}{left}"
            )

    def _look_at_rollout(self, rollout: Json) -> None:
        status, message = status_of(rollout), message_of(rollout)
        phase, reason = str(status.get("phase", "")), str(status.get("reason", ""))
        if not phase or reason == "WaitingForCandidate":
            return
        if status.get("evaluation"):
            passed = status["evaluation"].get("verdict") == "pass"
            self._once("gate", gate(rollout), Tone.GOOD if passed else Tone.BAD)
        intent = status.get("intent")
        if intent:
            weight = status.get("weight", 0)
            said = f"weight {weight} %" if intent["state"] == "Progressing" else "promotion"
            self._once(
                f"intent {intent['generation']}", f"routing: {said}, generation {intent['generation']}"
            )
        if not reason.startswith("Evaluation"):
            self._moved("Rollout", phase, reason, message)

    def _moved(self, kind: str, phase: str, reason: str, message: str) -> None:
        tone = Tone.BAD if phase in _BAD else Tone.GOOD if phase in _GOOD else Tone.PLAIN
        self._once(f"{kind} {phase} {reason}", f"{kind} {phase}/{reason}: {message}", tone)

    def _once(self, key: str, text: str, tone: Tone = Tone.PLAIN) -> None:
        if key not in self._told:
            self._told.add(key)
            self.board.tell(text, tone)
