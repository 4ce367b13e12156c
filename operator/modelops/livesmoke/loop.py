"""The loop of a live smoke run: datasets, estimate, training, evaluation and canary, the way back, the end."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from modelops.api.v1alpha1.names import GROUP
from modelops.demo.environment import NAMESPACE
from modelops.demo.resource_status import condition, gate_verdict, is_finished, ready_message, status_of
from modelops.grammar import counted
from modelops.livesmoke import manifests
from modelops.livesmoke.environment import SmokeEnvironment
from modelops.livesmoke.examples import Datasets, create_datasets
from modelops.livesmoke.following import Following, Json, Step, StepFailedError, state_of
from modelops.livesmoke.manifests import CANARY_WEIGHT, ESTIMATE, ROLLOUT, TRAINING, UNDO, Choices
from modelops.livesmoke.plan import ROLL_BACK_SECONDS, Plan
from modelops.livesmoke.run_file import RunIdentity
from modelops.livesmoke.services import ServiceError, Services

_CANARY_REQUESTS: Final = 3


@dataclass
class Loop:
    """The steps of one run. `plan` is complete once it is prepared."""

    following: Following
    choices: Choices
    plan: Plan
    end_seconds: float
    """The time that the operator has to delete the endpoint by itself; 0 for none."""
    bills: bool = False
    """Whether something that bills was begun."""
    _datasets: Datasets | None = None

    @property
    def _environment(self) -> SmokeEnvironment:
        return self.following.environment

    @property
    def _services(self) -> Services:
        return self.following.services

    @property
    def _run(self) -> RunIdentity:
        return self.following.file.identity

    def prepare(self) -> None:
        """Everything that costs nothing: operator, datasets, estimate. `plan` is complete then."""
        with self.following.step("operator"):
            process = self._environment.start_operator()
            self.following.progress(f"operator: process {process.pid}")
        with self.following.step("datasets") as step:
            self._create_agent(step)
        with self.following.step("estimate") as step:
            self._estimate(step)

    def spend(self) -> None:
        """Everything that bills: training, endpoint, answers."""
        self.bills = True
        with self.following.step("training") as step:
            self._train(step)
        with self.following.step("evaluation and canary") as step:
            self._roll_out(step)
        with self.following.step("roll back") as step:
            self._roll_back(step)
        with self.following.step("end of the endpoint") as step:
            self._end(step)

    # Steps ------------------------------------------------------------------------------------------------

    def _create_agent(self, step: Step) -> None:
        run, account = self._run, self._environment.account
        self._datasets = create_datasets(self._services, run)
        for part, dataset_id in self._datasets.ids.items():
            dataset = self._services.langsmith_api(f"/datasets/{dataset_id}")
            self.following.seen.answer("LangSmith dataset", dataset)
            step.notes.append(
                f"dataset {run.dataset(part)}: {counted(dataset.get('example_count') or 0, 'example')}"
            )
        for example in self._services.langsmith_api(
            "/examples", {"dataset": self._datasets.ids["train"], "limit": "2"}
        ):
            self.following.seen.answer("LangSmith example", example)
        self._environment.apply(
            manifests.tokens(account),
            manifests.agents_file(account, run, self.choices),
            manifests.agent_model(account, run, self.choices, self.plan.cap),
        )
        self.following.wait(
            "the AgentModel has a stable version",
            lambda: status_of(self._environment.get("agentmodel", run.name)).get("stable"),
        )

    def _estimate(self, step: Step) -> None:
        run = self._run
        self._environment.apply(
            manifests.training_run(run, self.choices, limit=self.plan.training_limit, estimate_only=True)
        )
        found = self.following.wait_until_finished("trainingrun", ESTIMATE, "the training is priced")
        estimate = status_of(found)["estimate"]
        words = f"{estimate['flavor']}, {estimate['lowMinutes']} to {estimate['highMinutes']} minutes"
        self.plan = replace(self.plan, training=Decimal(estimate["highUSD"]), training_words=words)
        step.notes.append(
            f"${estimate['lowUSD']} to ${estimate['highUSD']} on {words}; {estimate.get('source', '')}"
        )

    def _train(self, step: Step) -> None:
        run = self._run
        self._environment.apply(
            manifests.training_run(run, self.choices, limit=self.plan.training_limit, estimate_only=False)
        )
        uid = self._environment.get("trainingrun", TRAINING)["metadata"]["uid"]
        following = self.following
        following.file = following.file.with_label(run.label(uid))
        following.file.write(following.folder)
        found = self.following.wait_until_finished(
            "trainingrun", TRAINING, "the model is trained", notes=step.notes
        )
        model = status_of(found)["model"]
        step.notes.append(
            f"published as {model['version']}; the run's costUSD is {status_of(found).get('costUSD')}"
        )
        repository = model["repo"]
        self.following.seen.answer("model of the run", self._services.hub(f"/api/models/{repository}"))
        files = self._services.hub(f"/api/models/{repository}/tree/main", [("recursive", "true")])
        self.following.seen.answer("files of the run", files)
        step.notes.append(f"files: {', '.join(sorted(str(one.get('path')) for one in files))}")
        self._require_one_job(step, found)

    def _roll_out(self, step: Step) -> None:
        run = self._run
        assert self._datasets is not None
        self._environment.start_agent(self._datasets.tasks)
        self._environment.apply(manifests.rollout(run, self.choices, self.plan))
        asked, found = False, Json()

        def reached() -> bool:
            nonlocal asked, found
            found = self._rollout_in_progress()
            asked = asked or self._ask_candidate(found, step)
            return status_of(found).get("weight") == CANARY_WEIGHT

        self.following.wait(
            f"the canary gets {CANARY_WEIGHT} % of the sessions",
            reached,
            notes=step.notes,
            shown=lambda: found,
        )
        version = str(status_of(self._environment.get("rollout", ROLLOUT))["candidate"]["version"])
        self.following.wait(
            "the agent calls the canary", lambda: self._requests().get(version, 0) >= _CANARY_REQUESTS
        )
        found = self.following.wait_until_finished(
            "rollout", ROLLOUT, "the candidate is promoted", notes=step.notes
        )
        step.notes += [gate_verdict(found), ready_message(found), f"requests by version: {self._requests()}"]
        self._see_experiment(step)

    def _roll_back(self, step: Step) -> None:
        following = self.following
        following.deadline = min(following.deadline, time.monotonic() + ROLL_BACK_SECONDS)
        self._environment.apply(manifests.undo(self._run))
        found = self.following.wait_until_finished("rollout", UNDO, "the agent is routed back to v1.0.0")
        self.following.wait(
            "the agent is served by v1.0.0",
            lambda: self._environment.agent_status().get("stable") == "v1.0.0",
        )
        step.notes.append(ready_message(found))

    def _end(self, step: Step) -> None:
        """The operator deletes the endpoint once no agent has used it for a minute.

        It gets `end_seconds` for that: the run itself deletes whatever is left after them.
        """
        run = self._run
        if not self.end_seconds:
            step.notes.append("the operator got no time to delete the endpoint; the run deletes it")
            return
        self.following.deadline = time.monotonic() + self.end_seconds
        self._environment.kubectl("delete", "agentmodel", run.name, "-n", NAMESPACE, "--wait=false")
        self.following.wait(
            "the operator has deleted the endpoint", lambda: not self._environment.get("agentmodel", run.name)
        )
        if left := self.following.look():
            raise StepFailedError(
                f"expected: nothing runs after the AgentModel was deleted; the service lists {left}"
            )
        step.notes.append(
            "the operator deleted the endpoint with the AgentModel; the service lists nothing more"
        )

    # Looking ----------------------------------------------------------------------------------------------

    def _rollout_in_progress(self) -> Json:
        found = self._environment.get("rollout", ROLLOUT)
        if is_finished(found):
            raise StepFailedError(f"the Rollout ended before its canary: {state_of(found)}")
        if status_of(found).get("approvalDigest") and "approval" not in found["spec"]:
            self._approve(status_of(found)["approvalDigest"])
        return found

    def _approve(self, digest: str) -> None:
        """The person who named the cap agreed to all that fits into it: a month of the endpoint is never served."""
        kubectl = self._environment.kubectl
        user = kubectl("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}").strip()
        patch = json.dumps({"spec": {"approval": {"approvedBy": user, "digest": digest}}})
        kubectl("patch", f"rollouts.{GROUP}", ROLLOUT, "-n", NAMESPACE, "--type=merge", "-p", patch)

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
            self.following.seen.answer("models of the endpoint", self._services.served_models(url))
            answer = self._services.complete(url, str(candidate["model"]), messages, max_tokens=32)
            self.following.seen.answer("chat completion", answer)
        except ServiceError as error:
            step.notes.append(f"a question of the run itself to the endpoint: {error}")
        return True

    def _see_experiment(self, step: Step) -> None:
        assert self._datasets is not None
        sessions = self._services.langsmith_api(
            "/sessions", {"reference_dataset": self._datasets.ids["held-out"]}
        )
        for session in sessions:
            self.following.seen.answer("LangSmith experiment", session)
        step.notes.append(f"LangSmith shows {len(sessions)} experiments of the evaluation")

    def _require_one_job(self, step: Step, found: Json) -> None:
        self.following.look()
        if len(self.following.ledger.jobs) != 1:
            raise StepFailedError(
                f"expected: the service has one job of the training; it has {len(self.following.ledger.jobs)}"
            )
        progress = status_of(found).get("progress") or {}
        step.notes.append(
            f"the job reported step {progress.get('step')} and loss {progress.get('loss')} in its log"
        )

    def _requests(self) -> dict[str, int]:
        found: dict[str, int] = self._environment.agent_status().get("requests") or {}
        return found
