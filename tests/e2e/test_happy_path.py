"""The main job: an agent gets a better model, kubectl tells the story, and nothing is ever done twice."""

from __future__ import annotations

import asyncio
import re
import subprocess

from tests.conftest import Kubectl
from tests.e2e import manifests
from tests.e2e.api import condition, status, told
from tests.e2e.canary import QUICK
from tests.e2e.stage import Stage

from modelops.ports import Json
from modelops.sandbox.hub.seeds import BASE_MODEL

RUN, ROLLOUT = "trainingruns.modelops.code-chef.dev", "rollouts.modelops.code-chef.dev"
AGENT = "agentmodels.modelops.code-chef.dev"
STEPS = {"canary": {"steps": [{"setWeight": 50}, {"pause": {"durationSeconds": 1}}, {"setWeight": 100}]}}
STEPS_TOLD = (
    "Of 12 held-out",
    "agents test at weight 0 whether they reach the canary",
    "step 1 of 3: 50 percent of sessions",
    "step 2 of 3: watching for 1 healthy second",
    "step 3 of 3: 100 percent of sessions",
    "v1.1.0 becomes stable",
)


async def told_by(kubectl: Kubectl, here: Stage, *arguments: str) -> str:
    """What kubectl says, while the proxies go on."""
    done: subprocess.CompletedProcess[str] = await asyncio.to_thread(
        kubectl, *arguments, namespace=here.api.namespace, check=True
    )
    return done.stdout


async def described(kubectl: Kubectl, here: Stage, name: str) -> str:
    """`kubectl describe` with each run of white space as one space: its columns differ with what is in them."""
    return " ".join((await told_by(kubectl, here, "describe", name)).split())


async def announced(here: Stage, item: Json, *, last: str) -> list[str]:
    """The messages of an object's Events as they are listed; they are posted beside the work, so wait for one."""
    uid, messages = item["metadata"]["uid"], list[str]()
    async with asyncio.timeout(30):
        while last not in messages:
            await asyncio.sleep(0.1)
            events = await here.api.list("Event")
            messages = [e["message"] for e in events if e["involvedObject"]["uid"] == uid]
    return messages


def percent(arm: Json) -> str:
    """An arm's success rate as it is told."""
    return f"{float(arm['success']) * 100:.1f}"


