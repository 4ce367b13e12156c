"""One TrainingRun among faults: the real reconciler, services in memory, a tape of choices.

The tape decides what happens next among everything that can: a request lands, its answer is lost, the leader
dies or pauses with one request under way that lands later, another takes over with a fresh or an old cache,
jobs are listed late, claim, fail, a person cancels or deletes. Afterwards everything runs to rest without faults.
What is checked is what `job_mc.py`, the model of the protocol, checks.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from tests.unit.engine_parts import engine_parts
from tests.unit.training.objects import (
    AGENT,
    DEFAULTS,
    INSTALLATION,
    NAMESPACE,
    ORG,
    RUN,
    agent_model_json,
    empty_record,
    prepared_status,
    record_json,
    run_json,
    secret_json,
)
from tests.unit.training.services import (
    FAILED,
    QUEUED,
    TRAINING,
    ApiServer,
    Hub,
    JobService,
    KubeClient,
    Name,
    PaidJob,
    Programs,
    Time,
)
from tests.unit.training.stepping import Process, Request

from modelops.api.v1alpha1.names import record_name
from modelops.domain.money import micro
from modelops.domain.plan import Plan
from modelops.domain.training.decide import decide
from modelops.domain.training.outcome.retry import DEFAULT_BACKOFF_LIMIT
from modelops.domain.training.state import State, TrainingSettings
from modelops.engine.cache import ObjectCache
from modelops.engine.executor import CONFIG_MAPS, Executor
from modelops.engine.reconciler import ReconcileContext
from modelops.engine.resources import AGENT_MODELS, TRAINING_RUNS
from modelops.engine.trainingrun import TrainingRunReconciler
from modelops.ports import Conflict, Missing, Refused, Trainer, Unavailable, Uncertain

SETTLE_SECONDS = 45.0
TRAINER = Trainer(image="any", command=("train",), environment={})
REQUEST_SECONDS = 30.0
"""A prompt service creates a job at most this long after the request was sent."""
APPROVAL_SECONDS = 120.0
LISTED_SECONDS = 10.0
"""A prompt service lists a job at most this long after it was created."""
INSTALLATIONS_TOKEN = "of the installation"
SECRET_NAME: Name = ("Secret", "tokens")
RUN_NAME: Name = ("TrainingRun", RUN)
RECORD_NAME: Name = ("ConfigMap", record_name(AGENT))
RESOURCES = {RUN_NAME: TRAINING_RUNS, RECORD_NAME: CONFIG_MAPS, ("AgentModel", AGENT): AGENT_MODELS}
TERMINAL = ("Succeeded", "Failed", "Cancelled")
MOST_USD = "10"
Decision = Callable[[State], Plan]
_uids = itertools.count()


class Violation(AssertionError):
    """A property does not hold. The message has the history of choices."""


@dataclass(frozen=True, kw_only=True)
class Faults:
    """How many faults may happen. `prompt`: the service keeps the times that the settle period assumes."""

    takeovers: int = 2
    lost_answers: int = 1
    job_failures: int = 0
    refusals: int = 0
    endings: int = 0
    suspensions: int = 0
    approvals: int = 0
    """If above 0, the run needs an approval, and so many wrong or stale ones are given first."""
    prompt: bool = True

    @property
    def crash_only(self) -> bool:
        others = self.job_failures or self.refusals or self.endings or self.approvals or self.suspensions
        return not others

    @property
    def every_failure_is_retried(self) -> bool:
        """Whether every failure is followed by another attempt, and no person ends the run."""
        return self.job_failures <= DEFAULT_BACKOFF_LIMIT and not self.endings and not self.approvals


class Reconciler(TrainingRunReconciler):
    """The real reconciler with a replaceable decision. It caches no prices, since that needs an event loop."""

    decision: Decision = staticmethod(decide)

    def _decide(self, state: State) -> Plan:
        return self.decision(state)

    async def _fetch(self, fact: str, state: State, context: ReconcileContext[State]) -> Any:
        token = context.credentials.hugging_face
        if fact == "flavors":
            return await self._services.jobs.flavors(token)
        if fact == "base":
            return await self._services.hub.model(token, state.run.base_model)
        if fact in ("base_config", "tokenizer"):
            return None
        if fact == "published":
            return ()
        return await super()._fetch(fact, state, context)


class PaidJobSimulation:
    """The objects, services and processes, and the choices of what happens next."""

    installation = INSTALLATION
    hub_org = ORG
    """Settings of the next process that leads."""

    def __init__(
        self,
        faults: Faults,
        *,
        decision: Decision = decide,
        prepared: bool = True,
        stepped: bool = True,
        **spec: Any,
    ) -> None:
        """`prepared`: dataset and price are known. `stepped`: False if an event loop runs the requests.

        `spec`: fields of the run that differ from the usual ones.
        """
        self.faults, self.decision = faults, decision
        self.left = dict(vars(faults))
        self.time = Time(stepped=stepped)
        self.server, self.jobs, self.hub = ApiServer(self.time), JobService(self.time), Hub(self.time)
        dataset = {**prepared_status()["dataset"], "max_tokens": 512}
        self.programs = Programs(
            {"ok": True, **dataset, "dataset_id": dataset["langsmithId"], "as_of": dataset["asOf"]}
        )
        number = next(_uids)
        self.uid = f"{number:08x}-0000-4000-8000-000000000000"
        limits = {"monthlyUSD": "100", "approvalAboveUSD": "0.01" if faults.approvals else "10"}
        self.server.seed(agent_model_json(uid=f"agent-{number}", budget=limits))
        self.approved: set[str] = set()
        self.server.seed(record_json(empty_record(), uid=f"record-{number}"))
        self.server.seed(secret_json())
        self.server.seed(run_json(uid=self.uid, status=prepared_status() if prepared else None, **spec))
        if not prepared:
            self.server.versions[RUN_NAME][-1]["metadata"].pop("finalizers")
        self.late_request: Request | None = None
        self.process: Process | None = None
        self.history: list[str] = []
        self.after: float | None = 0.0
        self.lead(stale=False)

    # The choices.

    def lead(self, *, stale: bool) -> None:
        """A new process leads; it knows only its cache."""
        self.cache = ObjectCache(monotonic=self.time.monotonic)
        for name, resource in RESOURCES.items():
            versions = self.server.versions[name]
            if name not in self.server.gone:
                self.cache.put(resource, versions[-2] if stale and len(versions) > 1 else versions[-1])
        self.kube = KubeClient(self.server)
        unused = cast("Any", None)
        parts = engine_parts(
            kube=self.kube,
            cache=self.cache,
            executor=Executor(self.kube, self.cache),
            clock=self.time,
            jobs=cast("Any", self.jobs),
            hub=self.hub,
            endpoints=unused,
            programs=self.programs,
            reports=unused,
            hub_org=ORG,
            installation_token=INSTALLATIONS_TOKEN,
        )
        settings = TrainingSettings(
            installation=self.installation,
            hub_org=self.hub_org,
            defaults=DEFAULTS,
            settle_seconds=SETTLE_SECONDS,
            approval_seconds=APPROVAL_SECONDS,
        )
        self.reconciler = Reconciler(
            *parts.common, cast("Any", self.jobs), settings, trainer=TRAINER, enqueue=lambda _: None
        )
        self.reconciler.decision = self.decision  # type: ignore[method-assign]

    def reconcile(self) -> None:
        self._step(lambda: self._begin())

    def _begin(self) -> None:
        self.process = Process(cast("Any", self.reconciler.reconcile(NAMESPACE, RUN)))

    def _step(self, step: Callable[[], None]) -> None:
        """As the queue does: an error of a reconcile only means that it is tried again."""
        try:
            step()
        except (Conflict, Missing, Refused, Unavailable, Uncertain):
            self.process = None
        if self.process is not None and self.process.ended:
            self.after, self.process = self.process.result, None

    def carry_out(self) -> None:
        assert self.process is not None
        self._step(self.process.carry_out)

    def fail(self, error: Exception, *, land: bool = False) -> None:
        process = self.process
        assert process is not None
        assert process.waiting is not None
        if land:
            try:
                process.waiting.land()
            except (Conflict, Missing) as definite:
                error = definite
        self._step(lambda: process.fail(error))

    def take_over(self, *, in_flight: bool, stale: bool) -> None:
        sent = self.process.kill() if self.process else None
        self.process = None
        if in_flight:
            self.late_request = sent
        self.lead(stale=stale)

    def late_request_lands(self) -> None:
        assert self.late_request is not None
        late_request, self.late_request = self.late_request, None
        try:
            late_request.land()
        except (Conflict, Missing):
            self.history.append("  (in vain)")

    def pass_time(self, seconds: float) -> None:
        """Lets time pass. A prompt service creates and lists jobs within the times that the settle period assumes."""
        self.time.seconds += seconds
        if not self.faults.prompt:
            return
        now = self.time.seconds
        if (
            self.late_request is not None
            and self.late_request.name == "post"
            and now - self.late_request.sent_at >= REQUEST_SECONDS
        ):
            self.late_request = None
        for job in self.jobs.jobs:
            job.listed = job.listed or now - job.created_at >= LISTED_SECONDS

    def deliver(self, name: Name) -> None:
        """The watch delivers the newest version of the object."""
        live = self.server.live(name)
        if live is None:
            self.cache.remove(RESOURCES[name], NAMESPACE, name[1])
        else:
            self.cache.put(RESOURCES[name], live)

    def stale(self, name: Name) -> bool:
        cached, live = self.cache.get(RESOURCES[name], NAMESPACE, name[1]), self.server.live(name)
        return (cached and cached["metadata"]["resourceVersion"]) != (
            live and live["metadata"]["resourceVersion"]
        )

    def end_by_person(self, *, delete: bool) -> None:
        def edit(item: Any) -> None:
            item["metadata"]["generation"] += 1
            if delete:
                item["metadata"]["deletionTimestamp"] = self.time.now().isoformat()
            else:
                item["spec"]["cancel"] = True

        self.server.user_edits(RUN_NAME, edit)

    def suspend(self, value: bool) -> None:
        def edit(item: Any) -> None:
            item["metadata"]["generation"] += 1
            item["spec"]["suspend"] = value

        self.server.user_edits(RUN_NAME, edit)

    def approve(self, digest: str) -> None:
        """A person approves. Admission policies let a person approve only the current offer."""
        if digest == self.status().get("approvalDigest"):
            self.approved.add(digest)

        def edit(item: Any) -> None:
            item["metadata"]["generation"] += 1
            item["spec"]["approval"] = {"approvedBy": "alice", "digest": digest}

        self.server.user_edits(RUN_NAME, edit)

    def _approval_choices(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """A person approves the current offer, an earlier one, or one that never existed."""
        if not self.faults.approvals or "job" in self.status():
            return
        offered = {item.get("status", {}).get("approvalDigest") for item in self.server.versions[RUN_NAME]}
        now = self.status().get("approvalDigest")
        if now:
            yield "person approves", lambda: self.approve(now)
            yield "prices change", lambda: self.jobs.raise_price()
        for digest in sorted(filter(None, offered - {now})) or ["sha256:" + "0" * 64]:
            if self.left["approvals"]:
                yield (
                    "person approves another offer",
                    self._once("approvals", lambda digest=digest: self.approve(digest)),  # type: ignore[misc]
                )

    def choices(self) -> Iterator[tuple[str, Callable[[], None]]]:
        """Everything that can happen now; a choice that is listed twice is twice as likely."""
        yield from self._leader_choices()
        yield from self._job_choices()
        yield from self._approval_choices()
        for name in (RUN_NAME, RECORD_NAME):
            if self.stale(name):
                yield f"watch delivers {name[0]}", lambda name=name: self.deliver(name)  # type: ignore[misc]
        if self.late_request is not None and len(self.history) % 4 == 0:  # late rather than at once
            yield f"OLD {self.late_request.name} lands", self.late_request_lands
            yield f"OLD {self.late_request.name} is lost", lambda: setattr(self, "ghost", None)
        if self.process is None:
            yield "50 s pass", lambda: self.pass_time(50)
        run = self.server.live(RUN_NAME)
        untouched = run and not run["spec"].get("cancel") and not run["metadata"].get("deletionTimestamp")
        # A person ends the run mostly after its submission.
        if self.left["endings"] and untouched and ("job" in self.status() or len(self.history) % 8 == 0):
            yield "person cancels", self._once("endings", lambda: self.end_by_person(delete=False))
            yield "person deletes", self._once("endings", lambda: self.end_by_person(delete=True))
        if run and run["spec"].get("suspend"):
            yield "person goes on", lambda: self.suspend(False)
        elif self.left["suspensions"] and run and len(self.history) % 2:
            yield "person suspends", self._once("suspensions", lambda: self.suspend(True))

    def _leader_choices(self) -> Iterator[tuple[str, Callable[[], None]]]:
        sent = self.process.waiting if self.process else None
        if sent is None:
            yield "reconcile", self.reconcile
            yield "reconcile", self.reconcile
        else:
            yield f"{sent.name} is done", self.carry_out
            yield f"{sent.name} is done", self.carry_out
            yield f"{sent.name} is done", self.carry_out
            if self.left["lost_answers"]:
                lost = Uncertain("the answer was lost")
                yield (
                    f"{sent.name} lands, answer lost",
                    self._once("lost_answers", lambda: self.fail(lost, land=True)),
                )
                yield f"{sent.name} lost", self._once("lost_answers", lambda: self.fail(lost))
            if self.left["refusals"] and sent.name == "post":
                yield "post refused", self._once("refusals", lambda: self.fail(Refused("402 no credit")))
                yield (
                    "post not taken",
                    self._once("refusals", lambda: self.fail(Unavailable("429", retry_after=7.0))),
                )
        if self.left["takeovers"]:
            flying = (False, True, True, True) if sent and sent.name == "post" else (False, bool(sent))
            for stale, in_flight in itertools.product((False, True), flying):
                words = f"{sent.name} in flight" if sent and in_flight else "nothing in flight"
                yield (
                    f"takeover with {words}, {'old' if stale else 'fresh'} cache",
                    self._once(
                        "takeovers",
                        lambda stale=stale, flying=in_flight: self.take_over(in_flight=flying, stale=stale),  # type: ignore[misc]
                    ),
                )

    def _job_choices(self) -> Iterator[tuple[str, Callable[[], None]]]:
        for job in self.jobs.jobs:
            if not job.listed:
                yield f"{job.id} becomes listed", lambda job=job: setattr(job, "listed", True)  # type: ignore[misc]
            if job.state == QUEUED:
                yield f"{job.id} starts", lambda job=job: self.hub.starts(job)  # type: ignore[misc]
            if job.state == TRAINING:
                yield f"{job.id} is done", lambda job=job: self.finish(job)  # type: ignore[misc]
            if job.running and self.left["job_failures"]:
                yield (
                    f"{job.id} fails",
                    self._once("job_failures", lambda job=job: setattr(job, "state", FAILED)),  # type: ignore[misc]
                )

    def finish(self, job: PaidJob) -> None:
        self.hub.finishes(job, self.jobs.requests[self.jobs.jobs.index(job)])

    def _once(self, budget: str, act: Callable[[], None]) -> Callable[[], None]:
        def spend() -> None:
            self.left[budget] -= 1
            act()

        return spend

    # The properties.

    def ledger(self) -> Any:
        record = self.server.live(RECORD_NAME)
        assert record is not None
        return json.loads(record["data"]["ledger.json"])

    def status(self) -> Any:
        return self.server.versions[RUN_NAME][-1].get("status", {})

    def violation(self, what: str) -> Violation:
        return Violation(what + "\n  " + "\n  ".join(self.history))

    def check(self) -> None:
        """Raises Violation if a property does not hold that must hold at every moment."""
        trained = [job for job in self.jobs.jobs if job.trained]
        if (
            self.faults.approvals
            and self.jobs.jobs
            and self.status().get("approvalDigest") not in self.approved
        ):
            raise self.violation("a job was made that nobody approved")
        if len({job.attempt for job in trained}) < len(trained):
            raise self.violation("two jobs train one attempt")
        if self.faults.prompt and len({job.attempt for job in self.jobs.jobs}) < len(self.jobs.jobs):
            raise self.violation("a second job was made for an attempt although the service is prompt")
        training = [job for job in trained if job.state == TRAINING]
        if len(training) > 1:
            raise self.violation("two attempts train at once")
        for job in training:
            ledger, key = self.ledger(), f"{self.uid}/{job.attempt}"
            if key in ledger["settlements"]:
                raise self.violation("a job trains after the settlement")
            if key not in ledger["reservations"]:
                raise self.violation("a job trains without cover")
            if ledger["reservations"][key]["usd_micro"] < micro(self.status()["estimate"]["highUSD"]):
                raise self.violation("a job trains with too little cover")
            booked = sum(item["usd_micro"] for item in ledger["settlements"].values())
            if booked + ledger["reservations"][key]["usd_micro"] > micro(MOST_USD):
                raise self.violation("the attempts may cost more than the run may")

    def check_at_rest(self) -> None:
        """Raises Violation if a property does not hold that must hold at rest."""
        status, ledger, trained = self.status(), self.ledger(), [j for j in self.jobs.jobs if j.trained]
        phase = status.get("phase")
        if phase not in TERMINAL:
            raise self.violation(f"the run is stuck in {phase}/{status.get('reason')}")
        if ledger["reservations"]:
            raise self.violation("a reservation is left")
        if any(job.running for job in self.jobs.jobs):
            raise self.violation("a job runs on")
        for job in trained:
            if not ledger["settlements"].get(f"{self.uid}/{job.attempt}", {}).get("usd_micro"):
                raise self.violation("released although a job trained")
        booked = sum(item["usd_micro"] for item in ledger["settlements"].values())
        if booked != micro(status.get("costUSD", "0")):
            raise self.violation(
                f"{booked} micro-USD were booked, and the status says {status.get('costUSD')}"
            )
        finished = any(job.state == "done" for job in self.jobs.jobs)
        if finished and phase != "Succeeded" and not self.ended_by_person:
            raise self.violation("a trained model is thrown away")
        if phase == "Succeeded" and not finished:
            raise self.violation("succeeded without training")
        if len({job.attempt for job in self.jobs.jobs}) > 1 + DEFAULT_BACKOFF_LIMIT + self.faults.suspensions:
            raise self.violation("more attempts than were allowed")
        if self.faults.every_failure_is_retried and phase != "Succeeded" and not self.refused:
            raise self.violation(f"another attempt would have mended it, but the run is {phase}")
        if self.faults.crash_only and (phase != "Succeeded" or len(trained) != 1):
            raise self.violation(f"only crashes, but the run is {phase} and {len(trained)} jobs trained")
        run = self.server.live(RUN_NAME)
        if run is not None and run["metadata"].get("finalizers"):
            raise self.violation("the finalizer is left")

    @property
    def ended_by_person(self) -> bool:
        return self.left["endings"] < self.faults.endings

    @property
    def refused(self) -> bool:
        return self.left["refusals"] < self.faults.refusals


def play(tape: Sequence[int], faults: Faults, *, decision: Decision = decide) -> PaidJobSimulation:
    """Plays the tape, then lets everything come to rest. Raises Violation."""
    simulation = PaidJobSimulation(faults, decision=decision)
    play_in(simulation, tape)
    return simulation


def play_in(simulation: PaidJobSimulation, tape: Sequence[int]) -> None:
    """Plays the tape in this simulation, then lets everything come to rest. Raises Violation."""
    for number in tape:
        choices = list(simulation.choices())
        name, act = choices[number % len(choices)]
        simulation.history.append(name)
        act()
        simulation.check()
    if sum(tape) % 2:
        run_to_rest(simulation)
    if simulation.late_request is not None:
        simulation.history.append(f"OLD {simulation.late_request.name} lands")
        simulation.late_request_lands()
        simulation.check()
    run_to_rest(simulation)
    simulation.check_at_rest()
    restart_writes_nothing(simulation)


def run_to_rest(simulation: PaidJobSimulation, *, most: int = 200) -> None:
    """Without faults, carries out requests, delivers watches and finishes jobs until nothing changes."""
    simulation.history.append("-- to rest")
    quiet = 0
    if (simulation.server.live(RUN_NAME) or {"spec": {}})["spec"].get("suspend"):
        simulation.suspend(False)
    for _ in range(most):
        before = (
            simulation.server.revision,
            [job.state for job in simulation.jobs.jobs],
            dict(simulation.hub.claims),
        )
        run_once(simulation)
        if simulation.faults.approvals and simulation.status().get("phase") == "AwaitingApproval":
            simulation.approve(simulation.status()["approvalDigest"])
        for job in simulation.jobs.jobs:
            job.listed = True
            if job.state == TRAINING:
                simulation.finish(job)
            elif job.state == QUEUED:
                simulation.hub.starts(job)
        simulation.check()
        simulation.pass_time(50)
        after = (
            simulation.server.revision,
            [job.state for job in simulation.jobs.jobs],
            dict(simulation.hub.claims),
        )
        quiet = quiet + 1 if before == after else 0
        if quiet == 3:
            return
    raise simulation.violation("no rest")


def run_once(simulation: PaidJobSimulation) -> None:
    """Delivers the watches and carries out one reconcile to its end."""
    for name in (RUN_NAME, RECORD_NAME):
        simulation.deliver(name)
    if simulation.process is None:
        simulation.reconcile()
    while simulation.process is not None:
        sent = simulation.process.waiting
        simulation.history.append(f"{sent.name if sent else ''} is done")
        simulation.carry_out()
        simulation.check()


def restart_writes_nothing(simulation: PaidJobSimulation) -> None:
    """Raises Violation if a new process writes anything at rest."""
    simulation.lead(stale=False)
    simulation.reconcile()
    if simulation.process is not None:
        sent = simulation.process.waiting
        raise simulation.violation(f"a restart at rest sends {sent.name if sent else ''}")


__all__ = [
    "Decision",
    "Faults",
    "PaidJobSimulation",
    "Violation",
    "play",
    "play_in",
    "run_once",
    "run_to_rest",
]
