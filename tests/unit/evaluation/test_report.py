"""The report of an evaluation: which examples it shows, and that nothing that a model writes formats it."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from tests.unit.evaluation.asked import answer, request

from modelops.domain.gates.verdict import Verdict
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.report.content import MOST_CASES, MOST_CHARACTERS, Report, report_of
from modelops.evaluation.report.html import html
from modelops.evaluation.report.interval_picture import interval_picture
from modelops.evaluation.report.markdown import markdown
from modelops.evaluation.report.publish import publish_report
from modelops.evaluation.request import ARMS
from modelops.evaluation.scored_answers import score_answers

HOSTILE = "</pre><script>alert(1)</script> ``` ![x](http://example.com) | *b* [l](http://example.com) # h"
FORMATS = {"prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"}}


def report(
    *,
    losses: dict[int, str],
    repetitions: int = 1,
    gains: int = 0,
    findings: tuple[str, ...] = (),
    wanted: str = "yes",
    judge: str = "",
) -> Report:
    """100 questions. The candidate gives the answers of `losses`; `gains` questions are solved by it alone."""
    asked = request(**FORMATS, repetitions=repetitions)
    questions = [
        Question(
            example=str(n),
            inputs={},
            messages=({"role": "user", "content": f"question {n}"},),
            target=wanted,
            metadata={"kind": "even" if n % 2 == 0 else "odd", "number": n, "parts": ["a"]},
        )
        for n in range(100)
    ]
    answers = []
    for n in range(100):
        for k in range(repetitions):
            answers.append(answer("baseline", n, "no" if n >= 100 - gains else wanted, repetition=k))
            lost = n in losses and k == repetitions - 1
            answers.append(answer("candidate", n, losses[n] if lost else wanted, repetition=k))
    scores = score_answers(asked, questions, answers)
    outcome = compare_arms(asked, questions, answers, scores)
    return report_of(
        asked,
        outcome,
        questions,
        answers,
        scores,
        explanation="Of 100 held-out examples",
        dataset="held out as of today",
        findings=findings,
        experiment_url="https://smith.example.com/compare",
        judge=judge,
    )


class Tags(HTMLParser):
    """The page's tags, attributes and texts, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_worst_examples_are_side_by_side_and_all_are_counted() -> None:
    found = report(losses={n: f"wrong {n}" for n in range(15)}, gains=3)
    assert (found.lost, found.gained, len(found.regressions)) == (15, 3, MOST_CASES)
    first = found.regressions[0]
    assert (first.question, first.expected) == ("question 0", "yes")
    assert first.answers == {"baseline": "yes", "candidate": "wrong 0"}
    assert first.scores == {"baseline": 1.0, "candidate": 0.0}
    for page in (markdown(found), html(found)):
        assert "The candidate fails 15 examples that the baseline solves, and solves 3 examples" in page
        assert "The 10 worst are below." in page
        assert "wrong 0" in page
        assert "https://smith.example.com/compare" in page


def test_the_repetition_in_which_the_candidate_lost_is_shown() -> None:
    found = report(losses={7: "wrong once"}, repetitions=3)
    assert [case.answers["candidate"] for case in found.regressions] == ["wrong once"]


def test_a_failed_call_has_its_error_in_the_place_of_the_answer() -> None:
    asked, question = request(**FORMATS), Question(example="0", inputs={}, messages=(), target="yes")
    answers = [answer("baseline", 0, "yes"), answer("candidate", 0, None)]
    scores = score_answers(asked, [question], answers)
    outcome = compare_arms(asked, [question], answers, scores)
    found = report_of(
        asked,
        outcome,
        [question],
        answers,
        scores,
        explanation="Of one example",
        dataset="d",
        findings=(),
        experiment_url="",
    )
    assert found.regressions[0].answers["candidate"] == "(the call failed: HTTP 500)"
    assert found.regressions[0].scores["candidate"] is None
    assert "LangSmith" not in markdown(found) + html(found)


def test_examples_with_personal_data_are_counted_and_not_shown() -> None:
    found = report(losses={1: "write to vera.lind@harbour-lights.se", 2: "wrong"})
    assert (len(found.regressions), found.withheld, found.lost) == (1, 1, 2)
    for page in (markdown(found), html(found)):
        assert "harbour-lights" not in page
        assert "1 example is not shown here" in page


