"""Which of an agent's repositories must stay, because the agent, a rollout or a run uses them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentsfile import AgentEntry
from modelops.domain.record import Record, Target
from modelops.domain.rollout.status import TERMINAL as TERMINAL_ROLLOUT
from modelops.domain.training.naming import short_uid
from modelops.domain.training.status import TERMINAL as TERMINAL_RUN


@dataclass(frozen=True, kw_only=True)
class RetentionReason:
    """Why a repository stays. `remedy` is what a person has to do before it can be removed."""

    reason: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class RepositoriesInUse:
    """The repositories that must stay."""

    models: Mapping[str, RetentionReason] = field(default_factory=dict)
    """By model repository."""
    runs: Mapping[str, RetentionReason] = field(default_factory=dict)
    """By the part of a run's uid that is in the names of its repositories."""
    unreadable_texts: Sequence[tuple[str, str]] = ()
    """AgentModel and text of every object that cannot be read. A repository in such a text may be in use."""

    def reason_to_keep_model(self, repo: str, uid: str) -> RetentionReason | None:
        """Why a model repository stays; `uid` is the part of its name. None where it is not in use."""
        return self.models.get(repo) or self.runs.get(uid) or self._named_in_unreadable_object(repo)

    def reason_to_keep_dataset(self, repo: str, uid: str) -> RetentionReason | None:
        """Why a repository with prepared data stays. None where it is not in use."""
        return self.runs.get(uid) or self._named_in_unreadable_object(repo)

    def _named_in_unreadable_object(self, repo: str) -> RetentionReason | None:
        for name, text in self.unreadable_texts:
            if repo in text:
                reason = f"named by an object of {name} that cannot be read"
                return RetentionReason(reason=reason, remedy="correct that object")
        return None

    def merged_with(self, other: RepositoriesInUse) -> RepositoriesInUse:
        """The repositories that either of two agents uses."""
        return RepositoriesInUse(
            models={**other.models, **self.models},
            runs={**other.runs, **self.runs},
            unreadable_texts=(*self.unreadable_texts, *other.unreadable_texts),
        )


@dataclass(frozen=True, kw_only=True)
class AgentInventory:
    """All that the cluster has about one agent. Fields are None or empty where the cluster has nothing."""

    name: str
    agent_model: AgentModel | None = None
    record: Record | None = None
    file: AgentEntry | None = None
    runs: Sequence[TrainingRun] = ()
    rollouts: Sequence[Rollout] = ()
    unreadable_run_uids: Sequence[str] = ()
    """Uids of runs that exist and cannot be read. Such a run may not have ended."""
    unreadable_texts: Sequence[str] = ()
    """The text of every object that cannot be read."""


PROMOTE_ANOTHER = "promote another version"
WAIT_FOR_STOP = "wait until its endpoint has stopped (status.endpoints)"
END_RUN = "wait until the run has ended, or cancel it"


def repositories_in_use(inventory: AgentInventory, *, now: datetime) -> RepositoriesInUse:
    """The repositories that this agent uses, each with the first reason that is found."""
    models: dict[str, RetentionReason] = {}
    for repo, use in (
        *used_by_agents_file(inventory),
        *used_by_record(inventory, now),
        *used_by_agent_model(inventory),
        *used_by_endpoints(inventory),
        *used_by_rollouts(inventory),
    ):
        models.setdefault(repo, use)
    return RepositoriesInUse(
        models=models,
        runs=dict(used_by_runs(inventory)),
        unreadable_texts=tuple((inventory.name, text) for text in inventory.unreadable_texts),
    )


def used_by_agents_file(inventory: AgentInventory) -> Iterator[tuple[str, RetentionReason]]:
    """Models that the agents' file names. The file can be newer than the record."""
    entry, name = inventory.file, inventory.name
    if entry is not None and entry.stable is not None and entry.stable.model:
        reason = f"stable of {name} in the agents' file"
        yield entry.stable.model, RetentionReason(reason=reason, remedy=PROMOTE_ANOTHER)
    canary = entry.routing.canary if entry is not None and entry.routing is not None else None
    if canary is not None and canary.model:
        reason = f"canary of {name} in the agents' file"
        yield canary.model, RetentionReason(reason=reason, remedy=f"modelops rollback {name}")


