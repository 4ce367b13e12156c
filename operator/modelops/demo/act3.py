"""Act 3: a better model passes the gate, and its endpoint fails while it is the canary."""

from __future__ import annotations

import time

from modelops.demo.act_result import ActResult
from modelops.demo.context import DemoContext
from modelops.demo.display_state import Json, LineStyle
from modelops.demo.formatting import usd
from modelops.demo.resource_status import gate_verdict, ready_message, status_of

_CANARY_REQUESTS = 25
FAULT_LATENCY_MS = 1_500
FAULT_ERROR_RATE = 0.6


def run(context: DemoContext) -> ActResult:
    """Run the act. Raises ActFailedError if it does not end as expected."""
    stable = context.stable_version
    context.apply_manifest()
    context.wait_for_training_run("the model is trained", lambda s: s.get("phase") == "Succeeded")
    context.wait_for_rollout("the canary gets 20 % of sessions", lambda s: s.get("weight") == 20)
    candidate = status_of(context.rollout)["candidate"]
    version, endpoint = str(candidate["version"]), str(candidate["endpointName"])
    context.wait_until("agents call the canary", lambda: context.requests_to(version) >= _CANARY_REQUESTS)

    context.environment.sandbox.break_endpoint(
        endpoint, latency_ms=FAULT_LATENCY_MS, error_rate=FAULT_ERROR_RATE
    )
    fault_time = time.time()
    context.log(
        f"fault: endpoint {endpoint} is now {FAULT_LATENCY_MS} ms slower and fails {FAULT_ERROR_RATE:.0%} "
        "of requests",
        LineStyle.HIGHLIGHT,
    )
    context.wait_until("the Rollout has ended", lambda: status_of(context.rollout).get("finishedAt"))
    status = status_of(context.rollout)
    context.require(status["phase"] == "Aborted", "the rollout is aborted")
    context.wait_until(
        "every agent is back on stable",
        lambda: all(agent["weight"] == 0 and agent["stable"] == stable for agent in context.display.agents),
    )
    context.wait_until(
        "status.rollback has the time of the last agent",
        lambda: _rollback_times(context).get("effectMilliseconds") is not None,
    )
    context.require(
        context.stable_version == stable, f"{stable} still serves the agent, not {context.stable_version}"
    )
    timings = (_timing_by_demo_clock(context, fault_time), _timing_by_operator(context))
    for line in timings:
        context.log(line, LineStyle.SUCCESS)
    return ActResult(
        name="A model that fails in production",
        outcome=f"aborted: back on {stable}",
        message=ready_message(context.rollout),
        training_cost=usd(status_of(context.training_run).get("costUSD")),
        evidence=(gate_verdict(context.rollout), *timings),
    )


def _rollback_times(context: DemoContext) -> dict[str, object]:
    found: dict[str, object] = status_of(context.rollout).get("rollback") or {}
    return found


def _timing_by_demo_clock(context: DemoContext, fault_time: float) -> str:
    """Return the seconds from the fault to each event, as the demo itself has observed them."""
    agents = context.display.agents
    errors = [agent["firstError"] for agent in agents if agent["firstError"] >= fault_time]
    written = next(
        (at for at, text in context.watch.file_changes if at > fault_time and "state: Aborted" in text), None
    )
    returns = [_time_back_on_stable(agent, fault_time) for agent in agents]
    last_return = max(returns)
    last_canary_request = max(agent["lastCanary"] for agent in agents)
    first = f"{min(errors) - fault_time:.2f} s first failed request" if errors else "no request failed"
    # An agent's watch may be faster than the demo's.
    wrote = (
        f"{min([*returns, written]) - fault_time:.2f} s routing written"
        if written
        else "the routing change was not observed"
    )
    return (
        f"seconds after the fault, by the demo's clock: {first}, {wrote}, {last_return - fault_time:.2f} s "
        "last agent on stable; the last request to the canary began at "
        f"{max(0.0, last_canary_request - fault_time):.2f} s"
    )


def _time_back_on_stable(agent: Json, fault_time: float) -> float:
    """Return when the agent's router switched to the routing without a canary."""
    return next(
        (float(c["t"]) for c in agent["changes"] if c["t"] > fault_time and c["weight"] == 0), fault_time
    )


def _timing_by_operator(context: DemoContext) -> str:
    """Return the parts of status.rollback."""
    times = _rollback_times(context)
    return (
        f"by the operator (status.rollback): detection {times.get('detectMilliseconds')} ms after the first bad "
        f"report, decision {times.get('decideMilliseconds')} ms, write {times.get('writeMilliseconds')} ms, "
        f"last agent confirmed {times.get('effectMilliseconds')} ms after that"
    )
