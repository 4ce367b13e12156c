"""Datasets as people have them, each with the outcome that is right."""

import json
import random
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.utils import validate_repo_id
from tests.cases.prepared_dataset import example, prepared

from modelops.datasets.lengths import COUNTED_FIRST, max_training_tokens
from modelops.datasets.template_check import MOST_SHAPES
from modelops.domain.training.naming import (
    agent_with_dashes,
    dataset_repository,
    model_repository,
    parse_repository,
)

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


IMAGE = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]
USER = {"role": "user", "content": "Read a.py"}


def chat(*messages: object, **more: object) -> dict[str, Any]:
    return {"inputs": {"messages": list(messages), **more}, "outputs": {"text": "Done."}}


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (chat({"role": "user", "content": IMAGE}), r"inputs.messages\[0\].content\[1\] has type 'image_url'"),
        (chat({"role": "narrator", "content": "x"}), r"inputs.messages\[0\] has the role 'narrator'"),
        (
            chat(USER, {"role": "assistant", "content": " "}, USER),
            r"inputs.messages\[1\] is an assistant's message that",
        ),
        (
            chat(USER, {"role": "assistant", "content": "Hi."}),
            r"inputs.messages\[1\]: the question ends with an answer",
        ),
        (chat(USER, tools=["read_file"]), r"inputs.tools\[0\]: must be an object with the function's name"),
        (chat(USER, tools="read_file"), r"inputs.tools: must be a list of tools"),
        (chat({"role": "user", "content": 7}), r"inputs.messages\[0\].content is neither a text nor a list"),
        (chat("hello"), r"inputs.messages\[0\]: must be an object with a `role`"),
        (
            chat(USER) | {"outputs": {"text": "", "tool_calls": {"name": "f"}}},
            "outputs.tool_calls: must be a list",
        ),
        (
            chat(USER) | {"outputs": {"text": "", "tool_calls": ["f"]}},
            r"outputs.tool_calls\[0\]: must be an object",
        ),
        (example("x", "half a pair \ud83d"), "outputs.text is not valid Unicode"),
        (example("half \udc00"), "inputs.task is not valid Unicode"),
    ],
)
def test_what_the_job_would_refuse_is_refused_before_with_row_and_field(
    bad: dict[str, Any], says: str, tmp_path: Path
) -> None:
    result = prepared(tmp_path, [*(example(f"task {number}") for number in range(6)), bad]).result
    assert result["reason"] == "DatasetShapeInvalid", result
    assert (
        "1 of 7 examples of dataset 'source' cannot be trained on; the first is example example-006: "
        in result["message"]
    )
    assert re.search(says, result["message"]), result


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        (
            [{"role": "user", "content": "x"}],
            "outputs.chosen does not begin and end with an assistant's message",
        ),
        ({"role": "assistant", "content": IMAGE}, r"outputs.chosen\[0\].content\[1\] has type 'image_url'"),
        (7, "outputs.chosen: must be a text, a list of messages, or an object"),
    ],
)
def test_an_answer_of_a_pair_that_the_job_would_refuse_is_named(
    chosen: object, says: str, tmp_path: Path
) -> None:
    pair = {"inputs": {"task": "x"}, "outputs": {"chosen": chosen, "rejected": "No."}}
    result = prepared(tmp_path, [pair], method="dpo").result
    assert re.search(says, result["message"]), result


CALL = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": '{"path": "a.py"}'}}
LANGCHAIN = [
    {"type": "system", "data": {"content": "Be brief.", "type": "system"}},
    {
        "id": ["langchain", "schema", "messages", "HumanMessage"],
        "lc": 1,
        "kwargs": {"content": "Read a.py", "type": "human"},
    },
    {
        "type": "ai",
        "content": [
            {"type": "text", "text": "I read."},
            {"type": "tool_use", "id": "c1", "name": "read", "input": {}},
        ],
        "tool_calls": [{"name": "read", "args": {"path": "a.py"}, "id": "c1", "type": "tool_call"}],
        "response_metadata": {"model": "x"},
    },
    {"type": "tool", "content": "print()", "tool_call_id": "c1", "additional_kwargs": {}},
    ["human", "And now?"],
]
OPENAI = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": "Read a.py"},
    {"role": "assistant", "content": [{"type": "text", "text": "I read."}], "tool_calls": [CALL]},
    {"role": "tool", "content": "print()", "tool_call_id": "c1"},
    {"role": "user", "content": "And now?"},
]


