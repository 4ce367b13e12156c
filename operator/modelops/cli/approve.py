"""`modelops approve`: shows a TrainingRun's request for approval, and approves exactly that in the caller's name."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

from modelops.api.v1alpha1.names import GROUP, VERSION
from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.trainingrun import Estimate, TrainingRun
from modelops.cli.errors import CommandError
from modelops.cli.kube_access import add_arguments, api_problem, connect, read_object

PLURAL = "trainingruns"


class NotApprovableError(Exception):
    """The run cannot be approved. The message says why, and what to do."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "approve",
        help="approve the cost of a TrainingRun",
        description=(
            "Show the offer of a TrainingRun in the phase AwaitingApproval: its data, hardware and cost. Then write "
            "spec.approval with your user name and the digest of this offer. If the offer changes in between, the "
            "approval does not count."
        ),
    )
    parser.add_argument("name", help="name of the TrainingRun, such as docs-2025-12-09")
    add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="approve without asking for confirmation")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: the run is approved; 1: it cannot be approved, or the user declined; 2: no cluster."""
    from kubernetes import client

    if not connect(arguments, command="approve"):
        return 2
    objects = client.CustomObjectsApi()
    key = (GROUP, VERSION, arguments.namespace, PLURAL, arguments.name)
    try:
        pending = parse_pending(read_object(objects, "TrainingRun", arguments.namespace, arguments.name))
        print("\n".join(f"{name:<14}{value}" for name, value in describe_offer(pending)))
        user = current_user()
        approval = pending.spec.approval
        if approval is not None and approval.digest == pending.status.approval_digest:
            print(f"\nalready approved by {approval.approved_by}")
            return 0
        refuse_self_approval(objects, pending, user)
        if not arguments.yes and not confirm(user):
            print("not approved", file=sys.stderr)
            return 1
        change = {"approvedBy": user, "digest": pending.status.approval_digest}
        objects.patch_namespaced_custom_object(*key, {"spec": {"approval": change}})
    except (NotApprovableError, CommandError) as error:
        print(f"modelops approve: {error}", file=sys.stderr)
        return 1
    except client.ApiException as error:
        print(f"modelops approve: {api_problem(error)}", file=sys.stderr)
        return 1
    print(
        f"\napproved by {user}; follow the run with: "
        f"kubectl -n {arguments.namespace} get {PLURAL}.{GROUP} {arguments.name} --watch"
    )
    return 0


def parse_pending(item: Any) -> TrainingRun:
    """Parse a run that waits for an approval.

    Raises:
        NotApprovableError: the run cannot be read, does not wait for an approval, or its offer has expired.
    """
    found = read(TrainingRun, item)
    if found.value is None:
        raise NotApprovableError(
            f"TrainingRun {found.metadata.name} cannot be read: {'; '.join(found.problems)}"
        )
    run, name = found.value, found.metadata.name
    status = run.status
    if run.spec.estimate_only:
        raise NotApprovableError(
            f"TrainingRun {name} only says what a training would cost (spec.estimateOnly), and spends nothing: approve "
            "the run that trains"
        )
    if status.job is not None or not status.approval_digest or status.estimate is None:
        raise NotApprovableError(
            f"TrainingRun {name} does not wait for an approval: it is {status.phase.value}/{status.reason or 'new'}"
        )
    if status.finished_at is not None:
        raise NotApprovableError(
            f"TrainingRun {name} has ended ({status.reason}): create a new one to train again"
        )
    until = status.estimate.valid_until
    if until is not None and until <= datetime.now(UTC):
        raise NotApprovableError(
            f"the offer of TrainingRun {name} expired at {until}: wait until the operator has renewed it, and run this "
            "command again"
        )
    return run


def describe_offer(run: TrainingRun) -> list[tuple[str, str]]:
    """Return what would be approved, as pairs of a name and a value."""
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
        *describe_cost(offer),
        ("maximum", describe_maximum(run)),
        ("digest", status.approval_digest),
    ]


def describe_maximum(run: TrainingRun) -> str:
    """Return the most that the run may cost, and what its earlier attempts have cost."""
    maximum = f"at most ${run.spec.max_usd} (spec.maxUSD), including failed attempts"
    paid = run.status.cost_usd
    return f"{maximum}; ${paid} so far" if run.status.attempts and paid else maximum


def describe_cost(offer: Estimate) -> list[tuple[str, str]]:
    """Return hardware, estimated cost, and until when the offer can be approved."""
    until = offer.valid_until
    return [
        ("hardware", f"{offer.flavor} at ${offer.usd_per_hour} an hour"),
        (
            "cost",
            f"${offer.low_usd} to ${offer.high_usd}, {offer.low_minutes} to {offer.high_minutes} minutes",
        ),
        ("valid until", f"{until:%Y-%m-%d %H:%M} UTC" if until else "no limit"),
    ]


def current_user() -> str:
    """Return the caller's user name, as the API server authenticates it."""
    from kubernetes import client

    review = client.AuthenticationV1Api().create_self_subject_review(client.V1SelfSubjectReview())
    assert review.status is not None
    assert review.status.user_info is not None
    return str(review.status.user_info.username)


def refuse_self_approval(objects: Any, run: TrainingRun, user: str) -> None:
    """Refuse an approval that the operator would refuse later.

    A caller who may not read the AgentModel passes; then the operator refuses the approval.

    Raises:
        NotApprovableError: the caller requested the run, and its AgentModel forbids self-approval.
    """
    from kubernetes.client import ApiException

    agent = run.spec.agent_model_ref.name
    if run.spec.requested_by != user:
        return
    try:
        found = objects.get_namespaced_custom_object(
            GROUP, VERSION, run.metadata.namespace, "agentmodels", agent
        )
    except ApiException:
        return
    if (found["spec"].get("approvalPolicy") or {}).get("forbidSelfApproval"):
        raise NotApprovableError(
            f"{user} requested this run, and spec.approvalPolicy of AgentModel {agent} forbids self-approval: "
            "ask another person to approve it"
        )


def confirm(user: str) -> bool:
    """Ask for confirmation on the terminal. Without a terminal the answer is no."""
    try:
        return input(f"\nApprove as {user}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False
