"""An evaluation with scorer tests: examples of LangSmith in HumanEval's form, answers of models as code, in the sandbox."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar

import pytest
from langsmith import Client
from tests.contract.learning import fill_dataset, run_program
from tests.contract.sandboxes import POD, SHELLS, programs_of, refusal_of, require, run_tests_pod
from tests.loopback_server import serving

from modelops.code_tests.shells import SETTING
from modelops.sandbox.client import SandboxInfo

EVALUATION, CHECK = "modelops.evaluation", "modelops.evaluation.check"
COUNT = 100
PROMPT = {
    "system": "Complete the function.",
    "user": "{{ inputs.prompt }}",
    "assistant": "{{ outputs.code }}",
}


def task(number: int) -> dict[str, Any]:
    """One example in HumanEval's form."""
    name = f"scale_{number}"
    return {
        "inputs": {
            "prompt": "from typing import List\n\n\n"
            f"def {name}(values: List[int]) -> List[int]:\n"
            f'    """Each value times {number + 2}, the largest first."""\n'
        },
        "outputs": {
            "code": f"    return sorted((v * {number + 2} for v in values), reverse=True)\n",
            "tests": f"def check(candidate):\n    assert candidate([1, 2]) == [{2 * number + 4}, {number + 2}]\n"
            "    assert candidate([]) == []\n",
            "entry_point": name,
        },
    }


class Model(BaseHTTPRequestHandler):
    """A model that writes right code for the share of the tasks in its address, in the forms in which models write."""

    asked: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        self.asked.append(self.path)
        share = int(self.path.split("/")[1])
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name, number = re.findall(r"def (scale_(\d+))", asked["messages"][-1]["content"])[-1]
        message = {"role": "assistant", "content": code(name, int(number), right=int(number) % 10 < share)}
        answer = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73},
        }
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())


def code(name: str, number: int, *, right: bool) -> str:
    """The answer; a wrong one differs by a letter, ends early, or does what the sandbox refuses."""
    factor = number + 2
    body = f"    return sorted((v * {factor} for v in values), reverse=True)\n"
    whole = f"def {name}(values: List[int]) -> List[int]:\n{body}"
    if right:
        forms = [body, whole, f"```python\n{whole}```", f"Here it is:\n\n```python\n{whole}", body.strip()]
    else:
        forms = [
            body.replace("True", "False"),
            whole.replace(" * ", " + "),
            "I cannot do that.",
            "import sys\nsys.exit(0)\n\n" + whole,
            f"```python\nimport os\nos.fork()\n{whole}```",
        ]
    return forms[number % len(forms)]


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with serving(Model) as url:
        yield url


@pytest.fixture
def shell() -> str:
    """A shell that this machine can have."""
    return next((name for name in SHELLS if not refusal_of(name)), SHELLS[0])


Evaluate = Callable[..., dict[str, Any]]


@pytest.fixture
def evaluate(
    sandbox: SandboxInfo, client: Client, model: str, unique: Callable[[str], str], tmp_path: Path
) -> Evaluate:
    """Runs one of the programs: `shares` are the tenths of the tasks that baseline and candidate solve."""

    def run(
        examples: list[dict[str, Any]],
        *,
        shares: tuple[int, int] = (5, 9),
        module: str = EVALUATION,
        shell: str = "bubblewrap",
    ) -> dict[str, Any]:
        name = unique("humaneval")
        fill_dataset(client, name, examples)
        arms = {
            arm: {
                "model": "m",
                "base_url": f"{model}/{share}/v1",
                "api_key_env": "HF_TOKEN",
                "version": version,
                "usd_per_hour": "0.5",
            }
            for arm, share, version in zip(
                ("baseline", "candidate"), shares, ("v1.0.0", "v1.1.0-rc.1"), strict=True
            )
        }
        given: Mapping[str, Any] = {
            "v": 1,
            "rollout": unique("uid"),
            "agent": "docs",
            "dataset": f"ls://{name}",
            "arms": arms,
            "prompt": PROMPT,
            "scorer": {"type": "tests", "threshold": "1"},
            "margin_points": "10",
            "goal": "nonInferior",
        }
        volume = tmp_path / unique("p")
        volume.mkdir()
        while True:
            result = run_program(sandbox, module, volume / "program", given, **programs_of(shell, volume))
            if result.get("reason") != "CodeTestsWanted":
                return result
            assert run_tests_pod(volume, result)["ok"]

    return run


