"""Whether the base model's chat template takes the rows: what it refuses, the training job would refuse after it was
paid for (`trainers/trl_tokens.py`)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import jinja2

from modelops.datasets.base_template import BaseTemplate, Refusal
from modelops.datasets.hub_models import TemplateFiles
from modelops.datasets.rendering import RenderedExample
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.evaluation.time_limit import READ_SECONDS, TooSlow, processor_time_limit
from modelops.grammar import counted, verb
from modelops.trainers.trl_calls import takes_text, with_text_arguments
from modelops.trainers.trl_rows import Message, checked_messages, checked_tools
from modelops.workdir import ProgramFailure

MOST_SHAPES = 300
"""Number of shapes of conversations of which one row is rendered."""
_LONGEST_MESSAGE = 300
_CALLED = "modelops_called"
"""Every called function has this name here: only where the template writes a call is it in the text."""
_PLAIN = ({"role": "user", "content": "x"}, {"role": "assistant", "content": "x"})


class TemplateCheck:
    """Renders one row of each shape: the sequence of roles, with which messages have texts and how many calls, and
    whether there are tools. Without a template that can be run here it accepts every row."""

    def __init__(self, files: TemplateFiles | None = None, *, eos: str = "") -> None:
        self._problem = ""
        """Why the template cannot be run here."""
        self._takes_text = False
        self._template = self._compiled(files, eos) if files is not None and not files.lack_template else None
        self._faults: dict[Hashable, str] = {}
        """For each shape that was rendered: why the template does not take it; empty where it does."""
        self._refused: dict[str, str] = {}
        """Id of each example that the template does not take, and why."""
        self._not_rendered = 0

    def look_at(self, one: RenderedExample) -> None:
        """Note whether the template takes conversations of the example's shape."""
        if self._template is None:
            return
        shape = _shape(one)
        if shape not in self._faults:
            if len(self._faults) == MOST_SHAPES:
                self._not_rendered += 1
                return
            self._faults[shape] = self._fault(one, self._template)
        if self._faults[shape]:
            self._refused.setdefault(one.example.id, self._faults[shape])

    def refuse_or_report(self, *, request: Request, name: str, report: Report) -> None:
        """Raises ProgramFailure DatasetShapeInvalid where the template does not take examples; reports what was not
        checked."""
        base = f"the chat template of base model {request.base_model.repo}" if request.base_model else ""
        if self._problem:
            report.add_finding(
                f"{base} cannot be run before the training ({self._problem}), so it is not known whether it takes "
                "these examples"
            )
            return
        if self._refused:
            count, (first, fault) = len(self._refused), next(iter(self._refused.items()))
            raise ProgramFailure(
                "DatasetShapeInvalid",
                f"{counted(count, 'example')} of {request.describe_dataset(name)} cannot be trained on: {base} does "
                f"not take {verb(count, 'it', 'them')}; the first is example {first}: {fault}. Correct or remove "
                f"{verb(count, 'it', 'them')}, or choose another base model",
            )
        if self._not_rendered:
            report.add_finding(
                f"{base} was tried on {counted(MOST_SHAPES, 'sequence')} of roles, and not on those of "
                f"{counted(self._not_rendered, 'more example')}"
            )

    def _compiled(self, files: TemplateFiles, eos: str) -> BaseTemplate | None:
        """None where the template cannot render even a question and its answer, for another reason than a refusal."""
        try:
            with processor_time_limit(READ_SECONDS):
                template = BaseTemplate(files, eos=eos)
                if not template.exists:
                    return None
                with suppress(Refusal):
                    template.render(_PLAIN, None)
        except (Exception, TooSlow) as error:  # noqa: BLE001 - the template's own code may raise any error
            self._problem = _described(error)
            return None
        self._takes_text = takes_text(partial(_render_in_time, template))
        return template

    def _fault(self, one: RenderedExample, template: BaseTemplate) -> str:
        """Why the job would refuse the row; empty where it would not, or where that takes too long to find out."""
        try:
            with processor_time_limit(READ_SECONDS):
                return self._fault_of_texts(one, template)
        except TooSlow as error:
            self._template, self._problem = None, str(error)
            return ""
        except Exception as error:  # noqa: BLE001 - the template's own code may raise any error
            return _described(error)

    def _fault_of_texts(self, one: RenderedExample, template: BaseTemplate) -> str:
        messages = [_with_one_name(m) for m in checked_messages([*one.prompt, *one.answer], "messages")]
        calls, learnt = _calls(messages), _calls(messages[len(one.prompt) :])
        if calls and self._takes_text:
            messages = with_text_arguments(messages)
        tools = checked_tools(one.tools, "tools")
        prompt = template.render(messages[: len(one.prompt)], tools, add_generation_prompt=True)
        text = template.render(messages, tools)
        if not text.startswith(prompt):
            return "it renders the prompt differently when an answer follows it"
        if (calls and _CALLED not in text) or text[len(prompt) :].count(_CALLED) < learnt:
            return "it leaves out calls of tools, so the model would not learn them"
        return ""


def _render_in_time(template: BaseTemplate, messages: Sequence[Message], tools: Any) -> str:
    """Raises what the template raises, and RuntimeError where it takes too long."""
    try:
        with processor_time_limit(READ_SECONDS):
            return template.render(messages, tools)
    except TooSlow as error:
        raise RuntimeError(str(error)) from error


def _shape(one: RenderedExample) -> Hashable:
    """Equal for conversations that differ in their texts only."""
    return (
        bool(one.tools),
        len(one.prompt),
        *(
            (
                *message,
                message.get("role"),
                bool(message.get("content")),
                len(message.get("tool_calls") or ()),
            )
            for message in (*one.prompt, *one.answer)
        ),
    )


def _calls(messages: Sequence[Message]) -> int:
    return sum(len(message.get("tool_calls") or ()) for message in messages)


def _with_one_name(message: Message) -> Message:
    calls: list[dict[str, Any]] = message.get("tool_calls") or []
    if not calls:
        return message
    renamed = [{**call, "function": {**call["function"], "name": _CALLED}} for call in calls]
    return {**message, "tool_calls": renamed}


def _described(error: BaseException) -> str:
    """The template's own message. Other errors are named without their text where it might have contents of rows."""
    if isinstance(error, Refusal):
        return str(error)[:_LONGEST_MESSAGE]
    text = f": {error}" if isinstance(error, jinja2.TemplateError | TypeError | TooSlow) else ""
    return f"{type(error).__name__}{text}"[:_LONGEST_MESSAGE]
