"""The loop of every kind: observe, decide, fetch what the decision lacks, act, until nothing is left."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from modelops.domain.plan import Action, Authority, Fact, Plan
from modelops.engine.executor import Executed, FileRef, RecordRef, WriteBase
from modelops.engine.requeue_backoff import Patience
from modelops.engine.world import World, outage
from modelops.ports import Credentials, Refused, Resource, Unavailable, Uncertain

StateT = TypeVar("StateT")
ActionT = TypeVar("ActionT", bound=Action)
FactT = TypeVar("FactT", bound=Fact)

MOST_ROUNDS = 32
PAUSE_SECONDS = 0.5
"""After so many rounds without rest, others get their turn."""


@dataclass(frozen=True, kw_only=True)
class ReconcileContext(Generic[StateT]):
    """One observation, with what its writes are conditional on."""

    state: StateT
    write_base: WriteBase
    credentials: Credentials
    record_ref: RecordRef
    file_ref: FileRef | None = None
    agent: str = ""
    began: float = 0.0
    """When it was observed, on the monotonic clock."""


class Reconciler(ABC, Generic[StateT, ActionT, FactT]):
    """Level-triggered: what happens depends on what is, never on which event came."""

    resource: Resource
    service = "Hugging Face"

    def __init__(self, world: World) -> None:
        self._world = world
        self._patience = Patience(world.clock.monotonic)
        self._refusals: dict[tuple[str, str], str] = {}

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Returns seconds until the next look if nothing happens; None: only on events."""
        key = namespace, name
        for _ in range(MOST_ROUNDS):
            context = await self._observe(namespace, name)
            if context is None:
                self._patience.forget(key)
                self._refusals.pop(key, None)
                return None
            plan, state = await self._decided(context)
            if plan.empty:
                # Nothing to do, and at once again, would be for ever.
                after = PAUSE_SECONDS if plan.requeue_after == 0 else plan.requeue_after
                return self._patience.stretched(key, after)
            done = await self._carried_out(plan, state, context)
            if done.wrote:
                self._patience.forget(key)
            if done.retry_after:
                return done.retry_after
            if done.done and plan.requeue_after != 0:
                return self._patience.stretched(key, plan.requeue_after)
        return PAUSE_SECONDS

    async def _carried_out(
        self, plan: Plan[ActionT, FactT], state: StateT, context: ReconcileContext[StateT]
    ) -> Executed:
        """Carries the plan out. What somebody refuses is said once on the object, and then raised."""
        metadata = context.write_base.object["metadata"]
        key = metadata["namespace"], metadata["name"]
        self._acts(context, plan)
        try:
            done = await self._world.executor.execute(
                plan,
                context.write_base,
                resource=self.resource,
                record_ref=context.record_ref,
                file_ref=context.file_ref,
                perform=lambda action: self._authorised(action, state, context),
                agent=context.agent,
            )
        except Refused as error:
            if self._refusals.get(key) != str(error):
                self._refusals[key] = str(error)
                message = f"{error}; trying again"
                await self._world.kube.event(
                    context.write_base.object, reason="Refused", message=message, warning=True
                )
            raise
        self._refusals.pop(key, None)
        self._acted(context, plan, done)
        return done

    async def _authorised(
        self, action: ActionT, state: StateT, context: ReconcileContext[StateT]
    ) -> Mapping[str, Any] | None:
        """Performs the action, unless it would start something with a token that is not the agent's."""
        if context.credentials.borrowed and action.authority is Authority.AGENT:
            name = type(action).__name__
            raise Refused(f"{name} needs the agent's own token: the installation's only ends what bills")
        return await self._perform(action, state, context)

    async def _decided(self, context: ReconcileContext[StateT]) -> tuple[Plan[ActionT, FactT], StateT]:
        """The plan; facts that it lacks are fetched one by one."""
        state = context.state
        plan = self._decide(state)
        while plan.needs is not None:
            try:
                value = await self._fetch(plan.needs, state, context)
            except (Unavailable, Refused, Uncertain) as error:
                value = outage(self.service, error)
            state = self._with_fact(state, plan.needs, value, context)
            plan = self._decide(state)
        return plan, state

    def _with_fact(self, state: StateT, fact: FactT, value: Any, context: ReconcileContext[StateT]) -> StateT:  # noqa: ARG002
        changed: StateT = replace(state, **{fact.value: value})  # type: ignore[type-var]
        return changed

    @abstractmethod
    async def _observe(self, namespace: str, name: str) -> ReconcileContext[StateT] | None:
        """What is; None where the object is gone."""

    @abstractmethod
    def _decide(self, state: StateT) -> Plan[ActionT, FactT]:
        """The pure decision."""

    @abstractmethod
    async def _fetch(self, fact: FactT, state: StateT, context: ReconcileContext[StateT]) -> Any:
        """A fact from outside Kubernetes."""

    @abstractmethod
    async def _perform(
        self, action: ActionT, state: StateT, context: ReconcileContext[StateT]
    ) -> Mapping[str, Any] | None:
        """An action outside Kubernetes; returns what its trace says of the outcome."""

    def _acts(self, context: ReconcileContext[StateT], plan: Plan[ActionT, FactT]) -> None:
        """Right before a plan is carried out."""

    def _acted(self, context: ReconcileContext[StateT], plan: Plan[ActionT, FactT], done: Executed) -> None:
        """After a plan: what this process remembers."""
