"""The loop of a live smoke run: datasets, estimate, training, evaluation and canary, the way back, the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

from modelops.demo.environment import NAMESPACE
from modelops.demo.resource_status import condition, gate_verdict, is_finished, ready_message, status_of
from modelops.livesmoke import manifests
from modelops.livesmoke.billing import Ledger
from modelops.livesmoke.environment import SmokeEnvironment
from modelops.livesmoke.examples import Datasets, create_datasets
from modelops.livesmoke.manifests import CANARY_WEIGHT, ESTIMATE, ROLLOUT, TRAINING, UNDO, Choices
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.plan import Plan
from modelops.livesmoke.run_file import RunFile
from modelops.livesmoke.services import UNREADABLE, ServiceError, Services

Progress = Callable[[str], None]
Json = dict[str, Any]
T = TypeVar("T")
_CANARY_REQUESTS: Final = 3


class StepFailedError(RuntimeError):
    """A step did not end as expected. The message says what was expected and what happened instead."""


@dataclass
class Step:
    """A step of the run. `notes`: what it has shown. `cost`: what the service's lists say that it cost so far."""

    name: str
    outcome: str = "running"
    seconds: float = 0.0
    cost: Decimal = Decimal(0)
    notes: list[str] = field(default_factory=list)


@dataclass
class Loop:
    """One run. `folder`: that of its `run.json`. `steps` grows while it runs."""

    environment: SmokeEnvironment
    services: Services
    seen: Observations
    ledger: Ledger
    choices: Choices
    plan: Plan
    folder: Path
    progress: Progress
    file: RunFile
    deadline: float
    """The time of time.monotonic() at which the run gives up."""
    end_seconds: float
    steps: list[Step] = field(default_factory=list)
    _looked: float = 0.0
    _datasets: Datasets | None = None

    def prepare(self) -> None:
        """Everything that costs nothing: operator, datasets, estimate. `plan` is complete then."""
        with self._step("operator"):
            process = self.environment.start_operator()
            self.progress(f"operator: process {process.pid}")
        with self._step("datasets") as step:
            self._create_agent(step)
        with self._step("estimate") as step:
            self._estimate(step)

    def spend(self) -> None:
        """Everything that bills: training, endpoint, answers."""
        with self._step("training") as step:
            self._train(step)
        with self._step("evaluation and canary") as step:
            self._roll_out(step)
        with self._step("roll back") as step:
            self._roll_back(step)
        with self._step("end of the endpoint") as step:
            self._end(step)

    # Steps ------------------------------------------------------------------------------------------------

    def _create_agent(self, step: Step) -> None:
        run, account = self.file.identity, self.environment.account
        self._datasets = create_datasets(self.services, run)
        for part, dataset_id in self._datasets.ids.items():
            dataset = self.services.langsmith_api(f"/datasets/{dataset_id}")
            self.seen.answer("LangSmith dataset", dataset)
            step.notes.append(f"dataset {run.dataset(part)}: {dataset.get('example_count')} examples")
        for example in self.services.langsmith_api(
            "/examples", {"dataset": self._datasets.ids["train"], "limit": "2"}
        ):
            self.seen.answer("LangSmith example", example)
        self.environment.apply(
            manifests.tokens(account),
            manifests.agents_file(account, run, self.choices),
            manifests.agent_model(account, run, self.choices, self.plan.cap),
        )
        self._wait(
            "the AgentModel has a stable version",
            lambda: status_of(self.environment.get("agentmodel", run.name)).get("stable"),
        )

    def _estimate(self, step: Step) -> None:
        run = self.file.identity
        self.environment.apply(
            manifests.training_run(run, self.choices, limit=self.plan.training_limit, estimate_only=True)
        )
        found = self._wait_until_finished("trainingrun", ESTIMATE, "the training is priced")
        estimate = status_of(found)["estimate"]
        words = f"{estimate['flavor']}, {estimate['lowMinutes']} to {estimate['highMinutes']} minutes"
        self.plan = replace(self.plan, training=Decimal(estimate["highUSD"]), training_words=words)
        step.notes.append(
            f"${estimate['lowUSD']} to ${estimate['highUSD']} on {words}; {estimate.get('source', '')}"
        )

    def _train(self, step: Step) -> None:
        run = self.file.identity
        self.environment.apply(
            manifests.training_run(run, self.choices, limit=self.plan.training_limit, estimate_only=False)
        )
        uid = self.environment.get("trainingrun", TRAINING)["metadata"]["uid"]
        self.file = self.file.with_label(run.label(uid))
        self.file.write(self.folder)
        found = self._wait_until_finished("trainingrun", TRAINING, "the model is trained", notes=step.notes)
        model = status_of(found)["model"]
        step.notes.append(
            f"published as {model['version']}; the run's costUSD is {status_of(found).get('costUSD')}"
        )
        repository = model["repo"]
        self.seen.answer("model of the run", self.services.hub(f"/api/models/{repository}"))
        files = self.services.hub(f"/api/models/{repository}/tree/main", [("recursive", "true")])
        self.seen.answer("files of the run", files)
        step.notes.append(f"files: {', '.join(sorted(str(one.get('path')) for one in files))}")
        self._require_one_job(step, found)

    def _roll_out(self, step: Step) -> None:
        run = self.file.identity
        assert self._datasets is not None
        self.environment.start_agent(self._datasets.tasks)
        self.environment.apply(manifests.rollout(run, self.choices, self.plan))
        asked, found = False, Json()

        def reached() -> bool:
            nonlocal asked, found
            found = self._rollout_in_progress()
            asked = asked or self._ask_candidate(found, step)
            return status_of(found).get("weight") == CANARY_WEIGHT

        self._wait(
            f"the canary gets {CANARY_WEIGHT} % of the sessions",
            reached,
            notes=step.notes,
            shown=lambda: found,
        )
        version = str(status_of(self.environment.get("rollout", ROLLOUT))["candidate"]["version"])
        self._wait("the agent calls the canary", lambda: self._requests().get(version, 0) >= _CANARY_REQUESTS)
        found = self._wait_until_finished("rollout", ROLLOUT, "the candidate is promoted", notes=step.notes)
        step.notes += [gate_verdict(found), ready_message(found), f"requests by version: {self._requests()}"]
        self._see_experiment(step)

    def _roll_back(self, step: Step) -> None:
        self.environment.apply(manifests.undo(self.file.identity))
        found = self._wait_until_finished("rollout", UNDO, "the agent is routed back to v1.0.0")
        self._wait(
            "the agent is served by v1.0.0", lambda: self.environment.agent_status().get("stable") == "v1.0.0"
        )
        step.notes.append(ready_message(found))

    def _end(self, step: Step) -> None:
        """The operator deletes the endpoint once no agent has used it for a minute.

        It gets `end_seconds` for that: the run itself deletes whatever is left after them.
        """
        run = self.file.identity
        if not self.end_seconds:
            step.notes.append("the operator got no time to delete the endpoint; the run deletes it")
            return
        self.deadline = min(self.deadline, time.monotonic() + self.end_seconds)
        self.environment.kubectl("delete", "agentmodel", run.name, "-n", NAMESPACE, "--wait=false")
        self._wait(
            "the operator has deleted the endpoint", lambda: not self.environment.get("agentmodel", run.name)
        )
        jobs, endpoints = self.ledger.look(self.services, run, self.file.labels, self.seen)
        if jobs or endpoints:
            raise StepFailedError(
                f"expected: nothing runs after the AgentModel was deleted; the service lists {jobs + endpoints}"
            )
        step.notes.append(
            "the operator deleted the endpoint with the AgentModel; the service lists nothing more"
        )

    # Looking ----------------------------------------------------------------------------------------------

    def _rollout_in_progress(self) -> Json:
        found = self.environment.get("rollout", ROLLOUT)
        if is_finished(found):
            raise StepFailedError(f"the Rollout ended before its canary: {_state(found)}")
        return found

    def _ask_candidate(self, rollout: Json, step: Step) -> bool:
        """One question to the candidate's endpoint, once it is ready. Whether it was asked."""
        if condition(rollout, "EndpointReady").get("status") != "True":
            return False
        candidate = status_of(rollout)["candidate"]
        url = str(candidate.get("endpointUrl") or "")
        if not url:
            return False
        assert self._datasets is not None
        messages = [{"role": "user", "content": self._datasets.tasks[0]}]
        try:
            self.seen.answer("models of the endpoint", self.services.served_models(url))
            answer = self.services.complete(url, str(candidate["model"]), messages, max_tokens=32)
            self.seen.answer("chat completion", answer)
        except ServiceError as error:
            step.notes.append(f"a question of the run itself to the endpoint: {error}")
        return True

    def _see_experiment(self, step: Step) -> None:
        assert self._datasets is not None
        sessions = self.services.langsmith_api(
            "/sessions", {"reference_dataset": self._datasets.ids["held-out"]}
        )
        for session in sessions:
            self.seen.answer("LangSmith experiment", session)
        step.notes.append(f"LangSmith shows {len(sessions)} experiments of the evaluation")

    def _require_one_job(self, step: Step, found: Json) -> None:
        self.ledger.look(self.services, self.file.identity, self.file.labels, self.seen)
        if len(self.ledger.jobs) != 1:
            raise StepFailedError(
                f"expected: the service has one job of the training; it has {len(self.ledger.jobs)}"
            )
        progress = status_of(found).get("progress") or {}
        step.notes.append(
            f"the job reported step {progress.get('step')} and loss {progress.get('loss')} in its log"
        )

    def _requests(self) -> dict[str, int]:
        found: dict[str, int] = self.environment.agent_status().get("requests") or {}
        return found

    # Waiting ----------------------------------------------------------------------------------------------

    @contextmanager
    def _step(self, name: str) -> Iterator[Step]:
        step = Step(name)
        self.steps.append(step)
        self.progress(f"{name} …")
        started = time.monotonic()
        before = self._cost()
        try:
            yield step
            step.outcome = "as expected"
        except BaseException as error:
            step.outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else f"failed: {error}"
            raise
        finally:
            step.seconds = time.monotonic() - started
            step.cost = self._cost() - before
            self.progress(f"{name}: {step.outcome}, {step.seconds:.0f} s")

    def _cost(self) -> Decimal:
        costs = (*self.ledger.job_costs().values(), *self.ledger.endpoint_costs().values())
        return sum((cost for cost in costs if cost), Decimal(0))

    def _wait_until_finished(
        self, kind: str, name: str, expected: str, *, notes: list[str] | None = None
    ) -> Json:
        """Wait until the object has ended; it must have succeeded."""
        found: Json = {}

        def ended() -> bool:
            nonlocal found
            found = self.environment.get(kind, name)
            return is_finished(found)

        self._wait(expected, ended, notes=notes, shown=lambda: found)
        if status_of(found).get("phase") != "Succeeded":
            raise StepFailedError(f"expected: {expected}; {_state(found)}")
        return found

    def _wait(
        self,
        expected: str,
        check: Callable[[], T],
        *,
        notes: list[str] | None = None,
        shown: Callable[[], Json] = dict,
    ) -> T:
        """The first true value of `check`; the service's lists are read meanwhile. `notes` gets each new phase."""
        pause = 0.2 if self.environment.account.sandbox else 2.0
        started, phase = time.monotonic(), ""
        while True:
            self.environment.check()
            found = check()
            now = time.monotonic()
            if found:
                return found
            if now > self.deadline:
                raise StepFailedError(
                    f"expected: {expected}; the time for it is up (--minutes, --end-seconds)"
                )
            if now - self._looked >= 5 * pause and self.file.labels:
                self._look()
            status = status_of(shown())
            current = f"{status.get('phase', '')} ({status.get('reason', '')})"
            if status and current != phase:
                phase = current
                self.progress(f"  {phase}")
                if notes is not None:
                    notes.append(f"{phase} after {now - started:.0f} s")
            time.sleep(pause)

    def _look(self) -> None:
        self._looked = time.monotonic()
        try:
            self.ledger.look(self.services, self.file.identity, self.file.labels, self.seen)
        except (*ServiceError, *UNREADABLE) as error:
            self.progress(f"  the service's lists: {error}")


def _state(item: Json) -> str:
    status = status_of(item)
    return f"it is {status.get('phase', 'absent')} ({status.get('reason', '')}): {ready_message(item)}"
