"""Records the answers of one arm as LangSmith runs, with their scores as feedback.

A run's id is derived from (operator_run_id, arm, example, repetition), and a feedback's id from the run and
the metric. So recording everything again after a crash creates no duplicates.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid5

from modelops.adapters.langsmith.errors import translated_errors
from modelops.adapters.langsmith.experiments import EXPERIMENT_TYPE, Experiment, ExperimentPlan, stable_id
from modelops.adapters.langsmith.wire import JsonValue, dotted_order, post_feedback, post_json, post_runs

if TYPE_CHECKING:
    from langsmith import Client

_RUNS_PER_REQUEST: Final = 100
_FEEDBACK_CONNECTIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of one arm to one example.

    `started` and `ended` are Unix seconds. `outputs` is None where the call failed; `error` then says how.
    `scores` maps a metric to its value (LangSmith keeps 4 decimals). A failed call must have the score 0; do not
    leave it out.
    """

    example_id: str
    repetition: int
    inputs: Mapping[str, JsonValue]
    outputs: Mapping[str, JsonValue] | None
    started: float
    ended: float
    scores: Mapping[str, float]
    error: str | None = None
    model: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: Decimal | None = None


def log_answers(client: Client, experiment: Experiment, answers: Iterable[Answer]) -> int:
    """Records the answers as runs and their scores as feedback; returns the number of runs.

    An answer that was recorded before is overwritten, because its id is the same. At most `_RUNS_PER_REQUEST` of the
    answers are in memory at the same time.
    """

    count = 0
    with ThreadPoolExecutor(max_workers=_FEEDBACK_CONNECTIONS) as pool:
        for chunk in _chunks(answers, _RUNS_PER_REQUEST):
            with translated_errors(
                doing=f"recording runs of experiment {experiment.name!r}", url=client.api_url
            ):
                post_runs(client, [_run(experiment, answer) for answer in chunk])
            with translated_errors(
                doing=f"recording scores of experiment {experiment.name!r}", url=client.api_url
            ):
                feedback = [entry for answer in chunk for entry in _feedback(experiment, answer)]
                if feedback and not post_feedback(client, feedback):
                    deque(pool.map(lambda entry: post_json(client, "/feedback", entry), feedback), maxlen=0)
            count += len(chunk)
    return count


def run_id(plan: ExperimentPlan, *, example_id: str, repetition: int) -> UUID:
    """The id of the run of this example and repetition. It is the same for the same arguments."""
    return stable_id(plan.operator_run_id, plan.arm, example_id, str(repetition))


def _run(experiment: Experiment, answer: Answer) -> dict[str, JsonValue]:
    plan = experiment.plan
    identity = run_id(plan, example_id=answer.example_id, repetition=answer.repetition)
    metadata: dict[str, JsonValue] = {**plan.tags(), "repetition": answer.repetition}
    if answer.model:
        metadata["ls_model_name"] = answer.model
    usage = _usage(answer)
    if usage:
        metadata["usage_metadata"] = usage
    return {
        "id": str(identity),
        "trace_id": str(identity),
        "dotted_order": dotted_order(identity, answer.started),
        "session_id": experiment.id,
        "reference_example_id": answer.example_id,
        "name": plan.arm,
        "run_type": "llm",
        "start_time": _iso(answer.started),
        "end_time": _iso(answer.ended),
        "inputs": dict(answer.inputs),
        "outputs": dict(answer.outputs) if answer.outputs is not None else None,
        "error": answer.error,
        "tags": [plan.agent, plan.model_version, EXPERIMENT_TYPE],
        "extra": {"metadata": metadata},
    }


def _usage(answer: Answer) -> dict[str, JsonValue]:
    if answer.prompt_tokens is None or answer.completion_tokens is None:
        return {}
    usage: dict[str, JsonValue] = {
        "input_tokens": answer.prompt_tokens,
        "output_tokens": answer.completion_tokens,
        "total_tokens": answer.prompt_tokens + answer.completion_tokens,
    }
    if answer.cost_usd is not None:
        usage["total_cost"] = float(answer.cost_usd)
    return usage


def _feedback(experiment: Experiment, answer: Answer) -> Iterator[dict[str, JsonValue]]:
    identity = run_id(experiment.plan, example_id=answer.example_id, repetition=answer.repetition)
    for metric, score in answer.scores.items():
        yield {
            "id": str(uuid5(identity, metric)),
            "run_id": str(identity),
            "trace_id": str(identity),
            "session_id": experiment.id,
            "start_time": _iso(answer.started),
            "key": metric,
            "score": round(score, 4),
            "feedback_source": {"type": "api", "metadata": {}},
        }


def _iso(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat()


def _chunks(answers: Iterable[Answer], size: int) -> Iterator[list[Answer]]:
    remaining = iter(answers)
    while chunk := list(islice(remaining, size)):
        yield chunk
