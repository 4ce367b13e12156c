"""Evaluations with ordinary inputs that once had the wrong outcome."""

from dataclasses import replace

import pytest
from tests.unit.evaluation.asked import QUESTIONS, answer, request

from modelops.domain.gates.scoring import equal_json, token_f1
from modelops.evaluation import scored_answers as scored_answers_module
from modelops.evaluation.evaluate import require_answers_of_candidate, unscored_answer_findings
from modelops.evaluation.outcome import Outcome, compare_arms
from modelops.evaluation.request import ARMS, Request
from modelops.evaluation.result import result_document
from modelops.evaluation.scored_answers import NO_SCORE, score_answers
from modelops.evaluation.scorers.choice import require_scorer, scorer_of, select
from modelops.workdir import ProgramFailure

PROSE = "Removes the entry, and returns whether there was one."


def evaluated(asked: Request, *, baseline: str | None, candidate: str | None) -> Outcome:
    texts = {"baseline": baseline, "candidate": candidate}
    answers = [answer(arm, n, texts[arm]) for n in range(100) for arm in ARMS]
    scores = score_answers(asked, QUESTIONS, answers)
    outcome = compare_arms(asked, QUESTIONS, answers, scores)
    require_answers_of_candidate(asked, outcome, answers)
    return outcome


def as_text(**changes: object) -> Request:
    prompt = request().prompt.model_copy(update={"parse": None}).wire()
    return request(prompt=prompt, **changes)


def test_prose_that_no_model_reproduces_exactly_is_inconclusive_and_a_better_scorer_is_named() -> None:
    asked = as_text()
    explained = result_document(asked, evaluated(asked, baseline=PROSE, candidate=PROSE))
    assert explained["verdict"] == "inconclusive"
    assert "set spec.evaluation.scorer to chrF" in explained["explain"]


def test_prose_without_a_scorer_is_refused_before_anything_is_paid_and_the_message_suggests_one() -> None:
    questions = [replace(QUESTIONS[0], example=str(n), target=PROSE) for n in range(100)]
    with pytest.raises(ProgramFailure, match=r"are prose: write scorer: \{type: chrF, threshold"):
        require_scorer(request(scorer=None), questions)


def with_successes(asked: Request, *, baseline: int, candidate: int, of: int) -> Outcome:
    """Each model succeeds on the first examples only."""
    questions = [replace(QUESTIONS[0], example=str(n), target="yes") for n in range(of)]
    successes = {"baseline": baseline, "candidate": candidate}
    answers = [answer(arm, n, "yes" if n < successes[arm] else "no") for n in range(of) for arm in ARMS]
    return compare_arms(asked, questions, answers, score_answers(asked, questions, answers))


@pytest.mark.parametrize(
    ("baseline", "candidate", "verdict"),
    [
        (0, 0, "inconclusive"),
        (1, 0, "inconclusive"),
        (1, 1, "inconclusive"),
        (0, 1, "inconclusive"),
        (1, 20, "pass"),
    ],
)
def test_where_a_model_without_success_would_pass_only_a_better_candidate_passes(
    baseline: int, candidate: int, verdict: str
) -> None:
    asked = as_text()
    explained = result_document(asked, with_successes(asked, baseline=baseline, candidate=candidate, of=119))
    assert explained["verdict"] == verdict
    assert ("set spec.evaluation.scorer to chrF" in explained["explain"]) == (verdict == "inconclusive")


def test_answers_that_the_parser_cannot_read_are_counted_for_each_model() -> None:
    asked = request()
    texts = {"baseline": ["yes"] * 99 + ["<no>"], "candidate": ["<yes>"] * 97 + ["  ", "yes", "yes"]}
    answers = [answer(arm, n, texts[arm][n]) for n in range(100) for arm in ARMS]
    outcome = compare_arms(asked, QUESTIONS, answers, score_answers(asked, QUESTIONS, answers))
    baseline = unscored_answer_findings(asked, "baseline", outcome.arms["baseline"])
    assert [words.partition(". ")[0] for words in baseline] == [
        "baseline v1.0.0: 99 of 100 answers could not be read by spec.prompt.parse (regex), and count as no success"
    ]
    candidate = unscored_answer_findings(asked, "candidate", outcome.arms["candidate"])
    assert [words.partition(",")[0] for words in candidate] == [
        "candidate v1.1.0-rc.1: 2 of 100 answers could not be read by spec.prompt.parse (regex)",
        "candidate v1.1.0-rc.1: 1 of 100 answers was empty",
    ]


