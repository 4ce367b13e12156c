"""What the conversation says, in the mission's words where it has them. Pure functions from results to sentences.

Names that come from objects (datasets, models, messages of the operator) are shown as they are, on one line and cut.
"""

from __future__ import annotations

from collections.abc import Sequence

from modelops.tools.collecting import Failures
from modelops.tools.results import (
    AgentModels,
    Comparison,
    Deployment,
    EvaluationChances,
    JobProgress,
    MetricComparison,
    Spending,
    TrainingQuote,
)

_LONGEST = 400


def shown(text: object) -> str:
    """Text from elsewhere, for one line: without line breaks and control characters, and not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def usd(amount: float) -> str:
    """An amount for people: cents, and more digits only below a cent."""
    return f"${amount:.2f}" if amount >= 0.01 or amount == 0 else f"${amount:.4f}"


def offer_training(quote: TrainingQuote, *, condition: str, approval: bool) -> str:
    """The question before a training."""
    data = f" from {shown(quote.dataset_id)}" if quote.dataset_id else ""
    waits = " At that price it then waits for an approval." if approval else ""
    return (
        f"I can fine-tune {shown(quote.base_model)} on {quote.examples} examples{data} for {quote.agent_name}. "
        f"Estimated cost: {_span(quote.low_usd, quote.high_usd)} (at most {usd(quote.max_usd)}), "
        f"time: {_time(quote.low_minutes, quote.high_minutes)}.{waits}{condition} Proceed?"
    )


def offer_evaluation(agent: str, candidate: str, max_usd: float, *, condition: str) -> str:
    """The question before an evaluation."""
    return (
        f"I can evaluate {shown(candidate)} of {agent} against the model that serves it now. "
        f"No traffic moves. It costs at most {usd(max_usd)}.{condition} Proceed?"
    )


def planned(chances: EvaluationChances) -> str:
    """What an evaluation that nobody has started would cost and show."""
    last = chances.last_estimate_usd
    before = f"The last one was estimated at {usd(last)}. " if last is not None else ""
    return (
        f"{chances.message} {before}It costs at most the limit that you set, {usd(chances.limit_usd)} where you set "
        "none, and what exactly is known before anything is spent. Nothing was started."
    )


def offer_collection(found: Failures) -> str:
    """The question before failures become a dataset."""
    left_out = ", ".join(f"{count} with {kind.value}" for kind, count in sorted(found.sensitive.items()))
    without = f" Left out, because they contain secrets or personal data: {left_out}." if left_out else ""
    more = f" {found.repeated} more have the inputs of another one." if found.repeated else ""
    return (
        f"I found {len(found.runs)} failures in {found.looked_at} runs of {found.agent} since "
        f"{found.since:%Y-%m-%d}, in project {shown(found.project)}.{more}{without} I can make them dataset "
        f"ls://{shown(found.name)}, for people to correct. Nothing is trained. Proceed?"
    )


def offer_deployment(
    agent: str, candidate: str, max_usd: float, *, percent: int, pause_seconds: int, condition: str
) -> str:
    """The question before a deployment."""
    how = (
        f"{percent}% of its requests first, for {duration(pause_seconds)}" if percent < 100 else "all at once"
    )
    return (
        f"I can deploy {shown(candidate)} to {agent}: it is evaluated, and then gets its traffic, {how}. "
        f"That costs at most {usd(max_usd)}.{condition} Deploy?"
    )


def training_progress(job: JobProgress) -> str:
    """How a training goes, as an answer to the question."""
    name, agent = job.job_id, job.agent_name
    if job.succeeded:
        return f"Training done! {name} of {agent} is {job.version or 'a new version'}{_cost(job.cost_usd)}."
    if job.finished:
        return f"Training {name} of {agent} has ended without a model ({job.status}): {shown(job.message)}"
    if job.status == "AwaitingApproval":
        return awaits_approval(f"Training {name} of {agent}", name, job.message)
    if job.progress_pct or job.current_loss is not None:
        loss = f", current loss: {job.current_loss:.2f}" if job.current_loss is not None else ""
        left = f", about {duration(job.eta_minutes * 60)} left" if job.eta_minutes else ""
        return f"Training {job.progress_pct}% complete{loss}{left}..."
    return f"Training {name} of {agent} is {job.status}: {shown(job.message)}"


def awaits_approval(what: str, name: str, message: str) -> str:
    """That it waits for a person, and what that person can say."""
    return f"{what} waits for an approval: {shown(message)}. Whoever may approve it can say 'approve {name}'."


def evaluation_result(found: Comparison) -> str:
    """The outcome of an evaluation, or how it goes."""
    if found.status == "AwaitingApproval":
        what = f"Evaluation {found.evaluation_id} of {found.agent_name}"
        return awaits_approval(what, found.evaluation_id, found.message)
    if not found.finished:
        return f"Evaluation {found.evaluation_id} of {found.agent_name} is {found.status}: {shown(found.message)}"
    if found.candidate_score is None:
        return f"Evaluation {found.evaluation_id} has ended without a result: {shown(found.message)}"
    points = f" ({found.improvement_pct:+.0f} points)" if found.improvement_pct is not None else ""
    return f"New model: {found.candidate_score:.0%} accuracy{points}{_speed(found.metrics)}."


def not_recommended(found: Comparison) -> str:
    """Why no deployment is proposed after an evaluation."""
    why = f" {shown('; '.join(found.findings))}." if found.findings else ""
    advice = {
        "reject": "I recommend not to deploy it",
        "review": "The result decides nothing: please review it",
    }
    said = advice.get(found.recommendation or "", f"I do not propose to deploy it: {shown(found.message)}")
    return f"{said}.{why}"


def deployment_state(found: Deployment, *, pause_seconds: int) -> str:
    """Where a deployment is."""
    version, agent = found.version or found.rollout_id, found.agent_name
    if found.deployed:
        return f"Deployed: {version} serves all {agent} requests."
    if found.finished:
        return f"{version} does not serve {agent}; the deployment is {found.status}: {shown(found.message)}"
    if found.awaits_approval:
        what = f"The deployment {found.rollout_id} of {version} to {agent}"
        return awaits_approval(what, found.rollout_id, found.message)
    if found.awaits_promotion:
        return (
            f"{version} keeps {found.rollout_pct}% of {agent} requests until a person decides. 'Go on with "
            f"{found.rollout_id}' lets it go on, and 'roll {agent} back' ends it."
        )
    if found.rollout_pct:
        return (
            f"Deployed to {found.rollout_pct}% of {agent} requests. "
            f"Monitor for {duration(pause_seconds)}, then full rollout."
        )
    return f"The deployment of {version} to {agent} is {found.status}: {shown(found.message)}"


def model_history(found: AgentModels) -> str:
    """An agent's versions, newest first."""
    serves = f"{found.agent_name} is served by {found.current_version} ({shown(found.current_model)})"
    if not found.models:
        return f"{serves}. It has no trained versions yet."
    lines = [
        f"- {one.version}: {shown(one.base_model)} by {one.training_method}"
        f"{f', {one.training_date:%Y-%m-%d}' if one.training_date else ''}, {one.deployment_status}"
        f"{_accuracy(one.eval_scores)}"
        for one in found.models[:10]
    ]
    more = f"\n… and {found.total - len(lines)} older" if found.total > len(lines) else ""
    return "\n".join([f"{serves}. Newest first:", *lines]) + more


