"""`python -m modelops.evaluation.check <folder>`: can this evaluation be made? Asked before its candidate is served.

It has the evaluation's own input and reads and chooses the examples in the same way, but asks no model.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from modelops.evaluation.calls import key_of, refusal
from modelops.evaluation.questions import read_and_choose
from modelops.evaluation.request import ARMS, Arm, ArmName, Request
from modelops.workdir import ProgramFailure, WorkDir, run_program

KEY_SECONDS = 10.0


def check(work: WorkDir) -> dict[str, Any]:
    """Read, choose, show the keys; returns what `result.json` says of it. Raises ProgramFailure."""
    request = Request.of(work.input())
    findings: list[str] = []
    found, questions = read_and_choose(work, request, findings=findings)
    for name in ARMS:
        refused = _refused(name, request.arms[name])
        if refused is not None:
            raise refused
    return {
        "examples": len(questions),
        "dataset_id": found.dataset_id,
        "as_of": found.as_of,
        "findings": findings,
    }


def _refused(name: ArmName, arm: Arm) -> ProgramFailure | None:
    """Why OpenRouter does not take the arm's key; None where it does, or says nothing about it now.

    Its list of models is public, so the key itself is asked about: GET /key, which costs nothing
    (https://openrouter.ai/docs/api-reference/limits). Other services know the key from what came before.
    """
    import requests

    if arm.service != "openrouter":
        return None
    headers = {"Authorization": f"Bearer {key_of(name, arm)}"}
    try:
        answer = requests.get(
            f"{arm.base_url.rstrip('/')}/key", headers=headers, timeout=KEY_SECONDS, allow_redirects=False
        )
    except requests.RequestException:
        return None
    return refusal(name, arm, 401) if answer.status_code == 401 else None


if __name__ == "__main__":
    sys.exit(run_program(check, Path(sys.argv[1])))
