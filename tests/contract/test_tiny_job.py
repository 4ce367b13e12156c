"""The tiny trainer as a real job on the sandbox: it claims, learns, reports, publishes, and never twice."""

import base64
import io
import json
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import CommitOperationAdd, HfApi
from tests.contract.learning import environment, upload_rows
from tests.patience import patient

from modelops.adapters.huggingface.payload import PAYLOADS, payload_base64
from modelops.demo.stdlib_examples import StdlibExample, read_examples
from modelops.domain.job_report import parse_line, parse_reports
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.hub.seeds import BASE_MODEL
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_learner, tiny_model
from modelops.trainers.attempt import PUBLISH_RETRY_SECONDS

NONCE = "n0nce"
ENDED = ("COMPLETED", "ERROR", "CANCELED")
Run = dict[str, Any]


@pytest.fixture(scope="module")
def examples() -> list[StdlibExample]:
    return read_examples(limit=240)


def parts(examples: list[StdlibExample]) -> dict[str, list[StdlibExample]]:
    return {
        "train": [e for e in examples if e.split == "train"],
        "test": [e for e in examples if e.split == "held-out"],
    }


@pytest.fixture
def run(hf: HfApi, repo: str, unique: Callable[[str], str], examples: list[StdlibExample]) -> Run:
    """`MODELOPS_RUN` of a run whose dataset and output repository exist."""
    dataset = f"{USER}/{unique('data')}"
    return {
        "v": 1,
        "run": unique("uid"),
        "attempt": 1,
        "seconds": 600,
        "agent": "docs",
        "base_model": BASE_MODEL,
        "base_revision": "main",
        "method": "sft",
        "config": {"num_epochs": 3, "learning_rate": 2e-4, "batch_size": 4, "gradient_accumulation_steps": 1},
        "dataset": {"repo": dataset, "revision": upload_rows(hf, dataset, **parts(examples))},
        "output": {"repo": repo},
        "version": "v1.1.0-rc.1",
    }


