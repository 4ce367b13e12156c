"""What could stop the first run on the real service: each test's name is the right outcome of one such point."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.training.objects import NOW

from modelops.adapters.huggingface.jobs import EXIT_CODE
from modelops.adapters.huggingface.payload import MAX_CHARACTERS, PAYLOADS, payload_base64
from modelops.domain.job_report import parse_reports
from modelops.domain.training.outcome.settlement import billed_seconds
from modelops.domain.training.pricing.estimate import DoesNotFit, Workload, estimate_cost, require_hardware
from modelops.domain.training.pricing.memory import StepLoad, required_memory
from modelops.domain.training.pricing.model_shape import ALL_LINEAR, typical_shape
from modelops.ports import Flavor, Job
from modelops.trainers import hub_client, preflight
from modelops.trainers.trl_merged import MAX_SHARD_SIZE

SEVEN_BILLION = typical_shape(7_600_000_000)
LOAD = StepLoad(method="sft", batch=1, length=1024, rank=32, targets=(ALL_LINEAR,))
WORK = Workload(shape=SEVEN_BILLION, load=LOAD, tokens=300_000, epochs=3, held_out_tokens=30_000)
SMALL = Flavor(
    name="a10g-small",
    usd_micro_per_hour=1_000_000,
    accelerator="1x A10G 24 GB",
    devices=1,
    machine_gigabytes=15.0,
    disk_gigabytes=110.0,
)


@pytest.mark.parametrize("driver", ["535.183.06", "570.124.06"])
def test_1_a_driver_older_than_cuda_13_ends_the_job_before_the_installation(driver: str) -> None:
    text = f"NVRM version: NVIDIA UNIX x86_64 Kernel Module  {driver}  Thu Apr 10"
    assert "DriverTooOld" in preflight.problem(accelerator="l4x1", driver_file=text)
    assert PAYLOADS["trl"].command[-1].index("preflight.py") < PAYLOADS["trl"].command[-1].index("uv run")


def test_2_no_call_of_the_job_waits_for_ever() -> None:
    with pytest.raises(hub_client.TookTooLong):
        hub_client.bounded(threading.Event().wait, seconds=0.05)


def test_3_a_model_is_saved_through_little_memory_and_a_machine_that_lacks_it_does_not_fit() -> None:
    assert MAX_SHARD_SIZE == "2GB"
    assert estimate_cost(WORK, require_hardware(SMALL)).flavor == "a10g-small"
    with pytest.raises(DoesNotFit, match="its machine has 6 GB of memory besides its devices"):
        estimate_cost(WORK, require_hardware(replace(SMALL, machine_gigabytes=6.0)))


def test_6_a_model_that_does_not_fit_on_the_disk_is_refused_before_it_is_paid_for() -> None:
    with pytest.raises(DoesNotFit, match="its disk has 40 GB"):
        estimate_cost(WORK, require_hardware(replace(SMALL, disk_gigabytes=40.0)))


def test_7_the_job_works_in_a_folder_of_its_own() -> None:
    assert all('cd "$(mktemp -d)"' in payload.command[-1] for payload in PAYLOADS.values())


def test_8_the_payload_is_well_below_what_one_variable_may_have() -> None:
    assert len(payload_base64("trl")) < MAX_CHARACTERS * 0.6


def test_10_a_report_behind_a_progress_bar_and_beside_half_a_line_is_read() -> None:
    report = '@@modelops:n@@ {"v":1,"kind":"log","t":1.0,"step":7,"max_steps":9}'
    found = parse_reports([f"100%|####| 3/3\r{report}", report[:30]], "n")
    assert found is not None
    assert found.step == 7


def test_11_evaluations_and_the_stop_check_are_in_the_time() -> None:
    assert any(
        part.startswith("evaluations and checks")
        for part in estimate_cost(WORK, require_hardware(SMALL)).parts
    )


def test_14_packages_run_no_code_while_the_token_is_in_the_environment() -> None:
    assert "UV_NO_BUILD=1" in PAYLOADS["trl"].command[-1]


def test_15_an_images_own_path_is_kept() -> None:
    assert PAYLOADS["trl"].command[:2] == ("bash", "-c")


def test_16_a_job_is_booked_from_its_start_to_its_end() -> None:
    ended = Job(
        id="j",
        label="l",
        stage="COMPLETED",
        running_seconds=60,
        started_at=NOW,
        finished_at=NOW + timedelta(minutes=3),
    )
    assert billed_seconds(ended) == 180


def test_17_the_head_of_a_new_token_is_in_the_memory() -> None:
    more = required_memory(SEVEN_BILLION, replace(LOAD, trains_tokens=True)).total
    assert 1e9 < more - required_memory(SEVEN_BILLION, LOAD).total < 4e9


@pytest.mark.parametrize(
    ("message", "code"),
    [("Job failed with exit code: 44", "44"), ("Error, exit code 137", "137"), ("node lost", None)],
)
def test_the_exit_code_is_taken_from_the_services_message(message: str, code: str | None) -> None:
    found = EXIT_CODE.search(message)
    assert (found[1] if found else None) == code


def test_the_job_does_not_train_on_a_processor_that_a_gpu_was_paid_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ACCELERATOR", "a10g-large")
    monkeypatch.delenv("MODELOPS_SANDBOX", raising=False)
    with pytest.raises(preflight.NoDevice):
        preflight.require_device(is_available=False)
