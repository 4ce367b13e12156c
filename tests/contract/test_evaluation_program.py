"""`python -m modelops.evaluation`: both models are asked the same, compared and recorded; or a refusal with a reason."""

import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from langsmith import Client
from tests.cluster import kubelet
from tests.cluster.attempt import TRAINING_RUN
from tests.cluster.pod_runner import pod_runner
from tests.contract import evaluations
from tests.contract.evaluations import CHECK, MODULE, Serve, chats, publish
from tests.contract.learning import (
    PROMPT,
    ProgramInput,
    environment,
    fill_dataset,
    langsmith_examples,
    run_program,
    start_program,
)
from tests.loopback_server import serving

from modelops.adapters.kube import KubeClient
from modelops.adapters.programjobs import JobPrograms, ProgramPodSettings
from modelops.api.v1alpha1.rollout import EvaluationPlan
from modelops.demo.stdlib_examples import StdlibExample, spoil
from modelops.engine.clock import SystemClock
from modelops.engine.resources import SECRETS, TRAINING_RUNS
from modelops.localcluster import LocalCluster
from modelops.ports import Json, ProgramOwner, ProgramSecret
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import USER

examples, held_out, trained = evaluations.examples, evaluations.held_out, evaluations.trained
program_input, serve = evaluations.program_input, evaluations.serve


def test_better_model_passes_with_numbers_and_both_experiments(
    sandbox: SandboxInfo,
    client: Client,
    program_input: ProgramInput,
    held_out: list[StdlibExample],
    tmp_path: Path,
) -> None:
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)

    assert result["ok"], result
    assert (result["verdict"], result["recommendation"]) == ("pass", "deploy"), result["explain"]
    assert result["n"] == len(held_out)
    low, high = (float(end) for end in result["interval"])
    assert -5 < low < float(result["difference_points"]) < high
    better, base = float(result["candidate"]["success"]), float(result["baseline"]["success"])
    assert better > base > 0
    discordant = result["discordant"]
    assert (discordant["b"] - discordant["c"]) / result["n"] == pytest.approx(better - base, abs=1e-3)
    assert result["candidate"]["errors"] == result["baseline"]["errors"] == 0
    assert result["candidate"]["latency_p50_ms"] > 0
    assert float(result["candidate"]["cost_per_1k"]) > 0
    assert result["findings"] == []
    assert "v1.1.0-rc.1" in result["explain"]

    assert result["recorded"]
    for arm, version in (("baseline", "v1.0.0"), ("candidate", "v1.1.0-rc.1")):
        project = client.read_project(project_id=result["experiments"][arm]["id"], include_stats=True)
        tags = {key: project.metadata[key] for key in ("agent", "model_version", "experiment_type")}
        assert tags == {
            "agent": "docs",
            "model_version": version,
            "experiment_type": "baseline_vs_candidate",
        }
        assert project.run_count == len(held_out)
        assert project.feedback_stats is not None
        assert project.feedback_stats["success"]["avg"] == pytest.approx(
            float(result[arm]["success"]), abs=1e-3
        )
        assert result["experiments"][arm]["id"] in result["experiment_url"]


def test_model_of_spoilt_data_fails(
    sandbox: SandboxInfo,
    hf: HfApi,
    serve: Serve,
    program_input: ProgramInput,
    trained: list[StdlibExample],
    unique: Callable[[str], str],
    tmp_path: Path,
) -> None:
    good = program_input["arms"]["candidate"]
    spoilt = publish(hf, f"{USER}/{unique('spoilt')}", spoil(trained))
    program_input["arms"] = {
        "baseline": {**good, "version": "v1.1.0"},
        "candidate": serve(spoilt, "v1.2.0-rc.1"),
    }
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["verdict"], result["recommendation"]) == ("fail", "reject"), result["explain"]
    assert "is worse by more than 5 points" in result["explain"]


