"""Act 2: a model of spoilt data is trained, and stopped by the gate before any agent meets it."""

from __future__ import annotations

from modelops.demo.act1 import canary_requests
from modelops.demo.bill import calls_to
from modelops.demo.board import Tone
from modelops.demo.ending import Ending
from modelops.demo.objects import message_of, status_of, usd
from modelops.demo.scene import Scene


def play(scene: Scene) -> Ending:
    """Raises ActFailedError where it does not go so."""
    stable = scene.stable
    file_before = scene.file
    scene.apply()
    scene.until_run("the model is trained", lambda s: s.get("phase") == "Succeeded")
    scene.until("the Rollout has ended", lambda: status_of(scene.rollout).get("finishedAt"))
    status = status_of(scene.rollout)
    scene.demand(status["phase"] == "Rejected", "the gate rejects the model")

    candidate, evaluation = status["candidate"], status["evaluation"]
    asked = calls_to(scene.stage.sandbox, candidate["endpointName"])
    by_agents = canary_requests(scene, candidate["version"])
    scene.demand(by_agents == 0, f"no agent has called {candidate['version']}, not {by_agents} times")
    scene.demand(
        asked == evaluation["examples"],
        f"its endpoint was called for the {evaluation['examples']} held-out examples only, not {asked} times",
    )
    scene.demand(scene.file == file_before, "the agents' file is untouched")
    scene.tell(
        f"its endpoint has answered {asked} calls, all of them the evaluation's; no agent request reached it",
        Tone.GOOD,
    )
    return Ending(
        name="A worse model",
        result=f"rejected: {stable} goes on",
        why=message_of(scene.rollout),
        paid=usd(status_of(scene.run).get("costUSD")),
        shown=(f"no agent request reached it: its endpoint has answered the evaluation's {asked}",),
    )
