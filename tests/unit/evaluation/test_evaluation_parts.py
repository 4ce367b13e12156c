"""The parts of the evaluation program that need no service."""

import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from tests.unit.evaluation.asked import QUESTIONS, answer, request

from modelops.evaluation.journal import AnswerJournal
from modelops.evaluation.latency import RESAMPLES, percentile_ms, quantile_ratio
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.request import ARMS
from modelops.evaluation.result import points, result_document
from modelops.evaluation.scored_answers import score_answers
from modelops.workdir import ProgramFailure, WorkDir, run_program


def test_errors_and_unparsable_answers_are_failures_and_not_left_out() -> None:
    asked = request()
    answers = [answer(arm, n, "<yes>") for n in range(100) for arm in ARMS]
    answers[1] = answer("candidate", 0, None)
    answers[3] = answer("candidate", 1, "no brackets")
    answers[5] = answer("candidate", 2, "<no>")
    outcome = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    assert outcome.arms["candidate"].success == 0.97
    assert outcome.arms["candidate"].errors == 1
    assert outcome.pairs is not None
    assert (outcome.pairs.gained, outcome.pairs.lost) == (0, 3)


def test_numbers_for_the_api_are_decimal_strings() -> None:
    asked = request()
    answers = [answer(arm, n, "<yes>", cost_usd="1e-7") for n in range(100) for arm in ARMS]
    outcome = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    result = result_document(asked, outcome)
    assert result["baseline"] == {
        "success": "1.0000",
        "latency_p50_ms": 50,
        "latency_p95_ms": 50,
        "cost_per_1k": "0.000005",
        "errors": 0,
        "calls": 100,
    }
    assert (result["difference_points"], result["interval"]) == ("0.00", ["-2.68", "2.63"])
    assert (result["verdict"], result["recommendation"], result["margin_points"]) == ("pass", "deploy", "5")
    assert result["explain"] == (
        "Of 100 held-out examples, v1.1.0-rc.1 succeeds on 100.0 % and v1.0.0 succeeds on 100.0 %: a difference of "
        "+0.0 points (90 % interval -2.68 to 2.63; scorer exact, threshold 1; model only). The candidate is not worse by "
        "more than 5 points."
    )
    assert json.dumps(result, allow_nan=False)


def test_partly_billed_calls_have_no_known_cost() -> None:
    asked = request()
    answers = [answer(arm, n, "<yes>", cost_usd="1" if n else None) for n in range(100) for arm in ARMS]
    outcome = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    assert outcome.arms["baseline"].cost_per_1k is None


def test_repetitions_are_averaged_within_the_example() -> None:
    asked = request(repetitions=2)
    answers = [
        answer(arm, n, "<yes>" if arm == "baseline" or k else "<no>", repetition=k)
        for n in range(100)
        for arm in ARMS
        for k in range(2)
    ]
    outcome = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    assert (outcome.n, outcome.difference, outcome.pairs) == (100, -0.5, None)
    assert outcome.verdict == "fail"


def test_points_have_no_negative_zero() -> None:
    assert points(-0.00001) == "0.00"
    assert points(-0.12345) == "-12.35"


def test_latency_ratio_is_repeatable_and_wide_enough() -> None:
    base = [10.0 + n % 7 for n in range(100)]
    slow = [value * 2 for value in base]
    found = quantile_ratio(base, slow, quantile=0.5, alpha=0.05, seed="s")
    assert found == quantile_ratio(base, slow, quantile=0.5, alpha=0.05, seed="s")
    assert found.value == pytest.approx(2.0)
    assert found.interval is not None
    assert found.interval[0] <= 2.0 <= found.interval[1]
    assert quantile_ratio(base[:30], slow[:30], quantile=0.95, alpha=0.05, seed="s").interval is None
    assert percentile_ms([], 0.5) == 0


@pytest.mark.parametrize("quantile", [0.5, 0.95])
def test_the_interval_is_that_of_resampled_pairs(quantile: float) -> None:
    """The same draws, sorted anew in each resample as the definition says."""
    random = np.random.default_rng(7)
    pairs = np.round(random.lognormal(6, 0.5, (2, 61)))  # With ties.
    seed = int.from_bytes(hashlib.sha256(b"s").digest()[:8])
    drawn = np.random.default_rng(seed).integers(61, size=(RESAMPLES, 61))
    base, candidate = np.quantile(pairs[:, drawn], quantile, axis=2)
    low, high = np.quantile(candidate / base, [0.05, 0.95])
    found = quantile_ratio(*pairs.tolist(), quantile=quantile, alpha=0.05, seed="s")
    assert found.interval == pytest.approx((low, high))


def test_journal_drops_an_incomplete_line_and_continues(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    with AnswerJournal(path) as journal:
        journal.add(answer("baseline", 1, "a\u2028b"))
        journal.add(answer("candidate", 1, None))
    with path.open("a") as file:
        file.write('{"arm": "base')
    with AnswerJournal(path) as journal:
        assert set(journal.answers) == {("baseline", "1", 0), ("candidate", "1", 0)}
        journal.add(answer("baseline", 2, "c"))
        journal.drop(lambda a: a.error is not None)
    with AnswerJournal(path) as journal:
        assert [a.text for a in journal.answers.values()] == ["a\u2028b", "c"]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_crash_while_answers_are_dropped_loses_none_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "answers.jsonl"
    writes = os.fdopen

    def killed(descriptor: int, mode: str) -> object:
        if mode == "wb":
            raise KeyboardInterrupt
        return writes(descriptor, mode)

    with AnswerJournal(path) as journal:
        journal.add(answer("baseline", 1, "paid"))
        journal.add(answer("candidate", 1, None))
        monkeypatch.setattr(os, "fdopen", killed)
        with pytest.raises(KeyboardInterrupt):
            journal.drop(lambda a: a.error is not None)
    with AnswerJournal(path) as journal:
        assert [a.text for a in journal.answers.values()] == ["paid", None]


@pytest.mark.parametrize(
    ("change", "field"), [({"margin_points": "101"}, "margin_points"), ({"goal": "best"}, "goal")]
)
def test_wrong_input_names_the_field(change: dict[str, str], field: str) -> None:
    with pytest.raises(ProgramFailure, match=field):
        request(**change)


def test_final_result_is_kept_and_a_transient_failure_is_tried_again(tmp_path: Path) -> None:
    calls: list[int] = []

    def fails_once(work: WorkDir) -> dict[str, int]:
        calls.append(1)
        if len(calls) == 1:
            raise ProgramFailure("HubUnavailable", "down", transient=True)
        return {"n": len(calls)}

    assert run_program(fails_once, tmp_path) == 1
    result = json.loads((tmp_path / "result.json").read_text())
    assert result.pop("calls")["services"] == {}
    assert result == {
        "ok": False,
        "reason": "HubUnavailable",
        "message": "down",
        "transient": True,
    }
    assert run_program(fails_once, tmp_path) == 0
    assert run_program(fails_once, tmp_path) == 0
    assert len(calls) == 2


def test_unexpected_error_is_a_result_without_its_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def breaks(work: WorkDir) -> dict[str, int]:
        raise RuntimeError("holds hf_secret")

    assert run_program(breaks, tmp_path) == 1
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["reason"] == "InternalError"
    assert "hf_secret" not in result["message"]