@pytest.mark.parametrize("messages", [LANGCHAIN, [LANGCHAIN], OPENAI])
def test_messages_as_langchain_exports_them_are_the_same_question(
    messages: list[Any], tmp_path: Path
) -> None:
    examples = [chat(*messages[:-1], messages[-1]), *(example(f"task {number}") for number in range(6))]
    found = prepared(tmp_path, examples, evaluation=[chat(*OPENAI), example("another")])
    assert found.result["reason"] == "TrainTestOverlap", found.result
    (tmp_path / "result.json").unlink()
    trained = prepared(tmp_path, examples)
    rows = {row["id"]: row for row in trained.train + trained.test}
    assert rows["example-000"]["messages"] == [*OPENAI, {"role": "assistant", "content": "Done."}]


def test_tools_and_calls_of_other_exports_are_in_openais_form(tmp_path: Path) -> None:
    bare = {"name": "read", "description": "Reads.", "input_schema": {"type": "object"}}
    call = {"name": "read", "args": {"path": "a.py"}, "id": "c1", "type": "tool_call"}
    one = chat(
        {"role": "human", "content": "Read"},
        {"role": "ai", "content": "", "function_call": CALL["function"]},
        {"role": "function", "name": "read", "content": "x"},
        tools=[bare],
    )
    one["outputs"] = {"text": "", "tool_calls": [call]}
    found = prepared(tmp_path, [one, *(example(f"task {number}") for number in range(6))])
    (row,) = [row for row in found.train + found.test if row["id"] == "example-000"]
    assert json.loads(row["tools"]) == [
        {
            "type": "function",
            "function": {"name": "read", "description": "Reads.", "parameters": {"type": "object"}},
        }
    ]
    assert [message["role"] for message in row["messages"]] == ["user", "assistant", "tool", "assistant"]
    assert row["messages"][1]["tool_calls"] == [{"type": "function", "function": CALL["function"]}]
    assert row["messages"][3] == {"role": "assistant", "content": "", "tool_calls": [CALL]}


@pytest.mark.parametrize(
    "user",
    [
        "{{ inputs.items }}",
        "{{ inputs['items'] }}",
        "{{ inputs.items | length }}",
        "{% if inputs.items %}x{% endif %}",
        "{% for one in inputs.items %}{{ one }}{% endfor %}",
    ],
)
def test_a_key_that_is_missing_is_named_though_a_method_has_its_name(user: str, tmp_path: Path) -> None:
    prompt = {"user": user, "assistant": "{{ outputs.text }}"}
    result = prepared(tmp_path, [example(f"task {number}") for number in range(6)], prompt=prompt).result
    assert result["reason"] == "PromptRenderFailed"
    assert "prompt.user: `inputs` has no `items`; it has: task" in result["message"]


def test_the_refusal_says_how_many_examples_do_not_fit_the_prompt(tmp_path: Path) -> None:
    fit = [example(f"task {number}") for number in range(6)]
    misfits = [{"inputs": {"task": f"other {number}"}, "outputs": {"code": "x"}} for number in range(3)]
    result = prepared(tmp_path, [*fit, *misfits]).result
    assert result["reason"] == "PromptRenderFailed"
    assert result["message"].startswith(
        "3 of 9 examples of dataset 'source' do not fit the AgentModel's spec.prompt; the first is example "
        "example-006: spec.prompt.assistant: `outputs` has no `text`; it has: code; correct the template"
    )


def test_methods_that_a_template_calls_are_still_called(tmp_path: Path) -> None:
    prompt = {
        "user": "{% for key, value in inputs.items() %}{{ key }}={{ value.upper() }}{% endfor %} {{ inputs.get('no', '-') }}",
        "assistant": "{{ outputs.text }}",
    }
    found = prepared(tmp_path, [example(f"task {number}") for number in range(6)], prompt=prompt)
    assert {row["messages"][0]["content"] for row in found.train + found.test} == {
        f"task=TASK {n} -" for n in range(6)
    }


