"""`python -m modelops.evaluation` with every kind of scorer: what is asked for is scored, or refused before any call."""

import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from langsmith import Client
from tests.contract.learning import fill_dataset, run_program
from tests.loopback_server import serving
from tests.unit.evaluation.own_scorers import install

from modelops.sandbox.client import SandboxInfo

MODULE, CHECK = "modelops.evaluation", "modelops.evaluation.check"
ProgramInput = dict[str, Any]
TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}


class Models(BaseHTTPRequestHandler):
    """Two models. The one at `/good` calls the tool that the question names as text, or repeats the question; the one at
    `/bad` gets one type wrong."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        text = body["messages"][-1]["content"]
        if "bad" in self.path:
            text = text.replace("1", "true")
        message = {"role": "assistant", "content": text}
        if body.get("tools"):
            call = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": text}}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**answer, "usage": usage}).encode())


@pytest.fixture
def asked() -> list[dict[str, Any]]:
    """What the models were asked."""
    Models.asked = []
    return Models.asked


@pytest.fixture
def program_input(asked: list[dict[str, Any]], unique: Callable[[str], str]) -> Iterator[ProgramInput]:
    """A candidate that is right and a baseline that is wrong; each test fills its own dataset."""
    with serving(Models) as url:
        yield {
            "v": 1,
            "rollout": unique("uid"),
            "agent": "docs",
            "dataset": f"ls://{unique('scored')}",
            "as_of": None,
            "arms": {
                arm: {"model": "m", "base_url": f"{url}/{path}/v1", "api_key_env": "HF_TOKEN", "version": version}
                for arm, path, version in (("baseline", "bad", "v1.0.0"), ("candidate", "good", "v1.1.0-rc.1"))
            },
            "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"},
            "margin_points": "10",
            "goal": "nonInferior",
        }  # fmt: skip


def texts(n: int = 60) -> list[dict[str, Any]]:
    answers = [(f'{{"n": [{k}, 1]}}', rf"\[{k}, 1\]\}}$") for k in range(n)]
    return [
        {"inputs": {"task": text}, "outputs": {"text": text, "pattern": pattern}} for text, pattern in answers
    ]


def calls(n: int = 60) -> list[dict[str, Any]]:
    return [
        {
            "inputs": {
                "messages": [{"role": "user", "content": f'{{"n": 1, "k": "x{k}"}}'}],
                "tools": [TOOL],
            },
            "outputs": {
                "text": "",
                "tool_calls": [{"name": "read", "args": {"k": f"x{k}", "n": 1}, "id": "1"}],
            },
        }
        for k in range(n)
    ]


def fill(client: Client, program_input: ProgramInput, examples: list[dict[str, Any]]) -> None:
    fill_dataset(client, program_input["dataset"].removeprefix("ls://"), examples)


def test_both_models_get_the_examples_tools_and_their_calls_are_scored_and_recorded(
    sandbox: SandboxInfo,
    client: Client,
    program_input: ProgramInput,
    asked: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    fill(client, program_input, calls())
    program_input["scorer"] = {"type": "exact", "threshold": "1"}
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["ok"], result
    assert (result["candidate"]["success"], result["baseline"]["success"]) == ("1.0000", "0.0000")
    assert (result["verdict"], result["candidate"]["errors"]) == ("pass", 0)
    assert len(asked) == 120
    assert all(one["tools"] == [TOOL] for one in asked)
    run = next(iter(client.list_runs(project_id=result["experiments"]["candidate"]["id"], limit=1)))
    assert run.inputs["tools"] == [TOOL]
    assert run.outputs is not None
    assert run.outputs["tool_calls"][0]["function"]["name"] == "read"


@pytest.mark.parametrize(
    ("scorer", "candidate", "baseline"),
    [
        ({"type": "json", "threshold": "1"}, "1.0000", "0.0000"),
        ({"type": "regex", "threshold": "1"}, "1.0000", "0.0000"),
        ({"type": "chrF", "threshold": "0.9"}, "1.0000", "0.0000"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_built_in_scorers_say_which_answers_are_right(
    sandbox: SandboxInfo,
    client: Client,
    program_input: ProgramInput,
    tmp_path: Path,
    scorer: dict[str, str],
    candidate: str,
    baseline: str,
) -> None:
    fill(client, program_input, texts())
    result = run_program(sandbox, MODULE, tmp_path / "p", {**program_input, "scorer": scorer})
    assert result["ok"], result
    assert (result["candidate"]["success"], result["baseline"]["success"]) == (candidate, baseline)
    assert (result["scorer"], result["threshold"]) == (scorer["type"], scorer["threshold"])
    project = client.read_project(project_id=result["experiments"]["candidate"]["id"], include_stats=True)
    assert scorer["type"] in (project.feedback_stats or {})


def test_a_teams_own_scorer_is_found_in_an_installed_package(
    sandbox: SandboxInfo,
    client: Client,
    program_input: ProgramInput,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import os

    fill(client, program_input, texts())
    monkeypatch.setenv(
        "PYTHONPATH", f"{install(tmp_path)}{os.pathsep}{os.environ.get('PYTHONPATH', 'operator')}"
    )
    program_input["scorer"] = {"type": "custom", "name": "length", "threshold": "1"}
    assert run_program(sandbox, CHECK, tmp_path / "check", program_input)["ok"]
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["candidate"]["success"], result["baseline"]["success"]) == ("1.0000", "0.0000"), result
    assert "scorer custom length, threshold 1" in result["explain"]


@pytest.mark.parametrize(
    ("scorer", "reason", "says"),
    [
        (None, "ScorerMissing", "Of the 60 expected answers in ls://"),
        ({"type": "custom", "name": "nobody", "threshold": "1"}, "ScorerUnknown", "'nobody': no package"),
    ],
)
@pytest.mark.parametrize("module", [CHECK, MODULE])
def test_an_evaluation_without_a_scorer_that_can_be_had_asks_no_model(
    sandbox: SandboxInfo,
    client: Client,
    program_input: ProgramInput,
    asked: list[dict[str, Any]],
    tmp_path: Path,
    module: str,
    scorer: dict[str, str] | None,
    reason: str,
    says: str,
) -> None:
    fill(client, program_input, texts())
    result = run_program(sandbox, module, tmp_path / "p", {**program_input, "scorer": scorer})
    assert (result["reason"], result["transient"]) == (reason, False), result
    assert says in result["message"]
    assert "write scorer: {type: json} into" in result["message"] or scorer
    assert asked == []
