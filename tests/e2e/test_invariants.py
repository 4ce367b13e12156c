"""The invariants on real parts, each under its own name; what else shows them is in this table.

| invariant | also shown by |
|---|---|
| 1 money is spent once | e2e/test_crash_harness (training), unit/training/test_paid_job_properties, contract/test_tiny_job (two jobs of one attempt), contract/test_hf_adapter_hub (claims in a race) |
| 2 nothing without cover | e2e/test_bad_input (over maxUSD, approval, budget), unit/training/test_money_race |
| 3 abort wins | e2e/test_phases (in every phase), e2e/test_rollback (stopped leader, lost answers, deletion), unit/rollout/test_rollout_explored |
| 4 rollback needs only the Kubernetes API | e2e/test_rollback (with and without the operator) |
| 5 no promotion on silence | unit/rollout/test_rollout_canary, unit/gates (below: too few samples, and agents that fall silent) |
| 6 what bills is on record | e2e/test_crash_harness (rollout), unit/agentmodel |
| 7 a restart writes nothing | e2e/test_happy_path, contract/test_programs_local, cluster/test_runtime_process |
| 8 a session stays where it is | contract/test_routing_vectors, unit/router/test_router_split, test_router_picking (an expired canary) |
| 9 other people's keys | unit/test_agentsfile_edits |
| 10 secrets appear nowhere | unit/runtime/test_settings, contract/test_dataset_program, contract/test_langsmith_traces (below: in the operator's traces too, which arrive) |
| 12 one active rollout | unit/rollout/test_rollout_explored |

11 (groups of near-duplicates) belongs to a later issue; exact overlap is refused: e2e/test_bad_input.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from langsmith.utils import LangSmithNotFoundError
from tests.e2e import manifests
from tests.e2e.api import status, told
from tests.e2e.canary import (
    NAME,
    QUICK,
    Canary,
    begun,
    ends_on_stable,
    is_file_write,
    is_on_stable,
    is_promotion,
    raises,
    text_of,
)
from tests.e2e.recording_proxy import Moment, Strike, Write
from tests.e2e.stage import Stage

from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.programs.process import is_running, process_id
from modelops.sandbox.hub.seeds import BASE_MODEL

ABORT = {"spec": {"abort": True}}
QUESTIONS = "/chat/completions$"


def is_record(write: Write) -> bool:
    """Whether it wrote the docs agent's record."""
    return "docs-modelops-record" in write.path and write.status == 200


def ledger(write: Write) -> dict[str, object]:
    """The ledger that it wrote."""
    found: dict[str, object] = json.loads(json.loads(write.body)["data"]["ledger.json"])
    return found


def turns(holders: list[str]) -> list[str]:
    """Who held it, each turn once."""
    held = [holder for holder in holders if holder]
    return [holder for n, holder in enumerate(held) if n == 0 or held[n - 1] != holder]