@pytest.mark.parametrize("agent", ["feature__dev", "a__b_", "x_1"])
def test_repositories_of_every_agent_have_a_name_that_the_hub_accepts(agent: str) -> None:
    made = datetime(2026, 1, 2, tzinfo=UTC)
    for name in (model_repository, dataset_repository):
        repo = name(org="org", agent=agent, created=made, uid="1f3a9c00-0000-4000-8000-000000000000")
        validate_repo_id(repo)
        named = parse_repository(repo)
        assert named is not None
        assert named.agent == agent_with_dashes(agent)


def test_control_tokens_of_the_base_model_in_a_row_are_a_finding_with_row_and_field(tmp_path: Path) -> None:
    added = [
        {"content": token, "special": special}
        for token, special in (("<|im_end|>", True), ("<think>", False))
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": added}))
    examples = [example(f"task {number} <think>") for number in range(6)]
    examples[2]["outputs"]["text"] = "ChatML ends a message with <|im_end|>."
    found = prepared(tmp_path, examples, base_model={"repo": "org/base"})
    assert found.result["ok"], found.result
    (said,) = [finding for finding in found.result["findings"] if "control token" in finding]
    assert said.startswith(
        "1 example contains control tokens of the base model (example-002: <|im_end|> in outputs.text)"
    )


def test_the_longest_row_has_room_for_the_templates_words_about_tools(tmp_path: Path) -> None:
    tool = {"type": "function", "function": {"name": "read"}}
    rows = [chat({"role": "user", "content": f"Read {number}"}, tools=[tool]) for number in range(6)]
    result = prepared(tmp_path, rows).result
    longest = result["report"]["tokens"]["longest"]
    assert result["max_tokens"] == max_training_tokens(longest, slack=2.0, tools=True)


TURNS = (
    "{%- for message in messages %}{{- '<|im_start|>' + message.role + '\\n' + message.content }}"
    "{%- for call in CALLS %}{{- call.function | tojson }}{%- endfor %}{{- '<|im_end|>\\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)
WITH_CALLS, WITHOUT_CALLS = (TURNS.replace("CALLS", calls) for calls in ("message.tool_calls or []", "[]"))
NO_SYSTEM = (
    "{%- if messages[0].role == 'system' %}{{- raise_exception('System role not supported') }}{%- endif %}"
    "{%- for m in messages %}{%- if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{- raise_exception('Conversation roles must alternate') }}{%- endif %}{%- endfor %}"
)
ONE_CALL = (
    "{%- for m in messages if m.tool_calls and m.tool_calls | length > 1 %}"
    "{{- raise_exception('This model only supports single tool-calls at once!') }}{%- endfor %}"
)
THINKS = "{{- bos_token + strftime_now('%Y') }}" + WITHOUT_CALLS.replace(
    "'<|im_start|>assistant\\n' }}{%- endif", "'<|im_start|>assistant\\n<think>' }}{%- endif"
)
READ = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
SYSTEM = {"role": "system", "content": "Be brief."}
ONE = chat(USER, tools=[READ]) | {"outputs": {"text": "", "tool_calls": [CALL]}}
TWO = chat(USER, tools=[READ]) | {"outputs": {"text": "I read a.py.", "tool_calls": [CALL, CALL]}}


def prepared_for_base(folder: Path, one: dict[str, Any], template: str, **changes: Any) -> dict[str, Any]:
    """The result for six ordinary examples and this one, which comes last."""
    examples = [*(example(f"task {number}") for number in range(6)), one]
    return prepared(folder, examples, template=template, base_model={"repo": "org/base"}, **changes).result


@pytest.mark.parametrize(
    ("template", "one", "says"),
    [
        (NO_SYSTEM + WITHOUT_CALLS, chat(SYSTEM, USER), "System role not supported"),
        (NO_SYSTEM + WITHOUT_CALLS, chat(USER, USER), "Conversation roles must alternate"),
        (ONE_CALL + WITH_CALLS, TWO, "This model only supports single tool-calls at once!"),
        (WITHOUT_CALLS, ONE, "it leaves out calls of tools"),
        (
            WITH_CALLS.replace("message.tool_calls or []", "(message.tool_calls or [])[:1]"),
            TWO,
            "it leaves out",
        ),
        (
            "{{- messages[0].name + 'x' if messages | length > 3 else '' }}" + WITHOUT_CALLS,
            chat(USER, SYSTEM, USER),
            "UndefinedError: 'dict object' has no attribute 'name'",
        ),
    ],
)
def test_what_the_base_models_template_refuses_is_refused_before_with_example_and_its_words(
    template: str, one: dict[str, Any], says: str, tmp_path: Path
) -> None:
    result = prepared_for_base(tmp_path, one, template)
    assert result.get("reason") == "DatasetShapeInvalid", result
    assert (
        "1 example of dataset 'source' cannot be trained on: the chat template of base model org/base does not take "
        f"it; the first is example example-006: {says}"
    ) in result["message"]
    assert "choose another base model" in result["message"]


def test_a_template_that_changes_the_prompt_once_it_is_answered_takes_no_example(tmp_path: Path) -> None:
    config = {"bos_token": {"content": "<s>"}}
    result = prepared_for_base(tmp_path, chat(USER), THINKS, tokenizer_config=config)
    assert result.get("reason") == "DatasetShapeInvalid", result
    assert "7 examples of dataset 'source' cannot be trained on" in result["message"]
    assert "it renders the prompt differently when an answer follows it" in result["message"]


@pytest.mark.parametrize("one", [ONE, TWO, chat(SYSTEM, USER), chat(USER, USER)])
def test_what_the_template_takes_is_accepted_without_a_finding(one: dict[str, Any], tmp_path: Path) -> None:
    objects = "{%- for m in messages %}{%- for c in m.tool_calls or [] if c.function.arguments is string %}"
    objects += "{{- raise_exception('must be a mapping') }}{%- endfor %}{%- endfor %}"
    result = prepared_for_base(tmp_path, one, objects + WITH_CALLS)
    assert result["ok"], result
    assert not [finding for finding in result["findings"] if "template" in finding]


def test_a_template_that_joins_the_arguments_with_text_gets_their_text(tmp_path: Path) -> None:
    joined = WITH_CALLS.replace(
        "call.function | tojson", "call.function.name + ': ' + call.function.arguments"
    )
    assert prepared_for_base(tmp_path, ONE, joined)["ok"]


def test_of_several_templates_the_one_for_tools_renders_examples_with_tools(tmp_path: Path) -> None:
    refuses = "{{- raise_exception('no tools') if tools else '' }}" + WITHOUT_CALLS
    named = [{"name": "default", "template": refuses}, {"name": "tool_use", "template": WITH_CALLS}]
    assert prepared_for_base(tmp_path, ONE, "", tokenizer_config={"chat_template": named})["ok"]


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% unknown %}", "TemplateSyntaxError: Encountered unknown tag 'unknown'"),
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "TooSlow: more than 1 s",
        ),
        ("{{ ''.__class__.__mro__ }}", "SecurityError"),
    ],
)
def test_a_template_that_cannot_be_run_before_the_training_is_a_finding(
    template: str, why: str, tmp_path: Path
) -> None:
    result = prepared_for_base(tmp_path, ONE, template)
    assert result["ok"], result
    (said,) = [finding for finding in result["findings"] if "cannot be run before the training" in finding]
    assert why in said