async def done_again(here: Stage, kind: str, name: str) -> Json:
    """Deletes the object and creates it again as it was; returns it when it has ended."""
    found = await here.api.get(kind, name)
    assert found is not None
    await here.api.delete(kind, name)
    await here.api.gone(kind, name)
    again = {key: found[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}
    await here.api.create(again)
    return await here.api.complete(kind, name)


async def test_a_better_model_is_trained_judged_promoted_and_undone(here: Stage, kubectl: Kubectl) -> None:
    agents = await asyncio.to_thread(here.agents)
    await here.agent_model()
    await here.start()

    # A better model.
    await here.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await told_by(kubectl, here, "wait", "--for=condition=Finished", "--timeout=60s", f"{RUN}/first")
    run = await here.api.complete("TrainingRun", "first")
    assert condition(run, "Succeeded") == "True", told(run)
    uid, said = run["metadata"]["uid"], status(run)
    jobs = [
        job
        for job in await asyncio.to_thread(here.cloud.sandbox.job_billing)
        if uid in str(job["labels"].get("modelops-attempt"))
    ]
    assert [job["id"] for job in jobs] == [said["job"]["id"]]
    record = await here.record()
    settled = record.settlements[f"{uid}/1"]
    assert (settled.jobs, settled.usd_micro) == ((said["job"]["id"],), jobs[0]["costMicroUSD"])
    (pace,) = record.speeds  # Told by the job, for the next estimate.
    assert pace.is_of("cpu-basic", "sft", BASE_MODEL)
    entry = record.registry()["docs"]["history"][0]
    assert (entry["version"], entry["deployment_status"]) == ("v1.1.0-rc.1", "trained")
    assert (entry["eval_scores"], entry["hub_repo"]) == ({}, said["model"]["repo"])
    story = await told_by(kubectl, here, "describe", f"{RUN}/first")
    for word in ("DatasetPrepared", "JobSubmitted", "Trained", "Estimate", "Cost USD"):
        assert word in story, story
    assert "Succeeded" in await told_by(kubectl, here, "get", RUN)

    # It becomes stable.
    given: manifests.Manifest = {"strategy": STEPS, "evaluation": QUICK}
    await here.api.create(manifests.rollout("second", {"trainingRunRef": {"name": "first"}}, **given))
    await told_by(kubectl, here, "wait", "--for=condition=Finished", "--timeout=90s", f"{ROLLOUT}/second")
    rollout = await here.api.complete("Rollout", "second")
    assert status(rollout)["reason"] == "Promoted", told(rollout)
    repo = said["model"]["repo"]
    await here.until(lambda: agents.models() == {repo}, say="served by the new model")
    record = await here.record()
    assert (record.stable.version, record.stable.model) == ("v1.1.0", repo)
    entry = record.registry()["docs"]["history"][0]
    assert (entry["version"], entry["deployment_status"]) == ("v1.1.0", "deployed")
    assert entry["eval_scores"]["accuracy"] > 0
    verdict, end = status(rollout)["evaluation"], f"v1.1.0 ({repo}) is stable; v1.0.0 is kept for an undo"
    events = await announced(here, rollout, last=end)
    story = await described(kubectl, here, f"{ROLLOUT}/second")
    for words in (
        f"Of 12 held-out examples v1.1.0-rc.1 on {percent(verdict['candidate'])} % and v1.0.0 on "
        f"{percent(verdict['baseline'])} % succeed: a difference of ",
        f"Difference Points: {verdict['differencePoints']} Examples: 12 ",
        "Candidates Compared: 1 Dataset Version: ",
        f"Interval Points: {' '.join(verdict['intervalPoints'])} Margin Points: 60 ",
        "Recommendation: deploy Recorded: true Verdict: pass ",
        "Weight: 100 Events: ",
        *events,
    ):
        assert words in story, story
    begun = [text.partition(" examples ")[0] for text in events]
    assert [text for text in begun if text in STEPS_TOLD] == list(STEPS_TOLD)
    assert condition(rollout, "RoutingPropagated") == "True"
    assert events[-1] == end
    row = (await told_by(kubectl, here, "get", ROLLOUT, "--no-headers")).split()
    assert row[:-1] == ["second", "docs", "v1.1.0-rc.1", "Succeeded", "3", "100", "pass", "Promoted"]

    # And so does the agent's own story.
    await here.api.until("AgentModel", "docs", lambda o: status(o)["stable"]["version"] == "v1.1.0")
    story = await described(kubectl, here, f"{AGENT}/docs")
    for words in (
        rf"Stable: Endpoint: huggingface Endpoint URL: \S+ Model: {repo} Since: \S+ Version: v1\.1\.0 ",
        rf"Previous: .* Model: {manifests.BASELINE} Version: v1\.0\.0 ",
        rf"Versions: Deployment Status: deployed Model: {repo} Trained At: \S+ Version: v1\.1\.0 ",
        rf"Endpoints: Model: {repo} Name: \S+ Revision: {said['model']['revision']} Role: stable ",
        r"Spend: Budget USD: 100 Month: \S+ Reserved USD: 0\.00 Settled USD: 0\.0\d+ ",
    ):
        assert re.search(words, story), f"{words}\n{story}"
    row = (await told_by(kubectl, here, "get", AGENT, "--no-headers")).split()
    assert row[:3] == ["docs", "docs", "v1.1.0"]

    # Nothing of it is done again.
    await here.quiet()
    again = await done_again(here, "TrainingRun", "first")
    assert status(again)["reason"] == "AlreadyCompleted", told(again)
    again = await done_again(here, "Rollout", "second")
    assert status(again)["reason"] == "AlreadyCompleted", told(again)
    assert len(await asyncio.to_thread(here.cloud.jobs_of, uid)) == 1
    assert await asyncio.to_thread(here.cloud.jobs_of, again["metadata"]["uid"]) == []
    assert (await here.record()).stable.model == repo
    assert agents.models() == {repo}

    # A restart writes nothing.
    await here.quiet()
    await here.stop()
    so_far = len(here.recorder.writes)
    await here.start()
    await here.leading()
    await here.quiet(seconds=3)
    assert here.recorder.lines()[so_far:] == []

    # A lost record is rebuilt, and still nothing is done again.
    before = await here.record()
    await here.kill()
    await here.api.delete("ConfigMap", "docs-modelops-record")
    await here.start()
    await here.api.until("ConfigMap", "docs-modelops-record", lambda _: True)
    rebuilt = await here.record()
    assert rebuilt.stable.model_dump(exclude={"since"}) == before.stable.model_dump(exclude={"since"})
    assert rebuilt.previous is not None
    assert rebuilt.previous.version == "v1.0.0"
    assert rebuilt.completed.keys() == before.completed.keys()
    assert [e.name for e in rebuilt.endpoints] == [e.name for e in before.endpoints]
    assert {"v1.0.0", "v1.1.0"} <= rebuilt.allocated.keys()
    assert (await here.stable()).model == repo

    # An undo.
    await here.api.create(manifests.rollout("undo", {"version": "v1.0.0"}, strategy=STEPS))
    undone = await here.api.complete("Rollout", "undo")
    assert status(undone)["reason"] == "Promoted", told(undone)
    await here.until(lambda: agents.models() == {manifests.BASELINE}, say="served by the baseline again")
    record = await here.record()
    assert (record.stable.version, record.previous and record.previous.version) == ("v1.0.0", "v1.1.0")

    # Deleting what is finished changes nothing.
    text, _ = await here.file()
    for kind, name in (("Rollout", "undo"), ("Rollout", "second"), ("TrainingRun", "first")):
        await here.api.delete(kind, name)
        await here.api.gone(kind, name)
    await here.quiet()
    assert (await here.file())[0] == text
    assert (await here.record()).stable == record.stable