async def test_invariant_01_money_is_spent_once(here: Stage) -> None:
    here.cloud.sandbox.fault("hub", "lost_answer", method="POST", path_regex="/api/jobs/[^/]+$")
    await here.agent_model()
    made = await here.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    await here.start()
    await here.api.until("TrainingRun", "first", lambda o: status(o).get("reason") == "SubmissionUncertain")
    run = await here.api.complete("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", told(run)
    jobs = await asyncio.to_thread(here.cloud.jobs_of, made["metadata"]["uid"])
    assert jobs == [status(run)["job"]["id"]]


async def test_invariant_02_nothing_is_spent_without_cover(here: Stage) -> None:
    # One run is estimated at $0.001 at most and billed $0.000167: no second one fits, before or after the first.
    await here.agent_model(budget={"monthlyUSD": "0.00105"})
    names = [f"run-{n}" for n in range(3)]
    for name in names:
        await here.api.create(manifests.training_run(name, base_model=BASE_MODEL))
    await here.start()
    runs = [await here.api.complete("TrainingRun", name) for name in names]
    assert sorted(status(run)["reason"] for run in runs) == ["OverBudget", "OverBudget", "Trained"]
    posted = [w.number for w in here.recorder.writes if "/api/jobs/" in w.path]
    reserved = [w.number for w in here.recorder.writes if is_record(w) and ledger(w)["reservations"]]
    assert len(posted) == 1
    assert reserved[0] < posted[0]


async def test_invariant_03_abort_wins(here: Stage) -> None:
    canary = await begun(here, paused=True, wait=False)
    await here.api.until("Rollout", NAME, lambda o: status(o).get("reason") == "Paused")
    await here.kill()
    await here.api.patch("Rollout", NAME, {"spec": {"abort": True, "paused": False}})
    so_far = len(here.recorder.writes)
    await here.start()
    await ends_on_stable(here, canary, "AbortedByUser")
    assert not [write.line for write in here.recorder.writes[so_far:] if raises(write)]


async def test_invariant_04_rollback_needs_only_the_kubernetes_api(here: Stage) -> None:
    canary = await begun(here)
    for service in ("hub", "endpoints", "langsmith", "openrouter"):
        here.cloud.sandbox.fault(service, "drop_before", times=None)
    await here.api.patch("Rollout", NAME, ABORT)
    await ends_on_stable(here, canary, "AbortedByUser")


async def test_invariant_05_no_promotion_on_silence_of_too_few_samples(here: Stage) -> None:
    steps = [{"setWeight": 50}, {"pause": {"durationSeconds": 1}}, {"setWeight": 100}]
    strategy = {"canary": {"steps": steps}}
    analysis = {"minRequests": 1_000_000, "latencyFloorMilliseconds": 60_000}
    canary = await begun(here, strategy=strategy, analysis=analysis, progressDeadlineSeconds=25)
    await ends_on_stable(here, canary, "DeadlineExceeded")
    assert max(map(raises, here.recorder.writes)) == 50


async def test_invariant_05_no_promotion_on_silence_of_the_agents(here: Stage) -> None:
    """They fall silent as the pause begins, with good samples; a report counts for 15 s, the pause is longer."""
    pause, before = 20, answered(here, "models")
    steps = [{"setWeight": 50}, {"pause": {"durationSeconds": pause}}, {"setWeight": 100}]
    strategy = {"canary": {"steps": steps}}
    canary = await begun(here, wait=False, strategy=strategy, progressDeadlineSeconds=50)

    def begins_the_pause(write: Write) -> bool:
        return f"/rollouts/{NAME}/status" in write.path and json.loads(write.body)["status"].get("step") == 2

    async def fall_silent() -> None:
        await here.until(lambda: answered(here, "models") > before + QUICK["maxExamples"], say="sampled")
        await asyncio.to_thread(canary.agents.close)
        here.recorder.release()

    here.recorder.strike = Strike(Moment.HELD, begins_the_pause, act=fall_silent)
    await here.api.until(
        "Rollout", NAME, lambda o: status(o).get("step") == 2 and status(o)["reason"] == "WaitingForAgents"
    )
    rollout = await here.api.complete("Rollout", NAME)
    said = status(rollout)
    assert (said["phase"], said["reason"]) == ("Aborted", "DeadlineExceeded"), told(rollout)
    assert seconds_between(said["stepStartedAt"], said["finishedAt"]) > pause, "too slow to show anything"
    assert said["analysis"]["canary"]["requests"] > 0
    assert 0 < said["analysis"]["healthySeconds"] < pause
    assert max(map(raises, here.recorder.writes)) == 50
    assert not list(filter(is_promotion, here.recorder.writes))
    again = await asyncio.to_thread(here.agents)
    assert all([await asyncio.to_thread(router.wait_ready, 30) for router in again.routers])
    await is_on_stable(here, replace(canary, agents=again))


def seconds_between(earlier: str, later: str) -> float:
    """Of two times in a status."""
    return (datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds()


async def test_invariant_06_what_bills_is_on_record_and_ends_with_its_role(here: Stage) -> None:
    canary = await begun(here, rate=0.01)  # an endpoint that was asked lately is kept for a minute
    made = [w.number for w in here.recorder.writes if w.service == "endpoints" and w.method == "POST"]
    recorded = [w.number for w in here.recorder.writes if is_record(w) and ledger(w)["endpoints"]]
    assert len(made) == 1
    assert recorded[0] < made[0]
    assert len(await asyncio.to_thread(here.cloud.endpoints_of, canary.repo)) == 1
    await here.api.delete("Rollout", NAME)
    await here.api.delete("AgentModel", "docs")
    await here.api.gone("AgentModel", "docs", seconds=90)
    assert await asyncio.to_thread(here.cloud.endpoints_of, canary.repo) == []
    await is_on_stable(here, canary)


async def test_invariant_07_a_restart_writes_nothing_and_resumes(here: Stage) -> None:
    """Operator and evaluation program are killed between two questions, the operator again in the canary."""
    sandbox, services = here.cloud.sandbox, ("models", "openrouter")
    sandbox.forget_requests()
    for service in services:
        sandbox.fault(service, "latency", ms=150, times=None, path_regex=QUESTIONS)
    one_at_a_time = {**QUICK, "concurrency": 1}
    canary = await begun(here, wait=False, rate=0.001, evaluation=one_at_a_time)
    await here.until(lambda: answered(here, "models"), say="evaluating")
    for service in services:
        sandbox.fault(service, "status", status=503, times=None, path_regex=QUESTIONS)
    await here.until(lambda: refused(here), say="between two questions")
    await here.kill()
    program = here.folder / "state" / "programs" / f"evaluation-{canary.uid}"
    killed = process_id(program)
    assert killed is not None
    os.killpg(killed, signal.SIGKILL)
    await here.until(lambda: not is_running(program), say="without its evaluation")
    journal = (program / "answers.jsonl").read_text()
    so_far = answered(here, "models") + answered(here, "openrouter")
    assert 0 < so_far == journal.count("\n") < 2 * QUICK["maxExamples"]
    sandbox.clear()
    await here.start()
    await here.until(lambda: canary.agents.weights() == {50}, say="at 50 percent")
    whole = (program / "answers.jsonl").read_text()
    assert whole.startswith(journal)
    assert process_id(program) != killed
    asked = [(line["arm"], line["example"]) for line in map(json.loads, whole.splitlines())]
    assert len(asked) == len(set(asked)) == 2 * QUICK["maxExamples"]
    assert [answered(here, service) for service in services] == [QUICK["maxExamples"]] * 2

    rollout = await here.api.until("Rollout", NAME, lambda o: status(o).get("reason") == "Watching")
    assert status(rollout)["evaluation"]["candidatesCompared"] == 1
    await here.quiet()
    await here.kill()
    written, heard = len(here.recorder.writes), reports_of(canary)
    await here.start()
    await here.leading()
    await here.until(
        lambda: all(now > before for now, before in zip(reports_of(canary), heard, strict=True)),
        say="heard by the new operator",
    )
    await here.quiet(seconds=3)
    assert here.recorder.lines()[written:] == []

    await here.api.patch("Rollout", NAME, ABORT)
    await ends_on_stable(here, canary, "AbortedByUser")
    assert list((await here.record()).candidates_compared.values()) == [1]
    assert [answered(here, service) for service in services] == [QUICK["maxExamples"]] * 2


def answered(here: Stage, service: str) -> int:
    """How many questions the models of a service have answered."""
    calls = here.cloud.sandbox.requests(service=service, method="POST", path_regex=QUESTIONS)
    return sum(call["status"] == 200 for call in calls)


def refused(here: Stage) -> bool:
    """Whether a question was turned away: who asks one at a time then waits with nothing under way."""
    calls = here.cloud.sandbox.requests(method="POST", path_regex=QUESTIONS)
    return any(call["status"] == 503 for call in calls)


def reports_of(canary: Canary) -> list[int]:
    """How many reports each agent has delivered."""
    return [router.state().reports_sent for router in canary.agents.routers]


async def test_invariant_08_a_session_stays_where_it_is(here: Stage) -> None:
    steps = [
        {"setWeight": 20},
        {"pause": {"durationSeconds": 1}},
        {"setWeight": 60},
        {"pause": {"durationSeconds": 500}},
    ]
    canary = await begun(here, wait=False, strategy={"canary": {"steps": steps}})
    sessions = [f"session-{n}" for n in range(300)]

    def moved() -> list[set[str]]:
        return [{s for s in sessions if r.pick(s).model == canary.repo} for r in canary.agents.routers]

    await here.until(lambda: canary.agents.weights() == {20}, say="at 20 percent")
    first = moved()
    await here.until(lambda: canary.agents.weights() == {60}, say="at 60 percent")
    second = moved()
    assert first[0] == first[1] < second[0] == second[1]
    await here.api.patch("Rollout", NAME, ABORT)
    await ends_on_stable(here, canary, "AbortedByUser")
    assert moved() == [set(), set()]


async def test_invariant_09_other_peoples_keys_are_left_alone(here: Stage) -> None:
    before, _ = await here.file()
    steps = [{"setWeight": weight} for weight in (10, 30, 50, 70, 100)]
    await begun(here, wait=False, strategy={"canary": {"steps": steps}})
    edits = 0
    while (found := await here.api.get("Rollout", NAME)) and not status(found).get("finishedAt"):
        current = await here.api.get("ConfigMap", "agents")
        assert current is not None
        text = current["data"]["agents.yaml"]
        edits += 1
        body = {
            "metadata": {"resourceVersion": current["metadata"]["resourceVersion"]},
            "data": {"agents.yaml": text.replace("owner: ", f"owner: {edits}, ").split("\n    note:")[0]},
        }
        try:
            await here.api.patch("ConfigMap", "agents", body)
        except LookupError:
            edits -= 1
        await asyncio.sleep(0.2)
    rollout = await here.api.complete("Rollout", NAME)
    assert status(rollout)["reason"] == "Promoted", told(rollout)
    after, _ = await here.file()
    assert (await here.stable()).version == "v1.1.0"
    for line in (
        "# who serves whom",
        "  docs: # writes docstrings",
        f"    model: {manifests.BASELINE} # not ours",
    ):
        assert line in before
        assert line in after
    assert f"owner: {edits}, " in after
    assert edits > 2


@pytest.mark.filterwarnings("ignore:list_runs.*:DeprecationWarning")
async def test_invariant_10_secrets_appear_nowhere(here: Stage) -> None:
    sandbox = here.cloud.sandbox
    here.environment["LANGSMITH_API_KEY"] = sandbox.langsmith_key
    here.environment["MODELOPS_LOG_LEVEL"] = "DEBUG"
    secrets = {sandbox.hf_token, sandbox.langsmith_key, sandbox.openrouter_key}
    await here.agent_model()
    await asyncio.to_thread(here.agents)
    await here.start()
    sandbox.fault("hub", "status", status=500, method="POST", path_regex="/api/jobs/[^/]+$")
    await here.api.create(manifests.training_run("first", base_model=BASE_MODEL))
    given: manifests.Manifest = {"strategy": {"canary": {"steps": [{"setWeight": 50}]}}, "evaluation": QUICK}
    await here.api.create(manifests.rollout(NAME, {"trainingRunRef": {"name": "first"}}, **given))
    commands, said = set[str](), dict[str, str]()
    while (found := await here.api.get("Rollout", NAME)) and not status(found).get("finishedAt"):
        commands |= command_lines()
        said |= files_below(here.folder / "state")
        await asyncio.sleep(0.1)
    run = await here.api.complete("TrainingRun", "first")
    assert status(run)["reason"] == "Trained", told(run)
    assert any("input.json" in where for where in said)
    said |= {"commands": "\n".join(commands), "log": (here.folder / "operator.log").read_text()}
    for kind in ("AgentModel", "TrainingRun", "Rollout", "ConfigMap", "Event"):
        said[kind] = json.dumps(await here.api.list(kind))
    traced = await here.until(lambda: (t := traces(here)).get("Rollout Promoted") and t, say="traced whole")
    assert {t["extra"]["metadata"]["uid"] for t in traced["TrainingRun submit"]} == {run["metadata"]["uid"]}
    writes = {t["outputs"]["purpose"] for t in traced["Rollout routing"]}
    assert {f"canary of {NAME} at 50 percent", "promote v1.1.0"} <= writes
    said["traces"] = json.dumps(traced)
    assert not [where for where, text in said.items() for secret in secrets if secret in text]
    model, data = status(run)["model"]["repo"], status(run)["dataset"]["repo"]
    assert (await asyncio.to_thread(here.cloud.hf.model_info, model)).private
    assert (await asyncio.to_thread(here.cloud.hf.dataset_info, data)).private


def traces(here: Stage) -> dict[str, list[Any]]:
    """Everything that the operator has traced of this namespace, by name of the run."""
    client = LangSmithConnection(
        api_url=here.cloud.sandbox.langsmith, api_key=here.cloud.sandbox.langsmith_key
    ).client()
    found: dict[str, list[Any]] = {}
    try:
        for run in client.list_runs(project_name="modelops-operator"):
            if run.metadata["namespace"] == here.api.namespace:
                found.setdefault(run.name, []).append(json.loads(run.model_dump_json()))
    except LangSmithNotFoundError:
        pass
    finally:
        client.close(timeout=0)
    return found


def files_below(folder: Path) -> dict[str, str]:
    """Every file that can be read at the moment."""
    found = {}
    for file in folder.rglob("*"):
        try:
            found[str(file)] = file.read_text(errors="replace")
        except OSError:
            continue
    return found


def command_lines() -> set[str]:
    """Of every process of this user."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                found.add((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
            except OSError:
                continue
    return found


async def test_invariant_12_one_active_rollout_per_agent(here: Stage) -> None:
    await asyncio.to_thread(here.agents)
    await here.agent_model()
    await here.start()
    await here.leading()
    candidates = [await asyncio.to_thread(here.cloud.candidate) for _ in range(2)]
    given: manifests.Manifest = {"strategy": {"canary": {"steps": [{"setWeight": 50}]}}, "evaluation": QUICK}
    twins = [manifests.rollout(f"twin-{n}", {"model": model}, **given) for n, model in enumerate(candidates)]
    made = await asyncio.gather(*(here.api.create(twin) for twin in twins))
    ended = [await here.api.complete("Rollout", f"twin-{n}") for n in range(2)]
    assert [status(o)["reason"] for o in ended] == ["Promoted", "Promoted"], [told(o) for o in ended]
    active = [ledger(write)["active"] for write in here.recorder.writes if is_record(write)]
    assert len(turns([str(a["uid"]) if isinstance(a, dict) else "" for a in active])) == 2
    writes = [text_of(write.body) for write in here.recorder.writes if is_file_write(write)]
    uids = [o["metadata"]["uid"] for o in made]
    assert len(turns([uid for text in writes for uid in uids if f"salt: {uid}" in text])) == 2
