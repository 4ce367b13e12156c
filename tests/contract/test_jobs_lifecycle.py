"""The real `huggingface_hub` runs, watches and cancels jobs on the sandbox, as real processes."""

import sys
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, JobNotFoundError

from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.tokens import ORGANIZATIONS, USER

Eventually = Callable[..., Any]


def _run(hf: HfApi, code: str, **options: Any) -> str:
    options = {"namespace": USER, "flavor": "cpu-basic", **options}
    return str(hf.run_job(image="python:3.11", command=["python", "-c", code], **options).id)


def _stage(hf: HfApi, job_id: str) -> str:
    return str(hf.inspect_job(job_id=job_id, namespace=USER).status.stage)


def _is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ended(hf: HfApi, eventually: Eventually, job_id: str) -> Any:
    def look() -> Any:
        job = hf.inspect_job(job_id=job_id, namespace=USER)
        return job if job.status.stage in ("COMPLETED", "ERROR", "CANCELED") else None

    return eventually(look)


def test_job_runs_with_its_environment_and_secrets(hf: HfApi, eventually: Eventually) -> None:
    code = "import os; print(os.environ['GREETING'], len(os.environ['HF_TOKEN']), os.environ['HF_ENDPOINT'])"
    job_id = _run(hf, code, env={"GREETING": "hello"}, secrets={"HF_TOKEN": "hf_secret"})
    job = _ended(hf, eventually, job_id)
    assert job.status.stage == "COMPLETED"
    assert list(hf.fetch_job_logs(job_id=job_id, namespace=USER)) == [f"hello 9 {hf.endpoint}"]
    assert list(job.secrets) == ["HF_TOKEN"]
    assert job.environment == {"GREETING": "hello"}
    assert job.started_at is not None
    assert job.finished_at > job.started_at


def test_login_shell_finds_the_interpreter(hf: HfApi, eventually: Eventually) -> None:
    command = ["bash", "-lc", 'echo "$CODE" | base64 -d > train.py && exec python train.py']
    env = {"CODE": "aW1wb3J0IHN5czsgcHJpbnQoc3lzLmV4ZWN1dGFibGUp"}
    job = hf.run_job(image="python:3.11", command=command, env=env, namespace=USER)
    assert _ended(hf, eventually, job.id).status.stage == "COMPLETED"
    assert list(hf.fetch_job_logs(job_id=job.id, namespace=USER)) == [sys.executable]


def test_exit_code_other_than_zero_is_an_error(hf: HfApi, eventually: Eventually) -> None:
    job = _ended(hf, eventually, _run(hf, "raise SystemExit(42)"))
    assert (job.status.stage, job.status.message) == ("ERROR", "Job failed with exit code: 42")


def test_job_beyond_its_timeout_is_killed(hf: HfApi, eventually: Eventually) -> None:
    job = _ended(hf, eventually, _run(hf, "import time; time.sleep(60)", timeout=1))
    assert (job.status.stage, job.status.message) == ("ERROR", "Job timed out")


def test_failed_job_is_retried_up_to_its_number_of_attempts(hf: HfApi, eventually: Eventually) -> None:
    job_id = _run(hf, "print('try'); raise SystemExit(1)", attempts=2)
    _ended(hf, eventually, job_id)
    assert list(hf.fetch_job_logs(job_id=job_id, namespace=USER)) == ["try", "try"]


def test_cancelled_job_leaves_no_process(hf: HfApi, sandbox: SandboxInfo, eventually: Eventually) -> None:
    code = (
        "import subprocess, os; p = subprocess.Popen(['sleep', '60']); print(os.getpid(), p.pid, flush=True);"
        "p.wait()"
    )
    job_id = _run(hf, code)
    line = next(iter(hf.fetch_job_logs(job_id=job_id, namespace=USER, follow=True)))
    hf.cancel_job(job_id=job_id, namespace=USER)
    assert _stage(hf, job_id) == "CANCELED"
    eventually(lambda: not any(_is_alive(int(pid)) for pid in line.split()))


def test_held_job_waits_and_is_cancelled_without_a_bill(hf: HfApi, sandbox: SandboxInfo) -> None:
    sandbox.hold_jobs()
    job_id = _run(hf, "print('never')")
    assert _stage(hf, job_id) == "SCHEDULING"
    hf.cancel_job(job_id=job_id, namespace=USER)
    (bill,) = [item for item in sandbox.job_billing() if item["id"] == job_id]
    assert (bill["stage"], bill["billedSeconds"], bill["costMicroUSD"]) == ("CANCELED", 0, 0)


def test_started_minutes_are_billed(hf: HfApi, sandbox: SandboxInfo, eventually: Eventually) -> None:
    job_id = _run(hf, "pass", flavor="a10g-large")
    _ended(hf, eventually, job_id)
    (bill,) = [item for item in sandbox.job_billing() if item["id"] == job_id]
    assert bill["costMicroUSD"] == round(1.5e6 / 60)


def test_jobs_are_listed_by_label_across_pages(
    hf: HfApi, sandbox: SandboxInfo, unique: Callable[[str], str]
) -> None:
    sandbox.hold_jobs()
    label = unique("attempt")
    made = [_run(hf, "pass", labels={"modelops-attempt": label}) for _ in range(5)]
    _run(hf, "pass", labels={"modelops-attempt": "another"})
    sandbox.call("POST", "/jobs/page-size", {"size": 2})
    try:
        sandbox.forget_requests()
        found = list(hf.list_jobs(labels={"modelops-attempt": label}, namespace=USER, timeout=10))
        assert [job.id for job in found] == made[::-1]
        assert len(sandbox.requests(method="GET", path_regex=f"^/api/jobs/{USER}")) == 3
        assert not list(hf.list_jobs(labels={"modelops-attempt": label}, status="RUNNING", namespace=USER))
        assert len(list(hf.list_jobs(status=["SCHEDULING", "RUNNING"], namespace=USER))) >= 6
    finally:
        sandbox.call("POST", "/jobs/page-size", {"size": 100})
        for job_id in made:
            hf.cancel_job(job_id=job_id, namespace=USER)


