"""Models of the Hub are added to a record; nothing in it is lost or changed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.rollout.rollout_driver import BASELINE, a_record, an_entry

from modelops.domain.agentmodel.published import Merged, with_published
from modelops.domain.hub_repositories import DatasetRepository, ModelRepository, RepositoryCatalog
from modelops.domain.record import Completed, Record, Reservation, Target
from modelops.domain.versions import Inputs, next_version

OWNER = "team/docs"
DATA = {
    "agent": "docs",
    "digest": "sha256:data",
    "prompt": "sha256:prompt",
    "dataset_id": "ds-1",
    "as_of": "then",
}
UIDS = {1: "aaaaaa11-run", 2: "bbbbbb22-run", 3: "cccccc33-run"}


def a_model(number: int = 1, **lineage: Any) -> ModelRepository:
    uid = UIDS[number]
    repo = f"org/code-chef-docs-2025120{number}-220000-{uid[:6]}"
    given: dict[str, Any] = {
        "run": uid,
        "agent": "docs",
        "version": f"v1.{number}.0-rc.1",
        "base_model": "org/base",
        "base_revision": "b",
        "method": "sft",
        "config": {"num_epochs": 3, "learning_rate": 2e-4, "target_modules": ["all-linear"]},
        "dataset": {"repo": f"{repo}-data", "revision": "d1", "digest": "sha256:data"},
        "job": f"job-{number}",
    }
    return ModelRepository(
        repo=repo,
        revision=f"rev-{number}",
        published_at=f"2025-12-0{number}T22:30:00Z",
        lineage={**given, **lineage},
    )


def catalog(*models: ModelRepository) -> RepositoryCatalog:
    data = tuple(DatasetRepository(repo=f"{m.repo}-data", revisions={"d1": DATA}) for m in models)
    return RepositoryCatalog(models=models, datasets=data)


def merged(record: Record, *models: ModelRepository) -> Merged:
    return with_published(record, catalog(*models), agent_model=OWNER)


def test_a_version_that_is_only_on_the_hub_gets_its_history_and_its_number() -> None:
    found = merged(a_record(), a_model(2), a_model(1))
    first = found.record.history[0]
    assert [e.version for e in found.record.history] == ["v1.1.0-rc.1", "v1.2.0-rc.1"]
    assert (first.hub_repo, first.trained_at) == (a_model(1).repo, "2025-12-01T22:30:00Z")
    assert (first.training_dataset, first.deployment_status) == ("ls://ds-1", "trained")
    assert first.lineage["dataset"] == {
        "repo": f"{a_model(1).repo}-data",
        "revision": "d1",
        "digest": "sha256:data",
        "as_of": "then",
    }
    assert (first.lineage["revision"], first.lineage["prompt"]) == ("rev-1", "sha256:prompt")
    assert first.lineage["recipe"]["num_epochs"] == "3"
    assert first.lineage["recipe"]["target_modules"] == ["all-linear"]
    inputs = Inputs(base_model="m", prompt_digest="", dataset_digest="", recipe_digest="")
    following = next_version(found.record.allocated, inputs=inputs, latest=found.record.latest_inputs())
    assert following == "v1.3.0-rc.1"


def test_a_run_that_its_model_names_is_completed() -> None:
    found = merged(a_record(), a_model(1, identity="sha256:id", name="docs-1", agent_model=OWNER))
    done = found.record.completed["sha256:id"]
    assert (done.kind, done.name, done.outcome, done.version) == (
        "TrainingRun",
        "docs-1",
        "Trained",
        "v1.1.0-rc.1",
    )
    assert merged(a_record(), a_model(1)).record.completed == {}


def test_serving_models_have_their_release_version_and_status() -> None:
    models = [a_model(n) for n in (1, 2, 3)]
    targets = [
        Target(
            version=f"v1.{n}.0", model=m.repo, endpoint="huggingface", endpoint_url="", api_key_env="HF_TOKEN"
        )
        for n, m in enumerate(models, start=1)
    ]
    record = a_record(stable=targets[1], previous=targets[0], served={t.version: t for t in targets[:2]})
    found = merged(record, *models).record
    assert [(e.version, e.deployment_status) for e in found.history] == [
        ("v1.1.0", "superseded"),
        ("v1.2.0", "deployed"),
        ("v1.3.0-rc.1", "trained"),
    ]


def test_an_entry_rebuilt_from_a_status_is_completed() -> None:
    model = a_model(1)
    short = an_entry(
        hub_repo=model.repo,
        training_dataset="",
        lineage={"run": UIDS[1], "revision": "kept", "rebuilt": True},
    )
    found = merged(a_record(history=(short,)), model)
    (entry,) = found.record.history
    assert (entry.lineage["revision"], entry.lineage["job"]) == ("kept", "job-1")
    assert entry.training_dataset == "ls://ds-1"
    assert "lineage of v1.1.0-rc.1" in found.added[0]


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (a_model(1, agent="cicd"), "names agent cicd"),
        (a_model(1, agent_model="other/docs"), "names other/docs"),
        (a_model(1, version="latest"), "has version 'latest'"),
        (replace(a_model(1), lineage={}), "no modelops.json"),
    ],
)
def test_a_model_of_another_agent_is_left_out_and_named(model: ModelRepository, words: str) -> None:
    found = merged(a_record(), model)
    assert found.record == a_record()
    assert words in found.left[0]


def test_a_number_that_another_model_has_is_not_given_to_this_one() -> None:
    record = a_record(history=(an_entry("v1.1.0"),), allocated={"v1.0.0": {}, "v1.1.0": {}})
    found = merged(record, a_model(1))
    assert found.record == record
    assert "its version v1.1.0-rc.1 belongs to org/candidate-of-r1" in found.left[0]


def test_the_model_of_an_unfinished_run_only_uses_up_its_number() -> None:
    reservation = Reservation(usd_micro=1, month="2025-12", name="docs-1")
    record = a_record(reservations={f"{UIDS[1]}/1": reservation})
    found = merged(record, a_model(1, identity="sha256:id", name="docs-1"))
    assert (found.record.history, found.record.completed) == ((), {})
    assert "v1.1.0-rc.1" in found.record.allocated
    assert "has not ended" in found.left[0]


KNOWN = st.fixed_dictionaries(
    {
        "history": st.sets(st.integers(1, 3)).map(
            lambda numbers: tuple(
                an_entry(f"v1.{n}.0", hub_repo=a_model(n).repo, model="m", trained_at=f"2025-12-0{n}")
                for n in numbers
            )
        ),
        "allocated": st.sampled_from([{"v1.0.0": {}}, {"v1.0.0": {}, "v1.2.0": {"base_model": "x"}}]),
        "completed": st.sampled_from(
            [{}, {"sha256:id": Completed(kind="TrainingRun", name="n", uid="u", outcome="JobFailed")}]
        ),
    }
)


@given(KNOWN, st.lists(st.integers(1, 3), unique=True))
def test_nothing_is_lost_or_changed_and_a_second_time_adds_nothing(known: Any, numbers: list[int]) -> None:
    record = a_record(**known)
    models = [a_model(n, identity="sha256:id", name="docs-1") for n in numbers]
    first = merged(record, *models)
    assert all(entry in first.record.history for entry in record.history)
    assert record.allocated.items() <= first.record.allocated.items()
    assert record.completed.items() <= first.record.completed.items()
    unchanged = {"history", "allocated", "completed"}
    assert first.record.model_dump(exclude=unchanged) == record.model_dump(exclude=unchanged)
    again = merged(first.record, *models)
    assert (again.record, again.added) == (first.record, ())


def test_the_baseline_stays_the_baseline() -> None:
    assert merged(a_record(), a_model(1)).record.stable == BASELINE
