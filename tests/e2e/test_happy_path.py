"""The main path: an agent gets a better model, kubectl shows every step, and no step is done twice."""

from __future__ import annotations

import asyncio
import re
import subprocess

from tests.conftest import Kubectl
from tests.e2e import manifests
from tests.e2e.api import condition, status, status_summary
from tests.e2e.canary import SHORT_EVALUATION
from tests.e2e.environment import Environment
from tests.patience import patient

from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

RUN, ROLLOUT = "trainingruns.modelops.code-chef.dev", "rollouts.modelops.code-chef.dev"
AGENT = "agentmodels.modelops.code-chef.dev"
STEPS = {"canary": {"steps": [{"setWeight": 50}, {"pause": {"durationSeconds": 1}}, {"setWeight": 100}]}}
STEP_EVENTS = (
    "Of 12 held-out",
    "agents test at weight 0 whether they reach the canary",
    "step 1 of 3: 50 percent of sessions",
    "step 2 of 3: watching for 1 healthy second",
    "step 3 of 3: 100 percent of sessions",
    "v1.1.0 becomes stable",
)


async def kubectl_output(kubectl: Kubectl, env: Environment, *arguments: str) -> str:
    """Runs kubectl in a thread, so that the proxies go on; returns its output."""
    done: subprocess.CompletedProcess[str] = await asyncio.to_thread(
        kubectl, *arguments, namespace=env.api.namespace, check=True
    )
    return done.stdout


async def kubectl_describe(kubectl: Kubectl, env: Environment, name: str) -> str:
    """Output of `kubectl describe` with each run of white space as one space: the widths of its columns vary."""
    return " ".join((await kubectl_output(kubectl, env, "describe", name)).split())


async def event_messages(env: Environment, item: Json, *, last: str) -> list[str]:
    """Messages of an object's Events. Events are posted in the background, so this waits for the message `last`."""
    uid, messages = item["metadata"]["uid"], list[str]()
    async with asyncio.timeout(patient(30)):
        while last not in messages:
            await asyncio.sleep(0.1)
            events = await env.api.list("Event")
            messages = [e["message"] for e in events if e["involvedObject"]["uid"] == uid]
    return messages


def success_percent(arm: Json) -> str:
    """An arm's success rate in percent, as the condition's message has it."""
    return f"{float(arm['success']) * 100:.1f}"


async def recreate(env: Environment, kind: str, name: str) -> Json:
    """Deletes the object and creates it again with the same spec; waits until it has finished, and returns it."""
    found = await env.api.get(kind, name)
    assert found is not None
    await env.api.delete(kind, name)
    await env.api.wait_until_deleted(kind, name)
    recreated = {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}
    await env.api.create(recreated)
    return await env.api.wait_until_finished(kind, name)


