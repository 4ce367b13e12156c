"""What a model reads decides what is one question: copies in other inputs, turns of a conversation, and code."""

import json
import random
import uuid
from pathlib import Path
from typing import Any

import pytest
from tests.cases.prepared_dataset import example, prepared

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets.conversations import conversation_keys
from modelops.datasets.near import NearIndex, Shingles
from modelops.datasets.normalised_inputs import inputs_digest
from modelops.datasets.normalised_prompts import normalise_example
from modelops.evaluation.learnt_inputs import Compared, Normalised, TrainingInputs

WORDS = [f"word{number}" for number in range(4000)]
CHINESE = [chr(code) for code in range(0x4E00, 0x4E00 + 2500)]
CONTRACT = PromptContract.model_validate({"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"})


def words(seed: object, count: int = 20) -> str:
    return " ".join(random.Random(str(seed)).choices(WORDS, k=count))


def traced(number: int, text: str, *, success: bool = True) -> dict[str, Any]:
    """An example with an id that the prompt contract does not use."""
    one = example(words(number), text, success=success)
    one["inputs"]["thread_id"] = str(uuid.uuid4())
    return one


def test_an_id_in_the_inputs_makes_no_other_question(tmp_path: Path) -> None:
    examples = [traced(number % 30, f"Answer {number % 30}.") for number in range(60)]
    found = prepared(tmp_path, examples, evaluation=[traced(100, "x")])
    assert found.result["ok"], found.result
    assert found.result["rows"] == 30
    assert "30 duplicates were left out" in found.result["findings"]
    (tmp_path / "result.json").unlink()
    refused = prepared(tmp_path, examples, evaluation=[traced(3, "x")]).result
    assert refused["reason"] == "TrainTestOverlap"


def test_a_success_and_a_failure_of_one_prompt_are_a_pair_whatever_their_ids(tmp_path: Path) -> None:
    examples = [one for n in range(20) for one in (traced(n, "Good."), traced(n, "Bad.", success=False))]
    found = prepared(tmp_path, examples, method="dpo")
    assert found.result["ok"], found.result
    assert found.result["rows"] == 20


def test_ids_of_messages_and_of_calls_do_not_count(tmp_path: Path) -> None:
    def chat(number: int) -> dict[str, Any]:
        call = {"id": str(uuid.uuid4()), "function": {"name": "read", "arguments": '{"path": "a.py"}'}}
        messages = [
            {"role": "user", "content": words(number), "id": str(uuid.uuid4())},
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "content": "print()", "tool_call_id": call["id"]},
        ]
        return {"inputs": {"messages": messages}, "outputs": {"text": "Done."}}

    found = prepared(tmp_path, [chat(number % 10) for number in range(20)])
    assert found.result["rows"] == 10


def test_the_text_of_the_contract_makes_no_near_copies(tmp_path: Path) -> None:
    prompt = {"user": words("instruction", 60) + " {{ inputs.task }}", "assistant": "{{ outputs.text }}"}
    found = prepared(tmp_path, [example(words(n, 6), f"A {n}.") for n in range(8)], prompt=prompt)
    assert found.result["report"]["groups"]["count"] == 8


def conversation(name: object, turns: int, *, first: str = "") -> list[dict[str, Any]]:
    """One example for each turn, each with the whole history, as LangSmith logs them."""
    history: list[dict[str, Any]] = []
    examples = []
    for turn in range(turns):
        history.append(
            {"role": "user", "content": first if first and not turn else words(f"q {name} {turn}", 30)}
        )
        answer = "Hello! How can I help?" if first and not turn else words(f"a {name} {turn}", 60)
        messages = [{"role": "system", "content": f"It is {turn}:00."}, *history]
        examples.append({"inputs": {"messages": messages}, "outputs": {"text": answer}})
        history.append({"role": "assistant", "content": answer})
    return examples


def test_turns_of_a_conversation_are_on_one_side_of_the_split(tmp_path: Path) -> None:
    found = prepared(tmp_path, [one for name in range(30) for one in conversation(name, 6)])
    learnt = {m["content"] for row in found.train for m in row["messages"] if m["role"] == "assistant"}
    assert found.test
    assert not [row["id"] for row in found.test if row["messages"][-1]["content"] in learnt]
    assert found.result["report"]["groups"]["count"] == 30
    assert any("of the same conversation as another one" in one for one in found.result["findings"])


def test_a_greeting_that_many_conversations_have_joins_none_of_them(tmp_path: Path) -> None:
    examples = [one for name in range(30) for one in conversation(name, 4, first="hi")]
    found = prepared(tmp_path, examples)
    groups = found.result["report"]["groups"]
    assert (groups["count"], groups["largest"]) == (31, 3)  # The 30 greetings are one row.


