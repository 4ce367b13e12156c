"""The conversation on a real API server, where the admin plays the operator and messages say what they mean."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command
from ruamel.yaml import YAML
from tests.cluster.docs_preconditions import GROUP, Kubectl, Preconditions
from tests.cluster.policies import bind
from tests.unit.infra_agent.chat import read_literally

from modelops.api.v1alpha1.names import record_name
from modelops.client import Access, AsyncClient
from modelops.domain.record import Record, RegistryEntry
from modelops.infra_agent.acting import carry_out
from modelops.infra_agent.cluster_hands import ClusterHands
from modelops.infra_agent.graph import build_modelops_subgraph
from modelops.infra_agent.hands import TeamSettings
from modelops.infra_agent.heard import request
from modelops.infra_agent.hosting import Turn, take_turn
from modelops.infra_agent.planning import make_plan
from modelops.localcluster import LocalCluster
from modelops.tools.errors import QuoteRefused
from modelops.tools.names import IDEMPOTENCY, key_digest

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "agentmodel-docs.yaml"
RUN, CANARY = "docs-2025-12-09", "docs-v1-1"
TRAINED = RegistryEntry(
    version="v1.1.0-rc.1",
    model="org/docs-1",
    base_model="Qwen/Qwen2.5-Coder-7B",
    training_method="sft",
    training_dataset="ls://docs-train",
    eval_scores={"accuracy": 0.87},
    trained_at="2025-12-09T22:00:00Z",
    hub_repo="org/docs-1",
    deployment_status="trained",
    lineage={"revision": "c" * 40},
)


class Talks:
    """Conversations of several people in a namespace with the agent `docs`, which has one trained version."""

    def __init__(
        self, cluster: LocalCluster, kubectl: Kubectl, namespace: str, stack: AsyncExitStack
    ) -> None:
        self._cluster, self._kubectl, self._stack = cluster, kubectl, stack
        self.kubeconfig, self.namespace = cluster.kubeconfig, namespace
        self.preconditions = Preconditions(kubectl, namespace)
        self.preconditions.establish("agent")
        shown = kubectl(
            "get", "configmap", record_name("docs"), "-o", "json", namespace=namespace, check=True
        )
        data = Record.from_data(json.loads(shown.stdout)["data"]).with_(history=(TRAINED,)).to_data()
        patch = json.dumps({"data": data})
        kubectl(
            "patch",
            "configmap",
            record_name("docs"),
            "--type=merge",
            "-p",
            patch,
            namespace=namespace,
            check=True,
        )

    async def client(self, kubeconfig: Path | None = None) -> AsyncClient:
        """A client of the admin, or with another kubeconfig."""
        access = Access(kubeconfig=str(kubeconfig or self.kubeconfig), namespace=self.namespace)
        return await self._stack.enter_async_context(AsyncClient(access))

    async def talk(self, kubeconfig: Path | None = None) -> Talk:
        """A conversation in the rights of the admin, or of another kubeconfig."""
        return Talk(await self.client(kubeconfig))

    def kubeconfig_of(self, user: str, *roles: str) -> Path:
        """A kubeconfig of a person who has these roles."""
        bind(self._kubectl, self.namespace, user, *roles)
        return self._cluster.kubeconfig_for(user)

    def change_offer(self, run: str, *, digest: str) -> None:
        """The operator makes another offer."""
        patch = (
            "--subresource=status",
            "--type=merge",
            "-p",
            json.dumps({"status": {"approvalDigest": digest}}),
        )
        self._kubectl("patch", f"trainingruns.{GROUP}", run, *patch, namespace=self.namespace, check=True)


class Talk:
    """One thread."""

    def __init__(self, client: AsyncClient) -> None:
        host = StateGraph(MessagesState)
        host.add_node("modelops", build_modelops_subgraph(client, understand=read_literally))
        host.add_edge(START, "modelops")
        host.add_edge("modelops", END)
        self.graph: Any = host.compile(checkpointer=InMemorySaver())

    async def say(self, text: str) -> Turn:
        return await take_turn(self.graph, {"messages": [("user", text)]}, thread_id="t")

    async def approve(self, turn: Turn) -> Turn:
        assert turn.plan is not None, turn.text
        decision = {"plan": turn.plan["plan"], "approved": True}
        return await take_turn(self.graph, Command(resume=decision), thread_id="t")


@pytest.fixture
async def talks(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> AsyncIterator[Talks]:
    async with AsyncExitStack() as stack:
        yield Talks(cluster, kubectl, namespace, stack)


async def test_a_plan_that_is_carried_out_again_creates_one_rollout(talks: Talks) -> None:
    client = await talks.client()
    hands, team = ClusterHands(client), TeamSettings()
    for intent in ("evaluate", "deploy"):
        plan = await make_plan(hands, request(intent, "docs", None), team)
        assert "v1.1.0-rc.1" in plan.text
        first, again = [await carry_out(hands, plan, team) for _ in range(2)]
        assert first.follow == again.follow
    made = (await client.rollouts.list()).items
    assert sorted("evaluateOnly" in one.spec.strategy.wire() for one in made) == [False, True]


async def test_missing_rights_are_said_before_anybody_is_asked(talks: Talks) -> None:
    talk = await talks.talk(talks.kubeconfig_of("bob", "modelops-viewer"))
    turn = await talk.say("deploy docs")
    assert turn.plan is None
    assert "is not allowed" in turn.text
    assert "kubectl create rolebinding" in turn.text
    assert (await (await talks.client()).rollouts.list()).items == ()


async def test_a_cluster_that_does_not_answer_is_a_sentence(talks: Talks, tmp_path: Path) -> None:
    yaml = YAML()
    found = yaml.load(talks.kubeconfig.read_text(encoding="utf-8"))
    for one in found["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:1"
    with (tmp_path / "kubeconfig").open("w") as file:
        yaml.dump(found, file)
    turn = await (await talks.talk(tmp_path / "kubeconfig")).say("train docs")
    assert "127.0.0.1:1" in turn.text
    assert turn.text.endswith("Nothing was done.")


async def test_going_back_aborts_the_canary_that_was_shown(talks: Talks) -> None:
    for scene in ("rollout", "canary"):
        talks.preconditions.establish(scene)
    talk, client = await talks.talk(), await talks.client()
    asked = await talk.say("rollback docs")
    assert f"Rollout {CANARY} of docs is aborted, and all traffic goes back to v1.0.0. Proceed?" == asked.text
    assert not (await client.rollouts.get(CANARY)).spec.abort
    await talk.approve(asked)
    assert (await client.rollouts.get(CANARY)).spec.abort


async def test_an_agent_is_named_as_in_its_file_though_its_agent_model_has_another_name(talks: Talks) -> None:
    client, talk = await talks.client(), await talks.talk()
    spec = YAML(typ="safe").load(SAMPLE.read_text(encoding="utf-8"))["spec"]
    await client.agent_models.create("feature-dev", {**spec, "agent": "feature_dev"})
    await client.training_runs.create(
        "their-run", {"agentModelRef": {"name": "feature-dev"}, "maxUSD": "5", "requestedBy": "carla"}
    )
    asked = await talk.say("cancel run=their-run")
    assert "Training their-run of feature_dev is stopped for good" in asked.text
    assert asked.plan is not None
    assert asked.plan["agent"] == "feature_dev"
    await talk.approve(asked)
    assert (await client.training_runs.get("their-run")).spec.cancel


async def test_an_offer_is_approved_only_as_it_was_shown(talks: Talks) -> None:
    talks.preconditions.establish("asked")
    client, talk = await talks.client(), await talks.talk()
    asked = await talk.say(f"approve docs run={RUN}")
    assert "cost: $8 to $12" in asked.text
    talks.change_offer(RUN, digest=f"sha256:{'b' * 64}")
    assert "another one by now" in (await talk.approve(asked)).text
    assert (await client.training_runs.get(RUN)).spec.approval is None
    await talk.approve(await talk.say(f"approve docs run={RUN}"))
    given = (await client.training_runs.get(RUN)).spec.approval
    assert given is not None
    assert given.digest == f"sha256:{'b' * 64}"


async def test_a_training_that_was_started_is_found_after_its_quote_has_gone(talks: Talks) -> None:
    client = await talks.client()
    spec = {"agentModelRef": {"name": "docs"}, "maxUSD": "5", "requestedBy": "carla"}
    await client.training_runs.create("started", spec, labels={IDEMPOTENCY: key_digest("a-plan")})
    hands = ClusterHands(client)
    found = await hands.start_training("gone", max_usd=None, key="a-plan")
    assert (found.job_id, found.created) == ("started", False)
    with pytest.raises(QuoteRefused):
        await hands.start_training("gone", max_usd=None, key="another-plan")


async def test_a_colleague_who_approves_in_another_window_is_seen_by_the_first(talks: Talks) -> None:
    talks.preconditions.establish("asked")
    client, alice = await talks.client(), await talks.talk()
    bob = await talks.talk(talks.kubeconfig_of("bob", "modelops-approver", "modelops-viewer"))
    asked = await alice.say(f"approve docs run={RUN}")
    await bob.approve(await bob.say(f"approve docs run={RUN}"))
    given = (await client.training_runs.get(RUN)).spec.approval
    assert given is not None
    assert given.approved_by == "bob"
    assert "already approved by bob" in (await alice.approve(asked)).text
    again = (await client.training_runs.get(RUN)).spec.approval
    assert again == given


async def test_a_rollout_is_paused_and_goes_on(talks: Talks) -> None:
    for scene in ("rollout", "canary"):
        talks.preconditions.establish(scene)
    talk, client = await talks.talk(), await talks.client()
    for intent, paused in (("pause", True), ("resume", False)):
        asked = await talk.say(f"{intent} docs")
        assert CANARY in asked.text
        assert (await client.rollouts.get(CANARY)).spec.paused is not paused
        await talk.approve(asked)
        assert (await client.rollouts.get(CANARY)).spec.paused is paused


async def test_settings_that_changed_since_the_plan_was_shown_end_it(talks: Talks) -> None:
    talk, client = await talks.talk(), await talks.client()
    asked = await talk.say("evaluate docs")
    await client.agent_models.patch("docs", {"spec": {"budget": {"monthlyUSD": "77"}}})
    assert "settings of docs, its last rollout" in (await talk.approve(asked)).text
    assert (await client.rollouts.list()).items == ()


async def test_two_windows_with_the_same_request_are_two_plans_that_know_of_each_other(talks: Talks) -> None:
    first, second = await talks.talk(), await talks.talk()
    asked, also = await first.say("evaluate docs"), await second.say("evaluate docs")
    assert asked.plan is not None
    assert also.plan is not None
    decision = {"plan": asked.plan["plan"], "approved": True}
    crossed = await take_turn(second.graph, Command(resume=decision), thread_id="t")
    assert "another plan" in crossed.text
    assert (await (await talks.client()).rollouts.list()).items == ()


async def test_the_baseline_is_what_served_before_any_training(talks: Talks) -> None:
    way = await ClusterHands(await talks.client()).way_back("docs", to="baseline")
    assert way.why_not == "it is on v1.0.0 already"


async def test_a_training_is_repeated_with_its_own_values(talks: Talks) -> None:
    client = await talks.client()
    spec = {
        "agentModelRef": {"name": "docs"},
        "maxUSD": "5",
        "requestedBy": "carla",
        "baseModel": "org/base-1b",
        "method": "dpo",
        "dataset": {"langsmith": "ls://pairs"},
    }
    await client.training_runs.create("docs-train-12ab", spec)
    found = await ClusterHands(client).trained_with("docs-train-12ab")
    assert (found.agent_name, found.dataset_id, found.base_model, found.training_method) == (
        "docs", "ls://pairs", "org/base-1b", "dpo"
    )  # fmt: skip
