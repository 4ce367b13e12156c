"""Reading an answer is bounded in processor time, whatever the pattern of the prompt contract is."""

import time
from dataclasses import replace

import pytest
from tests.unit.evaluation.asked import QUESTIONS, answer, request

from modelops.datasets.download import Example
from modelops.evaluation import scored_answers as scored_answers_module
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question_of_example import question_of
from modelops.evaluation.request import ARMS, Request
from modelops.evaluation.scored_answers import NO_SCORE, score_answers
from modelops.evaluation.scorers.interface import MOST_SLOW
from modelops.evaluation.time_limit import TooSlow, processor_time_limit
from modelops.workdir import ProgramFailure

# Four repetitions in a row. On 500 letters without the end this takes about a second: slow, and harmless.
SLOW_PATTERN = "^[a-z]*[a-z]*[a-z]*[a-z]*;$"
CUT_OFF = "a" * 500


@pytest.fixture(autouse=True)
def _short_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored_answers_module, "READ_SECONDS", 0.02)


def asked() -> Request:
    prompt = {**request().prompt.wire(), "parse": {"type": "regex", "pattern": SLOW_PATTERN}}
    return request(prompt=prompt)


def test_an_answer_that_takes_too_long_to_read_is_one_failed_answer() -> None:
    questions = [replace(QUESTIONS[0], example=str(n), target="ok;") for n in range(100)]
    answers = [
        answer(arm, n, CUT_OFF if (arm, n) == ("candidate", 3) else "ok;") for n in range(100) for arm in ARMS
    ]
    began = time.process_time()
    outcome = compare_arms(asked(), questions, answers, score_answers(asked(), questions, answers))
    used = time.process_time() - began
    assert (outcome.arms["baseline"].success, outcome.arms["candidate"].success) == (1.0, 0.99)
    with pytest.raises(TooSlow), processor_time_limit(3 * used):
        score_of_the_same_answer_without_a_limit()


def score_of_the_same_answer_without_a_limit() -> None:
    import re

    re.search(SLOW_PATTERN, CUT_OFF)


def test_a_pattern_that_is_too_slow_for_many_answers_is_refused_by_name() -> None:
    answers = [answer(arm, n, CUT_OFF) for n in range(100) for arm in ARMS]
    with pytest.raises(
        ProgramFailure, match=rf"spec\.prompt\.parse takes .* each of {MOST_SLOW} answers"
    ) as failure:
        score_answers(asked(), QUESTIONS, answers)
    assert (failure.value.reason, failure.value.transient) == ("PromptRenderFailed", False)


def test_only_a_pattern_is_to_be_simplified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scored_answers_module, "READ_SECONDS", 1e-6)
    as_json = request(prompt={**request().prompt.wire(), "parse": {"type": "json"}})
    long = f"[{'1,' * 500_000}1]"
    answers = [answer("candidate", n, long) for n in range(MOST_SLOW)]
    assert set(score_answers(as_json, QUESTIONS, answers).values()) == {NO_SCORE}


def test_a_target_that_takes_too_long_to_read_is_refused_before_any_question_is_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modelops.evaluation.question_of_example.READ_SECONDS", 0.02)
    example = Example(id="e1", inputs={"task": "x"}, outputs={"text": CUT_OFF}, metadata={})
    with pytest.raises(ProgramFailure, match="target of example e1") as failure:
        question_of(example, request=asked(), scorer=None)
    assert failure.value.reason == "PromptRenderFailed"


def test_the_limit_counts_processor_time_and_leaves_nothing_behind() -> None:
    import signal

    before = signal.getsignal(signal.SIGVTALRM)
    with processor_time_limit(5.0):
        pass
    assert signal.getsignal(signal.SIGVTALRM) is before
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
