"""Approvals against everything that people try: real users, RBAC and admission policies on a real API server."""

from __future__ import annotations

import json
import subprocess
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.cluster.policies import GROUP, POLICIES, ROOT, bind, installed, may_write_status

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
Answer = subprocess.CompletedProcess[str]

ASKED, ANOTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
DEVELOPER, APPROVER, OPERATOR = "bob", "alice", "operator"


class Team:
    """Objects of a namespace where the policies hold; every method says what the API server answered."""

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

    def asked(self, digest: str = ASKED, name: str = "run") -> None:
        """The operator asks for an approval of this digest."""
        status = {"phase": "AwaitingApproval", "approvalDigest": digest}
        done = self.patch(OPERATOR, name, {"status": status}, "--subresource=status")
        assert done.returncode == 0, done.stderr

    def approve(self, user: str, digest: str = ASKED, *, by: str = "") -> Answer:
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

    def agent(self, user: str, name: str = "docs", **spec: Any) -> Answer:
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
    """bob develops, alice approves, the operator is `operator`; all of them may write status, says RBAC."""
    namespace = f"policies-{uuid.uuid4().hex[:10]}"
    kubectl("create", "namespace", namespace, check=True)
    with installed(kubectl, namespace, operator=OPERATOR):
        bind(kubectl, namespace, DEVELOPER, "modelops-developer")
        bind(kubectl, namespace, APPROVER, "modelops-approver")
        bind(kubectl, namespace, OPERATOR, "modelops-developer")
        for user in (DEVELOPER, APPROVER, OPERATOR):
            may_write_status(kubectl, namespace, user)
        made = Team(kubectl, namespace)
        assert made.agent("admin").returncode == 0
        yield made
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def run(team: Team) -> Iterator[Team]:
    """A run of bob's that is asked about."""
    made = team.create(DEVELOPER, requestedBy=DEVELOPER)
    assert made.returncode == 0, made.stderr
    team.asked()
    yield team
    team._kubectl("delete", f"trainingruns.{GROUP}", "run", namespace=team.namespace, check=True)


def refused(answer: Answer, *words: str) -> None:
    assert answer.returncode != 0, f"it was accepted: {answer.stdout}"
    assert not [word for word in words if word not in answer.stderr], answer.stderr


def accepted(answer: Answer) -> None:
    assert answer.returncode == 0, answer.stderr


# Approving.


def test_an_approver_approves_what_is_asked(run: Team) -> None:
    accepted(run.approve(APPROVER))
    assert run.get()["spec"]["approval"] == {"approvedBy": APPROVER, "digest": ASKED}


def test_who_lacks_the_verb_is_refused_and_told(run: Team) -> None:
    refused(run.approve(DEVELOPER), "the verb approve on trainingruns", run.namespace, f"{DEVELOPER} has not")


def test_nobody_approves_in_anothers_name(run: Team) -> None:
    refused(run.approve(APPROVER, by="carol"), "must be your own name, alice")
    refused(run.approve("admin", by=APPROVER), "must be your own name, admin")


def test_an_approval_of_anything_else_is_refused(run: Team) -> None:
    refused(run.approve(APPROVER, ANOTHER), "status.approvalDigest", "look again")


def test_an_approval_is_of_no_use_once_the_offer_is_another(run: Team) -> None:
    accepted(run.approve(APPROVER))
    given = run.get()["spec"]["approval"]
    run.asked(ANOTHER)
    accepted(run.patch(APPROVER, "run", {"spec": {"approval": None}}))
    refused(run.patch(APPROVER, "run", {"spec": {"approval": given}}), "status.approvalDigest")
    accepted(run.approve(APPROVER, ANOTHER))


def test_a_forged_digest_in_the_same_request_is_not_looked_at(run: Team) -> None:
    approval = {"approvedBy": APPROVER, "digest": ANOTHER}
    both = {"spec": {"approval": approval}, "status": {"approvalDigest": ANOTHER}}
    refused(run.patch(APPROVER, "run", both), "status.approvalDigest")
    assert run.get()["status"]["approvalDigest"] == ASKED


def test_a_run_that_asks_nothing_cannot_be_approved(team: Team) -> None:
    accepted(team.create(DEVELOPER, "early"))
    early = {"spec": {"approval": {"approvedBy": APPROVER, "digest": ASKED}}}
    refused(team.patch(APPROVER, "early", early), "status.approvalDigest")


# Ways around.


