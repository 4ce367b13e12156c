"""Datasets as people have them, each with the outcome that is right."""

import random
from pathlib import Path

import pytest
from tests.cases.prepared_dataset import example, prepared

WORDS = [f"word{number}" for number in range(4000)]


def words(seed: int, count: int = 80) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


@pytest.mark.parametrize(
    ("better", "worse"), [("shift x << {}", "shift x >> {}"), ("sort {} in C++", "sort {} in C#")]
)
def test_answers_to_two_questions_that_differ_in_an_operator_are_no_pair(
    better: str, worse: str, tmp_path: Path
) -> None:
    examples = [
        one
        for number in range(25)
        for one in (
            example(better.format(number), "A good answer."),
            example(worse.format(number), "A bad answer.", success=False),
        )
    ]
    found = prepared(tmp_path, examples, method="dpo")
    assert found.result["reason"] == "MethodNotServed"
    assert "gives 0 pairs from 50 examples" in found.result["message"]


def test_questions_that_differ_in_an_operator_are_all_trained_on_and_do_not_leak(tmp_path: Path) -> None:
    marks = ["<<", ">>", "&", "|", "^", "+", "-", "*", "/", "%"]
    trained = [example(f"what is x {mark} 1", f"It is {mark}.") for mark in marks]
    found = prepared(tmp_path, trained, evaluation=[example("what is x ** 1"), example("what is x // 1")])
    assert found.result["ok"], found.result
    assert found.result["rows"] == len(marks)
    assert found.result["findings"] == []


@pytest.mark.parametrize("size", [10, 12, 40, 90])
def test_near_copies_are_on_one_side_of_the_split_however_many_they_are(size: int, tmp_path: Path) -> None:
    copies = [example(f"{words(0)} number {number}", f"Answer {number}.") for number in range(size)]
    others = [example(words(seed), f"Other {seed}.") for seed in range(1, 101 - size)]
    found = prepared(tmp_path, [*copies, *others], min_examples=20)
    assert found.result["ok"], found.result
    sides = [
        sum(words(0) in row["messages"][0]["content"] for row in side) for side in (found.train, found.test)
    ]
    assert sorted(sides) == [0, size]
    assert (
        f"{size - 1} examples are near-copies of another one and stay on its side of the split"
        in found.result["findings"]
    )


def test_near_copies_of_a_large_family_in_the_evaluation_are_counted(tmp_path: Path) -> None:
    copies = [example(f"{words(0)} number {number}", f"Answer {number}.") for number in range(12)]
    others = [example(words(seed), f"Other {seed}.") for seed in range(1, 89)]
    evaluation = [example(f"{words(0)} number 1000"), example(words(1000))]
    found = prepared(tmp_path, [*copies, *others], evaluation=evaluation)
    assert found.result["report"]["evaluation"]["near_the_training"] == 1


def test_questions_after_a_long_instruction_are_not_one_family(tmp_path: Path) -> None:
    examples = [example(f"{words(0, 200)} {words(seed, 4)}", f"Answer {seed}.") for seed in range(1, 51)]
    found = prepared(tmp_path, examples)
    assert found.result["ok"], found.result
    assert found.result["report"]["groups"]["count"] == 50


@pytest.mark.parametrize("text", ["+1700000000", "part 400-500-6000", "y = x@self.weight", r"\n@app.route"])
def test_code_and_numbers_are_no_personal_data(text: str, tmp_path: Path) -> None:
    found = prepared(tmp_path, [example(f"task {number}", f"{text}\n{number}") for number in range(4)])
    assert found.result["ok"], found.result


def test_sensitive_content_is_named_by_row_and_field_and_one_row_can_be_left_out(tmp_path: Path) -> None:
    examples = [example(words(seed), f"Answer {seed}.") for seed in range(20)]
    examples[7]["outputs"]["text"] = "Ask jane.doe@acme-corp.com."
    examples[9]["inputs"]["task"] += " or call (212) 736-5000"
    refused = prepared(tmp_path, examples).result
    assert refused["reason"] == "SensitiveContent"
    assert "1 with an e-mail address (example-007) in outputs.text" in refused["message"]
    assert "1 with a phone number (example-009) in inputs.task" in refused["message"]
    assert "spec.dataset.leaveOutSensitive: [email, phone]" in refused["message"]
    assert "jane" not in str(refused)

    (tmp_path / "result.json").unlink()
    found = prepared(tmp_path, examples, leave_out_sensitive=["email", "phone"])
    assert found.result["ok"], found.result
    assert found.result["rows"] == 18
    assert {row["id"] for row in found.train + found.test}.isdisjoint({"example-007", "example-009"})
    assert (
        "1 example was left out, because it contains an e-mail address (example-007) in outputs.text"
        in found.result["findings"]
    )


def test_an_address_in_the_prompt_is_named_as_the_prompts(tmp_path: Path) -> None:
    prompt = {
        "system": "Ask jane.doe@acme-corp.com.",
        "user": "{{ inputs.task }}",
        "assistant": "{{ outputs.text }}",
    }
    refused = prepared(tmp_path, [example(f"task {number}") for number in range(7)], prompt=prompt).result
    assert "and 2 more) in the prompt that spec.prompt makes of it" in refused["message"]
