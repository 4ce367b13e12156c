"""The TrainingRun reconciler: observe, decide, act."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.domain.money import micro
from modelops.domain.plan import Do, Plan
from modelops.domain.training.account import account_of, engine_of
from modelops.domain.training.decide import decide
from modelops.domain.training.effective_spec import base_model_name, billed_namespace, output_repository
from modelops.domain.training.naming import cluster_job_name
from modelops.domain.training.preparation.end_token import sibling_of
from modelops.domain.training.preparation.tokenizer import TokenizerFiles
from modelops.domain.training.pricing.cluster_hardware import cluster_hardware
from modelops.domain.training.state import State, Submission, TrainingSettings
from modelops.domain.training.status import TERMINAL
from modelops.engine.executor import WriteBase
from modelops.engine.poller import SharedJobPoller, Watch
from modelops.engine.process_memory import Memories
from modelops.engine.queue import Key
from modelops.engine.reconciler import ReconcileContext, Reconciler
from modelops.engine.resources import TRAINING_RUNS
from modelops.engine.ttl_cache import Remembered
from modelops.engine.world import World, identity, parsed
from modelops.ports import (
    AttemptClaim,
    Flavor,
    JobRequest,
    Json,
    ModelInfo,
    Placement,
    Refused,
    Trainer,
    Unavailable,
    Uncertain,
)

PROGRAM = "modelops.datasets"
LOOK_SECONDS = 5.0
PRICE_SECONDS = 60.0
BASE_SECONDS = 10.0
"""How old a price list and the head of a base model may be."""
SAME_HUB = ("HF_ENDPOINT", "MODELOPS_SANDBOX")
CONFIG_SECONDS = 3600.0
"""For how long a base model's configuration is remembered: a revision never changes."""


@dataclass
class Memory:
    """What this process knows of a run beyond its status; the protocol allows for forgetting it."""

    intent: tuple[int, int] = (0, 0)
    """Attempt and number of submissions that the rest speaks of."""
    submission: Submission | None = None
    settling_since: float | None = None
    attempt_claim: AttemptClaim | None = None
    not_before: dict[str, float] = field(default_factory=dict)
    tidied: bool = False
    let_go: set[str] = field(default_factory=set)
    """Jobs in this cluster that nothing holds any more."""


