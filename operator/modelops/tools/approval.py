"""Approves the cost of a training that waits for it, in the caller's name."""

from __future__ import annotations

from datetime import UTC, datetime

from modelops.api.v1alpha1.trainingrun import Estimate, TrainingRun
from modelops.client import AsyncClient, ClientError
from modelops.tools.errors import ToolRefused
from modelops.tools.results import Change


class NotApprovable(ToolRefused):
    """The run cannot be approved. The message says why, and what to do."""


async def read_offer(client: AsyncClient, name: str) -> TrainingRun:
    """The TrainingRun, which waits for an approval.

    Raises:
        NotApprovable: it does not wait for one, or its offer has expired.
        NotFound, Unreadable: there is no such run, or it cannot be read.
    """
    run = await client.training_runs.get(name)
    status = run.status
    if run.spec.estimate_only:
        raise NotApprovable(
            f"TrainingRun {name} only says what a training would cost (spec.estimateOnly), and spends nothing: approve "
            "the run that trains"
        )
    if status.job is not None or not status.approval_digest or status.estimate is None:
        raise NotApprovable(
            f"TrainingRun {name} does not wait for an approval: it is {status.phase.value}/{status.reason or 'new'}"
        )
    if status.finished_at is not None:
        raise NotApprovable(
            f"TrainingRun {name} has ended ({status.reason}): create a new one to train again"
        )
    until = status.estimate.valid_until
    if until is not None and until <= datetime.now(UTC):
        raise NotApprovable(
            f"the offer of TrainingRun {name} expired at {until}: wait until the operator has renewed it, and run this "
            "command again"
        )
    return run


async def approve(client: AsyncClient, offer: TrainingRun) -> Change:
    """Approve exactly the offer that was read, with its digest and the caller's name.

    Raises:
        NotApprovable: the caller asked for the run, and its AgentModel forbids self-approval.
        Forbidden: the caller lacks the verb `approve`, or a policy refuses.
    """
    name, digest = offer.metadata.name, offer.status.approval_digest
    agent = offer.spec.agent_model_ref.name
    user = (await client.whoami()).name
    given = offer.spec.approval
    if given is not None and given.digest == digest:
        message = f"already approved by {given.approved_by}"
        return Change(kind="TrainingRun", name=name, agent_name=agent, done=False, message=message)
    await refuse_self_approval(client, offer, user)
    change = {"spec": {"approval": {"approvedBy": user, "digest": digest}}}
    await client.training_runs.patch(name, change, uid=offer.metadata.uid)
    return Change(kind="TrainingRun", name=name, agent_name=agent, done=True, message=f"approved by {user}")


async def refuse_self_approval(client: AsyncClient, run: TrainingRun, user: str) -> None:
    """Refuse an approval that the operator would refuse later.

    A caller who may not read the AgentModel passes; then the operator refuses the approval.

    Raises:
        NotApprovable: the caller requested the run, and its AgentModel forbids self-approval.
    """
    agent = run.spec.agent_model_ref.name
    if run.spec.requested_by != user:
        return
    try:
        found = await client.agent_models.get(agent)
    except ClientError:
        return
    if found.spec.approval_policy.forbid_self_approval:
        raise NotApprovable(
            f"{user} requested this run, and spec.approvalPolicy of AgentModel {agent} forbids self-approval: "
            "ask another person to approve it"
        )


def describe_offer(run: TrainingRun) -> list[tuple[str, str]]:
    """What would be approved, as pairs of a name and a value."""
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


def _describe_maximum(run: TrainingRun) -> str:
    """The most that the run may cost, and what its earlier attempts have cost."""
    maximum = f"at most ${run.spec.max_usd} (spec.maxUSD), including failed attempts"
    paid = run.status.cost_usd
    return f"{maximum}; ${paid} so far" if run.status.attempts and paid else maximum


def _describe_cost(offer: Estimate) -> list[tuple[str, str]]:
    """Hardware, estimated cost, and until when the offer can be approved."""
    until = offer.valid_until
    return [
        ("hardware", f"{offer.flavor} at ${offer.usd_per_hour} an hour"),
        (
            "cost",
            f"${offer.low_usd} to ${offer.high_usd}, {offer.low_minutes} to {offer.high_minutes} minutes",
        ),
        ("valid until", f"{until:%Y-%m-%d %H:%M} UTC" if until else "no limit"),
    ]
