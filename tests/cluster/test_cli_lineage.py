"""`modelops registry rebuild`, `lineage` and `prune` on a real API server, with repositories on the sandbox's Hub."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi
from tests.cluster.docs_preconditions import GROUP, Kubectl, Preconditions
from tests.contract.published import Published, data_files, publish, put
from tests.namespaces import remove_namespace
from tests.patience import patient

from modelops.api.v1alpha1.names import record_name
from modelops.client import Access, AsyncClient
from modelops.domain.record import DATA_PRUNED, PRUNED, PRUNING, Record
from modelops.localcluster import LocalCluster
from modelops.sandbox.client import SandboxInfo, start
from modelops.sandbox.tokens import ORGANIZATIONS

ORG = ORGANIZATIONS[1]
EXAMPLE = "0198b2c4-7d1e-7a10-9c3f-5b8a12e4d601"


class Agent:
    """The agent `docs` with a record, without an operator, and with a Hub of its own."""

    def __init__(
        self, cluster: LocalCluster, kubectl: Kubectl, namespace: str, sandbox: SandboxInfo, hf: HfApi
    ) -> None:
        self.cluster, self.kubectl, self.namespace = cluster, kubectl, namespace
        self.sandbox, self.hf = sandbox, hf
        # Unique to this test: prune also reads the namespaces of tests that have just ended.
        own = hashlib.sha256(namespace.encode()).hexdigest()[:5]
        self.uids = {number: f"{number}{own}-run" for number in (1, 2, 3)}
        Preconditions(kubectl, namespace).establish("agent")

    def modelops(
        self, *arguments: str, user: str | None = None, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        kubeconfig = self.cluster.kubeconfig_for(user) if user else self.cluster.kubeconfig
        environment = {**os.environ, **self.sandbox.environment(), "KUBECONFIG": str(kubeconfig)}
        given = {"MODELOPS_HUB_ORG": ORG, **environ}
        return subprocess.run(
            [sys.executable, "-m", "modelops.cli", *arguments],
            env={**environment, **given},
            capture_output=True,
            text=True,
            timeout=patient(60),
        )

    def succeed(self, *arguments: str, **options: Any) -> str:
        """Run a command, which must succeed; return its stdout."""
        done = self.modelops(*arguments, **options)
        assert done.returncode == 0, done
        return done.stdout

    def published(self, number: int, **lineage: Any) -> Published:
        created = f"2025120{number}-220000"
        given = {"version": f"v1.{number}.0-rc.1", "created": created, "uid": self.uids[number], **lineage}
        return publish(self.hf, org=ORG, **given)

    def publish_three(self) -> list[Published]:
        """Publish three versions and add them to the record."""
        made = [self.published(number) for number in self.uids]
        self.succeed("registry", "rebuild", "docs", "-n", self.namespace)
        return made

    def config_map(self) -> dict[str, Any]:
        shown = self.kubectl(
            "get", "configmap", record_name("docs"), "-o", "json", namespace=self.namespace, check=True
        )
        found: dict[str, Any] = json.loads(shown.stdout)
        return found

    def record(self) -> Record:
        return Record.from_data(self.config_map()["data"])

    def patch(self, data: dict[str, str]) -> None:
        patch = ("--type=merge", "-p", json.dumps({"data": data}))
        self.kubectl("patch", "configmap", record_name("docs"), *patch, namespace=self.namespace, check=True)

    def delete(self, kind: str, name: str) -> None:
        self.kubectl("delete", kind, name, namespace=self.namespace, check=True)

    def exists(self, repo: str, kind: str = "model") -> bool:
        return self.hf.repo_exists(repo, repo_type=kind)


@pytest.fixture
def agent(
    cluster: LocalCluster, kubectl: Kubectl, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Agent]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    with start(tmp_path / "sandbox") as sandbox:
        hf = HfApi(endpoint=sandbox.hub, token=sandbox.hf_token)
        yield Agent(cluster, kubectl, namespace, sandbox, hf)


PRUNE = ("--older-than", "30d", "--keep", "1")


# registry rebuild ---------------------------------------------------------------------------------------------


async def test_a_record_that_changes_meanwhile_is_read_again_and_keeps_the_change(
    agent: Agent, cluster: LocalCluster
) -> None:
    from modelops.cli import rebuild
    from modelops.cli.agent_snapshot import AgentSnapshot
    from modelops.cli.cluster_agents import ClusterAgents
    from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, RepositoryCatalog

    conflicts: list[str] = []

    class ConflictingAgents(ClusterAgents):
        """Another writer changes the record after it was read and before the first write."""

        async def write_record(self, snapshot: AgentSnapshot, record: Record) -> None:
            if not conflicts:
                conflicts.append(snapshot.resource_version)
                agent.patch(agent.record().with_(candidates_compared={"ds@1": 7}).to_data())
            await super().write_record(snapshot, record)

    made = agent.published(1)
    lineage = {"agent": "docs", "version": "v1.1.0-rc.1", "run": agent.uids[1], "method": "sft"}
    catalog = RepositoryCatalog(
        models=(ModelRepository(repo=made.repo, revision=made.revision, published_at="t", lineage=lineage),),
        datasets=(DatasetRepository(repo=made.data),),
    )
    async with AsyncClient(Access(kubeconfig=str(cluster.kubeconfig))) as client:
        agents = ConflictingAgents(client)
        (snapshot,) = await agents.list_named(agent.namespace, ["docs"])
        await rebuild.merge_and_write(agents, snapshot, catalog, dry_run=False)
    record = agent.record()
    assert conflicts
    assert (record.candidates_compared, [e.hub_repo for e in record.history]) == ({"ds@1": 7}, [made.repo])


def test_a_record_is_made_from_the_cluster_and_the_hub(agent: Agent) -> None:
    made = agent.published(1, identity="sha256:id", name="docs-1", agent_model=f"{agent.namespace}/docs")
    agent.published(2, agent_model="elsewhere/docs")
    agent.delete("configmap", record_name("docs"))
    rebuild = ("registry", "rebuild", "-n", agent.namespace)
    assert "record would be made" in agent.succeed(*rebuild, "--dry-run")
    (found,) = json.loads(agent.succeed(*rebuild, "--dry-run", "-o", "json"))
    assert (found["agent_model"], found["outcome"], found["record_created"]) == (
        "docs",
        "would be added",
        True,
    )
    assert "names elsewhere/docs" in found["left_out"][0]
    done = agent.modelops(*rebuild)
    assert "names elsewhere/docs" in done.stderr
    record = agent.record()
    assert record.stable.version == "v1.0.0"
    assert [(e.version, e.hub_repo) for e in record.history] == [("v1.1.0-rc.1", made.repo)]
    assert list(record.completed) == ["sha256:id"]
    labels = agent.config_map()["metadata"]["labels"]
    assert labels == {f"{GROUP}/record": "docs", f"{GROUP}/managed": "true"}


def test_a_record_is_not_rebuilt_from_objects_that_cannot_be_read(agent: Agent) -> None:
    agent.published(1)
    rebuild = ("registry", "rebuild", "docs", "-n", agent.namespace)
    agent.patch({"ledger.json": "{"})
    done = agent.modelops(*rebuild)
    assert (done.returncode, "cannot be read" in done.stderr) == (1, True)
    assert agent.config_map()["data"]["ledger.json"] == "{"
    agent.delete("configmap", record_name("docs"))
    agent.delete("configmap", "agents")
    done = agent.modelops(*rebuild)
    assert (done.returncode, "ConfigMap agents, key agents.yaml: it does not exist" in done.stderr) == (
        1,
        True,
    )
    done = agent.modelops("registry", "rebuild", "cicd", "-n", agent.namespace)
    assert (done.returncode, "there is docs" in done.stderr) == (1, True)


# lineage ------------------------------------------------------------------------------------------------------


def test_an_example_is_traced_to_datasets_and_models(agent: Agent) -> None:
    trained, held_out = agent.published(1, train=[EXAMPLE]), agent.published(2, test=[EXAMPLE])
    agent.published(3, train=["another"])
    agent.succeed("registry", "rebuild", "docs", "-n", agent.namespace)
    record = agent.record()
    stable = record.stable.model_copy(update={"version": "v1.1.0", "model": trained.repo})
    entry = record.history[0].model_copy(update={"version": "v1.1.0", "deployment_status": "deployed"})
    agent.patch(record.with_(stable=stable, history=(entry, *record.history[1:])).to_data())
    result = json.loads(
        agent.succeed("lineage", "--example", EXAMPLE.upper(), "-n", agent.namespace, "-o", "json")
    )
    assert [(d["repo"], d["revision"], d["splits"], d["rows"]) for d in result["datasets"]] == [
        (trained.data, trained.data_revision, ["train"], 1),
        (held_out.data, held_out.data_revision, ["test"], 1),
    ]
    assert [(m["version"], m["splits"], m["status"], m["current"]) for m in result["models"]] == [
        ("v1.1.0", ["train"], "deployed", True),
        ("v1.2.0-rc.1", ["test"], "trained", False),
    ]
    text = agent.succeed("lineage", "--example", EXAMPLE, "-n", agent.namespace, "--agent-model", "docs")
    assert "trained on it, deployed, current stable" in text
    assert "held out from it" in text


def test_the_exit_code_shows_whether_the_example_was_found(agent: Agent) -> None:
    made = agent.published(1, train=["another"])
    asked = ("lineage", "--example", EXAMPLE)
    assert agent.modelops(*asked).returncode == 1
    put_silent = {"data/train.jsonl": b'{"messages": []}\n', "data/test.jsonl": b""}
    agent.hf.delete_file("examples.json", repo_id=made.data, repo_type="dataset")
    put(agent.hf, made.data, put_silent, title="Dataset", kind="dataset")
    done = agent.modelops(*asked)
    assert (done.returncode, "does not say" in done.stdout) == (2, True)
    assert agent.modelops(*asked, HF_TOKEN="", HUGGINGFACE_HUB_TOKEN="").returncode == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lineage", "--example", "12"), "not the id of a LangSmith example"),
        (("lineage", "1.0"), "not a version"),
        (("lineage", "--example", EXAMPLE, "--agent-model", "docs"), "with -n"),
        (("prune", "docs", "--older-than", "3w"), "not a duration"),
        (("prune", "docs", "--keep", "0"), "keep at least 1 version"),
    ],
)
def test_wrong_arguments_are_refused_with_what_to_write(arguments: tuple[str, ...], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "modelops.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert (done.returncode, words in done.stderr) == (2, True), done


# prune --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [{"kind": "status", "status": 500}, {"kind": "lost_answer"}])
def test_an_interrupted_removal_is_reported_and_finished_the_next_time(
    agent: Agent, fault: dict[str, Any]
) -> None:
    first, second, third = agent.publish_three()
    prune = ("prune", "docs", "-n", agent.namespace)
    agent.sandbox.fault("hub", method="DELETE", **fault)
    done = agent.modelops(*prune, *PRUNE, "--yes")
    assert (done.returncode, "deleting model" in done.stderr) == (2, True), done
    with_removal_announced = agent.record().entry_of(first.repo)
    assert with_removal_announced is not None
    assert (PRUNING in with_removal_announced.lineage, PRUNED in with_removal_announced.lineage) == (
        True,
        False,
    )
    # The removal was announced, so it is finished with another policy, too.
    agent.succeed(*prune, "--older-than", "9999d", "--keep", "3", "--yes")
    assert [agent.exists(one.repo) for one in (first, second, third)] == [False, False, True]
    assert [agent.exists(one.data, "dataset") for one in (first, second, third)] == [False, False, True]
    for one in (first, second):
        entry = agent.record().entry_of(one.repo)
        assert entry is not None
        assert {PRUNED, DATA_PRUNED} <= entry.lineage.keys()


async def test_a_rollout_that_takes_the_agent_lock_meanwhile_keeps_its_model(
    agent: Agent, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The claim writes the record, so a removal that was decided before it is not carried out."""
    from datetime import timedelta

    from modelops.cli.agent_snapshot import AgentSnapshot
    from modelops.cli.cluster_agents import ClusterAgents
    from modelops.cli.repository_removal import decide_and_remove, read_hub
    from modelops.domain.pruning import PrunePolicy
    from modelops.domain.record import ActiveRollout

    first, _, _ = agent.publish_three()

    class ConflictingAgents(ClusterAgents):
        claimed = False

        async def write_record(self, snapshot: AgentSnapshot, record: Record) -> None:
            if not ConflictingAgents.claimed:
                ConflictingAgents.claimed = True
                now = agent.record()
                candidate = now.stable.model_copy(update={"version": "v1.1.0-rc.1", "model": first.repo})
                active = ActiveRollout(uid="u", name="undo", digest="d", candidate=candidate)
                agent.patch(now.with_(active=active).to_data())
            await super().write_record(snapshot, record)

    for name, value in agent.sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("MODELOPS_SANDBOX")  # The SDK has read its addresses when this process started.
    from modelops.cli.hub_access import query_hub

    hub_contents = await query_hub(lambda hub: read_hub(hub, ORG, None))
    policy = PrunePolicy(older_than=timedelta(days=1), keep=1)
    async with AsyncClient(Access(kubeconfig=str(cluster.kubeconfig))) as client:
        agents = ConflictingAgents(client)
        (snapshot,) = await agents.list_named(agent.namespace, ["docs"])
        decisions = await decide_and_remove(agents, snapshot, hub_contents, policy, removes=True)
    assert ConflictingAgents.claimed
    assert "candidate of Rollout undo" in next(v.reason for v in decisions if v.repo == first.repo)
    assert agent.exists(first.repo)
    entry = agent.record().entry_of(first.repo)
    assert entry is not None
    assert PRUNING not in entry.lineage


