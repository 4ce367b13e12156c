"""Approvals, and attempts to get around them: real users, RBAC and admission policies on a real API server."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.policies import GROUP, POLICIES, ROOT, allow_status_writes, bind, installed_policies
from tests.namespaces import remove_namespace

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
Answer = subprocess.CompletedProcess[str]

DIGEST, OTHER_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
DEVELOPER, APPROVER, OPERATOR = "bob", "alice", "operator"


class Team:
    """Requests of users in a namespace where the policies are in force; every method returns the API server's answer."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self._kubectl, self.namespace = kubectl, namespace

    def create(self, user: str, name: str = "run", *, kind: str = "TrainingRun", **spec: Any) -> Answer:
        given = {"agentModelRef": {"name": "docs"}, "baseModel": "a/b", "maxUSD": "500", **spec}
        if kind == "Rollout":
            given = {
                "agentModelRef": {"name": "docs"},
                "candidate": {"version": "v1.0.0"},
                "maxUSD": "5",
                **spec,
            }
        manifest = {
            "apiVersion": f"{GROUP}/v1alpha1",
            "kind": kind,
            "metadata": {"name": name},
            "spec": given,
        }
        return self._as(user, "create", "-f", "-", input=json.dumps(manifest))

    def await_approval(self, digest: str = DIGEST, name: str = "run") -> None:
        """Sets the status as the operator does when it needs an approval of this digest."""
        status = {"phase": "AwaitingApproval", "approvalDigest": digest}
        done = self.patch(OPERATOR, name, {"status": status}, "--subresource=status")
        assert done.returncode == 0, done.stderr

    def approve(self, user: str, digest: str = DIGEST, *, by: str = "") -> Answer:
        return self.patch(user, "run", {"spec": {"approval": {"approvedBy": by or user, "digest": digest}}})

    def patch(self, user: str, name: str, merge: Any, *more: str, kind: str = "trainingruns") -> Answer:
        patch = ("--type=merge", "-p", json.dumps(merge))
        return self._as(user, "patch", f"{kind}.{GROUP}", name, *patch, *more)

    def get(self, kind: str = "trainingruns", name: str = "run") -> dict[str, Any]:
        shown = self._kubectl(
            "get", f"{kind}.{GROUP}", name, "-o", "json", namespace=self.namespace, check=True
        )
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    def create_agent_model(self, user: str, name: str = "docs", **spec: Any) -> Answer:
        sample = (ROOT / "config" / "samples" / "agentmodel-docs.yaml").read_text(encoding="utf-8")
        shown = self._kubectl("create", "--dry-run=client", "-o", "json", "-f", "-", input=sample, check=True)
        item = json.loads(shown.stdout)
        item["metadata"] = {"name": name}
        del item["spec"]["budget"]
        item["spec"] |= spec
        return self._as(user, "create", "-f", "-", input=json.dumps(item))

    def _as(self, user: str, *arguments: str, input: str | None = None) -> Answer:
        return self._kubectl(*arguments, namespace=self.namespace, user=user, input=input)


@pytest.fixture(scope="module")
def team(kubectl: Kubectl) -> Iterator[Team]:
    """bob is a developer, alice an approver, and `operator` the operator; RBAC lets all of them write status."""
    namespace = f"policies-{uuid.uuid4().hex[:10]}"
    kubectl("create", "namespace", namespace, check=True)
    with installed_policies(kubectl, namespace, operator=OPERATOR):
        bind(kubectl, namespace, DEVELOPER, "modelops-developer")
        bind(kubectl, namespace, APPROVER, "modelops-approver")
        bind(kubectl, namespace, OPERATOR, "modelops-developer")
        for user in (DEVELOPER, APPROVER, OPERATOR):
            allow_status_writes(kubectl, namespace, user)
        made = Team(kubectl, namespace)
        assert made.create_agent_model("admin").returncode == 0
        yield made
    remove_namespace(kubectl, namespace)


@pytest.fixture
def run(team: Team) -> Iterator[Team]:
    """A run of bob's that awaits an approval."""
    made = team.create(DEVELOPER, requestedBy=DEVELOPER)
    assert made.returncode == 0, made.stderr
    team.await_approval()
    yield team
    team._kubectl("delete", f"trainingruns.{GROUP}", "run", namespace=team.namespace, check=True)


