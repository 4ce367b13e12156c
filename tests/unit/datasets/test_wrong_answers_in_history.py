"""An answer that is left out because it was wrong is not learnt from the history of a later turn either."""

from pathlib import Path
from typing import Any

import pytest
from tests.cases.prepared_dataset import prepared

PROMPT = {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"}
SYSTEM = {"role": "system", "content": "You are a helper."}


def says(role: str, text: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


def turn(*messages: dict[str, Any], text: str, success: Any = True) -> dict[str, Any]:
    return {
        "inputs": {"messages": list(messages)},
        "outputs": {"text": text},
        "metadata": {"success": success},
    }


def conversation(number: int, *, wrong: Any, said: str = "It is 5.") -> list[dict[str, Any]]:
    """Two runs as LangSmith logs them: the second one has the first answer in its history."""
    asked, again = says("user", f"What is 2 + 2, case {number}?"), says("user", "Are you sure?")
    first = turn(SYSTEM, asked, text="It is 5.", success=wrong)
    second = turn(SYSTEM, asked, says("assistant", said), again, text=f"No, it is 4. This is case {number}.")
    return [second, first]


def learnt_last(folder: Path, examples: list[dict[str, Any]], **changes: Any) -> tuple[list[bool], Any]:
    """For each row with an answer in its history whether only its last answer is learnt; and the result."""
    found = prepared(folder, examples, prompt=PROMPT, **changes)
    assert found.result["ok"], found.result
    rows = [row for row in (*found.train, *found.test) if len(row.get("messages", row.get("prompt"))) > 3]
    return [row.get("learn") == "last" for row in rows], found.result


@pytest.mark.parametrize("wrong", [False, None, "false"])
def test_history_with_an_answer_that_was_left_out_is_not_learnt(wrong: Any, tmp_path: Path) -> None:
    last, result = learnt_last(tmp_path, [one for n in range(6) for one in conversation(n, wrong=wrong)])
    assert last == [True] * 6
    assert (
        "6 examples have in their history an answer that another example marks as no success; of these only the last "
        "answer is learnt"
    ) in result["findings"]


def test_history_with_right_answers_is_learnt_as_a_whole(tmp_path: Path) -> None:
    examples = [one for n in range(6) for one in conversation(n, wrong=True)]
    last, result = learnt_last(tmp_path, examples)
    assert last == [False] * 6
    assert not any("history" in finding for finding in result["findings"])


def test_another_answer_to_the_same_question_is_learnt(tmp_path: Path) -> None:
    examples = [one for n in range(6) for one in conversation(n, wrong=False, said="It is 4.")]
    assert learnt_last(tmp_path, examples)[0] == [False] * 6


def test_answer_after_a_call_of_a_tool_is_found_by_the_question(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": "{}"}}
    examples = []
    for number in range(6):
        second, first = conversation(number, wrong=False)
        history = second["inputs"]["messages"]
        history[2:2] = [says("assistant", "", tool_calls=[call]), says("tool", "5")]
        examples += [second, first]
    assert learnt_last(tmp_path, examples)[0] == [True] * 6


def test_failures_that_the_run_includes_are_learnt(tmp_path: Path) -> None:
    examples = [one for n in range(6) for one in conversation(n, wrong=False)]
    assert learnt_last(tmp_path, examples, include_failures=True)[0] == [False] * 6


def test_a_failure_that_cannot_be_rendered_refuses_nothing(tmp_path: Path) -> None:
    broken = {"inputs": {"messages": "x"}, "outputs": {}, "metadata": {"success": False}}
    examples = [one for n in range(6) for one in conversation(n, wrong=False)]
    assert learnt_last(tmp_path, [*examples, broken])[0] == [True] * 6
