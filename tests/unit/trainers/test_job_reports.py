"""The report lines of a job are those that the operator reads."""

import io
import json
import time

import pytest

from modelops.domain.job_report import parse_line
from modelops.trainers.job import Reporter, Run, job_start


def test_operator_reads_the_lines_that_a_job_writes() -> None:
    stream = io.StringIO()
    reporter = Reporter(nonce="abc", stream=stream)
    reporter.write("log", step=3, max_steps=9, epoch=0.5, metrics={"loss": 0.12345678, "bad": float("nan")})
    line = stream.getvalue()
    assert line.startswith('@@modelops:abc@@ {"epoch":0.5,"kind":"log",')
    report = parse_line(line, "abc")
    assert report is not None
    assert (report.step, report.max_steps, report.epoch) == (3, 9, 0.5)
    assert report.metrics == {"loss": 0.123457}
    assert parse_line(line, "other") is None


RUN = {
    "v": 1,
    "run": "uid",
    "attempt": 1,
    **dict.fromkeys(("agent", "base_model", "base_revision", "method", "version"), "x"),
    "dataset": {"repo": "d", "revision": "r"},
    "output": {"repo": "o"},
    "config": {},
}


@pytest.mark.parametrize(("given", "seconds"), [({}, None), ({"seconds": 900}, 900), ({"seconds": 0}, None)])
def test_time_limit_is_the_runs_or_none(given: dict[str, int], seconds: int | None) -> None:
    assert Run.from_json(json.dumps({**RUN, **given})).seconds == seconds


def test_negative_time_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds of MODELOPS_RUN is -1"):
        Run.from_json(json.dumps({**RUN, "seconds": -1}))


@pytest.mark.parametrize(("offset", "elapsed"), [("", 0), ("soon", 0), ("-100", 100), ("100", 0)])
def test_job_start_is_the_time_in_the_environment_but_never_later_than_now(
    monkeypatch: pytest.MonkeyPatch, offset: str, elapsed: int
) -> None:
    seconds = str(int(time.time()) + int(offset)) if offset.lstrip("-").isdecimal() else offset
    monkeypatch.setenv("MODELOPS_STARTED", seconds)
    start = job_start()
    assert elapsed <= time.monotonic() - start < elapsed + 30
    assert job_start() == pytest.approx(start, abs=2)


def test_run_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form 2"):
        Run.from_json('{"v": 2}')


def test_only_the_main_process_reports_except_for_failures_with_their_own_exit_code() -> None:
    stream = io.StringIO()
    other = Reporter(nonce="abc", stream=stream, main_process=False)
    other.write("log", step=1, max_steps=2, epoch=0.5)
    other.write("error", reason="RuntimeError", message="connection closed by peer", exit_code=1)
    assert not stream.getvalue()
    other.write("error", reason="OutOfMemory", message="CUDA out of memory", exit_code=42)
    report = parse_line(stream.getvalue(), "abc")
    assert report is not None
    assert report.failure == "out_of_memory"
