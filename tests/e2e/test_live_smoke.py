"""`modelops live-smoke` against the sandbox, by its addresses and tokens as for a real account.

With MODELOPS_WRITE_SHAPES=1 the first test writes the shapes of the sandbox's answers into the package.
"""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from tests.patience import patient

from modelops.livesmoke.observations import SHAPES_FILE, sandbox_shapes
from modelops.livesmoke.shapes import Shape, merged
from modelops.sandbox.client import SandboxInfo, start
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER

FAST = {
    "MODELOPS_POLL_SECONDS": "0.3",
    "MODELOPS_PROGRESS_SECONDS": "0.5",
    "MODELOPS_SETTLE_SECONDS": "1",
    "MODELOPS_LEASE_SECONDS": "8",
}
CHOICES = (
    "--base-model",
    BASE_MODEL,
    "--baseline-model",
    "modelops-sandbox/name-as-sentence",
    "--pause",
    "1",
)
SECONDS = 100.0
TRAINS = "Running (JobRunning)"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxInfo]:
    """A sandbox of its own, so that everything that it bills is of these tests."""
    with start(tmp_path_factory.mktemp("account")) as info:
        yield info


@pytest.fixture
def sandbox(account: SandboxInfo) -> Iterator[SandboxInfo]:
    """The sandbox without faults, and with nothing that runs."""
    account.clear()
    yield account
    account.clear()