def assert_refused(answer: Answer, *words: str) -> None:
    assert answer.returncode != 0, f"it was accepted: {answer.stdout}"
    assert not [word for word in words if word not in answer.stderr], answer.stderr


def assert_accepted(answer: Answer) -> None:
    assert answer.returncode == 0, answer.stderr


# Approving.


def test_an_approver_approves_the_digest_in_the_status(run: Team) -> None:
    assert_accepted(run.approve(APPROVER))
    assert run.get()["spec"]["approval"] == {"approvedBy": APPROVER, "digest": DIGEST}


def test_a_user_without_the_verb_is_refused_and_the_verb_is_named(run: Team) -> None:
    assert_refused(
        run.approve(DEVELOPER), "the verb approve on trainingruns", run.namespace, f"{DEVELOPER} has not"
    )


def test_an_approval_in_another_users_name_is_refused(run: Team) -> None:
    assert_refused(run.approve(APPROVER, by="carol"), "must be your own name, alice")
    assert_refused(run.approve("admin", by=APPROVER), "must be your own name, admin")


def test_an_approval_of_another_digest_is_refused(run: Team) -> None:
    assert_refused(run.approve(APPROVER, OTHER_DIGEST), "status.approvalDigest", "look again")


def test_an_old_approval_cannot_be_restored_after_a_new_estimate(run: Team) -> None:
    assert_accepted(run.approve(APPROVER))
    given = run.get()["spec"]["approval"]
    run.await_approval(OTHER_DIGEST)
    assert_accepted(run.patch(APPROVER, "run", {"spec": {"approval": None}}))
    assert_refused(run.patch(APPROVER, "run", {"spec": {"approval": given}}), "status.approvalDigest")
    assert_accepted(run.approve(APPROVER, OTHER_DIGEST))


def test_a_forged_status_in_the_same_request_is_ignored(run: Team) -> None:
    approval = {"approvedBy": APPROVER, "digest": OTHER_DIGEST}
    both = {"spec": {"approval": approval}, "status": {"approvalDigest": OTHER_DIGEST}}
    assert_refused(run.patch(APPROVER, "run", both), "status.approvalDigest")
    assert run.get()["status"]["approvalDigest"] == DIGEST


def test_a_run_that_does_not_await_an_approval_cannot_be_approved(team: Team) -> None:
    assert_accepted(team.create(DEVELOPER, "early"))
    early = {"spec": {"approval": {"approvedBy": APPROVER, "digest": DIGEST}}}
    assert_refused(team.patch(APPROVER, "early", early), "status.approvalDigest")


# Attempts to approve in another way.


@pytest.mark.parametrize("user", [DEVELOPER, APPROVER, "admin"])
def test_only_the_operator_writes_the_status_of_a_run(run: Team, user: str) -> None:
    forged = {"status": {"approvalDigest": OTHER_DIGEST, "phase": "Submitting"}}
    assert_refused(
        run.patch(user, "run", forged, "--subresource=status"), f"by the operator alone, not by {user}"
    )


@pytest.mark.parametrize("kind", ["agentmodels", "trainingruns"])
def test_only_the_operator_writes_the_status_of_each_kind(run: Team, kind: str) -> None:
    name = "docs" if kind == "agentmodels" else "run"
    assert_refused(
        run.patch("admin", name, {"status": {}}, "--subresource=status", kind=kind), "by the operator alone"
    )


def test_an_approval_through_the_status_subresource_has_no_effect(run: Team) -> None:
    approval = {"spec": {"approval": {"approvedBy": DEVELOPER, "digest": DIGEST}}}
    assert_refused(run.patch(DEVELOPER, "run", approval, "--subresource=status"), "by the operator alone")
    assert_accepted(run.patch(OPERATOR, "run", approval, "--subresource=status"))
    assert "approval" not in run.get()["spec"]


def test_annotations_and_labels_do_not_approve_a_run(run: Team) -> None:
    marks = {"approvedBy": DEVELOPER, f"{GROUP}/approval": DIGEST}
    assert_accepted(
        run.patch(DEVELOPER, "run", {"metadata": {"annotations": marks, "labels": {"approved": "true"}}})
    )
    assert "approval" not in run.get()["spec"]


