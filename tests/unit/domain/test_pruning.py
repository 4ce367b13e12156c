"""Which repositories are removed from the Hub, and why all others stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.agentmodel.test_published import OWNER, UIDS, a_model, merged
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import a_record, parsed
from tests.unit.training.objects import run_json

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, RepositoryCatalog
from modelops.domain.prune_record import unfinished_removals, with_removal_announced, with_removal_confirmed
from modelops.domain.pruning import PruneDecision, PrunePlanner, PrunePolicy
from modelops.domain.record import (
    DATA_PRUNED,
    PRUNED,
    PRUNING,
    ActiveRollout,
    EndpointEntry,
    Record,
    Reservation,
    Target,
)
from modelops.domain.record_bound import without_old_recipes
from modelops.domain.repositories_in_use import (
    AgentInventory,
    RepositoriesInUse,
    RetentionReason,
    repositories_in_use,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = (a_model(1), a_model(2), a_model(3))
ONE, TWO, THREE = (model.repo for model in MODELS)
POLICY = PrunePolicy(older_than=timedelta(days=90), keep=1)


def data(repo: str, **lineage: Any) -> DatasetRepository:
    return DatasetRepository(repo=f"{repo}-data", revisions={"d1": {"agent": "docs", **lineage}})


CATALOG = RepositoryCatalog(models=MODELS, datasets=tuple(data(repo) for repo in (ONE, TWO, THREE)))


def record_with_versions(**changes: Any) -> Record:
    """A record with the three versions."""
    return merged(a_record(), *MODELS).record.with_(**changes)


def target(repo: str, version: str = "v1.1.0", since: str = "") -> Target:
    return Target(
        version=version,
        model=repo,
        endpoint="huggingface",
        endpoint_url="",
        api_key_env="HF_TOKEN",
        since=since,
    )


def decide(
    record: Record | None = None, *, inventory: AgentInventory | None = None, **changes: Any
) -> dict[str, PruneDecision]:
    record = record or record_with_versions()
    given: dict[str, Any] = {
        "record": record,
        "agent_model": OWNER,
        "catalog": CATALOG,
        "uses": repositories_in_use(inventory or AgentInventory(name="docs", record=record), now=NOW),
        "policy": POLICY,
        "now": NOW,
    }
    return {decision.repo: decision for decision in PrunePlanner(**{**given, **changes}).decisions()}


def removed(decisions: dict[str, PruneDecision]) -> set[str]:
    return {repo for repo, decision in decisions.items() if decision.removed}


def test_unused_models_are_removed_with_their_data() -> None:
    found = decide()
    assert removed(found) == {ONE, TWO, f"{ONE}-data", f"{TWO}-data"}
    assert found[THREE].reason == "the newest version"
    assert found[f"{THREE}-data"].reason.startswith("data of v1.3.0-rc.1, which stays")
    assert found[ONE].reason == "181 days old and not in use"


def test_repositories_younger_than_the_policy_stay() -> None:
    found = decide(policy=PrunePolicy(older_than=timedelta(days=200), keep=1))
    assert removed(found) == set()
    assert found[ONE].reason == "181 days old"


ENTRY = EndpointEntry(
    name="mo-1",
    role="stopping",
    repo=ONE,
    revision="r",
    version="v",
    usd_micro_per_hour=1,
    instance={},
    since="x",
)
AGENT = parsed(AgentModel, objects.agent_model(rollbackWindowSeconds=3600))
IN_WINDOW, BEFORE = "2026-05-31T23:30:00Z", "2026-05-31T22:30:00Z"

TARGET_STATUS = {"version": "v1.1.0", "model": ONE, "endpoint": "huggingface", "endpointUrl": "https://e/v1"}


def an_agent(*, status: Any = None, **spec: Any) -> AgentModel:
    return parsed(AgentModel, {**objects.agent_model(**spec), "status": status or {}})


def pending_rollout(**spec: Any) -> Rollout:
    return parsed(Rollout, {**objects.rollout(**spec), "status": {"phase": "Pending"}})


@pytest.mark.parametrize(
    ("inventory", "reason"),
    [
        (AgentInventory(name="docs", record=record_with_versions(stable=target(ONE))), "stable of docs"),
        (AgentInventory(name="docs", record=record_with_versions(previous=target(ONE))), "previous of docs"),
        (AgentInventory(name="docs", record=record_with_versions(endpoints=(ENTRY,))), "endpoint mo-1"),
        (
            AgentInventory(
                name="docs",
                record=record_with_versions(
                    active=ActiveRollout(uid="u", name="r1", digest="d", candidate=target(ONE))
                ),
            ),
            "candidate of Rollout r1",
        ),
        (
            AgentInventory(
                name="docs",
                record=record_with_versions(),
                rollouts=(pending_rollout(candidate={"version": "v1.1.0-rc.1"}),),
            ),
            "Rollout r1 names it",
        ),
        (
            AgentInventory(
                name="docs",
                record=record_with_versions(),
                rollouts=(pending_rollout(candidate={"model": {"repo": ONE, "revision": "a" * 40}}),),
            ),
            "Rollout r1 names it",
        ),
        (
            AgentInventory(
                name="docs",
                record=record_with_versions(
                    reservations={
                        f"{UIDS[1]}/1": Reservation(usd_micro=1, month="2026-06", name="t1", repo=ONE)
                    }
                ),
            ),
            "TrainingRun t1 has not ended",
        ),
        (
            AgentInventory(name="docs", record=record_with_versions(), unreadable_run_uids=(UIDS[1],)),
            "cannot be read",
        ),
        (
            AgentInventory(name="other", agent_model=an_agent(baseline={**objects.BASELINE, "model": ONE})),
            "baseline of other",
        ),
        (
            AgentInventory(name="other", agent_model=an_agent(status={"previous": TARGET_STATUS})),
            "previous of other by its status",
        ),
        (
            AgentInventory(name="other", unreadable_texts=(f'{{"stable": "{ONE}"}}',)),
            "named by an object of other",
        ),
        (
            AgentInventory(
                name="docs",
                agent_model=AGENT,
                record=record_with_versions(
                    stable=target(THREE, "v1.3.0", since=IN_WINDOW),
                    served={"v1.1.0": target(ONE, "v1.1.0", since=BEFORE)},
                ),
            ),
            "served until 2026-05-31T23:30:00Z",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_repositories_in_use_stay_at_any_age(inventory: AgentInventory, reason: str) -> None:
    found = decide(inventory.record, inventory=inventory)
    assert not found[ONE].removed
    assert reason in found[ONE].reason
    assert found[ONE].remedy
    assert not found[f"{ONE}-data"].removed


def test_a_model_replaced_before_the_rollback_window_is_removed() -> None:
    record = record_with_versions(
        stable=target(THREE, "v1.3.0", since="2026-05-31T22:59:00Z"),
        served={"v1.1.0": target(ONE, "v1.1.0", since=BEFORE)},
    )
    assert ONE in removed(
        decide(record, inventory=AgentInventory(name="docs", agent_model=AGENT, record=record))
    )


def test_a_repository_that_another_agent_uses_stays() -> None:
    other = RepositoriesInUse(models={ONE: RetentionReason(reason="stable of team-b", remedy="x")})
    assert not decide(
        uses=repositories_in_use(
            AgentInventory(name="docs", record=record_with_versions()), now=NOW
        ).merged_with(other)
    )[ONE].removed


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (a_model(1, agent="cicd"), "no modelops.json says that it belongs to docs"),
        (a_model(1, agent_model="team-b/docs"), "belongs to AgentModel team-b/docs"),
    ],
)
def test_a_repository_of_another_agent_stays(model: ModelRepository, reason: str) -> None:
    found = decide(catalog=RepositoryCatalog(models=(model,)))[ONE]
    assert (found.removed, reason in found.reason) == (False, True)


def test_a_name_alone_is_no_proof() -> None:
    bare = ModelRepository(repo=ONE)
    assert not decide(catalog=RepositoryCatalog(models=(bare,)))[ONE].removed
    # The repository of a failed run is removed together with the data that name its agent.
    with_data = RepositoryCatalog(models=(bare, MODELS[2]), datasets=(data(ONE),))
    assert removed(decide(catalog=with_data)) == {ONE, f"{ONE}-data"}


def test_a_repository_that_is_not_in_the_record_stays() -> None:
    found = decide(a_record())
    assert removed(found) == set()
    assert found[ONE].remedy.startswith("modelops registry rebuild")


def test_data_of_a_run_that_was_refused_are_removed_while_the_run_exists() -> None:
    """Such a run is not in the record: nothing was reserved for it."""
    uploaded = RepositoryCatalog(datasets=(data(ONE, run=UIDS[1], agent_model=OWNER), data(TWO, run=UIDS[2])))
    found = decide(a_record(), catalog=uploaded, runs=frozenset({UIDS[1]}))
    assert removed(found) == {f"{ONE}-data"}
    assert "may belong to another cluster" in found[f"{TWO}-data"].reason


def test_a_run_with_the_same_short_uid_proves_nothing() -> None:
    uploaded = RepositoryCatalog(datasets=(data(ONE, run=UIDS[1]),))
    found = decide(a_record(), catalog=uploaded, runs=frozenset({f"{UIDS[1]}-of-another-cluster"}))
    assert removed(found) == set()


def test_data_of_a_run_that_has_not_ended_stay() -> None:
    run = parsed(TrainingRun, run_json(uid=UIDS[1]))
    inventory = AgentInventory(name="docs", record=a_record(), runs=(run,))
    uploaded = RepositoryCatalog(datasets=(data(ONE, run=UIDS[1]),))
    found = decide(a_record(), inventory=inventory, catalog=uploaded, runs=frozenset({UIDS[1]}))
    assert "has not ended" in found[f"{ONE}-data"].reason


# An example ---------------------------------------------------------------------------------------------------


def example_splits(**splits: Any) -> dict[str, Any]:
    """By the number of the version, as `one=("train",)`."""
    repos = {"one": ONE, "two": TWO, "three": THREE}
    return {f"{repo}-data": {"d1": splits.get(name, ())} for name, repo in repos.items()}


def test_repositories_with_the_example_are_removed_at_any_age() -> None:
    young = PrunePolicy(older_than=timedelta(days=900), keep=3)
    found = decide(example_splits=example_splits(one=("train",), three=("test",)), policy=young)
    assert removed(found) == {ONE, f"{ONE}-data", f"{THREE}-data"}
    assert set(found) == removed(found)


def test_a_serving_model_with_the_example_stays_and_names_the_remedy() -> None:
    found = decide(
        record_with_versions(stable=target(ONE, "v1.1.0")), example_splits=example_splits(one=("train",))
    )
    assert removed(found) == set()
    assert found[ONE].remedy == "promote another version"
    assert found[f"{ONE}-data"].remedy.startswith("promote another version")


def test_data_that_do_not_name_their_examples_are_undetermined() -> None:
    found = decide(example_splits=example_splits(one=None))
    assert removed(found) == set()
    assert [found[ONE].undetermined, found[f"{ONE}-data"].undetermined] == [True, True]
    without_data = decide(catalog=RepositoryCatalog(models=MODELS[:1]), example_splits={})
    assert without_data[ONE].undetermined


def test_a_checkpoint_of_a_failed_run_is_removed() -> None:
    catalog = RepositoryCatalog(models=(ModelRepository(repo=ONE),), datasets=(data(ONE),))
    assert ONE in removed(decide(catalog=catalog, example_splits=example_splits(one=("train",))))
    assert ONE not in decide(catalog=catalog, example_splits=example_splits(one=("test",)))


# The record of a removal -----------------------------------------------------------------------------------


def test_a_removal_is_announced_then_confirmed_and_a_crash_between_leaves_it_unfinished() -> None:
    record = record_with_versions()
    announced = with_removal_announced(record, tuple(decide(record).values()), at="t1")
    assert [e.lineage.get(PRUNING) for e in announced.history] == ["t1", "t1", None]
    assert unfinished_removals(announced) == (
        (ONE, "model"),
        (f"{ONE}-data", "dataset"),
        (TWO, "model"),
        (f"{TWO}-data", "dataset"),
    )
    # The next prune continues, although the policy has changed.
    found = decide(announced, policy=PrunePolicy(older_than=timedelta(days=900), keep=3))
    assert removed(found) == {ONE, TWO, f"{ONE}-data", f"{TWO}-data"}
    assert "began at t1" in found[ONE].reason
    ended = with_removal_confirmed(with_removal_confirmed(announced, ONE, at="t2"), f"{ONE}-data", at="t3")
    assert (ended.history[0].lineage[PRUNED], ended.history[0].lineage[DATA_PRUNED]) == ("t2", "t3")
    assert unfinished_removals(ended) == ((TWO, "model"), (f"{TWO}-data", "dataset"))
    assert with_removal_announced(ended, tuple(decide(record).values()), at="t9") == ended


def test_a_removed_version_is_not_one_of_the_newest() -> None:
    record = with_removal_confirmed(
        with_removal_announced(record_with_versions(), (decide()[ONE],), at="t"), ONE, at="t"
    )
    history = tuple(reversed(record.history))
    assert decide(record.with_(history=history))[THREE].reason == "the newest version"


def test_a_shortened_record_keeps_confirmed_removals() -> None:
    many = tuple(
        e.model_copy(update={"version": f"v2.{n}.0"})
        for n in range(60)
        for e in record_with_versions().history[:1]
    )
    record = with_removal_confirmed(
        with_removal_announced(record_with_versions(history=many), (decide()[ONE],), at="t1"), ONE, at="t2"
    )
    assert without_old_recipes(record).history[0].lineage[PRUNED] == "t2"
