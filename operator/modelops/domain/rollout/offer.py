"""What a person is asked to approve before a rollout spends: the offer, its digest, and its words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from modelops.api.v1alpha1.rollout import ApprovalStage, RolloutOffer
from modelops.domain.approval import valid_until
from modelops.domain.digest import digest_of
from modelops.domain.money import display_usd, dollars, micro
from modelops.domain.record import EndpointEntry, Target
from modelops.domain.rollout.endpoint_cost import HOURS_PER_MONTH
from modelops.domain.rollout.evaluation_scores import evaluation_dataset
from modelops.domain.rollout.forecast import forecast_of
from modelops.domain.rollout.planned_cost import RolloutCost
from modelops.domain.rollout.price_of_promotion import break_even_requests_per_day
from modelops.domain.rollout.state import State
from modelops.grammar import counted

DIGEST_FORM = "rollout-approval/v1"
LONGEST_WHY = 1024
"""Characters of `why` in an offer, as its field allows. The result of an evaluation may be longer."""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What would be paid for: the candidate, its cost, and why a person must approve it."""

    candidate: Target
    cost: RolloutCost
    stage: ApprovalStage
    why: str


def offer_of(state: State, proposal: Proposal, *, asked_at: datetime) -> RolloutOffer:
    """The offer that is made now."""
    cost, baseline = proposal.cost, stable_endpoint(state)
    calls, evaluation = cost.calls, state.rollout.status.evaluation
    plan = evaluation.plan if evaluation is not None and not evaluation.verdict else None
    use = evaluation.baseline_use if evaluation is not None else None
    forecast = forecast_of(state)
    return RolloutOffer(
        stage=proposal.stage,
        forecast=forecast.message if forecast is not None else "",
        high_usd=dollars(cost.planned),
        evaluation_usd=dollars(cost.evaluation),
        calls_usd=dollars(calls.calls),
        examples=calls.examples,
        first_look_examples=plan.looks[0].examples if plan is not None and plan.looks else 0,
        second_look_if_equal=plan.second_look_if_equal if plan is not None else None,
        canary_usd=dollars(cost.canary),
        standing_usd_per_month=dollars(cost.standing) if cost.standing else None,
        baseline_usd_per_month=dollars(baseline.usd_micro_per_hour * HOURS_PER_MONTH) if baseline else None,
        baseline_use=use,
        break_even_requests_per_day=break_even_requests_per_day(
            standing_micro_usd=cost.standing, use=use, baseline_has_endpoint=baseline is not None
        ),
        why=proposal.why if len(proposal.why) <= LONGEST_WHY else f"{proposal.why[: LONGEST_WHY - 1]}…",
        asked_at=asked_at,
        valid_until=valid_until(state.now, asked_since=asked_at, seconds=state.settings.approval_seconds),
    )


def offer_digest(state: State, proposal: Proposal, offer: RolloutOffer) -> str:
    """The digest of all that is approved: the rollout, both models, what is asked of them, hardware, price and time."""
    agent, stable, candidate = state.require_agent_model(), state.require_record().stable, proposal.candidate
    evaluated = state.rollout.status.evaluated
    content = {
        "rollout": state.uid,
        "identity": state.identity,
        "stage": proposal.stage.value,
        "candidate": [candidate.model, candidate.revision],
        "stable": [stable.version, stable.model, stable.revision, stable.endpoint_url],
        "prompt": agent.spec.prompt.wire() if agent.spec.prompt is not None else None,
        "dataset": evaluation_dataset(state),
        "evaluation": evaluated.wire() if evaluated is not None else None,
        "serving": agent.spec.serving.wire(),
        "account": state.settings.hub_org,
        "usd_micro_per_hour": proposal.cost.per_hour,
        "seconds": proposal.cost.seconds,
        "examples": proposal.cost.calls.examples,
        "unpriced": list(proposal.cost.calls.unpriced),
        "high_usd": offer.high_usd,
        "valid_until": offer.valid_until.isoformat(timespec="seconds") if offer.valid_until else "",
    }
    return digest_of(DIGEST_FORM, content)


def describe_offer(offer: RolloutOffer) -> str:
    """The price through to production, and why a person must approve it."""
    if offer.stage is ApprovalStage.PROMOTION:
        return f"{offer.why.rstrip('.')}{standing_words(offer)}"
    if offer.stage is ApprovalStage.INCONCLUSIVE:
        words = (
            f"{offer.why} To try the candidate on the canary's first weight may cost up to "
            f"{display_usd(micro(offer.high_usd))} more; until then nothing is billed"
        )
        return f"{words}{standing_words(offer)}"
    parts = [f"{display_usd(micro(offer.evaluation_usd))} for the evaluation{of_which(offer)}"]
    if micro(offer.canary_usd):
        parts.append(f"{display_usd(micro(offer.canary_usd))} for the canary")
    words = f"the rollout may cost up to {display_usd(micro(offer.high_usd))} ({', '.join(parts)})"
    return f"{words}; {offer.why}{standing_words(offer)}"


def of_which(offer: RolloutOffer) -> str:
    """The size of the evaluation, and the part of its cost that is billed per call."""
    examples = f" with {counted(offer.examples, 'example')}{looks_of(offer)}" if offer.examples else ""
    calls = micro(offer.calls_usd)
    return f"{examples}, of which {display_usd(calls)} for calls to OpenRouter" if calls else examples


def looks_of(offer: RolloutOffer) -> str:
    """The part of the examples that is asked first, and how probable the rest is; empty where there is one look."""
    if not offer.first_look_examples or offer.second_look_if_equal is None:
        return ""
    further = offer.examples - offer.first_look_examples
    probable = f"{float(offer.second_look_if_equal) * 100:.0f} % probable for an equal model"
    return f" ({offer.first_look_examples} first, and {further} more where they decide nothing: {probable})"


def standing_words(offer: RolloutOffer) -> str:
    """What serving the candidate costs after a promotion, against the stable model; empty where nothing is promoted."""
    if offer.standing_usd_per_month is None:
        return ""
    today = (
        f"the stable model's endpoint costs {display_usd(micro(offer.baseline_usd_per_month))}"
        if offer.baseline_usd_per_month
        else "the stable model is billed per call"
    )
    return (
        f". After a promotion its endpoint costs {display_usd(micro(offer.standing_usd_per_month))} a month; today "
        f"{today}{use_words(offer)}"
    )


def use_words(offer: RolloutOffer) -> str:
    """What the stable model was used for, and from when on the candidate is cheaper; empty where nobody looked."""
    use = offer.baseline_use
    if use is None:
        return ""
    words = f": {use.message}" if use.message else ""
    if offer.break_even_requests_per_day is None:
        return words
    return f"{words}. The endpoint is cheaper from {offer.break_even_requests_per_day:,} requests a day on"


def stable_endpoint(state: State) -> EndpointEntry | None:
    """The endpoint of the stable model; None where it is billed per call."""
    record = state.require_record()
    name = record.stable.endpoint_name
    return next((e for e in record.endpoints if name and e.name == name), None)
