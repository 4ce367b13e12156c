"""Act 1: a better model is trained, evaluated and promoted, while the operator is killed twice."""

from __future__ import annotations

from modelops.demo.act_result import ActResult
from modelops.demo.context import DemoContext
from modelops.demo.display_state import LineStyle
from modelops.demo.formatting import usd
from modelops.demo.resource_status import gate_verdict, ready_message, status_of
from modelops.demo.sandbox_billing import count_created_endpoints, job_billing

_CANARY_REQUESTS = 5


def run(context: DemoContext) -> ActResult:
    """Run the act. Raises ActFailedError if it does not end as expected."""
    stable_before = context.stable_version
    endpoints_before = count_created_endpoints(context.environment.sandbox)
    pids = {agent["pid"] for agent in context.display.agents}
    context.apply_manifest()
    context.wait_for_training_run(
        "the job trains", lambda s: s.get("phase") == "Running" and s.get("progress")
    )
    context.kill_operator("while the job trains")
    context.wait_for_training_run("the model is trained", lambda s: s.get("phase") == "Succeeded")
    training_cost = _require_one_job(context)

    version = str(status_of(context.training_run)["model"]["version"])
    context.wait_for_rollout("the canary gets 20 % of sessions", lambda s: s.get("weight") == 20)
    context.wait_until("agents call the canary", lambda: context.requests_to(version) >= _CANARY_REQUESTS)
    context.kill_operator("while the canary has 20 %")
    context.wait_for_rollout("the candidate is promoted", lambda s: s.get("phase") == "Succeeded")
    context.wait_until(
        "the AgentModel shows the new version", lambda: context.stable_version != stable_before
    )
    stable = context.stable_version
    context.wait_until(
        f"every agent is served by {stable}",
        lambda: all(agent["stable"] == stable for agent in context.display.agents),
    )
    context.require(
        {agent["pid"] for agent in context.display.agents} == pids, "no agent process was restarted"
    )
    context.log(f"every agent is served by {stable}; no agent process was restarted", LineStyle.SUCCESS)
    created = count_created_endpoints(context.environment.sandbox) - endpoints_before
    context.require(created == 1, f"one endpoint was created, not {created}")
    context.log(
        "one job and one endpoint were paid for, although the operator was killed twice", LineStyle.SUCCESS
    )
    return ActResult(
        name="A better model",
        outcome=f"promoted: {stable} serves the agent",
        message=ready_message(context.rollout),
        training_cost=training_cost,
        evidence=(
            gate_verdict(context.rollout),
            "operator killed with SIGKILL during training and at 20 %: one job, one endpoint, nothing paid twice",
            "3 agents switched without a restart",
        ),
    )


def _require_one_job(context: DemoContext) -> str:
    """Return the cost of the training. Requires that the service billed one job, at the cost in the run's status."""
    billing = job_billing(context.environment.sandbox, run_uid=context.training_run["metadata"]["uid"])
    cost, billed = usd(status_of(context.training_run).get("costUSD")), usd(billing.cost)
    context.require(billing.jobs == 1, f"the service accepted one job, not {billing.jobs}")
    context.require(billed == cost, f"the run's costUSD, {cost}, is what the service billed, {billed}")
    return cost