class TrainingRunReconciler(Reconciler[State]):
    """One call reconciles one TrainingRun until there is nothing more to do at the moment."""

    resource = TRAINING_RUNS

    def __init__(
        self, world: World, poller: SharedJobPoller, settings: TrainingSettings, *, trainer: Trainer
    ) -> None:
        super().__init__(world)
        self._poller = poller
        self._settings = settings
        self._trainer = trainer
        self._memories = Memories(Memory)
        self._prices: Remembered[tuple[Flavor, ...]] = Remembered(world.clock, seconds=PRICE_SECONDS)
        self._configs: Remembered[Json | None] = Remembered(world.clock, seconds=CONFIG_SECONDS)
        self._tokenizers: Remembered[TokenizerFiles | None] = Remembered(world.clock, seconds=CONFIG_SECONDS)
        self._bases: Remembered[ModelInfo | None] = Remembered(world.clock, seconds=BASE_SECONDS)

    def _decide(self, state: State) -> Plan:
        return decide(state)

    async def _observe(self, namespace: str, name: str) -> ReconcileContext[State] | None:
        world = self._world
        item = world.cache.get(TRAINING_RUNS, namespace, name)
        known = self._memories.uid(namespace, name)
        if known and (item is None or item["metadata"]["uid"] != known):
            self._memories.forget(namespace, name)
            await self._tidy(known)
        run = parsed(TrainingRun, item) if item is not None else None
        if item is None or run is None:
            return None
        if run.status.phase in TERMINAL and not self._memory(run).tidied:
            self._memory(run).tidied = True
            await self._tidy(run.metadata.uid)
        await self._let_go(run)
        agent = world.agent_model(namespace, run.spec.agent_model_ref.name)
        record_item, record, _ = await world.record(namespace, run.spec.agent_model_ref.name)
        under_way = run.status.job is not None or bool(run.status.attempts)
        credentials, problem = await world.credentials(namespace, agent, only_hugging_face=under_way)
        memory = self._memory(run)
        state = State(
            now=world.clock.now(),
            run=run,
            identity=identity(item),
            settings=self._settings,
            agent_model=agent,
            record=record,
            secret_problem=problem,
            can_clean_up=bool(credentials.hugging_face),
            submission=memory.submission,
            settled=self._settled(run, memory),
        )
        return ReconcileContext(
            state=state,
            write_base=WriteBase(object=item, record=record_item),
            credentials=credentials,
            record_ref=world.record_reference(namespace, run.spec.agent_model_ref.name),
            agent=record.agent if record else "",
        )

    def _settled(self, run: TrainingRun, memory: Memory) -> bool:
        """Whether a submission whose answer is not known has had its time to show up in the list."""
        if run.status.job is None or run.status.job.id or memory.submission is not None:
            return False
        now = self._world.clock.monotonic()
        memory.settling_since = now if memory.settling_since is None else memory.settling_since
        return now - memory.settling_since >= self._settings.settle_seconds

    def _memory(self, run: TrainingRun) -> Memory:
        meta = run.metadata
        memory = self._memories.of(meta.namespace, meta.name, meta.uid)
        job = run.status.job
        intent = (job.attempt, job.submissions) if job else (0, 0)
        if memory.intent != intent:
            memory.intent = intent
            memory.submission, memory.settling_since, memory.attempt_claim = None, None, None
        return memory

    async def _tidy(self, uid: str) -> None:
        """The run ended or is gone: its job is watched no longer, and its program's folder goes."""
        self._poller.forget(uid)
        await self._world.programs.stop(f"dataset-{uid}")

    async def _let_go(self, run: TrainingRun) -> None:
        """Jobs in this cluster that were cancelled need to be seen no longer, once their attempts are booked."""
        account, let_go = account_of(run, hub_org=self._settings.hub_org), self._memory(run).let_go
        if not engine_of(account):
            return
        for job_id in [one for one in jobs_to_release(run) if one not in let_go]:
            await self._world.jobs.release("", account, job_id)
            let_go.add(job_id)

    def _nonce(self, state: State) -> str:
        """Follows from the attempt: a restart reads the same reports, a dataset cannot guess it."""
        text = f"{self._settings.installation}/{state.uid}/{state.attempt}/nonce"
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    async def _fetch(self, fact: str, state: State, context: ReconcileContext[State]) -> Any:
        world, token = self._world, context.credentials.hugging_face
        job = state.run.status.job
        match fact:
            case "flavors":
                return await self._prices.get(token, lambda: world.jobs.flavors(token))
            case "base":
                # A further attempt goes on with the revision of the first.
                revision = state.run.status.base_revision if state.run.status.recipe is not None else ""
                return await self._model(token, base_model_name(state), revision or None)
            case "sibling":
                return await self._model(token, sibling_of(base_model_name(state)))
            case "tokenizer":
                return await self._tokenizer(state, token)
            case "base_config":
                return await self._base_config(state, token)
            case "dataset":
                return await world.programs.observe(f"dataset-{state.uid}")
            case "job" | "report":
                return self._sighted(fact, state, token)
            case "labelled":
                assert job is not None
                return await world.jobs.list_labelled(token, billed_namespace(state), job.label)
            case "attempt_claim":
                return await self._claim(state, token)
            case "result":
                return await world.hub.model(token, output_repository(state))
            case "lineage":
                revision = getattr(state.result, "revision", "")
                if not revision:
                    return None
                return await world.hub.read_json(token, output_repository(state), revision, "modelops.json")
        raise ValueError(f"no such fact: {fact}")

    async def _base_config(self, state: State, token: str) -> Mapping[str, Any] | None:
        base = state.base
        if not isinstance(base, ModelInfo) or "config.json" not in base.files:
            return None
        key = (token, base.repo, base.revision)
        return await self._configs.get(
            key, lambda: self._world.hub.read_json(token, base.repo, base.revision, "config.json")
        )

    async def _claim(self, state: State, token: str) -> AttemptClaim | None:
        """Committed once and never changed: who has the attempt is asked until somebody has."""
        memory = self._memory(state.run)
        if memory.attempt_claim is None:
            memory.attempt_claim = await self._world.hub.attempt_claim(
                token, output_repository(state), state.attempt
            )
        return memory.attempt_claim

    async def _model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        return await self._bases.get(
            (token, repo, revision), lambda: self._world.hub.model(token, repo, revision)
        )

    async def _tokenizer(self, state: State, token: str) -> TokenizerFiles | None:
        base = state.base
        if not isinstance(base, ModelInfo) or TokenizerFiles.CONFIG not in base.files:
            return None
        key = (token, base.repo, base.revision)
        return await self._tokenizers.get(key, lambda: self._tokenizer_files(base, token))

    async def _tokenizer_files(self, base: ModelInfo, token: str) -> TokenizerFiles:
        """Three small files of one revision; those that the repository does not have are empty."""

        async def found(path: str) -> str:
            if path not in base.files:
                return ""
            return await self._world.hub.read_text(token, base.repo, base.revision, path) or ""

        return TokenizerFiles.of(
            config=await found(TokenizerFiles.CONFIG),
            generation=await found(TokenizerFiles.GENERATION),
            template=await found(TokenizerFiles.TEMPLATE),
        )

    def _sighted(self, fact: str, state: State, token: str) -> Any:
        """From the shared poller, which reads the last log before it tells of an end."""
        job = state.run.status.job
        assert job is not None
        namespace = billed_namespace(state)
        # In this cluster a token says nothing, and a namespace is listed once, whoever asks.
        token = "" if engine_of(namespace) else token
        watch = Watch(
            key=state.uid, token=token, namespace=namespace, job_id=job.id, nonce=self._nonce(state)
        )
        submission = self._memory(state.run).submission
        sighting = self._poller.watch(watch, known=submission.job if submission else None)
        if sighting.job is None and not sighting.gone:
            self._poller.soon()
            raise Unavailable(sighting.problem or "the job was not looked at yet", retry_after=LOOK_SECONDS)
        return sighting.report if fact == "report" else sighting.job

    async def _do(self, step: Do, state: State, context: ReconcileContext[State]) -> Mapping[str, Any] | None:
        world, credentials, memory = self._world, context.credentials, self._memory(state.run)
        token = credentials.hugging_face
        world.gate()
        given = step.arguments
        match step.action:
            case "start_dataset":
                environment = {"HF_TOKEN": token, "LANGSMITH_API_KEY": credentials.langsmith}
                await world.start_program(f"dataset-{state.uid}", PROGRAM, given["given"], environment)
            case "retry_dataset":
                if self._due(memory, "dataset", given["after"]):
                    await world.programs.retry(f"dataset-{state.uid}")
            case "stop_dataset":
                await world.programs.stop(f"dataset-{state.uid}")
            case "submit":
                return await self._submit(given, state, token)
            case "forget_submission":
                if self._due(memory, "submission", given["after"]):
                    memory.submission = None
                    memory.settling_since = world.clock.monotonic() - self._settings.settle_seconds
            case "close":
                await world.hub.ensure_model_repo(token, output_repository(state))
                await world.hub.close_attempt(token, output_repository(state), state.attempt)
            case "delete_run":
                meta = state.run.metadata
                await world.kube.delete(
                    TRAINING_RUNS,
                    meta.namespace,
                    meta.name,
                    resource_version=context.write_base.object["metadata"]["resourceVersion"],
                )
            case "cancel":
                await world.jobs.cancel(token, billed_namespace(state), given["job"])
                self._poller.soon()
            case _:
                raise ValueError(f"no such action: {step.action}")
        return None

    def _of_the_cluster(self, state: State) -> Mapping[str, str]:
        """A job in this cluster asks the Hub that the operator asks; a Hugging Face job has its own way there."""
        known = self._world.program_environment if cluster_hardware(state.run) is not None else {}
        return {name: known[name] for name in SAME_HUB if name in known}

    def _placement(self, run: TrainingRun, state: State) -> Placement | None:
        """Only for a job in this cluster. `run`: as it is by now, with the price that the attempt was offered at."""
        own, agent, meta, price = cluster_hardware(run), state.agent_model, run.metadata, run.status.estimate
        if own is None:
            return None
        assert agent is not None
        assert price is not None
        secret = agent.spec.secret_refs.hugging_face
        return Placement(
            backend=own.backend,
            run_name=meta.name,
            run_uid=meta.uid,
            token_secret=secret.name,
            token_key=secret.key,
            usd_micro_per_hour=micro(price.usd_per_hour),
        )

    def _due(self, memory: Memory, what: str, after: float) -> bool:
        """Whether the pause before trying again has passed; starts it at the first call."""
        now = self._world.clock.monotonic()
        due = memory.not_before.setdefault(what, now + after)
        if now < due:
            return False
        del memory.not_before[what]
        return True

    async def _submit(self, given: dict[str, Any], state: State, token: str) -> Mapping[str, Any] | None:
        """The POST, because the intent was written just before; its answer is remembered, not assumed."""
        item = self._world.cache.get(TRAINING_RUNS, state.run.metadata.namespace, state.run.metadata.name)
        run = parsed(TrainingRun, item) if item is not None else None
        if run is None:
            return None
        memory = self._memory(run)
        request = JobRequest(
            namespace=given["namespace"],
            label=given["label"],
            flavor=given["flavor"],
            timeout_seconds=given["timeout_seconds"],
            image=self._trainer.image,
            command=self._trainer.command,
            environment={
                **self._trainer.environment,
                **self._of_the_cluster(state),
                "MODELOPS_RUN": json.dumps(given["run"], sort_keys=True),
                "MODELOPS_NONCE": self._nonce(state),
            },
            secrets={"HF_TOKEN": token},
            placement=self._placement(run, state),
        )
        try:
            await self._world.hub.ensure_model_repo(token, given["run"]["output"]["repo"])
            job = await self._world.jobs.submit(token, request)
            memory.submission = Submission(job=job)
            told = {"outcome": "submitted", "job": job.id}
        except Refused as error:
            memory.submission = Submission(refused=str(error))
            told = {"outcome": f"refused: {error}"}
        except Unavailable as error:
            memory.submission = Submission(unavailable=str(error), retry_after=error.retry_after)
            told = {"outcome": f"not done: {error}"}
        except Uncertain as error:
            memory.settling_since = self._world.clock.monotonic()
            told = {"outcome": f"answer lost: {error}"}
        self._world.enqueue(Key(kind="TrainingRun", namespace=run.metadata.namespace, name=run.metadata.name))
        return told


def jobs_to_release(run: TrainingRun) -> tuple[str, ...]:
    """Names of the jobs of its attempts that are over, also where the status never had them; but for one that ended
    well by itself: nothing held that."""
    past = tuple(cluster_job_name(attempt.label) for attempt in run.status.attempts)
    job = run.status.job
    if run.status.phase not in TERMINAL or job is None:
        return past
    stopped = run.spec.cancel or run.metadata.deletion_timestamp is not None or run.status.ending
    ended_well = run.status.phase is TrainingPhase.SUCCEEDED and not stopped
    return past if ended_well else (*past, cluster_job_name(job.label))
