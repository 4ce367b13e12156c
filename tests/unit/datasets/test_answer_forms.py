"""Answers in the forms of LangChain, LangSmith, OpenAI and Anthropic are learnt whole, or refused by example and field."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.cases.prepared_dataset import Prepared, prepared

CALL = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a.py"}'}}
LANGCHAIN_CALL = {"name": "read", "args": {"path": "a.py"}, "id": "c1", "type": "tool_call"}
TOOL_USE = {"type": "tool_use", "id": "c1", "name": "read", "input": {"path": "a.py"}}
TEXT = {"type": "text", "text": "I read."}
IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
OPENAI = {"role": "assistant", "content": "I read.", "tool_calls": [CALL]}
KWARGS = {"content": [TEXT, TOOL_USE], "type": "ai", "tool_calls": [LANGCHAIN_CALL]}
DUMPD = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "AIMessage"], "kwargs": KWARGS}
OTHER_CALL = {**CALL, "function": {"name": "write", "arguments": "{}"}}


def learnt(folder: Path, outputs: dict[str, Any], assistant: str, **changes: Any) -> Prepared:
    """Six examples with these outputs, by this template of the answer."""
    tools = [{"type": "function", "function": {"name": "read"}}]
    examples = [
        {
            "inputs": {"messages": [{"role": "user", "content": f"Fix {n}"}], "tools": tools},
            "outputs": outputs,
        }
        for n in range(6)
    ]
    prompt = {"user": "{{ inputs.task }}", "assistant": assistant}
    return prepared(folder, examples, prompt=prompt, **changes)


@pytest.mark.parametrize(
    ("outputs", "assistant"),
    [
        (OPENAI, "{{ outputs.content }}"),
        ({"message": OPENAI}, "{{ outputs.message.content }}"),
        ({"output": OPENAI, "n": 1}, "{{ outputs.output.content }}"),
        ({"text": "I read.", "message": OPENAI}, "{{ outputs.text }}"),
        ({"choices": [{"message": OPENAI}]}, "{{ outputs.choices[0].message.content }}"),
        ({"message": DUMPD}, "{{ outputs.message.kwargs.content }}"),
        ({"message": {"type": "ai", "data": KWARGS}}, "{{ outputs.message.data.content }}"),
        ({"message": KWARGS}, "{{ outputs.message.content | trim }}"),
        ({"generations": [[{"text": "I read.", "message": DUMPD}]]}, "{{ outputs.generations[0][0].text }}"),
        ({"messages": [OPENAI], "tool_calls": [CALL]}, "{{ outputs.messages[-1].content }}"),
        (
            {"text": "I read.", "tool_calls": [CALL], "log": [{"tool_calls": [OTHER_CALL]}]},
            "{{ outputs.text }}",
        ),
    ],
)
def test_calls_of_the_answer_are_learnt_wherever_they_are(
    outputs: dict[str, Any], assistant: str, tmp_path: Path
) -> None:
    found = learnt(tmp_path, outputs, assistant)
    assert found.result["ok"], found.result
    assert found.train[0]["messages"][-1] == {"role": "assistant", "content": "I read.", "tool_calls": [CALL]}


@pytest.mark.parametrize(
    ("outputs", "assistant", "field"),
    [
        ({"messages": [OPENAI]}, "{{ outputs.messages[-1].content }}", "outputs.messages[0].tool_calls"),
        ({"content": [TEXT, TOOL_USE]}, "{{ outputs.content[0].text }}", "outputs.content[1]"),
        (
            {"tool_calls": [CALL], "message": {**OPENAI, "tool_calls": [OTHER_CALL]}},
            "I read.",
            "outputs.message.tool",
        ),
        (
            {
                "message": {
                    "role": "assistant",
                    "content": "x",
                    "additional_kwargs": {"function_call": {"name": "f"}},
                }
            },
            "{{ outputs.message.content }}",
            "outputs.message.additional_kwargs.function_call",
        ),
    ],
)
def test_calls_that_would_be_left_out_are_refused_by_field(
    outputs: dict[str, Any], assistant: str, field: str, tmp_path: Path
) -> None:
    result = learnt(tmp_path, outputs, assistant).result
    assert result["reason"] == "DatasetShapeInvalid", result
    assert f"the first is example example-000: {field}" in result["message"]
    assert "outputs.tool_calls. Correct or remove them" in result["message"]


def test_a_template_that_names_the_calls_writes_them_itself(tmp_path: Path) -> None:
    assistant = "{{ outputs.message.tool_calls[0].function.name }}()"
    found = learnt(tmp_path, {"message": OPENAI}, assistant)
    assert found.train[0]["messages"][-1] == {"role": "assistant", "content": "read()"}


@pytest.mark.parametrize(
    "template", ["{{ outputs.content }}", "{{ outputs.content | trim }}", "{{ outputs.get('content') }}"]
)
def test_text_parts_are_joined_as_text(template: str, tmp_path: Path) -> None:
    found = learnt(tmp_path, {"content": [TEXT, {"type": "text", "text": "It is empty."}]}, template)
    assert found.train[0]["messages"][-1]["content"] == "I read.\nIt is empty."


@pytest.mark.parametrize("template", ["{{ outputs.content }}", "{{ outputs.content | trim }}"])
@pytest.mark.parametrize("content", [[TEXT, IMAGE], [TEXT, {"type": "table"}], [TEXT, 7], [TEXT, "x"]])
def test_other_parts_are_refused_by_field(content: list[Any], template: str, tmp_path: Path) -> None:
    result = learnt(tmp_path, {"content": content}, template).result
    kind = content[1]["type"] if isinstance(content[1], dict) else type(content[1]).__name__
    assert f"example-000: outputs.content[1] has type '{kind}'" in result["message"], result


def test_a_list_of_other_objects_is_written_as_json(tmp_path: Path) -> None:
    found = learnt(tmp_path, {"bugs": [{"type": "bug", "line": 3}]}, "{{ outputs.bugs }}")
    assert found.train[0]["messages"][-1]["content"] == '[{"type": "bug", "line": 3}]'


@pytest.mark.parametrize("chosen", [DUMPD, {"type": "ai", "data": KWARGS}, KWARGS, OPENAI])
def test_a_message_of_langchain_is_an_answer_of_a_pair(chosen: dict[str, Any], tmp_path: Path) -> None:
    found = learnt(tmp_path, {"chosen": chosen, "rejected": "No."}, "{{ outputs.text }}", method="dpo")
    assert found.result["ok"], found.result
    (message,) = found.train[0]["chosen"]
    assert (message["role"], message["tool_calls"]) == ("assistant", [CALL])
    assert message["content"] in ("I read.", [TEXT])


@pytest.mark.parametrize("rejected", ["", " ", [{"role": "assistant", "content": ""}], {"text": ""}])
def test_an_empty_answer_of_a_pair_is_named(rejected: object, tmp_path: Path) -> None:
    result = learnt(
        tmp_path, {"chosen": "Yes.", "rejected": rejected}, "{{ outputs.text }}", method="dpo"
    ).result
    assert re.search("empty target .* example example-000, its outputs.rejected", result["message"]), result


def test_an_empty_answer_is_named_by_its_field(tmp_path: Path) -> None:
    result = learnt(tmp_path, {"answer": {"text": " "}}, "{{ outputs.answer.text }}").result
    assert "the first is example example-000, its outputs.answer.text" in result["message"]
