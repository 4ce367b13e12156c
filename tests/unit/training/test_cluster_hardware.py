"""A TrainingRun on hardware of this cluster: its name and price; no service is asked for them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.training.objects import NAMESPACE, RUN_UID
from tests.unit.training.states import (
    KNOWN_FACTS,
    agent_model,
    claimed_by,
    job,
    plan_for,
    ready_message,
    run,
    step_names,
    submitted_status,
    written_status,
)

from modelops.api.v1alpha1.cluster_hardware import DeviceKind
from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.facts import UNSEEN
from modelops.domain.job_report import JobReport
from modelops.domain.plan import WriteRecord
from modelops.domain.training.account import account_of, engine_of, namespace_of
from modelops.domain.training.naming import cluster_job_name
from modelops.domain.training.pricing.cluster_hardware import cluster_flavor, cluster_hardware
from modelops.domain.training.pricing.hardware import DEVICES, find_hardware
from modelops.domain.training.state import TrainingSettings
from modelops.engine.trainingrun import jobs_to_release

PRICES = {"cost_estimates": {"l40s_per_hour": 1.2, "h100_per_hour": 4.5, "cpu_basic_per_hour": 0.05}}
SETTINGS = TrainingSettings(installation="0a1b2c3d", hub_org="appsmithery", defaults=PRICES)
L40S: dict[str, Any] = {"backend": {"kubernetes": {"device": "l40s", "gpus": 2}}}
H100: dict[str, Any] = {"backend": {"trainJob": {"device": "h100", "gpus": 8, "numNodes": 2}}}
FACTS_WITHOUT_FLAVORS = {**KNOWN_FACTS, "flavors": UNSEEN}


def flavor_of(given: TrainingRun) -> Any:
    own = cluster_hardware(given)
    assert own is not None
    return cluster_flavor(own, PRICES)


def test_the_estimate_knows_every_device_of_the_api() -> None:
    assert [kind.value for kind in DeviceKind] == list(DEVICES)
    assert {kind.value for kind in DeviceKind if kind.is_processor} == {
        kind for kind, device in DEVICES.items() if not device.gigabytes
    }


@pytest.mark.parametrize(
    ("backend", "name", "usd_micro", "devices"),
    [
        (L40S, "l40sx2", 2_400_000, 2),
        (H100, "h100x8-2nodes", 72_000_000, 16),
        ({"backend": {"kubernetes": {"device": "cpu-basic", "gpus": 0}}}, "cpu-basic", 50_000, 1),
        ({"backend": {"kubernetes": {"device": "rtx-pro-6000"}}}, "rtx-pro-6000x1", 0, 1),
    ],
)
def test_the_price_is_that_of_one_gpu_times_their_number(
    backend: dict[str, Any], name: str, usd_micro: int, devices: int
) -> None:
    flavor = flavor_of(run(**backend))
    assert (flavor.name, flavor.usd_micro_per_hour, flavor.devices) == (name, usd_micro, devices)
    hardware = find_hardware(flavor)
    assert hardware is not None
    assert (hardware.devices, name.startswith(hardware.kind)) == (devices, True)


def test_a_price_is_exact_in_spite_of_binary_fractions() -> None:
    own = cluster_hardware(run(**L40S))
    assert own is not None
    assert cluster_flavor(own, {"cost_estimates": {"l40s_per_hour": 0.1}}).usd_micro_per_hour == 200_000


@pytest.mark.parametrize(
    ("memory", "gigabytes"),
    [("64Gi", 68.7), ("512M", 0.512), ("1.5G", 1.5), ("800000k", 0.8), ("1Ti", 1099.5)],
)
def test_the_memory_of_a_pod_is_that_of_its_machine(memory: str, gigabytes: float) -> None:
    pod = {"backend": {"trainJob": {"device": "h100", "gpus": 8, "numNodes": 2, "memory": memory}}}
    flavor = flavor_of(run(**pod))
    assert (flavor.machines, flavor.machine_gigabytes) == (2, pytest.approx(gigabytes, rel=1e-3))


def test_a_pod_with_too_little_memory_is_refused_before_it_starts() -> None:
    """One process for each of the two GPUs of a Pod needs 4 GB, and saving the model 4 GB more."""
    small = {"backend": {"kubernetes": {"device": "l40s", "gpus": 2, "memory": "8Gi"}}}
    plan = plan_for(run(maxUSD="100", **small), settings=SETTINGS, **FACTS_WITHOUT_FLAVORS)
    assert "submit" not in step_names(plan)
    message = ready_message(plan)
    assert "its machine has 8.59 GB of memory besides its devices, of which 8.16 can be used" in message
    assert "raise spec.backend.kubernetes.memory, or leave it empty; then create a new run" in message
    enough = {"backend": {"kubernetes": {"device": "l40s", "gpus": 2, "memory": "16Gi"}}}
    rich = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "100"})
    plan = plan_for(run(maxUSD="100", **enough), agent_model=rich, settings=SETTINGS, **FACTS_WITHOUT_FLAVORS)
    assert "submit" in step_names(plan)


@pytest.mark.parametrize(
    ("backend", "account"), [(L40S, f"kubernetes:{NAMESPACE}"), (H100, f"trainjob:{NAMESPACE}")]
)
def test_an_account_names_engine_and_namespace(backend: dict[str, Any], account: str) -> None:
    found = account_of(run(**backend), hub_org="appsmithery")
    assert found == account
    assert (engine_of(found), namespace_of(found)) == (account.partition(":")[0], NAMESPACE)


def test_an_account_of_hugging_face_is_its_name() -> None:
    assert account_of(run(), hub_org="appsmithery") == "appsmithery"
    assert (engine_of("appsmithery"), namespace_of("appsmithery")) == ("", "appsmithery")


@pytest.mark.parametrize("backend", [L40S, H100])
def test_a_run_in_the_cluster_is_submitted_at_the_installations_price(backend: dict[str, Any]) -> None:
    rich = agent_model(budget={"monthlyUSD": "100", "approvalAboveUSD": "100"})
    plan = plan_for(
        run(maxUSD="100", **backend), agent_model=rich, settings=SETTINGS, **FACTS_WITHOUT_FLAVORS
    )
    assert "submit" in step_names(plan)
    record = next(step.record for step in plan.steps if isinstance(step, WriteRecord))
    reservation = record.reservations[f"{RUN_UID}/1"]
    assert reservation.account.endswith(f":{NAMESPACE}")
    offer = written_status(plan).estimate
    assert offer is not None
    flavor = flavor_of(run(**backend))
    assert offer.flavor == flavor.name
    assert reservation.usd_micro == -(-offer.high_minutes * flavor.usd_micro_per_hour // 60)
    assert offer.source.startswith(f"price: cost_estimates.{flavor.name.partition('x')[0]}_per_hour;")


def test_a_run_in_the_cluster_waits_for_a_price_and_names_the_key() -> None:
    plan = plan_for(
        run(backend={"kubernetes": {"device": "rtx-pro-6000"}}), settings=SETTINGS, **FACTS_WITHOUT_FLAVORS
    )
    assert written_status(plan).reason == "PriceUnknown"
    assert "add cost_estimates.rtx_pro_6000_per_hour, in US dollars for one GPU" in ready_message(plan)
    assert step_names(plan) == ["status"]


def test_a_run_in_the_cluster_needs_no_hugging_face_jobs() -> None:
    off = TrainingSettings(installation="0a1b2c3d", hub_org="o", defaults=PRICES, jobs_enabled=False)
    assert "submit" in step_names(plan_for(run(**L40S), settings=off, **FACTS_WITHOUT_FLAVORS))
    assert written_status(plan_for(run(), settings=off, **KNOWN_FACTS)).reason == "JobsDisabled"


def test_a_too_small_gpu_is_refused_before_a_job_is_created() -> None:
    small = run(backend={"kubernetes": {"device": "t4"}}, maxUSD="100")
    priced = TrainingSettings(
        installation="0a1b2c3d", hub_org="o", defaults={"cost_estimates": {"t4_per_hour": 0.4}}
    )
    plan = plan_for(small, settings=priced, **FACTS_WITHOUT_FLAVORS)
    assert (written_status(plan).reason, step_names(plan)) == ("DoesNotFit", ["status"])


def test_the_status_says_what_a_cluster_job_waits_for() -> None:
    waiting = job("SCHEDULING", message="waits in Kueue's queue gpus: quota")
    plan = plan_for(run(submitted_status(id="job1"), **L40S), settings=SETTINGS, job=waiting)
    assert ready_message(plan) == "job job1 waits for hardware: waits in Kueue's queue gpus: quota"


def test_a_failure_names_the_field_to_change() -> None:
    report = JobReport(kind="error", t=1.0, began_at=0.0, error="CUDA out of memory", failure="out_of_memory")
    facts = {"job": job("ERROR"), "labelled": (), "attempt_claim": claimed_by("job1"), "report": report}
    plan = plan_for(run(submitted_status(id="job1"), **L40S), settings=SETTINGS, **facts)
    record = next(step.record for step in plan.steps if isinstance(step, WriteRecord))
    (done,) = record.completed.values()
    assert "choose a larger spec.backend.kubernetes.device" in done.message


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ValidationError, match="l41s"):
        run(backend={"kubernetes": {"device": "l41s"}})


@pytest.mark.parametrize(("finalizers", "released"), [([FINALIZER], 1), ([], 0)])
def test_a_job_that_succeeded_is_released_while_its_run_has_its_finalizer(
    finalizers: list[str], released: int
) -> None:
    """A service mesh may keep it running. Later runs are not asked about again at each start of the operator."""
    status = {**submitted_status(), "phase": "Succeeded"}
    assert len(jobs_to_release(run(status, meta={"finalizers": finalizers}))) == released


def test_a_job_whose_name_the_status_never_had_is_released_too() -> None:
    """The answer was lost and the run suspended or cancelled: the label is enough to find the job."""
    label = f"0a1b2c3d-{RUN_UID}-"
    past = {"attempt": 1, "label": f"{label}1", "reason": "Suspended"}
    last = {**submitted_status()["job"], "attempt": 2, "label": f"{label}2"}
    ended = run({**submitted_status(), "phase": "Cancelled", "attempts": [past], "job": last}, cancel=True)
    assert jobs_to_release(ended) == tuple(cluster_job_name(f"{label}{n}") for n in (1, 2))
