"""`modelops approve`: shows what a TrainingRun asks for, and approves exactly that in the caller's own name."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any

from modelops.api.v1alpha1.names import GROUP, VERSION
from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.trainingrun import Estimate, TrainingRun
from modelops.cli.kube_access import add_arguments, connected

RUNS = "trainingruns"


class CannotApprove(Exception):
    """Why nothing was approved; the message says what to do."""


def register(subparsers: Any) -> None:
    """Adds the subcommand."""
    parser = subparsers.add_parser(
        "approve",
        help="approve what a TrainingRun will cost",
        description=(
            "Shows what a TrainingRun in the phase AwaitingApproval asks for, and writes spec.approval with your own "
            "name and the digest that was shown. What changes in between is refused."
        ),
    )
    parser.add_argument("name", help="name of the TrainingRun, such as docs-2025-12-09")
    add_arguments(parser)
    parser.add_argument("--yes", action="store_true", help="approve without being asked")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0 where it is approved; 1 where it cannot be, or was not wanted; 2 without a cluster."""
    from kubernetes import client

    if not connected(arguments, command="approve"):
        return 2
    objects = client.CustomObjectsApi()
    where = (GROUP, VERSION, arguments.namespace, RUNS, arguments.name)
    try:
        asked = asking(objects.get_namespaced_custom_object(*where))
        print("\n".join(f"{name:<14}{value}" for name, value in shown(asked)))
        user = whoami()
        if asked.spec.approval is not None and asked.spec.approval.digest == asked.status.approval_digest:
            print(f"\nalready approved by {asked.spec.approval.approved_by}")
            return 0
        forbid_self_approval(objects, asked, user)
        if not arguments.yes and not confirmed(user):
            print("not approved", file=sys.stderr)
            return 1
        approval = {"approvedBy": user, "digest": asked.status.approval_digest}
        objects.patch_namespaced_custom_object(*where, {"spec": {"approval": approval}})
    except CannotApprove as error:
        print(f"modelops approve: {error}", file=sys.stderr)
        return 1
    except client.ApiException as error:
        print(f"modelops approve: the API server answered {error.status}: {_words(error)}", file=sys.stderr)
        return 1
    print(
        f"\napproved by {user}; follow it: kubectl -n {arguments.namespace} get {RUNS}.{GROUP} {arguments.name} --watch"
    )
    return 0


def asking(item: Any) -> TrainingRun:
    """The run, which asks for an approval.

    Raises:
        CannotApprove: it asks for nothing, or for no longer.
    """
    found = read(TrainingRun, item)
    if found.value is None:
        raise CannotApprove(f"TrainingRun {found.metadata.name} cannot be read: {'; '.join(found.problems)}")
    asked, name = found.value, found.metadata.name
    status = asked.status
    if status.job is not None or not status.approval_digest or status.estimate is None:
        raise CannotApprove(
            f"TrainingRun {name} asks for no approval: it is {status.phase.value}/{status.reason or 'new'}"
        )
    if status.finished_at is not None:
        raise CannotApprove(f"TrainingRun {name} has ended: {status.reason}")
    until = status.estimate.valid_until
    if until is not None and until <= datetime.now(UTC):
        raise CannotApprove(
            f"the offer of TrainingRun {name} expired at {until}: look again when it was renewed"
        )
    return asked


def shown(asked: TrainingRun) -> list[tuple[str, str]]:
    """What is approved, as lines of a name and a value."""
    spec, status = asked.spec, asked.status
    data, offer = status.dataset, status.estimate
    assert offer is not None
    lines = [
        ("run", f"{asked.metadata.name} in {asked.metadata.namespace} (uid {asked.metadata.uid})"),
        ("asked by", spec.requested_by or "not said (spec.requestedBy)"),
        ("agent", spec.agent_model_ref.name),
        ("base model", f"{asked.base_model} @ {status.base_revision[:12]}"),
        ("method", spec.method.value),
    ]
    if data is not None:
        rows = f"{data.rows} rows: {data.train} to train on, {data.test} held out"
        lines.append(("dataset", f"{rows} ({data.repo} @ {data.revision[:12]})"))
    return [*lines, *priced(offer), ("in all", in_all(asked)), ("digest", status.approval_digest)]


def in_all(asked: TrainingRun) -> str:
    """What the approval may come to where attempts fail."""
    most = f"at most ${asked.spec.max_usd} (spec.maxUSD), with attempts that fail"
    paid = asked.status.cost_usd
    return f"{most}; ${paid} so far" if asked.status.attempts and paid else most


def priced(offer: Estimate) -> list[tuple[str, str]]:
    """What it costs, and until when it may be approved."""
    until = offer.valid_until
    return [
        ("hardware", f"{offer.flavor} at ${offer.usd_per_hour} an hour"),
        (
            "cost",
            f"${offer.low_usd} to ${offer.high_usd}, {offer.low_minutes} to {offer.high_minutes} minutes",
        ),
        ("valid until", f"{until:%Y-%m-%d %H:%M} UTC" if until else "not said"),
    ]


def whoami() -> str:
    """The caller's name, as the API server knows it."""
    from kubernetes import client

    review = client.AuthenticationV1Api().create_self_subject_review(client.V1SelfSubjectReview())
    assert review.status is not None
    assert review.status.user_info is not None
    return str(review.status.user_info.username)


def forbid_self_approval(objects: Any, asked: TrainingRun, user: str) -> None:
    """Says before what the operator would say afterwards; who may not read the AgentModel is told by it.

    Raises:
        CannotApprove: the caller asked for the run, and its AgentModel wants somebody else.
    """
    from kubernetes.client import ApiException

    agent = asked.spec.agent_model_ref.name
    if asked.spec.requested_by != user:
        return
    try:
        found = objects.get_namespaced_custom_object(
            GROUP, VERSION, asked.metadata.namespace, "agentmodels", agent
        )
    except ApiException:
        return
    if (found["spec"].get("approvalPolicy") or {}).get("forbidSelfApproval"):
        raise CannotApprove(
            f"{user} asked for this run, and spec.approvalPolicy of AgentModel {agent} forbids self-approval: "
            "somebody else must approve it"
        )


def confirmed(user: str) -> bool:
    """Whether the person at the terminal says yes; nobody there is a no."""
    try:
        return input(f"\nApprove as {user}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _words(error: Any) -> str:
    """What the API server said; an admission policy's message is in the body."""
    try:
        return str(json.loads(error.body)["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)
