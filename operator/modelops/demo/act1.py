"""Act 1: a better model is trained, proven and promoted, while the operator is killed twice."""

from __future__ import annotations

from modelops.demo.bill import bill_of, endpoints_created
from modelops.demo.board import Tone
from modelops.demo.ending import Ending
from modelops.demo.objects import gate, message_of, status_of, usd
from modelops.demo.scene import Scene

_CANARY_REQUESTS = 5


def play(scene: Scene) -> Ending:
    """Raises ActFailedError where it does not go so."""
    before, created = scene.stable, endpoints_created(scene.stage.sandbox)
    pids = {agent["pid"] for agent in scene.board.agents}
    scene.apply()
    scene.until_run("the job trains", lambda s: s.get("phase") == "Running" and s.get("progress"))
    scene.kill_operator("while the job trains")
    scene.until_run("the model is trained", lambda s: s.get("phase") == "Succeeded")
    jobs = _one_job(scene)

    version = str(status_of(scene.run)["model"]["version"])
    scene.until_rollout("20 % of sessions go to the canary", lambda s: s.get("weight") == 20)
    scene.until("agents call the canary", lambda: canary_requests(scene, version) >= _CANARY_REQUESTS)
    scene.kill_operator("while the canary has 20 %")
    scene.until_rollout("the candidate is stable", lambda s: s.get("phase") == "Succeeded")
    scene.until("the AgentModel shows the new version", lambda: scene.stable != before)
    stable = scene.stable
    scene.until(
        f"every agent is served by {stable}",
        lambda: all(agent["stable"] == stable for agent in scene.board.agents),
    )
    scene.demand(
        {agent["pid"] for agent in scene.board.agents} == pids, "the agents switched without a restart"
    )
    scene.tell(f"every agent is served by {stable}, in the processes that it started with", Tone.GOOD)
    made = endpoints_created(scene.stage.sandbox) - created
    scene.demand(made == 1, f"one endpoint was created, not {made}")
    scene.tell("one job and one endpoint were paid for, though the operator was killed twice", Tone.GOOD)
    return Ending(
        name="A better model",
        result=f"promoted: {stable} serves the agent",
        why=message_of(scene.rollout),
        paid=jobs,
        shown=(
            gate(scene.rollout),
            "operator killed with SIGKILL in training and at 20 %: one job, one endpoint, nothing paid twice",
            "3 agents switched without a restart",
        ),
    )


def _one_job(scene: Scene) -> str:
    """What the training has cost; demands that the service and the operator agree, and on one job."""
    bill = bill_of(scene.stage.sandbox, run_uid=scene.run["metadata"]["uid"])
    cost = usd(status_of(scene.run).get("costUSD"))
    scene.demand(bill.jobs == 1, f"the service took one job, not {bill.jobs}")
    scene.demand(usd(bill.paid) == cost, f"the operator booked what was billed: {cost}, not {usd(bill.paid)}")
    return cost


def canary_requests(scene: Scene, version: str) -> int:
    """How many requests the agents have sent to a version."""
    return sum(agent["requests"].get(version, 0) for agent in scene.board.agents)
