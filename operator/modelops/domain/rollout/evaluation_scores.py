"""What an evaluation leaves in the record, and what later ones take from it: the registry's scores, how many candidates
were compared, and what a plan assumes."""

from __future__ import annotations

from typing import Any

from modelops.api.v1alpha1.agent_evaluation import EvaluatedAgent, EvaluationTarget
from modelops.api.v1alpha1.rollout import ApprovalStage
from modelops.api.v1alpha1.scorer import Scorer, ScorerType
from modelops.domain.digest import digest_of
from modelops.domain.gates.evaluation_plan import (
    ASSUMED_CALL_SECONDS,
    ASSUMED_DISAGREEMENT,
    ASSUMED_PREFERENCES,
    EXPECTED_GAIN,
)
from modelops.domain.record import Record
from modelops.domain.rollout.looks import looks_with_next
from modelops.domain.rollout.state import State


def evaluation_scores(state: State) -> dict[str, Any]:
    """`eval_scores` of the model registry; empty before the evaluation."""
    verdict = state.rollout.status.evaluated
    if verdict is None or verdict.candidate is None:
        return {}
    return {
        **({"target": verdict.target} if verdict.target else {}),
        "accuracy": float(verdict.candidate.success),
        "baseline_improvement": f"{float(verdict.difference_points):+.0f}%",
        "avg_latency_ms": verdict.candidate.latency_p50_milliseconds,
        "cost_per_1k": float(verdict.candidate.usd_per_1000_tokens),
        **(
            {"disagreement_points": float(verdict.disagreement_points)} if verdict.disagreement_points else {}
        ),
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
        # Only where the agent was asked: a digest that an earlier release has written stays the same.
        **({"target": EvaluationTarget.AGENT.value} if asks_agent(state) else {}),
    }
    return digest_of("evaluation-basis/v1", content)


def with_candidate_counted(state: State, record: Record) -> Record:
    """The record that counts this candidate on its dataset version, and keeps what was chosen for the first one."""
    verdict = state.rollout.status.evaluated
    if verdict is None or not verdict.dataset_version or was_reviewed(state):
        return record
    version = verdict.dataset_version
    choices = evaluation_choices(state, margin_points=verdict.margin_points)
    return record.with_(
        candidates_compared={**record.candidates_compared, version: looks_with_next(record, version)},
        evaluation_choices={version: choices, **record.evaluation_choices},
    )


def evaluation_choices(state: State, *, margin_points: str) -> str:
    """What a person chooses for an evaluation, as text: margin, number of examples, scorer and goal."""
    spec, scorer = state.rollout.spec.evaluation, evaluation_scorer(state)
    examples = "all examples" if spec.max_examples is None else f"maxExamples {spec.max_examples}"
    if spec.top_up is not None:
        examples += f" topped up to {spec.top_up.max_examples}"
    scored = f"scorer {scorer.name or scorer.type.value} from {scorer.threshold}" if scorer else "no scorer"
    if is_judged(scorer):
        scored = f"scorer judge{f' {spec.judge.model}' if spec.judge else ''}"
    target = ", target agent" if asks_agent(state) else ""
    return f"marginPoints {margin_points}, {examples}, {scored}, goal {spec.goal.value}{target}"


def dataset_version(state: State, as_of: object) -> str:
    """The evaluation dataset and its version, as the status and the record name them."""
    return f"{evaluation_dataset(state)}@{as_of or ''}"


def evaluation_dataset(state: State) -> str:
    """The held-out dataset as `ls://<name>`: the rollout's, else the AgentModel's; empty where neither names one."""
    from_rollout = state.rollout.spec.evaluation.dataset
    settings = state.agent_model.spec.langsmith if state.agent_model else None
    name = from_rollout or (settings.evaluation_dataset if settings else None) or ""
    return name if not name or name.startswith("ls://") else f"ls://{name}"


def evaluation_scorer(state: State) -> Scorer | None:
    """The scorer: the rollout's, else the AgentModel's; None where neither names one."""
    settings = state.agent_model.spec.langsmith if state.agent_model else None
    return state.rollout.spec.evaluation.scorer or (settings.scorer if settings else None)


def target_of(state: State) -> EvaluationTarget:
    """What answers the questions."""
    return state.rollout.spec.evaluation.target or EvaluationTarget.MODEL


def asks_agent(state: State) -> bool:
    """Whether the agent itself answers the questions, and not the model alone."""
    return target_of(state) is EvaluationTarget.AGENT


def asked_agent(state: State) -> EvaluatedAgent | None:
    """How the agent is asked; None where it is not, or where the AgentModel does not say how."""
    settings = state.agent_model.spec.evaluation if state.agent_model else None
    return settings.agent if settings is not None and asks_agent(state) else None


def assumptions(state: State) -> dict[str, Any]:
    """What the plan assumes, as fields of `input.json`: what the spec says, and what the agent's evaluations showed."""
    record, gain = state.require_record(), state.rollout.spec.evaluation.expected_gain_points
    judged = is_judged(evaluation_scorer(state))
    return {
        "disagree_points": shown_disagreement(record, evaluation_dataset(state), judged=judged),
        "expected_gain_points": str(EXPECTED_GAIN) if gain is None else gain,
        "call_seconds": shown_call_seconds(record, target=target_of(state)),
    }


def is_judged(scorer: Scorer | None) -> bool:
    """Whether a judge's preferences are the metric that decides."""
    return scorer is not None and scorer.type is ScorerType.JUDGE


def shown_disagreement(record: Record, dataset: str, *, judged: bool = False) -> str:
    """The percentage of the last evaluation on this dataset; at least 5, because few examples may show none.

    `judged`: a judge prefers answers far more often than one of two models alone succeeds, so only evaluations by a
    judge count for one, and not for the others.
    """
    shown = (
        e.eval_scores.get("disagreement_points")
        for e in reversed(record.history)
        if e.eval_dataset == dataset and (e.eval_scores.get("scorer") == ScorerType.JUDGE.value) is judged
    )
    last = next((float(points) for points in shown if points is not None), None)
    assumed = ASSUMED_PREFERENCES if judged else ASSUMED_DISAGREEMENT
    return str(assumed if last is None else max(5.0, last))


def shown_call_seconds(record: Record, *, target: EvaluationTarget) -> float:
    """Seconds of an answer: the median of the last candidate that was evaluated.

    An answer of an agent takes several calls of its model, so only evaluations of the agent itself count for one.
    """
    shown = (
        e.eval_scores.get("avg_latency_ms")
        for e in reversed(record.history)
        if e.eval_scores.get("target", EvaluationTarget.MODEL.value) == target.value
    )
    last = next((float(milliseconds) for milliseconds in shown if milliseconds), None)
    return ASSUMED_CALL_SECONDS if last is None else last / 1000
