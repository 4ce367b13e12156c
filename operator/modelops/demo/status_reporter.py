"""Logs every change of a TrainingRun and a Rollout once."""

from __future__ import annotations

from dataclasses import dataclass, field

from modelops.demo.display_state import DisplayState, Json, LineStyle
from modelops.demo.formatting import usd
from modelops.demo.resource_status import gate_verdict, ready_message, status_of

_PERCENT_STEP = 25
_FAILURE_PHASES = {"Failed", "Rejected", "Aborted"}
_SUCCESS_PHASES = {"Succeeded"}


@dataclass
class StatusReporter:
    """Reports on the TrainingRun and the Rollout of one act."""

    display: DisplayState
    _reported: set[str] = field(default_factory=set)
    _percent: int = -1

    def report_changes(self, *, run: Json, rollout: Json) -> None:
        """Log what was not yet reported."""
        self._report_run(status_of(run), ready_message(run))
        self._report_rollout(rollout)

    def _report_run(self, status: Json, message: str) -> None:
        phase = status.get("phase")
        if not phase:
            return
        dataset, estimate, progress = (status.get(name) for name in ("dataset", "estimate", "progress"))
        if dataset and dataset.get("digest"):
            findings = "; ".join(dataset.get("findings") or ())
            self._log_once(
                "dataset",
                f"dataset read, checked, rendered and uploaded: {dataset['train']:,} examples to train on, "
                f"{dataset['test']:,} held out{f' ({findings})' if findings else ''}",
            )
        if estimate:
            self._log_once(
                "estimate",
                f"estimated cost {usd(estimate['lowUSD'])} to {usd(estimate['highUSD'])} on {estimate['flavor']}; "
                "the upper end is reserved in the budget before the job is submitted",
            )
        if progress and phase == "Running":
            self._report_progress(progress)
        if status.get("reason") not in ("DatasetPrepared", "Trained"):
            self._report_phase("TrainingRun", str(phase), str(status.get("reason", "")), message)
        if phase == "Succeeded":
            cost = usd(status.get("costUSD"))
            model = status.get("model") or {}
            trained = f"{model.get('version')} is trained and verified on the Hub as {model.get('repo')}"
            self._log_once("trained", f"{trained}; billed {cost}", LineStyle.SUCCESS)

    def _report_progress(self, progress: Json) -> None:
        percent = int(progress.get("percent", 0))
        loss = float(progress.get("loss") or 0)
        if loss:
            losses = self.display.losses
            if not losses or losses[-1] != loss:
                self.display.losses = (*losses, loss)
        if percent >= self._percent + _PERCENT_STEP or self._percent < 0:
            self._percent = percent
            eta = progress.get("etaMinutes")
            remaining = f", about {eta} min left" if eta else ""
            self.display.log(
                f"training {percent} %, step {progress.get('step')} of {progress.get('maxSteps')}, "
                f"loss {loss:.3f}{remaining}"
            )

    def _report_rollout(self, rollout: Json) -> None:
        status, message = status_of(rollout), ready_message(rollout)
        phase, reason = str(status.get("phase", "")), str(status.get("reason", ""))
        if not phase or reason == "WaitingForCandidate":
            return
        verdict = (status.get("evaluation") or {}).get("verdict")
        if verdict:
            passed = verdict == "pass"
            self._log_once("gate", gate_verdict(rollout), LineStyle.SUCCESS if passed else LineStyle.FAILURE)
        intent = status.get("intent")
        if intent:
            weight = status.get("weight", 0)
            change = f"weight {weight} %" if intent["state"] == "Progressing" else "promotion"
            self._log_once(f"intent {intent['generation']}", f"routing: {change}")
        if not reason.startswith("Evaluation"):
            self._report_phase("Rollout", phase, reason, message)

    def _report_phase(self, kind: str, phase: str, reason: str, message: str) -> None:
        style = (
            LineStyle.FAILURE
            if phase in _FAILURE_PHASES
            else LineStyle.SUCCESS
            if phase in _SUCCESS_PHASES
            else LineStyle.NORMAL
        )
        self._log_once(f"{kind} {phase} {reason}", f"{kind} {phase}/{reason}: {message}", style)

    def _log_once(self, key: str, text: str, style: LineStyle = LineStyle.NORMAL) -> None:
        if key not in self._reported:
            self._reported.add(key)
            self.display.log(text, style)