class Run:
    """A `modelops live-smoke` process; `output` grows as it prints."""

    def __init__(self, sandbox: SandboxInfo, folder: Path, *arguments: str) -> None:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        places = ("--dir", str(folder / "run"), "--reports", str(folder / "reports"))
        self.folder = folder
        self.output = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "modelops.cli", "live-smoke", *arguments, *places],
            env={**inherited, **sandbox.environment(), **FAST, "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def read_until(self, text: str) -> str:
        """Read its output until a line has `text`; return that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if text in line:
                return line
        raise AssertionError(f"it ended without {text!r}:\n{self.output}")

    def end(self) -> int:
        """Read the rest of its output; return its exit code."""
        assert self.process.stdout is not None
        self.output += self.process.stdout.read()
        return self.process.wait()

    def report(self) -> dict[str, Any]:
        (file,) = (self.folder / "reports").glob("*.json")
        found: dict[str, Any] = json.loads(file.read_text())
        return found


@contextmanager
def live_smoke(sandbox: SandboxInfo, folder: Path, *arguments: str) -> Iterator[Run]:
    run = Run(sandbox, folder, "--max-usd", "5", *CHOICES, *arguments)
    watchdog = threading.Timer(patient(SECONDS), run.process.kill)
    watchdog.start()
    try:
        yield run
    finally:
        watchdog.cancel()
        run.process.kill()
        run.process.wait()


def clean_up(sandbox: SandboxInfo, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    command = [sys.executable, "-m", "modelops.cli", "live-smoke", "clean-up", "--dir", str(folder / "run")]
    return subprocess.run(
        [*command, *arguments],
        env={**inherited, **sandbox.environment(), **FAST},
        capture_output=True,
        text=True,
        timeout=patient(60),
    )


def jobs_of(sandbox: SandboxInfo, run_id: str) -> list[dict[str, Any]]:
    return [job for job in sandbox.job_billing() if job["labels"]["modelops-attempt"].startswith(run_id)]


def endpoints(sandbox: SandboxInfo) -> list[Any]:
    from huggingface_hub import HfApi, constants

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", sandbox.endpoints)
        return list(
            HfApi(endpoint=sandbox.hub, token=sandbox.hf_token).list_inference_endpoints(namespace=USER)
        )


def shapes_text(shapes: dict[str, Shape]) -> str:
    """The file of shapes: JSON with a line for each field."""
    parts = []
    for name, shape in sorted(shapes.items()):
        lines = (f"  {json.dumps(path)}: {json.dumps(types)}" for path, types in shape.items())
        parts.append(f" {json.dumps(name)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def hold_the_training(sandbox: SandboxInfo) -> None:
    """Jobs run, and wait for the Hub's answer to their first commit."""
    sandbox.fault("hub", "latency", ms=120_000, path_regex="^/api/models/.*/commit", times=None)


def assert_nothing_bills(sandbox: SandboxInfo, run_id: str) -> None:
    jobs = jobs_of(sandbox, run_id)
    assert [job["stage"] for job in jobs] == ["CANCELED"]
    assert endpoints(sandbox) == []


def test_the_loop_runs_to_its_end_within_the_cap_and_says_what_it_cost(
    sandbox: SandboxInfo, tmp_path: Path
) -> None:
    with live_smoke(sandbox, tmp_path, "--end-seconds", "0", "--delete") as run:
        assert run.end() == 0, run.output
    report = run.report()
    if os.environ.get("MODELOPS_WRITE_SHAPES"):
        shapes = {
            name: merged([shape, sandbox_shapes().get(name, {})]) for name, shape in report["shapes"].items()
        }
        Path(str(files("modelops.livesmoke") / SHAPES_FILE)).write_text(shapes_text(shapes))
        return
    assert [(step["name"], step["outcome"]) for step in report["steps"]] == [
        (name, "as expected")
        for name in (
            "account",
            "operator",
            "datasets",
            "estimate",
            "training",
            "evaluation and canary",
            "roll back",
            "end of the endpoint",
        )
    ]
    # The plan was shown before the training began, and the sandbox billed one job, which is in the bill.
    assert run.output.index("in all      up to $") < run.output.index("training …")
    (job,) = jobs_of(sandbox, report["id"])
    assert f"{job['costMicroUSD'] / 1e6:.4f}" in report["bill"]["service"][0]
    assert 0 < float(report["bill"]["recordUSD"]) < 5
    assert 0 < float(report["bill"]["serviceUSD"]) < 5
    # The service is the sandbox, so every answer was asked for and none differs.
    assert (report["differences"], report["unknownWords"], report["notAsked"], report["prices"]) == (
        {},
        [],
        [],
        [],
    )
    answered = {step["name"]: step["same"] for step in report["steps"]}
    assert {"job", "files of the run", "model of the run"} <= set(answered["training"])
    assert {"endpoint", "chat completion", "LangSmith experiment"} <= set(answered["evaluation and canary"])
    assert {"whoami", "prices of jobs", "LangSmith info"} <= set(answered["account"])
    # The run itself has deleted the endpoint, and what it had made.
    assert [one.split()[:2] for one in report["stopped"]] == [["deleted", "endpoint"]]
    assert (report["mayStillBill"], report["kept"], endpoints(sandbox)) == ([], [], [])
    (markdown,) = (tmp_path / "reports").glob("*.md")
    texts = run.output + markdown.read_text() + json.dumps(report)
    for secret in (sandbox.hf_token, sandbox.langsmith_key, sandbox.openrouter_key):
        assert secret not in texts
    assert USER not in markdown.read_text()


def test_an_interrupted_run_stops_its_job_and_cannot_be_interrupted_in_that(
    sandbox: SandboxInfo, tmp_path: Path
) -> None:
    hold_the_training(sandbox)
    with live_smoke(sandbox, tmp_path) as run:
        run.read_until(TRAINS)
        run.process.send_signal(signal.SIGINT)
        run.read_until("making sure that nothing of this run bills")
        run.process.send_signal(signal.SIGTERM)
        assert run.end() == 130, run.output
    report = run.report()
    assert_nothing_bills(sandbox, report["id"])
    assert report["result"] == "interrupted"
    assert [one.split()[:2] for one in report["stopped"]] == [["cancelled", "job"]]
    assert f"modelops live-smoke clean-up --id {report['id']} --delete" in run.output
    done = clean_up(sandbox, tmp_path, "--id", report["id"], "--delete")
    assert done.returncode == 0, done.stderr
    assert "kept:" not in done.stdout
    assert "deleted LangSmith dataset" in done.stdout


def test_a_run_whose_operator_died_stops_its_job_without_it(sandbox: SandboxInfo, tmp_path: Path) -> None:
    hold_the_training(sandbox)
    with live_smoke(sandbox, tmp_path) as run:
        found = re.search(r"operator: process (\d+)", run.read_until("operator: process"))
        assert found is not None
        run.read_until(TRAINS)
        os.kill(int(found[1]), signal.SIGKILL)
        assert run.end() == 1, run.output
    report = run.report()
    assert_nothing_bills(sandbox, report["id"])
    assert report["result"].startswith("failed: operator ended with code")


def test_what_a_killed_run_left_is_stopped_by_clean_up_and_before_that_no_other_run_begins(
    sandbox: SandboxInfo, tmp_path: Path
) -> None:
    hold_the_training(sandbox)
    with live_smoke(sandbox, tmp_path) as run:
        found = re.search(r"run ([0-9a-f]{8})", run.read_until("agent live_"))
        assert found is not None
        run.read_until(TRAINS)
        run.process.kill()
        run.process.wait()
    assert [job["stage"] for job in jobs_of(sandbox, found[1])] == ["RUNNING"]
    again = Run(sandbox, tmp_path, "--max-usd", "5", *CHOICES)
    assert again.end() == 2
    assert "modelops live-smoke clean-up --dir" in again.output
    done = clean_up(sandbox, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"nothing of run {found[1]} bills" in done.stdout
    assert_nothing_bills(sandbox, found[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs the most that it may spend"),
        (("--max-usd", "0"), "allows nothing"),
        (("--max-usd", "1", *CHOICES), "MAX_USD=2"),
        (("--max-usd", "5"), "base model: "),
    ],
    ids=["no cap", "a cap of nothing", "a cap below the plan", "a base model that does not exist"],
)
def test_a_run_that_may_not_begin_creates_nothing(
    sandbox: SandboxInfo, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    sandbox.forget_requests()
    run = Run(sandbox, tmp_path, *arguments)
    assert run.end() == 2, run.output
    assert message in run.output
    assert {call["method"] for call in sandbox.requests()} <= {"GET", "HEAD"}
    assert not (tmp_path / "run" / "run.json").exists()
