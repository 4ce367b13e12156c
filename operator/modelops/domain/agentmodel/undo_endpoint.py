"""The endpoint of an undo's version: woken, kept from its deletion, or started anew, and waited for, with a bound.

An undo is accepted at once; only its write of the file waits, so that no session is sent to an address that does not
answer. How long is bounded by spec.provisioningDeadlineSeconds, from the acceptance on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from modelops.api.v1alpha1.agentmodel import EndpointRole
from modelops.domain.agentmodel.actions import AgentModelFact, AgentModelPlan
from modelops.domain.agentmodel.endpoint_roles import with_roles
from modelops.domain.agentmodel.state import State
from modelops.domain.established import require_established
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import display_usd, micro
from modelops.domain.plan import Plan, WriteRecord
from modelops.domain.reasons import RolloutReason
from modelops.domain.record import EndpointEntry, Target, Undo
from modelops.domain.undo import without_address

FAILED = frozenset({"failed", "updateFailed"})


@dataclass(frozen=True, kw_only=True)
class NotReady:
    """The endpoint does not answer yet; `message` says why, for people."""

    message: str


@dataclass(frozen=True, kw_only=True)
class EndpointNeverAnswered:
    """The endpoint failed, or did not answer in time: the undo ends."""

    reason: RolloutReason
    message: str


def ready_target(state: State, target: Target) -> Target | NotReady | EndpointNeverAnswered | AgentModelPlan:
    """The target with the address at which it answers; or what is waited for, or why that is over."""
    if not target.endpoint_name:
        return target
    entry = _entry(state, target)
    if entry is not None and not entry.is_ending and target.endpoint_url:
        if state.answers is UNSEEN:
            return Plan(needs=AgentModelFact.ANSWERS)
        if state.answers:
            return target
    found = _started(state, target, entry)
    if not isinstance(found, NotReady):
        return found
    late = _bound(state) <= state.now
    return _given_up(state, target, found.message) if late else found


def _started(
    state: State, target: Target, entry: EndpointEntry | None
) -> Target | NotReady | EndpointNeverAnswered | AgentModelPlan:
    """The endpoint as the service has it now. The steps that follow wake or start it."""
    if entry is None:
        return _recorded_anew(state, target)
    if entry.is_ending:
        return with_roles(state, {entry.name: EndpointRole.PREVIOUS}, "needed by an undo")
    if state.lacks_hub_token:
        return NotReady(message=state.secret_problem)
    if state.endpoints is UNSEEN:
        return Plan(needs=AgentModelFact.ENDPOINTS)
    outage = state.endpoints if isinstance(state.endpoints, Outage) else state.unlisted.get(entry.name)
    if outage is not None:
        return NotReady(message=outage.message)
    listed = next((e for e in state.listed_endpoints or () if e.name == entry.name), None)
    if listed is None:
        return NotReady(message=f"endpoint {entry.name} is created")
    if listed.state in FAILED:
        words = f": {listed.message}" if listed.message else ""
        return EndpointNeverAnswered(
            reason=RolloutReason.EndpointFailed,
            message=f"endpoint {listed.name} of {target.version} is {listed.state}{words}. {stays(state, target)}",
        )
    if not listed.url or listed.url.rstrip("/") == target.endpoint_url.rstrip("/"):
        return NotReady(message=f"endpoint {listed.name} is {listed.state}")
    return _at_new_address(state, target, listed.url, listed.state)


def _at_new_address(
    state: State, target: Target, url: str, shown: str
) -> Target | NotReady | EndpointNeverAnswered | AgentModelPlan:
    """An endpoint that was started anew has another address: the record learns it, and then it is asked there."""
    if shown != "running":
        return NotReady(message=f"endpoint {target.endpoint_name} is {shown}")
    record, moved = state.require_record(), target.model_copy(update={"endpoint_url": url})
    changed = record.with_(served={**record.served, target.version: moved})
    return Plan(
        steps=(WriteRecord(record=changed, purpose=f"{target.version} is served at another address"),),
        requeue_after=0,
    )


def _recorded_anew(state: State, target: Target) -> NotReady | EndpointNeverAnswered | AgentModelPlan:
    """The endpoint was deleted: it goes on record before it is created, if this month's budget has room for an hour."""
    if state.lacks_hub_token:
        return NotReady(message=state.secret_problem)
    if state.price is UNSEEN:
        return Plan(needs=AgentModelFact.PRICE)
    if state.price is None or isinstance(state.price, Outage):
        words = (
            state.price.message if isinstance(state.price, Outage) else "the service lists no price for it"
        )
        return NotReady(message=f"the price of endpoint {target.endpoint_name} is not known: {words}")
    agent, record = state.agent_model, state.require_record()
    per_hour, month = state.price * agent.spec.serving.max_replica, f"{state.now:%Y-%m}"
    left = micro(agent.spec.budget.monthly_usd) - record.committed(month, state.now)
    if per_hour > left:
        return EndpointNeverAnswered(
            reason=RolloutReason.OverBudget,
            message=f"the endpoint of {target.version} costs {display_usd(per_hour)} an hour, and "
            f"{display_usd(max(0, left))} of spec.budget.monthlyUSD ${agent.spec.budget.monthly_usd} of AgentModel "
            f"{agent.metadata.name} is left this month (UTC): raise it. {stays(state, target)}",
        )
    entry = EndpointEntry(
        name=target.endpoint_name,
        role=EndpointRole.PREVIOUS.value,
        repo=target.model,
        revision=target.revision,
        version=target.version,
        usd_micro_per_hour=per_hour,
        instance=agent.spec.serving.wire(),
        since=state.now.isoformat(timespec="seconds"),
        account=state.hub_org,
    )
    changed = without_address(record.with_(endpoints=(*record.endpoints, entry)), target)
    write = WriteRecord(
        record=changed, purpose=f"start endpoint {entry.name} for the undo to {target.version}"
    )
    return Plan(steps=(write,), requeue_after=0)


