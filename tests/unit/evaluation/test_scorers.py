"""Every scorer gives each answer a score from 0 to 1 or none, and says what does not fit it before anything is paid."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.evaluation.asked import QUESTIONS, answer, request
from tests.unit.evaluation.own_scorers import install

from modelops.evaluation.evaluate import unscored_answer_findings
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS
from modelops.evaluation.scored_answers import score_answers
from modelops.evaluation.scorers import own
from modelops.evaluation.scorers.choice import require_scorer, scorer_of, select
from modelops.evaluation.scorers.interface import MOST_SLOW, Score, Scorer, ToScore
from modelops.workdir import ProgramFailure


def scorer(kind: str, **more: Any) -> Scorer:
    return scorer_of(request(scorer={"type": kind, "threshold": "1", **more}))


def question(target: str = "yes", **more: Any) -> Question:
    return replace(QUESTIONS[0], target=target, **more)


def score(found: Scorer, text: str, asked: Question, calls: Sequence[Any] = ()) -> Score:
    return found.scores([ToScore(question=asked, text=text, calls=tuple(calls))])[0]


def selected(kind: str, *questions: Question) -> list[str]:
    """The findings."""
    findings: list[str] = []
    assert select(scorer(kind), questions, findings) == list(questions)
    return findings


@pytest.mark.parametrize(
    ("text", "target", "low", "high"),
    [
        ("Return the size.", "Return the size.", 1.0, 1.0),
        ("Returns the size of it.", "Return the size.", 0.5, 0.99),
        ("ファイルのサイズをバイト単位で返す", "ファイルのサイズをバイト単位で返します", 0.7, 0.99),
        ("Nothing alike", "完全に別の文です", 0.0, 0.01),
        ("x", "", 0.0, 0.0),
    ],
)
def test_chrf_is_the_share_of_common_letter_sequences(
    text: str, target: str, low: float, high: float
) -> None:
    value = score(scorer("chrF"), text, question(target)).value
    assert value is not None
    assert low <= value <= high


def test_the_regex_is_the_examples_pattern_or_its_expected_answer() -> None:
    found = scorer("regex")
    own_pattern = question("The result is 42.", outputs={"pattern": r"\b4[0-9]\b"})
    assert [score(found, text, own_pattern).value for text in ("It is 42", "It is 142")] == [1.0, 0.0]
    assert score(found, "yes, it is", question("^yes")).value == 1.0


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (question("(yes"), "expected answer is no regular expression"),
        (question("x", outputs={"pattern": "["}), "outputs.pattern is no regular expression"),
        (question("x", outputs={"pattern": 7}), "outputs.pattern is no regular expression: write a text"),
        (question("x", outputs={"pattern": ""}), "outputs.pattern is no regular expression: write a text"),
        (question("x", outputs={"pattern": "y*"}), "matches an empty answer"),
        (question("x", outputs={"pattern": "y"}), "does not match its own expected answer"),
        (question("yes"), None),
    ],
)
def test_an_expression_that_no_answer_could_meet_is_a_fault_of_the_example(
    asked: Question, says: str | None
) -> None:
    fault = scorer("regex").fault(asked)
    assert fault is None if says is None else fault is not None and says in fault


def test_expressions_that_are_too_slow_for_many_answers_refuse_the_evaluation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("modelops.evaluation.scorers.interface.READ_SECONDS", 0.02)
    slow = ToScore(question=question("x", outputs={"pattern": "^(a+)+$"}), text="a" * 40 + "!")
    assert scorer("regex").scores([slow])[0].value is None
    with pytest.raises(ProgramFailure, match="simplify the expressions") as failure:
        scorer("regex").scores([slow] * MOST_SLOW)
    assert failure.value.reason == "ScorerFailed"


@pytest.mark.parametrize("kind", ["tokenF1", "chrF"])
def test_a_scorer_for_prose_doubts_examples_that_are_code(kind: str) -> None:
    code = [question(f"return x + {n}", example=str(n)) for n in range(3)]
    prose = question("Return the sum of both numbers.", example="p")
    findings = selected(kind, *code, prose)
    assert len(findings) == 1
    assert findings[0].startswith(
        f"scorer {kind} is fit for prose only, and 3 of 4 expected answers look like code"
    )
    assert not selected(kind, prose)
    assert not selected("exact", *code)


def test_tests_that_the_scorer_does_not_run_are_a_finding() -> None:
    tested = [question(outputs={"tests": "assert add(1, 2) == 3"}, example=str(n)) for n in range(2)]
    assert selected("exact", *tested, question(example="x")) == [
        "2 of 3 examples have outputs.tests, which scorer exact does not run. Scorer tests does"
    ]
    assert not selected("exact", question(outputs={"tests": ""}))


@pytest.mark.parametrize(
    ("targets", "write"),
    [
        (["[1]", '{"a": 2}'], "most are JSON: write scorer: {type: json} into"),
        (["yes", "no"], "most are short labels: write scorer: {type: exact} into"),
        (
            ["Return the size of the file."],
            'most are prose: write scorer: {type: chrF, threshold: "0.5"} into one of the two fields. Choose the',
        ),
    ],
)
def test_without_a_scorer_the_evaluation_is_refused_with_the_one_that_fits(
    targets: list[str], write: str
) -> None:
    questions = [question(target, example=str(n)) for n, target in enumerate(targets)]
    with pytest.raises(ProgramFailure) as failure:
        require_scorer(request(scorer=None), questions)
    assert failure.value.reason == "ScorerMissing"
    assert "nothing says how answers are scored" in str(failure.value)
    assert write in str(failure.value)


CALL = {"type": "function", "function": {"name": "read", "arguments": '{"path": "a", "lines": 1}'}}


def call(name: str = "read", arguments: Any = '{"lines": 1, "path": "a"}', **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("calls", "text", "value"),
    [
        ([CALL], "", 1.0),
        ([call(id="call_7")], "I read it.", 1.0),
        ([call(arguments={"path": "a", "lines": 1.0})], "", 1.0),
        ([call(arguments='{"path": "a", "lines": true}')], "", 0.0),
        ([call(arguments='{"path": "a", "lines": "1"}')], "", 0.0),
        ([call(name="write")], "", 0.0),
        ([CALL, CALL], "", 0.0),
        ([], "read a", 0.0),
        ([call(arguments='{"path": ')], "", None),
        ([call(arguments='{"path": ' + "[" * 5000)], "", None),
    ],
)
@pytest.mark.parametrize("kind", ["exact", "json", "chrF"])
def test_a_call_of_a_tool_is_compared_by_name_and_arguments_with_their_types(
    kind: str, calls: list[dict[str, Any]], text: str, value: float | None
) -> None:
    asked = question("", calls=(CALL,), tools=({"type": "function", "function": {"name": "read"}},))
    assert scorer(kind).fault(asked) is None
    assert score(scorer(kind), text, asked, calls).value == value


def test_several_calls_are_the_same_in_any_order_and_each_once() -> None:
    two = (call("a", "{}"), call("b", ""))
    asked = question("", calls=two)
    assert score(scorer("exact"), "", asked, [call("b", "{}"), call("a", None)]).value == 1.0
    assert score(scorer("exact"), "", asked, [call("a", "{}"), call("a", "{}")]).value == 0.0


def test_a_call_where_a_text_is_expected_is_no_success() -> None:
    assert score(scorer("exact"), "yes", question("yes"), [CALL]).value == 0.0


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(install(tmp_path))


@pytest.mark.usefixtures("installed")
def test_a_teams_own_scorer_gets_inputs_the_answer_and_the_reference() -> None:
    asked = question("abc", outputs={"text": "abc"})
    assert score(scorer("custom", name="length"), "xyz", asked) == Score(value=1.0, comment="by length")
    assert score(scorer("custom", name="half"), "xyz", asked).value == 0.5
    assert score(scorer("custom", name="calls"), "", asked, [CALL]).value == 1.0


@pytest.mark.usefixtures("installed")
def test_a_scorer_that_changes_the_reference_compares_the_next_answer_with_all_of_it() -> None:
    """The answers of both models to an example are scored one after the other."""
    asked, found = question("abc", outputs={"texts": ["abc"]}), scorer("custom", name="uses_up")
    assert [score(found, "abc", asked).value for _ in range(2)] == [1.0, 1.0]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raises", "scorer raises failed with KeyError: 'no such field'"),
        ("above", "1.5 is no score from 0 to 1"),
        ("nothing", "None is no score from 0 to 1"),
        ("nan", "nan is no score from 0 to 1"),
    ],
)
def test_what_a_teams_own_scorer_gets_wrong_is_one_answer_without_a_score_and_a_finding(
    name: str, says: str
) -> None:
    asked = request(scorer={"type": "custom", "name": name, "threshold": "0"})
    answers = [answer(arm, n, "<yes>") for n in range(100) for arm in ARMS]
    scores = score_answers(asked, QUESTIONS, answers)
    assert {one.value for one in scores.values()} == {None}
    outcome = compare_arms(asked, QUESTIONS, answers, scores)
    assert (outcome.arms["candidate"].success, outcome.verdict) == (0.0, "inconclusive")
    finding = unscored_answer_findings(asked, "candidate", outcome.arms["candidate"])[0]
    assert (
        f"100 of 100 answers could not be read by spec.prompt.parse (regex) and scorer custom {name}"
        in finding
    )
    assert says in finding


@pytest.mark.usefixtures("installed")
def test_a_teams_own_scorer_that_never_ends_is_stopped_and_refused_after_some_answers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(own, "OWN_SECONDS", 0.02)
    found = scorer("custom", name="slow")
    assert score(found, "x", question()).comment == "scorer slow takes more than 0.02 s of time"
    with pytest.raises(ProgramFailure, match=r"scorer slow takes .* each of 20 answers; make it faster"):
        found.scores([ToScore(question=question(), text="x")] * MOST_SLOW)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "reason", "says"),
    [
        (
            "lenght",
            "ScorerUnknown",
            "no package .* in the group modelops.scorers. It has above, broken, calls",
        ),
        ("broken", "ScorerFailed", "cannot be loaded: ModuleNotFoundError"),
        ("later", "ScorerFailed", "is no plain function"),
        ("no_function", "ScorerFailed", "is no plain function"),
    ],
)
def test_a_scorer_that_cannot_be_had_is_refused_by_name(name: str, reason: str, says: str) -> None:
    with pytest.raises(ProgramFailure, match=says) as failure:
        scorer("custom", name=name)
    assert (failure.value.reason, failure.value.transient) == (reason, False)
