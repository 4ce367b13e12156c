"""A run or rollout as a tree for the terminal: what it does, how far it is, what it costs, and what it says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from rich.markup import escape
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from modelops.api.v1alpha1.rollout import CanaryStep, Rollout, RolloutPhase, TrackSummary
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.cli.output import minutes_left, money, percent
from modelops.client import has_finished
from modelops.grammar import counted
from modelops.tools.conditions import has_succeeded, number, what_happens
from modelops.tools.metrics import metric_lines

_BAR = 20
_TITLE = 11
_LEVELS = "▁▂▃▄▅▆▇█"


def tree_of(value: TrainingRun | Rollout, *, losses: Sequence[float] = (), now: datetime) -> Tree:
    """The tree. `losses`: the training losses that were seen, oldest first."""
    mark = _mark(value)
    name = escape(value.metadata.name)
    agent = escape(value.spec.agent_model_ref.name)
    tree = Tree(f"{mark} [bold]{value.kind}/{name}[/]  [dim]agent {agent}, {_age(value, now)}[/]")
    lines = _run_lines(value, losses) if isinstance(value, TrainingRun) else _rollout_lines(value)
    said = escape(what_happens(value))
    for title, text in [*lines, ("says", said)] if said else lines:
        branch = Table.grid()  # What does not fit is continued below its own beginning.
        branch.add_column(width=_TITLE, no_wrap=True)
        branch.add_column(overflow="fold")
        branch.add_row(Text(title, style="cyan"), Text.from_markup(text))
        tree.add(branch)
    return tree


def _run_lines(run: TrainingRun, losses: Sequence[float]) -> list[tuple[str, str]]:
    status = run.status
    lines = [("phase", _phase(status.phase.value, status.reason))]
    if status.dataset is not None:
        data = status.dataset
        lines.append(
            (
                "data",
                f"{counted(data.train, 'example')} to train on, {data.test} held out, {data.tokens:,} tokens",
            )
        )
    if status.estimate is not None:
        offer = status.estimate
        minutes = f"{offer.low_minutes} to {offer.high_minutes} min on {escape(offer.flavor)}"
        lines.append(("estimate", f"{_usd(offer.low_usd)} to {_usd(offer.high_usd)}, {minutes}"))
    progress = status.progress
    if progress is not None and progress.max_steps:
        left = "" if has_finished(run) else minutes_left(progress.eta_minutes)
        done = 100 if status.phase is TrainingPhase.SUCCEEDED else progress.percent
        lines.append(
            ("progress", f"{bar(done)} {done} %  step {progress.step} of {progress.max_steps}{left}")
        )
    if progress is not None and progress.loss:
        curve = f"  {sparkline(losses)}" if len(losses) > 1 else ""
        lines.append(("loss", f"{progress.loss}{curve}"))
    for attempt in status.attempts:
        lines.append((f"attempt {attempt.attempt}", f"{escape(attempt.reason)}, {_usd(attempt.cost_usd)}"))
    if status.job is not None and status.job.url:
        lines.append(("job", escape(status.job.url)))
    if status.cost_usd is not None:
        lines.append(("cost", f"{_usd(status.cost_usd)} of at most {_usd(run.spec.max_usd)}"))
    if status.model is not None:
        lines.append(("model", f"[bold]{escape(status.model.version)}[/]  {escape(status.model.repo)}"))
    return lines


def _rollout_lines(rollout: Rollout) -> list[tuple[str, str]]:
    status = rollout.status
    lines = [("phase", _phase(status.phase.value, status.reason))]
    if status.candidate is not None:
        lines.append(
            ("candidate", f"[bold]{escape(status.candidate.version)}[/]  {escape(status.candidate.model)}")
        )
    evaluation = status.evaluated
    if evaluation is not None and evaluation.baseline and evaluation.candidate:
        stable, tried = number(evaluation.baseline.success), number(evaluation.candidate.success)
        interval = " to ".join(map(_signed, evaluation.interval_points))
        lines.append(
            (
                "evaluation",
                f"stable {percent(stable)}, candidate {percent(tried)}: {_signed(evaluation.difference_points)} points"
                f"{f' (90 % interval {interval})' if interval else ''}, margin {evaluation.margin_points}, "
                f"{counted(evaluation.examples, 'example')}: {escape(evaluation.verdict)}",
            )
        )
    canary = rollout.spec.strategy.canary
    if canary is not None:
        healthy = status.analysis.healthy_seconds if status.analysis else 0
        lines.append(("traffic", f"{bar(status.weight)} {status.weight} % of the sessions"))
        lines.append(("steps", _steps(canary.steps, status.step, healthy, status.phase)))
    elif status.weight:
        lines.append(("traffic", f"{bar(status.weight)} {status.weight} % of the sessions"))
    if status.forecast is not None and status.forecast.message:
        lines.append(("forecast", escape(status.forecast.message)))
    if status.analysis is not None:
        for title, track in (("stable", status.analysis.stable), ("canary", status.analysis.canary)):
            if track is not None:
                lines.append((title, _track(track)))
        lines += [("metric", escape(line)) for line in metric_lines(rollout)]
    if status.estimate_usd:
        lines.append(("cost", f"up to {_usd(status.estimate_usd)} of at most {_usd(rollout.spec.max_usd)}"))
    return lines


def _usd(amount: str) -> str:
    return money(number(amount))


def _signed(points: str) -> str:
    """Percentage points of a difference, to a tenth."""
    value = number(points)
    return points if value is None else f"{value:+.1f}"


def bar(done: int) -> str:
    """A bar of twenty cells, `done` percent of which are full."""
    full = round(_BAR * max(0, min(100, done)) / 100)
    return f"[green]{'█' * full}[/][dim]{'░' * (_BAR - full)}[/]"


def sparkline(values: Sequence[float], *, cells: int = 24) -> str:
    """The last values as bars between their lowest and their highest."""
    shown = list(values)[-cells:]
    low, high = min(shown), max(shown)
    span = (high - low) or 1.0
    return "".join(_LEVELS[round((len(_LEVELS) - 1) * (value - low) / span)] for value in shown)


def _steps(steps: Sequence[CanaryStep], at: int, healthy: int, phase: RolloutPhase) -> str:
    parts = []
    for number_of_step, step in enumerate(steps, 1):
        text = _step(step)
        running = number_of_step == at and phase is RolloutPhase.PROGRESSING
        if running and step.set_weight is None:
            text += f" ({_duration(healthy)} healthy)"
        if phase is RolloutPhase.SUCCEEDED or number_of_step < at:
            text = f"[green]{text}[/]"
        elif running:
            text = f"[bold]{text}[/]"
        parts.append(text)
    return " > ".join(parts)


def _step(step: CanaryStep) -> str:
    if step.set_weight is not None:
        return f"{step.set_weight} %"
    if step.analysis is not None:
        return f"analysis, at most {_duration(step.analysis.timeout_seconds)}"
    seconds = step.pause.duration_seconds if step.pause is not None else None
    return f"pause {_duration(seconds)}" if seconds is not None else "pause until promoted"


def _track(track: TrackSummary) -> str:
    measured = track.requests and track.latency_p95_milliseconds is not None
    latency = f", p95 {track.latency_p95_milliseconds} ms" if measured else ""
    failed = f", {track.failed_sessions} failed" if track.failed_sessions else ""
    sessions = f"; {counted(track.sessions, 'session')}{failed}" if track.sessions else ""
    return f"{counted(track.requests, 'request')}, {counted(track.errors, 'error')}{latency}{sessions}"


def _phase(phase: str, reason: str) -> str:
    return f"[bold]{phase}[/]" + (f" ({escape(reason)})" if reason and reason != phase else "")


def _mark(value: TrainingRun | Rollout) -> str:
    if not has_finished(value):
        return "[yellow]●[/]"
    return "[green]✔[/]" if has_succeeded(value) else "[red]✘[/]"


def _age(value: TrainingRun | Rollout, now: datetime) -> str:
    created = value.metadata.creation_timestamp
    if created is None:
        return "new"
    seconds = max(0, int(((value.status.finished_at or now) - created).total_seconds()))
    return f"took {_duration(seconds)}" if has_finished(value) else f"for {_duration(seconds)}"


def _duration(seconds: int) -> str:
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size or seconds == size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