def test_a_user_who_may_read_only_one_namespace_is_warned(agent: Agent) -> None:
    agent.publish_three()
    rules = ["--verb=get,list,patch", "--resource=configmaps", f"--resource=agentmodels.{GROUP}"]
    more = [f"--resource=trainingruns.{GROUP}", f"--resource=rollouts.{GROUP}"]
    for command in (
        ["create", "role", "pruner", *rules, *more],
        ["create", "rolebinding", "pruner", "--role=pruner", "--user=alice"],
    ):
        agent.kubectl(*command, namespace=agent.namespace, check=True)
    done = agent.modelops("prune", "docs", "-n", agent.namespace, *PRUNE, user="alice")
    assert done.returncode == 0, done
    assert f"only namespace {agent.namespace} can be read" in done.stderr
    assert "4 of 6 repositories would be removed" in done.stdout


def test_a_model_of_another_namespace_is_never_removed(agent: Agent, kubectl: Kubectl) -> None:
    """Two agents have the same name and organisation, and both records contain the version."""
    first, _, _ = agent.publish_three()
    other = f"{agent.namespace}-b"
    kubectl("create", "namespace", other, check=True)
    try:
        record = agent.record()
        stable = record.stable.model_copy(update={"version": "v1.1.0", "model": first.repo})
        labels = {f"{GROUP}/record": "docs"}
        item = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": record_name("docs"), "labels": labels},
            "data": record.with_(stable=stable).to_data(),
        }
        kubectl("apply", "-f", "-", namespace=other, input=json.dumps(item), check=True)
        result = json.loads(agent.succeed("prune", "docs", "-n", agent.namespace, *PRUNE, "-o", "json"))
    finally:
        remove_namespace(kubectl, other)
    decision = next(one for one in result if one["repo"] == first.repo)
    assert (decision["removed"], decision["reason"]) == (False, "stable of docs: v1.1.0")


