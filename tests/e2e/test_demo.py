"""`modelops demo` as a new user runs it: three acts on real components, and nothing left running."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tests.patience import deadline_after, patient

from modelops.localcluster.binaries import find_binaries

DEMO_SECONDS = 600.0
PROMISED_SECONDS = 180.0
"""The promised time of a demo whose servers are already built; it takes about 80 s on two idle cores."""
SET_UP_SECONDS = 180.0
GONE_SECONDS = 120.0
SET_UP = "agents: 3 processes"


def demo(*arguments: str | Path, folder: Path) -> list[str]:
    return [sys.executable, "-m", "modelops.cli", "demo", *map(str, arguments), "--dir", str(folder)]


def environment(**more: str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in ("KEEP", "KUBECONFIG")}
    return {**inherited, **more}


def left_running(folder: Path) -> list[str]:
    """Return the processes of the demo in `folder`: it is their working directory, or in their arguments."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "cwd"]):
        command = " ".join(process.info["cmdline"] or ())
        if process.pid != os.getpid() and str(folder) in f"{command} {process.info['cwd']}":
            found.append(f"{process.pid}: {command[:200]}")
    return found


def wait_until_gone(folder: Path) -> None:
    deadline = deadline_after(GONE_SECONDS)
    while left := left_running(folder):
        assert time.monotonic() < deadline, f"still running after {patient(GONE_SECONDS):.0f} s: {left}"
        time.sleep(0.1)


@contextmanager
def set_up_demo(folder: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Start a demo and wait until everything of it runs."""
    process = subprocess.Popen(
        demo(*arguments, folder=folder),
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    watchdog = threading.Timer(patient(SET_UP_SECONDS), process.kill)
    watchdog.start()
    try:
        assert process.stdout is not None
        output = []
        for line in process.stdout:
            output.append(line)
            if SET_UP in line:
                break
        else:
            pytest.fail(f"the demo ended before it was set up:\n{''.join(output)}")
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of one demo; it is stopped after the test, also if the test fails."""
    folder = tmp_path / "demo"
    yield folder
    subprocess.run(demo("stop", folder=folder), capture_output=True)


def test_all_three_acts_end_as_expected_in_the_promised_time_and_leave_nothing_running(folder: Path) -> None:
    find_binaries(controllers=True, progress=print)
    done = subprocess.run(
        demo(folder=folder), env=environment(), capture_output=True, text=True, timeout=patient(DEMO_SECONDS)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_running(folder) == []
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["title"].startswith("All three acts ended as expected")
    text = "\n".join(summary["lines"])
    assert "Act 1  A better model: promoted: v1.1.0 serves the agent" in text
    assert "Act 2  A worse model: rejected: v1.1.0 still serves the agent" in text
    assert "Act 3  A model that fails in production: aborted: back on v1.1.0" in text
    for line in ("gate: pass", "gate: fail", "SIGKILL to the operator", "one job and one endpoint"):
        assert line in done.stdout
    assert "\x1b" not in done.stdout, "no terminal, no escape sequences"
    seconds = int(summary["title"].rpartition(", in ")[2].removesuffix(" s"))
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    # The promised time is for an idle machine; here other tests may run at the same time.
    share = max(1.0, os.getloadavg()[1] / (os.cpu_count() or 1))
    assert seconds <= PROMISED_SECONDS * share, (
        f"the demo took {seconds} s; load average of 1, 5, 15 minutes on {os.cpu_count()} cores: {load}\n"
        f"{done.stdout}"
    )


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(lambda process: process.send_signal(signal.SIGINT), 130, id="interrupted"),
        pytest.param(lambda process: process.terminate(), 130, id="terminated"),
        pytest.param(lambda process: process.kill(), -signal.SIGKILL, id="killed"),
    ],
)
def test_demo_that_is_ended_leaves_nothing_running(
    folder: Path, end: Callable[["subprocess.Popen[str]"], None], code: int
) -> None:
    with set_up_demo(folder) as process:
        assert len(left_running(folder)) > 6
        end(process)
        assert process.wait(timeout=patient(GONE_SECONDS)) == code
    wait_until_gone(folder)


def test_finished_demo_names_the_files_that_it_leaves(folder: Path) -> None:
    done = subprocess.run(
        demo("--acts", "0", folder=folder),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=patient(SET_UP_SECONDS),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_running(folder) == []
    next_steps = done.stdout.partition("Nothing is left running")[2]
    named = [Path(word) for word in next_steps.split() if word.startswith(str(folder))]
    for file in ("summary.json", "operator/operator.log", "sandbox/sandbox.log", "agents/*.log"):
        assert folder / file in named
    assert [path for path in named if not list(path.parent.glob(path.name))] == []
    assert json.loads((folder / "summary.json").read_text())["title"] in done.stdout


def test_kept_demo_keeps_running_until_it_is_stopped(folder: Path) -> None:
    started = subprocess.run(
        demo("--acts", "0", folder=folder),
        env=environment(KEEP="1"),
        capture_output=True,
        text=True,
        timeout=patient(SET_UP_SECONDS),
    )
    assert started.returncode == 0, started.stdout + started.stderr
    assert f"export KUBECONFIG={folder}/cluster/kubeconfig" in started.stdout
    path = started.stdout.partition("export PATH=")[2].split(":$PATH")[0]
    kubectl = shutil.which("kubectl", path=path)
    assert kubectl is not None
    assert shutil.which("modelops", path=path) is not None
    kubeconfig = folder / "cluster" / "kubeconfig"
    shown = subprocess.run(
        [kubectl, "--kubeconfig", kubeconfig, "-n", "code-chef", "get", "modelops"],
        capture_output=True,
        text=True,
    )
    assert "agentmodel.modelops.code-chef.dev/docs" in shown.stdout
    again = subprocess.run(demo(folder=folder), env=environment(), capture_output=True, text=True)
    assert again.returncode == 1
    assert "modelops demo stop" in again.stderr
    stopped = subprocess.run(demo("stop", folder=folder), capture_output=True, text=True)
    assert stopped.returncode == 0, stopped.stderr
    wait_until_gone(folder)
