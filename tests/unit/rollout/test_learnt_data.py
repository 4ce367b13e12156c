"""The data that a candidate has learnt, through the models that it was trained from."""

from typing import Any

from tests.unit.rollout.rollout_driver import BASELINE, a_record, an_entry

from modelops.domain.record import RegistryEntry, Target
from modelops.domain.rollout.learnt_data import learnt_data


def trained(number: int, base: str, **lineage: Any) -> RegistryEntry:
    data = {"repo": f"org/m{number}-data", "revision": f"{number}" * 40}
    return an_entry(
        f"v1.{number}.0",
        hub_repo=f"org/m{number}",
        base_model=base,
        lineage={"dataset": data, "base_revision": "b" * 40, **lineage},
    )


def target(repo: str, version: str) -> Target:
    return BASELINE.model_copy(
        update={"version": version, "model": repo, "revision": "c" * 40, "endpoint": "huggingface"}
    )


def data(number: int) -> dict[str, str]:
    return {"repo": f"org/m{number}-data", "revision": f"{number}" * 40}


def test_a_model_of_a_public_base_has_learnt_its_own_data_only() -> None:
    record = a_record(history=(trained(1, "Qwen/base"),))
    assert learnt_data(record, target("org/m1", "v1.1.0")) == {
        "training_dataset": data(1),
        "earlier_datasets": [],
        "base": {"repo": "Qwen/base", "revision": "b" * 40},
    }


def test_data_of_all_models_of_the_chain_are_named_and_its_end_is_looked_up() -> None:
    record = a_record(history=(trained(1, "org/other-agents"), trained(2, "org/m1"), trained(3, "org/m2")))
    assert learnt_data(record, target("org/m3", "v1.3.0")) == {
        "training_dataset": data(3),
        "earlier_datasets": [data(2), data(1)],
        "base": {"repo": "org/other-agents", "revision": "b" * 40},
    }


def test_a_candidate_without_an_entry_is_looked_up_itself() -> None:
    assert learnt_data(a_record(), target("org/theirs", "v1.1.0")) == {
        "training_dataset": {"repo": "", "revision": ""},
        "earlier_datasets": [],
        "base": {"repo": "org/theirs", "revision": "c" * 40},
    }


def test_a_model_at_openrouter_and_a_chain_in_a_circle_are_not_looked_up() -> None:
    nothing = {"repo": "", "revision": ""}
    assert learnt_data(a_record(), BASELINE)["base"] == nothing
    record = a_record(history=(trained(1, "org/m2"), trained(2, "org/m1", dataset=None)))
    assert learnt_data(record, target("org/m1", "v1.1.0")) == {
        "training_dataset": data(1),
        "earlier_datasets": [nothing],
        "base": nothing,
    }