def test_labels_are_replaced(hf: HfApi, sandbox: SandboxInfo) -> None:
    sandbox.hold_jobs()
    job_id = _run(hf, "pass", labels={"a": "1"})
    assert hf.update_job_labels(job_id=job_id, labels={"b": "2"}, namespace=USER).labels == {"b": "2"}
    hf.cancel_job(job_id=job_id, namespace=USER)


def test_tail_gives_the_last_lines(hf: HfApi, eventually: Eventually) -> None:
    job_id = _run(hf, "for n in range(50): print(n)")
    _ended(hf, eventually, job_id)
    assert list(hf.fetch_job_logs(job_id=job_id, namespace=USER, tail=3)) == ["47", "48", "49"]


def test_following_a_log_ends_with_the_job(hf: HfApi) -> None:
    code = "import time\nfor n in range(3): print(n, flush=True); time.sleep(0.2)"
    job_id = _run(hf, code)
    assert list(hf.fetch_job_logs(job_id=job_id, namespace=USER, follow=True)) == ["0", "1", "2"]


def test_killed_job_is_an_error_with_its_reason(
    hf: HfApi, sandbox: SandboxInfo, eventually: Eventually
) -> None:
    job_id = _run(hf, "import time; time.sleep(60)")
    eventually(lambda: _stage(hf, job_id) == "RUNNING")
    eventually(lambda: list(psutil.Process(sandbox.pid).children()))
    sandbox.call("POST", f"/jobs/{job_id}/kill", {"message": "OOMKilled"})
    assert _ended(hf, eventually, job_id).status.message == "OOMKilled"


def test_unknown_job_is_not_found(hf: HfApi) -> None:
    with pytest.raises(JobNotFoundError):
        hf.inspect_job(job_id="0" * 24, namespace=USER)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"flavor": "a10g"}, "a10g-large"),
        ({"labels": {"model": "Qwen3-0.6B"}}, "model"),
        ({"labels": {"k" * 101: "v"}}, "100 characters"),
        ({"expose": [8000]}, "expose"),
    ],
)
def test_bad_job_is_refused_with_the_reason(hf: HfApi, options: dict[str, Any], named: str) -> None:
    with pytest.raises(BadRequestError, match=named):
        _run(hf, "pass", **options)


def test_job_in_another_namespace_is_forbidden(hf: HfApi) -> None:
    with pytest.raises(HfHubHTTPError) as refused:
        _run(hf, "pass", namespace="somebody-else")
    assert refused.value.response.status_code == 403


def test_organization_pays_for_its_own_jobs(hf: HfApi, sandbox: SandboxInfo) -> None:
    sandbox.hold_jobs()
    job_id = _run(hf, "pass", namespace=ORGANIZATIONS[0])
    assert job_id not in [job.id for job in hf.list_jobs(namespace=USER)]
    assert job_id in [job.id for job in hf.list_jobs(namespace=ORGANIZATIONS[0])]
    hf.cancel_job(job_id=job_id, namespace=ORGANIZATIONS[0])


def test_job_runs_although_the_response_to_its_submission_was_lost(
    hf: HfApi, sandbox: SandboxInfo, unique: Callable[[str], str]
) -> None:
    sandbox.hold_jobs()
    label = unique("attempt")
    sandbox.fault("hub", "lost_answer", method="POST", path_regex=f"^/api/jobs/{USER}$")
    with pytest.raises(Exception, match=r"disconnected|reset|closed"):
        _run(hf, "pass", labels={"modelops-attempt": label})
    (job,) = hf.list_jobs(labels={"modelops-attempt": label}, namespace=USER, timeout=10)
    hf.cancel_job(job_id=job.id, namespace=USER)


def test_missing_payment_is_reported(hf: HfApi, sandbox: SandboxInfo) -> None:
    body = '{"error":"Pre-paid credit balance is insufficient"}'
    sandbox.fault("hub", "status", method="POST", path_regex="^/api/jobs/", status=402, body=body)
    with pytest.raises(HfHubHTTPError, match="Pre-paid") as refused:
        _run(hf, "pass")
    assert refused.value.response.status_code == 402


def test_rate_limit_names_the_seconds_to_wait(hf: HfApi, sandbox: SandboxInfo) -> None:
    from huggingface_hub.utils import parse_ratelimit_headers

    sandbox.fault("hub", "status", status=429, retry_after=7)
    with pytest.raises(HfHubHTTPError) as refused:
        hf.inspect_job(job_id="0" * 24, namespace=USER)
    limit = parse_ratelimit_headers(refused.value.response.headers)
    assert limit is not None
    assert (limit.remaining, limit.reset_in_seconds) == (0, 7)


def test_hardware_has_the_documented_prices(hf: HfApi) -> None:
    hardware = {item.name: item for item in hf.list_jobs_hardware()}
    assert round(hardware["a10g-large"].unit_cost_usd * 60, 2) == 1.5
    assert hardware["h200"].accelerator is not None
    assert hardware["cpu-basic"].accelerator is None
    assert hardware["cpu-basic"].unit_label == "minute"
