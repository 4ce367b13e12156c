"""The three kinds: columns of `kubectl get`, selectable fields, reasons and samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from modelops.api.v1alpha1 import AgentModel, Rollout, TrainingRun
from modelops.api.v1alpha1.names import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS, Resource
from modelops.domain.reasons import AgentModelReason, Reason, RolloutReason, TrainingReason


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`. With `wide` it is only in `kubectl get -o wide`."""

    name: str
    path: str
    type: str = "string"
    description: str = ""
    wide: bool = False

    def as_crd(self) -> dict[str, Any]:
        """The entry of `additionalPrinterColumns`."""
        described = {"description": self.description} if self.description else {}
        return {
            "name": self.name,
            "type": self.type,
            "jsonPath": self.path,
            **described,
            **({"priority": 1} if self.wide else {}),
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind: its model, names, columns and reasons, its selectable fields, and the sample in its reference page."""

    model: type[BaseModel]
    resource: Resource
    columns: tuple[Column, ...]
    selectable: tuple[str, ...]
    reasons: type[Reason]
    sample: str


_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_AGENT_MODEL = Column("Agent", ".spec.agentModelRef.name", description="AgentModel of the agent.")
_PHASE = Column("Phase", ".status.phase", description="Phase of the object, for people.")
_REASON = Column("Reason", ".status.reason", description="Reason for the phase, as one word.")


def _condition(name: str, part: str = "status") -> str:
    return f'.status.conditions[?(@.type=="{name}")].{part}'


KINDS = (
    Kind(
        model=AgentModel,
        resource=AGENT_MODELS,
        columns=(
            Column("Agent", ".spec.agent", description="Name of the agent in agents.yaml."),
            Column("Stable", ".status.stable.version", description="Version that serves the agent."),
            Column("Candidate", ".status.canary.version", description="Candidate of the active rollout."),
            Column("Spent", ".status.spend.settledUSD", description="US dollars booked this month."),
            Column("Budget", ".spec.budget.monthlyUSD", description="Budget in US dollars per month."),
            Column(
                "Ready",
                _condition("Ready"),
                description="Whether agents are served by what the column Stable says.",
            ),
            Column(
                "Reason",
                _condition("Ready", "reason"),
                description="Reason of the condition Ready, as one word.",
            ),
            Column("Model", ".status.stable.model", description="Model that serves the agent.", wide=True),
            Column(
                "Rollout",
                ".status.activeRollout.name",
                description="Rollout that holds the agent's lock.",
                wide=True,
            ),
            Column(
                "In-Sync",
                ".status.routing.agentsInSync",
                "integer",
                "Agent processes that confirmed the routing.",
                wide=True,
            ),
            _AGE,
        ),
        selectable=(".spec.agent",),
        reasons=AgentModelReason,
        sample="agentmodel-docs.yaml",
    ),
    Kind(
        model=TrainingRun,
        resource=TRAINING_RUNS,
        columns=(
            _AGENT_MODEL,
            _PHASE,
            Column("Done%", ".status.progress.percent", "integer", "Percent of the training that is done."),
            Column("Loss", ".status.progress.loss", description="Last training loss that the job reported."),
            Column(
                "ETA(min)",
                ".status.progress.etaMinutes",
                "integer",
                "Expected minutes until the end of the training.",
            ),
            Column("Cost", ".status.costUSD", description="Cost of the finished attempts in US dollars."),
            Column("Version", ".status.model.version", description="Version of the trained model."),
            _REASON,
            Column(
                "Estimate",
                ".status.estimate.highUSD",
                description="High end of the estimated cost in US dollars.",
                wide=True,
            ),
            Column("Job", ".status.job.id", description="Id of the job at the service.", wide=True),
            Column(
                "Repository", ".status.model.repo", description="Repository of the trained model.", wide=True
            ),
            _AGE,
        ),
        selectable=(".spec.agentModelRef.name", ".status.phase"),
        reasons=TrainingReason,
        sample="trainingrun-docs.yaml",
    ),
    Kind(
        model=Rollout,
        resource=ROLLOUTS,
        columns=(
            _AGENT_MODEL,
            Column("Candidate", ".status.candidate.version", description="Version of the candidate."),
            _PHASE,
            Column("Step", ".status.step", "integer", "Number of the current step."),
            Column("Weight", ".status.weight", "integer", "Percentage of sessions that go to the canary."),
            Column(
                "Verdict",
                ".status.evaluation.verdict",
                description="Verdict of the evaluation: pass, fail or inconclusive.",
            ),
            _REASON,
            Column(
                "Analysis",
                ".status.analysis.verdict",
                description="Verdict of the canary's analysis: Healthy, Waiting or Breached.",
                wide=True,
            ),
            Column(
                "Metric",
                ".status.analysis.metrics[?(@.phase!='Successful')].name",
                description="First metric of the analysis whose last measurement is not good.",
                wide=True,
            ),
            Column(
                "Model",
                ".status.candidate.model",
                description="Repository of the candidate's model.",
                wide=True,
            ),
            _AGE,
        ),
        selectable=(".spec.agentModelRef.name", ".status.phase"),
        reasons=RolloutReason,
        sample="rollout-docs.yaml",
    ),
)
