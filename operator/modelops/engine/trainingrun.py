"""The TrainingRun reconciler: observe, decide, act."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import TrainingPhase, TrainingRun
from modelops.domain.job_report import JobReport, failure_of
from modelops.domain.money import micro
from modelops.domain.training.account import account_of, engine_of
from modelops.domain.training.actions import (
    CancelJob,
    CloseAttempt,
    DeleteRun,
    ForgetSubmission,
    RetryDataset,
    StartDataset,
    StopDataset,
    SubmitJob,
    TrainingAction,
    TrainingFact,
    TrainingPlan,
)
from modelops.domain.training.decide import decide
from modelops.domain.training.effective_spec import (
    agent_name,
    base_model_name,
    billed_namespace,
    hub_organisation,
    output_repository,
)
from modelops.domain.training.naming import cluster_job_name, installation_of
from modelops.domain.training.preparation.end_token import sibling_of
from modelops.domain.training.preparation.tokenizer import TokenizerFiles
from modelops.domain.training.pricing.cluster_hardware import cluster_hardware
from modelops.domain.training.state import State, Submission, TrainingSettings
from modelops.domain.training.status import TERMINAL
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.executor import Executor, WriteBase
from modelops.engine.poller import SharedJobPoller
from modelops.engine.program_secrets import agent_secrets, program_owner
from modelops.engine.queue import Key
from modelops.engine.reconciler import ObjectMemory, ReconcileContext, Reconciler
from modelops.engine.resources import TRAINING_RUNS
from modelops.engine.services import Services
from modelops.engine.ttl_cache import TtlCache
from modelops.engine.watched_job import JobObservation, WatchedJob
from modelops.ports import (
    AttemptClaim,
    ClusterJobSettings,
    Flavor,
    JobRequest,
    Json,
    ModelInfo,
    PublishedModel,
    Refused,
    TokenRefused,
    Trainer,
    Unavailable,
    Uncertain,
)

logger = logging.getLogger(__name__)

PROGRAM = "modelops.datasets"
UNPOLLED_JOB_SECONDS = 5.0
"""Until a job that the shared poller has not read yet is asked for again."""
PRICE_SECONDS = 60.0
"""For how many seconds a price list is cached."""
PUBLISHED_SECONDS = 60.0
"""For how many seconds the list of an agent's models is cached: a restore creates many runs at once."""
BASE_SECONDS = 10.0
"""For how many seconds the head of a base model is cached."""
ANONYMOUS = "anonymous-"
"""Begins the name of a job that does not know its own id (adapters/huggingface/payload.py)."""
SHARED_VARIABLES = ("HF_ENDPOINT", "MODELOPS_SANDBOX")
CONFIG_SECONDS = 3600.0
"""For how long a base model's files are cached. They are those of one revision, which never changes."""


@dataclass
class Memory(ObjectMemory):
    """What this process knows about a run beyond its status. The protocol also works when a restart loses it."""

    intent: tuple[int, int] = (0, 0)
    """Attempt and number of submissions that the three fields below belong to."""
    submission: Submission | None = None
    settling_since: float | None = None
    attempt_claim: AttemptClaim | None = None
    released_jobs: set[str] = field(default_factory=set)
    """Jobs in this cluster of which nothing is kept any more."""
    unreleased_jobs: set[str] = field(default_factory=set)
    """Those whose release has failed."""


