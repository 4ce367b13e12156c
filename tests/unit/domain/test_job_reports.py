"""Report lines give one state, whether a log is cut, repeated or replayed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelops.domain.job_report import JobReport, parse_line, parse_reports

NONCE = "n0nce"


def line(kind: str = "log", /, *, nonce: str = NONCE, **fields: Any) -> str:
    return f"@@modelops:{nonce}@@ " + json.dumps({"v": 1, "kind": kind, "t": 1.0, **fields}, sort_keys=True)


def log(step: int, **fields: Any) -> str:
    return line("log", t=100.0 + step, step=step, max_steps=10, **fields)


def read(*lines: str) -> JobReport:
    report = parse_reports(lines, NONCE)
    assert report is not None
    return report


def test_last_line_is_the_state() -> None:
    report = read(
        line("begin", t=100.0, max_steps=10), log(1, metrics={"loss": 2.0}), log(2, metrics={"loss": 1.5})
    )
    assert (report.kind, report.step, report.max_steps, report.began_at) == ("log", 2, 10, 100.0)
    assert report.metrics == {"loss": 1.5}


def test_metrics_missing_from_a_later_line_are_kept() -> None:
    assert read(log(1, metrics={"eval_loss": 3.0}), log(2, metrics={"loss": 1.0})).metrics == {
        "eval_loss": 3.0,
        "loss": 1.0,
    }


@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.integers(0, 8))
def test_duplicates_and_replays_change_nothing(steps: list[int], cut: int) -> None:
    lines = [log(step, metrics={"loss": float(step)}) for step in sorted(set(steps))]
    assert parse_reports([*lines, *lines[:cut]], NONCE) == parse_reports(lines, NONCE)


def test_progress_is_monotone_when_the_clock_of_the_job_goes_back() -> None:
    report = read(line("log", t=500.0, step=7, max_steps=10), line("log", t=400.0, step=8, max_steps=10))
    assert report.step == 8


def test_a_replay_does_not_undo_an_end() -> None:
    report = read(log(1), line("done", t=110.0, step=10, max_steps=10), log(1))
    assert (report.kind, report.ended, report.step) == ("done", True, 10)


@pytest.mark.parametrize(
    ("code", "failure"),
    [
        (1, "failed"),
        (42, "out_of_memory"),
        (43, "bad_data"),
        (44, "never_stops"),
        (45, "too_slow"),
        (75, "already_claimed"),
        (9, "failed"),
    ],
)
def test_error_says_which_failure(code: int, failure: str) -> None:
    report = read(line("error", reason="Reason", message="what was wrong", exit_code=code))
    assert (report.failure, report.error) == (failure, "Reason: what was wrong")


def test_done_names_the_published_model() -> None:
    report = read(line("done", model={"repo": "org/m", "revision": "abc"}))
    assert (report.repo, report.revision) == ("org/m", "abc")


@pytest.mark.parametrize(
    "other",
    [
        "Downloading 100%",
        "",
        line(nonce="other"),
        f"in the middle of a line: {line()}",
        f"@@modelops:{NONCE}@@ not json",
        f"@@modelops:{NONCE}@@ [1]",
        f"@@modelops:{NONCE}@@ " + "[" * 16_000,
        f"@@modelops:{NONCE}@@ " + '{"v":1,"kind":"log","t":1.0,"metrics":{"loss":NaN}}',
        f"@@modelops:{NONCE}@@ " + '{"v":1,"kind":"log","t":1.0,"metrics":{"loss":1e999}}',
        f"@@modelops:{NONCE}@@ " + '{"v":1,"kind":"log","t":Infinity}',
        line("log", v=2),
        line("unknown"),
        line(step=-1),
        line(step=True),
        line(step=1.5),
        line(metrics={"loss": "low"}),
        line(metrics=[0.5]),
        line(model="org/m"),
        line(metrics={str(number): 1.0 for number in range(65)}),
        line(message="x" * 20_000),
    ],
)
def test_other_lines_are_not_reports(other: str) -> None:
    assert parse_reports([other], NONCE) is None


@pytest.mark.parametrize(
    "odd",
    [
        {"metrics": [0.5]},
        {"metrics": {"loss": float("nan")}},
        {"metrics": {"loss": "low"}},
        {"step": -1},
        {"max_steps": "many"},
        {"epoch": None},
        {"checkpoint": [7]},
        {"model": "org/m"},
        {"exit_code": [44]},
    ],
    ids=str,
)
def test_an_odd_field_does_not_hide_the_end_of_a_job(odd: dict[str, Any]) -> None:
    report = read(log(3), line("error", **{"reason": "R", "message": "why", "exit_code": 44, **odd}))
    assert report.ended
    assert (report.step, report.error) == (3, "R: why")
    assert report.failure == ("failed" if "exit_code" in odd else "never_stops")


def test_a_progress_bar_before_a_report_is_cut_off() -> None:
    assert read(f"Upload 99 %|####| 1/2\r{log(7)}").step == 7
    assert parse_reports([f"{log(7)}\rUpload 99 %"], NONCE) is None


def test_the_last_checkpoint_is_known_from_any_later_line() -> None:
    assert read(log(1), log(4, checkpoint=3)).checkpoint == 3
    assert read(log(4, checkpoint=3), line("error", t=200.0)).checkpoint == 3
    assert read(log(1)).checkpoint is None


def test_a_warning_holds_until_a_checkpoint_is_on_the_hub() -> None:
    warning = log(4, warning="the checkpoint at step 4 is not on the Hub: 403")
    assert "403" in str(read(warning, log(5)).warning)
    assert read(warning, line("checkpoint", t=109.0, step=8)).warning == ""
    assert read(log(5)).warning is None


def test_a_warning_names_its_error() -> None:
    warning = log(4, warning="the checkpoint at step 4 is not on the Hub: 503", reason="HubSilent")
    assert read(warning, log(5)).warning_reason == "HubSilent"
    assert read(warning, log(5, warning="403")).warning_reason == ""
    assert read(warning, line("checkpoint", t=109.0, step=8)).warning_reason == ""
    assert read(log(5, reason="HubSilent")).warning_reason == ""


def test_an_empty_nonce_matches_nothing() -> None:
    assert parse_line(line(nonce=""), "") is None


def test_an_error_text_is_short_and_printable() -> None:
    report = read(line("error", reason="R", message="a\nb\x1b[31m" + "c" * 2000))
    assert len(report.error) < 600
    assert report.error.isprintable()