def spent(found: Sequence[Spending]) -> str:
    """What agents have spent this month."""
    lines = [
        f"{one.agent_name}: {usd(one.settled_usd)} spent and {usd(one.reserved_usd + one.standing_usd)} reserved of "
        f"{usd(one.budget_usd)} this month, {usd(one.left_usd)} left"
        + (
            f"; endpoints cost {usd(one.endpoints_usd_per_hour)} an hour"
            if one.endpoints_usd_per_hour
            else ""
        )
        for one in found
    ]
    return "\n".join(lines) or "There are no agents yet."


def duration(seconds: float) -> str:
    """A time in the unit that people would use."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds >= (2 if unit == "minute" else 1) * size:
            value = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{value} {unit}{'' if value == '1' else 's'}"
    return f"{seconds:.0f} second{'' if round(seconds) == 1 else 's'}"


def _span(low: float, high: float) -> str:
    return usd(high) if usd(low) == usd(high) else f"{usd(low)} to {usd(high)}"


def _time(low: int, high: int) -> str:
    few, many = duration(low * 60), duration(high * 60)
    if few == many:
        return many
    (number, unit), (_, other) = few.split(), many.split()
    return f"{number if unit.rstrip('s') == other.rstrip('s') else few} to {many}"


def unchecked(condition: str | None) -> str:
    """A condition that was not understood, as a sentence; empty where there is none."""
    if not condition:
        return ""
    return f" I cannot check your condition ({shown(condition)!r}): confirm only if it holds."


def _cost(amount: float | None) -> str:
    return f", for {usd(amount)}" if amount is not None else ""


def _speed(metrics: Sequence[MetricComparison]) -> str:
    for one in metrics:
        if one.name == "latency" and one.baseline and one.candidate is not None:
            change = (one.baseline - one.candidate) / one.baseline
            if round(abs(change), 2):
                return f", {abs(change):.0%} {'faster' if change > 0 else 'slower'}"
    return ""


def _accuracy(scores: dict[str, object]) -> str:
    value = scores.get("accuracy")
    return f", {value:.0%} accuracy" if isinstance(value, int | float) else ""