def waiting_message(state: State) -> str:
    """What the accepted undo waits for, until when, and what can serve meanwhile; empty where there is none."""
    record = state.require_record()
    undo = record.undo
    target = record.served.get(undo.to) if undo is not None else None
    if undo is None or target is None:
        return ""
    if state.file is None:
        return f"the undo to {undo.to} is accepted and waits for the agents' file: {state.file_problem}"
    found = ready_target(state, target)
    if not isinstance(found, NotReady):
        return f"the undo to {undo.to} is accepted: the operator writes it into the agents' file"
    until = _bound(state).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"the undo to {undo.to}, accepted at {undo.at}, waits for its endpoint until {until} "
        f"(spec.provisioningDeadlineSeconds): {found.message}{_fallback_words(state, target)}"
    )


def _given_up(state: State, target: Target, waited_for: str) -> EndpointNeverAnswered:
    seconds = state.agent_model.spec.provisioning_deadline_seconds
    return EndpointNeverAnswered(
        reason=RolloutReason.EndpointFailed,
        message=f"spec.provisioningDeadlineSeconds {seconds} passed while the undo to {target.version} waited: "
        f"{waited_for}. {stays(state, target)}",
    )


def _bound(state: State) -> datetime:
    undo = require_established(state.require_record().undo, "the undo on record")
    seconds = state.agent_model.spec.provisioning_deadline_seconds
    return datetime.fromisoformat(undo.at) + timedelta(seconds=seconds)


def stays(state: State, target: Target) -> str:
    """What serves after an undo that was not written."""
    return f"{state.require_record().stable.version} stays stable{_fallback_words(state, target)}"


def _fallback_words(state: State, target: Target) -> str:
    """The command that serves a version which needs no endpoint of ours, such as the baseline; empty where none is."""
    record, meta = state.require_record(), state.agent_model.metadata
    ready = [t for t in record.served.values() if not t.endpoint_name and t.version != target.version]
    fallback = next((t for t in ready if t.version not in record.undone), None)
    if fallback is None or fallback.version == record.stable.version:
        return ""
    return (
        f". Meanwhile {fallback.version} ({fallback.model}) could serve at once: `modelops rollback "
        f"{meta.name} -n {meta.namespace} --to {fallback.version} --direct`"
    )


def _entry(state: State, target: Target) -> EndpointEntry | None:
    return next((e for e in state.require_record().endpoints if e.name == target.endpoint_name), None)


def url_of_undo(undo: Undo | None, served: dict[str, Target]) -> str:
    """The address that the fact `answers` is asked at; empty where no undo waits."""
    target = served.get(undo.to) if undo is not None else None
    return target.endpoint_url if target is not None else ""
