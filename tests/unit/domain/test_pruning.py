"""What may go from the Hub, and why everything else stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.unit.agentmodel.test_published import OWNER, UIDS, a_model, merged
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import a_record, parsed

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.rollout import Rollout
from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, Shelf
from modelops.domain.in_use import AgentInventory, InUse, Use, in_use
from modelops.domain.pruning import Judge, Policy, Verdict, begun, gone, unfinished
from modelops.domain.record import (
    DATA_PRUNED,
    PRUNED,
    PRUNING,
    Active,
    EndpointEntry,
    Record,
    Reservation,
    Target,
)
from modelops.domain.record_bound import without_old_recipes

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = (a_model(1), a_model(2), a_model(3))
ONE, TWO, THREE = (model.repo for model in MODELS)
OLD = Policy(older_than=timedelta(days=90), keep=1)


def data(repo: str, **told: Any) -> DatasetRepository:
    return DatasetRepository(repo=f"{repo}-data", revisions={"d1": {"agent": "docs", **told}})


SHELF = Shelf(models=MODELS, datasets=tuple(data(repo) for repo in (ONE, TWO, THREE)))


def known(**changes: Any) -> Record:
    """A record that has the three versions."""
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


def judged(
    record: Record | None = None, *, inventory: AgentInventory | None = None, **changes: Any
) -> dict[str, Verdict]:
    record = record or known()
    given: dict[str, Any] = {
        "record": record,
        "agent_model": OWNER,
        "shelf": SHELF,
        "uses": in_use(inventory or AgentInventory(name="docs", record=record), now=NOW),
        "policy": OLD,
        "now": NOW,
    }
    return {verdict.repo: verdict for verdict in Judge(**{**given, **changes}).verdicts()}


def removed(verdicts: dict[str, Verdict]) -> set[str]:
    return {repo for repo, verdict in verdicts.items() if verdict.removed}


def test_what_nothing_needs_goes_with_its_data() -> None:
    found = judged()
    assert removed(found) == {ONE, TWO, f"{ONE}-data", f"{TWO}-data"}
    assert found[THREE].why == "one of the newest 1 versions"
    assert found[f"{THREE}-data"].why.startswith("data of v1.3.0-rc.1, which stays")
    assert found[ONE].why == "181 days old, and nothing needs it"


def test_what_is_young_stays() -> None:
    found = judged(policy=Policy(older_than=timedelta(days=200), keep=1))
    assert removed(found) == set()
    assert found[ONE].why == "181 days old"


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
LATELY, BEFORE = "2026-05-31T23:30:00Z", "2026-05-31T22:30:00Z"

SHOWN = {"version": "v1.1.0", "model": ONE, "endpoint": "huggingface", "endpointUrl": "https://e/v1"}


def an_agent(*, status: Any = None, **spec: Any) -> AgentModel:
    return parsed(AgentModel, {**objects.agent_model(**spec), "status": status or {}})


def tried(**spec: Any) -> Rollout:
    return parsed(Rollout, {**objects.rollout(**spec), "status": {"phase": "Pending"}})


@pytest.mark.parametrize(
    ("inventory", "why"),
    [
        (AgentInventory(name="docs", record=known(stable=target(ONE))), "stable of docs"),
        (AgentInventory(name="docs", record=known(previous=target(ONE))), "previous of docs"),
        (AgentInventory(name="docs", record=known(endpoints=(ENTRY,))), "endpoint mo-1"),
        (
            AgentInventory(
                name="docs",
                record=known(active=Active(uid="u", name="r1", digest="d", candidate=target(ONE))),
            ),
            "Rollout r1 tries it",
        ),
        (
            AgentInventory(
                name="docs", record=known(), rollouts=(tried(candidate={"version": "v1.1.0-rc.1"}),)
            ),
            "Rollout r1 names it",
        ),
        (
            AgentInventory(
                name="docs",
                record=known(),
                rollouts=(tried(candidate={"model": {"repo": ONE, "revision": "a" * 40}}),),
            ),
            "Rollout r1 names it",
        ),
        (
            AgentInventory(
                name="docs",
                record=known(
                    reservations={
                        f"{UIDS[1]}/1": Reservation(usd_micro=1, month="2026-06", name="t1", repo=ONE)
                    }
                ),
            ),
            "TrainingRun t1 is under way",
        ),
        (AgentInventory(name="docs", record=known(), unreadable=(UIDS[1],)), "cannot be read"),
        (
            AgentInventory(name="other", agent_model=an_agent(baseline={**objects.BASELINE, "model": ONE})),
            "baseline of other",
        ),
        (
            AgentInventory(name="other", agent_model=an_agent(status={"previous": SHOWN})),
            "previous of other by its status",
        ),
        (AgentInventory(name="other", opaque=(f'{{"stable": "{ONE}"}}',)), "named by an object of other"),
        (
            AgentInventory(
                name="docs",
                agent_model=AGENT,
                record=known(
                    stable=target(THREE, "v1.3.0", since=LATELY),
                    served={"v1.1.0": target(ONE, "v1.1.0", since=BEFORE)},
                ),
            ),
            "served until 2026-05-31T23:30:00Z",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_in_use_stays_whatever_its_age(inventory: AgentInventory, why: str) -> None:
    found = judged(inventory.record, inventory=inventory)
    assert not found[ONE].removed
    assert why in found[ONE].why
    assert found[ONE].first
    assert not found[f"{ONE}-data"].removed


def test_a_service_that_ended_before_the_window_is_no_reason() -> None:
    record = known(
        stable=target(THREE, "v1.3.0", since="2026-05-31T22:59:00Z"),
        served={"v1.1.0": target(ONE, "v1.1.0", since=BEFORE)},
    )
    assert ONE in removed(
        judged(record, inventory=AgentInventory(name="docs", agent_model=AGENT, record=record))
    )


def test_what_another_agent_of_the_cluster_uses_stays() -> None:
    other = InUse(models={ONE: Use(why="stable of team-b", first="x")})
    assert not judged(uses=in_use(AgentInventory(name="docs", record=known()), now=NOW).together(other))[
        ONE
    ].removed


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (a_model(1, agent="cicd"), "not ours to remove"),
        (a_model(1, agent_model="team-b/docs"), "of AgentModel team-b/docs"),
    ],
)
def test_what_is_not_this_agents_stays(model: ModelRepository, why: str) -> None:
    found = judged(shelf=Shelf(models=(model,)))[ONE]
    assert (found.removed, why in found.why) == (False, True)


def test_a_name_alone_is_no_proof() -> None:
    bare = ModelRepository(repo=ONE)
    assert not judged(shelf=Shelf(models=(bare,)))[ONE].removed
    # What a failed run left goes with the data that name its agent.
    with_data = Shelf(models=(bare, MODELS[2]), datasets=(data(ONE),))
    assert removed(judged(shelf=with_data)) == {ONE, f"{ONE}-data"}


def test_what_the_record_does_not_know_may_be_another_clusters() -> None:
    found = judged(a_record())
    assert removed(found) == set()
    assert found[ONE].first.startswith("modelops registry rebuild")


# An example ---------------------------------------------------------------------------------------------------


def holding(**splits: Any) -> dict[str, Any]:
    """By the number of the version, as `one=("train",)`."""
    repos = {"one": ONE, "two": TWO, "three": THREE}
    return {f"{repo}-data": {"d1": splits.get(name, ())} for name, repo in repos.items()}


def test_an_example_goes_with_what_was_trained_on_it_whatever_its_age() -> None:
    young = Policy(older_than=timedelta(days=900), keep=3)
    found = judged(holding=holding(one=("train",), three=("test",)), policy=young)
    assert removed(found) == {ONE, f"{ONE}-data", f"{THREE}-data"}
    assert set(found) == removed(found)


def test_what_serves_says_what_to_do_before_its_example_can_go() -> None:
    found = judged(known(stable=target(ONE, "v1.1.0")), holding=holding(one=("train",)))
    assert removed(found) == set()
    assert found[ONE].first == "promote another version"
    assert found[f"{ONE}-data"].first.startswith("promote another version")


def test_data_that_do_not_say_are_left_to_a_person() -> None:
    found = judged(holding=holding(one=None))
    assert removed(found) == set()
    assert [found[ONE].unsaid, found[f"{ONE}-data"].unsaid] == [True, True]
    without_data = judged(shelf=Shelf(models=MODELS[:1]), holding={})
    assert without_data[ONE].unsaid


def test_a_checkpoint_of_a_failed_run_goes_too() -> None:
    shelf = Shelf(models=(ModelRepository(repo=ONE),), datasets=(data(ONE),))
    assert ONE in removed(judged(shelf=shelf, holding=holding(one=("train",))))
    assert ONE not in judged(shelf=shelf, holding=holding(one=("test",)))


# What the record says of it -----------------------------------------------------------------------------------


def test_a_removal_is_announced_and_then_confirmed_and_a_crash_in_between_is_seen() -> None:
    record = known()
    announced = begun(record, tuple(judged(record).values()), at="t1")
    assert [e.lineage.get(PRUNING) for e in announced.history] == ["t1", "t1", None]
    assert unfinished(announced) == (
        (ONE, "model"),
        (f"{ONE}-data", "dataset"),
        (TWO, "model"),
        (f"{TWO}-data", "dataset"),
    )
    # The next time it goes on, although the policy is another one by then.
    found = judged(announced, policy=Policy(older_than=timedelta(days=900), keep=3))
    assert removed(found) == {ONE, TWO, f"{ONE}-data", f"{TWO}-data"}
    assert "begun at t1" in found[ONE].why
    ended = gone(gone(announced, ONE, at="t2"), f"{ONE}-data", at="t3")
    assert (ended.history[0].lineage[PRUNED], ended.history[0].lineage[DATA_PRUNED]) == ("t2", "t3")
    assert unfinished(ended) == ((TWO, "model"), (f"{TWO}-data", "dataset"))
    assert begun(ended, tuple(judged(record).values()), at="t9") == ended


def test_a_version_that_is_gone_is_none_of_the_newest() -> None:
    record = gone(begun(known(), (judged()[ONE],), at="t"), ONE, at="t")
    history = tuple(reversed(record.history))
    assert judged(record.with_(history=history))[THREE].why == "one of the newest 1 versions"


def test_a_shortened_record_still_says_what_is_gone() -> None:
    many = tuple(
        e.model_copy(update={"version": f"v2.{n}.0"}) for n in range(60) for e in known().history[:1]
    )
    record = gone(begun(known(history=many), (judged()[ONE],), at="t1"), ONE, at="t2")
    assert without_old_recipes(record).history[0].lineage[PRUNED] == "t2"
