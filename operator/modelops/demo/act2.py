"""Act 2: a model is trained on spoilt data, and the gate rejects it before any agent calls it."""

from __future__ import annotations

from modelops.demo.act_result import ActResult
from modelops.demo.context import DemoContext
from modelops.demo.display_state import LineStyle
from modelops.demo.formatting import usd
from modelops.demo.resource_status import ready_message, status_of
from modelops.demo.sandbox_billing import count_chat_completions


def run(context: DemoContext) -> ActResult:
    """Run the act. Raises ActFailedError if it does not end as expected."""
    stable = context.stable_version
    file_before = context.agents_file
    context.apply_manifest()
    context.wait_for_training_run("the model is trained", lambda s: s.get("phase") == "Succeeded")
    context.wait_until("the Rollout has ended", lambda: status_of(context.rollout).get("finishedAt"))
    status = status_of(context.rollout)
    context.require(status["phase"] == "Rejected", "the gate rejects the model")

    candidate, evaluation = status["candidate"], status["evaluation"]
    calls = count_chat_completions(context.environment.sandbox, candidate["endpointName"])
    agent_calls = context.requests_to(candidate["version"])
    context.require(agent_calls == 0, f"agents have called {candidate['version']} 0 times, not {agent_calls}")
    context.require(
        calls == evaluation["examples"],
        f"its endpoint was called for the {evaluation['examples']} held-out examples only, not {calls} times",
    )
    context.require(context.agents_file == file_before, "the agents' file is unchanged")
    context.log(
        f"its endpoint was called {calls} times, all of them by the evaluation; no agent request reached it",
        LineStyle.SUCCESS,
    )
    return ActResult(
        name="A worse model",
        outcome=f"rejected: {stable} still serves the agent",
        message=ready_message(context.rollout),
        training_cost=usd(status_of(context.training_run).get("costUSD")),
        evidence=(f"no agent request reached it: only the evaluation called its endpoint, {calls} times",),
    )