def test_equal_models_that_often_succeed_pass() -> None:
    asked = as_text()
    outcome = with_successes(asked, baseline=30, candidate=30, of=119)
    assert (outcome.verdict, outcome.blindness) == ("pass", None)


def test_candidate_that_fails_every_call_is_refused_beside_a_baseline_without_success() -> None:
    with pytest.raises(ProgramFailure, match="does not answer"):
        evaluated(as_text(), baseline=PROSE, candidate=None)


def test_candidate_whose_calls_all_fail_does_not_pass_at_threshold_0() -> None:
    asked = as_text(scorer={"type": "exact", "threshold": "0"})
    assert evaluated(asked, baseline="yes", candidate=None).verdict == "fail"


@pytest.mark.parametrize("text", ['{"n": ' + "9" * 5000 + "}", "[" * 1500])
@pytest.mark.parametrize("parse", [{"type": "json"}, {"type": "text"}])
def test_one_answer_that_cannot_be_read_is_one_failed_answer(text: str, parse: dict[str, str]) -> None:
    asked = request(
        prompt={**request().prompt.wire(), "parse": parse}, scorer={"type": "json", "threshold": "1"}
    )
    questions = [replace(QUESTIONS[0], example=str(n), target="[1]") for n in range(100)]
    answers = [
        answer(arm, n, text if (arm, n) == ("candidate", 7) else "[1]") for n in range(100) for arm in ARMS
    ]
    outcome = compare_arms(asked, questions, answers, score_answers(asked, questions, answers))
    assert (outcome.arms["baseline"].success, outcome.arms["candidate"].success) == (1.0, 0.99)


def test_json_true_is_not_the_number_1() -> None:
    assert equal_json('{"ok": 1}', '{"ok": true}') == 0.0


def test_words_do_not_tell_programs_apart_and_the_findings_say_so() -> None:
    assert token_f1("x - y", "x + y") == 1.0
    findings: list[str] = []
    program = replace(QUESTIONS[0], target="x + y", outputs={"tests": "assert f(1, 2) == 3"})
    words = scorer_of(request(scorer={"type": "tokenF1", "threshold": "1"}))
    select(words, [program], findings)
    assert [one.partition(",")[0] for one in findings] == [
        "1 of 1 example has outputs.tests",
        "scorer tokenF1 is fit for prose only",
    ]


def test_nearly_equal_chinese_sentences_score_nearly_1() -> None:
    assert token_f1("返回文件大小", "返回文件的大小") > 0.9


READ = {"type": "function", "function": {"name": "read", "arguments": '{"path": "a", "all": true}'}}


@pytest.mark.parametrize(
    ("arguments", "success"), [('{"all": true, "path": "a"}', 1.0), ('{"all": 1, "path": "a"}', 0.0)]
)
def test_a_call_of_a_tool_is_an_answer(arguments: str, success: float) -> None:
    tools = ({"type": "function", "function": {"name": "read"}},)
    called = replace(QUESTIONS[0], target="", tools=tools, calls=(READ,))
    questions = [replace(called, example=str(n)) for n in range(100)]
    call = {"type": "function", "function": {"name": "read", "arguments": arguments}}
    answers = [answer(arm, n, "", calls=(call,)) for n in range(100) for arm in ARMS]
    asked = as_text()
    outcome = compare_arms(asked, questions, answers, score_answers(asked, questions, answers))
    assert (outcome.arms["candidate"].success, outcome.arms["candidate"].empty) == (success, 0)


def test_pattern_that_takes_too_long_on_a_cut_off_answer_fails_that_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(scored_answers_module, "READ_SECONDS", 0.02)
    pattern = {"type": "regex", "pattern": "^[a-z]*[a-z]*[a-z]*[a-z]*;$"}
    asked = request(prompt={**request().prompt.wire(), "parse": pattern})
    questions = [replace(QUESTIONS[0], target="ok;")]
    answers = [answer("candidate", 0, "a" * 500)]
    assert score_answers(asked, questions, answers) == {("candidate", "0", 0): NO_SCORE}
