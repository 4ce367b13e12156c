"""The end of a live smoke run at the services: what bills is stopped by their own lists, and nothing else is."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.patience import patient

from modelops.livesmoke.account import read_account
from modelops.livesmoke.billing import Ledger, Stopped, stop_everything
from modelops.livesmoke.observations import Observations
from modelops.livesmoke.run_file import RunIdentity
from modelops.livesmoke.services import Services
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER

RUN, OTHER = RunIdentity.of("0a1b2c3d", USER), RunIdentity.of("deadbeef", USER)


@pytest.fixture
def services(sandbox: SandboxInfo, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", sandbox.hub)
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", sandbox.endpoints)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    with Services.of(read_account()) as opened:
        yield opened


def submit(hf: Any, run: RunIdentity) -> str:
    label = run.label("11111111-2222-4333-8444-555555555555")
    command = ["python", "-c", "import time; time.sleep(600)"]
    job = hf.run_job(
        image="python:3.12",
        command=command,
        flavor="cpu-basic",
        labels={"modelops-attempt": label},
        namespace=USER,
    )
    return str(job.id)


def create_endpoint(hf: Any, run: RunIdentity, name: str) -> str:
    repository = f"{USER}/code-chef-{run.name}-20261130-120000-abcdef"
    hf.create_repo(repository, exist_ok=True)
    hf.create_inference_endpoint(
        name,
        repository=repository,
        framework="pytorch",
        accelerator="gpu",
        instance_size="x1",
        instance_type="nvidia-l4",
        region="us-east-1",
        vendor="aws",
        namespace=USER,
    )
    return name


def stop(services: Services, *, within_seconds: float = patient(20), labels: tuple[str, ...] = ()) -> Stopped:
    return stop_everything(
        services,
        RUN,
        labels,
        Ledger(),
        Observations(),
        print,
        quiet_seconds=0.5,
        within_seconds=within_seconds,
    )


def stage(services: Services, job_id: str) -> str:
    return str(services.hub(f"/api/jobs/{USER}/{job_id}")["status"]["stage"])


def names(services: Services) -> set[str]:
    return {item["name"] for item in services.endpoints_api(f"/endpoint/{USER}")["items"]}


@pytest.fixture
def other(services: Services, hf: Any) -> Iterator[tuple[str, str]]:
    """A job and an endpoint of another run."""
    job_id, name = submit(hf, OTHER), create_endpoint(hf, OTHER, "mo-other")
    yield job_id, name
    services.cancel_job(USER, job_id)
    services.delete_endpoint(USER, name)


def test_jobs_and_endpoints_of_the_run_are_stopped_and_no_others(
    services: Services, hf: Any, other: tuple[str, str]
) -> None:
    job_id, name = submit(hf, RUN), create_endpoint(hf, RUN, "mo-ours")
    stopped = stop(services)
    assert (stopped.cancelled, stopped.deleted, stopped.left) == ((job_id,), (name,), ())
    assert stage(services, job_id) == "CANCELED"
    assert stage(services, other[0]) in ("SCHEDULING", "RUNNING")
    assert names(services) == {other[1]}
    assert stop(services) == Stopped(cancelled=(), deleted=(), left=())


def test_a_list_of_jobs_that_fails_keeps_no_endpoint_running_and_is_not_taken_for_empty(
    services: Services, hf: Any, sandbox: SandboxInfo
) -> None:
    job_id, name = submit(hf, RUN), create_endpoint(hf, RUN, "mo-ours")
    sandbox.fault("hub", "status", status=500, path_regex=f"^/api/jobs/{USER}$", times=None)
    stopped = stop(services, within_seconds=1.5)
    assert stopped.deleted == (name,)
    assert names(services) == set()
    assert any("answered 500" in line for line in stopped.left)
    sandbox.clear()
    assert stop(services).cancelled == (job_id,)


def test_a_base_model_that_another_endpoint_serves_is_not_the_runs(services: Services) -> None:
    assert not RUN.owns(BASE_MODEL)
    assert not RUN.owns(f"{USER}/code-chef-{OTHER.name}-20261130-120000-abcdef")
    assert not RUN.owns(f"another/code-chef-{RUN.name}-20261130-120000-abcdef")
    assert services.endpoints_of(RUN) == []
