"""The API with kubectl alone: explain, columns, short names, selection, dry runs."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from modelops.localcluster import start_cluster

Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]

CRDS = Path(__file__).parents[2] / "crds"
SAMPLES = Path(__file__).parents[2] / "config" / "samples"
GROUP = "modelops.code-chef.dev"

EXPLAINED = [
    ("agentmodels", "The baseline that everything began with", "spec.baseline", "version v1.0.0"),
    ("agentmodels", "where the label is said", "spec.secretRefs.huggingFace.name", "managed=true"),
    ("agentmodels", "units of money", "spec.budget.monthlyUSD", "US dollars per calendar month in UTC"),
    ("trainingruns", "a limit", "spec.maxUSD", "A higher estimate is refused before anything is spent"),
    ("trainingruns", "values in use", "spec.backend.huggingFace.flavor", "such as `a10g-large`"),
    (
        "rollouts",
        "what counts as time",
        "spec.strategy.canary.steps.pause.durationSeconds",
        "Healthy seconds",
    ),
    ("rollouts", "an enumeration", "spec.evaluation.scorer.type", "that of common words (harmonic mean"),
    ("rollouts", "what an interval is of", "status.evaluation.intervalPoints", "Confidence interval"),
]


@pytest.mark.parametrize(("plural", "what", "path", "says"), EXPLAINED)
def test_explain_says(kubectl: Kubectl, plural: str, what: str, path: str, says: str) -> None:
    explained = kubectl("explain", f"{plural}.{path}", f"--api-version={GROUP}/v1alpha1", check=True).stdout
    assert says in " ".join(explained.split()), explained


@pytest.mark.parametrize("short", ["amod", "mtr", "mro"])
def test_short_name_lists(kubectl: Kubectl, namespace: str, short: str) -> None:
    kubectl("get", short, namespace=namespace, check=True)


def test_one_category_shows_all_kinds(kubectl: Kubectl, namespace: str) -> None:
    for name in ("agentmodel-docs", "trainingrun-docs", "rollout-docs"):
        kubectl("create", "-f", SAMPLES / f"{name}.yaml", namespace=namespace, check=True)
    shown = kubectl("get", "modelops", "-o", "name", namespace=namespace, check=True).stdout.split()
    assert sorted(shown) == [
        f"agentmodel.{GROUP}/docs",
        f"rollout.{GROUP}/docs-v1-1",
        f"trainingrun.{GROUP}/docs-2025-12-09",
    ]


COLUMNS = [
    (
        "agentmodel-docs",
        {"stable": {"version": "v1.1.0", "model": "m", "endpoint": "huggingface"}},
        "NAME AGENT STABLE CANDIDATE SPENT BUDGET READY REASON AGE",
        "docs docs v1.1.0 100",
    ),
    (
        "trainingrun-docs",
        {"phase": "Running", "progress": {"percent": 45, "loss": "0.42", "etaMinutes": 12}},
        "NAME AGENT PHASE DONE% LOSS ETA(MIN) COST VERSION REASON AGE",
        "docs-2025-12-09 docs Running 45 0.42 12",
    ),
    (
        "rollout-docs",
        {
            "phase": "Progressing",
            "reason": "Watching",
            "step": 1,
            "weight": 20,
            "candidate": {"version": "v1.1.0-rc.1", "model": "m"},
            "evaluation": {"verdict": "pass"},
        },
        "NAME AGENT CANDIDATE PHASE STEP WEIGHT VERDICT REASON AGE",
        "docs-v1-1 docs v1.1.0-rc.1 Progressing 1 20 pass Watching",
    ),
]


@pytest.mark.parametrize(("sample", "status", "header", "row"), COLUMNS)
def test_get_tells_the_story(
    kubectl: Kubectl, namespace: str, sample: str, status: dict[str, object], header: str, row: str
) -> None:
    manifest = SAMPLES / f"{sample}.yaml"
    kubectl("create", "-f", manifest, namespace=namespace, check=True)
    body = json.dumps({"status": status})
    kubectl(
        "patch",
        "-f",
        manifest,
        "--type=merge",
        "--subresource=status",
        "-p",
        body,
        namespace=namespace,
        check=True,
    )

    shown = kubectl("get", "-f", manifest, namespace=namespace, check=True).stdout.splitlines()

    assert " ".join(shown[0].split()) == header
    assert " ".join(shown[1].split()).startswith(row)


def test_the_wide_list_names_the_metric_that_is_not_good(kubectl: Kubectl, namespace: str) -> None:
    manifest = SAMPLES / "rollout-docs.yaml"
    kubectl("create", "-f", manifest, namespace=namespace, check=True)
    metrics = [
        {"name": name, "phase": phase} for name, phase in (("cost", "Successful"), ("quality", "Error"))
    ]
    body = json.dumps({"status": {"analysis": {"metrics": metrics}}})
    patch = ("patch", "-f", manifest, "--type=merge", "--subresource=status", "-p", body)
    kubectl(*patch, namespace=namespace, check=True)
    wide = kubectl("get", "-f", manifest, "-o", "wide", namespace=namespace, check=True).stdout.splitlines()
    assert "METRIC" in wide[0].split()
    assert "quality" in wide[1].split()
    assert "cost" not in wide[1].split()


def test_runs_are_selected_by_agent_on_the_server(kubectl: Kubectl, namespace: str) -> None:
    kubectl("create", "-f", SAMPLES / "trainingrun-docs.yaml", namespace=namespace, check=True)
    by_agent = ["get", f"trainingruns.{GROUP}", "-o", "name", "--field-selector"]
    found = kubectl(*by_agent, "spec.agentModelRef.name=docs", namespace=namespace, check=True).stdout
    others = kubectl(*by_agent, "spec.agentModelRef.name=cicd", namespace=namespace, check=True).stdout
    assert found.strip() == f"trainingrun.{GROUP}/docs-2025-12-09"
    assert others == ""


def test_server_side_dry_run_keeps_nothing(kubectl: Kubectl, namespace: str) -> None:
    sample = SAMPLES / "trainingrun-docs.yaml"
    kubectl("create", "--dry-run=server", "-f", sample, namespace=namespace, check=True)
    assert "NotFound" in kubectl("get", "-f", sample, namespace=namespace).stderr


def test_left_out_parts_are_stored_with_their_defaults(kubectl: Kubectl, namespace: str) -> None:
    manifest = {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": "bare"},
        "spec": {"agentModelRef": {"name": "docs"}, "candidate": {"version": "v1.0.0"}, "maxUSD": "1"},
    }
    made = kubectl(
        "create", "-f", "-", "-o", "json", namespace=namespace, input=json.dumps(manifest), check=True
    )
    spec = json.loads(made.stdout)["spec"]
    assert spec["strategy"]["canary"]["steps"] == [
        {"setWeight": 20},
        {"pause": {"durationSeconds": 86400}},
        {"setWeight": 100},
    ]
    assert spec["evaluation"]["concurrency"] == 8
    assert "marginPoints" not in spec["evaluation"], "it follows from the number of examples"
    assert spec["abort"] is False


def test_applying_what_is_there_changes_nothing(tmp_path: Path) -> None:
    """In a cluster of its own: client-side apply would change the CRDs of the shared one."""
    environ = {name: value for name, value in os.environ.items() if name != "MODELOPS_KUBECONFIG"}
    with start_cluster(tmp_path / "cluster", environ=environ) as own:
        apply = [own.kubectl, "--kubeconfig", own.kubeconfig, "apply", "-f", CRDS]
        subprocess.run(apply, check=True, capture_output=True)
        again = subprocess.run(apply, check=True, capture_output=True, text=True).stdout

    assert [line.rpartition(" ")[2] for line in again.splitlines()] == ["unchanged"] * 3, again
