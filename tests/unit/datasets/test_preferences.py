"""Pairs of a better and a worse answer to the same question."""

from typing import Any

from modelops.datasets.rendered_dataset import PromptCompletion
from modelops.datasets.report import Report
from modelops.datasets.training_rows import Row, build_preference_pairs, deduplicate


def completion(number: int, **fields: Any) -> PromptCompletion:
    defaults: dict[str, Any] = {
        "id": f"e{number}",
        "number": number,
        "offset": 0,
        "prompt_digest": "g",
        "target_digest": str(number).encode(),
        "tokens": 10,
        "most_tokens": 10,
        "success": True,
        "preferred": None,
        "group_value": None,
        "source_run": "",
    }
    return PromptCompletion(**{**defaults, **fields})


def ids(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.better.id, row.worse.id if row.worse else "") for row in rows]


def test_each_failure_is_paired_with_a_success_on_the_same_inputs() -> None:
    report = Report()
    found = build_preference_pairs(
        [
            completion(0),
            completion(1),
            completion(2, success=False),
            completion(3, success=False),
            completion(4, success=False),
            completion(5, success=False, prompt_digest="other"),
        ],
        scores={},
        report=report,
    )
    assert ids(found) == [("e0", "e2"), ("e1", "e3"), ("e0", "e4")]
    assert report.figures["pairs"]["success_and_failure"] == 3


def test_no_pair_is_made_of_answers_to_two_questions() -> None:
    """`a\\n  b` and `a b` have one digest: the one may be the other, reformatted. They are two programs all the same."""
    members = [completion(0, question_digest=b"1"), completion(1, question_digest=b"2", success=False)]
    assert build_preference_pairs(members, scores={}, report=Report()) == []
    assert len(deduplicate([members[0], completion(2, target_digest=b"0")], report=Report())) == 2


def test_both_answers_of_one_example_are_a_pair_whatever_its_success() -> None:
    both = [
        completion(0, id="e", preferred=True, success=False),
        completion(1, id="e", preferred=False, success=False),
    ]
    assert ids(build_preference_pairs(both, scores={}, report=Report())) == [("e", "e")]


def test_lower_scores_are_paired_with_the_best_one() -> None:
    members = [completion(n, source_run=f"r{n}") for n in range(4)]
    scores = {"r0": 0.5, "r1": 1.0, "r2": 1.0}
    assert ids(build_preference_pairs(members, scores=scores, report=Report())) == [("e1", "e0")]


def test_equal_answers_are_no_pair_and_a_contradiction_is_reported() -> None:
    report = Report()
    found = build_preference_pairs(
        [
            completion(0, target_digest=b"a"),
            completion(1, target_digest=b"a", success=False),
            completion(2, target_digest=b"b", success=False),
            completion(3, id="x", target_digest=b"b", preferred=True),
            completion(4, id="x", target_digest=b"a", preferred=False),
        ],
        scores={},
        report=report,
    )
    assert ids(found) == [("x", "x"), ("e0", "e2")]
    assert report.findings == [
        "1 pair of answers is in the dataset in both orders of preference",
        "1 pair was left out, because its answers are equal or the pair is repeated",
    ]


def test_tokens_of_a_pair_are_those_of_both_sequences() -> None:
    pair = Row(better=completion(0, tokens=7), worse=completion(1, tokens=9))
    assert (pair.tokens, pair.longest) == (16, 9)


def test_the_first_of_equal_answers_is_kept() -> None:
    report = Report()
    rows = deduplicate([completion(0), completion(1, target_digest=b"0"), completion(2)], report=report)
    assert [row.id for row in rows] == ["e0", "e2"]
    assert report.findings == [
        "1 duplicate was left out",
        "1 example has the same prompt as another one but a different target",
    ]
