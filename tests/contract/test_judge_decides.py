"""A judge as the one metric: only after a calibration that every evaluation verifies from the labels themselves."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from langsmith import Client
from tests.contract.evaluations import open_router_arms
from tests.contract.learning import PROMPT, fill_dataset, langsmith_examples

from modelops.api.v1alpha1.judge import JudgeCalibration, JudgeResult
from modelops.cli.__main__ import main
from modelops.demo.stdlib_examples import read_examples
from modelops.evaluation.check import check_evaluation
from modelops.evaluation.evaluate import evaluate
from modelops.evaluation.judge.deciding import CONTROL_PAIRS
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.openrouter.algorithms import name_as_sentence
from modelops.workdir import ProgramFailure, WorkDir

JUDGE = "modelops-judges/prefer-by-words"
EXAMPLES, LABELS = 60, 60
Input = dict[str, Any]


def labelled(*, wrong: int = 0, n: int = LABELS) -> list[dict[str, Any]]:
    """The better answer has the words of the expected one; `wrong` labels say the opposite."""
    found = []
    for k in range(n):
        good, bad = f"Return the number {k} of the list.", "Nothing of that is here."
        better = "ab"[k % 2]
        answers = {"a": good, "b": bad} if better == "a" else {"a": bad, "b": good}
        label = better if k >= wrong else "ab"[better == "a"]
        inputs = {"question": f"What is {k}?", "expected": good, "answers": answers}
        found.append({"inputs": inputs, "outputs": {"label": label}})
    return found


Program = Callable[[WorkDir], dict[str, Any]]
_MADE: dict[str, dict[str, str]] = {}
"""The calibration of the process's sandbox, which most tests share."""


