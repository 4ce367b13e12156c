"""What is said of one transition: a title, a sentence, the numbers, what a person can do, and where the report is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.history import RolloutTransition, Transition
from modelops.api.v1alpha1.names import API_VERSION
from modelops.api.v1alpha1.notification import Severity
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.notifications.occasions import Occasion, occasion_of

Told = AgentModel | TrainingRun | Rollout
PLURALS: Final = {"AgentModel": "agentmodels", "TrainingRun": "trainingruns", "Rollout": "rollouts"}


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One notification. `id` is the same at each try, so that a receiver can leave out what it has."""

    id: str
    at: datetime
    kind: str
    namespace: str
    name: str
    agent: str
    phase: str
    reason: str
    severity: Severity
    title: str
    message: str
    facts: tuple[tuple[str, str], ...] = ()
    """Names and numbers, in order."""
    commands: tuple[tuple[str, str], ...] = ()
    """What a person can do, and the command."""
    links: tuple[tuple[str, str], ...] = ()
    number: int = 0

    @property
    def source(self) -> str:
        """The object as a path of the API server, for CloudEvents."""
        return f"/apis/{API_VERSION}/namespaces/{self.namespace}/{PLURALS[self.kind]}/{self.name}"


def notice_of(value: Told, entry: Transition, agent: AgentModel) -> Notice | None:
    """The notification of this transition; None where it is not told."""
    undo = isinstance(value, Rollout) and value.status.intent is None
    occasion = occasion_of(value.kind, entry, undo=undo)
    if occasion is None:
        return None
    meta = value.metadata
    subject = f"{value.kind} {meta.name}" if value.kind != "AgentModel" else f"Agent {agent.spec.agent}"
    return Notice(
        id=f"{meta.uid}.{entry.number}",
        at=entry.at,
        kind=value.kind,
        namespace=meta.namespace,
        name=meta.name,
        agent=agent.spec.agent,
        phase=entry.phase,
        reason=entry.reason,
        severity=occasion.severity,
        title=f"{subject} {occasion.what}",
        message=entry.message,
        facts=tuple((name, text) for name, text in _facts(value, entry) if text),
        commands=_commands(value, entry, occasion, agent),
        links=_links(value),
        number=entry.number,
    )


def _facts(value: Told, entry: Transition) -> tuple[tuple[str, str], ...]:
    if isinstance(value, Rollout) and isinstance(entry, RolloutTransition):
        return _facts_of_rollout(value, entry)
    if isinstance(value, TrainingRun):
        status, offer = value.status, value.status.estimate
        return (
            ("version", status.model.version if status.model is not None else ""),
            ("cost", f"${status.cost_usd}" if status.cost_usd is not None else ""),
            ("estimate", f"${offer.low_usd} to ${offer.high_usd}" if offer is not None else ""),
            ("limit", f"${value.spec.max_usd}"),
        )
    if isinstance(value, AgentModel):
        stable = value.status.stable
        return (("serves now", f"{stable.version} ({stable.model})" if stable is not None else ""),)
    return ()


def _facts_of_rollout(rollout: Rollout, entry: RolloutTransition) -> tuple[tuple[str, str], ...]:
    status = rollout.status
    found = status.evaluated
    sessions = ""
    if entry.sessions is not None and status.intent is not None:
        sessions = f"{entry.sessions:,} sessions, {entry.failed_sessions or 0:,} failed"
    evaluation = ""
    if found is not None:
        ends = " to ".join(found.interval_points)
        interval = f" (interval {ends})" if ends else ""
        evaluation = f"{found.verdict}, {found.difference_points} points{interval}, {found.examples} examples"
    offer, times = status.offer, status.rollback
    weight = status.intent.weight if status.intent is not None and times is not None else entry.weight
    return (
        ("candidate", status.candidate.version if status.candidate is not None else ""),
        ("weight", f"{weight} %" if status.intent is not None else ""),
        ("canary", sessions),
        ("evaluation", evaluation),
        ("to approve", f"{offer.stage.value}, up to ${offer.high_usd}" if offer is not None else ""),
        ("back on stable after", f"{times.write_milliseconds / 1000:.2f} s" if times is not None else ""),
        ("limit", f"${rollout.spec.max_usd}"),
    )


def _commands(
    value: Told, entry: Transition, occasion: Occasion, agent: AgentModel
) -> tuple[tuple[str, str], ...]:
    name, place, of_agent = value.metadata.name, value.metadata.namespace, agent.metadata.name
    explain = ("Read what happened", f"modelops explain {value.kind.lower()}/{name} -n {place}")
    if entry.phase == "AwaitingApproval":
        stop = "cancel" if isinstance(value, TrainingRun) else "abort"
        return (
            ("Approve it", f"modelops approve {name} -n {place}"),
            ("Refuse it", f"modelops {stop} {name} -n {place}"),
            explain,
        )
    if isinstance(value, Rollout) and entry.phase == "Succeeded" and entry.reason != "EvaluatedOnly":
        return (("Go back", f"modelops rollback {of_agent} -n {place}"), explain)
    if entry.reason == "WaitingForPromotion":
        return (
            ("Let it go on", f"modelops promote {name} -n {place}"),
            ("Abort it", f"modelops abort {name} -n {place}"),
            explain,
        )
    if entry.reason == "Paused":
        return (
            ("Let it go on", f"modelops resume {name} -n {place}"),
            ("Abort it", f"modelops abort {name} -n {place}"),
        )
    if isinstance(value, TrainingRun) and entry.phase == "Succeeded":
        version = value.status.model.version if value.status.model is not None else ""
        return (("Compare it", f"modelops evaluate {of_agent} {version} -n {place}".replace("  ", " ")),)
    if isinstance(value, AgentModel) and occasion.severity is Severity.CRITICAL:
        return (("Go back", f"modelops rollback {name} -n {place}"), explain)
    return (explain,)


def _links(value: Told) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    if isinstance(value, Rollout) and value.status.evaluated is not None:
        found += [
            ("Report", value.status.evaluated.report_url),
            ("LangSmith", value.status.evaluated.experiment_url),
        ]
    if isinstance(value, TrainingRun) and value.status.job is not None:
        found.append(("Job", value.status.job.url))
    return tuple((title, url) for title, url in found if url.startswith(("https://", "http://")))
