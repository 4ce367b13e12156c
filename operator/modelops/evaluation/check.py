"""`python -m modelops.evaluation.check <folder>`: whether an evaluation is possible, before its candidate is served.

The program has the evaluation's own input and selects the questions in the same way, but it calls no model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modelops.evaluation.model_client import permanent_refusal, read_api_key
from modelops.evaluation.questions import read_questions
from modelops.evaluation.request import ARMS, Arm, ArmName, Request
from modelops.workdir import ProgramFailure, WorkDir, run_program

KEY_TIMEOUT_SECONDS = 10.0


def check_evaluation(work: WorkDir) -> dict[str, Any]:
    """Select the questions and check the API keys; returns the content of `result.json`. Raises ProgramFailure."""
    request = Request.of(work.input())
    findings: list[str] = []
    dataset, questions = read_questions(work, request, findings=findings)
    for name in ARMS:
        failure = _key_refusal(name, request.arms[name])
        if failure is not None:
            raise failure
    return {
        "examples": len(questions),
        "dataset_id": dataset.dataset_id,
        "as_of": dataset.as_of,
        "findings": findings,
    }


def _key_refusal(name: ArmName, arm: Arm) -> ProgramFailure | None:
    """The failure where OpenRouter refuses the arm's key; None where it accepts the key, or does not answer now.

    OpenRouter's list of models is public and proves no key. The request is GET /key, which costs nothing
    (https://openrouter.ai/docs/api-reference/limits). Keys of other services were used before the evaluation.
    """
    import requests

    if arm.service != "openrouter":
        return None
    headers = {"Authorization": f"Bearer {read_api_key(name, arm)}"}
    try:
        answer = requests.get(
            f"{arm.base_url.rstrip('/')}/key",
            headers=headers,
            timeout=KEY_TIMEOUT_SECONDS,
            allow_redirects=False,
        )
    except requests.RequestException:
        return None
    return permanent_refusal(name, arm, 401) if answer.status_code == 401 else None


if __name__ == "__main__":
    sys.exit(run_program(check_evaluation, Path(sys.argv[1])))
