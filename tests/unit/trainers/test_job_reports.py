"""The report lines of a job are those that the operator reads."""

import io
import json
import time

import pytest

from modelops.domain.job_report import parse_line
from modelops.trainers.job import Reporter, Run, began_to_run


def test_operator_reads_what_the_job_says() -> None:
    stream = io.StringIO()
    reporter = Reporter(nonce="abc", stream=stream)
    reporter.say("log", step=3, max_steps=9, epoch=0.5, metrics={"loss": 0.12345678, "bad": float("nan")})
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
def test_what_a_job_may_run_is_its_own_or_without_a_limit(given: dict[str, int], seconds: int | None) -> None:
    assert Run.from_json(json.dumps({**RUN, **given})).seconds == seconds


def test_a_limit_below_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="seconds of MODELOPS_RUN is -1"):
        Run.from_json(json.dumps({**RUN, "seconds": -1}))


@pytest.mark.parametrize(("told", "elapsed"), [("", 0), ("soon", 0), ("-100", 100), ("100", 0)])
def test_a_job_began_when_its_command_says_so_and_never_later_than_now(
    monkeypatch: pytest.MonkeyPatch, told: str, elapsed: int
) -> None:
    seconds = str(int(time.time()) + int(told)) if told.lstrip("-").isdecimal() else told
    monkeypatch.setenv("MODELOPS_STARTED", seconds)
    began = began_to_run()
    assert elapsed <= time.monotonic() - began < elapsed + 30
    assert began_to_run() == pytest.approx(began, abs=2)


def test_run_of_another_form_is_refused() -> None:
    with pytest.raises(ValueError, match="form 2"):
        Run.from_json('{"v": 2}')


def test_of_several_processes_the_first_speaks_and_the_others_tell_what_they_failed_of() -> None:
    stream = io.StringIO()
    other = Reporter(nonce="abc", stream=stream, first=False)
    other.say("log", step=1, max_steps=2, epoch=0.5)
    other.say("error", reason="RuntimeError", message="connection closed by peer", exit_code=1)
    assert not stream.getvalue()
    other.say("error", reason="OutOfMemory", message="CUDA out of memory", exit_code=42)
    report = parse_line(stream.getvalue(), "abc")
    assert report is not None
    assert report.failure == "out_of_memory"
