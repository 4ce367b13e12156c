"""The loop of every kind: observe, decide, fetch the facts that the decision lacks, act, and repeat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.reading import KindT
from modelops.domain.plan import Action, Authority, Fact, Plan
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.executor import Executed, Executor, FileRef, RecordRef, WriteBase
from modelops.engine.process_memory import ProcessMemory
from modelops.engine.requeue_backoff import RequeueBackoff
from modelops.engine.services import Services, outage_of
from modelops.ports import Credentials, Json, Refused, Resource, Unavailable, Uncertain

StateT = TypeVar("StateT")
MemoryT = TypeVar("MemoryT", bound="ObjectMemory")
ActionT = TypeVar("ActionT", bound=Action)
FactT = TypeVar("FactT", bound=Fact)

MAX_ROUNDS = 32
PAUSE_SECONDS = 0.5
"""The pause after this many rounds, so that other objects get their turn."""


@dataclass(frozen=True, kw_only=True)
class ReconcileContext(Generic[StateT]):
    """One observation of an object, with the objects that its writes are conditional on."""

    state: StateT
    write_base: WriteBase
    credentials: Credentials
    record_ref: RecordRef
    file_ref: FileRef | None = None
    agent: str = ""
    began: float = 0.0
    """When it was observed, on the monotonic clock."""


@dataclass
class ObjectMemory:
    """What this process remembers of one object beyond its status; each kind adds its own."""

    cleaned_up: bool = False
    """Whether the resources that this process used for the finished object were released."""
    retry_times: dict[str, float] = field(default_factory=dict)
    """When each action that repeats something may be done, on the monotonic clock."""
    keys_given: dict[str, Credentials] = field(default_factory=dict, repr=False)
    """The keys with which this process started each program last."""

    def retry_is_due(self, what: str, *, after: float, now: float) -> bool:
        """Whether the pause of `after` seconds before a retry has passed at `now`; the first call starts the pause."""
        if now < self.retry_times.setdefault(what, now + after):
            return False
        del self.retry_times[what]
        return True


class Reconciler(ABC, Generic[StateT, ActionT, FactT, MemoryT]):
    """Level-triggered: a decision depends on the observed state, never on the event that caused it."""

    resource: Resource
    service = "Hugging Face"

    def __init__(
        self, reader: ClusterReader, credentials: CredentialReader, services: Services, executor: Executor
    ) -> None:
        self._reader = reader
        self._credentials = credentials
        self._services = services
        self._executor = executor
        self._clock = reader.clock
        self._memories: ProcessMemory[MemoryT] = ProcessMemory(self._new_memory)
        self._requeue_backoff = RequeueBackoff(self._clock.monotonic)
        self._refusals: dict[tuple[str, str], str] = {}

    async def reconcile(self, namespace: str, name: str) -> float | None:
        """Returns the seconds until the next reconcile if no event comes; None: only events cause one."""
        key = namespace, name
        for _ in range(MAX_ROUNDS):
            context = await self._observe(namespace, name)
            if context is None:
                self._requeue_backoff.forget(key)
                self._refusals.pop(key, None)
                return None
            plan, state = await self._decide_with_facts(context)
            if plan.empty:
                # An empty plan with a requeue of 0 would loop for ever.
                after = PAUSE_SECONDS if plan.requeue_after == 0 else plan.requeue_after
                return self._requeue_backoff.next_delay(key, after)
            done = await self._execute(plan, state, context)
            if done.wrote:
                self._requeue_backoff.forget(key)
            if done.retry_after:
                return done.retry_after
            if done.done and plan.requeue_after != 0:
                return self._requeue_backoff.next_delay(key, plan.requeue_after)
        return PAUSE_SECONDS

    async def _execute(
        self, plan: Plan[ActionT, FactT], state: StateT, context: ReconcileContext[StateT]
    ) -> Executed:
        """Executes the plan. A refusal becomes one Event on the object, and is raised."""
        metadata = context.write_base.object["metadata"]
        key = metadata["namespace"], metadata["name"]
        self._before_plan(context, plan)
        try:
            done = await self._executor.execute(
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
                await self._executor.announce(
                    context.write_base.object, reason="Refused", message=message, warning=True
                )
            raise
        self._refusals.pop(key, None)
        self._after_plan(context, plan, done)
        return done

    async def _authorised(
        self, action: ActionT, state: StateT, context: ReconcileContext[StateT]
    ) -> Mapping[str, Any] | None:
        """Performs the action, unless it needs the agent's own token and only the installation's is there."""
        if context.credentials.is_installation_token and action.authority is Authority.AGENT:
            name = type(action).__name__
            raise Refused(
                f"{name} needs the agent's own token: the installation's token may only stop jobs and endpoints"
            )
        return await self._perform(action, state, context)

    async def _decide_with_facts(
        self, context: ReconcileContext[StateT]
    ) -> tuple[Plan[ActionT, FactT], StateT]:
        """The plan, with the facts that it needed: each is fetched, and then the decision is made again."""
        state = context.state
        plan = await self._decide_beside_others(state)
        while plan.needs is not None:
            try:
                value = await self._fetch(plan.needs, state, context)
            except (Unavailable, Refused, Uncertain) as error:
                value = outage_of(self.service, error)
            state = self._with_fact(state, plan.needs, value, context)
            plan = await self._decide_beside_others(state)
        return plan, state

    async def _decide_beside_others(self, state: StateT) -> Plan[ActionT, FactT]:
        """The pure decision; a kind whose decision can take long overrides this."""
        return self._decide(state)

    def _with_fact(self, state: StateT, fact: FactT, value: Any, context: ReconcileContext[StateT]) -> StateT:  # noqa: ARG002
        changed: StateT = replace(state, **{fact.value: value})  # type: ignore[type-var]
        return changed

    async def _keys_were_replaced(
        self, program: str, memory: MemoryT, namespace: str, agent: AgentModel | None
    ) -> bool:
        """Whether the Secrets have other keys now than this process gave to the program; False where it gave none.

        Raises Unavailable where a Secret cannot be used now.
        """
        given = memory.keys_given.get(program)
        return given is not None and given != await self._credentials.read_for_program(namespace, agent)

    async def _load(self, kind: type[KindT], namespace: str, name: str) -> tuple[Json, KindT] | None:
        """The object as the cache has it, and parsed; None if it was deleted, or if this version cannot read it.

        The memory of a deleted object is dropped, also if a new object has its name.
        """
        item = self._reader.cache.get(self.resource, namespace, name)
        known = self._memories.uid(namespace, name)
        if known and (item is None or item["metadata"]["uid"] != known):
            self._memories.forget(namespace, name)
            await self._clean_up(known)
        found = self._reader.parsed(kind, item) if item is not None else None
        return (item, found) if item is not None and found is not None else None

    async def _clean_up_finished(self, uid: str, memory: MemoryT) -> None:
        """Releases the resources of a finished object once."""
        if not memory.cleaned_up:
            memory.cleaned_up = True
            await self._clean_up(uid)

    async def _clean_up(self, uid: str) -> None:
        """Releases the resources that this process uses for an object that finished or was deleted."""

    @abstractmethod
    def _new_memory(self) -> MemoryT:
        """An empty memory."""

    @abstractmethod
    async def _observe(self, namespace: str, name: str) -> ReconcileContext[StateT] | None:
        """The state of the object; None if it was deleted."""

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

    def _before_plan(self, context: ReconcileContext[StateT], plan: Plan[ActionT, FactT]) -> None:
        """Runs right before a plan is executed."""

    def _after_plan(
        self, context: ReconcileContext[StateT], plan: Plan[ActionT, FactT], done: Executed
    ) -> None:
        """Runs after a plan was executed, to update the memory."""
