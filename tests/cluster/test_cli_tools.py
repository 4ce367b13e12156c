"""The commands of the three kinds on a real API server, where the admin plays the operator."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from tests.cluster.docs_preconditions import GROUP, Kubectl, Preconditions
from tests.cluster.policies import bind
from tests.patience import deadline_after, patient

from modelops.api.v1alpha1.names import record_name
from modelops.domain.record import Record, RegistryEntry
from modelops.localcluster import LocalCluster

Answer = subprocess.CompletedProcess[str]
RUN, ROLLOUT = "docs-2025-12-09", "docs-v1-1"


class Terminal:
    """A person at a command line, in a namespace with the agent `docs`, which has two trained versions."""

    def __init__(self, cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> None:
        self._cluster, self._kubectl, self.namespace = cluster, kubectl, namespace
        self.kubeconfig = cluster.kubeconfig
        self.preconditions = Preconditions(kubectl, namespace)
        self.preconditions.establish("agent")
        found = self.get("configmap", record_name("docs"))
        versions = (_version("v1.1.0-rc.1", accuracy=0.75), _version("v1.1.0-rc.2", accuracy=0.87))
        data = Record.from_data(found["data"]).with_(history=versions).to_data()
        self.change("configmap", record_name("docs"), {"data": data})

    def modelops(self, *arguments: str, types: str = "", user: str | None = None, expect: int = 0) -> Answer:
        kubeconfig = self._cluster.kubeconfig_for(user) if user else self._cluster.kubeconfig
        command = [sys.executable, "-m", "modelops.cli", *arguments, "-n", self.namespace]
        done = subprocess.run(
            [*command, "--kubeconfig", str(kubeconfig)],
            input=types,
            capture_output=True,
            text=True,
            timeout=patient(60),
        )
        assert done.returncode == expect, done
        assert "Traceback" not in done.stderr
        return done

    def get(self, kind: str, name: str) -> Any:
        shown = self._kubectl("get", kind, name, "-o", "json", namespace=self.namespace, check=True)
        return json.loads(shown.stdout)

    def status(self, plural: str, name: str, status: dict[str, Any]) -> None:
        self.change(f"{plural}.{GROUP}", name, {"status": status}, "--subresource=status")

    def names(self, plural: str) -> list[str]:
        shown = self._kubectl("get", f"{plural}.{GROUP}", "-o", "name", namespace=self.namespace, check=True)
        return [line.partition("/")[2] for line in shown.stdout.split()]

    def change(self, kind: str, name: str, change: dict[str, Any], *more: str) -> None:
        patch = ("--type=merge", "-p", json.dumps(change))
        self._kubectl("patch", kind, name, *patch, *more, namespace=self.namespace, check=True)


def _version(version: str, *, accuracy: float) -> RegistryEntry:
    return RegistryEntry(
        version=version,
        model=f"org/docs-{version[-1]}",
        base_model="Qwen/Qwen2.5-Coder-7B",
        training_method="sft",
        training_dataset="ls://docs-train",
        eval_scores={"accuracy": accuracy, "baseline_improvement": "+12%"},
        trained_at="2025-12-09T22:00:00Z",
        hub_repo=f"org/docs-{version[-1]}",
        deployment_status="evaluated",
        lineage={"revision": "c" * 40},
    )


@pytest.fixture
def terminal(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> Terminal:
    return Terminal(cluster, kubectl, namespace)


def condition(kind: str, status: str) -> dict[str, Any]:
    moment = "2025-12-09T22:00:00Z"
    return {
        "type": kind,
        "status": status,
        "reason": "Trying",
        "message": "because",
        "lastTransitionTime": moment,
    }


def ended(phase: str, *, succeeded: bool, message: str) -> dict[str, Any]:
    def condition(kind: str, status: str) -> dict[str, Any]:
        moment = "2025-12-09T22:00:00Z"
        return {
            "type": kind,
            "status": status,
            "reason": phase,
            "message": message,
            "lastTransitionTime": moment,
        }

    conditions = [condition("Finished", "True"), condition("Succeeded", "True" if succeeded else "False")]
    return {"phase": phase, "reason": phase, "finishedAt": "2025-12-09T22:00:00Z", "conditions": conditions}


def test_models_shows_what_serves_and_the_history_in_pages(terminal: Terminal) -> None:
    shown = terminal.modelops("models", "docs").stdout
    assert "docs is served by v1.0.0, anthropic/claude-3.5-haiku" in shown
    rows = [line.split() for line in shown.splitlines() if line.startswith("v1.1.0")]
    assert [row[0] for row in rows] == ["v1.1.0-rc.2", "v1.1.0-rc.1"]
    assert rows[0][1:5] == ["evaluated", "87", "%", "+12%"]
    page = json.loads(terminal.modelops("models", "docs", "--limit", "1", "-o", "json").stdout)
    assert (page["models"][0]["version"], page["total"]) == ("v1.1.0-rc.2", 2)
    page = YAML(typ="safe").load(
        terminal.modelops("models", "docs", "--page", page["next_page"], "-o", "yaml").stdout
    )
    assert ([one["version"] for one in page["models"]], page["next_page"]) == (["v1.1.0-rc.1"], None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("models", "dcos"), "has no agent 'dcos': did you mean docs? An agent of"),
        (("evaluate", "docs", "v9.9.9", "--yes"), "has no model 'v9.9.9'"),
        (("deploy", "docs", "--strategy", "canary", "--yes"), "use immediate, or canary_<n>pct"),
        (("deploy", "docs", "--target", "azure", "--yes"), "'azure' is no target"),
        (("deploy", "docs", "--max-usd", "a lot", "--yes"), "is no amount of US dollars"),
        (("evaluate", "docs", "--scorer", "exakt", "--yes"), 'supported values: "exact", "json", "regex"'),
        (
            ("evaluate", "docs", "--scorer", "custom", "--yes"),
            "scorer.name is the name of a team's own scorer",
        ),
        (("evaluate", "docs", "--ask", "agent", "--yes"), "does not say how the agent is asked"),
        (("train", "docs", "--set", "epochs=2", "--estimate"), "training_config.epochs"),
        (("train", "docs", "--set", "epochs", "--estimate"), "write NAME=VALUE"),
        (("explain", "nothing"), "has no Rollout, TrainingRun or AgentModel named nothing"),
        (("explain", "pod/docs"), "'pod' is no kind"),
        (("watch", "docs"), "is an AgentModel"),
        (("abort", "nothing"), "has no Rollout named nothing"),
        (("train", "docs", "--quote", "nothing"), "there is no quote nothing"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_mistake_is_answered_with_what_to_do_and_creates_nothing(
    terminal: Terminal, arguments: tuple[str, ...], says: str
) -> None:
    done = terminal.modelops(*arguments, expect=1)
    assert says in done.stderr, done.stderr
    assert terminal.names("rollouts") + terminal.names("trainingruns") == []


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("NoBaseModel", "name one as organisation/name"),
        ("NoPromptContract", "no estimate: write spec.prompt"),
        ("JobsDisabled", "no estimate: write spec.prompt"),
    ],
)
def test_an_estimate_that_only_another_setting_can_end_is_not_waited_for(
    terminal: Terminal, reason: str, says: str
) -> None:
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(terminal.modelops, "train", "docs", "--dataset", "ls://d", "--estimate", expect=1)
        deadline = deadline_after(30)
        while not (names := terminal.names("trainingruns")):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        said = {
            "reason": reason,
            "message": "write spec.prompt",
            "lastTransitionTime": "2025-12-09T22:00:00Z",
        }
        conditions = [{"type": "Ready", "status": "False", **said}]
        (name,) = names
        terminal.status(
            "trainingruns", name, {"phase": "Pending", "reason": reason, "conditions": conditions}
        )
        answer = asked.result(timeout=patient(60))
    assert says in answer.stderr, answer.stderr


def test_an_evaluation_is_confirmed_created_once_and_then_shown(terminal: Terminal) -> None:
    declined = terminal.modelops("evaluate", "docs", types="n\n", expect=1)
    assert "Evaluate v1.1.0-rc.2 of docs on held-out examples for at most $10?" in declined.stderr
    assert terminal.names("rollouts") == []
    terminal.modelops("evaluate", "docs", "--dry-run=server")
    assert terminal.names("rollouts") == []

    with ThreadPoolExecutor(4) as pool:
        made = list(
            pool.map(lambda _: terminal.modelops("evaluate", "docs", "--yes", "-o", "name").stdout, range(4))
        )
    (name,) = terminal.names("rollouts")
    assert set(made) == {f"rollout.{GROUP}/{name}\n"}
    spec = terminal.get(f"rollouts.{GROUP}", name)["spec"]
    assert (spec["candidate"], spec["strategy"], spec["maxUSD"]) == (
        {"version": "v1.1.0-rc.2"},
        {"evaluateOnly": {}},
        "10",
    )

    arm = {"latencyP50Milliseconds": 900, "usdPer1000Tokens": "0.002"}
    evaluation = {
        "examples": 120,
        "baseline": {**arm, "success": "0.75"},
        "candidate": {**arm, "success": "0.87", "latencyP50Milliseconds": 720},
        "differencePoints": "12",
        "intervalPoints": ["4.5", "19.1"],
        "verdict": "NonInferior",
        "recommendation": "deploy",
    }
    terminal.status(
        "rollouts",
        name,
        {**ended("Succeeded", succeeded=True, message="12 points better"), "evaluation": evaluation},
    )
    again = json.loads(terminal.modelops("evaluate", "docs", "--yes", "-o", "json").stdout)
    assert (again["created"], len(terminal.names("rollouts"))) == (True, 2), (
        "an ended evaluation is done again"
    )
    explained = terminal.modelops("explain", f"rollout/{name}").stdout
    assert "12 points better" in explained
    assert "modelops deploy docs" in explained


@pytest.mark.parametrize(
    ("arguments", "scorer"),
    [
        ((), None),
        (("--threshold", "0.5"), {"type": "tokenF1", "threshold": "0.5"}),
        (("--scorer", "json"), {"type": "json", "threshold": "1"}),
        (
            ("--scorer", "custom:mine", "--threshold", "0.5"),
            {"type": "custom", "name": "mine", "threshold": "0.5"},
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_a_scorer_that_is_not_named_stays_the_agents(
    terminal: Terminal, arguments: tuple[str, ...], scorer: dict[str, str] | None
) -> None:
    terminal.modelops("evaluate", "docs", *arguments, "--yes")
    (name,) = terminal.names("rollouts")
    assert terminal.get(f"rollouts.{GROUP}", name)["spec"]["evaluation"].get("scorer") == scorer


def test_a_threshold_without_any_scorer_is_refused(terminal: Terminal) -> None:
    terminal.change(f"agentmodels.{GROUP}", "docs", {"spec": {"langsmith": {"scorer": None}}})
    done = terminal.modelops("evaluate", "docs", "--threshold", "0.5", "--yes", expect=1)
    assert "threshold 0.5 is of no use without a scorer" in done.stderr
    terminal.modelops("evaluate", "docs", "--yes")  # The operator reads the examples, and suggests one.
    assert len(terminal.names("rollouts")) == 1


def test_a_plan_says_the_chances_and_creates_nothing(terminal: Terminal) -> None:
    good = json.loads(terminal.modelops("evaluate", "plan", "docs", "--examples", "150", "-o", "json").stdout)
    assert (good["examples"], good["margin_points"], good["pass_if_equal"]) == (150, 10, 0.844)
    poor = terminal.modelops("evaluate", "plan", "docs", "--examples", "30", expect=1)
    assert "in 35 % if it is 2 points better" in poor.stdout
    assert "about 130 examples" in poor.stdout
    wide = ("--margin", "25", "--expected-gain", "0", "--disagreement", "10")
    terminal.modelops("evaluate", "plan", "docs", "--examples", "30", *wide)
    two = json.loads(
        terminal.modelops(
            "evaluate", "plan", "docs", "--examples", "150", "--top-up", "300", "-o", "json"
        ).stdout
    )
    assert (two["examples"], two["first_look_examples"], two["second_look_if_equal"]) == (300, 150, 0.286)
    assert (two["limit_usd"], two["last_estimate_usd"]) == (10, None)
    for wrong, says in (
        ((), "never evaluated"),
        (("--examples", "150", "--top-up", "200"), "1.5 to 3 times the examples of the first look"),
        (("--examples", "9", "--margin", "5%"), "percentage points"),
    ):
        assert says in terminal.modelops("evaluate", "plan", "docs", *wrong, expect=1).stderr
    assert terminal.names("rollouts") == []


def test_a_second_look_is_declared_shown_and_taken_over_by_the_next_evaluation(terminal: Terminal) -> None:
    looks = ("--max-examples", "150", "--top-up", "300")
    terminal.modelops("evaluate", "docs", "--yes", *looks)
    (name,) = terminal.names("rollouts")
    declared = terminal.get(f"rollouts.{GROUP}", name)["spec"]["evaluation"]
    assert (declared["maxExamples"], declared["topUp"]) == (150, {"maxExamples": 300})
    assert declared["onInconclusive"] == "TopUp"
    open_look = {
        "examples": 150,
        "errorPercent": "1.89",
        "differencePoints": "-1.00",
        "intervalPoints": ["-11.20", "6.30"],
        "verdict": "inconclusive",
    }
    seen = {
        "examples": 300,
        "verdict": "pass",
        "looks": [open_look, {**open_look, "examples": 300, "errorPercent": "4.03", "verdict": "pass"}],
    }
    terminal.status(
        "rollouts", name, {**ended("Succeeded", succeeded=True, message="it passes"), "evaluation": seen}
    )
    plan = json.loads(terminal.modelops("evaluate", "plan", "docs", "-o", "json").stdout)
    assert (plan["first_look_examples"], plan["examples"]) == (150, 300)

    terminal.modelops("evaluate", "docs", "--yes")
    (other,) = [one for one in terminal.names("rollouts") if one != name]
    assert terminal.get(f"rollouts.{GROUP}", other)["spec"]["evaluation"]["topUp"] == {"maxExamples": 300}
    terminal.status(
        "rollouts", other, {**ended("Succeeded", succeeded=True, message="it passes"), "evaluation": seen}
    )
    terminal.modelops("evaluate", "docs", "--yes", "--max-examples", "90")
    (third,) = [one for one in terminal.names("rollouts") if one not in (name, other)]
    single = terminal.get(f"rollouts.{GROUP}", third)["spec"]["evaluation"]
    assert single["maxExamples"] == 90
    assert single.keys().isdisjoint({"topUp", "onInconclusive"})


def test_the_agent_itself_and_production_are_asked_until_a_person_says_otherwise(terminal: Terminal) -> None:
    asked = {"spec": {"evaluation": {"agent": {"entryPoint": "team.agent:graph"}}}}
    terminal.change(f"agentmodels.{GROUP}", "docs", asked)
    shown = terminal.modelops("evaluate", "docs", "--yes", "--ask", "agent", "--production-runs", "20")
    assert "the agent itself" in shown.stdout
    (first,) = terminal.names("rollouts")
    evaluation = terminal.get(f"rollouts.{GROUP}", first)["spec"]["evaluation"]
    assert (evaluation["target"], evaluation["productionSample"]) == ("agent", {"runs": 20, "days": 7})

    ended_with = {"examples": 3, "verdict": "fail"}
    terminal.status(
        "rollouts", first, {**ended("Rejected", succeeded=False, message="no"), "evaluation": ended_with}
    )
    shown = terminal.modelops("evaluate", "docs", "--yes", "--ask", "model", "--production-runs", "0")
    assert "the model only" in shown.stdout
    (other,) = [one for one in terminal.names("rollouts") if one != first]
    evaluation = terminal.get(f"rollouts.{GROUP}", other)["spec"]["evaluation"]
    assert (evaluation["target"], evaluation.get("productionSample")) == ("model", None)


def test_a_person_who_accepts_low_power_says_so_each_time(terminal: Terminal) -> None:
    terminal.modelops("evaluate", "docs", "--yes", "--accept-low-power", "--expected-gain", "7")
    (name,) = terminal.names("rollouts")
    first = terminal.get(f"rollouts.{GROUP}", name)["spec"]["evaluation"]
    assert (first["acceptLowPower"], first["expectedGainPoints"]) == (True, "7")

    ended_with = {"examples": 3, "verdict": "fail"}
    terminal.status(
        "rollouts", name, {**ended("Rejected", succeeded=False, message="no"), "evaluation": ended_with}
    )
    terminal.modelops("evaluate", "docs", "--yes")
    (other,) = [one for one in terminal.names("rollouts") if one != name]
    second = terminal.get(f"rollouts.{GROUP}", other)["spec"]["evaluation"]
    assert "acceptLowPower" not in second
    assert second["expectedGainPoints"] == "7"


def test_a_deployment_is_created_with_the_settings_of_the_agents_last_rollout(terminal: Terminal) -> None:
    terminal.preconditions.establish("rollout")
    terminal.status(
        "rollouts",
        ROLLOUT,
        {
            **ended("Rejected", succeeded=False, message="no"),
            "evaluation": {"examples": 3, "verdict": "fail"},
        },
    )
    asked = terminal.modelops("deploy", "docs", "v1.1.0-rc.1", "--pause", "3600", types="y\n")
    assert "Deploy v1.1.0-rc.1 to docs, 20 % of the sessions first, for at most $100?" in asked.stderr
    (name,) = [one for one in terminal.names("rollouts") if one != ROLLOUT]
    spec = terminal.get(f"rollouts.{GROUP}", name)["spec"]
    assert spec["evaluation"]["scorer"] == {"type": "tokenF1", "threshold": "0.35"}
    assert spec["analysis"]["minRequests"] == 200
    assert spec["strategy"]["canary"]["steps"] == [
        {"setWeight": 20},
        {"pause": {"durationSeconds": 3600}},
        {"setWeight": 100},
    ]

    assert "does not begin its next step" in terminal.modelops("pause", name).stdout
    assert "already" in terminal.modelops("pause", name).stdout
    assert "goes on" in terminal.modelops("resume", name).stdout
    watched = {"phase": "Progressing", "reason": "Watching", "step": 2, "weight": 20, "conditions": []}
    terminal.status("rollouts", name, watched)
    assert "ends by itself" in terminal.modelops("promote", name, expect=1).stderr
    assert "not promoted" in terminal.modelops("promote", name, "--skip-step", expect=1).stderr
    assert "after step 2 of 3" in terminal.modelops("promote", name, "--skip-step", "--yes").stdout
    assert "open already" in terminal.modelops("promote", name, "--skip-step").stdout
    assert "promotes the candidate" in terminal.modelops("promote", name, "--full", "--yes").stdout
    assert terminal.get(f"rollouts.{GROUP}", name)["spec"]["promote"] == {"throughStep": 2, "full": True}
    assert "has not ended" in terminal.modelops("retry", name, expect=1).stderr
    assert "all traffic goes back to stable" in terminal.modelops("abort", name).stdout
    assert terminal.get(f"rollouts.{GROUP}", name)["spec"]["abort"] is True
    assert "is being aborted" in terminal.modelops("promote", name, "--full", expect=1).stderr
    terminal.status("rollouts", name, ended("Aborted", succeeded=False, message="by a person"))
    tried = terminal.modelops("retry", name, "--yes").stdout
    assert f"{name} ended as Aborted" in tried
    assert "spec.promote of the old rollout is left out" in tried
    (again,) = [one for one in terminal.names("rollouts") if "-retry-" in one]
    new = terminal.get(f"rollouts.{GROUP}", again)["spec"]
    assert new == {**spec, "requestedBy": new["requestedBy"]}
    assert f"{again} tries it again already" in terminal.modelops("retry", name, "--yes").stdout


def test_a_run_is_followed_until_it_ends_and_stopped(terminal: Terminal) -> None:
    terminal.preconditions.establish("run")
    terminal.status(
        "trainingruns",
        RUN,
        {
            "phase": "Running",
            "reason": "JobRunning",
            "progress": {"percent": 45, "step": 45, "maxSteps": 100, "loss": "0.42", "etaMinutes": 40},
            "conditions": [],
            "finishedAt": None,
        },
    )
    once = terminal.modelops("watch", RUN, "--once").stdout
    for part in (f"TrainingRun/{RUN}", "45 %", "step 45 of 100, 40 min left", "0.42"):
        assert part in once, once
    assert "is being suspended" in terminal.modelops("pause", RUN).stdout
    assert "goes on from its last checkpoint" in terminal.modelops("resume", f"trainingrun/{RUN}").stdout
    assert "is being cancelled" in terminal.modelops("cancel", RUN).stdout
    terminal.status(
        "trainingruns", RUN, ended("Cancelled", succeeded=False, message="cancelled by spec.cancel")
    )
    assert "cancelled by spec.cancel" in terminal.modelops("explain", RUN).stdout
    assert "has ended already, as Cancelled" in terminal.modelops("cancel", RUN).stdout
    assert terminal.modelops("watch", RUN, expect=1).stdout.endswith(
        ": Cancelled: cancelled by spec.cancel\n"
    )
    (line,) = terminal.modelops("watch", RUN, "-o", "json", expect=1).stdout.splitlines()
    found = json.loads(line)
    assert (found["kind"], found["status"]["phase"], found["spec"]["cancel"]) == (
        "TrainingRun",
        "Cancelled",
        True,
    )
    once = YAML(typ="safe").load(terminal.modelops("watch", RUN, "--once", "-o", "yaml").stdout)
    assert [one["metadata"]["name"] for one in once] == [RUN]
    assert terminal.modelops("watch", RUN, "--once", "-o", "name").stdout == f"trainingrun.{GROUP}/{RUN}\n"


def test_a_watch_ends_where_its_object_is_deleted(terminal: Terminal, kubectl: Kubectl) -> None:
    terminal.preconditions.establish("run")
    terminal.status("trainingruns", RUN, {"phase": "Running", "conditions": []})
    command = [sys.executable, "-m", "modelops.cli", "watch", RUN, "-n", terminal.namespace]
    command += ["--kubeconfig", str(terminal.kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watching:
        assert watching.stdout is not None
        assert f"{RUN}: Running" in watching.stdout.readline()
        kubectl("delete", f"trainingruns.{GROUP}", RUN, namespace=terminal.namespace, check=True)
        _, said = watching.communicate(timeout=patient(30))
    assert (watching.returncode, f"TrainingRun {RUN} was deleted" in said) == (1, True), said


def test_spend_shows_every_agent_and_one(terminal: Terminal) -> None:
    spend = {
        "month": "2025-12",
        "budgetUSD": "100",
        "settledUSD": "12.5",
        "reservedUSD": "3",
        "standingUSD": "4.25",
    }
    terminal.status("agentmodels", "docs", {"spend": spend})
    rows = terminal.modelops("spend").stdout.splitlines()
    assert rows[1].split() == ["docs", "2025-12", "$100.00", "$12.50", "$3.00", "$4.25", "$80.25", "$0.00/h"]
    (one,) = json.loads(terminal.modelops("spend", "docs", "-o", "json").stdout)
    assert one["left_usd"] == 80.25


def test_a_developer_who_may_not_read_config_maps_sees_what_the_status_shows(
    terminal: Terminal, kubectl: Kubectl
) -> None:
    bind(kubectl, terminal.namespace, "bob", "modelops-developer")
    served = {"version": "v1.0.0", "model": "anthropic/claude-3.5-haiku", "endpoint": "openrouter"}
    trained = {"version": "v1.1.0-rc.1", "model": "org/docs-1", "deploymentStatus": "trained"}
    versions = [
        {**trained, "trainedAt": "2025-12-09T22:00:00Z"},
        {"version": "v1.0.0", "model": served["model"], "deploymentStatus": "deployed"},
    ]
    terminal.status("agentmodels", "docs", {"stable": served, "versions": versions})
    shown = json.loads(terminal.modelops("models", "docs", "-o", "json", user="bob").stdout)
    assert (shown["current_version"], [one["version"] for one in shown["models"]]) == (
        "v1.0.0",
        ["v1.1.0-rc.1"],
    )
    terminal.modelops("evaluate", "docs", "--yes", user="bob")
    (name,) = terminal.names("rollouts")
    assert terminal.get(f"rollouts.{GROUP}", name)["spec"]["candidate"] == {"version": "v1.1.0-rc.1"}


def test_without_rights_or_a_cluster_the_message_says_which_and_who(terminal: Terminal) -> None:
    said = terminal.modelops("spend", user="bob", expect=1).stderr
    assert 'User "bob" cannot list' in said
    assert "--clusterrole=view --user=bob`" in said
    said = terminal.modelops("spend", "--context", "elsewhere", expect=2).stderr
    assert "elsewhere" in said
    assert "--as-group needs --as" in terminal.modelops("spend", "--as-group", "team", expect=2).stderr
    said = terminal.modelops("spend", "--as", "carla", expect=1).stderr
    assert "--user=carla" in said


def test_doctor_names_what_is_wrong_and_what_mends_it(terminal: Terminal, kubectl: Kubectl) -> None:
    place = terminal.namespace

    def examine(*more: str, expect: int, user: str | None = None) -> str:
        done = terminal.modelops("doctor", "--operator-namespace", place, *more, expect=expect, user=user)
        return done.stdout + done.stderr

    unselected = ("--type=merge", "-p", json.dumps({"spec": {"config": {"workloadSelector": None}}}))
    kubectl("patch", f"agentmodels.{GROUP}", "docs", *unselected, namespace=place, check=True)
    first = examine(expect=1)
    assert f"✘ operator: no operator has run in namespace {place}" in first
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "modelops-operator"},
        "spec": {
            "holderIdentity": "operator-0_abc",
            "leaseDurationSeconds": 15,
            "renewTime": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}",
        },
    }
    kubectl("apply", "-f", "-", namespace=place, input=json.dumps(lease), check=True)
    well = examine(expect=0)
    assert "✔ operator: operator-0 leads" in well
    assert "✔ agent docs" in well, well
    assert "0 problems" in well

    old = {**lease, "spec": {**lease["spec"], "renewTime": "2025-12-09T22:00:00.000000Z"}}
    kubectl("apply", "-f", "-", namespace=place, input=json.dumps(old), check=True)
    kubectl("label", "configmap", "agents", f"{GROUP}/managed-", namespace=place, check=True)
    terminal.status(
        "agentmodels",
        "docs",
        {
            "routing": {"generation": 0, "agentsInSync": 0, "agentsTotal": 0},
            "conditions": [condition("Ready", "False")],
        },
    )
    ill = examine(expect=1)
    for part in (
        f"✘ operator: no operator leads in namespace {place}",
        "✘ agent docs: Ready (Trying): because",
        f"kubectl label configmap agents -n {place} {GROUP}/managed=true",
        "no process of the agent had reported",
        "3 problems",
    ):
        assert part in ill, ill
    kubectl("delete", "configmap", "agents", namespace=place, check=True)
    assert "✘ agent docs: ConfigMap agents (spec.config.configMapRef) does not exist" in examine(expect=1)

    as_json = json.loads(examine("-o", "json", expect=1))
    assert {one["state"] for one in as_json} >= {"ok", "problem"}
    assert 'User "bob" cannot list' in examine(expect=1, user="bob")


def test_doctor_names_a_pod_whose_file_never_changes(terminal: Terminal, kubectl: Kubectl) -> None:
    place = terminal.namespace
    labels = {"app.kubernetes.io/name": "docs-agent"}
    none = terminal.modelops("doctor", expect=1).stdout
    assert "no Pod has the labels of spec.config.workloadSelector (app.kubernetes.io/name=docs-agent)" in none
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "docs-0", "labels": labels},
        "spec": {
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "agent",
                    "image": "example.com/agent",
                    "volumeMounts": [
                        {"name": "file", "mountPath": "/etc/agents.yaml", "subPath": "agents.yaml"}
                    ],
                }
            ],
            "volumes": [{"name": "file", "configMap": {"name": "agents"}}],
        },
    }
    deadline = deadline_after(20)
    while kubectl("create", "-f", "-", namespace=place, input=json.dumps(pod)).returncode:
        assert time.monotonic() < deadline, "the namespace's service account was not made"
        time.sleep(0.2)
    found = terminal.modelops("doctor", expect=1).stdout
    assert "✘ agent docs: Pod docs-0 mounts ConfigMap agents with subPath: such a file never changes" in found


def test_init_writes_a_manifest_that_the_api_server_takes(
    terminal: Terminal, kubectl: Kubectl, tmp_path: Path
) -> None:
    place = terminal.namespace
    template = {
        "metadata": {"labels": {"app": "fd"}},
        "spec": {
            "containers": [{"name": "agent", "image": "example.com/agent"}],
            "volumes": [{"name": "file", "configMap": {"name": "agents"}}],
        },
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "fd"},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "fd"}}, "template": template},
    }
    kubectl("create", "-f", "-", namespace=place, input=json.dumps(deployment), check=True)
    file = tmp_path / "agent.yaml"
    done = terminal.modelops("init", "feature_dev", "-f", str(file))
    assert "guessed: the agent's Pods are those with app=fd, which mount agents" in done.stderr
    assert "guessed: spec.prompt reads inputs.task and outputs.code" in done.stderr
    assert f"kubectl label secret modelops-tokens -n {place} {GROUP}/managed=true" in done.stderr
    assert "kubectl label configmap" not in done.stderr, "it has the label"
    manifest = YAML(typ="safe").load(file.read_text())
    assert manifest["spec"]["baseline"] == {
        "model": "anthropic/claude-3.5-sonnet",
        "endpoint": "openrouter",
        "endpointUrl": "https://openrouter.ai/api/v1",
        "apiKeyEnv": "OPENROUTER_API_KEY",
    }
    assert terminal.names("agentmodels") == ["docs"], "init stores nothing"
    assert json.loads(terminal.modelops("init", "feature_dev", "-o", "json").stdout) == manifest
    assert terminal.modelops("init", "feature_dev", "-o", "name").stdout.startswith(f"agentmodel.{GROUP}/")
    kubectl("apply", "-f", str(file), namespace=place, check=True)
    assert "feature_dev" in terminal.modelops("spend").stdout

    assert "is not written" in terminal.modelops("init", "feature_dev", "-f", str(file), expect=1).stderr
    unknown = terminal.modelops("init", "featuredev", expect=1).stderr
    assert "feature_dev" in unknown, unknown
    assert (
        "has no ConfigMap other"
        in terminal.modelops("init", "docs", "--config-map", "other", expect=1).stderr
    )
    wrong = terminal.modelops("init", "feature_dev", "--budget", "much", expect=1).stderr
    assert "spec.budget.monthlyUSD" in wrong