def test_removing_or_replacing_an_approval_needs_the_verb(run: Team) -> None:
    assert_accepted(run.approve(APPROVER))
    assert_refused(run.patch(DEVELOPER, "run", {"spec": {"approval": None}}), "the verb approve")
    assert_refused(
        run.patch(DEVELOPER, "run", {"spec": {"approval": {"approvedBy": DEVELOPER}}}), "the verb approve"
    )
    assert run.get()["spec"]["approval"]["approvedBy"] == APPROVER


def test_other_fields_stay_writable_beside_an_approval(run: Team) -> None:
    assert_accepted(run.approve(APPROVER))
    assert_accepted(run.patch(DEVELOPER, "run", {"spec": {"cancel": True}}))


@pytest.mark.parametrize("user", [DEVELOPER, "admin"])
def test_creating_a_run_with_an_approval_is_refused(team: Team, user: str) -> None:
    approval = {"approvedBy": user, "digest": DIGEST}
    assert_refused(
        team.create(user, "born-approved", approval=approval), "nothing is created with spec.approval"
    )


def test_a_restore_of_an_approved_run_is_refused_until_the_approval_is_left_out(run: Team) -> None:
    assert_accepted(run.approve(APPROVER))
    backup = run.get()["spec"]
    assert_refused(run.create("admin", "restored", **backup), "also of a backup that is restored")
    assert_accepted(
        run.create("admin", "restored", **{key: backup[key] for key in backup if key != "approval"})
    )


def test_server_side_apply_needs_the_verb_too(run: Team) -> None:
    spec = {**run.get()["spec"], "approval": {"approvedBy": DEVELOPER, "digest": DIGEST}}
    item = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "run"},
        "spec": spec,
    }
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    assert_refused(run._as(DEVELOPER, *apply, input=json.dumps(item)), "the verb approve")


# Budgets.


BUDGETS = {
    "threshold": {"budget": {"approvalAboveUSD": "100000"}},
    "month": {"budget": {"monthlyUSD": "100000"}},
    "policy": {"approvalPolicy": {"forbidSelfApproval": True}},
}


@pytest.mark.parametrize("spec", BUDGETS.values(), ids=BUDGETS.keys())
def test_changing_a_budget_needs_the_verb(team: Team, spec: dict[str, Any]) -> None:
    assert_refused(
        team.patch(DEVELOPER, "docs", {"spec": spec}, kind="agentmodels"),
        "set-budget",
        f"{DEVELOPER} has not",
    )


def test_setting_a_budget_to_null_needs_the_verb(team: Team) -> None:
    lower = {"spec": {"budget": {"monthlyUSD": "20"}}}
    assert_accepted(team.patch("admin", "docs", lower, kind="agentmodels"))
    assert_refused(
        team.patch(DEVELOPER, "docs", {"spec": {"budget": None}}, kind="agentmodels"), "set-budget"
    )
    assert_refused(
        team.patch(DEVELOPER, "docs", {"spec": {"budget": {"monthlyUSD": None}}}, kind="agentmodels"),
        "set-budget",
    )
    assert_accepted(team.patch("admin", "docs", {"spec": {"budget": None}}, kind="agentmodels"))


def test_other_fields_of_an_agent_model_are_edited_without_the_verb(team: Team) -> None:
    assert_accepted(
        team.patch(DEVELOPER, "docs", {"spec": {"rollbackWindowSeconds": 60}}, kind="agentmodels")
    )


@pytest.mark.parametrize("spec", BUDGETS.values(), ids=BUDGETS.keys())
def test_creating_an_agent_model_with_a_budget_needs_the_verb(team: Team, spec: dict[str, Any]) -> None:
    may = ("role", "makes-agents", "--verb=create", f"--resource=agentmodels.{GROUP}")
    kubectl = team._kubectl
    kubectl("create", *may, namespace=team.namespace, check=True)
    binding = ("rolebinding", "makes-agents", "--role=makes-agents", f"--user={DEVELOPER}")
    kubectl("create", *binding, namespace=team.namespace, check=True)
    assert_refused(team.create_agent_model(DEVELOPER, "dear", **spec), "set-budget")
    assert_accepted(team.create_agent_model(DEVELOPER, "plain"))
    assert_accepted(team.create_agent_model("admin", "dear", **spec))
    kubectl("delete", f"agentmodels.{GROUP}", "dear", "plain", namespace=team.namespace, check=True)
    kubectl("delete", "role,rolebinding", "makes-agents", namespace=team.namespace, check=True)