@pytest.mark.parametrize("user", [DEVELOPER, APPROVER, "admin"])
def test_nobody_but_the_operator_writes_status(run: Team, user: str) -> None:
    forged = {"status": {"approvalDigest": ANOTHER, "phase": "Submitting"}}
    refused(run.patch(user, "run", forged, "--subresource=status"), f"by the operator alone, not by {user}")


@pytest.mark.parametrize("kind", ["agentmodels", "trainingruns"])
def test_nor_that_of_another_kind(run: Team, kind: str) -> None:
    name = "docs" if kind == "agentmodels" else "run"
    refused(
        run.patch("admin", name, {"status": {}}, "--subresource=status", kind=kind), "by the operator alone"
    )


def test_an_approval_through_the_status_subresource_changes_nothing(run: Team) -> None:
    approval = {"spec": {"approval": {"approvedBy": DEVELOPER, "digest": ASKED}}}
    refused(run.patch(DEVELOPER, "run", approval, "--subresource=status"), "by the operator alone")
    accepted(run.patch(OPERATOR, "run", approval, "--subresource=status"))
    assert "approval" not in run.get()["spec"]


def test_metadata_approves_nothing(run: Team) -> None:
    marks = {"approvedBy": DEVELOPER, f"{GROUP}/approval": ASKED}
    accepted(
        run.patch(DEVELOPER, "run", {"metadata": {"annotations": marks, "labels": {"approved": "true"}}})
    )
    assert "approval" not in run.get()["spec"]


def test_null_and_then_another_is_refused(run: Team) -> None:
    accepted(run.approve(APPROVER))
    refused(run.patch(DEVELOPER, "run", {"spec": {"approval": None}}), "the verb approve")
    refused(
        run.patch(DEVELOPER, "run", {"spec": {"approval": {"approvedBy": DEVELOPER}}}), "the verb approve"
    )
    assert run.get()["spec"]["approval"]["approvedBy"] == APPROVER


def test_other_fields_stay_writable_beside_an_approval(run: Team) -> None:
    accepted(run.approve(APPROVER))
    accepted(run.patch(DEVELOPER, "run", {"spec": {"cancel": True}}))


@pytest.mark.parametrize("user", [DEVELOPER, "admin"])
def test_nothing_is_created_with_an_approval(team: Team, user: str) -> None:
    approval = {"approvedBy": user, "digest": ASKED}
    refused(team.create(user, "born-approved", approval=approval), "nothing is created with spec.approval")


def test_a_restore_of_an_approved_run_is_refused_until_the_approval_is_left_out(run: Team) -> None:
    accepted(run.approve(APPROVER))
    backup = run.get()["spec"]
    refused(run.create("admin", "restored", **backup), "also of a backup that is restored")
    accepted(run.create("admin", "restored", **{key: backup[key] for key in backup if key != "approval"}))


def test_server_side_apply_is_judged_like_any_other_write(run: Team) -> None:
    spec = {**run.get()["spec"], "approval": {"approvedBy": DEVELOPER, "digest": ASKED}}
    item = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": "run"},
        "spec": spec,
    }
    apply = ("apply", "--server-side", "--force-conflicts", "-f", "-")
    refused(run._as(DEVELOPER, *apply, input=json.dumps(item)), "the verb approve")


# Raising the threshold first.


BUDGETS = {
    "threshold": {"budget": {"approvalAboveUSD": "100000"}},
    "month": {"budget": {"monthlyUSD": "100000"}},
    "policy": {"approvalPolicy": {"forbidSelfApproval": True}},
}


@pytest.mark.parametrize("spec", BUDGETS.values(), ids=BUDGETS.keys())
def test_a_budget_is_not_changed_without_the_verb(team: Team, spec: dict[str, Any]) -> None:
    refused(
        team.patch(DEVELOPER, "docs", {"spec": spec}, kind="agentmodels"),
        "set-budget",
        f"{DEVELOPER} has not",
    )


def test_setting_it_to_null_is_a_change_too(team: Team) -> None:
    lower = {"spec": {"budget": {"monthlyUSD": "20"}}}
    accepted(team.patch("admin", "docs", lower, kind="agentmodels"))
    refused(team.patch(DEVELOPER, "docs", {"spec": {"budget": None}}, kind="agentmodels"), "set-budget")
    refused(
        team.patch(DEVELOPER, "docs", {"spec": {"budget": {"monthlyUSD": None}}}, kind="agentmodels"),
        "set-budget",
    )
    accepted(team.patch("admin", "docs", {"spec": {"budget": None}}, kind="agentmodels"))


def test_the_rest_of_an_agent_may_be_edited_without_the_verb(team: Team) -> None:
    accepted(team.patch(DEVELOPER, "docs", {"spec": {"rollbackWindowSeconds": 60}}, kind="agentmodels"))