class TrainingRunReconciler(Reconciler[State, TrainingAction, TrainingFact, Memory]):
    """One call reconciles one TrainingRun until there is nothing more to do at the moment."""

    resource = TRAINING_RUNS

    def __init__(
        self,
        reader: ClusterReader,
        credentials: CredentialReader,
        services: Services,
        executor: Executor,
        poller: SharedJobPoller,
        settings: TrainingSettings,
        *,
        trainer: Trainer,
        enqueue: Callable[[Key], None],
    ) -> None:
        super().__init__(reader, credentials, services, executor)
        self._enqueue = enqueue
        self._poller = poller
        self._settings = settings
        self._trainer = trainer
        self._prices: TtlCache[tuple[Flavor, ...]] = TtlCache(self._clock, seconds=PRICE_SECONDS)
        self._published: TtlCache[tuple[PublishedModel, ...]] = TtlCache(
            self._clock, seconds=PUBLISHED_SECONDS
        )
        self._configs: TtlCache[Json | None] = TtlCache(self._clock, seconds=CONFIG_SECONDS)
        self._tokenizers: TtlCache[TokenizerFiles | None] = TtlCache(self._clock, seconds=CONFIG_SECONDS)
        self._bases: TtlCache[ModelInfo | None] = TtlCache(self._clock, seconds=BASE_SECONDS)

    def _new_memory(self) -> Memory:
        return Memory()

    def _decide(self, state: State) -> TrainingPlan:
        return decide(state)

    async def _observe(self, namespace: str, name: str) -> ReconcileContext[State] | None:
        loaded = await self._load(TrainingRun, namespace, name)
        if loaded is None:
            return None
        item, run = loaded
        if run.status.phase in TERMINAL:
            await self._clean_up_finished(run.metadata.uid, self._memory(run))
        await self._release_jobs(run)
        agent = self._reader.agent_model(namespace, run.spec.agent_model_ref.name)
        record_item, record, _ = await self._reader.record(namespace, run.spec.agent_model_ref.name)
        under_way = run.status.job is not None or bool(run.status.attempts)
        credentials, problem = await self._credentials.read(namespace, agent, only_hugging_face=under_way)
        memory = self._memory(run)
        state = State(
            now=self._clock.now(),
            run=run,
            identity=self._reader.identity(item),
            settings=self._settings,
            agent_model=agent,
            record=record,
            stop=self._reader.stops.known(namespace, agent),
            secret_problem=problem,
            can_clean_up=bool(credentials.hugging_face),
            submission=memory.submission,
            settle_period_passed=self._settle_period_passed(run, memory),
        )
        return ReconcileContext(
            state=state,
            write_base=WriteBase(object=item, record=record_item),
            credentials=credentials,
            record_ref=self._reader.record_reference(namespace, run.spec.agent_model_ref.name),
            agent=record.agent if record else "",
        )

    def _settle_period_passed(self, run: TrainingRun, memory: Memory) -> bool:
        """Whether a submission with a lost answer has had the settle period to appear in the service's list."""
        if run.status.job is None or run.status.job.id or memory.submission is not None:
            return False
        now = self._clock.monotonic()
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
            if job is None:
                self._poller.forget(meta.uid)  # Between two attempts no job is followed.
        return memory

    async def _clean_up(self, uid: str) -> None:
        """The run finished or was deleted: the poller stops watching its job, and its program's folder is removed."""
        self._poller.forget(uid)
        await self._services.programs.stop(f"dataset-{uid}")

    async def _release_jobs(self, run: TrainingRun) -> None:
        """Releases the jobs in this cluster whose attempts are booked."""
        account, memory = account_of(run, hub_org=self._settings.hub_org), self._memory(run)
        if not engine_of(account):
            return
        for job_id in sorted({*jobs_to_release(run), *memory.unreleased_jobs} - memory.released_jobs):
            try:
                await self._services.jobs.release("", account, job_id)
            except (Refused, Unavailable, Uncertain) as error:
                # Its run goes on; this is tried again at the next reconcile.
                logger.warning("job %s cannot be released: %s", job_id, error)
                memory.unreleased_jobs.add(job_id)
                continue
            memory.released_jobs.add(job_id)

    def _nonce(self, state: State, label: str) -> str:
        """The nonce of an attempt's reports. A restart computes the same one; the text of a dataset cannot guess it.

        `label` names the installation that submitted the job: one that was installed anew reads its reports, too.
        """
        text = f"{installation_of(label)}/{state.uid}/{state.attempt}/nonce"
        return hashlib.sha256(text.encode()).hexdigest()[:20]

    async def _fetch(self, fact: TrainingFact, state: State, context: ReconcileContext[State]) -> Any:
        token = context.credentials.hugging_face
        job = state.run.status.job
        match fact:
            case TrainingFact.PUBLISHED:
                org, agent = hub_organisation(state), agent_name(state)
                return await self._published.get(
                    (token, org, agent), lambda: self._services.hub.published_models(token, org, agent)
                )
            case TrainingFact.FLAVORS:
                return await self._prices.get(token, lambda: self._services.jobs.flavors(token))
            case TrainingFact.BASE:
                # A further attempt goes on with the revision of the first.
                revision = state.run.status.base_revision if state.run.status.recipe is not None else ""
                return await self._model(token, base_model_name(state), revision or None)
            case TrainingFact.SIBLING:
                return await self._model(token, sibling_of(base_model_name(state)))
            case TrainingFact.TOKENIZER:
                return await self._tokenizer(state, token)
            case TrainingFact.BASE_CONFIG:
                return await self._base_config(state, token)
            case TrainingFact.DATASET:
                return await self._services.programs.observe(f"dataset-{state.uid}")
            case TrainingFact.KEYS_REPLACED:
                memory, namespace = self._memory(state.run), state.run.metadata.namespace
                return await self._keys_were_replaced(PROGRAM, memory, namespace, state.agent_model)
            case TrainingFact.JOB:
                return self._watched_job(state, token).job
            case TrainingFact.REPORT:
                return final_report(self._watched_job(state, token))
            case TrainingFact.LABELLED:
                assert job is not None
                return await self._services.jobs.list_labelled(token, billed_namespace(state), job.label)
            case TrainingFact.ATTEMPT_CLAIM:
                return await self._claim(state, token)
            case TrainingFact.RESULT:
                return await self._services.hub.model(token, output_repository(state))
            case TrainingFact.LINEAGE:
                revision = getattr(state.result, "revision", "")
                if not revision:
                    return None
                return await self._services.hub.read_json(
                    token, output_repository(state), revision, "modelops.json"
                )
            case _:
                assert_never(fact)

    async def _base_config(self, state: State, token: str) -> Mapping[str, Any] | None:
        base = state.base
        if not isinstance(base, ModelInfo) or "config.json" not in base.files:
            return None
        key = (token, base.repo, base.revision)
        return await self._configs.get(
            key, lambda: self._services.hub.read_json(token, base.repo, base.revision, "config.json")
        )

    async def _claim(self, state: State, token: str) -> AttemptClaim | None:
        """The attempt's claim. It is committed once and never changes, so the Hub is asked only until there is one."""
        memory = self._memory(state.run)
        if memory.attempt_claim is None:
            memory.attempt_claim = await self._services.hub.attempt_claim(
                token, output_repository(state), state.attempt
            )
        claim = memory.attempt_claim
        if claim is None or not claim.job.startswith(ANONYMOUS):
            return claim
        return replace(claim, job=await self._job_of_anonymous_claim(state, token))

    async def _job_of_anonymous_claim(self, state: State, token: str) -> str:
        """The job that claimed the attempt without knowing its own id: the service did not tell it (JOB_ID).

        It is one of the attempt's jobs that has not ended with the exit code of a job that came too late; the recorded
        one, where that is possible. There is normally one job, so that this is certain.
        """
        job = state.run.status.job
        assert job is not None
        jobs = await self._services.jobs.list_labelled(token, billed_namespace(state), job.label)
        possible = [found.id for found in jobs if failure_of(found.exit_code) != "already_claimed"]
        return job.id if job.id in possible or not possible else possible[0]

    async def _model(self, token: str, repo: str, revision: str | None = None) -> ModelInfo | None:
        return await self._bases.get(
            (token, repo, revision), lambda: self._services.hub.model(token, repo, revision)
        )

    async def _tokenizer(self, state: State, token: str) -> TokenizerFiles | None:
        base = state.base
        if not isinstance(base, ModelInfo) or TokenizerFiles.CONFIG not in base.files:
            return None
        key = (token, base.repo, base.revision)
        return await self._tokenizers.get(key, lambda: self._tokenizer_files(base, token))

    async def _tokenizer_files(self, base: ModelInfo, token: str) -> TokenizerFiles:
        """Three small files of one revision. A file that the repository does not have is empty."""

        async def found(path: str) -> str:
            if path not in base.files:
                return ""
            return await self._services.hub.read_text(token, base.repo, base.revision, path) or ""

        return TokenizerFiles.of(
            config=await found(TokenizerFiles.CONFIG),
            generation=await found(TokenizerFiles.GENERATION),
            template=await found(TokenizerFiles.TEMPLATE),
        )

    def _watched_job(self, state: State, token: str) -> JobObservation:
        """The job as the shared poller has it. The poller reads the last log before it reports that a job has ended."""
        job = state.run.status.job
        assert job is not None
        namespace = billed_namespace(state)
        # A job in this cluster needs no token, so one list of a namespace serves the runs of all agents.
        token = "" if engine_of(namespace) else token
        watch = WatchedJob(
            key=state.uid,
            token=token,
            namespace=namespace,
            job_id=job.id,
            nonce=self._nonce(state, job.label),
        )
        submission = self._memory(state.run).submission
        observation = self._poller.watch(watch, known=submission.job if submission else None)
        if observation.token_refusal:
            raise TokenRefused(observation.token_refusal)
        if observation.job is None and not observation.not_found:
            self._poller.poll_soon()
            raise Unavailable(
                observation.problem or "the job has not been read yet", retry_after=UNPOLLED_JOB_SECONDS
            )
        return observation

    async def _perform(
        self, action: TrainingAction, state: State, context: ReconcileContext[State]
    ) -> Mapping[str, Any] | None:
        credentials, memory = context.credentials, self._memory(state.run)
        token, program = credentials.hugging_face, f"dataset-{state.uid}"
        self._services.require_leadership()
        match action:
            case StartDataset():
                meta, agent = state.run.metadata, state.require_agent_model()
                fresh = await self._credentials.read_for_program(meta.namespace, agent)
                known = agent_secrets(agent, fresh)
                await self._services.start_program(
                    program,
                    PROGRAM,
                    dict(action.input),
                    secrets={"HF_TOKEN": known.hugging_face, "LANGSMITH_API_KEY": known.langsmith},
                    owner=program_owner(TRAINING_RUNS, meta),
                )
                memory.keys_given[PROGRAM] = fresh
            case RetryDataset():
                if memory.retry_is_due(
                    type(action).__name__, after=action.after, now=self._clock.monotonic()
                ):
                    await self._services.programs.retry(program)
            case StopDataset():
                await self._services.programs.stop(program)
            case SubmitJob():
                return await self._submit(action, state, token)
            case ForgetSubmission():
                if memory.retry_is_due(
                    type(action).__name__, after=action.after, now=self._clock.monotonic()
                ):
                    memory.submission = None
                    memory.settling_since = self._clock.monotonic() - self._settings.settle_seconds
            case CloseAttempt():
                await self._services.hub.ensure_model_repo(token, output_repository(state))
                await self._services.hub.close_attempt(token, output_repository(state), state.attempt)
            case DeleteRun():
                await self._executor.delete(TRAINING_RUNS, context.write_base.object)
            case CancelJob():
                await self._services.jobs.cancel(token, billed_namespace(state), action.job)
                self._poller.poll_soon()
            case _:
                assert_never(action)
        return None

    def _hub_variables(self, state: State) -> Mapping[str, str]:
        """The operator's own Hub address, for a job in this cluster; a Hugging Face job knows its Hub."""
        known = self._services.program_environment if cluster_hardware(state.run) is not None else {}
        return {name: known[name] for name in SHARED_VARIABLES if name in known}

    def _cluster_job_settings(self, run: TrainingRun, state: State) -> ClusterJobSettings | None:
        """Settings of a job in this cluster, None for others. `run`: the newest object, with the attempt's price."""
        own, agent, meta, price = cluster_hardware(run), state.agent_model, run.metadata, run.status.estimate
        if own is None:
            return None
        assert agent is not None
        assert price is not None
        secret = agent.spec.secret_refs.hugging_face
        return ClusterJobSettings(
            backend=own.backend,
            run_name=meta.name,
            run_uid=meta.uid,
            token_secret=secret.name,
            token_key=secret.key,
            usd_micro_per_hour=micro(price.usd_per_hour),
        )

    async def _submit(self, action: SubmitJob, state: State, token: str) -> Mapping[str, Any] | None:
        """The POST. The intent was written just before; the answer is kept in memory for the next decision."""
        item = self._reader.cache.get(TRAINING_RUNS, state.run.metadata.namespace, state.run.metadata.name)
        run = self._reader.parsed(TrainingRun, item) if item is not None else None
        if run is None:
            return None
        memory = self._memory(run)
        request = JobRequest(
            namespace=action.namespace,
            label=action.label,
            flavor=action.flavor,
            timeout_seconds=action.timeout_seconds,
            image=self._trainer.image,
            command=self._trainer.command,
            environment={
                **self._trainer.environment,
                **self._hub_variables(state),
                "MODELOPS_RUN": json.dumps(action.run, sort_keys=True),
                "MODELOPS_NONCE": self._nonce(state, action.label),
            },
            secrets={"HF_TOKEN": token},
            cluster_settings=self._cluster_job_settings(run, state),
        )
        try:
            await self._services.hub.ensure_model_repo(token, action.run["output"]["repo"])
            job = await self._services.jobs.submit(token, request)
            memory.submission = Submission(job=job)
            outcome = {"outcome": "submitted", "job": job.id}
        except Refused as error:
            memory.submission = Submission(refused=str(error), token_refused=isinstance(error, TokenRefused))
            outcome = {"outcome": f"refused: {error}"}
        except Unavailable as error:
            memory.submission = Submission(unavailable=str(error), retry_after=error.retry_after)
            outcome = {"outcome": f"not done: {error}"}
        except Uncertain as error:
            memory.settling_since = self._clock.monotonic()
            outcome = {"outcome": f"answer lost: {error}"}
        self._enqueue(Key(kind="TrainingRun", namespace=run.metadata.namespace, name=run.metadata.name))
        return outcome


def final_report(observation: JobObservation) -> JobReport | None:
    """The report of the job. Raises Unavailable where it has ended and its last lines may still arrive."""
    job = observation.job
    if job is not None and job.ended and not observation.report_is_final:
        raise Unavailable(
            observation.problem or f"the log of job {job.id} does not show yet how the job ended",
            retry_after=UNPOLLED_JOB_SECONDS,
        )
    return observation.report


def jobs_to_release(run: TrainingRun) -> tuple[str, ...]:
    """Names of the jobs of finished attempts, including jobs that the status never named.

    A job that succeeded by itself never had the finalizer. While the run still has its own it is released all the same,
    because a service mesh may keep it running.
    """
    past = tuple(cluster_job_name(attempt.label) for attempt in run.status.attempts)
    job = run.status.job
    if run.status.phase not in TERMINAL or job is None:
        return past
    stopped = run.spec.cancel or run.metadata.deletion_timestamp is not None or run.status.ending
    ended_well = run.status.phase is TrainingPhase.SUCCEEDED and not stopped
    is_released = ended_well and FINALIZER not in run.metadata.finalizers
    return past if is_released else (*past, cluster_job_name(job.label))
