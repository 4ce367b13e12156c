"""All examples of a dataset, filtered and rendered by the prompt contract in one pass."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from modelops.datasets.control_tokens import ControlTokens
from modelops.datasets.download import DownloadedDataset, Example
from modelops.datasets.example_filter import ExampleFilter, success_of
from modelops.datasets.example_renderer import ExampleRenderer, check_prompt
from modelops.datasets.labels import LabelCounts
from modelops.datasets.lengths import Length, TokenCounter
from modelops.datasets.line_file import LineFile
from modelops.datasets.near import Shingles
from modelops.datasets.production import TrainingPrompts
from modelops.datasets.rendering import RenderedExample
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.sensitive_examples import SensitiveExamples
from modelops.datasets.template_check import TemplateCheck
from modelops.datasets.wrong_answers import WrongAnswers, report_histories
from modelops.workdir import ProgramFailure

_AT_ONCE = 512
_REMEDY = "failures are not used for training: add successful examples, or set spec.dataset.includeFailures"
_REMEDY_OF_PAIRS = "examples that nobody judged are no pairs: set metadata.success"
_ENCODER = json.JSONEncoder(sort_keys=True)
_Counting = tuple[list[RenderedExample], Future[list[Length]]]


@dataclass(frozen=True, kw_only=True, slots=True)
class PromptCompletion:
    """One prompt with one answer. Its messages are on disk, in a LineFile at `offset`.

    `id` is that of the example; `number` its position among all rendered answers. `prompt_digest` is equal for the
    same prompt, also where it is formatted differently, `question_digest` for a prompt of the same text only,
    `inputs_digest` for the same inputs, and `target_digest` for the same answer. `turns` are those of the prompt
    (`NormalisedPrompt`). `preferred` is its side of a pair in one example. `group_value`
    is the value of the request's `group_key`; None where the example has none. `source_run` is empty where the example
    was not made from a run. `most_tokens` is `tokens` where these were counted, and more where they are an estimate.
    `history` are the answers before the prompt's last message (`NormalisedPrompt.answers`); with `only_last` they are
    not learnt.
    """

    id: str
    number: int
    offset: int
    prompt_digest: str
    target_digest: bytes
    tokens: int
    most_tokens: int
    success: bool
    preferred: bool | None
    group_value: str | None
    source_run: str
    question_digest: bytes = b""
    inputs_digest: str = ""
    turns: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    only_last: bool = False

    @property
    def question(self) -> tuple[str, bytes]:
        """Equal for the same question. Code that is formatted differently may be another program."""
        return self.prompt_digest, self.question_digest


@dataclass(kw_only=True)
class RenderedDataset:
    """Every prompt with its answer, in the order of the examples' ids, and the results of the pass over them."""

    completions: list[PromptCompletion] = field(default_factory=list)
    shingles: Shingles = field(default_factory=Shingles)
    sensitive: SensitiveExamples = field(default_factory=SensitiveExamples)
    labels: LabelCounts = field(default_factory=LabelCounts)
    prompts: TrainingPrompts = field(default_factory=TrainingPrompts)
    control_tokens: ControlTokens = field(default_factory=ControlTokens)
    template_check: TemplateCheck = field(default_factory=TemplateCheck)
    tool_users: list[str] = field(default_factory=list)
    """Ids of examples with definitions or calls of tools."""


