"""Which of an agent's repositories must stay, because something serves, tries or makes them."""

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
from modelops.domain.rollout.status import TERMINAL as ROLLOUT_OVER
from modelops.domain.training.naming import short_uid
from modelops.domain.training.status import TERMINAL as RUN_OVER


@dataclass(frozen=True, kw_only=True)
class Use:
    """Why a repository stays, and what a person does first who wants it gone."""

    why: str
    first: str


@dataclass(frozen=True, kw_only=True)
class InUse:
    """`models` by repository; `running` by the part of a run's uid that is in the names of its repositories.

    `opaque`: by whose it is, the text of objects that cannot be read: what they name may be in use.
    """

    models: Mapping[str, Use] = field(default_factory=dict)
    running: Mapping[str, Use] = field(default_factory=dict)
    opaque: Sequence[tuple[str, str]] = ()

    def of_model(self, repo: str, uid: str) -> Use | None:
        """Why a model stays; `uid` as it is in its name."""
        return self.models.get(repo) or self.running.get(uid) or self.named(repo)

    def of_data(self, repo: str, uid: str) -> Use | None:
        """Why prepared data stay."""
        return self.running.get(uid) or self.named(repo)

    def named(self, repo: str) -> Use | None:
        """Whether something that cannot be read names it."""
        for name, text in self.opaque:
            if repo in text:
                why = f"named by an object of {name} that cannot be read"
                return Use(why=why, first="see what is wrong with that object")
        return None

    def together(self, other: InUse) -> InUse:
        """What either of two agents needs."""
        return InUse(
            models={**other.models, **self.models},
            running={**other.running, **self.running},
            opaque=(*self.opaque, *other.opaque),
        )


@dataclass(frozen=True, kw_only=True)
class AgentInventory:
    """What the cluster says of one agent; None and empty where it says nothing.

    `unreadable`: uids of runs that exist and cannot be read: they may be under way. `opaque`: the text of all that
    cannot be read.
    """

    name: str
    agent_model: AgentModel | None = None
    record: Record | None = None
    file: AgentEntry | None = None
    runs: Sequence[TrainingRun] = ()
    rollouts: Sequence[Rollout] = ()
    unreadable: Sequence[str] = ()
    opaque: Sequence[str] = ()


ANOTHER = "promote another version"
STOPPED = "wait until its endpoint has stopped (status.endpoints)"


def in_use(inventory: AgentInventory, *, now: datetime) -> InUse:
    """The first reason of each repository counts."""
    models: dict[str, Use] = {}
    for repo, use in (
        *by_file(inventory),
        *by_record(inventory, now),
        *by_agent_model(inventory),
        *by_endpoints(inventory),
        *by_rollouts(inventory),
    ):
        models.setdefault(repo, use)
    return InUse(
        models=models,
        running=dict(by_runs(inventory)),
        opaque=tuple((inventory.name, text) for text in inventory.opaque),
    )


def by_file(inventory: AgentInventory) -> Iterator[tuple[str, Use]]:
    """What the agents read; it may be ahead of the record."""
    entry, name = inventory.file, inventory.name
    if entry is not None and entry.stable is not None and entry.stable.model:
        yield entry.stable.model, Use(why=f"stable of {name} in the agents' file", first=ANOTHER)
    canary = entry.routing.canary if entry is not None and entry.routing is not None else None
    if canary is not None and canary.model:
        yield (
            canary.model,
            Use(why=f"canary of {name} in the agents' file", first=f"modelops rollback {name}"),
        )


