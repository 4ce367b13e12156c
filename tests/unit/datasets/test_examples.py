"""Whose content is in the rows: copies that were left out, and both answers of a pair."""

from tests.unit.datasets.test_preferences import candidate

from modelops.datasets.choosing import distinct, preferences
from modelops.datasets.examples import Holdings
from modelops.datasets.report import Report


def test_a_copy_that_was_left_out_is_in_the_data_all_the_same() -> None:
    kept = [candidate(2, target=b"x"), candidate(1, target=b"x"), candidate(3, target=b"y")]
    rows = distinct(kept, report=Report())
    assert [row.id for row in rows] == ["e2", "e3"]
    assert Holdings(kept).ids(rows) == ["e1", "e2", "e3"]
    assert Holdings(kept).ids(rows[1:]) == ["e3"]


def test_the_rejected_answer_of_a_pair_is_in_the_data() -> None:
    kept = [candidate(0), candidate(1, success=False), candidate(2, group="other")]
    assert Holdings(kept).ids(preferences(kept, scores={}, report=Report())) == ["e0", "e1"]
