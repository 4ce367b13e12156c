"""Which examples are used: those of the agent, that are a success, and whose shape is right, in this order."""

from pathlib import Path
from typing import Any

import pytest
from tests.cases.prepared_dataset import example, prepared

GOOD = [example(f"task {number}", f"Answer {number}.") for number in range(6)]
NOTHING: dict[str, Any] = {"inputs": {"task": "x"}, "outputs": None}


@pytest.mark.parametrize(
    ("metadata", "finding"),
    [
        ({"success": False}, "1 example without metadata.success true was left out"),
        ({"success": None}, "1 example without metadata.success true was left out"),
        ({"agent": "cicd"}, "1 example of other agents (cicd) was left out"),
        ({"agent": "cicd", "success": "maybe"}, "1 example of other agents (cicd) was left out"),
    ],
)
def test_an_example_that_is_left_out_refuses_no_others(
    metadata: dict[str, Any], finding: str, tmp_path: Path
) -> None:
    result = prepared(tmp_path, [*GOOD, {**NOTHING, "metadata": metadata}]).result
    assert result["ok"], result
    assert (result["rows"], result["findings"]) == (6, [finding])


def test_an_example_that_is_used_needs_its_outputs(tmp_path: Path) -> None:
    result = prepared(tmp_path, [*GOOD, {**NOTHING, "metadata": {"success": "true"}}]).result
    assert "1 of 7 examples" in result["message"]
    assert "the first is example example-006, its `outputs`" in result["message"]


@pytest.mark.parametrize(("text", "rows"), [("true", 12), ("True", 12), ("false", 6), (" FALSE", 6)])
def test_true_and_false_as_texts_are_read(text: str, rows: int, tmp_path: Path) -> None:
    judged = [{**example(f"more {number}"), "metadata": {"success": text}} for number in range(6)]
    result = prepared(tmp_path, [*GOOD, *judged]).result
    assert result["ok"], result
    assert result["rows"] == rows


@pytest.mark.parametrize("value", [1, 0, "yes", "", [], {}, 0.5])
def test_any_other_success_is_refused_by_example_and_field(value: object, tmp_path: Path) -> None:
    result = prepared(tmp_path, [*GOOD, {**GOOD[0], "metadata": {"success": value}}], method="dpo").result
    assert result["reason"] == "DatasetShapeInvalid"
    assert result["message"] == (
        "metadata.success of 1 of 7 examples of dataset 'source' is neither true nor false nor null; the first is "
        "example example-006. Correct it"
    )


def test_an_answer_that_nobody_judged_is_on_no_side_of_a_pair(tmp_path: Path) -> None:
    judged = [
        {**example(f"task {number}", f"{text} {number}"), "metadata": {"success": success}}
        for number in range(8)
        for text, success in (("good", "true"), ("bad", "false"), ("unjudged", None))
    ]
    judged.append({**NOTHING, "metadata": {"success": None}})
    both = {
        "inputs": {"task": "y"},
        "outputs": {"chosen": "A.", "rejected": "B."},
        "metadata": {"success": None},
    }
    found = prepared(tmp_path, [*judged, both], method="dpo")
    assert found.result["ok"], found.result
    rows = found.train + found.test
    assert sorted((row["chosen"][0]["content"], row["rejected"][0]["content"]) for row in rows) == [
        ("A.", "B."),
        *((f"good {number}", f"bad {number}") for number in range(8)),
    ]
    said = "9 examples with metadata.success null were left out, because nobody judged them"
    assert said in found.result["findings"]
    assert found.result["report"]["left_out"]["not_judged"] == 9


def test_a_dataset_that_nobody_judged_has_no_pairs(tmp_path: Path) -> None:
    unjudged = [{**one, "metadata": {"success": None}} for one in GOOD]
    result = prepared(tmp_path, unjudged, method="dpo").result
    assert "has metadata.success true or false; examples that nobody judged are no pairs" in result["message"]
