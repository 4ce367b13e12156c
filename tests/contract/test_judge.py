"""A judge beside a whole evaluation, and its calibration, against the sandbox's OpenRouter."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from langsmith import Client
from tests.contract.evaluations import open_router_arms
from tests.contract.learning import PROMPT, fill_dataset, langsmith_examples, run_program

from modelops.api.v1alpha1.judge import JudgeResult
from modelops.cli.__main__ import main
from modelops.demo.stdlib_examples import StdlibExample, read_examples
from modelops.evaluation.judge.prompt import PROMPT_DIGEST
from modelops.sandbox.client import SandboxInfo

MODULE, CHECK = "modelops.evaluation", "modelops.evaluation.check"
JUDGE = "modelops-judges/prefer-by-words"
ProgramInput = dict[str, Any]


@pytest.fixture(scope="module")
def held_out() -> list[StdlibExample]:
    return [e for e in read_examples(limit=300) if e.split == "held-out"][:30]


@pytest.fixture
def keys(sandbox: SandboxInfo) -> dict[str, str]:
    return {f"MODELOPS_{name}_KEY": sandbox.openrouter_key for name in ("BASELINE", "CANDIDATE", "JUDGE")}


@pytest.fixture
def program_input(
    sandbox: SandboxInfo, client: Client, held_out: list[StdlibExample], unique: Callable[[str], str]
) -> ProgramInput:
    name = unique("judged")
    fill_dataset(client, name, langsmith_examples(held_out))

    return {
        "v": 1,
        "rollout": unique("uid"),
        "agent": "docs",
        "dataset": f"ls://{name}",
        "arms": open_router_arms(sandbox, key_name="AgentModel docs spec.secretRefs.openRouter"),
        "prompt": PROMPT,
        "scorer": {"type": "tokenF1", "threshold": "0.35"},
        "judge": {
            "model": JUDGE,
            "max_examples": 20,
            "key_name": "AgentModel docs spec.secretRefs.openRouter",
        },
        "margin_points": "10",
        "goal": "nonInferior",
    }


def judge_calls(sandbox: SandboxInfo) -> int:
    return len(sandbox.requests(service="openrouter", method="POST"))


def test_the_judge_is_reported_and_decides_nothing(
    sandbox: SandboxInfo, program_input: ProgramInput, keys: dict[str, str], tmp_path: Path
) -> None:
    without = run_program(sandbox, MODULE, tmp_path / "a", {**program_input, "judge": None}, **keys)
    models = judge_calls(sandbox)
    found = run_program(sandbox, MODULE, tmp_path / "b", program_input, **keys)
    assert found["ok"], found
    decided = ("verdict", "recommendation", "difference_points", "interval", "n")
    assert [found[key] for key in decided] == [without[key] for key in decided]
    assert without["judge"] is None
    result = JudgeResult.model_validate(found["judge"])
    assert (result.model, result.prompt_digest) == (JUDGE, PROMPT_DIGEST)
    assert (result.compared, result.missing) == (20, 0)
    assert result.candidate_preferred + result.baseline_preferred + result.ties == 20
    assert result.candidate_preferred > 0
    assert float(result.usd) > 0
    assert judge_calls(sandbox) - 2 * models == 40
    assert any("report only" in finding and JUDGE in finding for finding in found["findings"])
    assert f"Report only: judge {JUDGE} prefers the candidate" in found["explain"]


def test_a_restart_asks_the_judge_nothing_again(
    sandbox: SandboxInfo, program_input: ProgramInput, keys: dict[str, str], tmp_path: Path
) -> None:
    first = run_program(sandbox, MODULE, tmp_path / "p", program_input, **keys)
    (tmp_path / "p" / "result.json").unlink()
    sandbox.forget_requests()
    again = run_program(sandbox, MODULE, tmp_path / "p", program_input, **keys)
    assert again["judge"] == first["judge"]
    assert judge_calls(sandbox) == 0


def test_a_judge_without_credits_does_not_end_the_evaluation(
    sandbox: SandboxInfo, program_input: ProgramInput, keys: dict[str, str], tmp_path: Path
) -> None:
    found = run_program(sandbox, MODULE, tmp_path / "p", program_input, **{**keys, "MODELOPS_JUDGE_KEY": "x"})
    assert found["ok"], found
    assert (found["judge"]["compared"], found["judge"]["missing"]) == (0, 20)
    assert any("HTTP 401" in finding for finding in found["findings"])


@pytest.mark.parametrize(
    ("judge", "reason", "says"),
    [
        ("modelops-sandbox/name-as-sentence", "JudgeUnfit", "family"),
        ("openrouter/auto", "JudgeUnfit", "from day to day"),
        ("nobody/none", "ModelNotFound", "spec.evaluation.judge.model"),
    ],
)
def test_a_judge_that_cannot_be_one_is_refused_before_anything_is_paid(
    sandbox: SandboxInfo,
    program_input: ProgramInput,
    keys: dict[str, str],
    tmp_path: Path,
    judge: str,
    reason: str,
    says: str,
) -> None:
    program_input["judge"]["model"] = judge
    found = run_program(sandbox, CHECK, tmp_path / "p", program_input, **keys)
    assert (found["reason"], found["transient"]) == (reason, False), found
    assert says in found["message"]
    assert judge_calls(sandbox) == 0


def test_a_judge_that_takes_no_schema_is_refused(
    sandbox: SandboxInfo, program_input: ProgramInput, keys: dict[str, str], tmp_path: Path
) -> None:
    program_input["judge"]["model"] = "modelops-sandbox/echo-signature"
    for arm in program_input["arms"].values():
        arm["model"], arm["service"] = "org/other", ""
    found = run_program(sandbox, CHECK, tmp_path / "p", program_input, **keys)
    assert found["reason"] == "JudgeUnfit", found
    assert "structured outputs" in found["message"]


@pytest.mark.parametrize(("key", "says"), [("", "is not set"), ("sk-or-v1-wrong", "is wrong")])
def test_a_judge_without_a_good_key_is_refused_by_its_field(
    sandbox: SandboxInfo,
    program_input: ProgramInput,
    keys: dict[str, str],
    tmp_path: Path,
    key: str,
    says: str,
) -> None:
    found = run_program(sandbox, CHECK, tmp_path / "p", program_input, **{**keys, "MODELOPS_JUDGE_KEY": key})
    assert found["reason"] == "ModelUnauthorized", found
    assert says in found["message"]
    assert "AgentModel docs spec.secretRefs.openRouter" in found["message"]
    assert "sk-or-v1-wrong" not in found["message"]


def test_a_good_judge_passes_the_check(
    sandbox: SandboxInfo, program_input: ProgramInput, keys: dict[str, str], tmp_path: Path
) -> None:
    assert run_program(sandbox, CHECK, tmp_path / "p", program_input, **keys)["ok"]


def labels(*, wrong: int = 0, n: int = 60) -> str:
    """The better answer has the words of the expected one; `wrong` labels say the opposite."""
    lines = []
    for k in range(n):
        good, bad = f"Return the number {k}.", "Nothing of that."
        better = "a" if k % 2 else "b"
        answers = {"a": good, "b": bad} if better == "a" else {"a": bad, "b": good}
        said = better if k >= wrong else "ab"[better == "a"]
        lines.append({"question": f"What is {k}?", "expected": good, "answers": answers, "label": said})
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.fixture
def calibrate(
    sandbox: SandboxInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)

    def call(text: str, *arguments: str, model: str = JUDGE) -> tuple[int, str, str]:
        file = tmp_path / "labels.jsonl"
        file.write_text(text)
        code = main(["evaluate", "calibrate", str(file), "--model", model, *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def test_calibration_reaches_the_kappa_that_is_asked_for(calibrate: Any, sandbox: SandboxInfo) -> None:
    code, shown, _ = calibrate(labels(wrong=6), "--yes", "-o", "json")
    found = json.loads(shown)
    assert (code, found["reaches"], found["judged"], found["missing"]) == (0, True, 60, 0)
    assert (found["agreement"], found["kappa"]) == (0.9, 0.8)
    assert found["interval"][0] < 0.8 < found["interval"][1]
    assert found["promptDigest"] == PROMPT_DIGEST
    assert float(found["usd"]) > 0
    assert judge_calls(sandbox) == 120


def test_calibration_says_that_a_judge_does_not_agree(calibrate: Any) -> None:
    code, shown, _ = calibrate(labels(wrong=30), "--yes")
    assert code == 1
    assert "does not agree" in shown


def test_nothing_is_paid_without_a_yes(calibrate: Any, sandbox: SandboxInfo) -> None:
    code, _, complained = calibrate(labels())
    assert code == 1
    assert "--yes" in complained
    assert judge_calls(sandbox) == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "0 labels"),
        (labels(n=49), "49 labels"),
        (labels().replace('"label": "b"', '"label": "tie"'), "0 labels of 60 are b"),
        (labels().replace('"label": "a"', '"label": "A"'), "none of a, b and tie"),
        (labels() + "{", "line 61 is not JSON"),
        (labels() + "[1]\n", "line 61 is no JSON object"),
        (labels().replace("question", "q"), "no question"),
        (labels().replace('"a": ', '"c": '), "write the two answers"),
        (labels() + "[" * 50_000, "line 61 is not JSON"),
    ],
)
def test_labels_that_cannot_be_used_cost_nothing(
    calibrate: Any, sandbox: SandboxInfo, text: str, says: str
) -> None:
    code, _, complained = calibrate(text, "--yes")
    assert code == 2
    assert says in complained
    assert judge_calls(sandbox) == 0


@pytest.mark.parametrize("model", ["nobody/none", "modelops-sandbox/echo-signature", "openrouter/auto"])
def test_a_model_that_cannot_judge_is_not_asked(calibrate: Any, sandbox: SandboxInfo, model: str) -> None:
    code, _, complained = calibrate(labels(), "--yes", model=model)
    assert (code, judge_calls(sandbox)) == (2, 0)
    assert model in complained or "from day to day" in complained
