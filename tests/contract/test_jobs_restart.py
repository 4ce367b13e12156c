"""State survives a restart of the sandbox, and no job outlives the sandbox, however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from huggingface_hub import HfApi

from modelops.sandbox.client import SandboxInfo, launch, shut_down, start
from modelops.sandbox.tokens import USER

Eventually = Callable[..., Any]


def _api(info: SandboxInfo) -> HfApi:
    return HfApi(endpoint=info.hub, token=info.hf_token)


def _run(api: HfApi, code: str) -> str:
    job = api.run_job(image="python:3.11", command=["python", "-c", code], namespace=USER)
    return str(job.id)


def _running_pid(api: HfApi, job_id: str) -> int:
    return int(next(iter(api.fetch_job_logs(job_id=job_id, namespace=USER, follow=True))))


SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


def test_restart_keeps_addresses_repositories_and_waiting_jobs(
    tmp_path: Path, eventually: Eventually
) -> None:
    with start(tmp_path) as before:
        api = _api(before)
        api.create_repo(f"{USER}/kept")
        commit = api.upload_file(path_or_fileobj=b"1", path_in_repo="a", repo_id=f"{USER}/kept")
        running = _run(api, SLEEPER)
        pid = _running_pid(api, running)
        before.hold_jobs()
        waiting = _run(api, "print('later')")
    assert _is_gone(pid)
    with start(tmp_path) as after:
        assert (after.hub, after.hf_token) == (before.hub, before.hf_token)
        assert api.model_info(f"{USER}/kept").sha == commit.oid
        lost = api.inspect_job(job_id=running, namespace=USER).status
        assert (lost.stage, lost.message) == ("ERROR", "node lost")
        done = lambda: api.inspect_job(job_id=waiting, namespace=USER).status.stage == "COMPLETED"  # noqa: E731
        eventually(done)
        assert list(api.fetch_job_logs(job_id=waiting, namespace=USER)) == ["later"]


def test_killed_sandbox_ends_its_jobs(tmp_path: Path, eventually: Eventually) -> None:
    with start(tmp_path) as info:
        job_id = _run(_api(info), SLEEPER)
        pid = _running_pid(_api(info), job_id)
        os.kill(info.pid, signal.SIGKILL)
        eventually(lambda: _is_gone(pid))
    with start(tmp_path) as info:
        assert _api(info).inspect_job(job_id=job_id, namespace=USER).status.message == "node lost"


def test_second_sandbox_on_a_folder_is_refused(tmp_path: Path) -> None:
    with (
        start(tmp_path) as first,
        pytest.raises(RuntimeError, match="another sandbox is running"),
        start(tmp_path),
    ):
        pass
    assert _is_gone(first.pid)


def test_detached_sandbox_keeps_running_until_it_is_shut_down(tmp_path: Path, eventually: Eventually) -> None:
    info = launch(tmp_path)
    assert info.call("GET", "/faults") == []
    assert shut_down(tmp_path)
    eventually(lambda: _is_gone(info.pid))
    assert not shut_down(tmp_path)


def test_sandbox_ends_with_the_process_that_started_it(tmp_path: Path, eventually: Eventually) -> None:
    code = (
        "import os, sys, pathlib; from modelops.sandbox.client import start\n"
        "with start(pathlib.Path(sys.argv[1])) as info:\n"
        "    print(info.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    eventually(lambda: _is_gone(int(output)))


def _is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