def used_by_record(inventory: AgentInventory, now: datetime) -> Iterator[tuple[str, RetentionReason]]:
    """The stable and previous models, the candidate of the active rollout, and models inside the rollback window."""
    record, name = inventory.record, inventory.name
    if record is None:
        return
    reason = f"stable of {name}: {record.stable.version}"
    yield record.stable.model, RetentionReason(reason=reason, remedy=PROMOTE_ANOTHER)
    if record.active is not None:
        active = record.active
        remedy = f"wait until Rollout {active.name} has ended, or modelops rollback {name}"
        yield (
            active.candidate.model,
            RetentionReason(reason=f"candidate of Rollout {active.name}", remedy=remedy),
        )
    if record.previous is not None:
        reason = f"previous of {name}: a rollback returns to {record.previous.version}"
        remedy = f"{PROMOTE_ANOTHER}, so that it is no longer the previous one"
        yield record.previous.model, RetentionReason(reason=reason, remedy=remedy)
    window = timedelta(
        seconds=inventory.agent_model.spec.rollback_window_seconds if inventory.agent_model else 0
    )
    for target, until in ends_of_service(record):
        if now < until + window:
            reason = f"served until {until:%Y-%m-%dT%H:%M:%SZ}, within spec.rollbackWindowSeconds"
            remedy = f"wait until {until + window:%Y-%m-%dT%H:%M:%SZ}"
            yield target.model, RetentionReason(reason=reason, remedy=remedy)


def used_by_agent_model(inventory: AgentInventory) -> Iterator[tuple[str, RetentionReason]]:
    """The baseline, and the models in the status, which still names them if the record is lost."""
    agent, name = inventory.agent_model, inventory.name
    if agent is None:
        return
    yield (
        agent.spec.baseline.model,
        RetentionReason(reason=f"baseline of {name}", remedy="change spec.baseline to another model"),
    )
    status = agent.status
    roles = (("stable", status.stable), ("canary", status.canary), ("previous", status.previous))
    for role, target in roles:
        if target is not None:
            reason = f"{role} of {name} by its status"
            yield target.model, RetentionReason(reason=reason, remedy=PROMOTE_ANOTHER)


def ends_of_service(record: Record) -> Iterator[tuple[Target, datetime]]:
    """Earlier stable targets, each with the time when the next one became stable, where the record has both times."""
    since = {t.version: t for t in (*record.served.values(), record.stable) if t.since}
    served = sorted(since.values(), key=lambda target: utc_time(target.since))
    for target, following in pairwise(served):
        yield target, utc_time(following.since)


def used_by_endpoints(inventory: AgentInventory) -> Iterator[tuple[str, RetentionReason]]:
    """Models that an Inference Endpoint serves. The status can name one that the record has lost."""
    entries: Iterable[tuple[str, str, str]] = (
        (e.repo, e.name, e.role) for e in (inventory.record.endpoints if inventory.record else ())
    )
    in_status = inventory.agent_model.status.endpoints if inventory.agent_model else ()
    for repo, endpoint, role in (*entries, *((e.model, e.name, e.role.value) for e in in_status)):
        yield repo, RetentionReason(reason=f"endpoint {endpoint} ({role}) serves it", remedy=WAIT_FOR_STOP)


def used_by_rollouts(inventory: AgentInventory) -> Iterator[tuple[str, RetentionReason]]:
    """Candidates of rollouts that have not ended, whether or not they hold the agent lock."""
    runs = {run.metadata.name: run for run in inventory.runs}
    for rollout in inventory.rollouts:
        if rollout.status.phase in TERMINAL_ROLLOUT:
            continue
        candidate, name = rollout.spec.candidate, rollout.metadata.name
        use = RetentionReason(
            reason=f"Rollout {name} names it and has not ended", remedy=f"abort Rollout {name}"
        )
        run = runs.get(candidate.training_run_ref.name) if candidate.training_run_ref else None
        entry = inventory.record.entry(candidate.version) if inventory.record and candidate.version else None
        for repo in (
            candidate.model.repo if candidate.model else "",
            run.status.model.repo if run and run.status.model else "",
            entry.hub_repo if entry else "",
        ):
            if repo:
                yield repo, use


def used_by_runs(inventory: AgentInventory) -> Iterator[tuple[str, RetentionReason]]:
    """Runs that have not ended, and runs with a reservation in the record, by the short uid."""
    for key, reservation in (inventory.record.reservations if inventory.record else {}).items():
        if reservation.repo:
            reason = f"TrainingRun {reservation.name} has not ended"
            yield short_uid(key.partition("/")[0]), RetentionReason(reason=reason, remedy=END_RUN)
    for run in inventory.runs:
        if run.status.phase not in TERMINAL_RUN:
            reason = f"TrainingRun {run.metadata.name} has not ended"
            yield short_uid(run.metadata.uid), RetentionReason(reason=reason, remedy=END_RUN)
    for uid in inventory.unreadable_run_uids:
        reason = f"its TrainingRun (uid {uid}) cannot be read"
        yield short_uid(uid), RetentionReason(reason=reason, remedy="correct that object")


def utc_time(text: str) -> datetime:
    """A time of the record. A time without an offset is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
