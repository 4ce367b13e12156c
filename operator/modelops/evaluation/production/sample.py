"""The questions that recent runs of the agent make: they have no reference, and are none of the held-out examples."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from modelops.adapters.langsmith.errors import LangSmithError, LangSmithUnavailable
from modelops.datasets.download import connect_langsmith
from modelops.datasets.failures import CollectionRefused, root_runs
from modelops.datasets.normalised_text import normalised_text
from modelops.datasets.sensitive import find_sensitive
from modelops.domain import prompt as prompts
from modelops.evaluation.question import Question
from modelops.evaluation.question_of_example import FaultyExampleError, tools_of
from modelops.evaluation.request import ProductionRule, Request
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure, WorkDir

FILE: Final = "production.json"
"""The sample in the work folder: after a restart the same runs are asked, and not newer ones."""
LOOKED_AT: Final = 20
"""Runs that are looked at for each run that is wanted."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """The questions of the sample. `left_out`: number of runs that were looked at and are none, by the reason."""

    questions: tuple[Question, ...]
    left_out: Mapping[str, int]

    @property
    def findings(self) -> list[str]:
        """How many runs were left out, and why."""
        return [
            f"{counted(count, 'recent run')} of production {verb(count, 'was', 'were')} not asked: {why}"
            for why, count in self.left_out.items()
        ]


def read_sample(work: WorkDir, request: Request, questions: Sequence[Question]) -> Sample | None:
    """The sample; None where the evaluation has none. `questions` are the held-out ones.

    Raises ProgramFailure where the project cannot be read.
    """
    rule = request.production
    if rule is None:
        return None
    if not rule.project:
        raise ProgramFailure(
            "NoProject",
            "spec.evaluation.productionSample asks for runs of production, and spec.langsmith.project of the "
            "AgentModel names no project: set it, or leave productionSample out",
        )
    if (kept := work.read(FILE)) is not None:
        return _sample(kept["runs"], kept["left_out"], request)
    runs, left_out = _choose(_recent(rule), request, rule, questions)
    work.write(FILE, {"runs": runs, "left_out": left_out})
    return _sample(runs, left_out, request)


def _recent(rule: ProductionRule) -> list[Any]:
    until = rule.until or datetime.now(UTC)
    client = connect_langsmith()
    try:
        found = []
        for run in root_runs(client, rule.project, since=until - timedelta(days=rule.days)):
            if run.started > until:
                continue
            found.append(run)
            if len(found) >= rule.runs * LOOKED_AT:
                break
        return found
    except CollectionRefused as error:
        raise ProgramFailure("NoProject", str(error)) from error
    except LangSmithError as error:
        transient = isinstance(error, LangSmithUnavailable)
        reason = "LangSmithUnavailable" if transient else "LangSmithRefused"
        raise ProgramFailure(reason, str(error), transient=transient) from error
    finally:
        client.close(timeout=0)


def _choose(
    runs: Sequence[Any], request: Request, rule: ProductionRule, questions: Sequence[Question]
) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """The runs that are asked, as they are kept, and the number of those that are not, by the reason."""
    seen = dict.fromkeys(
        (_read_by_models(one) for one in questions), "a held-out example has the same inputs"
    )
    chosen: list[dict[str, Any]] = []
    left_out: Counter[str] = Counter()
    for run in runs:
        if len(chosen) >= rule.runs:
            break
        inputs = run.inputs or {}
        agent = ((run.extra or {}).get("metadata") or {}).get("agent")
        if isinstance(agent, str) and agent and agent != request.agent:
            left_out["they are of another agent"] += 1
            continue
        try:
            question = _question(str(run.id), inputs, request)
        except (FaultyExampleError, prompts.PromptError, ValueError):
            left_out["spec.prompt cannot be rendered with their inputs"] += 1
            continue
        key = _read_by_models(question)
        if key in seen:
            left_out[seen[key]] += 1
            continue
        seen[key] = "another run has the same inputs"
        if find_sensitive(json.dumps(inputs, ensure_ascii=False, default=str)):
            left_out["they contain what looks like a secret or personal data"] += 1
            continue
        chosen.append({"id": str(run.id), "inputs": json.loads(json.dumps(inputs, default=str))})
    return chosen, dict(left_out)


def _question(run_id: str, inputs: Mapping[str, Any], request: Request) -> Question:
    return Question(
        example=f"production-{run_id}",
        inputs=inputs,
        messages=tuple(prompts.render(request.prompt, inputs)),
        target="",
        tools=tools_of(inputs),
    )


def _read_by_models(question: Question) -> str:
    """What the models read, ignoring case and spacing."""
    return normalised_text(json.dumps([question.messages, question.tools], sort_keys=True, default=str))


def _sample(runs: Sequence[Mapping[str, Any]], left_out: Mapping[str, int], request: Request) -> Sample:
    questions = tuple(_question(run["id"], run["inputs"], request) for run in runs)
    return Sample(questions=questions, left_out=left_out)