def test_an_answer_that_was_made_again_is_in_its_conversation_unless_it_is_all_there_is() -> None:
    again = [("a",), ("a", "b"), ("a", "c")]
    others = [(f"x{number}",) for number in range(28)]
    assert conversation_keys([*again, *others])[:3] == [{"turn a"}, {"turn a"}, {"turn a"}]
    assert conversation_keys(again) == [set(), set(), set()]


def test_earlier_turns_in_the_evaluation_are_counted_and_listed_for_it(tmp_path: Path) -> None:
    trained = [conversation(name, 6)[5] for name in range(20)]
    evaluation = [conversation(name, 6)[1] for name in range(19, 23)]
    found = prepared(tmp_path, trained, evaluation=evaluation)
    assert found.result["report"]["evaluation"]["earlier_turns_of_the_training"] == 1
    assert (
        "1 of 4 examples of evaluation dataset 'evaluation' is an earlier turn of a conversation of the training; an "
        "evaluation leaves it out" in found.result["findings"]
    )


def test_an_evaluation_leaves_out_an_earlier_turn_and_a_copy_with_another_id() -> None:
    turns = conversation("a", 3)
    last = normalise_example(CONTRACT, turns[2]["inputs"])
    new = TrainingInputs(
        inputs=frozenset(), prompts=frozenset({last.digest}), turns=frozenset(last.turns[:-1])
    )
    copy = json.loads(json.dumps(turns[2]["inputs"]))
    copy["thread_id"] = copy["messages"][0]["id"] = "1"
    given = [turns[0]["inputs"], copy, conversation("b", 1)[0]["inputs"]]
    examples = [Normalised.of(CONTRACT, inputs) for inputs in given]
    assert new.compare(examples) == [Compared(earlier_turn=True), Compared(same=True), Compared()]
    old = TrainingInputs(inputs=frozenset({inputs_digest(turns[2]["inputs"])}), only_inputs=True)
    assert old.compare(examples) == [Compared(), Compared(), Compared()]
    assert old.compare([Normalised.of(CONTRACT, turns[2]["inputs"])]) == [Compared(same=True)]


@pytest.mark.parametrize(
    ("trained", "asked"),
    [
        ("What does user.save! do", "What does user.save do"),
        ("Explain the pattern\n.*?\nin words", "Explain the pattern\n.*\nin words"),
        ("explain ls -la", "explain ls -lA"),
        ("define const_a = 1", "define CONST_A = 1"),
    ],
)
def test_only_equal_text_refuses_a_training_and_the_loosely_equal_is_reported(
    trained: str, asked: str, tmp_path: Path
) -> None:
    examples = [example(trained), *(example(f"task {number}") for number in range(9))]
    found = prepared(tmp_path, examples, evaluation=[example(asked)])
    assert found.result["ok"], found.result
    assert found.result["report"]["evaluation"]["near_the_training"] == 1
    (tmp_path / "result.json").unlink()
    same = prepared(tmp_path, examples, evaluation=[example(trained.replace("\n", "\r\n") + "\n")])
    assert same.result["reason"] == "TrainTestOverlap"


def test_a_chinese_question_with_one_other_character_is_a_near_copy(tmp_path: Path) -> None:
    def text(seed: int, *, changed: bool = False) -> str:
        characters = random.Random(seed).choices(CHINESE, k=280)
        return "".join("龍" if changed and at == 100 + seed else one for at, one in enumerate(characters))

    trained = [example(text(seed), f"A {seed}") for seed in range(20)]
    evaluation = [example(text(seed, changed=True)) for seed in range(20)]
    found = prepared(tmp_path, trained, evaluation=evaluation)
    assert found.result["report"]["evaluation"]["near_the_training"] == 20


def test_an_index_of_the_old_form_is_compared_by_the_words_of_the_inputs() -> None:
    inputs = {"messages": [{"role": "user", "content": words(1, 60)}], "thread": words(2, 60)}
    one = Normalised.of(CONTRACT, inputs)
    shingles = Shingles()
    shingles.add([one.inputs.words])
    signatures, _ = shingles.signatures(without=shingles.boilerplate())
    document = NearIndex(signatures=signatures, boilerplate=shingles.boilerplate()).document()
    for form, near in (("minhash/v1", True), ("minhash/v2", False)):
        index = NearIndex.of({**document, "form": form})
        assert TrainingInputs(inputs=frozenset(), near=index).compare([one]) == [Compared(near=near)]