def start(
    sandbox: SandboxInfo, folder: Path, run: Run, *, job_id: str, publish_seconds: float = 0.0, **more: str
) -> subprocess.Popen[str]:
    """The payload as a process, without the service around it: its exit code is to be seen.

    `publish_seconds` replaces the half hour for which the commit of the model is tried.
    """
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(payload_base64("tiny")))) as archive:
        archive.extractall(folder, filter="data")
    if publish_seconds:
        program, usual = folder / "attempt.py", f"PUBLISH_RETRY_SECONDS = {PUBLISH_RETRY_SECONDS}"
        assert usual in program.read_text()
        program.write_text(program.read_text().replace(usual, f"PUBLISH_RETRY_SECONDS = {publish_seconds}"))
    own = {
        "MODELOPS_RUN": json.dumps(run),
        "MODELOPS_NONCE": NONCE,
        "JOB_ID": job_id,
        "PYTHONSAFEPATH": "",
        **more,
    }
    return subprocess.Popen(
        [sys.executable, "train.py"],
        cwd=folder,
        env=environment(sandbox, **own),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def end(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    output, _ = process.communicate(timeout=patient(60))
    return process.returncode, output.splitlines()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """The lines of its log up to the first one with this text."""
    lines: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"the job ended without {text!r}: {lines}")


def commits(hf: HfApi, repo: str) -> list[str]:
    return [commit.title for commit in hf.list_repo_commits(repo)]


def close(hf: HfApi, run: Run) -> None:
    closed = CommitOperationAdd("claims/1", json.dumps({"closed": True}).encode())
    hf.create_commit(run["output"]["repo"], [closed], commit_message="Close attempt 1")


def test_job_of_the_service_learns_and_publishes(
    hf: HfApi, run: Run, eventually: Callable[..., Any], examples: list[StdlibExample], tmp_path: Path
) -> None:
    job = hf.run_job(
        image="python:3.11",
        command=list(PAYLOADS["tiny"].command),
        env={
            "MODELOPS_PAYLOAD": payload_base64("tiny"),
            "MODELOPS_RUN": json.dumps(run),
            "MODELOPS_NONCE": NONCE,
        },
        secrets={"HF_TOKEN": str(hf.token)},
        flavor="cpu-basic",
        namespace=USER,
    )
    eventually(lambda: hf.inspect_job(job_id=job.id, namespace=USER).status.stage in ENDED, seconds=60)
    lines = list(hf.fetch_job_logs(job_id=job.id, namespace=USER))

    report = parse_reports(lines, NONCE)
    assert report is not None
    assert report.kind == "done", lines
    assert report.step == report.max_steps >= 20
    assert {"seconds_per_step", "tokens_per_second"} <= set(report.metrics)
    head = hf.repo_info(run["output"]["repo"]).sha
    assert (report.repo, report.revision) == (run["output"]["repo"], head)

    folder = hf.snapshot_download(run["output"]["repo"], local_dir=tmp_path)
    assert json.loads((tmp_path / "claims/1").read_text()) == {"job": job.id}
    lineage = json.loads((tmp_path / "modelops.json").read_text())
    assert {key: lineage[key] for key in run} == run
    assert lineage["metrics"] == pytest.approx(dict(report.metrics), rel=1e-4)
    assert commits(hf, run["output"]["repo"])[:2] == ["Model v1.1.0-rc.1", "Claim attempt 1"]

    held_out = [(e.task, e.docstring) for e in parts(examples)["test"]]
    learnt = tiny_learner.mean_f1(tiny_model.load(folder), held_out)
    assert learnt == pytest.approx(report.metrics["eval_token_f1"], abs=1e-4)
    assert learnt > tiny_learner.mean_f1(tiny_model.Model([]), held_out)


def test_progress_can_be_followed_and_the_loss_falls(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path
) -> None:
    code, lines = end(start(sandbox, tmp_path / "job", run, job_id="j1"))
    assert code == 0, lines
    logs = [r for r in (parse_line(line, NONCE) for line in lines) if r is not None and r.kind == "log"]
    assert len(logs) == logs[-1].max_steps == 3 * 50
    third = len(logs) // 3
    first, last = ([r.metrics["loss"] for r in part] for part in (logs[:third], logs[-third:]))
    assert sum(last) < sum(first)
    held_out = [r.metrics["eval_loss"] for r in logs if "eval_loss" in r.metrics]
    assert held_out[-1] < held_out[0]
    assert logs[-1].metrics["num_tokens"] == 3 * logs[third - 1].metrics["num_tokens"]


def test_of_two_jobs_of_one_attempt_one_trains_and_the_other_exits_75(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path
) -> None:
    both = [start(sandbox, tmp_path / name, run, job_id=name) for name in ("j1", "j2")]
    ended = [end(process) for process in both]

    assert sorted(code for code, _ in ended) == [0, 75], ended
    loser = next(lines for code, lines in ended if code == 75)
    assert parse_reports(loser, NONCE) is None
    winner = ("j1", "j2")[[code for code, _ in ended].index(0)]
    claim = Path(hf.hf_hub_download(run["output"]["repo"], "claims/1", local_dir=tmp_path))
    assert json.loads(claim.read_text()) == {"job": winner}
    assert commits(hf, run["output"]["repo"]).count("Model v1.1.0-rc.1") == 1


def test_closed_attempt_is_not_trained(sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path) -> None:
    close(hf, run)
    code, lines = end(start(sandbox, tmp_path / "job", run, job_id="late"))
    assert code == 75
    assert "closed by the operator" in "\n".join(lines)
    assert "modelops.json" not in hf.list_repo_files(run["output"]["repo"])


def test_job_that_the_service_restarts_keeps_its_claim(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path
) -> None:
    first = start(sandbox, tmp_path / "first", run, job_id="same")
    assert first.stdout is not None
    while '"kind":"begin"' not in first.stdout.readline():
        assert first.poll() is None
    first.kill()
    first.communicate()
    code, lines = end(start(sandbox, tmp_path / "second", run, job_id="same"))
    assert code == 0, lines
    assert commits(hf, run["output"]["repo"]).count("Claim attempt 1") == 1


@pytest.mark.parametrize("kind", ["lost_answer", "drop_before"])
def test_lost_answers_to_claim_and_publication_are_settled_by_reading_the_head(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path, kind: str
) -> None:
    sandbox.fault("hub", kind, method="POST", path_regex="/commit/", times=1)
    sandbox.fault("hub", "status", method="GET", path_regex="/resolve/.*claims", status=503, times=2)
    process = start(sandbox, tmp_path / "job", run, job_id="j1")
    assert process.stdout is not None
    while '"kind":"begin"' not in process.stdout.readline():
        assert process.poll() is None
    sandbox.fault("hub", kind, method="POST", path_regex="/commit/", times=1)
    code, lines = end(process)
    assert code == 0, lines
    titles = commits(hf, run["output"]["repo"])
    assert titles.count("Claim attempt 1") == titles.count("Model v1.1.0-rc.1") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{not json", "line 1: no list of messages"),
        ('{"messages": []}', "line 1: no list of messages"),
        (
            '{"messages": [{"role": "user", "content": "x"}]}',
            "line 1: the last message is not an assistant's",
        ),
        ('{"messages": [{"role": "assistant", "content": " "}]}', "line 1: the last message is not"),
        ("", "no rows in data/train.jsonl"),
    ],
)
def test_bad_data_is_reported_and_exits_43(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path, line: str, says: str
) -> None:
    bad = CommitOperationAdd("data/train.jsonl", line.encode())
    made = hf.create_commit(run["dataset"]["repo"], [bad], commit_message="bad", repo_type="dataset")
    run["dataset"]["revision"] = made.oid
    code, lines = end(start(sandbox, tmp_path / "job", run, job_id="j1"))
    report = parse_reports(lines, NONCE)
    assert (code, report and report.failure) == (43, "bad_data"), lines
    assert report is not None
    assert says in report.error