def test_conversations_of_very_many_shapes_are_tried_in_part(tmp_path: Path) -> None:
    examples = [chat(*([USER] * number)) for number in range(1, MOST_SHAPES + 3)]
    result = prepared(
        tmp_path, examples, template=WITHOUT_CALLS, base_model={"repo": "org/base"}, group_key="messages"
    ).result
    assert result["ok"], result
    assert any(
        "tried on 300 sequences of roles, and not on those of 2 more" in one for one in result["findings"]
    )


def test_no_row_is_longer_than_the_bound_however_few_bytes_its_tokens_have(tmp_path: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({"?": 0}, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.WhitespaceSplit(),
            tokenizers.pre_tokenizers.Digits(individual_digits=True),
        ]
    )
    words.save(str(tmp_path / "tokenizer.json"))
    source = random.Random(1)
    examples = [
        example(f"task {number}", "abcdefg " * source.randint(20, 400))
        for number in range(COUNTED_FIRST + 400)
    ]
    for number in range(COUNTED_FIRST + 1, COUNTED_FIRST + 400, 150):
        examples[number]["outputs"]["text"] = "7" * 1500
    found = prepared(tmp_path, examples, base_model={"repo": "org/base"})
    assert found.result["ok"], found.result
    lengths = [
        sum(len(words.encode(message["content"])) for message in row["messages"])
        for row in found.train + found.test
    ]
    assert max(lengths) <= found.result["max_tokens"]
