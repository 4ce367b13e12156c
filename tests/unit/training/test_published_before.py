"""Runs that are restored before their record: the Hub's models go into the record, and nothing is trained again."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.training.objects import ORG, empty_record
from tests.unit.training.states import (
    INSTALLATION,
    plan_for,
    run,
    state,
    step_names,
    written_record,
    written_status,
)

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Announce
from modelops.domain.record import Record, Settlement
from modelops.domain.training.naming import model_repository
from modelops.ports import PublishedModel

DOWN = Outage(service="Hugging Face", message="answered 503")
REVOKED = Outage(service="Hugging Face", message="answered 401", refused=True, token_refused=True)
REFUSED = Outage(service="Hugging Face", message="answered 400", refused=True)


def published(**lineage: Any) -> PublishedModel:
    """The model of a run with the same name and spec, which had another uid."""
    before = state()
    repo = model_repository(org=ORG, agent="docs", created=before.now, uid="5ff00000-0000")
    manifest = {
        "run": "5ff00000-0000",
        "name": "docs-1",
        "identity": before.identity,
        "agent": "docs",
        "agent_model": "team/docs",
        "installation": INSTALLATION,
        "version": "v1.1.0-rc.1",
        "method": "sft",
        "config": {"num_epochs": 3},
        "base_model": "org/base",
        "dataset": {"repo": f"{repo}-data", "revision": "d1", "digest": "sha256:data"},
    }
    return PublishedModel(
        repo=repo, revision="c" * 40, published_at="2025-12-09T21:00:00Z", lineage={**manifest, **lineage}
    )


def test_a_run_whose_model_is_on_the_hub_trains_nothing() -> None:
    plan = plan_for(published=(published(),))
    assert step_names(plan) == ["record"]
    record = written_record(plan)
    assert [(entry.version, entry.hub_repo) for entry in record.history] == [
        ("v1.1.0-rc.1", published().repo)
    ]
    ended = written_status(plan_for(record=record, published=UNSEEN))
    assert (ended.reason, ended.phase.value, ended.model.version) == (
        "AlreadyCompleted",
        "Succeeded",
        "v1.1.0-rc.1",
    )
    said = next(step for step in plan.steps if isinstance(step, Announce))
    assert said.warning
    assert "restore it" in said.message


def test_another_run_gets_a_number_that_is_not_taken() -> None:
    record = written_record(plan_for(published=(published(identity="sha256:another"),)))
    assert "v1.1.0-rc.1" in record.allocated
    assert state().identity not in record.completed
    assert plan_for(record=record, published=UNSEEN).needs == "dataset"


@pytest.mark.parametrize(
    "lineage",
    [{"installation": "ffffffff"}, {"installation": None}, {"agent_model": "other/docs"}, {"agent": "cicd"}],
)
def test_what_another_installation_or_agent_published_is_left_alone(lineage: dict[str, Any]) -> None:
    assert plan_for(published=(published(**lineage),)).needs == "dataset"


@pytest.mark.parametrize(
    ("answer", "reason"), [(DOWN, "HubUnavailable"), (REVOKED, "TokenRefused")], ids=["down", "revoked"]
)
def test_an_outage_is_waited_for_before_anything_is_spent(answer: Outage, reason: str) -> None:
    plan = plan_for(published=answer)
    assert (written_status(plan).reason, step_names(plan)[0]) == (reason, "status")


def test_a_hub_that_lists_nothing_for_good_ends_no_run() -> None:
    assert plan_for(published=REFUSED).needs == "dataset"


def records_with_an_end() -> list[Record]:
    settled = Settlement(usd_micro=1, month="2025-12")
    return [
        written_record(plan_for(published=(published(identity="sha256:another"),))),
        empty_record().with_(settlements={"another/1": settled}),
    ]


@pytest.mark.parametrize("record", records_with_an_end(), ids=["a model", "a cost"])
def test_a_record_that_knows_an_ended_run_asks_nobody(record: Record) -> None:
    assert plan_for(record=record, published=UNSEEN).needs == "dataset"
    assert plan_for(published=UNSEEN).needs == "published"
    assert plan_for(run(), published=()).needs == "dataset"