def test_few_examples_are_inconclusive(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    program_input["max_examples"] = 10
    program_input["arms"]["candidate"] = program_input["arms"]["baseline"]
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["n"], result["verdict"], result["recommendation"]) == (10, "inconclusive", "review")
    assert len(result["findings"]) == 2


def topped_up(program_input: ProgramInput, first: int, both: int) -> ProgramInput:
    """Two equal models, with two looks."""
    good = program_input["arms"]["candidate"]
    program_input["arms"]["baseline"] = {**good, "version": "v1.0.0"}
    return {**program_input, "max_examples": first, "top_up_examples": both}


def test_a_second_look_asks_only_about_further_examples_and_decides_on_all(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    asked = topped_up(program_input, 40, 80)
    sandbox.forget_requests()
    result = run_program(sandbox, MODULE, tmp_path / "p", asked)
    assert (result["ok"], result["n"], result["verdict"]) == (True, 80, "pass"), result
    first, second = result["looks"]
    assert (first["examples"], first["errorPercent"], first["verdict"]) == (40, "1.89", "inconclusive")
    assert (second["examples"], second["errorPercent"], second["verdict"]) == (80, "4.03", "pass")
    assert float(first["intervalPoints"][0]) < -5 < float(second["intervalPoints"][0])
    assert result["interval"] == second["intervalPoints"]
    assert "first look at 40 examples decided nothing" in result["explain"]
    assert "its lower end with an error of 4.03 %" in result["explain"]
    lines = [json.loads(line) for line in (tmp_path / "p" / "answers.jsonl").read_text().splitlines()]
    assert len({(line["arm"], line["example"]) for line in lines}) == len(lines) == chats(sandbox) == 160


def test_a_first_look_that_decides_needs_no_second(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    sandbox.forget_requests()
    asked = {**program_input, "max_examples": 60, "top_up_examples": 90}
    result = run_program(sandbox, MODULE, tmp_path / "p", asked)
    assert (result["n"], result["verdict"]) == (60, "pass"), result["explain"]
    assert [look["examples"] for look in result["looks"]] == [60]
    assert "The first of two looks decides." in result["explain"]
    assert chats(sandbox) == 120


def test_an_evaluation_that_is_killed_in_its_second_look_pays_for_nothing_twice(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path, eventually: Any
) -> None:
    asked = topped_up(program_input, 40, 80)
    sandbox.fault("models", "latency", ms=60, times=None)
    sandbox.forget_requests()
    process = start_program(sandbox, MODULE, tmp_path / "p", asked)
    journal = tmp_path / "p" / "answers.jsonl"
    eventually(lambda: journal.exists() and journal.read_text().count("\n") >= 100, seconds=30)
    process.kill()
    process.wait()
    kept = journal.read_text().splitlines()
    sandbox.clear()

    result = run_program(sandbox, MODULE, tmp_path / "p", asked)
    assert (result["n"], result["verdict"]) == (80, "pass"), result
    assert [look["verdict"] for look in result["looks"]] == ["inconclusive", "pass"]
    lines = journal.read_text().splitlines()
    assert (lines[: len(kept)], len(lines)) == (kept, 160)
    assert chats(sandbox) <= 160 + asked["concurrency"]


def test_two_looks_can_decide_nothing(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    result = run_program(sandbox, MODULE, tmp_path / "p", topped_up(program_input, 20, 30))
    assert (result["n"], result["verdict"], result["recommendation"]) == (30, "inconclusive", "review")
    assert [look["verdict"] for look in result["looks"]] == ["inconclusive", "inconclusive"]


def test_killed_evaluation_resumes_and_repeats_no_finished_call(
    sandbox: SandboxInfo,
    program_input: ProgramInput,
    held_out: list[StdlibExample],
    tmp_path: Path,
    eventually: Any,
) -> None:
    sandbox.fault("models", "latency", ms=60, times=None)
    sandbox.forget_requests()
    process = start_program(sandbox, MODULE, tmp_path / "p", program_input)
    journal = tmp_path / "p" / "answers.jsonl"
    eventually(lambda: journal.exists() and journal.read_text().count("\n") >= 20, seconds=30)
    process.kill()
    process.wait()
    kept = journal.read_text().splitlines()
    with journal.open("a") as file:
        file.write('{"arm": "cand')
    sandbox.clear()

    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["ok"], result
    lines = journal.read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert len(lines) == 2 * len(held_out)
    assert chats(sandbox) <= 2 * len(held_out) + program_input["concurrency"]
    sandbox.forget_requests()
    assert run_program(sandbox, MODULE, tmp_path / "p", program_input) == result
    assert sandbox.requests() == []


async def test_an_evaluation_in_a_job_repeats_no_finished_call_after_its_pod_was_killed(
    sandbox: SandboxInfo,
    program_input: ProgramInput,
    held_out: list[StdlibExample],
    cluster: LocalCluster,
    namespace: str,
    tmp_path: Path,
) -> None:
    """The real Job controller makes the Pods; the test plays the kubelet, and another leader reads the result."""
    keys = {"HF_TOKEN", "LANGSMITH_API_KEY"}
    given = environment(sandbox)
    image = {name: given[name] for name in ("PATH", "PYTHONPATH") if name in given}
    async with (
        KubeClient.from_kubeconfig(cluster.kubeconfig) as kube,
        pod_runner(cluster, kube, tmp_path, environment=image) as runner,
    ):
        owner = await kube.create(
            TRAINING_RUNS, {**TRAINING_RUN, "metadata": {"name": "docs-1", "namespace": namespace}}
        )
        secret = {
            "metadata": {"name": "tokens", "namespace": namespace},
            "stringData": {k: given[k] for k in keys},
        }
        await kube.create(SECRETS, {"apiVersion": "v1", "kind": "Secret", **secret})
        uid = owner["metadata"]["uid"]
        name = f"evaluation-{uid}"

        def leader() -> JobPrograms:
            settings = ProgramPodSettings.model_validate({"image": "modelops", "volumeSize": "1Gi"})
            return JobPrograms(kube, settings, installation="0a1b2c3d", clock=SystemClock(), read_seconds=0)

        async def start(programs: JobPrograms) -> None:
            await programs.start(
                name,
                MODULE,
                program_input,
                {k: v for k, v in given.items() if k not in {*keys, *image, "HOME"}},
                secrets={k: ProgramSecret(value=given[k], secret="tokens", key=k) for k in keys},
                owner=ProgramOwner(kind="TrainingRun", namespace=namespace, name="docs-1", uid=uid),
            )

        sandbox.fault("models", "latency", ms=60, times=None)
        sandbox.forget_requests()
        await start(leader())
        first = await kubelet.wait_for_pod(kube, namespace, f"modelops-{name}")
        assert await runner.run(first)
        journal = runner.claim(namespace, f"modelops-{name}") / "program" / "answers.jsonl"

        async def has_answers() -> bool:
            return journal.exists() and journal.read_text().count("\n") >= 20

        await kubelet.wait_until(has_answers, seconds=30, expected="20 answers")
        await runner.kill(first)
        kept = journal.read_text().splitlines()
        sandbox.clear()

        async def second_pod() -> Json | None:
            pods, _ = await kube.list(kubelet.PODS, namespace=namespace)
            return next((pod for pod in pods if pod["metadata"]["uid"] != first["metadata"]["uid"]), None)

        second = await kubelet.wait_until(second_pod, expected="a second Pod")
        assert await runner.run(second)
        assert await runner.wait(second) == 0
        successor = leader()

        async def result() -> Json | None:
            state = await successor.observe(name)
            return state.result if state is not None else None

        found = await kubelet.wait_until(result, expected="the result")
    assert (found["ok"], found["verdict"]) == (True, "pass"), found
    lines = journal.read_text().splitlines()
    assert lines[: len(kept)] == kept
    assert len(lines) == 2 * len(held_out)
    assert chats(sandbox) <= 2 * len(held_out) + program_input["concurrency"]


def test_failed_calls_count_as_failures(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    endpoint = program_input["arms"]["candidate"]["base_url"].split("/e/")[1].split("/")[0]
    sandbox.fault("models", "status", status=500, path_regex=f"/e/{endpoint}/", times=None)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["verdict"] == "fail", result
    assert result["candidate"]["success"] == "0.0000"
    assert result["candidate"]["errors"] == result["n"]
    assert any("calls failed and count as failures, the first with HTTP 500" in f for f in result["findings"])
    failed = f"Failed and counted as no success: {result['n']} of {result['n']} calls of v1.1.0-rc.1."
    assert failed in result["explain"]


def test_candidate_that_answers_no_call_is_refused_where_the_baseline_succeeds_on_nothing(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    endpoint = program_input["arms"]["candidate"]["base_url"].split("/e/")[1].split("/")[0]
    sandbox.fault("models", "status", status=500, path_regex=f"/e/{endpoint}/", times=None)
    program_input["scorer"] = {"type": "exact", "threshold": "1"}
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == ("CandidateUnavailable", False), result
    assert "does not answer" in result["message"]


@pytest.mark.parametrize(
    ("status", "reason"), [(400, "ModelRefused"), (402, "CreditsExhausted")], ids=["400", "402 in the middle"]
)
def test_baseline_that_refuses_is_final_in_the_services_words(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path, status: int, reason: str
) -> None:
    endpoint = program_input["arms"]["baseline"]["base_url"].split("/e/")[1].split("/")[0]
    body = json.dumps({"error": {"message": "max_tokens is too large"}})
    rate = 1.0 if status == 400 else 0.2
    sandbox.fault(
        "models", "status", status=status, body=body, path_regex=f"/e/{endpoint}/", times=None, rate=rate
    )
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == (reason, False), result
    assert "max_tokens is too large" in result["message"]


def test_failing_baseline_is_transient_and_only_its_calls_are_repeated(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    endpoint = program_input["arms"]["baseline"]["base_url"].split("/e/")[1].split("/")[0]
    fault = sandbox.fault("models", "status", status=500, path_regex=f"/e/{endpoint}/", times=None)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == ("BaselineUnavailable", True)
    sandbox.remove_fault(fault)
    sandbox.forget_requests()
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["verdict"] == "pass", result
    assert chats(sandbox) == result["n"]


class WithoutText(BaseHTTPRequestHandler):
    """A model that uses all of its tokens for its reasoning. Its answers are complete, and each is billed."""

    calls = 0

    def do_POST(self) -> None:
        WithoutText.calls += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        message = {"role": "assistant", "content": None, "reasoning": "Let me think."}
        usage = {"prompt_tokens": 9, "completion_tokens": 64, "total_tokens": 73, "cost": 0.0004}
        choice = {"index": 0, "message": message, "finish_reason": "length"}
        answer = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**answer, "usage": usage}).encode())


def test_baseline_that_answers_without_a_text_is_final_and_no_call_is_paid_for_again(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    with serving(WithoutText) as url:
        program_input["arms"]["baseline"]["base_url"] = f"{url}/v1"
        result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
        assert (result["reason"], result["transient"]) == ("ModelRefused", False), result
        calls = WithoutText.calls
        assert run_program(sandbox, MODULE, tmp_path / "p", program_input) == result
    assert WithoutText.calls == calls
    assert "an answer without a text (finish_reason length)" in result["message"]
    assert "spec.prompt.maxTokens" in result["message"]


def test_baseline_whose_refusals_alone_are_too_many_is_not_asked_again_for_one_outage(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    endpoint = program_input["arms"]["baseline"]["base_url"].split("/e/")[1].split("/")[0]
    paths = {"path_regex": f"/e/{endpoint}/", "method": "POST"}
    sandbox.fault("models", "status", status=500, times=1, **paths)
    body = json.dumps({"error": {"message": "the context is too long"}})
    sandbox.fault("models", "status", status=400, body=body, times=None, rate=0.5, **paths)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert (result["reason"], result["transient"]) == ("ModelRefused", False), result
    assert "the context is too long" in result["message"]


def test_rate_limited_calls_are_repeated_and_reported(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    sandbox.fault("models", "status", status=429, method="POST", times=3, retry_after=0)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["verdict"] == "pass"
    assert result["candidate"]["errors"] == result["baseline"]["errors"] == 0
    assert any("repeated after 429 or 503" in finding for finding in result["findings"])


def test_langsmith_that_goes_down_in_the_middle_does_not_change_the_verdict(
    sandbox: SandboxInfo, program_input: ProgramInput, tmp_path: Path
) -> None:
    sandbox.fault("langsmith", "status", status=503, method="POST", times=None)
    program_input["record_seconds"] = 1
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["verdict"] == "pass", result
    assert not result["recorded"]
    assert any(f.startswith("LangSmith does not have the complete experiments") for f in result["findings"])


@pytest.mark.parametrize(
    ("change", "more", "reason", "says"),
    [
        ({}, {"HF_TOKEN": "hf_wrong_one"}, "ModelUnauthorized", "the key in HF_TOKEN is wrong"),
        (
            {"service": "huggingface"},
            {"HF_TOKEN": "hf_wrong_one"},
            "ModelUnauthorized",
            "the key in HF_TOKEN is wrong",
        ),
        ({"api_key_env": "NO_SUCH_KEY"}, {}, "ModelUnauthorized", "NO_SUCH_KEY is not set"),
        ({"model": "nobody/nothing"}, {}, "ModelNotFound", "nobody/nothing"),
    ],
)
def test_permanent_refusal_ends_the_evaluation_at_once(
    sandbox: SandboxInfo,
    program_input: ProgramInput,
    tmp_path: Path,
    change: dict[str, str],
    more: dict[str, str],
    reason: str,
    says: str,
) -> None:
    waits = "service" in change  # Hugging Face refuses the token: the rollout waits for another one.
    for arm in ("baseline", "candidate") if waits else ("candidate",):
        program_input["arms"][arm].update(change)
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input, **more)
    assert (result["reason"], result["transient"]) == (reason, waits), result
    assert result.get("token_refused", False) == waits
    assert says in result["message"]
    assert "hf_wrong_one" not in json.dumps(result)
    assert chats(sandbox) < 40


def test_several_repetitions_are_averaged_within_the_example(
    sandbox: SandboxInfo, program_input: ProgramInput, held_out: list[StdlibExample], tmp_path: Path
) -> None:
    program_input["repetitions"] = 2
    result = run_program(sandbox, MODULE, tmp_path / "p", program_input)
    assert result["verdict"] == "pass", result
    assert (result["n"], result["candidate"]["calls"]) == (len(held_out), 2 * len(held_out))
    assert result["discordant"] is None


@pytest.fixture
def unserved(
    sandbox: SandboxInfo, client: Client, held_out: list[StdlibExample], unique: Any
) -> ProgramInput:
    """An evaluation whose candidate has no endpoint yet, against a baseline at OpenRouter."""
    name = unique("held out")
    fill_dataset(client, name, langsmith_examples(held_out))
    baseline = {
        "model": "modelops-sandbox/name-as-sentence",
        "base_url": sandbox.openrouter,
        "api_key_env": "MODELOPS_BASELINE_KEY",
        "version": "v1.0.0",
        "service": "openrouter",
        "key_name": "AgentModel docs spec.secretRefs.openRouter",
    }
    candidate = {"model": "org/m", "base_url": "", "api_key_env": "HF_TOKEN", "version": "v1.1.0-rc.1"}
    return {
        "v": 1,
        "rollout": unique("uid"),
        "agent": "docs",
        "dataset": f"ls://{name}",
        "arms": {"baseline": baseline, "candidate": candidate},
        "prompt": PROMPT,
        "scorer": {"type": "tokenF1", "threshold": "0.35"},
        "margin_points": "5",
        "goal": "nonInferior",
        "max_examples": 10,
    }


def test_check_selects_the_examples_and_calls_no_model(
    sandbox: SandboxInfo, unserved: ProgramInput, tmp_path: Path
) -> None:
    sandbox.forget_requests()
    key = {"MODELOPS_BASELINE_KEY": sandbox.openrouter_key}
    result = run_program(sandbox, CHECK, tmp_path / "p", unserved, **key)
    assert (result["ok"], result["examples"]) == (True, 10), result
    assert (result["unpriced"], result["unanswered"]) == ([], [])
    assert 0 < float(result["calls_usd"]) < 0.1
    plan = EvaluationPlan.model_validate(result["plan"])
    assert (plan.examples, plan.margin_points, plan.disagreement_points) == (10, "5", "20")
    assert (
        0
        < float(plan.pass_if_half_margin_worse)
        < float(plan.pass_if_equal)
        < float(plan.pass_if_expected_gain)
    )
    assert chats(sandbox) == 0
    assert sandbox.requests(service="openrouter", path_regex="chat") == []


def test_without_a_margin_it_follows_from_the_number_of_examples(
    sandbox: SandboxInfo, unserved: ProgramInput, tmp_path: Path
) -> None:
    unserved["margin_points"] = None
    key = {"MODELOPS_BASELINE_KEY": sandbox.openrouter_key}
    result = run_program(sandbox, CHECK, tmp_path / "p", unserved, **key)
    assert result["plan"]["marginPoints"] == "10", result


@pytest.mark.parametrize(("first", "says"), [(20, "lower"), (25, "to 20, or choose")])
def test_too_few_further_examples_are_refused_before_anything_is_asked(
    sandbox: SandboxInfo,
    unserved: ProgramInput,
    held_out: list[StdlibExample],
    client: Client,
    tmp_path: Path,
    first: int,
    says: str,
) -> None:
    name = f"{unserved['dataset'].removeprefix('ls://')} of {first + 5}"
    fill_dataset(client, name, langsmith_examples(held_out[: first + 5]))
    key = {"MODELOPS_BASELINE_KEY": sandbox.openrouter_key}
    asked = {**unserved, "dataset": f"ls://{name}", "max_examples": first, "top_up_examples": 60}
    result = run_program(sandbox, CHECK, tmp_path / "p", asked, **key)
    assert (result["reason"], result["transient"]) == ("TopUpTooSmall", False), result
    message = result["message"]
    assert f"{first + 5} examples are left of the 60 of spec.evaluation.topUp.maxExamples" in message
    assert f"takes {first * 3 // 2} or more" in message or first == 25
    assert (says in message) == (first == 25)
    assert sandbox.requests(service="openrouter", path_regex="chat") == []


def test_the_check_plans_both_looks_and_says_where_the_second_is_short(
    sandbox: SandboxInfo,
    unserved: ProgramInput,
    held_out: list[StdlibExample],
    client: Client,
    tmp_path: Path,
) -> None:
    name = f"{unserved['dataset'].removeprefix('ls://')} of 40"
    fill_dataset(client, name, langsmith_examples(held_out[:40]))
    key = {"MODELOPS_BASELINE_KEY": sandbox.openrouter_key}
    asked = {**unserved, "dataset": f"ls://{name}", "max_examples": 25, "top_up_examples": 60}
    result = run_program(sandbox, CHECK, tmp_path / "p", asked, **key)
    assert (result["ok"], result["examples"]) == (True, 40), result
    plan = EvaluationPlan.model_validate(result["plan"])
    assert [look.examples for look in plan.looks] == [25, 40]
    assert 0 < float(plan.second_look_if_equal or 0) < 1
    assert "There are two looks: 25 examples" in plan.message
    (finding,) = result["look_findings"]
    assert finding.startswith("the second look has 40 of 60 examples")
    one = run_program(sandbox, CHECK, tmp_path / "one", {**asked, "top_up_examples": None}, **key)
    assert float(one["calls_usd"]) < float(result["calls_usd"])
    assert one["seconds"] < result["seconds"]


@pytest.mark.parametrize(
    ("content", "reason", "says"),
    [
        (None, "DatasetNotFound", "no dataset"),
        ([], "DatasetEmpty", "add some"),
        ([{"inputs": {"task": "x"}, "outputs": {}}], "DatasetShapeInvalid", "its `outputs`"),
        ([{"inputs": {"task": "x"}, "outputs": {"y": "z"}}], "PromptRenderFailed", "docstring"),
    ],
)
def test_check_refuses_like_the_evaluation(
    sandbox: SandboxInfo,
    client: Client,
    unserved: ProgramInput,
    unique: Callable[[str], str],
    tmp_path: Path,
    content: list[dict[str, Any]] | None,
    reason: str,
    says: str,
) -> None:
    name = unique("bad")
    if content is not None:
        fill_dataset(client, name, content)
    result = run_program(sandbox, CHECK, tmp_path / "p", {**unserved, "dataset": f"ls://{name}"})
    assert (result["reason"], result["transient"]) == (reason, False), result
    assert says in result["message"]


@pytest.mark.parametrize("module", [CHECK, MODULE])
@pytest.mark.parametrize(("key", "says"), [("sk-or-v1-wrong", "wrong"), ("", "not set")])
def test_key_that_openrouter_refuses_is_named_by_its_field(
    sandbox: SandboxInfo, unserved: ProgramInput, tmp_path: Path, module: str, key: str, says: str
) -> None:
    keys = {"MODELOPS_BASELINE_KEY": key, "MODELOPS_CANDIDATE_KEY": sandbox.openrouter_key}
    if module == MODULE:  # There the candidate is served, and its own key is taken.
        baseline = unserved["arms"]["baseline"]
        candidate = {**baseline, "version": "v1.1.0-rc.1", "api_key_env": "MODELOPS_CANDIDATE_KEY"}
        unserved = {**unserved, "arms": {"baseline": baseline, "candidate": candidate}}
    result = run_program(sandbox, module, tmp_path / "p", unserved, **keys)
    assert (result["reason"], result["transient"]) == ("ModelUnauthorized", False), result
    assert "AgentModel docs spec.secretRefs.openRouter" in result["message"]
    assert says in result["message"]
    assert "MODELOPS_BASELINE_KEY" not in result["message"]
    assert "sk-or-v1-wrong" not in result["message"]


@pytest.mark.parametrize("model", ["anthropic/claude-3.5-sonet", "claude-3.5-sonnet", "nobody/none:nitro"])
def test_check_refuses_a_baseline_that_openrouter_does_not_have(
    sandbox: SandboxInfo, unserved: ProgramInput, tmp_path: Path, model: str
) -> None:
    unserved["arms"]["baseline"]["model"] = model
    key = {"MODELOPS_BASELINE_KEY": sandbox.openrouter_key}
    result = run_program(sandbox, CHECK, tmp_path / "p", unserved, **key)
    assert (result["reason"], result["transient"]) == ("ModelNotFound", False), result
    assert f"has no model {model}" in result["message"]
    assert "OpenRouter" in result["message"]
    assert "spec.baseline" in result["message"]


@pytest.mark.parametrize("suffix", ["", ":nitro", ":online"])
def test_check_accepts_a_baseline_with_a_choice_of_providers(
    sandbox: SandboxInfo, unserved: ProgramInput, tmp_path: Path, suffix: str
) -> None:
    unserved["arms"]["baseline"]["model"] += suffix
    key = {"MODELOPS_BASELINE_KEY": sandbox.openrouter_key}
    assert run_program(sandbox, CHECK, tmp_path / "p", unserved, **key)["ok"]


def test_key_cannot_be_checked_where_openrouter_does_not_answer(
    sandbox: SandboxInfo, unserved: ProgramInput, tmp_path: Path
) -> None:
    number = sandbox.fault("openrouter", "status", status=500, times=None)
    result = run_program(sandbox, CHECK, tmp_path / "p", unserved, MODELOPS_BASELINE_KEY="anything")
    sandbox.remove_fault(number)
    assert result["ok"], result
