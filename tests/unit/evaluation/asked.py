"""A request, questions and answers for tests of the evaluation's arithmetic."""

from modelops.api.v1alpha1.scorer import ScorerType
from modelops.evaluation.journal import Answer
from modelops.evaluation.question import Question
from modelops.evaluation.request import ArmName, Request

ARM = {"model": "m", "base_url": "http://127.0.0.1:1/v1", "api_key_env": "KEY"}


def request(**changes: object) -> Request:
    given = {
        "v": 1,
        "rollout": "uid",
        "agent": "docs",
        "dataset": "ls://d",
        "arms": {"baseline": {**ARM, "version": "v1.0.0"}, "candidate": {**ARM, "version": "v1.1.0-rc.1"}},
        "prompt": {
            "user": "{{ inputs.task }}",
            "assistant": "{{ outputs.text }}",
            "parse": {"type": "regex", "pattern": "<(.*)>"},
        },
        "scorer": {"type": "exact", "threshold": "1"},
        "margin_points": "5",
        "goal": "nonInferior",
        **changes,
    }
    return Request.of(given)


def answer(arm: ArmName, example: int, text: str | None, *, repetition: int = 0, **more: object) -> Answer:
    return Answer(
        arm=arm,
        example=str(example),
        repetition=repetition,
        started=100.0 + example,
        latency_ms=50.0,
        attempts=1,
        text=text,
        error=None if text is not None else "HTTP 500",
        prompt_tokens=10,
        completion_tokens=10,
        **more,  # type: ignore[arg-type]
    )


TEXT_SCORERS = [
    kind for kind in ScorerType if kind not in (ScorerType.TESTS, ScorerType.CUSTOM, ScorerType.JUDGE)
]
"""Those that compare texts, without anything else."""
QUESTIONS = [Question(example=str(n), inputs={}, messages=(), target="yes") for n in range(100)]