TASKS = [task(number) for number in range(COUNT)]


@pytest.mark.parametrize("shell", [*SHELLS, POD])
def test_better_model_passes_and_what_the_sandbox_was_is_recorded(evaluate: Evaluate, shell: str) -> None:
    require(shell)
    asked = len(Model.asked)
    result = evaluate(TASKS, shares=(5, 9), shell=shell)
    assert result["ok"], result
    assert len(Model.asked) - asked == 2 * COUNT
    assert (result["verdict"], result["n"]) == ("pass", COUNT), result["explain"]
    assert (float(result["baseline"]["success"]), float(result["candidate"]["success"])) == (0.5, 0.9)
    recorded = [finding for finding in result["findings"] if "checks of the sandbox held" in finding]
    assert len(recorded) == 1
    assert ("bubblewrap" in recorded[0]) == (shell == "bubblewrap")
    assert ("a Pod of its own without tokens" in recorded[0]) == (shell == POD)


def test_worse_model_fails(evaluate: Evaluate, shell: str) -> None:
    require(shell)
    result = evaluate(TASKS, shares=(9, 5), shell=shell)
    assert result["verdict"] == "fail", result["explain"]


def test_models_that_solve_nothing_do_not_pass(evaluate: Evaluate, shell: str) -> None:
    require(shell)
    result = evaluate(TASKS, shares=(0, 0), shell=shell)
    assert result["verdict"] == "inconclusive"
    assert "outputs.tests" in result["explain"]


@pytest.mark.parametrize("tested_in", ["here", POD])
def test_examples_whose_tests_prove_nothing_are_left_out_before_a_model_is_asked(
    evaluate: Evaluate, shell: str, tested_in: str
) -> None:
    shell = shell if tested_in == "here" else POD
    require(shell)
    examples = [task(number) for number in range(COUNT)]
    examples[0]["outputs"]["code"] = "    return []\n"
    examples[1]["outputs"]["tests"] = "def test_scale():\n    assert False\n"
    del examples[2]["outputs"]["tests"]
    result = evaluate(examples, module=CHECK, shell=shell)
    assert result["ok"], result
    assert result["examples"] == COUNT - 3
    (left_out,) = [finding for finding in result["findings"] if "left out" in finding]
    assert left_out.startswith(f"3 of {COUNT} examples were left out, because scorer tests cannot judge them")
    for words in (
        "fails its own tests (AssertionError",
        "a program that does nothing",
        "outputs.tests is not there",
    ):
        assert words in left_out


def test_dataset_with_too_many_such_examples_is_refused(evaluate: Evaluate, shell: str) -> None:
    require(shell)
    examples = [task(number) for number in range(10)]
    for example in examples[:3]:
        example["outputs"]["tests"] = "pass"
    result = evaluate(examples, module=CHECK, shell=shell)
    assert (result["ok"], result["reason"]) == (False, "DatasetShapeInvalid")
    assert "3 of 10 examples cannot be judged by scorer tests" in result["message"]


@pytest.mark.parametrize("module", [CHECK, EVALUATION])
def test_no_code_runs_where_the_sandbox_is_off(evaluate: Evaluate, module: str) -> None:
    result = evaluate(TASKS[:5], module=module, shell="off")
    assert (result["ok"], result["reason"]) == (False, "CodeTestsRefused")
    assert "MODELOPS_CODE_TESTS is off" in result["message"]


@pytest.mark.parametrize("module", [CHECK, EVALUATION])
def test_without_a_volume_for_the_pod_nothing_is_asked(
    evaluate: Evaluate, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.contract.test_code_evaluation.programs_of", lambda *_: {SETTING: POD})
    asked = len(Model.asked)
    result = evaluate(TASKS[:5], module=module, shell=POD)
    assert (result["ok"], result["reason"]) == (False, "CodeTestsRefused")
    assert "programs.job.volume.persistent: true" in result["message"]
    assert len(Model.asked) == asked
