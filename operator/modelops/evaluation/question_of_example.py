"""The question that one example of the dataset makes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from modelops.datasets.download import Example
from modelops.datasets.example_fields import empty_output, invalid_text
from modelops.domain import prompt as prompts
from modelops.domain.answer_calls import field_of_calls
from modelops.domain.answer_json import UnreadableJsonError
from modelops.domain.chat_messages import MessageError, openai_tools
from modelops.domain.gates.tool_calls import same_calls
from modelops.evaluation.question import Question
from modelops.evaluation.request import Request
from modelops.evaluation.scorers.interface import Scorer
from modelops.evaluation.time_limit import READ_SECONDS, TooSlow, processor_time_limit
from modelops.workdir import ProgramFailure


class FaultyExampleError(ValueError):
    """No question can be made of the example; the message is what is wrong with it, and what to do where that is not to
    correct or remove it."""


def question_of(example: Example, *, request: Request, scorer: Scorer | None) -> Question:
    """The example's question, with the tools that a training gives the model. `scorer` is None where none is named.

    Raises FaultyExampleError, PromptError, and ProgramFailure where the target takes too long to read: then all others
    may as well, so they are not tried.
    """
    problem = invalid_text(example)
    if problem:
        raise FaultyExampleError(problem)
    messages = prompts.render(request.prompt, example.inputs)
    answer = prompts.answer(request.prompt, example.inputs, example.outputs)
    tools = tools_of(example.inputs)
    calls = tuple(answer.get("tool_calls", ())) if tools else ()
    question = Question(
        example=example.id,
        inputs=example.inputs,
        messages=tuple(messages),
        target="" if calls else _target(example, answer, request=request),
        outputs=example.outputs,
        tools=tools,
        calls=calls,
        metadata=example.metadata,
    )
    fault = _fault_of_calls(calls, tools) or (scorer.fault(question) if scorer else None)
    if fault:
        raise FaultyExampleError(fault)
    return question


def has_pattern(request: Request) -> bool:
    """Whether answers are read by a regular expression, which is the only way that may take exponential time."""
    return request.prompt.parse is not None and request.prompt.parse.type == "regex"


def _target(example: Example, answer: Mapping[str, Any], *, request: Request) -> str:
    """The text that is compared. Raises as `question_of`."""
    try:
        _require_text(example, answer["content"], calls="tool_calls" in answer)
        with processor_time_limit(READ_SECONDS):
            target = prompts.parse(request.prompt, answer["content"])
        _require_text(example, target, calls=False)
    except prompts.AnswerError as error:
        raise FaultyExampleError(f"its target does not fit spec.prompt.parse: {error}") from error
    except TooSlow as error:
        if not has_pattern(request):
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"the target of example {example.id} takes {error} to read. Shorten it",
            ) from error
        raise ProgramFailure(
            "PromptRenderFailed",
            f"the AgentModel's spec.prompt.parse takes {error} to read the target of example {example.id}; simplify "
            "the pattern",
        ) from error
    return target


def tools_of(inputs: Mapping[str, Any]) -> tuple[Mapping[str, Any], ...]:
    """The definitions of tools in OpenAI's form: those that a training gives the model, beside `inputs.messages`.

    Raises FaultyExampleError.
    """
    definitions = inputs.get("tools") if "messages" in inputs else None
    try:
        return tuple(openai_tools(definitions, "inputs.tools")) if definitions else ()
    except MessageError as error:
        raise FaultyExampleError(str(error)) from error


def _fault_of_calls(calls: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str | None:
    """Why no answer could be equal to the expected calls; None where one could."""
    defined = {tool["function"]["name"] for tool in tools if isinstance(tool.get("function"), Mapping)}
    unknown = sorted({str(call["function"]["name"]) for call in calls} - defined)
    if unknown:
        return f"it expects a call of {unknown[0]!r}, which its inputs.tools do not define"
    try:
        same_calls(calls, calls)
    except UnreadableJsonError as error:
        return f"the arguments of a call that it expects are {error}"
    return None


def _require_text(example: Example, text: str, *, calls: bool) -> None:
    """Raises FaultyExampleError for an expected answer without text: silence must not succeed."""
    if text.strip():
        return
    if calls:
        raise FaultyExampleError(
            f"it expects a call of a tool ({field_of_calls(example.outputs)}) and no text, and the models would get no "
            "tool: put the definitions of its tools into inputs.tools beside inputs.messages, write the call into the "
            "answer's text by spec.prompt.assistant, or leave such examples out"
        )
    raise FaultyExampleError(
        f"it expects an empty answer (its {empty_output(example)}, after spec.prompt.assistant and "
        "spec.prompt.parse), and an empty answer is never a success"
    )