def render_dataset(
    source: DownloadedDataset,
    request: Request,
    *,
    counter: TokenCounter,
    control_tokens: ControlTokens,
    template_check: TemplateCheck,
    file: LineFile,
    report: Report,
) -> RenderedDataset:
    """Filter and render all examples; their messages are appended to `file`.

    Raises ProgramFailure: DatasetEmpty, DatasetShapeInvalid, PromptRenderFailed.
    """
    dataset = source.version.name
    if not source.version.count:
        raise ProgramFailure(
            "DatasetEmpty", f"dataset {dataset!r} has no examples in the chosen version and splits; add some"
        )
    check_prompt(request.prompt)
    pairs = request.method != "sft"
    wrong = WrongAnswers(prompt=request.prompt)
    usable = ExampleFilter(
        agent=request.agent,
        on_failure=wrong.note,
        learns_from_failures=pairs or request.include_failures,
        pairs=pairs,
    )
    renderer = ExampleRenderer(prompt=request.prompt, pairs=pairs)
    result = RenderedDataset(control_tokens=control_tokens, template_check=template_check)
    with ThreadPoolExecutor(
        max_workers=1
    ) as beside:  # The tokenizer counts one batch while the next is rendered.
        counting: _Counting | None = None
        for batch in _batches(source):
            rendered = [
                one for example in batch if usable.accepts(example) for one in renderer.render(example)
            ]
            if counting:
                _add(result, *counting, request=request, file=file)
            rendered = result.sensitive.without_those_left_out(rendered, request=request)
            counting = rendered, beside.submit(_count, rendered, counter)
        if counting:
            _add(result, *counting, request=request, file=file)
    usable.refuse_or_report(
        source.version.count,
        dataset=f"dataset {dataset!r}",
        remedy=_REMEDY_OF_PAIRS if pairs else _REMEDY,
        findings=report.findings,
    )
    renderer.refuse(usable.usable, dataset=dataset)
    result.completions = [
        replace(one, only_last=True) if wrong.are_in(one.history) else one for one in result.completions
    ]
    report_histories(sum(one.only_last for one in result.completions), report=report)
    report.figures["left_out"] = dict(usable.left_out)
    return result


def _count(batch: list[RenderedExample], counter: TokenCounter) -> list[Length]:
    return counter.count([one.text for one in batch], [len(one.prompt) + len(one.answer) for one in batch])


def _add(
    result: RenderedDataset,
    batch: list[RenderedExample],
    lengths: Future[list[Length]],
    *,
    request: Request,
    file: LineFile,
) -> None:
    result.shingles.add([one.normalised.words for one in batch])
    for one, length in zip(batch, lengths.result(), strict=True):
        example = one.example
        result.control_tokens.look_at(one)
        result.template_check.look_at(one)
        if one.uses_tools:
            result.tool_users.append(example.id)
        if one.preferred is not False:
            result.labels.add(example.metadata)
            if request.project:
                result.prompts.add(one.prompt, tools=one.tools)
        completion = PromptCompletion(
            id=example.id,
            number=len(result.completions),
            offset=file.append(_line(one, method=request.method)),
            prompt_digest=one.normalised.digest,
            target_digest=hashlib.sha256(one.target.encode()).digest()[:16],
            tokens=length.tokens,
            most_tokens=length.most,
            success=success_of(example) is True,
            preferred=one.preferred,
            group_value=_value_at(example, request.group_key),
            source_run=example.source_run,
            question_digest=one.normalised.question,
            inputs_digest=one.inputs_digest,
            turns=one.normalised.turns,
            history=one.normalised.answers,
        )
        result.completions.append(completion)


def _line(one: RenderedExample, *, method: str) -> bytes:
    """One line of the file. For SFT it is already the row to upload, so that it only has to be copied."""
    document: dict[str, Any] = {"id": one.example.id}
    if method == "sft":
        document["messages"] = [*one.prompt, *one.answer]
    else:
        document |= {"prompt": one.prompt, "answer": one.answer}
    if one.tools:
        document["tools"] = one.tools
    return _ENCODER.encode(document).encode() + b"\n"


def _batches(source: DownloadedDataset) -> Iterator[list[Example]]:
    remaining = iter(source)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch


def _value_at(example: Example, path: str | None) -> str | None:
    """The value at a dotted path as JSON text. The path may begin with `inputs` or `metadata`; otherwise it is looked
    up in the inputs and then in the metadata. None where there is no such value."""
    if not path:
        return None
    parts = path.split(".")
    for start in ({"inputs": example.inputs, "metadata": example.metadata}, example.inputs, example.metadata):
        value: Any = start
        for part in parts:
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return json.dumps(value, sort_keys=True)
    return None