def test_data_of_a_refused_run_are_removed_while_the_run_exists(agent: Agent, namespace: str) -> None:
    """Nothing was reserved for such a run, so the record does not have it."""
    Preconditions(agent.kubectl, namespace).establish("run")
    shown = agent.kubectl(
        "get", "trainingruns", "docs-2025-12-09", "-o", "json", namespace=namespace, check=True
    )
    uid = json.loads(shown.stdout)["metadata"]["uid"]
    data = data_files(agent="docs", train=[EXAMPLE])
    repos = {}
    for run in (uid, f"{uid[:6]}-of-another-cluster"):
        repos[run] = f"{ORG}/code-chef-docs-2025120{len(repos) + 1}-220000-{uid[:6]}-data"
        lineage = {**data["modelops.json"], "run": run}
        put(agent.hf, repos[run], {**data, "modelops.json": lineage}, title="Dataset", kind="dataset")
    agent.succeed("prune", "docs", "-n", namespace, *PRUNE, "--yes")
    assert [agent.exists(repo, "dataset") for repo in repos.values()] == [False, True]


def test_an_example_is_removed_with_everything_that_contains_it(agent: Agent) -> None:
    made = agent.published(1, train=[EXAMPLE])
    kept = agent.published(2, train=["another"])
    agent.succeed("registry", "rebuild", "docs", "-n", agent.namespace)
    prune = ("prune", "docs", "-n", agent.namespace, "--example", EXAMPLE)
    assert "2 of 2 repositories with the example would be removed" in agent.succeed(*prune)
    agent.succeed(*prune, "--yes")
    assert (agent.exists(made.repo), agent.exists(made.data, "dataset"), agent.exists(kept.repo)) == (
        False,
        False,
        True,
    )
    assert agent.modelops("lineage", "--example", EXAMPLE, "-n", agent.namespace).returncode == 1
    since = agent.record().history[0].lineage[PRUNED]
    assert datetime.fromisoformat(since) <= datetime.now(UTC)