@pytest.fixture(autouse=True)
def _environment(sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the programs, which run in this process: `test_judge.py` starts them as the operator does."""
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    for name in ("BASELINE", "CANDIDATE", "JUDGE"):
        monkeypatch.setenv(f"MODELOPS_{name}_KEY", sandbox.openrouter_key)


def run(program: Program, folder: Path, program_input: Input) -> dict[str, Any]:
    """The `result.json` of a program."""
    folder.mkdir(exist_ok=True)
    (folder / "input.json").write_text(json.dumps(program_input))
    try:
        return {"ok": True, **program(WorkDir(folder))}
    except ProgramFailure as failure:
        found = {"reason": failure.reason, "message": str(failure), "transient": failure.transient}
        return {"ok": False, **found}


@pytest.fixture
def calibrate(
    client: Client, unique: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, dict[str, Any]]]:
    """Calibrate by the command; returns its status and what it prints."""

    def call(examples: list[dict[str, Any]], agent: str = "docs") -> tuple[int, dict[str, Any]]:
        name = unique("labels")
        fill_dataset(client, name, examples)
        command = ["evaluate", "calibrate", "--dataset", name, "--agent", agent, "--model", JUDGE]
        code = main([*command, "--yes", "-o", "json"])
        return code, json.loads(capsys.readouterr().out)

    return call


@pytest.fixture
def calibration(sandbox: SandboxInfo, calibrate: Any) -> dict[str, str]:
    """As the operator passes it on to the programs."""
    if sandbox.langsmith not in _MADE:
        code, found = calibrate(labelled(wrong=5))
        assert code == 0, found
        _MADE[sandbox.langsmith] = passed_on(found["agentModel"]["spec"]["langsmith"]["judge"])
    return dict(_MADE[sandbox.langsmith])


def passed_on(written: dict[str, Any]) -> dict[str, str]:
    judge = JudgeCalibration.model_validate(written)
    return {
        "model": judge.model,
        "labels": judge.labels,
        "labels_as_of": judge.labels_as_of.isoformat(),
        "said": judge.said,
        "prompt_digest": judge.prompt_digest,
        "digest": judge.digest,
        "field": "spec.langsmith.judge of AgentModel docs",
    }


@pytest.fixture
def program_input(
    sandbox: SandboxInfo, client: Client, unique: Callable[[str], str], calibration: dict[str, str]
) -> Input:
    name = unique("judged")
    held_out = [e for e in read_examples(limit=600) if e.split == "held-out"][:EXAMPLES]
    assert len(held_out) == EXAMPLES
    # The better model is known: the expected answers have the candidate's words.
    wanted = [f"{name_as_sentence(example.task)} It does nothing else than that." for example in held_out]
    rows = langsmith_examples(held_out)
    fill_dataset(
        client,
        name,
        [{**row, "outputs": {"docstring": text}} for row, text in zip(rows, wanted, strict=True)],
    )

    return {
        "v": 1,
        "rollout": unique("uid"),
        "agent": "docs",
        "dataset": f"ls://{name}",
        "arms": open_router_arms(sandbox),
        "prompt": PROMPT,
        "scorer": {"type": "judge", "threshold": "1"},
        "judge": {"model": JUDGE},
        "calibration": calibration,
        "margin_points": "10",
        "goal": "nonInferior",
    }


def swapped(program_input: Input) -> Input:
    """The same two models, the better one as the baseline."""
    arms = program_input["arms"]
    models = {
        arm: {"model": arms[other]["model"]}
        for arm, other in (("baseline", "candidate"), ("candidate", "baseline"))
    }
    return {**program_input, "arms": {arm: {**arms[arm], **models[arm]} for arm in arms}}


def test_a_calibrated_judge_lets_the_better_model_pass_and_the_worse_one_fail(
    sandbox: SandboxInfo, client: Client, program_input: Input, tmp_path: Path
) -> None:
    checked = run(check_evaluation, tmp_path / "c", program_input)
    assert checked["ok"], checked
    assert "preference of the judge" in checked["plan"]["message"]
    better = run(evaluate, tmp_path / "a", program_input)
    assert better["ok"], better
    result = JudgeResult.model_validate(better["judge"])
    assert (better["verdict"], better["n"], result.missing) == ("pass", EXAMPLES, 0)
    assert float(better["difference_points"]) == float(result.difference_points) > 0
    assert (result.kappa, better["scorer"]) == ("0.83", "judge")
    assert float(result.kappa_now) > 0.6
    assert f"judge {JUDGE}" in better["explain"]
    assert "Report only" not in better["explain"]
    assert any(f"calibrated with {LABELS} labels" in finding for finding in better["findings"])
    assert float(better["calls_usd"]) <= float(checked["calls_usd"])
    (experiment,) = [e for e in better["experiments"].values() if "candidate" in e["name"]]
    stats = client.read_project(project_id=experiment["id"], include_stats=True).feedback_stats or {}
    assert stats["judge"]["n"] == EXAMPLES
    worse = run(evaluate, tmp_path / "b", swapped(program_input))
    assert worse["verdict"] == "fail", worse["explain"]


def test_equal_models_are_inconclusive_since_the_judge_prefers_nothing(
    sandbox: SandboxInfo, program_input: Input, tmp_path: Path
) -> None:
    program_input["arms"]["candidate"]["model"] = program_input["arms"]["baseline"]["model"]
    found = run(evaluate, tmp_path / "p", program_input)
    assert (found["verdict"], found["judge"]["ties"]) == ("inconclusive", EXAMPLES)
    assert "prefers one of the two answers on only 0 of 60 examples" in found["explain"]


def test_a_judge_that_is_silent_makes_the_verdict_inconclusive(
    program_input: Input, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELOPS_JUDGE_KEY", "x")
    found = run(evaluate, tmp_path / "p", program_input)
    assert found["ok"], found
    assert (found["verdict"], found["n"], found["judge"]["missing"]) == ("inconclusive", 0, EXAMPLES)
    assert "60 of 60 judgements are missing, most often because of: HTTP 401" in found["explain"]


def test_the_judge_is_asked_again_about_labelled_pairs_and_made_up_answers_are_found_out(
    sandbox: SandboxInfo,
    client: Client,
    program_input: Input,
    tmp_path: Path,
    unique: Any,
) -> None:
    """Labels against the judge, with answers that agree with them, and a digest that fits: whoever writes that is
    believed by the check, and not by the evaluation."""
    from modelops.datasets.download import Example
    from modelops.evaluation.judge.calibrated import calibration_digest
    from modelops.evaluation.judge.calibration import labels_of

    name = unique("lies")
    fill_dataset(client, name, labelled(wrong=LABELS))
    examples = [
        Example(id=str(e.id), inputs=e.inputs, outputs=e.outputs, metadata={})
        for e in client.list_examples(dataset_name=name)
    ]
    pairs = labels_of(examples)
    said = "".join(one.label for one in pairs)
    rule = {**program_input["calibration"], "labels": f"ls://{name}", "said": said}
    rule["labels_as_of"] = "2100-01-01T00:00:00+00:00"
    rule["digest"] = calibration_digest(
        agent="docs", model=JUDGE, prompt_digest=rule["prompt_digest"], labelled=pairs, said=said
    )
    lying = {**program_input, "calibration": rule}
    assert run(check_evaluation, tmp_path / "c", lying)["ok"]
    found = run(evaluate, tmp_path / "p", lying)
    assert found["verdict"] == "inconclusive"
    assert "does not agree with people any more" in found["explain"]
    assert float(found["judge"]["kappaNow"]) < 0


def test_a_restart_asks_the_judge_nothing_again(
    sandbox: SandboxInfo, program_input: Input, tmp_path: Path
) -> None:
    first = run(evaluate, tmp_path / "p", program_input)
    sandbox.forget_requests()
    again = run(evaluate, tmp_path / "p", program_input)
    assert again["judge"] == first["judge"]
    assert not sandbox.requests(service="openrouter", method="POST")


def test_the_control_is_a_bounded_part_of_the_calls(
    sandbox: SandboxInfo, program_input: Input, tmp_path: Path
) -> None:
    sandbox.forget_requests()
    found = run(evaluate, tmp_path / "p", program_input)
    calls = len(sandbox.requests(service="openrouter", method="POST"))
    assert calls == 2 * EXAMPLES + 2 * EXAMPLES + 2 * CONTROL_PAIRS, found["judge"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"calibration": None, "judge": None}, "the AgentModel has no calibration of a judge"),
        (
            {"judge": {"model": "modelops-judges/another"}},
            "is the calibration of modelops-judges/prefer-by-words",
        ),
        ({"prompt_digest": "0" * 64}, "another instruction of the judge"),
        ({"labels": "ls://nothing-of-this-name"}, "ls://nothing-of-this-name cannot be read"),
        ({"digest": "0" * 64}, "one of them was changed since"),
        ({"said": "a" * LABELS}, "one of them was changed since"),
        ({"labels_as_of": "2100-01-01T00:00:00+00:00", "digest": "1" * 64}, "one of them was changed since"),
    ],
)
def test_a_judge_without_a_valid_calibration_is_refused_before_anything_is_paid(
    sandbox: SandboxInfo,
    program_input: Input,
    tmp_path: Path,
    changes: dict[str, Any],
    says: str,
) -> None:
    for name, value in changes.items():
        where = program_input if name in program_input else program_input["calibration"]
        where[name] = value
    sandbox.forget_requests()
    found = run(check_evaluation, tmp_path / "p", program_input)
    assert found["reason"] == "JudgeNotCalibrated", found
    assert says in found["message"]
    assert "modelops evaluate calibrate --dataset" in found["message"]
    assert not sandbox.requests(service="openrouter", method="POST")


def test_labels_that_were_changed_after_the_calibration_are_not_read(
    sandbox: SandboxInfo, client: Client, program_input: Input, tmp_path: Path
) -> None:
    """The version of the labels is part of the calibration, so a later label changes nothing."""
    name = program_input["calibration"]["labels"].removeprefix("ls://")
    example = next(iter(client.list_examples(dataset_name=name)))
    client.update_example(example.id, outputs={"label": "tie"})
    assert run(check_evaluation, tmp_path / "a", program_input)["ok"]
    program_input["calibration"]["labels_as_of"] = "2100-01-01T00:00:00+00:00"
    found = run(check_evaluation, tmp_path / "b", program_input)
    assert (found["reason"], found["transient"]) == ("JudgeNotCalibrated", False)
    assert "one of them was changed since" in found["message"]


def test_labels_of_code_make_no_judge_of_prose(
    sandbox: SandboxInfo, program_input: Input, tmp_path: Path, calibrate: Any
) -> None:
    code = [
        {
            "inputs": {**one["inputs"], "expected": f"def number():\n    return {k}"},
            "outputs": one["outputs"],
        }
        for k, one in enumerate(labelled())
    ]
    for k, one in enumerate(code):
        good, bad = one["inputs"]["expected"], "nothing"
        one["inputs"]["answers"] = {"a": good, "b": bad} if k % 2 == 0 else {"a": bad, "b": good}
    status, shown = calibrate(code)
    assert status == 0, shown
    program_input["calibration"] = passed_on(shown["agentModel"]["spec"]["langsmith"]["judge"])
    found = run(check_evaluation, tmp_path / "p", program_input)
    assert found["reason"] == "JudgeNotCalibrated", found
    assert "most labels are about code" in found["message"]


def test_a_calibration_holds_for_one_agent(
    sandbox: SandboxInfo, program_input: Input, tmp_path: Path, calibrate: Any
) -> None:
    status, shown = calibrate(labelled(), agent="support")
    assert status == 0
    program_input["calibration"] = passed_on(shown["agentModel"]["spec"]["langsmith"]["judge"])
    found = run(check_evaluation, tmp_path / "p", program_input)
    assert found["reason"] == "JudgeNotCalibrated", found
    assert "is not that of agent docs" in found["message"]


def test_a_judge_that_disagrees_gets_no_field_to_write(calibrate: Any) -> None:
    code, found = calibrate(labelled(wrong=30))
    assert (code, found["reaches"]) == (1, False)
    assert "agentModel" not in found


def test_the_printed_part_is_a_part_of_an_agent_model(
    calibrate: Any, capsys: pytest.CaptureFixture[str], sandbox: SandboxInfo, client: Client, unique: Any
) -> None:
    name = unique("labels")
    fill_dataset(client, name, labelled())
    assert (
        main(["evaluate", "calibrate", "--dataset", name, "--agent", "docs", "--model", JUDGE, "--yes"]) == 0
    )
    shown = capsys.readouterr().out
    part = yaml.safe_load(shown[shown.index("spec:") :])
    judge = JudgeCalibration.model_validate(part["spec"]["langsmith"]["judge"])
    assert (judge.labels, len(judge.said)) == (f"ls://{name}", LABELS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "either FILE or --dataset"),
        (("labels.jsonl", "--dataset", "x"), "either FILE or --dataset"),
        (("--dataset", "x"), "needs --agent"),
        (("--dataset", "nothing-of-this-name", "--agent", "docs"), "nothing-of-this-name"),
    ],
)
def test_wrong_arguments_cost_nothing(
    arguments: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", "calibrate", *arguments, "--model", JUDGE, "--yes"]) == 2
    assert says in capsys.readouterr().err