def by_record(inventory: AgentInventory, now: datetime) -> Iterator[tuple[str, Use]]:
    """Stable, previous, what is tried, and what served until lately."""
    record, name = inventory.record, inventory.name
    if record is None:
        return
    yield record.stable.model, Use(why=f"stable of {name}: {record.stable.version}", first=ANOTHER)
    if record.active is not None:
        tried = record.active
        first = f"wait for the end of Rollout {tried.name}, or modelops rollback {name}"
        yield tried.candidate.model, Use(why=f"Rollout {tried.name} tries it", first=first)
    if record.previous is not None:
        why = f"previous of {name}: an undo returns to {record.previous.version}"
        yield (
            record.previous.model,
            Use(why=why, first=f"{ANOTHER}, so that it is no longer the previous one"),
        )
    window = timedelta(
        seconds=inventory.agent_model.spec.rollback_window_seconds if inventory.agent_model else 0
    )
    for target, until in ends_of_service(record):
        if now < until + window:
            why = f"served until {until:%Y-%m-%dT%H:%M:%SZ}, within spec.rollbackWindowSeconds"
            yield target.model, Use(why=why, first=f"wait until {until + window:%Y-%m-%dT%H:%M:%SZ}")


def by_agent_model(inventory: AgentInventory) -> Iterator[tuple[str, Use]]:
    """The baseline, and what the status remembers where the record is lost."""
    agent, name = inventory.agent_model, inventory.name
    if agent is None:
        return
    yield agent.spec.baseline.model, Use(why=f"baseline of {name}", first="make another one the baseline")
    status = agent.status
    roles = (("stable", status.stable), ("canary", status.canary), ("previous", status.previous))
    for role, shown in roles:
        if shown is not None:
            yield shown.model, Use(why=f"{role} of {name} by its status", first=ANOTHER)


def ends_of_service(record: Record) -> Iterator[tuple[Target, datetime]]:
    """Targets that were stable, and when the next one became it, where the record knows both times."""
    since = {t.version: t for t in (*record.served.values(), record.stable) if t.since}
    served = sorted(since.values(), key=lambda target: moment(target.since))
    for target, following in pairwise(served):
        yield target, moment(following.since)


def by_endpoints(inventory: AgentInventory) -> Iterator[tuple[str, Use]]:
    """What bills; the status may name one that a record has lost."""
    entries: Iterable[tuple[str, str, str]] = (
        (e.repo, e.name, e.role) for e in (inventory.record.endpoints if inventory.record else ())
    )
    shown = inventory.agent_model.status.endpoints if inventory.agent_model else ()
    for repo, endpoint, role in (*entries, *((e.model, e.name, e.role.value) for e in shown)):
        yield repo, Use(why=f"endpoint {endpoint} ({role}) serves it", first=STOPPED)


def by_rollouts(inventory: AgentInventory) -> Iterator[tuple[str, Use]]:
    """Candidates of rollouts that have not ended, with or without the agent lock."""
    runs = {run.metadata.name: run for run in inventory.runs}
    for rollout in inventory.rollouts:
        if rollout.status.phase in ROLLOUT_OVER:
            continue
        candidate, name = rollout.spec.candidate, rollout.metadata.name
        use = Use(why=f"Rollout {name} names it and has not ended", first=f"abort Rollout {name}")
        run = runs.get(candidate.training_run_ref.name) if candidate.training_run_ref else None
        entry = inventory.record.entry(candidate.version) if inventory.record and candidate.version else None
        for repo in (
            candidate.model.repo if candidate.model else "",
            run.status.model.repo if run and run.status.model else "",
            entry.hub_repo if entry else "",
        ):
            if repo:
                yield repo, use


def by_runs(inventory: AgentInventory) -> Iterator[tuple[str, Use]]:
    """Runs that have not ended, and those whose money is still reserved."""
    for key, reservation in (inventory.record.reservations if inventory.record else {}).items():
        if reservation.repo:
            use = Use(
                why=f"TrainingRun {reservation.name} is under way", first="wait for its end, or cancel it"
            )
            yield short_uid(key.partition("/")[0]), use
    for run in inventory.runs:
        if run.status.phase not in RUN_OVER:
            name = run.metadata.name
            use = Use(why=f"TrainingRun {name} is under way", first="wait for its end, or cancel it")
            yield short_uid(run.metadata.uid), use
    for uid in inventory.unreadable:
        use = Use(
            why=f"its TrainingRun (uid {uid}) cannot be read", first="see what is wrong with that object"
        )
        yield short_uid(uid), use


def moment(text: str) -> datetime:
    """A time of the record, which is UTC."""
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
