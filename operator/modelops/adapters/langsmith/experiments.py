"""One LangSmith experiment per arm of an evaluation, safe to repeat.

    experiment = open_experiment(client, plan)          # found by its operator_run_id, or created
    log_answers(client, experiment, answers)            # answers.py; repeating it duplicates nothing
    finish_experiment(client, experiment)
    url = comparison_url(client, baseline, candidate)   # both arms side by side, for status

An experiment is identified by its metadata `operator_run_id` and `arm`: a killed program may start over.
LangSmith is not the source of truth: callers keep their own journal of answers and scores.

Everything here blocks. All functions raise LangSmithUnauthorized, LangSmithUnavailable or LangSmithRefused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import quote
from uuid import UUID, uuid5

from modelops.adapters.langsmith.errors import Conflict, LangSmithRefused, reported

if TYPE_CHECKING:
    from langsmith import Client
    from langsmith.schemas import TracerSession

Arm = Literal["baseline", "candidate"]

EXPERIMENT_TYPE: Final = "baseline_vs_candidate"
_IDS: Final = UUID("5c8e0d51-6f0a-5d3b-9c63-0f6a4f2b7c11")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentPlan:
    """What one arm of an evaluation is.

    `operator_run_id` names the evaluation (the Rollout's uid and what makes a repeat of it a new one);
    `dataset_version` as in ResolvedDataset; `metadata` is added to the experiment's and to each run's.
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
        """Unique per evaluation and arm, so that two starts at once cannot make two experiments."""
        unique = stable_id(self.operator_run_id, self.arm).hex[:8]
        return f"{self.agent}-{self.model_version}-{self.arm}-{unique}"

    def tags(self) -> dict[str, str]:
        """The three tags of every experiment and run, and what identifies this one."""
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
    """An experiment that exists in LangSmith; `url` shows it beside its dataset."""

    id: str
    name: str
    url: str
    dataset_id: str
    tenant_id: str
    plan: ExperimentPlan


def find_experiment(client: Client, plan: ExperimentPlan) -> Experiment | None:
    """The experiment of `plan.operator_run_id` and `plan.arm` on the plan's dataset, if there is one."""
    with reported(doing=f"looking for experiment {plan.name!r}", url=client.api_url):
        projects = client.list_projects(
            reference_dataset_id=plan.dataset_id,
            metadata={"operator_run_id": plan.operator_run_id, "arm": plan.arm},
            limit=1,
        )
        return next((_experiment(client, project, plan) for project in projects), None)


def open_experiment(client: Client, plan: ExperimentPlan) -> Experiment:
    """The experiment of this plan: found, or created now.

    Raises LangSmithRefused where another evaluation's experiment has the plan's name.
    """
    found = find_experiment(client, plan)
    if found:
        return found
    try:
        with reported(doing=f"creating experiment {plan.name!r}", url=client.api_url):
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
        # Created a moment ago (by us, before a crash or a lost answer) and not yet found by metadata.
        with reported(doing=f"reading experiment {plan.name!r}", url=client.api_url):
            project = client.read_project(project_name=plan.name)
        if project.metadata.get("operator_run_id") != plan.operator_run_id:
            raise LangSmithRefused(
                f"LangSmith already has a project {plan.name!r} that belongs to another evaluation "
                f"({project.metadata.get('operator_run_id')!r}). Rename or delete it."
            ) from None
    return _experiment(client, project, plan)


def finish_experiment(client: Client, experiment: Experiment) -> None:
    """Set the experiment's end time: nothing more will be logged."""
    with reported(doing=f"closing experiment {experiment.name!r}", url=client.api_url):
        client.update_project(experiment.id, end_time=datetime.now(UTC))


def comparison_url(client: Client, baseline: Experiment, candidate: Experiment) -> str:
    """Where a person sees both arms side by side (SDK: `ExperimentResults.url`, two sessions selected)."""
    selected = quote(f"{baseline.id},{candidate.id}", safe="")
    return f"{_compare_page(client, baseline.tenant_id, baseline.dataset_id)}?selectedSessions={selected}"


def stable_id(*parts: str) -> UUID:
    """The same UUID for the same parts, always."""
    return uuid5(_IDS, "\n".join(parts))


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
