"""From examples to rows: checked, rendered by the prompt contract, free of duplicates.

Every refusal says how many examples are concerned, names one, and says what to do. Contents never appear in a
message: they may be anybody's code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.datasets import groups
from modelops.datasets.source import Example
from modelops.domain.prompt import Message, PromptError, check, render
from modelops.workdir import ProgramFailure

_PIECES = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One training row; `group` is what its inputs have in common with near-copies, `tokens` an estimate."""

    id: str
    messages: tuple[Message, ...]
    group: str
    tokens: int


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The usable rows and what a person should know about the rest."""

    rows: tuple[Row, ...]
    findings: tuple[str, ...]


def make_rows(examples: Sequence[Example], *, agent: str, prompt: PromptContract, dataset: str) -> Rows:
    """Raises ProgramFailure: DatasetEmpty, DatasetShapeInvalid, PromptRenderFailed."""
    if not examples:
        raise ProgramFailure(
            "DatasetEmpty", f"dataset {dataset!r} has no examples in the chosen version and splits; add some"
        )
    findings: list[str] = []
    _check_shapes(examples, dataset=dataset)
    usable = _of_this_agent(examples, agent=agent, dataset=dataset, findings=findings)
    usable = _successes(usable, dataset=dataset, findings=findings)
    _check_prompt(prompt)
    rendered = [_row(example, prompt=prompt, total=len(usable)) for example in usable]
    _check_targets(rendered, dataset=dataset)
    return Rows(rows=_distinct(rendered, findings=findings), findings=tuple(findings))


def _check_shapes(examples: Sequence[Example], *, dataset: str) -> None:
    def sound(part: object) -> bool:
        return isinstance(part, dict) and bool(part)

    bad = [e for e in examples if not (sound(e.inputs) and sound(e.outputs))]
    if bad:
        part = "outputs" if sound(bad[0].inputs) else "inputs"
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"{len(bad)} of {len(examples)} examples of dataset {dataset!r} lack inputs or outputs as an "
            f"object with keys; the first is example {bad[0].id}, its `{part}`. Correct or remove them",
        )


def _of_this_agent(
    examples: Sequence[Example], *, agent: str, dataset: str, findings: list[str]
) -> list[Example]:
    others = sorted({str(e.metadata["agent"]) for e in examples if not _is_for(agent, e)})
    kept = [e for e in examples if _is_for(agent, e)]
    if not kept:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"all {len(examples)} examples of dataset {dataset!r} have metadata.agent {', '.join(others)!r}, "
            f"not {agent!r}; choose that agent's dataset",
        )
    if others:
        findings.append(
            f"{len(examples) - len(kept)} examples of other agents ({', '.join(others)}) were left out"
        )
    return kept


def _is_for(agent: str, example: Example) -> bool:
    named = example.metadata.get("agent")
    return named is None or _plain(str(named)) == _plain(agent)


def _plain(agent: str) -> str:
    """feature_dev, feature-dev and FeatureDev are one agent."""
    return re.sub(r"[-_\s]", "", agent).lower()


def _successes(examples: Sequence[Example], *, dataset: str, findings: list[str]) -> list[Example]:
    kept = [e for e in examples if e.metadata.get("success", True) is True]
    if not kept:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"no example of dataset {dataset!r} has metadata.success true; failures are not learnt from",
        )
    if len(kept) < len(examples):
        findings.append(f"{len(examples) - len(kept)} examples without metadata.success true were left out")
    return kept


def _check_prompt(prompt: PromptContract) -> None:
    try:
        check(prompt)
    except PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error


def _row(example: Example, *, prompt: PromptContract, total: int) -> Row:
    try:
        messages = render(prompt, example.inputs, example.outputs)
    except PromptError as error:
        raise ProgramFailure(
            "PromptRenderFailed",
            f"example {example.id} (of {total}) does not fit the AgentModel's spec.{error}",
        ) from error
    text = "\n".join(str(message.get("content") or "") for message in messages)
    return Row(
        id=example.id,
        messages=tuple(messages),
        group=groups.digest(example.inputs),
        tokens=len(_PIECES.findall(text)),
    )


def _check_targets(rows: Sequence[Row], *, dataset: str) -> None:
    empty = [row for row in rows if not str(row.messages[-1]["content"]).strip()]
    if empty:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"{len(empty)} of {len(rows)} examples of dataset {dataset!r} have an empty target after "
            f"prompt.assistant; the first is example {empty[0].id}. Correct or remove them",
        )


def _distinct(rows: Sequence[Row], *, findings: list[str]) -> tuple[Row, ...]:
    """One row of each question and target; the same question with other targets stays, in one group."""
    first: dict[tuple[str, str], Row] = {}
    for row in rows:
        first.setdefault((row.group, str(row.messages[-1]["content"]).strip()), row)
    if len(first) < len(rows):
        findings.append(f"{len(rows) - len(first)} duplicates were left out")
    conflicting = len(first) - len({row.group for row in first.values()})
    if conflicting:
        findings.append(f"{conflicting} examples have the same inputs as another one but a different target")
    return tuple(first.values())
