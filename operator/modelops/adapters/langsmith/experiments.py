"""One LangSmith experiment per arm of an evaluation, safe to repeat.

    experiment = open_experiment(client, plan)          # found by its operator_run_id, or created
    log_answers(client, experiment, answers)            # answers.py; repeating it duplicates nothing
    finish_experiment(client, experiment)
    url = comparison_url(client, baseline, candidate)   # both arms side by side, for status

An experiment is identified by its metadata `operator_run_id` and `arm`, so a killed program can start again.
LangSmith is not the source of truth: callers keep their own journal of answers and scores.

All functions block. All functions raise LangSmithUnauthorized, LangSmithUnavailable or LangSmithRefused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote
from uuid import UUID, uuid5

from modelops.adapters.langsmith.errors import Conflict, LangSmithRefused, translated_errors

if TYPE_CHECKING:
    from langsmith import Client
    from langsmith.schemas import TracerSession

Arm = Literal["baseline", "candidate"]

EXPERIMENT_TYPE: Final = "baseline_vs_candidate"
_ID_NAMESPACE: Final = UUID("5c8e0d51-6f0a-5d3b-9c63-0f6a4f2b7c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan:
    """The description of one arm of an evaluation.

    `operator_run_id` identifies the evaluation: the Rollout's uid, and a part that differs when it is repeated.
    `dataset_version` is that of ResolvedDataset. `metadata` is added to the experiment and to each run.
    """

    operator_run_id: str
    arm: Arm
    agent: str
    model_version: str
    dataset_id: str
    dataset_version: str
    example_count: int
    repetitions: int = 1
    description: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """A name that is unique per evaluation and arm, so that two concurrent starts create one experiment."""
        unique = stable_id(self.operator_run_id, self.arm).hex[:8]
        return f"{self.agent}-{self.model_version}-{self.arm}-{unique}"

    def tags(self) -> dict[str, str]:
        """The three tags of every experiment and run, and the keys that identify this one."""
        return {
            **self.metadata,
            "agent": self.agent,
            "model_version": self.model_version,
            "experiment_type": EXPERIMENT_TYPE,
            "operator_run_id": self.operator_run_id,
            "arm": self.arm,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """An experiment in LangSmith. `url` is its page beside its dataset."""

    id: str
    name: str
    url: str
    dataset_id: str
    tenant_id: str
    plan: ExperimentPlan


def find_experiment(client: Client, plan: ExperimentPlan) -> Experiment | None:
    """The experiment of `plan.operator_run_id` and `plan.arm` on the plan's dataset; None where there is none."""
    with translated_errors(doing=f"looking for experiment {plan.name!r}", url=client.api_url):
        projects = client.list_projects(
            reference_dataset_id=plan.dataset_id,
            metadata={"operator_run_id": plan.operator_run_id, "arm": plan.arm},
            limit=1,
        )
        return next((_experiment(client, project, plan) for project in projects), None)


def open_experiment(client: Client, plan: ExperimentPlan) -> Experiment:
    """Finds the experiment of this plan, or creates it.

    Raises LangSmithRefused where another evaluation's experiment has the plan's name.
    """
    found = find_experiment(client, plan)
    if found:
        return found
    try:
        with translated_errors(doing=f"creating experiment {plan.name!r}", url=client.api_url):
            project = client.create_project(
                plan.name,
                description=plan.description or None,
                metadata={
                    **plan.tags(),
                    "dataset_version": plan.dataset_version,
                    "num_repetitions": plan.repetitions,
                },
                project_extra={"tags": [plan.agent, plan.model_version, EXPERIMENT_TYPE]},
                reference_dataset_id=plan.dataset_id,
                num_examples=plan.example_count,
                num_repetitions=plan.repetitions,
            )
    except Conflict:
        # It was created shortly before (by this program, before a crash or a lost answer) and is not indexed yet.
        with translated_errors(doing=f"reading experiment {plan.name!r}", url=client.api_url):
            project = client.read_project(project_name=plan.name)
        if project.metadata.get("operator_run_id") != plan.operator_run_id:
            raise LangSmithRefused(
                f"LangSmith already has a project {plan.name!r}, which belongs to another evaluation "
                f"({project.metadata.get('operator_run_id')!r}). Rename or delete that project."
            ) from None
    return _experiment(client, project, plan)


def finish_experiment(client: Client, experiment: Experiment) -> None:
    """Sets the experiment's end time, after its last run."""
    with translated_errors(doing=f"closing experiment {experiment.name!r}", url=client.api_url):
        client.update_project(experiment.id, end_time=datetime.now(UTC))


def comparison_url(client: Client, baseline: Experiment, candidate: Experiment) -> str:
    """The page that compares both arms side by side (SDK: `ExperimentResults.url`, with two sessions selected)."""
    selected = quote(f"{baseline.id},{candidate.id}", safe="")
    return f"{_compare_page(client, baseline.tenant_id, baseline.dataset_id)}?selectedSessions={selected}"


def stable_id(*parts: str) -> UUID:
    """A UUID that is always the same for the same parts."""
    return uuid5(_ID_NAMESPACE, "\n".join(parts))


def _experiment(client: Client, project: TracerSession, plan: ExperimentPlan) -> Experiment:
    page = _compare_page(client, str(project.tenant_id), plan.dataset_id)
    return Experiment(
        id=str(project.id),
        name=project.name or plan.name,
        url=f"{page}?selectedSessions={project.id}",
        dataset_id=plan.dataset_id,
        tenant_id=str(project.tenant_id),
        plan=plan,
    )


def _compare_page(client: Client, tenant_id: str, dataset_id: str) -> str:
    return f"{client._host_url}/o/{tenant_id}/datasets/{dataset_id}/compare"
