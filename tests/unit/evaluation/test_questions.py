"""Which held-out examples the models are asked: those that a training would use, each question once."""

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.cases.prepared_dataset import example
from tests.unit.evaluation.asked import answer, request

from modelops.datasets.download import Example, LoadedDataset
from modelops.evaluation.learnt_inputs import LearntInputs, TrainingInputs
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.questions import select_questions
from modelops.evaluation.request import ARMS, Request
from modelops.evaluation.scored_answers import score_answers
from modelops.workdir import ProgramFailure

PLAIN = {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"}
NOTHING_LEARNT = LearntInputs(candidate=TrainingInputs(inputs=frozenset()))
RIGHT = [example(f"task {number}", f"right {number}") for number in range(30)]


def asked(**changes: Any) -> Request:
    return request(**{"prompt": PLAIN, **changes})


def selected(
    examples: list[dict[str, Any]], asked: Request, learnt: LearntInputs = NOTHING_LEARNT
) -> tuple[list[Question], list[str]]:
    """The questions and the findings; the example with number n has the id `e-n`."""
    findings: list[str] = []
    loaded = tuple(
        Example(id=f"e-{number:03}", **{"metadata": {}, **one}) for number, one in enumerate(examples)
    )
    dataset = LoadedDataset(dataset_id="d", name="d", as_of="x", examples=loaded)
    return select_questions(dataset, asked, learnt=learnt, findings=findings), findings


def test_failures_and_examples_of_other_agents_are_not_asked() -> None:
    wrong = [example(f"task {number}", f"wrong {number}", success=False) for number in range(30)]
    unjudged = {**example("unjudged"), "metadata": {"success": None}}
    crashed: dict[str, Any] = {"inputs": {"task": "x"}, "outputs": None, "metadata": {"success": "false"}}
    others = [{**example(f"other {number}"), "metadata": {"agent": "feature_dev"}} for number in range(30)]
    questions, findings = selected([*wrong, *others, *RIGHT, unjudged, crashed], asked())
    assert [question.target for question in questions] == [f"right {number}" for number in range(30)]
    assert findings == [
        "30 examples of other agents (feature_dev) were left out",
        "32 examples without metadata.success true were left out",
    ]


@pytest.mark.parametrize(
    ("examples", "says"),
    [
        (
            [{**one, "metadata": {"agent": "cicd"}} for one in RIGHT],
            "evaluation dataset 'd' has 30 examples, all with metadata.agent 'cicd', not 'docs'",
        ),
        (
            [example("task", success=False)],
            "no example of evaluation dataset 'd' has metadata.success true; an answer that is wrong is no reference",
        ),
        (
            [*RIGHT, {**RIGHT[0], "metadata": {"success": 1}}],
            "metadata.success of 1 of 31 examples of evaluation dataset 'd' is neither .* the first is example e-030",
        ),
        (
            [*RIGHT, {"inputs": {"task": "x"}, "outputs": None}],
            "1 of 31 examples of evaluation dataset 'd' lacks inputs or outputs .* example e-030, its `outputs`",
        ),
    ],
)
def test_a_dataset_without_usable_examples_is_refused(examples: list[dict[str, Any]], says: str) -> None:
    with pytest.raises(ProgramFailure, match=says) as failure:
        selected(examples, asked())
    assert failure.value.reason == "DatasetShapeInvalid"


def test_a_question_with_the_same_target_counts_once() -> None:
    one = asked()
    questions, findings = selected([example("logged three hundred times", "yes")] * 300, one)
    assert [question.example for question in questions] == ["e-000"]
    assert findings == ["299 examples were left out as copies of another question with the same target"]
    answers = [replace(answer(arm, 0, "yes"), example="e-000") for arm in ARMS]
    outcome = compare_arms(one, questions, answers, score_answers(one, questions, answers))
    assert (outcome.n, outcome.verdict) == (1, "inconclusive")


def test_what_the_models_read_decides_what_a_copy_is() -> None:
    logged = [
        {"inputs": {"task": "sort", "run": number}, "outputs": {"text": f"yes{end}"}}
        for number, end in enumerate(("", " ", "!"))
    ]
    questions, findings = selected(logged, asked())
    assert [question.target for question in questions] == ["yes", "yes!"]
    assert findings == ["1 example was left out as a copy of another question with the same target"]


def test_copies_take_no_place_of_the_selected_examples() -> None:
    questions, findings = selected([*RIGHT, *RIGHT], asked(max_examples=25))
    assert len({question.target for question in questions}) == 25
    assert findings[-1] == "25 of 30 examples were selected (maxExamples)"


CALL = {"id": "c1", "type": "function", "function": {"name": "read", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        (
            {"text": "", "tool_calls": [CALL]},
            r"a call of a tool \(outputs\.tool_calls\) and no text, and the models would get no tool",
        ),
        (
            {"text": " ", "message": {"tool_calls": [CALL]}},
            r"a call of a tool \(outputs\.message\.tool_calls\)",
        ),
        ({"text": "\n"}, r"an empty answer \(its outputs\.text, after spec\.prompt\.assistant"),
    ],
)
@pytest.mark.parametrize("parse", [{"type": "text"}, {"type": "json"}])
def test_an_expected_answer_without_text_is_refused_by_example_and_field(
    outputs: dict[str, Any], says: str, parse: dict[str, str]
) -> None:
    examples = [{"inputs": {"task": "x"}, "outputs": outputs}]
    with pytest.raises(ProgramFailure, match=f"example e-000: it expects {says}") as failure:
        selected(examples, asked(prompt={**PLAIN, "parse": parse}))
    assert failure.value.reason == "DatasetShapeInvalid"


def test_a_target_whose_compared_part_is_empty_is_refused() -> None:
    prompt = {**PLAIN, "parse": {"type": "regex", "pattern": "<(.*)>"}}
    with pytest.raises(ProgramFailure, match="example e-000: it expects an empty answer"):
        selected([example("x", "< >")], asked(prompt=prompt))


def test_the_text_of_an_answer_in_parts_is_compared() -> None:
    parts = [{"type": "text", "text": "Use read()."}]
    questions, _ = selected([{"inputs": {"task": "x"}, "outputs": {"text": parts}}], asked())
    assert [question.target for question in questions] == ["Use read()."]


@pytest.mark.parametrize(
    ("broken", "prompt", "reason", "says"),
    [
        (
            {"inputs": {"task": "x"}, "outputs": {"code": "y"}},
            PLAIN,
            "PromptRenderFailed",
            "3 of 33 examples of evaluation dataset 'd' do not fit the AgentModel's spec.prompt; the first is example "
            "e-030: spec.prompt.assistant: `outputs` has no `text`; it has: code; ",
        ),
        (
            {"inputs": {"task": "x"}, "outputs": {"text": " "}},
            PLAIN,
            "DatasetShapeInvalid",
            "3 of 33 examples of evaluation dataset 'd' cannot be used in an evaluation; the first is example e-030: "
            "it expects an empty answer",
        ),
        (
            example("x", "wrong"),
            {**PLAIN, "parse": {"type": "regex", "pattern": "right.*"}},
            "DatasetShapeInvalid",
            "3 of 33 examples of evaluation dataset 'd' cannot be used in an evaluation; the first is example e-030: "
            "its target does not fit spec.prompt.parse: ",
        ),
    ],
)
def test_a_refusal_says_how_many_examples_have_the_fault(
    broken: dict[str, Any], prompt: dict[str, Any], reason: str, says: str
) -> None:
    with pytest.raises(ProgramFailure) as failure:
        selected([*RIGHT, *[broken] * 3], asked(prompt=prompt))
    assert failure.value.reason == reason
    assert str(failure.value).startswith(says)


TOOL = {"type": "function", "function": {"name": "read", "parameters": {"type": "object"}}}
AS_CHAT = [{"role": "user", "content": "Read a."}]


def with_tools(outputs: dict[str, Any], tools: Any = (TOOL,)) -> dict[str, Any]:
    return {"inputs": {"messages": AS_CHAT, "tools": list(tools)}, "outputs": {"text": "", **outputs}}


def test_the_models_get_the_tools_of_the_example_and_its_calls_are_expected() -> None:
    langchain = {"name": "read", "args": {"path": "a"}, "id": "c9"}
    anthropic = {"name": "read", "input_schema": {}}
    examples = [
        with_tools({"tool_calls": [CALL]}),
        with_tools({"text": "I read it.", "tool_calls": [langchain]}, tools=[anthropic]),
        with_tools({"text": "Done."}),
    ]
    called, beside_a_text, said = selected(examples, asked())[0]
    assert (called.tools, called.calls, called.target) == ((TOOL,), (CALL,), "")
    assert [one["function"] for one in beside_a_text.calls] == [
        {"name": "read", "arguments": '{"path": "a"}'}
    ]
    assert beside_a_text.tools == ({"type": "function", "function": {"name": "read"}},)
    assert (said.tools, said.calls, said.target) == ((TOOL,), (), "Done.")


def test_other_tools_make_another_question() -> None:
    other = {"type": "function", "function": {"name": "read", "parameters": {}}}
    examples = [with_tools({"tool_calls": [CALL]}), with_tools({"tool_calls": [CALL]}, tools=(other,))]
    assert len(selected([*examples, *examples], asked())[0]) == 2


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        (
            with_tools({"tool_calls": [{"function": {"name": "write", "arguments": "{}"}}]}),
            "it expects a call of 'write', which its inputs.tools do not define",
        ),
        (
            with_tools({"tool_calls": [{"function": {"name": "read", "arguments": "{"}}]}),
            "the arguments of a call that it expects are not JSON",
        ),
        (with_tools({"tool_calls": [CALL]}, tools=["read"]), r"inputs.tools\[0\]: must be an object"),
        (
            {"inputs": {"messages": AS_CHAT}, "outputs": {"text": "", "tool_calls": [CALL]}},
            "put the definitions of its tools into inputs.tools beside inputs.messages",
        ),
    ],
)
def test_calls_that_no_model_could_make_are_refused_by_example(broken: dict[str, Any], says: str) -> None:
    with pytest.raises(ProgramFailure, match=says) as failure:
        selected([broken], asked())
    assert failure.value.reason == "DatasetShapeInvalid"


def test_a_dataset_without_a_scorer_is_refused_with_the_one_that_fits() -> None:
    examples = [example(f"task {n}", json.dumps({"n": n})) for n in range(30)]
    with pytest.raises(
        ProgramFailure, match=r"Of the 30 expected answers in ls://d most are JSON"
    ) as failure:
        selected(examples, asked(scorer=None))
    assert failure.value.reason == "ScorerMissing"
