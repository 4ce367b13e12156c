"""Pairs of a better and a worse answer to the same question."""

from typing import Any

from modelops.datasets.choosing import Row, distinct, preferences
from modelops.datasets.report import Report
from modelops.datasets.rows import Candidate


def candidate(number: int, **fields: Any) -> Candidate:
    given: dict[str, Any] = {
        "id": f"e{number}",
        "number": number,
        "place": 0,
        "group": "g",
        "target": str(number).encode(),
        "tokens": 10,
        "success": True,
        "preferred": None,
        "key": None,
        "source_run": "",
    }
    return Candidate(**{**given, **fields})


def ids(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.better.id, row.worse.id if row.worse else "") for row in rows]


def test_each_failure_is_paired_with_a_success_on_the_same_inputs() -> None:
    report = Report()
    found = preferences(
        [
            candidate(0),
            candidate(1),
            candidate(2, success=False),
            candidate(3, success=False),
            candidate(4, success=False),
            candidate(5, success=False, group="other"),
        ],
        scores={},
        report=report,
    )
    assert ids(found) == [("e0", "e2"), ("e1", "e3"), ("e0", "e4")]
    assert report.figures["pairs"]["success_and_failure"] == 3


def test_both_answers_of_one_example_are_a_pair_whatever_its_success() -> None:
    both = [
        candidate(0, id="e", preferred=True, success=False),
        candidate(1, id="e", preferred=False, success=False),
    ]
    assert ids(preferences(both, scores={}, report=Report())) == [("e", "e")]


def test_lower_scores_are_paired_with_the_best_one() -> None:
    members = [candidate(n, source_run=f"r{n}") for n in range(4)]
    scores = {"r0": 0.5, "r1": 1.0, "r2": 1.0}
    assert ids(preferences(members, scores=scores, report=Report())) == [("e1", "e0")]


def test_equal_answers_are_no_pair_and_a_contradiction_is_found() -> None:
    report = Report()
    found = preferences(
        [
            candidate(0, target=b"a"),
            candidate(1, target=b"a", success=False),
            candidate(2, target=b"b", success=False),
            candidate(3, id="x", target=b"b", preferred=True),
            candidate(4, id="x", target=b"a", preferred=False),
        ],
        scores={},
        report=report,
    )
    assert ids(found) == [("x", "x"), ("e0", "e2")]
    assert report.findings == [
        "1 pairs of answers are preferred both ways round",
        "1 pairs of equal answers or repeated pairs were left out",
    ]


def test_a_pair_reads_both_sequences() -> None:
    pair = Row(better=candidate(0, tokens=7), worse=candidate(1, tokens=9))
    assert (pair.tokens, pair.longest) == (16, 9)


def test_distinct_keeps_the_first_of_equal_answers() -> None:
    report = Report()
    rows = distinct([candidate(0), candidate(1, target=b"0"), candidate(2)], report=report)
    assert [row.id for row in rows] == ["e0", "e2"]
    assert report.findings == [
        "1 duplicates were left out",
        "1 examples have the same inputs as another one but a different target",
    ]