# requestedBy.


def test_requested_by_must_be_the_creating_user(team: Team) -> None:
    assert_refused(
        team.create(DEVELOPER, "forged", requestedBy=APPROVER), "must be your own name, bob", "request-for"
    )
    assert_accepted(team.create(DEVELOPER, "honest", requestedBy=DEVELOPER))
    assert_accepted(team.create(DEVELOPER, "silent"))


def test_requested_by_cannot_be_changed_or_added_later(team: Team) -> None:
    assert_accepted(team.create(DEVELOPER, "fixed", requestedBy=DEVELOPER))
    assert_accepted(team.create(DEVELOPER, "unsaid"))
    for name, value in (("fixed", APPROVER), ("fixed", None), ("unsaid", DEVELOPER)):
        assert_refused(
            team.patch(DEVELOPER, name, {"spec": {"requestedBy": value}}), "requestedBy is immutable"
        )


def test_a_pipeline_with_the_verb_requests_for_other_users(team: Team) -> None:
    assert_refused(team.create("agent", "by-pipeline", requestedBy=DEVELOPER), "cannot create")
    bind(team._kubectl, team.namespace, "agent", "modelops-requester")
    assert_accepted(team.create("agent", "by-pipeline", requestedBy=DEVELOPER))


# Wildcards.


def test_a_role_with_every_verb_may_approve_only_in_its_own_name_and_set_budgets(run: Team) -> None:
    kubectl, role = run._kubectl, "everything"
    kinds = f"trainingruns.{GROUP},agentmodels.{GROUP}"
    kubectl("create", "role", role, "--verb=*", f"--resource={kinds}", namespace=run.namespace, check=True)
    binding = ("rolebinding", role, f"--role={role}", "--user=agent")
    kubectl("create", *binding, namespace=run.namespace, check=True)
    assert_refused(run.approve("agent", by=APPROVER), "must be your own name, agent")
    assert_accepted(run.approve("agent"))
    assert_accepted(
        run.patch("agent", "docs", {"spec": {"budget": {"monthlyUSD": "100"}}}, kind="agentmodels")
    )
    kubectl("delete", "rolebinding", role, namespace=run.namespace, check=True)


# The operator, and rollouts.


def test_the_operator_writes_an_approved_run_but_cannot_approve(run: Team) -> None:
    assert_refused(run.approve(OPERATOR), "the verb approve")
    assert_accepted(run.approve(APPROVER))
    assert_accepted(run.patch(OPERATOR, "run", {"metadata": {"finalizers": [f"{GROUP}/cleanup"]}}))
    run.await_approval(OTHER_DIGEST)
    assert_accepted(run.patch(OPERATOR, "run", {"metadata": {"finalizers": []}}))
    assert run.get()["spec"]["approval"]["digest"] == DIGEST


def test_rollouts_are_created_and_edited_without_the_verbs(team: Team) -> None:
    assert_accepted(team.create(DEVELOPER, "canary", kind="Rollout"))
    assert_accepted(team.patch(DEVELOPER, "canary", {"spec": {"paused": True}}, kind="rollouts"))
    status = {"status": {"phase": "Promoting"}}
    assert_refused(
        team.patch(DEVELOPER, "canary", status, "--subresource=status", kind="rollouts"),
        "by the operator alone",
    )
    assert_accepted(team.patch(OPERATOR, "canary", status, "--subresource=status", kind="rollouts"))


def test_the_approval_requested_by_and_status_policies_match_rollouts() -> None:
    text = {path.stem: path.read_text(encoding="utf-8") for path in POLICIES}
    assert set(text) == {"approval", "budget", "jobs", "networks", "pods", "requested-by", "status"}
    assert all("rollouts" in text[name] for name in ("approval", "requested-by", "status"))