async def test_a_better_model_is_trained_evaluated_promoted_and_rolled_back(
    env: Environment, kubectl: Kubectl
) -> None:
    agents = await asyncio.to_thread(env.start_agents)
    await env.create_agent_model()
    await env.start_operator()

    # A better model is trained.
    await env.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await kubectl_output(
        kubectl, env, "wait", "--for=condition=Finished", f"--timeout={patient(60):.0f}s", f"{RUN}/first"
    )
    run = await env.api.wait_until_finished("TrainingRun", "first")
    assert condition(run, "Succeeded") == "True", status_summary(run)
    uid, run_status = run["metadata"]["uid"], status(run)
    jobs = [
        job
        for job in await asyncio.to_thread(env.cloud.sandbox.job_billing)
        if uid in str(job["labels"].get("modelops-attempt"))
    ]
    assert [job["id"] for job in jobs] == [run_status["job"]["id"]]
    record = await env.read_record()
    settled = record.settlements[f"{uid}/1"]
    assert (settled.jobs, settled.usd_micro) == ((run_status["job"]["id"],), jobs[0]["costMicroUSD"])
    (pace,) = record.speeds  # Reported by the job, for the next estimate.
    assert pace.matches("cpu-basic", "sft", BASE_MODEL)
    entry = record.registry()["docs"]["history"][0]
    assert (entry["version"], entry["deployment_status"]) == ("v1.1.0-rc.1", "trained")
    assert (entry["eval_scores"], entry["hub_repo"]) == ({}, run_status["model"]["repo"])
    story = await kubectl_output(kubectl, env, "describe", f"{RUN}/first")
    for word in ("DatasetPrepared", "JobSubmitted", "Trained", "Estimate", "Cost USD"):
        assert word in story, story
    assert "Succeeded" in await kubectl_output(kubectl, env, "get", RUN)

    # It becomes stable.
    given: manifests.Manifest = {"strategy": STEPS, "evaluation": SHORT_EVALUATION}
    await env.api.create(manifests.rollout("second", {"trainingRunRef": {"name": "first"}}, **given))
    await kubectl_output(
        kubectl, env, "wait", "--for=condition=Finished", f"--timeout={patient(90):.0f}s", f"{ROLLOUT}/second"
    )
    rollout = await env.api.wait_until_finished("Rollout", "second")
    assert status(rollout)["reason"] == "Promoted", status_summary(rollout)
    repo = run_status["model"]["repo"]
    await env.wait_until(lambda: agents.models() == {repo}, expected="served by the new model")
    record = await env.read_record()
    assert (record.stable.version, record.stable.model) == ("v1.1.0", repo)
    entry = record.registry()["docs"]["history"][0]
    assert (entry["version"], entry["deployment_status"]) == ("v1.1.0", "deployed")
    assert entry["eval_scores"]["accuracy"] > 0
    verdict = status(rollout)["evaluation"]
    end = next(c["message"] for c in status(rollout)["conditions"] if c["type"] == "Ready")
    assert end.startswith(f"v1.1.0 ({repo}) is stable; v1.0.0 is kept for an undo")
    events = await event_messages(env, rollout, last=end)
    story = await kubectl_describe(kubectl, env, f"{ROLLOUT}/second")
    for words in (
        f"Of 12 held-out examples, v1.1.0-rc.1 succeeds on {success_percent(verdict['candidate'])} % and v1.0.0 "
        f"succeeds on {success_percent(verdict['baseline'])} %: a difference of ",
        f"Difference Points: {verdict['differencePoints']} Disagreement Points: {verdict['disagreementPoints']} "
        "Examples: 12 ",
        "Candidates Compared: 1 Dataset Version: ",
        f"Interval Points: {' '.join(verdict['intervalPoints'])} ",
        f" Margin Points: {SHORT_EVALUATION['marginPoints']} ",
        f"Recommendation: deploy Recorded: true Report URL: {verdict['reportUrl']} Scorer: tokenF1 "
        "Target: model Threshold: 0 Verdict: pass ",
        "Weight: 100 Events: ",
        *events,
    ):
        assert words in story, story
    begun = [text.partition(" examples")[0] for text in events]
    assert [text for text in begun if text in STEP_EVENTS] == list(STEP_EVENTS)
    assert condition(rollout, "RoutingPropagated") == "True"
    assert events[-1] == end
    row = (await kubectl_output(kubectl, env, "get", ROLLOUT, "--no-headers")).split()
    assert row[:-1] == ["second", "docs", "v1.1.0-rc.1", "Succeeded", "3", "100", "pass", "Promoted"]

    # The AgentModel shows it as well.
    await env.api.wait_until("AgentModel", "docs", lambda o: status(o)["stable"]["version"] == "v1.1.0")
    story = await kubectl_describe(kubectl, env, f"{AGENT}/docs")
    for words in (
        rf"Stable: Endpoint: huggingface Endpoint Name: \S+ Endpoint URL: \S+ Model: {repo} Revision: \w+ Since: \S+ "
        r"Version: v1\.1\.0 ",
        rf"Previous: .* Model: {manifests.BASELINE} Version: v1\.0\.0 ",
        rf"Versions: Deployment Status: deployed Model: {repo} Trained At: \S+ Version: v1\.1\.0 ",
        rf"Endpoints: Account: \S+ Model: {repo} Name: \S+ Revision: {run_status['model']['revision']} Role: stable ",
        r"Spend: Budget USD: 100 Month: \S+ Reserved USD: 0\.00 Settled USD: 0\.0\d+ ",
    ):
        assert re.search(words, story), f"{words}\n{story}"
    row = (await kubectl_output(kubectl, env, "get", AGENT, "--no-headers")).split()
    assert row[:3] == ["docs", "docs", "v1.1.0"]

    # The same objects again start no second job and no second rollout.
    await env.wait_until_quiet()
    recreated = await recreate(env, "TrainingRun", "first")
    assert status(recreated)["reason"] == "AlreadyCompleted", status_summary(recreated)
    recreated = await recreate(env, "Rollout", "second")
    assert status(recreated)["reason"] == "AlreadyCompleted", status_summary(recreated)
    assert len(await asyncio.to_thread(env.cloud.jobs_of, uid)) == 1
    assert await asyncio.to_thread(env.cloud.jobs_of, recreated["metadata"]["uid"]) == []
    assert (await env.read_record()).stable.model == repo
    assert agents.models() == {repo}

    # A restart writes nothing.
    await env.wait_until_quiet()
    await env.stop_operator()
    so_far = len(env.recorder.writes)
    await env.start_operator()
    await env.wait_until_leading()
    await env.wait_until_quiet(seconds=3)
    assert env.recorder.summaries()[so_far:] == []

    # A lost record is rebuilt, and no step is done again.
    before = await env.read_record()
    await env.kill_operator()
    await env.api.delete("ConfigMap", "docs-modelops-record")
    await env.start_operator()
    await env.api.wait_until("ConfigMap", "docs-modelops-record", lambda _: True)
    rebuilt = await env.read_record()
    assert rebuilt.stable.model_dump(exclude={"since"}) == before.stable.model_dump(exclude={"since"})
    assert rebuilt.previous is not None
    assert rebuilt.previous.version == "v1.0.0"
    assert rebuilt.completed.keys() == before.completed.keys()
    assert [e.name for e in rebuilt.endpoints] == [e.name for e in before.endpoints]
    assert {"v1.0.0", "v1.1.0"} <= rebuilt.allocated.keys()
    assert (await env.read_stable_target()).model == repo

    # A rollout back to the previous version.
    await env.api.create(manifests.rollout("undo", {"version": "v1.0.0"}, strategy=STEPS))
    undone = await env.api.wait_until_finished("Rollout", "undo")
    assert status(undone)["reason"] == "Promoted", status_summary(undone)
    await env.wait_until(
        lambda: agents.models() == {manifests.BASELINE}, expected="served by the baseline again"
    )
    record = await env.read_record()
    assert (record.stable.version, record.previous and record.previous.version) == ("v1.0.0", "v1.1.0")

    # Deleting finished objects changes neither agents.yaml nor the record.
    text, _ = await env.read_agents_file()
    for kind, name in (("Rollout", "undo"), ("Rollout", "second"), ("TrainingRun", "first")):
        await env.api.delete(kind, name)
        await env.api.wait_until_deleted(kind, name)
    await env.wait_until_quiet()
    assert (await env.read_agents_file())[0] == text
    assert (await env.read_record()).stable == record.stable
