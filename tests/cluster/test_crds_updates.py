"""The fields that can change after an object was created and those that cannot: decided by the real API server."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelops.api.v1alpha1 import AgentModel, Rollout, TrainingRun
from modelops.api.v1alpha1.reading import read

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
Patch = Callable[..., "subprocess.CompletedProcess[str]"]

SAMPLES = Path(__file__).parents[2] / "config" / "samples"
GROUP = "modelops.code-chef.dev"
AGENT = f"agentmodels.{GROUP}/docs"
RUN = f"trainingruns.{GROUP}/docs-2025-12-09"
ROLLOUT = f"rollouts.{GROUP}/docs-v1-1"
MANIFESTS = {AGENT: "agentmodel-docs", RUN: "trainingrun-docs", ROLLOUT: "rollout-docs"}


@pytest.fixture
def stored(kubectl: Kubectl, namespace: str) -> Callable[[str], dict[str, Any]]:
    """Return a function that reads an object from the API server; the three samples of the docs agent exist."""
    for name in MANIFESTS.values():
        kubectl("create", "-f", SAMPLES / f"{name}.yaml", namespace=namespace, check=True)

    def get(target: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(
            kubectl("get", target, "-o", "json", namespace=namespace, check=True).stdout
        )
        return found

    return get


@pytest.fixture
def patch(kubectl: Kubectl, namespace: str, stored: Callable[[str], dict[str, Any]]) -> Patch:
    """Merge-patch an object: `patch(RUN, spec={...})`, `patch(RUN, status={...})` through the subresource."""

    def send(target: str, **parts: Any) -> "subprocess.CompletedProcess[str]":
        through = ["--subresource=status"] if "status" in parts else []
        return kubectl(
            "patch", target, "--type=merge", *through, "-p", json.dumps(parts), namespace=namespace
        )

    return send


IMMUTABLE = [
    (AGENT, {"agent": "cicd"}, "agent is immutable: create another AgentModel"),
    (AGENT, {"config": {"configMapRef": {"name": "other"}}}, "config.configMapRef is immutable"),
    (AGENT, {"config": {"configMapRef": {"key": "other.yaml"}}}, "config.configMapRef is immutable"),
    (RUN, {"agentModelRef": {"name": "other"}}, "agentModelRef is immutable"),
    (RUN, {"dataset": {"splits": ["test"]}}, "dataset is immutable"),
    (RUN, {"dataset": None}, "dataset is immutable"),
    (RUN, {"baseModel": "Qwen/Qwen2.5-Coder-1.5B"}, "baseModel is immutable"),
    (RUN, {"config": {"numEpochs": 5}}, "config is immutable"),
    (RUN, {"config": None}, "config is immutable"),
    (RUN, {"backend": {"huggingFace": {"flavor": "h100"}}}, "backend is immutable"),
    (RUN, {"maxUSD": "50"}, "maxUSD is immutable: a TrainingRun runs only once; create a new TrainingRun"),
    (RUN, {"activeDeadlineSeconds": 9000}, "activeDeadlineSeconds is immutable"),
    (RUN, {"estimateOnly": True}, "estimateOnly is immutable: a TrainingRun runs only once"),
    (RUN, {"requestedBy": "somebody"}, "requestedBy is immutable"),
    (ROLLOUT, {"agentModelRef": {"name": "other"}}, "agentModelRef is immutable"),
    (ROLLOUT, {"candidate": {"trainingRunRef": {"name": "other"}}}, "candidate is immutable"),
    (ROLLOUT, {"candidate": {"trainingRunRef": None, "version": "v1.0.0"}}, "candidate is immutable"),
    (ROLLOUT, {"evaluation": {"marginPoints": "50"}}, "evaluation is immutable"),
    (ROLLOUT, {"evaluation": None}, "evaluation is immutable"),
    (ROLLOUT, {"strategy": {"canary": None, "immediate": {}}}, "strategy is immutable"),
    (ROLLOUT, {"analysis": {"minRequests": 1}}, "analysis is immutable"),
    (ROLLOUT, {"maxUSD": "50"}, "maxUSD is immutable: a Rollout runs only once; create a new Rollout"),
    (ROLLOUT, {"progressDeadlineSeconds": 200000}, "progressDeadlineSeconds is immutable"),
]


@pytest.mark.parametrize(("target", "spec", "message"), IMMUTABLE)
def test_immutable_field_is_refused(patch: Patch, target: str, spec: dict[str, Any], message: str) -> None:
    refused = patch(target, spec=spec)
    assert refused.returncode != 0, "it was accepted"
    assert message in refused.stderr


MUTABLE = [
    (AGENT, {"baseline": {"model": "another/model"}}),
    (AGENT, {"prompt": {"system": "Be brief."}}),
    (AGENT, {"budget": {"monthlyUSD": "12.50"}}),
    (AGENT, {"serving": {"maxReplica": 2}}),
    (AGENT, {"config": {"workloadSelector": None}}),
    (RUN, {"cancel": True}),
    (RUN, {"approval": {"approvedBy": "alice", "digest": "sha256:" + "a" * 64}}),
    (AGENT, {"approvalPolicy": {"forbidSelfApproval": True}}),
    (ROLLOUT, {"paused": True}),
    (ROLLOUT, {"abort": True}),
    (ROLLOUT, {"promote": {"throughStep": 2}}),
    (ROLLOUT, {"promote": {"full": True}}),
]


@pytest.mark.parametrize(("target", "spec"), MUTABLE)
def test_other_field_may_change(patch: Patch, target: str, spec: dict[str, Any]) -> None:
    changed = patch(target, spec=spec)
    assert changed.returncode == 0, changed.stderr


SHRINKING = [
    ({"throughStep": 2}, {"throughStep": 1}),
    ({"throughStep": 2}, {"throughStep": None}),
    ({"throughStep": 2}, None),
    ({"full": True}, {"full": False}),
    ({"full": True}, {"full": None}),
    ({"full": True, "throughStep": 1}, None),
]


@pytest.mark.parametrize(("opened", "smaller"), SHRINKING)
def test_promote_only_grows(patch: Patch, opened: dict[str, Any], smaller: dict[str, Any] | None) -> None:
    assert patch(ROLLOUT, spec={"promote": opened}).returncode == 0

    refused = patch(ROLLOUT, spec={"promote": smaller})

    assert refused.returncode != 0, "it was accepted"
    assert "promote only grows, because what was opened may have been passed" in refused.stderr


def test_promote_may_grow(patch: Patch) -> None:
    for opened in ({"throughStep": 1}, {"throughStep": 3}, {"full": True}):
        grown = patch(ROLLOUT, spec={"promote": opened})
        assert grown.returncode == 0, grown.stderr


LATCHES = [(RUN, "cancel"), (ROLLOUT, "abort")]


@pytest.mark.parametrize("value", [False, None], ids=["false", "unset"])
@pytest.mark.parametrize(("target", "latch"), LATCHES)
def test_latch_holds_against_a_patch(patch: Patch, target: str, latch: str, value: bool | None) -> None:
    assert patch(target, spec={latch: True}).returncode == 0

    refused = patch(target, spec={latch: value})

    assert refused.returncode != 0, "it was accepted"
    assert f"{latch} cannot be unset once it is true: create a new " in refused.stderr


@pytest.mark.parametrize(("target", "latch"), LATCHES)
def test_latch_holds_against_a_replaced_object(
    kubectl: Kubectl, namespace: str, patch: Patch, target: str, latch: str
) -> None:
    assert patch(target, spec={latch: True}).returncode == 0

    refused = kubectl("replace", "-f", SAMPLES / f"{MANIFESTS[target]}.yaml", namespace=namespace)

    assert refused.returncode != 0, "it was accepted"
    assert f"{latch} cannot be unset once it is true" in refused.stderr


@pytest.mark.parametrize(("target", "latch"), LATCHES)
def test_latch_holds_against_forced_server_side_apply(
    kubectl: Kubectl, namespace: str, patch: Patch, target: str, latch: str
) -> None:
    assert patch(target, spec={latch: True}).returncode == 0
    manifest = (SAMPLES / f"{MANIFESTS[target]}.yaml").read_text(encoding="utf-8")

    refused = kubectl(
        "apply",
        "--server-side",
        "--force-conflicts",
        "-f",
        "-",
        namespace=namespace,
        input=f"{manifest}  {latch}: false\n",
    )

    assert refused.returncode != 0, "it was accepted"
    assert f"{latch} cannot be unset once it is true" in refused.stderr


@pytest.mark.parametrize("target", MANIFESTS)
def test_spec_cannot_be_removed_to_set_another(patch: Patch, target: str) -> None:
    refused = patch(target, spec=None)
    assert refused.returncode != 0, "it was accepted"
    assert "spec: Required value" in refused.stderr


def test_status_in_a_manifest_is_ignored(
    patch: Patch,
    kubectl: Kubectl,
    namespace: str,
    stored: Callable[[str], dict[str, Any]],
) -> None:
    manifest = {**stored(RUN), "status": {"phase": "Succeeded"}}
    kubectl("replace", "-f", "-", namespace=namespace, input=json.dumps(manifest), check=True)
    assert stored(RUN)["status"] == {"observedGeneration": 0}, "the default of an object that nobody has seen"


def test_status_write_leaves_the_spec_alone(patch: Patch, stored: Callable[[str], dict[str, Any]]) -> None:
    before = stored(RUN)["spec"]
    assert patch(RUN, status={"phase": "Running"}, spec={"cancel": True}).returncode == 0
    after = stored(RUN)
    assert after["spec"] == before
    assert after["status"]["phase"] == "Running"


STATUS_LATCHES = [("abortReason", "LatencyBreached", ""), ("promoting", True, False)]


@pytest.mark.parametrize("removal", ["emptied", "unset", "whole status removed"])
@pytest.mark.parametrize(("latch", "value", "empty"), STATUS_LATCHES)
def test_latch_in_a_rollouts_status_holds(
    patch: Patch, latch: str, value: Any, empty: Any, removal: str
) -> None:
    assert patch(ROLLOUT, status={"phase": "Progressing", latch: value}).returncode == 0
    statuses = {
        "emptied": {"phase": "Progressing", latch: empty},
        "unset": {latch: None},
        "whole status removed": None,
    }

    refused = patch(ROLLOUT, status=statuses[removal])

    assert refused.returncode != 0, "it was accepted"
    assert "status.abortReason and status.promoting cannot be unset" in refused.stderr


def test_status_may_go_on_beside_its_latches(patch: Patch) -> None:
    assert patch(ROLLOUT, status={"abortReason": "LatencyBreached", "weight": 20}).returncode == 0
    assert patch(ROLLOUT, status={"phase": "Aborted", "weight": 0}).returncode == 0


def test_conditions_are_unique_by_type(patch: Patch) -> None:
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "Reconciled",
        "lastTransitionTime": "2025-12-09T22:00:00Z",
    }
    refused = patch(AGENT, status={"conditions": [ready, ready]})
    assert refused.returncode != 0
    assert "Duplicate value" in refused.stderr


KEYED_LISTS = [
    (RUN, "attempts", {"attempt": 1, "reason": "JobLost"}),
    (AGENT, "endpoints", {"name": "docs-1", "role": "stable", "model": "org/docs"}),
]


@pytest.mark.parametrize(("target", "name", "entry"), KEYED_LISTS)
def test_entries_of_a_keyed_list_are_unique(
    patch: Patch, target: str, name: str, entry: dict[str, Any]
) -> None:
    assert patch(target, status={name: [entry]}).returncode == 0
    refused = patch(target, status={name: [entry, entry]})
    assert refused.returncode != 0, "it was accepted"
    assert "Duplicate value" in refused.stderr


RECIPE = {"learningRate": "0.0002", "numEpochs": 3, "targetModules": ["all-linear"]}


def test_recipe_is_stored_as_an_object(patch: Patch, stored: Callable[[str], dict[str, Any]]) -> None:
    assert patch(RUN, status={"recipe": RECIPE}).returncode == 0
    assert stored(RUN)["status"]["recipe"] == RECIPE
    refused = patch(RUN, status={"recipe": json.dumps(RECIPE)})
    assert "must be of type object" in refused.stderr


@pytest.mark.parametrize(
    ("target", "kind"),
    [(AGENT, AgentModel), (RUN, TrainingRun), (ROLLOUT, Rollout)],
    ids=lambda value: str(value),
)
def test_defaults_of_server_and_models_are_the_same(
    stored: Callable[[str], dict[str, Any]], target: str, kind: type[Any]
) -> None:
    server = stored(target)
    reading = read(kind, server)
    assert reading.problems == ()
    assert _without_empty_lists(reading.value.spec.wire()) == server["spec"]


def _without_empty_lists(value: Any) -> Any:
    """The server stores no default for a list: an absent one is an empty one."""
    if not isinstance(value, dict):
        return value
    return {key: _without_empty_lists(part) for key, part in value.items() if part != []}
