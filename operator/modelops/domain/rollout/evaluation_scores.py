"""What an evaluation leaves in the record: the registry's scores, and how many candidates were compared."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.rollout import ApprovalStage
from modelops.domain.digest import digest_of
from modelops.domain.record import Record
from modelops.domain.rollout.state import State


def evaluation_scores(state: State) -> dict[str, Any]:
    """`eval_scores` of the model registry; empty before the evaluation."""
    verdict = state.rollout.status.evaluation
    if verdict is None or verdict.candidate is None:
        return {}
    return {
        "accuracy": float(verdict.candidate.success),
        "baseline_improvement": f"{float(verdict.difference_points):+.0f}%",
        "avg_latency_ms": verdict.candidate.latency_p50_milliseconds,
        "cost_per_1k": float(verdict.candidate.usd_per_1000_tokens),
        **({"scorer": verdict.scorer, "threshold": float(verdict.threshold)} if verdict.scorer else {}),
    }


def with_scores(state: State, record: Record, version: str) -> Record:
    """The record with the evaluation's scores at this version, where the history has the version."""
    scores = evaluation_scores(state)
    if not scores or record.entry(version) is None:
        return record
    return record.with_entry(version, eval_scores=scores, eval_dataset=evaluation_dataset(state))


def was_reviewed(state: State) -> bool:
    """Whether a person was asked what follows from the evaluation: its end is in the record already."""
    status, stage = state.rollout.status, ApprovalStage.INCONCLUSIVE
    asked = status.offer is not None and status.offer.stage is stage
    return asked or any(one.stage is stage for one in status.approvals)


def evaluation_basis(state: State) -> str:
    """The digest of what an evaluation holds for: the stable model, the prompt and the dataset."""
    stable, prompt = state.require_record().stable, state.require_agent_model().spec.prompt
    content = {
        "stable": [stable.version, stable.model, stable.revision],
        "prompt": prompt.wire() if prompt is not None else None,
        "dataset": evaluation_dataset(state),
    }
    return digest_of("evaluation-basis/v1", content)


def with_candidate_counted(state: State, record: Record) -> dict[str, int]:
    """The number of candidates that were compared on each dataset version, including this candidate."""
    verdict = state.rollout.status.evaluation
    if verdict is None or not verdict.dataset_version or was_reviewed(state):
        return record.candidates_compared
    return {
        **record.candidates_compared,
        verdict.dataset_version: record.candidates_compared.get(verdict.dataset_version, 0) + 1,
    }


def evaluation_dataset(state: State) -> str:
    """The held-out dataset as `ls://<name>`: the rollout's, else the AgentModel's; empty where neither names one."""
    from_rollout = state.rollout.spec.evaluation.dataset
    settings = state.agent_model.spec.langsmith if state.agent_model else None
    name = from_rollout or (settings.evaluation_dataset if settings else None) or ""
    return name if not name or name.startswith("ls://") else f"ls://{name}"
