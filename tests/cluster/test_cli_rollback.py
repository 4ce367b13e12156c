"""`modelops rollback` uses the agents' file and the record, not a status that lags behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.docs_preconditions import GROUP, Kubectl, Preconditions
from tests.patience import patient

from modelops.api.v1alpha1.names import record_name
from modelops.domain.agentsfile import parse, with_stable
from modelops.domain.record import ActiveRollout, Record, Target
from modelops.domain.rollout.state import stable_keys
from modelops.localcluster import LocalCluster

ROLLOUT = "docs-v1-1"
CANDIDATE = Target(
    version="v1.1.0-rc.1", model="a/b", endpoint="huggingface", endpoint_url="http://x", api_key_env="K"
)

PROMOTED = CANDIDATE.model_copy(update={"version": "v1.1.0"})


class Agent:
    """The agent `docs` in a namespace without an operator."""

    def __init__(self, cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> None:
        self._cluster, self._kubectl, self.namespace = cluster, kubectl, namespace
        self.preconditions = Preconditions(kubectl, namespace)

    def rollback(self, *more: str, name: str = "docs") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "modelops.cli", "rollback", name, "-n", self.namespace, *more]
        command += ["--kubeconfig", str(self._cluster.kubeconfig)]
        return subprocess.run(command, capture_output=True, text=True, timeout=patient(60))

    def get(self, kind: str, name: str) -> dict[str, Any]:
        shown = self._kubectl("get", kind, name, "-o", "json", namespace=self.namespace, check=True).stdout
        found: dict[str, Any] = json.loads(shown)
        return found

    def patch(self, kind: str, name: str, change: dict[str, Any], *more: str) -> None:
        patch = ("--type=merge", "-p", json.dumps(change))
        self._kubectl("patch", kind, name, *patch, *more, namespace=self.namespace, check=True)

    def status(self, plural: str, name: str, change: dict[str, Any]) -> None:
        self.patch(f"{plural}.{GROUP}", name, {"status": change}, "--subresource=status")

    def delete_rollout(self) -> None:
        self._kubectl("delete", f"rollouts.{GROUP}", ROLLOUT, namespace=self.namespace, check=True)

    def remove_routing(self) -> None:
        self.patch("configmap", "agents", {"data": {"agents.yaml": self.before}})

    def start_canary(self) -> str:
        """Start a canary with 20 percent; return the rollout's uid."""
        self.preconditions.establish("agent")
        self.before = self.preconditions.agents_file()
        self.preconditions.establish("rollout")
        self.preconditions.establish("canary")
        uid: str = self.get(f"rollouts.{GROUP}", ROLLOUT)["metadata"]["uid"]
        return uid

    def promote(self, **changes: Any) -> None:
        """v1.1.0 serves, and v1.0.0 served before: record and file say so."""
        self.preconditions.establish("agent")
        record = Record.from_data(self.get("configmap", record_name("docs"))["data"])
        served = {record.stable.version: record.stable, "v1.1.0": PROMOTED}
        changed = record.with_(stable=PROMOTED, previous=record.stable, served=served, **changes)
        self.patch("configmap", record_name("docs"), {"data": changed.to_data()})
        file = with_stable(self.preconditions.agents_file(), "docs", stable_keys(PROMOTED))
        self.patch("configmap", "agents", {"data": {"agents.yaml": file}})

    def rollouts(self) -> list[dict[str, Any]]:
        shown = self._kubectl("get", f"rollouts.{GROUP}", "-o", "json", namespace=self.namespace, check=True)
        found: list[dict[str, Any]] = json.loads(shown.stdout)["items"]
        return found

    @property
    def aborting(self) -> bool:
        return bool(self.get(f"rollouts.{GROUP}", ROLLOUT)["spec"].get("abort"))


