"""The loop of every kind: observe, decide, fetch what the decision lacks, act, until nothing is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from modelops.domain.plan import Do, Plan
from modelops.engine.act import Executed, FileRef, Held, RecordRef
from modelops.engine.world import World, outage
from modelops.ports import Credentials, Refused, Resource, Unavailable, Uncertain

Seen = TypeVar("Seen")

MOST_ROUNDS = 32
PAUSE_SECONDS = 0.5
"""After so many rounds without rest, others get their turn."""


@dataclass(frozen=True, kw_only=True)
class Scene(Generic[Seen]):
    """One observation, with what its writes are conditional on."""

    seen: Seen
    held: Held
    credentials: Credentials
    record_ref: RecordRef
    file_ref: FileRef | None = None
    agent: str = ""
    began: float = 0.0
    """When it was observed, on the monotonic clock."""


class Reconciler(ABC, Generic[Seen]):
    """Level-triggered: what happens depends on what is, never on which event came."""

    resource: Resource
    service = "Hugging Face"

    def __init__(self, world: World) -> None:
        self._world = world

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Returns seconds until the next look if nothing happens; None: only on events."""
        for _ in range(MOST_ROUNDS):
            scene = await self._observe(namespace, name)
            if scene is None:
                return None
            plan, seen = await self._decided(scene)
            if plan.empty:
                return plan.requeue_after
            done = await self._world.executor.carry_out(
                plan,
                scene.held,
                resource=self.resource,
                record_ref=scene.record_ref,
                file_ref=scene.file_ref,
                do=lambda step, s=scene, o=seen: self._do(step, o, s),  # type: ignore[misc]
                agent=scene.agent,
            )
            self._acted(scene, plan, done)
            if done.retry_after:
                return done.retry_after
            if done.done and plan.requeue_after != 0:
                return plan.requeue_after
        return PAUSE_SECONDS

    async def _decided(self, scene: Scene[Seen]) -> tuple[Plan, Seen]:
        """The plan; facts that it lacks are fetched one by one."""
        seen = scene.seen
        plan = self._decide(seen)
        while plan.needs:
            try:
                fact = await self._fetch(plan.needs, seen, scene)
            except (Unavailable, Refused, Uncertain) as error:
                fact = outage(self.service, error)
            seen = self._with_fact(seen, plan.needs, fact, scene)
            plan = self._decide(seen)
        return plan, seen

    def _with_fact(self, seen: Seen, name: str, fact: Any, scene: Scene[Seen]) -> Seen:  # noqa: ARG002
        changed: Seen = replace(seen, **{name: fact})  # type: ignore[type-var]
        return changed

    @abstractmethod
    async def _observe(self, namespace: str, name: str) -> Scene[Seen] | None:
        """What is; None where the object is gone."""

    @abstractmethod
    def _decide(self, seen: Seen) -> Plan:
        """The pure decision."""

    @abstractmethod
    async def _fetch(self, fact: str, seen: Seen, scene: Scene[Seen]) -> Any:
        """A fact from outside Kubernetes."""

    @abstractmethod
    async def _do(self, step: Do, seen: Seen, scene: Scene[Seen]) -> None:
        """An action outside Kubernetes."""

    def _acted(self, scene: Scene[Seen], plan: Plan, done: Executed) -> None:
        """After a plan: what this process remembers."""
