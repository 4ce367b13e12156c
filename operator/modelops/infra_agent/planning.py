"""Makes the plan for a request that spends or changes something. Nothing is spent, and nothing moves, by making it."""

from __future__ import annotations

from typing import Final

from modelops.infra_agent import promoting, stopping, wording
from modelops.infra_agent.asking import AsksFirst, checked
from modelops.infra_agent.conditions import Quantity, measured
from modelops.infra_agent.hands import Hands, Prepared, TeamSettings
from modelops.infra_agent.heard import Heard
from modelops.infra_agent.heard import request as step
from modelops.infra_agent.state import Collect, Compare, Plan, Train, new_id, plan_of
from modelops.tools.amounts import usd
from modelops.tools.candidates import NEWEST
from modelops.tools.errors import ToolRefused
from modelops.tools.rollouts import DeploymentRequest, EvaluationRequest
from modelops.tools.training_request import TrainingRequest

PLANNED: Final = frozenset(
    {"train", "evaluate", "deploy", "promote", "rollback", "pause", "resume", "cancel", "approve", "collect"}
)
SAME_DATA: Final = "same as last run"
"""How an understanding says that the dataset of the last training is meant."""


def makes_a_plan(heard: Heard) -> bool:
    """Whether a plan is made of it; of an approval only where it names a run."""
    return heard.intent in PLANNED and (heard.intent != "approve" or heard.run is not None)


async def make_plan(hands: Hands, heard: Heard, team: TeamSettings) -> Plan:
    """The plan for what was heard, of which `makes_a_plan` is true.

    Raises:
        AsksFirst: another step comes first; its question is for the person.
        ToolRefused: it cannot be done, or a value is missing; the message is for the person.
        ClientError: the cluster cannot be asked.
    """
    if heard.intent == "cancel":
        return await stopping.cancel(hands, heard)
    if heard.intent in ("pause", "resume"):
        return await promoting.resume(hands, heard) or await stopping.set_paused(hands, heard)
    if heard.intent == "approve":
        return await stopping.approve(hands, heard)
    if len(heard.agents) > 1:
        raise ToolRefused(f"One plan at a time. Which agent first: {', '.join(heard.agents)}?")
    if not heard.agents:
        raise ToolRefused(f"Which agent: {', '.join(await hands.agents())}?")
    if heard.intent == "collect":
        return await _collect(hands, heard.agents[0])
    if heard.intent == "train":
        return await _train(hands, heard)
    if heard.intent == "evaluate":
        return await _evaluate(hands, heard, team)
    if heard.intent == "rollback" or (heard.intent == "deploy" and heard.version == "previous"):
        return await stopping.roll_back(hands, heard)
    raised = await promoting.promote(hands, heard) if heard.intent == "promote" else None
    return raised or await _deploy(hands, heard, team)


async def _train(hands: Hands, heard: Heard) -> Plan:
    facts = await hands.facts(heard.agents[0])
    before = await hands.trained_with(heard.run) if heard.run else TrainingRequest(agent_name=facts.agent)
    dataset = await hands.last_dataset(facts.agent) if heard.dataset == SAME_DATA else heard.dataset
    dataset = dataset or before.dataset_id
    if not dataset and not facts.training_dataset:
        raise AsksFirst(
            f"I need training examples. Run '@chef collect {facts.agent} failures' first?",
            step("collect", facts.agent, None),
        )
    if heard.base_model and "/" not in heard.base_model:
        raise ToolRefused(
            f"Name the base model as organisation/name of the Hub ({wording.shown(heard.base_model)!r} is none), "
            "or leave it out"
        )
    request = TrainingRequest(
        agent_name=facts.agent,
        dataset_id=dataset,
        base_model=heard.base_model or before.base_model,
        training_method=heard.method or before.training_method,
        max_usd=_limit(heard),
    )
    return await plan_training(hands, request, condition=heard.condition)


async def plan_training(hands: Hands, request: TrainingRequest, *, condition: str | None = None) -> Plan:
    """The plan for a training, at the price of an estimate. Raises what `make_plan` raises."""
    agent = request.agent_name
    quote = await hands.estimate(request)
    if quote.high_usd > quote.max_usd:
        raise ToolRefused(
            f"It would cost up to {wording.usd(quote.high_usd)}, more than your limit of {wording.usd(quote.max_usd)}: "
            "allow more, or name a smaller dataset"
        )
    await _require_budget(hands, agent, quote.high_usd)
    costs = {
        Quantity.EXAMPLES: float(quote.examples),
        Quantity.USD: quote.high_usd,
        Quantity.MINUTES: float(quote.high_minutes),
    }
    holds = checked(condition, costs)
    approval = quote.high_usd > (await hands.facts(agent)).approval_above_usd
    gist = [f"train {agent} by {request.training_method}"]
    gist += [f"on {request.dataset_id}"] if request.dataset_id else []
    gist += [f"from {request.base_model}"] if request.base_model else []
    return plan_of(
        agent,
        Train(quote_id=quote.quote_id, max_usd=request.max_usd),
        wording.offer_training(quote, condition=holds, approval=approval),
        " ".join(gist),
        max_usd=quote.max_usd,
        limit=request.max_usd,
        valid_until=quote.valid_until,
    )


async def _evaluate(hands: Hands, heard: Heard, team: TeamSettings) -> Plan:
    facts = await hands.facts(heard.agents[0])
    request = EvaluationRequest(
        agent_name=facts.agent,
        candidate_model=await _candidate(hands, heard, facts.agent),
        eval_dataset_id=heard.dataset if heard.dataset != SAME_DATA else None,
        max_usd=_limit(heard),
        **team.evaluation(),
    )
    return await plan_evaluation(hands, request, condition=heard.condition)


