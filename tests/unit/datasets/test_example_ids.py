"""Ids of the examples in the rows: duplicates that were left out, and both answers of a pair, are included."""

from tests.unit.datasets.test_preferences import completion

from modelops.datasets.example_ids import ExampleIds
from modelops.datasets.report import Report
from modelops.datasets.training_rows import build_preference_pairs, deduplicate


def test_a_duplicate_that_was_left_out_has_its_id_with_the_row() -> None:
    completions = [
        completion(2, target_digest=b"x"),
        completion(1, target_digest=b"x"),
        completion(3, target_digest=b"y"),
    ]
    rows = deduplicate(completions, report=Report())
    assert [row.id for row in rows] == ["e2", "e3"]
    assert ExampleIds(completions).of_rows(rows) == ["e1", "e2", "e3"]
    assert ExampleIds(completions).of_rows(rows[1:]) == ["e3"]


def test_the_rejected_answer_of_a_pair_has_its_id_with_the_row() -> None:
    completions = [completion(0), completion(1, success=False), completion(2, prompt_digest="other")]
    assert ExampleIds(completions).of_rows(
        build_preference_pairs(completions, scores={}, report=Report())
    ) == ["e0", "e1"]