def test_long_texts_are_cut_and_say_so() -> None:
    found = report(losses={1: "x" * (MOST_CHARACTERS + 1234)})
    assert (
        found.regressions[0].answers["candidate"] == "x" * MOST_CHARACTERS + "\n(and 1,234 characters more)"
    )


def test_what_a_model_writes_is_text_in_the_page() -> None:
    found = report(losses={1: HOSTILE}, findings=(HOSTILE,))
    page = Tags(html(found))
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert [value for name, value in page.attributes if name in ("href", "src")] == [
        "https://smith.example.com/compare"
    ]
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    assert HOSTILE in page.texts


def test_what_a_model_writes_formats_no_markdown() -> None:
    page = markdown(report(losses={1: HOSTILE}, findings=(HOSTILE,)))
    fenced = re.search(r"^(`{4,})text\n(.*?)\n\1$", page, re.MULTILINE | re.DOTALL)
    assert fenced is not None
    assert fenced[2] == HOSTILE
    outside = re.sub(r"^(`{3,})text\n.*?\n\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    assert "![x]" not in outside
    assert "<script" not in re.sub(r"\\<", "", outside)
    assert re.findall(r"(?<!\\)\]\(([^)]*)\)", outside) == [
        "interval.svg",
        "https://smith.example.com/compare",
    ]


def test_metadata_with_few_values_groups_the_examples() -> None:
    found = report(losses=dict.fromkeys(range(0, 20, 2), "wrong"))
    assert [(s.key, s.value, s.examples, s.success["candidate"]) for s in found.slices] == [
        ("kind", "even", 50, 0.8),
        ("kind", "odd", 50, 1.0),
    ]
    assert "kind = even" in html(found)


@pytest.mark.parametrize(
    ("losses", "verdict"),
    [
        ({}, Verdict.PASS),
        (dict.fromkeys(range(5), "no"), Verdict.INCONCLUSIVE),
        (dict.fromkeys(range(40), "no"), Verdict.FAIL),
    ],
)
def test_the_picture_says_where_margin_zero_and_interval_are(
    losses: dict[int, str], verdict: Verdict
) -> None:
    found = report(losses=losses)
    assert found.verdict is verdict
    root = ElementTree.fromstring(interval_picture(found))
    texts = ["".join(element.itertext()) for element in root]
    assert verdict.value in texts[0]
    assert {"equal", "margin -5", f"{found.difference:+.1f} points"} <= set(texts)
    places = [float(e.attrib["x"]) for e in root.iter() if e.tag.endswith("text")]
    assert min(places) >= 0
    assert max(places) <= 640


def test_a_candidate_without_a_data_repository_has_no_report_and_no_complaint() -> None:
    assert publish_report(report(losses={}), request()) == {}


def test_both_arms_are_named_by_their_versions() -> None:
    found = report(losses={})
    assert {found.versions[arm] for arm in ARMS} == {"v1.0.0", "v1.1.0-rc.1"}


def test_calls_of_tools_are_shown_beside_the_expected_ones() -> None:
    def call(arguments: str) -> dict[str, object]:
        return {"type": "function", "function": {"name": "read", "arguments": arguments}}

    asked, expected = request(**FORMATS), call('{"all": true}')
    question = Question(example="0", inputs={}, messages=(), target="", calls=(expected,))
    answers = [
        answer("baseline", 0, "", calls=(expected,)),
        answer("candidate", 0, "I read it.", calls=(call('{"all": 1}'),)),
    ]
    scores = score_answers(asked, [question], answers)
    found = report_of(
        asked,
        compare_arms(asked, [question], answers, scores),
        [question],
        answers,
        scores,
        explanation="Of 100 held-out examples",
        dataset="held out",
        findings=(),
        experiment_url="",
    )
    (case,) = found.regressions
    assert case.expected == 'read({"all": true})'
    assert case.answers == {"baseline": 'read({"all": true})', "candidate": 'I read it.\nread({"all": 1})'}
    assert case.scores == {"baseline": 1.0, "candidate": 0.0}


def test_what_a_judge_said_is_a_line_of_its_own() -> None:
    said = "judge a/b prefers the candidate on 3 and the baseline on 2 of 5 examples"
    for page in (markdown(report(losses={}, judge=said)), html(report(losses={}, judge=said))):
        assert said in page
        assert "judge (report only)" in page
    assert "judge" not in markdown(report(losses={}))