async def plan_evaluation(hands: Hands, request: EvaluationRequest, *, condition: str | None = None) -> Plan:
    """The plan for an evaluation. Raises what `make_plan` raises."""
    agent, key = request.agent_name, new_id()
    action = _compare(request, await hands.prepare(request, key=key), strategy=None)
    holds = checked(condition, {Quantity.USD: float(action.max_usd)})
    text = wording.offer_evaluation(agent, action.candidate, float(action.max_usd), condition=holds)
    gist = f"evaluate {agent} {action.candidate}"
    return plan_of(agent, action, text, gist, limit=request.max_usd, key=key)


async def _deploy(hands: Hands, heard: Heard, team: TeamSettings) -> Plan:
    facts = await hands.facts(heard.agents[0])
    if heard.condition and not heard.version:
        await _require_no_training(hands, facts.agent)
    percent = _percent(heard, team)
    request = DeploymentRequest(
        agent_name=facts.agent,
        candidate_model=await _candidate(hands, heard, facts.agent),
        max_usd=_limit(heard),
        rollout_strategy=f"canary_{percent}pct" if percent < 100 else "immediate",
        pause_seconds=team.pause_seconds,
        **team.evaluation(),
    )
    return await plan_deployment(hands, request, condition=heard.condition)


async def plan_deployment(hands: Hands, request: DeploymentRequest, *, condition: str | None = None) -> Plan:
    """The plan for a deployment. Raises what `make_plan` raises."""
    agent, key, strategy = request.agent_name, new_id(), request.rollout_strategy
    action = _compare(request, await hands.prepare(request, key=key), strategy=strategy)
    scores = await _scores(hands, agent, action) if condition else {}
    holds = checked(condition, scores, first=step("evaluate", agent, action.candidate))
    percent = 100 if strategy == "immediate" else int("".join(filter(str.isdigit, strategy)))
    text = wording.offer_deployment(
        agent,
        action.candidate,
        float(action.max_usd),
        percent=percent,
        pause_seconds=request.pause_seconds,
        condition=holds,
    )
    share = f"at {percent}%" if percent < 100 else "immediately"
    return plan_of(
        agent, action, text, f"deploy {agent} {action.candidate} {share}", limit=request.max_usd, key=key
    )


async def _require_no_training(hands: Hands, agent: str) -> None:
    """Raise ToolRefused where a training runs: `deploy it when done` means its model, not the newest of now."""
    for one in await hands.running(agent):
        if one.kind == "training" and not one.finished:
            raise ToolRefused(
                f"training {one.name} of {agent} still runs. When it has ended, I say so and propose the next step. To "
                "deploy what is there now, name its version"
            )


async def _candidate(hands: Hands, heard: Heard, agent: str) -> str:
    """The model that is meant, as `tools.candidates.candidate_of` takes it."""
    named = (heard.version,) if isinstance(heard.version, str) else heard.version or ()
    if heard.run and not named:  # The evaluation of that name is done again.
        version = (await hands.deployment((await hands.find_running(heard.run)).name)).version
        named = (version,) if version else ()
    serving = (await hands.models(agent)).current_version
    others = [one for one in named if one not in ("current", serving, f"v{serving}")]
    if named and not others:
        raise ToolRefused(f"{serving} serves {agent} already")
    if len(others) > 1:
        raise ToolRefused(
            f"I compare one version with the one that serves: which one, {' or '.join(others)}?"
        )
    return others[0] if others else NEWEST


async def _require_budget(hands: Hands, agent: str, high_usd: float) -> None:
    """Raise ToolRefused where the month's budget does not allow it, before anybody is asked to confirm."""
    for one in await hands.spending(agent):
        if high_usd > one.left_usd:
            raise ToolRefused(
                f"It would cost up to {wording.usd(high_usd)}, and {agent} has {wording.usd(one.left_usd)} left of "
                f"{wording.usd(one.budget_usd)} this month: wait for the next month, train on fewer examples, or have "
                "spec.budget.monthlyUSD of its AgentModel raised"
            )


def _limit(heard: Heard) -> str | None:
    return usd(heard.max_usd) if heard.max_usd is not None else None


def _percent(heard: Heard, team: TeamSettings) -> int:
    if heard.percent is None:
        return 100 if heard.strategy == "immediate" else team.canary_pct
    if heard.percent != int(heard.percent) or not 1 <= heard.percent <= 100:
        raise ToolRefused(f"{heard.percent:g} % is no share for a canary: name a whole number from 1 to 100")
    return int(heard.percent)


def _compare(request: EvaluationRequest, prepared: Prepared, *, strategy: str | None) -> Compare:
    return Compare(
        candidate=prepared.candidate,
        eval_dataset_id=request.eval_dataset_id,
        max_usd=prepared.max_usd,
        scorer=request.scorer,
        threshold=request.threshold,
        strategy=strategy,
        basis=prepared.basis,
    )


async def _scores(hands: Hands, agent: str, action: Compare) -> dict[Quantity, float]:
    """What the candidate's last evaluation has measured, and the most that the deployment may cost."""
    found = await hands.last_comparison(agent, action.candidate)
    return {Quantity.USD: float(action.max_usd)} | (measured(found) if found is not None else {})


async def _collect(hands: Hands, agent: str) -> Plan:
    found = await hands.failures((await hands.facts(agent)).agent)
    action = Collect(
        project=found.project, name=found.name, since=found.since, until=found.until, runs=found.runs
    )
    gist = f"collect {found.agent} failures"
    return plan_of(found.agent, action, wording.offer_collection(found), gist, max_usd=0.0)
