"""Act 3: a still better model passes the gate, and its endpoint breaks while it is the canary."""

from __future__ import annotations

import time

from modelops.demo.act1 import canary_requests
from modelops.demo.board import Json, Tone
from modelops.demo.ending import Ending
from modelops.demo.objects import gate, message_of, status_of, usd
from modelops.demo.scene import Scene

_CANARY_REQUESTS = 25
SLOW_MS = 1_500
ERROR_RATE = 0.6


def play(scene: Scene) -> Ending:
    """Raises ActFailedError where it does not go so."""
    stable = scene.stable
    scene.apply()
    scene.until_run("the model is trained", lambda s: s.get("phase") == "Succeeded")
    scene.until_rollout("the canary is watched at 20 %", lambda s: s.get("weight") == 20)
    candidate = status_of(scene.rollout)["candidate"]
    version, endpoint = str(candidate["version"]), str(candidate["endpointName"])
    scene.until("agents call the canary", lambda: canary_requests(scene, version) >= _CANARY_REQUESTS)

    scene.stage.sandbox.break_endpoint(endpoint, latency_ms=SLOW_MS, error_rate=ERROR_RATE)
    fault = time.time()
    scene.tell(
        f"fault: endpoint {endpoint} now needs {SLOW_MS} ms longer and fails {ERROR_RATE:.0%} of requests",
        Tone.STRONG,
    )
    scene.until("the Rollout has ended", lambda: status_of(scene.rollout).get("finishedAt"))
    status = status_of(scene.rollout)
    scene.demand(status["phase"] == "Aborted", "the canary is aborted")
    scene.until(
        "every agent is back on stable",
        lambda: all(agent["weight"] == 0 and agent["stable"] == stable for agent in scene.board.agents),
    )
    scene.until("the operator knows that", lambda: _rollback(scene).get("effectMilliseconds") is not None)
    scene.demand(scene.stable == stable, f"{stable} still serves the agent, not {scene.stable}")
    lines = (_by_our_clock(scene, fault), _by_the_operator(scene))
    for line in lines:
        scene.tell(line, Tone.GOOD)
    return Ending(
        name="A model that fails in production",
        result=f"aborted: back on {stable}",
        why=message_of(scene.rollout),
        paid=usd(status_of(scene.run).get("costUSD")),
        shown=(gate(scene.rollout), *lines),
    )


def _rollback(scene: Scene) -> dict[str, object]:
    found: dict[str, object] = status_of(scene.rollout).get("rollback") or {}
    return found


def _by_our_clock(scene: Scene, fault: float) -> str:
    """Seconds after the fault, as the demo itself has seen it."""
    agents = scene.board.agents
    errors = [agent["firstError"] for agent in agents if agent["firstError"] >= fault]
    written = next(
        (at for at, text in scene.facts.file_changes if at > fault and "state: Aborted" in text), None
    )
    returns = [_back_on_stable(agent, fault) for agent in agents]
    back = max(returns)
    last = max(agent["lastCanary"] for agent in agents)
    first = f"{min(errors) - fault:.2f} s first failed request" if errors else "no request failed"
    # An agent's watch may be faster than ours.
    wrote = f"{min([*returns, written]) - fault:.2f} s routing written" if written else "no routing seen"
    return (
        f"seconds after the fault, by the demo's clock: {first}, {wrote}, {back - fault:.2f} s last agent on "
        f"stable; the last request to the canary began at {max(0.0, last - fault):.2f} s"
    )


def _back_on_stable(agent: Json, fault: float) -> float:
    """When the agent's router took up the routing without a canary."""
    return next((float(c["t"]) for c in agent["changes"] if c["t"] > fault and c["weight"] == 0), fault)


def _by_the_operator(scene: Scene) -> str:
    """status.rollback: each part by itself."""
    times = _rollback(scene)
    return (
        f"by the operator (status.rollback): detection {times.get('detectMilliseconds')} ms after the first bad "
        f"report, decision {times.get('decideMilliseconds')} ms, write {times.get('writeMilliseconds')} ms, "
        f"last agent confirmed {times.get('effectMilliseconds')} ms after that"
    )