@pytest.fixture
def agent(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> Agent:
    return Agent(cluster, kubectl, namespace)


def test_a_canary_that_the_status_does_not_show_yet_is_aborted(agent: Agent) -> None:
    agent.start_canary()
    agent.status("agentmodels", "docs", {"activeRollout": None})
    done = agent.rollback()
    assert (done.returncode, agent.aborting) == (0, True), done
    assert f"rollout {ROLLOUT} is being aborted" in done.stdout
    assert "on stable" not in done.stdout


def test_a_rollout_that_has_no_traffic_yet_is_found_in_the_record(agent: Agent) -> None:
    uid = agent.start_canary()
    agent.remove_routing()
    agent.status("agentmodels", "docs", {"activeRollout": None})
    record = Record.from_data(agent.get("configmap", record_name("docs"))["data"])
    active = ActiveRollout(uid=uid, name=ROLLOUT, digest="d", candidate=CANDIDATE)
    agent.patch("configmap", record_name("docs"), {"data": record.with_(active=active).to_data()})
    done = agent.rollback()
    assert (done.returncode, agent.aborting) == (0, True), done


def test_a_canary_without_a_rollout_is_not_reported_as_stable(agent: Agent) -> None:
    agent.start_canary()
    agent.status("agentmodels", "docs", {"activeRollout": None})
    agent.delete_rollout()
    done = agent.rollback()
    assert (done.returncode, done.stdout) == (1, "")
    assert "20 percent" in done.stderr
    assert f"modelops rollback docs -n {agent.namespace} --direct" in done.stderr


def test_a_canary_in_the_file_whose_rollout_has_ended_is_an_error(agent: Agent) -> None:
    agent.start_canary()
    agent.status("rollouts", ROLLOUT, {"phase": "Succeeded"})
    done = agent.rollback()
    assert (done.returncode, done.stdout, agent.aborting) == (1, "", False)
    assert "--direct" in done.stderr


def test_a_status_that_still_shows_an_ended_rollout_aborts_nothing(agent: Agent) -> None:
    agent.start_canary()
    agent.remove_routing()
    agent.status("rollouts", ROLLOUT, {"phase": "Succeeded"})
    done = agent.rollback()
    assert (done.returncode, agent.aborting) == (0, False), done
    assert "no Rollout is active for docs: it is on stable" in done.stdout


def test_a_file_that_cannot_be_read_is_not_reported_as_stable(agent: Agent) -> None:
    agent.preconditions.establish("agent")
    agent.patch("configmap", "agents", {"data": {"agents.yaml": "agents: ["}})
    done = agent.rollback()
    assert (done.returncode, done.stdout) == (1, "")
    assert "ConfigMap agents, key agents.yaml" in done.stderr


def test_the_rollout_with_the_agent_lock_is_aborted_even_if_the_file_cannot_be_read(agent: Agent) -> None:
    agent.start_canary()
    agent.patch("configmap", "agents", {"data": {"agents.yaml": "agents: ["}})
    done = agent.rollback()
    assert (done.returncode, agent.aborting) == (0, True), done


def test_an_agent_without_a_canary_is_on_stable(agent: Agent) -> None:
    agent.preconditions.establish("agent")
    done = agent.rollback()
    assert (done.returncode, done.stderr) == (0, "")
    assert "no Rollout is active for docs: it is on stable" in done.stdout


DIRECTNESS = pytest.mark.parametrize("direct", [(), ("--direct",)], ids=["operator", "direct"])


@DIRECTNESS
def test_drift_is_not_reported_as_stable(agent: Agent, direct: tuple[str, ...]) -> None:
    agent.preconditions.establish("agent")
    text = agent.preconditions.agents_file().replace("claude-3.5-haiku", "claude-9", 1)
    agent.patch("configmap", "agents", {"data": {"agents.yaml": text}})
    done = agent.rollback(*direct)
    assert (done.returncode, done.stdout) == (1, "")
    assert "it is not on stable" in done.stderr
    assert "Set these keys of agents.docs: model: anthropic/claude-3.5-haiku" in done.stderr


@DIRECTNESS
def test_a_file_that_routers_refuse_is_not_reported_as_stable(agent: Agent, direct: tuple[str, ...]) -> None:
    agent.preconditions.establish("agent")
    text = agent.preconditions.agents_file() + "  cicd:\n    model: 7\n    model: 8\n"
    agent.patch("configmap", "agents", {"data": {"agents.yaml": text}})
    done = agent.rollback(*direct)
    assert (done.returncode, done.stdout) == (1, "")
    assert "ConfigMap agents, key agents.yaml" in done.stderr


def test_agents_that_have_not_confirmed_the_file_are_not_reported_as_stable(agent: Agent) -> None:
    agent.preconditions.establish("agent")
    behind = {"type": "Ready", "status": "False", "reason": "AgentsNotInSync", "message": "0 of 2 agents"}
    moment = {"lastTransitionTime": "2025-12-09T22:00:00Z", "observedGeneration": 1}
    agent.status("agentmodels", "docs", {"conditions": [{**behind, **moment}]})
    done = agent.rollback()
    assert (done.returncode, done.stdout) == (1, "")
    assert "AgentsNotInSync: 0 of 2 agents" in done.stderr


@DIRECTNESS
def test_an_agent_model_that_does_not_exist_is_named_beside_those_that_do(
    agent: Agent, direct: tuple[str, ...]
) -> None:
    agent.preconditions.establish("agent")
    done = agent.rollback(*direct, name="nosuch")
    assert (done.returncode, done.stdout) == (1, "")
    expected = f"namespace {agent.namespace} has no AgentModel named nosuch: there is docs; or name"
    assert expected in done.stderr


def test_a_file_in_binary_data_is_named_as_such(agent: Agent) -> None:
    agent.preconditions.establish("agent")
    binary = {"data": None, "binaryData": {"agents.yaml": "YWdlbnRzOiD/"}}
    agent.patch("configmap", "agents", binary)
    done = agent.rollback()
    assert (done.returncode, done.stdout) == (1, "")
    assert "in binaryData" in done.stderr


def test_the_namespace_of_the_context_is_the_default(
    agent: Agent, cluster: LocalCluster, kubectl: Kubectl, tmp_path: Path
) -> None:
    agent.preconditions.establish("agent")
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(cluster.kubeconfig.read_text())
    choose = ["config", "set-context", "--current", f"--namespace={agent.namespace}"]
    subprocess.run([cluster.kubectl, "--kubeconfig", kubeconfig, *choose], check=True, capture_output=True)
    command = [sys.executable, "-m", "modelops.cli", "rollback", "docs", "--kubeconfig", str(kubeconfig)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=patient(60))
    assert (done.returncode, done.stderr) == (0, ""), done


def test_after_a_promotion_a_rollout_goes_back_to_the_version_before_and_a_second_call_repeats_nothing(
    agent: Agent,
) -> None:
    agent.promote()
    done = agent.rollback()
    assert done.returncode == 0, done
    (made,) = agent.rollouts()
    assert made["spec"]["candidate"] == {"version": "v1.0.0"}
    assert made["spec"]["strategy"] == {"immediate": {}}
    assert f"rollout {made['metadata']['name']} goes back from v1.1.0 to v1.0.0" in done.stdout
    again = agent.rollback()
    assert (again.returncode, len(agent.rollouts())) == (0, 1), again
    assert "goes back to v1.0.0 already" in again.stdout


def test_a_version_that_an_undo_left_is_gone_back_to_only_by_name(agent: Agent) -> None:
    agent.promote(undone={"v1.0.0": "2025-12-10T00:00:00+00:00"})
    done = agent.rollback()
    assert (done.returncode, agent.rollouts()) == (0, []), done
    assert "--to v1.0.0" in done.stdout
    assert agent.rollback("--to", "v1.0.0").returncode == 0
    assert [r["spec"]["candidate"] for r in agent.rollouts()] == [{"version": "v1.0.0"}]


def test_a_version_that_never_served_and_a_file_that_differs_from_the_record_are_refused(
    agent: Agent,
) -> None:
    agent.promote()
    unknown = agent.rollback("--to", "v9.0.0")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "v9.0.0 never served docs: use one of v1.0.0, v1.1.0" in unknown.stderr
    file = with_stable(agent.preconditions.agents_file(), "docs", stable_keys(PROMOTED)).replace("a/b", "a/c")
    agent.patch("configmap", "agents", {"data": {"agents.yaml": file}})
    drifted = agent.rollback()
    assert (drifted.returncode, agent.rollouts()) == (1, []), drifted
    assert "names a/c (v1.1.0) as stable, and the record a/b (v1.1.0)" in drifted.stderr


def test_direct_after_a_promotion_writes_the_version_before_and_the_field_and_a_second_call_nothing(
    agent: Agent,
) -> None:
    agent.promote()
    done = agent.rollback("--direct")
    assert done.returncode == 0, done
    assert "docs went back from v1.1.0 to v1.0.0" in done.stdout
    entry = parse(agent.preconditions.agents_file(), "docs")
    assert entry.stable is not None
    assert entry.routing is not None
    assert (entry.stable.version, entry.routing.rollout.undo) == ("v1.0.0", "v1.0.0")
    asked = agent.get(f"agentmodels.{GROUP}", "docs")["spec"]["undo"]
    assert asked == {"to": "v1.0.0", "id": f"direct-{entry.routing.generation}"}
    before = agent.preconditions.agents_file()
    again = agent.rollback("--direct")
    assert (again.returncode, agent.preconditions.agents_file()) == (0, before), again
    assert "docs is on v1.0.0 already" in again.stdout


def test_direct_with_to_leaves_a_canary_and_its_stable_model(agent: Agent) -> None:
    agent.promote()
    agent.preconditions.establish("rollout")
    agent.preconditions.establish("canary")
    assert agent.rollback("--direct", "--to", "v1.0.0").returncode == 0
    entry = parse(agent.preconditions.agents_file(), "docs")
    assert entry.stable is not None
    assert entry.routing is not None
    assert (entry.stable.version, entry.routing.weight, entry.routing.rollout.uid) == ("v1.0.0", 0, "direct")