@pytest.mark.parametrize("spec", BUDGETS.values(), ids=BUDGETS.keys())
def test_an_agent_is_made_with_the_default_budget_or_by_who_may_set_it(
    team: Team, spec: dict[str, Any]
) -> None:
    may = ("role", "makes-agents", "--verb=create", f"--resource=agentmodels.{GROUP}")
    kubectl = team._kubectl
    kubectl("create", *may, namespace=team.namespace, check=True)
    binding = ("rolebinding", "makes-agents", "--role=makes-agents", f"--user={DEVELOPER}")
    kubectl("create", *binding, namespace=team.namespace, check=True)
    refused(team.agent(DEVELOPER, "dear", **spec), "set-budget")
    accepted(team.agent(DEVELOPER, "plain"))
    accepted(team.agent("admin", "dear", **spec))
    kubectl("delete", f"agentmodels.{GROUP}", "dear", "plain", namespace=team.namespace, check=True)
    kubectl("delete", "role,rolebinding", "makes-agents", namespace=team.namespace, check=True)


# Who asks.


def test_who_asks_is_who_creates(team: Team) -> None:
    refused(
        team.create(DEVELOPER, "forged", requestedBy=APPROVER), "must be your own name, bob", "request-for"
    )
    accepted(team.create(DEVELOPER, "honest", requestedBy=DEVELOPER))
    accepted(team.create(DEVELOPER, "silent"))


def test_who_asks_cannot_be_changed_or_added_later(team: Team) -> None:
    accepted(team.create(DEVELOPER, "fixed", requestedBy=DEVELOPER))
    accepted(team.create(DEVELOPER, "unsaid"))
    for name, value in (("fixed", APPROVER), ("fixed", None), ("unsaid", DEVELOPER)):
        refused(team.patch(DEVELOPER, name, {"spec": {"requestedBy": value}}), "requestedBy is immutable")


def test_a_pipeline_with_the_verb_asks_for_others(team: Team) -> None:
    refused(team.create("agent", "by-pipeline", requestedBy=DEVELOPER), "cannot create")
    bind(team._kubectl, team.namespace, "agent", "modelops-requester")
    accepted(team.create("agent", "by-pipeline", requestedBy=DEVELOPER))


# Wildcards.


def test_a_role_with_every_verb_may_approve_and_set_budgets_but_only_in_its_own_name(run: Team) -> None:
    kubectl, role = run._kubectl, "everything"
    kinds = f"trainingruns.{GROUP},agentmodels.{GROUP}"
    kubectl("create", "role", role, "--verb=*", f"--resource={kinds}", namespace=run.namespace, check=True)
    binding = ("rolebinding", role, f"--role={role}", "--user=agent")
    kubectl("create", *binding, namespace=run.namespace, check=True)
    refused(run.approve("agent", by=APPROVER), "must be your own name, agent")
    accepted(run.approve("agent"))
    accepted(run.patch("agent", "docs", {"spec": {"budget": {"monthlyUSD": "100"}}}, kind="agentmodels"))
    kubectl("delete", "rolebinding", role, namespace=run.namespace, check=True)


# The operator, and rollouts.


def test_the_operator_does_its_work_on_an_approved_run_and_approves_nothing(run: Team) -> None:
    refused(run.approve(OPERATOR), "the verb approve")
    accepted(run.approve(APPROVER))
    accepted(run.patch(OPERATOR, "run", {"metadata": {"finalizers": [f"{GROUP}/cleanup"]}}))
    run.asked(ANOTHER)
    accepted(run.patch(OPERATOR, "run", {"metadata": {"finalizers": []}}))
    assert run.get()["spec"]["approval"]["digest"] == ASKED


def test_rollouts_are_made_and_changed_as_before(team: Team) -> None:
    accepted(team.create(DEVELOPER, "canary", kind="Rollout"))
    accepted(team.patch(DEVELOPER, "canary", {"spec": {"paused": True}}, kind="rollouts"))
    status = {"status": {"phase": "Promoting"}}
    refused(
        team.patch(DEVELOPER, "canary", status, "--subresource=status", kind="rollouts"),
        "by the operator alone",
    )
    accepted(team.patch(OPERATOR, "canary", status, "--subresource=status", kind="rollouts"))


def test_the_policies_name_rollouts_too() -> None:
    text = {path.stem: path.read_text(encoding="utf-8") for path in POLICIES}
    assert set(text) == {"approval", "budget", "requested-by", "status"}
    assert all("rollouts" in text[name] for name in ("approval", "requested-by", "status"))
