"""Approves an offer that waits for a person, of a TrainingRun or a Rollout, in the caller's name."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from modelops.api.v1alpha1.approval import Approval
from modelops.api.v1alpha1.rollout import Rollout, RolloutOffer
from modelops.api.v1alpha1.trainingrun import Estimate, TrainingRun
from modelops.client import AsyncClient, ClientError, NotFound
from modelops.domain.rollout.offer import of_which
from modelops.tools.errors import ToolRefused
from modelops.tools.results import Change

Approvable = TrainingRun | Rollout


class NotApprovable(ToolRefused):
    """The object cannot be approved. The message says why, and what to do."""


@dataclass(frozen=True, kw_only=True)
class PendingOffer:
    """An object that waits for an approval, and what would be approved. `high_usd`: the most that it may cost."""

    object: Approvable
    digest: str
    high_usd: float
    lines: tuple[tuple[str, str], ...]
    """Pairs of a name and a value, for the person who decides."""

    @property
    def given(self) -> Approval | None:
        """The approval of exactly this offer, where somebody has given it already."""
        found = self.object.spec.approval
        return found if found is not None and found.digest == self.digest else None


async def read_offer(client: AsyncClient, name: str, *, kind: str | None = None) -> PendingOffer:
    """The offer of the TrainingRun or Rollout of that name. `kind`: one of the two; else the one that waits.

    Raises:
        NotApprovable: it does not wait for an approval, its offer has expired, or objects of both kinds wait.
        NotFound, Unreadable: there is none of that name, or it cannot be read.
    """
    found: list[Approvable] = []
    if kind in (None, "TrainingRun"):
        found += [run] if (run := await client.training_runs.find(name)) is not None else []
    if kind in (None, "Rollout"):
        found += [rollout] if (rollout := await client.rollouts.find(name)) is not None else []
    if not found:
        place = await client.namespace()
        raise NotFound(f"namespace {place} has no {kind or 'TrainingRun or Rollout'} named {name}")
    waiting = [one for one in found if one.status.approval_digest and one.status.finished_at is None]
    if len(waiting) > 1:
        raise NotApprovable(
            f"both TrainingRun {name} and Rollout {name} wait for an approval: name one as trainingrun/{name} or "
            f"rollout/{name}"
        )
    one = (waiting or found)[0]
    return _offer_of_run(one) if isinstance(one, TrainingRun) else _offer_of_rollout(one)


def _offer_of_run(run: TrainingRun) -> PendingOffer:
    name, status = run.metadata.name, run.status
    if run.spec.estimate_only:
        raise NotApprovable(
            f"TrainingRun {name} only says what a training would cost (spec.estimateOnly), and spends nothing: approve "
            "the run that trains"
        )
    _ensure_waiting(run, waits=status.job is None and status.estimate is not None)
    assert status.estimate is not None
    _ensure_valid(run, status.estimate.valid_until)
    return PendingOffer(
        object=run,
        digest=status.approval_digest,
        high_usd=float(run.spec.max_usd),
        lines=tuple(describe_run(run)),
    )


def _offer_of_rollout(rollout: Rollout) -> PendingOffer:
    offer = rollout.status.offer
    _ensure_waiting(rollout, waits=offer is not None)
    assert offer is not None
    _ensure_valid(rollout, offer.valid_until)
    return PendingOffer(
        object=rollout,
        digest=rollout.status.approval_digest,
        high_usd=float(offer.high_usd),
        lines=tuple(describe_rollout(rollout, offer)),
    )


def _ensure_waiting(value: Approvable, *, waits: bool) -> None:
    """Raise NotApprovable where the object does not wait for an approval."""
    name, status = value.metadata.name, value.status
    if not waits or not status.approval_digest:
        raise NotApprovable(
            f"{value.kind} {name} does not wait for an approval: it is {status.phase.value}/{status.reason or 'new'}"
        )
    if status.finished_at is not None:
        raise NotApprovable(
            f"{value.kind} {name} has ended ({status.reason}): create a new one to do it again"
        )


def _ensure_valid(value: Approvable, until: datetime | None) -> None:
    """Raise NotApprovable where the offer has expired."""
    if until is not None and until <= datetime.now(UTC):
        raise NotApprovable(
            f"the offer of {value.kind} {value.metadata.name} expired at {until}: wait until the operator has renewed "
            "it, and run this command again"
        )


async def approve(client: AsyncClient, offer: PendingOffer) -> Change:
    """Approve exactly the offer that was read, with its digest and the caller's name.

    Raises:
        NotApprovable: the caller asked for it, and its AgentModel forbids self-approval.
        Forbidden: the caller lacks the verb `approve`, or a policy refuses.
    """
    value = offer.object
    name, agent = value.metadata.name, value.spec.agent_model_ref.name
    user = (await client.whoami()).name
    if offer.given is not None:
        message = f"already approved by {offer.given.approved_by}"
        return Change(kind=value.kind, name=name, agent_name=agent, done=False, message=message)
    await refuse_self_approval(client, value, user)
    change = {"spec": {"approval": {"approvedBy": user, "digest": offer.digest}}}
    if isinstance(value, TrainingRun):
        await client.training_runs.patch(name, change, uid=value.metadata.uid)
    else:
        await client.rollouts.patch(name, change, uid=value.metadata.uid)
    return Change(kind=value.kind, name=name, agent_name=agent, done=True, message=f"approved by {user}")


async def refuse_self_approval(client: AsyncClient, value: Approvable, user: str) -> None:
    """Refuse an approval that the operator would refuse later.

    A caller who may not read the AgentModel passes; then the operator refuses the approval.

    Raises:
        NotApprovable: the caller requested it, and its AgentModel forbids self-approval.
    """
    agent = value.spec.agent_model_ref.name
    if value.spec.requested_by != user:
        return
    try:
        found = await client.agent_models.get(agent)
    except ClientError:
        return
    if found.spec.approval_policy.forbid_self_approval:
        what = "run" if isinstance(value, TrainingRun) else "rollout"
        raise NotApprovable(
            f"{user} requested this {what}, and spec.approvalPolicy of AgentModel {agent} forbids self-approval: "
            "ask another person to approve it"
        )


def describe_run(run: TrainingRun) -> list[tuple[str, str]]:
    """What would be approved of a training, as pairs of a name and a value."""
    spec, status = run.spec, run.status
    data, offer = status.dataset, status.estimate
    assert offer is not None
    lines = [
        ("run", f"{run.metadata.name} in {run.metadata.namespace} (uid {run.metadata.uid})"),
        ("requested by", spec.requested_by or "unknown (spec.requestedBy is empty)"),
        ("agent", spec.agent_model_ref.name),
        ("base model", f"{run.base_model} @ {status.base_revision[:12]}"),
        ("method", spec.method.value),
    ]
    if data is not None:
        rows = f"{data.rows} rows: {data.train} to train on, {data.test} held out"
        lines.append(("dataset", f"{rows} ({data.repo} @ {data.revision[:12]})"))
    return [
        *lines,
        *_describe_cost(offer),
        ("maximum", _describe_maximum(run)),
        ("digest", status.approval_digest),
    ]


def describe_rollout(rollout: Rollout, offer: RolloutOffer) -> list[tuple[str, str]]:
    """What would be approved of a rollout, as pairs of a name and a value: the price through to production."""
    meta, spec = rollout.metadata, rollout.spec
    lines = [
        ("rollout", f"{meta.name} in {meta.namespace} (uid {meta.uid})"),
        ("requested by", spec.requested_by or "unknown (spec.requestedBy is empty)"),
        ("agent", spec.agent_model_ref.name),
        ("candidate", _candidate(rollout)),
        ("why", offer.why),
        ("evaluation", f"up to ${offer.evaluation_usd}{of_which(offer)}"),
        ("canary", f"up to ${offer.canary_usd}"),
        *([("sessions", offer.forecast)] if offer.forecast else []),
        ("together", f"up to ${offer.high_usd}; spec.maxUSD is ${spec.max_usd}"),
    ]
    if offer.standing_usd_per_month is not None:
        today = f"${offer.baseline_usd_per_month} a month" if offer.baseline_usd_per_month else "per call"
        lines.append(
            ("afterwards", f"${offer.standing_usd_per_month} a month; the stable model costs {today}")
        )
        if offer.baseline_use is not None and offer.baseline_use.message:
            lines.append(("until now", offer.baseline_use.message))
        if offer.break_even_requests_per_day is not None:
            lines.append(
                ("break-even", f"cheaper from {offer.break_even_requests_per_day:,} requests a day on")
            )
    return [
        *lines,
        ("valid until", _until(offer.valid_until)),
        ("digest", rollout.status.approval_digest),
    ]


def _candidate(rollout: Rollout) -> str:
    """The candidate as the spec names it."""
    candidate = rollout.spec.candidate
    if candidate.training_run_ref is not None:
        return f"the model of TrainingRun {candidate.training_run_ref.name}"
    if candidate.model is not None:
        return f"{candidate.model.repo} @ {candidate.model.revision[:12]}"
    return str(candidate.version)


def _describe_maximum(run: TrainingRun) -> str:
    """The most that the run may cost, and what its earlier attempts have cost."""
    maximum = f"at most ${run.spec.max_usd} (spec.maxUSD), including failed attempts"
    paid = run.status.cost_usd
    return f"{maximum}; ${paid} so far" if run.status.attempts and paid else maximum


def _describe_cost(offer: Estimate) -> list[tuple[str, str]]:
    """Hardware, estimated cost, and until when the offer can be approved."""
    return [
        ("hardware", f"{offer.flavor} at ${offer.usd_per_hour} an hour"),
        (
            "cost",
            f"${offer.low_usd} to ${offer.high_usd}, {offer.low_minutes} to {offer.high_minutes} minutes",
        ),
        ("valid until", _until(offer.valid_until)),
    ]


def _until(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC" if time else "no limit"
