"""The price of a TrainingRun: the flavor, its memory, and the shape of the base model."""

from __future__ import annotations

from dataclasses import replace

from tests.unit.training.states import (
    FLAVOR,
    KEY,
    KNOWN_FACTS,
    plan_for,
    ready_message,
    run,
    step_names,
    submitted_job,
    written_record,
    written_status,
)

from modelops.domain.record import Reservation
from modelops.ports import Flavor

AUTO = {"backend": {"huggingFace": {}}}

OFFERED = (
    FLAVOR,
    Flavor(name="l40sx1", usd_micro_per_hour=1_800_000, devices=1),
    Flavor(name="t4-small", usd_micro_per_hour=400_000, devices=1),
)


def test_auto_submits_to_the_cheapest_fitting_flavor_and_says_why() -> None:
    plan = plan_for(run(**AUTO), **{**KNOWN_FACTS, "flavors": OFFERED})
    estimate = written_status(plan).estimate
    assert estimate.flavor == "l40sx1"
    assert [line.split(":")[0] for line in estimate.considered] == ["a10g-large", "t4-small is too small"]
    assert submitted_job(plan).flavor == "l40sx1"


def test_without_a_fitting_flavor_the_run_fails_with_every_reason() -> None:
    plan = plan_for(run(**AUTO), **{**KNOWN_FACTS, "flavors": OFFERED[2:]})
    assert (written_status(plan).phase, written_status(plan).reason) == ("Failed", "NoFlavorFits")
    assert "t4-small is too small" in ready_message(plan)
    assert step_names(plan) == ["status"]


def test_a_smaller_batch_fits_where_no_flavor_did() -> None:
    offered = {**KNOWN_FACTS, "flavors": (FLAVOR,)}
    large, small = ({**AUTO, "config": {"batchSize": size}} for size in (8, 1))
    assert written_status(plan_for(run(**large), **offered)).reason == "NoFlavorFits"
    assert written_status(plan_for(run(**small), **offered)).reason == "Submitting"


def test_a_named_flavor_that_is_too_small_ends_the_run_with_the_arithmetic() -> None:
    small = {"backend": {"huggingFace": {"flavor": "t4-small"}}}
    plan = plan_for(run(**small), **{**KNOWN_FACTS, "flavors": OFFERED})
    assert written_status(plan).reason == "DoesNotFit"
    assert "30.4 weights" in ready_message(plan)  # A T4 has no bf16.


def test_a_runs_own_reservation_does_not_count_against_it() -> None:
    before = written_record(plan_for(**KNOWN_FACTS))
    high = before.reservations[KEY].usd_micro
    rest = {"other/1": Reservation(usd_micro=100_000_000 - high - 1, month="2025-12", name="o")}
    tight = before.with_(reservations={**before.reservations, **rest})
    assert step_names(plan_for(**KNOWN_FACTS, record=tight)) == ["status", "submit"]


def test_the_base_models_own_shape_is_used_if_the_hub_has_it() -> None:
    config = {
        "hidden_size": 3584,
        "num_hidden_layers": 28,
        "intermediate_size": 18944,
        "vocab_size": 10**7,
        "num_attention_heads": 28,
    }
    plan = plan_for(**{**KNOWN_FACTS, "base_config": config})
    assert written_status(plan).reason == "DoesNotFit"
    assert "the model's config.json" in ready_message(plan)


def test_a_recipe_that_learns_little_is_a_finding() -> None:
    findings = written_status(plan_for(**KNOWN_FACTS)).dataset.findings
    assert any("the model may learn little" in finding for finding in findings), findings


def test_the_machine_around_the_device_must_be_large_enough() -> None:
    """A model of 7.6 billion parameters, its merged copy and the packages do not fit on a disk of 40 GB."""
    machine = replace(FLAVOR, machine_gigabytes=46.0, disk_gigabytes=200.0)
    assert written_status(plan_for(**KNOWN_FACTS | {"flavors": (machine,)})).reason == "Submitting"
    full = replace(machine, disk_gigabytes=40.0)
    plan = plan_for(**KNOWN_FACTS | {"flavors": (full,)})
    assert written_status(plan).reason == "DoesNotFit"
    assert "its disk has 40 GB, and the job needs 46 GB" in ready_message(plan)
    small = replace(machine, machine_gigabytes=8.0)
    plan = plan_for(**KNOWN_FACTS | {"flavors": (small,)})
    assert (
        "its machine has 8 GB of memory besides its devices, of which 7.6 can be used, and the job needs 8"
        in ready_message(plan)
    )


def test_evaluations_and_checks_are_part_of_the_time() -> None:
    parts = written_status(plan_for(**KNOWN_FACTS)).estimate.parts
    assert [part.rsplit(" ", 4)[0] for part in parts] == [
        "installation",
        "download",
        "training",
        "evaluations and checks",
        "merge and upload",
        "checkpoints",
    ]
