"""An evaluation with target agent: the example agent that people copy, and a sample of production, in the sandbox."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from langsmith import Client
from tests.contract.example_agent import Agent, example_agent
from tests.contract.learning import PROMPT, ProgramInput, fill_dataset, numbered, run_program
from tests.contract.test_judge import JUDGE
from tests.patience import patient
from tests.unit.evaluation.own_agents import install

from modelops.api.v1alpha1.agent_evaluation import ProductionResult
from modelops.sandbox.client import SandboxInfo

MODULE, CHECK = "modelops.evaluation", "modelops.evaluation.check"
TOKEN = "asked-by-an-evaluation"
BASELINE, CANDIDATE = "modelops-sandbox/name-as-sentence", "modelops-sandbox/echo-signature"


@pytest.fixture
def agent(sandbox: SandboxInfo, tmp_path: Path) -> Iterator[Agent]:
    """An agent that production routes to a model of its own, which no arm is."""
    file = tmp_path / "agents.yaml"
    file.write_text(
        "agents:\n  docs:\n    model: modelops-sandbox/of-production\n    endpoint: openrouter\n"
        f"    endpoint_url: {sandbox.openrouter}\n    api_key_env: OPENROUTER_API_KEY\n    version: v0.9.0\n"
    )
    with example_agent(
        MODELOPS_AGENTS_FILE=str(file),
        OPENROUTER_API_KEY=sandbox.openrouter_key,
        MODELOPS_EVALUATION_TOKEN=TOKEN,
    ) as started:
        yield started


@pytest.fixture
def given(sandbox: SandboxInfo, client: Client, unique: Any) -> ProgramInput:
    name = unique("held out")
    fill_dataset(client, name, numbered(60))

    def arm(model: str, version: str) -> dict[str, Any]:
        return {
            "model": model,
            "base_url": sandbox.openrouter,
            "api_key_env": "OPENROUTER_API_KEY",
            "agent_key_env": "OPENROUTER_API_KEY",
            "version": version,
            "service": "openrouter",
        }

    return {
        "v": 1,
        "rollout": unique("uid"),
        "agent": "docs",
        "dataset": f"ls://{name}",
        "arms": {"baseline": arm(BASELINE, "v1.0.0"), "candidate": arm(CANDIDATE, "v1.1.0-rc.1")},
        "prompt": PROMPT,
        "scorer": {"type": "chrF", "threshold": "0.1"},
        "margin_points": "10",
        "goal": "nonInferior",
        "target": "agent",
    }


def keys(sandbox: SandboxInfo, **more: str) -> dict[str, str]:
    return {"OPENROUTER_API_KEY": sandbox.openrouter_key, "MODELOPS_AGENT_KEY": TOKEN, **more}


def test_the_example_agent_answers_with_exactly_the_model_that_it_is_asked_to_use(
    sandbox: SandboxInfo, given: ProgramInput, agent: Agent, tmp_path: Path
) -> None:
    given["asked_agent"] = {"url": f"{agent.url}/evaluate", "key_name": "secretRefs.agent", "max_calls": 2}
    checked = run_program(sandbox, CHECK, tmp_path / "check", given, **keys(sandbox))
    assert checked["ok"], checked
    assert float(checked["calls_usd"]) > 0
    sandbox.forget_requests()
    found = run_program(sandbox, MODULE, tmp_path / "p", given, **keys(sandbox))
    assert found["ok"], found
    assert found["target"] == "agent"
    assert (found["baseline"]["errors"], found["candidate"]["errors"]) == (0, 0), found["findings"]
    assert "the agent itself" in found["explain"]
    assert len(sandbox.requests(service="openrouter", method="POST")) == 2 * found["n"]
    answers = [json.loads(line) for line in (tmp_path / "p" / "answers.jsonl").read_text().splitlines()]
    # The names are those of the services' own answers, which the agent has passed on, and the texts are of two models.
    assert {(one["arm"], one["model"]) for one in answers} == {
        ("baseline", BASELINE),
        ("candidate", CANDIDATE),
    }
    texts = {(one["example"], one["arm"]): one["text"] for one in answers}
    assert all(texts[e, "baseline"] != texts[e, "candidate"] for e, _ in texts)
    assert any("calls of the model for an answer: 1.0 on average" in one for one in found["findings"])


def test_a_wrong_token_is_found_before_anything_is_paid(
    sandbox: SandboxInfo, given: ProgramInput, agent: Agent, tmp_path: Path
) -> None:
    given["asked_agent"] = {"url": f"{agent.url}/evaluate", "key_name": "spec.secretRefs.agent"}
    found = run_program(sandbox, CHECK, tmp_path / "c", given, **keys(sandbox, MODELOPS_AGENT_KEY="wrong"))
    assert found["reason"] == "AgentUnauthorized"
    assert "spec.secretRefs.agent" in found["message"]
    body = json.dumps({"session": "s", "messages": [], "route": {"model": "m"}}).encode()
    request = Request(f"{agent.url}/evaluate", body, {"Content-Type": "application/json"})
    with pytest.raises(HTTPError) as refused, urlopen(request, timeout=patient(10)):
        pass
    assert refused.value.code == 401
    refused.value.close()


def test_an_agent_in_the_image_answers_with_both_models(
    sandbox: SandboxInfo, given: ProgramInput, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(install(folder)), *filter(None, [os.environ.get("PYTHONPATH")])])
    )
    given["asked_agent"] = {"entry_point": "team_agents:plain"}
    found = run_program(sandbox, MODULE, tmp_path / "p", given, **keys(sandbox))
    assert found["ok"], found
    assert found["target"] == "agent"
    assert (found["baseline"]["errors"], found["candidate"]["errors"]) == (0, 0), found["findings"]
    given["asked_agent"] = {"entry_point": "team_agents:own_choice"}
    found = run_program(sandbox, MODULE, tmp_path / "q", given, **keys(sandbox))
    assert found["reason"] == "AgentMisrouted", found


SECRET = "AKIA" + "Q3EGRM7ZK2PLVX5T"


def production(client: Client, unique: Any, *, held_out: str) -> str:
    """A project with runs of production: four that can be asked, and others."""
    name: str = unique("docs")
    for task, agent, age in (
        *((f"def of_production_{n}(x): ...", "docs", n) for n in range(4)),
        ("def of_production_0(x): ...", "docs", 9),
        (held_out, "docs", 10),
        (f"use {SECRET}", "docs", 11),
        ("def of_another_agent(): ...", "code_review", 12),
        ("def long_ago(): ...", "docs", 60 * 24 * 30),
    ):
        run, start = uuid4(), datetime.now(UTC) - timedelta(minutes=age + 1)
        client.create_run(
            "agent", {"task": task}, "chain", id=run, project_name=name, start_time=start,
            end_time=start + timedelta(seconds=1), outputs={}, extra={"metadata": {"agent": agent}},
            trace_id=run, dotted_order=f"{start:%Y%m%dT%H%M%S%fZ}{run}",
        )  # fmt: skip
    client.flush()
    return name


def test_recent_inputs_of_production_are_asked_of_both_models_and_reported_apart(
    sandbox: SandboxInfo, given: ProgramInput, client: Client, unique: Any, tmp_path: Path
) -> None:
    given["target"] = "model"
    without = run_program(sandbox, MODULE, tmp_path / "without", given, **keys(sandbox))
    held_out = numbered(60)[0]["inputs"]["task"]
    project = production(client, unique, held_out=held_out)
    alone = run_program(sandbox, CHECK, tmp_path / "alone", given, **keys(sandbox))
    given |= {
        "production": {"project": project, "runs": 10, "days": 7},
        "judge": {"model": JUDGE, "max_examples": 4},
        "rollout": unique("uid"),
    }
    judging = keys(sandbox, MODELOPS_JUDGE_KEY=sandbox.openrouter_key)
    checked = run_program(sandbox, CHECK, tmp_path / "check", given, **judging)
    assert float(checked["calls_usd"]) > float(alone["calls_usd"])
    assert checked["seconds"] > alone["seconds"]
    sandbox.forget_requests()
    found = run_program(sandbox, MODULE, tmp_path / "p", given, **judging)
    result = ProductionResult.model_validate(found["production"])
    assert (result.runs, result.left_out) == (4, 4)
    assert result.baseline is not None
    assert result.candidate is not None
    assert (result.baseline.errors, result.candidate.errors) == (0, 0)
    assert result.candidate.latency_p50_milliseconds >= 0
    assert result.judge is not None
    assert (result.judge.compared, result.judge.missing, found["judge"]["compared"]) == (4, 0, 4)
    calls = len(sandbox.requests(service="openrouter", method="POST"))
    assert calls == 2 * (found["n"] + 4) + 2 * (4 + 4)
    (tmp_path / "p" / "result.json").unlink()
    again = run_program(sandbox, MODULE, tmp_path / "p", given, **judging)
    assert again["production"] == found["production"]
    assert len(sandbox.requests(service="openrouter", method="POST")) == calls  # nothing is paid for twice
    same = ("n", "verdict", "difference_points", "interval")
    assert {name: found[name] for name in same} == {name: without[name] for name in same}
    assert without["production"] is None
    said = " ".join(found["findings"])
    for why in ("of another agent", "a held-out example has the same inputs", "looks like a secret"):
        assert why in said
    kept = "".join(one.read_text() for one in (tmp_path / "p").iterdir() if one.is_file())
    assert SECRET not in kept + said


def test_a_project_that_does_not_exist_is_named_before_anything_is_paid(
    sandbox: SandboxInfo, given: ProgramInput, unique: Any, tmp_path: Path
) -> None:
    given |= {"target": "model", "production": {"project": unique("none"), "runs": 10, "days": 7}}
    found = run_program(sandbox, CHECK, tmp_path / "check", given, **keys(sandbox))
    assert found["reason"] == "NoProject"
    assert given["production"]["project"] in found["message"]
    given["production"]["project"] = ""
    found = run_program(sandbox, CHECK, tmp_path / "again", given, **keys(sandbox))
    assert "spec.langsmith.project" in found["message"]
