"""Builds states and decides about them; a test names only the facts that matter to it."""

from __future__ import annotations

from typing import Any

from tests.unit.training.objects import (
    DEFAULTS,
    INSTALLATION,
    NOW,
    ORG,
    RUN_UID,
    agent_model_json,
    empty_record,
    prepared_status,
    run_json,
)

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.digest import identity_digest
from modelops.domain.plan import Action, Announce, Plan, WriteFinalizers, WriteRecord, WriteStatus
from modelops.domain.record import Record, Reservation
from modelops.domain.training.actions import CancelJob, ForgetSubmission, RetryDataset, SubmitJob
from modelops.domain.training.decide import decide
from modelops.domain.training.state import State, TrainingSettings
from modelops.ports import AttemptClaim, Flavor, Job, Json, ModelInfo, ProgramState

KEY = f"{RUN_UID}/1"
LABEL = f"{INSTALLATION}-{RUN_UID}-1"
FLAVOR = Flavor(name="a10g-large", usd_micro_per_hour=1_500_000, accelerator="1x A10G 24 GB")
BASE = ModelInfo(repo="Qwen/Qwen2.5-Coder-7B", revision="b" * 40, parameters=7_600_000_000)
DATASET_RESULT: Json = {
    "ok": True,
    "max_tokens": 512,
    **prepared_status()["dataset"],
    "dataset_id": prepared_status()["dataset"]["langsmithId"],
    "as_of": prepared_status()["dataset"]["asOf"],
}
KNOWN_FACTS: dict[str, Any] = {
    "dataset": ProgramState(result=DATASET_RESULT),
    "flavors": (FLAVOR,),
    "base": BASE,
    "base_config": None,
    "tokenizer": None,
    "keys_replaced": False,
}
"""Facts of a run without problems, up to its submission."""


def run(status: Json | None = None, *, meta: Json | None = None, **spec: Any) -> TrainingRun:
    return TrainingRun.model_validate(run_json(status=status, meta=meta, **spec))


def agent_model(**spec: Any) -> AgentModel:
    return AgentModel.model_validate(agent_model_json(**spec))


def submitted_status(
    *, id: str = "", submissions: int = 1, intended_at: str = "2025-12-09T21:50:00Z", **more: Any
) -> Json:
    """The status of a run with the intent of a submission, and with the job's id if one is passed."""
    job = {"attempt": 1, "label": LABEL, "submissions": submissions, "id": id, "intendedAt": intended_at}
    phase, reason = ("Scheduling", "JobSubmitted") if id else ("Submitting", "Submitting")
    return {
        **prepared_status(),
        "phase": phase,
        "reason": reason,
        "job": {**job, "timeoutSeconds": 900, "url": f"https://hf.co/jobs/{id}" if id else ""},
        **more,
    }


def record_with_reservation(record: Record | None = None) -> Record:
    """The record with the run's reservation."""
    record = record or empty_record()
    cover = Reservation(usd_micro=375_000, month="2025-12", name="docs-1", version="v1.1.0-rc.1")
    inputs = {"base_model": "m", "prompt_digest": "p", "dataset_digest": "d", "recipe_digest": "r"}
    return record.with_(reservations={KEY: cover}, allocated={**record.allocated, "v1.1.0-rc.1": inputs})


def job(stage: str = "RUNNING", *, id: str = "job1", **more: Any) -> Job:
    return Job(id=id, label=LABEL, stage=stage, **more)


def claimed_by(id: str = "job1") -> AttemptClaim:
    return AttemptClaim(job=id)


CLOSED_CLAIM = AttemptClaim(closed=True)


def state(of: TrainingRun | None = None, **changes: Any) -> State:
    """A state. `of`: the run, by default a new one with its finalizer."""
    of = of or run()
    spec = of.spec.model_dump(mode="json", by_alias=True, exclude_none=True)
    fields: dict[str, Any] = {
        "now": NOW,
        "run": of,
        "identity": identity_digest(kind="TrainingRun", name=of.metadata.name, spec=spec),
        "settings": TrainingSettings(installation=INSTALLATION, hub_org=ORG, defaults=DEFAULTS),
        "agent_model": agent_model(),
        "record": record_with_reservation() if of.status.job else empty_record(),
        "published": (),
        **changes,
    }
    return State(**fields)


def written_status(plan: Plan) -> Any:
    """The status that the plan writes."""
    return next(step.status for step in plan.steps if isinstance(step, WriteStatus))


def ready_message(plan: Plan) -> str:
    """The message of the condition Ready in the status that the plan writes."""
    return next(str(c.message) for c in written_status(plan).conditions if c.type == "Ready")


def written_record(plan: Plan) -> Record:
    """The record that the plan writes."""
    return next(step.record for step in plan.steps if isinstance(step, WriteRecord))


UNTRACED_ACTIONS = {RetryDataset: "retry_dataset", ForgetSubmission: "forget_submission"}


def submitted_job(plan: Plan) -> SubmitJob:
    """The job that the plan submits."""
    return next(step for step in plan.steps if isinstance(step, SubmitJob))


def step_names(plan: Plan) -> list[str]:
    """The names of the plan's writes and actions, in order; Events are left out."""
    names = {WriteStatus: "status", WriteRecord: "record", WriteFinalizers: "finalizers"}
    found = []
    for step in plan.steps:
        if isinstance(step, Action):
            name = UNTRACED_ACTIONS.get(type(step), step.trace)
            found.append(f"{name} {step.job}" if isinstance(step, CancelJob) else name)
        elif not isinstance(step, Announce):
            found.append(names[type(step)])  # type: ignore[index]
    return found


def plan_for(of: TrainingRun | None = None, **changes: Any) -> Plan:
    return decide(state(of, **changes))
