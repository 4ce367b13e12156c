"""The prompt contract renders an example always in the same way, and names the problem if it cannot."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.domain import prompt as prompts
from modelops.domain.prompt_templates import write
from modelops.evaluation.time_limit import processor_time_limit


def contract(**fields: object) -> PromptContract:
    given = {"user": "{{ inputs.task }}", "assistant": "{{ outputs.docstring }}", **fields}
    return PromptContract.model_validate(given)


def test_templates_become_messages_with_the_target_last() -> None:
    messages = prompts.render(contract(system="Be terse."), {"task": "a < b & c"}, {"docstring": "Less."})
    assert messages == [
        {"role": "system", "content": "Be terse."},
        {"role": "user", "content": "a < b & c"},
        {"role": "assistant", "content": "Less."},
    ]


def test_without_outputs_there_is_no_target() -> None:
    assert [m["role"] for m in prompts.render(contract(), {"task": "x"})] == ["user"]


def test_messages_pass_through_verbatim_and_are_not_shared() -> None:
    given = [{"role": "user", "content": "{{ not a template }}"}, {"role": "tool", "tool_call_id": "1"}]
    rendered = prompts.render(contract(), {"messages": given})
    assert rendered == given
    rendered[0]["content"] = "changed"
    assert given[0]["content"] == "{{ not a template }}"


@pytest.mark.parametrize("messages", [[], "hello", [{"content": "no role"}]])
def test_malformed_messages_are_named(messages: object) -> None:
    with pytest.raises(prompts.PromptError, match=r"inputs\.messages"):
        prompts.render(contract(), {"messages": messages})


def test_a_key_named_like_a_dict_method_is_the_examples_key() -> None:
    assert prompts.render(contract(user="{{ inputs.items }}"), {"items": "two"})[0]["content"] == "two"


_VALUES = st.recursive(
    st.none() | st.text(max_size=5) | st.integers() | st.just([{"type": "text", "text": "part"}]),
    lambda inner: st.dictionaries(st.sampled_from(["task", "items", "a", "b"]), inner, max_size=3),
    max_leaves=6,
)


@given(
    value=st.dictionaries(st.sampled_from(["task", "items", "a", "b"]), _VALUES),
    keys=st.lists(st.sampled_from(["task", "items", "a", "b", "values"]), min_size=1, max_size=3),
    spaces=st.sampled_from(["", " ", "  "]),
)
@example(value={"task": "x\n"}, keys=["task"], spaces=" ")
@example(value={"a": {"items": "{{ x }}"}}, keys=["a", "items"], spaces="")
def test_a_template_of_one_key_writes_what_jinja_writes(
    value: dict[str, object], keys: list[str], spaces: str
) -> None:
    source = "{{" + spaces + ".".join(["inputs", *keys]) + spaces + "}}"

    def outcome(template: str) -> str:
        try:
            return write("user", template, {"inputs": value})
        except prompts.PromptError as error:
            return str(error)

    assert outcome(source) == outcome(source + "{# through Jinja2 #}")


def test_structures_are_rendered_as_json() -> None:
    rendered = prompts.render(contract(user="{{ inputs.task }}"), {"task": {"é": [1, True]}})
    assert json.loads(rendered[0]["content"]) == {"é": [1, True]}


@pytest.mark.parametrize(
    ("fields", "inputs", "says"),
    [
        ({}, {"question": "secret value"}, r"prompt\.user: `inputs` has no `task`; it has: question"),
        ({"user": "{{ inputs['task'] }}"}, {"a": "1"}, r"prompt\.user: `inputs` has no `task`"),
        ({"user": "{{ inputs.a.b }}"}, {"a": {"c": 1}}, r"`inputs.a` has no `b`; it has: c"),
        ({"user": "{{ task }}"}, {"task": "x"}, r"unknown variable `task`.*inputs\.task"),
        ({"user": "{{ inputs.task "}, {"task": "x"}, r"prompt\.user: line 1: "),
        ({"user": "{{ inputs.task }}"}, {"task": None}, r"prompt\.user: `inputs` has null as `task`; write"),
        ({"user": "{{ 1 // 0 }}"}, {"task": "x"}, r"prompt\.user: ZeroDivisionError"),
        ({"user": "{{ outputs.docstring }}"}, {"task": "x"}, r"prompt\.user: .*outputs"),
    ],
)
def test_errors_name_template_variable_and_remedy(
    fields: dict[str, str], inputs: dict[str, object], says: str
) -> None:
    with pytest.raises(prompts.PromptError, match=says) as caught:
        prompts.render(contract(**fields), inputs)
    assert "secret value" not in str(caught.value)


@pytest.mark.parametrize(
    "user",
    [
        "{{ inputs.code }}",
        "{{ inputs.code | trim }}",
        "{{ inputs['code'] | upper | indent }}",
        "{{ 'code: ' ~ inputs.code }}",
        "{{ '%s' | format(inputs.code) }}",
        "{% for line in inputs.code %}{{ line }}{% endfor %}",
    ],
)
def test_a_null_is_refused_by_name_with_and_without_a_filter(user: str) -> None:
    with pytest.raises(
        prompts.PromptError, match=r"prompt\.user: `inputs` has null as `code`; write a default"
    ):
        prompts.render(contract(user=user), {"code": None})


@pytest.mark.parametrize(
    "user",
    [
        "{{ inputs.get('code') | trim }}",
        "{{ inputs.lines | join(', ') }}",
        "{% for line in inputs.lines %}{{ line | trim }}{% endfor %}",
        "{{ inputs.lines | map('trim') | join }}",
    ],
)
def test_a_null_without_a_name_is_never_the_word_none(user: str) -> None:
    with pytest.raises(prompts.PromptError, match=r"prompt\.user: a value is null"):
        prompts.render(contract(user=user), {"code": None, "lines": ["a", None]})


@pytest.mark.parametrize(
    ("user", "text"),
    [
        ("{{ inputs.code or 'x' }}", "x"),
        ("{{ inputs.code | default('x') }}", "x"),
        ("{% if inputs.code %}{{ inputs.code }}{% else %}x{% endif %}", "x"),
        ("{{ 'x' if inputs.code is none else inputs.code }}", "x"),
        ("{{ 'x' if inputs.code == none else inputs.code }}", "x"),
        ("{{ inputs.code.lines | default('x') }}", "x"),
        ("{{ inputs.code | tojson }}", "null"),
        ("{{ inputs | tojson }}", '{"code": null}'),
        ("{{ inputs }}", '{"code": null}'),
    ],
)
def test_a_template_may_ask_whether_a_value_is_null(user: str, text: str) -> None:
    assert prompts.render(contract(user=user), {"code": None})[0]["content"] == text


def test_a_missing_output_is_named() -> None:
    with pytest.raises(prompts.PromptError, match=r"prompt\.assistant: `outputs` has no `docstring`"):
        prompts.render(contract(), {"task": "x"}, {"code": "y"})


@pytest.mark.parametrize(
    "attack",
    [
        "{{ inputs.__class__.__mro__ }}",
        "{{ ''.__class__ }}",
        "{{ inputs.update({'task': 1}) }}",
        "{{ cycler.__init__.__globals__ }}",
    ],
)
def test_the_template_sandbox_refuses_unsafe_access(attack: str) -> None:
    with pytest.raises(prompts.PromptError):
        prompts.render(contract(user=attack), {"task": "x"})


def test_check_finds_bad_templates_before_any_example() -> None:
    with pytest.raises(prompts.PromptError, match=r"prompt\.assistant: line 1"):
        prompts.check(contract(assistant="{% if %}"))
    with pytest.raises(prompts.PromptError, match=r"prompt\.parse\.pattern"):
        prompts.check(contract(parse={"type": "regex", "pattern": "("}))
    prompts.check(contract())


@pytest.mark.parametrize(
    ("rule", "text", "parsed"),
    [
        (None, "  hello\n", "hello"),
        ({"type": "text"}, " a ", "a"),
        ({"type": "json"}, '```json\n{"b": 1, "a": "é"}\n```', '{"a": "é", "b": 1}'),
        ({"type": "json"}, 'Here it is:\n```json\n{"a": 1}\n```\nThis sets a.', '{"a": 1}'),
        ({"type": "json"}, '``` \r\n{"a": 1}```', '{"a": 1}'),
        ({"type": "json"}, '```{"a": "b"}```', '{"a": "b"}'),
        ({"type": "json"}, '{"a": "```py\\nb\\n```"}', '{"a": "```py\\nb\\n```"}'),
        ({"type": "json"}, '```json\n{"a": "```"}\n```', '{"a": "```"}'),
        ({"type": "regex", "pattern": "<answer>(.*?)</answer>"}, "so <answer>\n4\n</answer>.", "4"),
        ({"type": "regex", "pattern": r"\d+"}, "it is 42", "42"),
    ],
)
def test_parse_extracts_the_part_that_is_compared(
    rule: dict[str, str] | None, text: str, parsed: str
) -> None:
    assert prompts.parse(contract(parse=rule), text) == parsed


@pytest.mark.parametrize("rule", [{"type": "json"}, {"type": "regex", "pattern": "<answer>"}])
def test_an_answer_without_the_expected_part_is_an_answer_error(rule: dict[str, str]) -> None:
    with pytest.raises(prompts.AnswerError):
        prompts.parse(contract(parse=rule), "no such thing")


@pytest.mark.parametrize(
    "text",
    [
        " \n" * 50_000,
        "```json\n" + "\n" * 100_000,
        '```json\n{"a": 1,' + "\n" * 100_000,
        "```" + "a" * 100_000,
        "```json" + " " * 100_000 + "```",
        '```json\n{"a": 1}\n```\nor\n```json\n{"a": 2}\n```',
        "```",
    ],
)
def test_an_answer_without_one_closed_fence_is_an_answer_error_in_linear_time(text: str) -> None:
    with processor_time_limit(1.0), pytest.raises(prompts.AnswerError):
        prompts.parse(contract(parse={"type": "json"}), text)


def test_the_digest_is_stable_and_covers_every_field() -> None:
    base = contract()
    assert prompts.digest(base) == prompts.digest(contract(parse=None))
    assert prompts.digest(base) == ("sha256:8287a835d427bff3475ded4235eccebec3db5c9c35ea47e693a16269c0b52b91")
    others = [
        contract(user="{{ inputs.task }} "),
        contract(system="s"),
        contract(sampling={"temperature": "0.5"}),
        contract(maxTokens=7),
    ]
    assert len({prompts.digest(p) for p in [base, *others]}) == 5