def test_job_that_cannot_end_in_time_reports_its_pace_and_exits_45(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path
) -> None:
    """The time before the training, as for an installation, was longer than the job's time limit."""
    run["seconds"] = 1
    late = {"MODELOPS_STARTED": str(int(time.time()) - 100)}
    code, lines = end(start(sandbox, tmp_path / "job", run, job_id="j1", **late))
    report = parse_reports(lines, NONCE)
    assert report is not None
    assert (code, report.failure) == (45, "too_slow"), lines
    assert report.error.startswith("TooSlow: ")
    assert "may run 1 s; nothing of it is kept" in report.error
    assert 50 < report.step < report.max_steps == 3 * 50
    assert report.metrics["seconds_needed"] == report.metrics["seconds_left"] > 100
    assert report.metrics["tokens_per_second"] > 0
    assert "modelops.json" not in hf.list_repo_files(run["output"]["repo"])


def test_token_that_may_not_write_is_named_and_not_shown(
    sandbox: SandboxInfo, run: Run, tmp_path: Path
) -> None:
    run["output"]["repo"] = "somebody-else/model"
    code, lines = end(start(sandbox, tmp_path / "job", run, job_id="j1"))
    report = parse_reports(lines, NONCE)
    assert code == 1
    assert report is not None
    assert "somebody-else/model" in report.error
    assert sandbox.hf_token not in "\n".join(lines)


def test_a_hub_that_never_answers_ends_the_job_and_not_only_its_training(
    sandbox: SandboxInfo, run: Run, tmp_path: Path
) -> None:
    """The upload of the model hangs: the process must end although a thread of the SDK waits."""
    run["seconds"] = None
    sandbox.fault("hub", "stall", seconds=3600.0, times=None, path_regex="/info/lfs/")
    job = start(sandbox, tmp_path / "job", run, job_id="j1", publish_seconds=1.0)
    code, lines = end(job)
    report = parse_reports(lines, NONCE)
    assert code == 1
    assert report is not None
    assert report.error.startswith("HubSilent")


def test_a_model_that_is_refused_is_kept_and_published_once_it_is_taken(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path
) -> None:
    refusal = sandbox.fault("hub", "status", status=403, times=None, path_regex="/info/lfs/")
    process = start(sandbox, tmp_path / "job", run, job_id="j1")
    lines = read_until(process, "the model is not published")
    warned = parse_reports(lines, NONCE)
    assert warned is not None
    assert "answered 403" in str(warned.warning)
    sandbox.remove_fault(refusal)
    code, rest = end(process)
    assert code == 0
    done = parse_reports([*lines, *rest], NONCE)
    assert done is not None
    assert (done.kind, done.warning) == ("done", "")
    assert "modelops.json" in hf.list_repo_files(run["output"]["repo"])


def test_a_model_that_is_refused_for_good_ends_the_job_with_the_reason(
    sandbox: SandboxInfo, hf: HfApi, run: Run, tmp_path: Path
) -> None:
    run["seconds"] = 121  # One second more than the job leaves for its last report.
    sandbox.fault("hub", "status", status=403, times=None, path_regex="/info/lfs/")
    code, lines = end(start(sandbox, tmp_path / "job", run, job_id="j1"))
    report = parse_reports(lines, NONCE)
    assert code == 1
    assert report is not None
    assert report.error.startswith("HubRefused: the Hub answered 403")
    assert "modelops.json" not in hf.list_repo_files(run["output"]["repo"])
