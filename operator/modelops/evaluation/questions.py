"""The held-out questions that both models are asked."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from modelops.datasets.download import Example, LoadedDataset, load_dataset
from modelops.datasets.example_filter import ExampleFilter
from modelops.datasets.faulty_examples import prompt_misfit, shape_invalid
from modelops.domain import prompt as prompts
from modelops.evaluation.learnt_inputs import Compared, LearntInputs, Normalised, read_learnt_inputs
from modelops.evaluation.question import Question
from modelops.evaluation.question_file import QuestionFile
from modelops.evaluation.question_of_example import FaultyExampleError, question_of
from modelops.evaluation.request import Request
from modelops.evaluation.scorers.choice import require_scorer, scorer_of, select
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure, WorkDir

_AT_ONCE = 50
"""Examples whose words are in memory at the same time: those of a long example take 100 kB and more."""


def read_questions(
    work: WorkDir, request: Request, *, findings: list[str]
) -> tuple[LoadedDataset, list[Question]]:
    """The evaluation dataset, without its examples, and the questions from it.

    Downloads that are in the work folder are used again.

    Raises ProgramFailure: LangSmith's reasons, and those of `read_learnt_inputs` and `select_questions`.
    """
    work.progress("reading")
    dataset = load_dataset(work, "source", request.dataset, as_of=request.as_of)
    learnt = read_learnt_inputs(work, request)
    questions = select_questions(dataset, request, learnt=learnt, findings=findings, folder=work.folder)
    return replace(dataset, examples=()), questions


def select_questions(
    dataset: LoadedDataset,
    request: Request,
    *,
    learnt: LearntInputs,
    findings: list[str],
    folder: Path | None = None,
) -> list[Question]:
    """The questions: as in a training, without examples of other agents, failures and copies; and without examples that
    were trained on. Where `max_examples` limits them, always the same ones.

    `folder`: where they are kept; without it, in memory.

    Raises ProgramFailure: DatasetEmpty, DatasetShapeInvalid, PromptRenderFailed, TrainTestOverlap, ScorerMissing, and
    those of the scorer.
    """
    if not dataset.examples:
        raise ProgramFailure("DatasetEmpty", f"evaluation dataset {dataset.name!r} has no examples; add some")
    _check_prompt(request)
    usable = _usable(dataset, agent=request.agent, findings=findings)
    unseen = _without_learnt(usable, request, learnt=learnt, findings=findings)
    stored = QuestionFile(folder / "questions.jsonl") if folder else None
    questions = _without_copies(
        _questions(unseen, request, dataset=dataset.name, stored=stored), findings=findings
    )
    most, field = request.top_up_examples or request.max_examples, "maxExamples"
    if most is not None and len(questions) > most:
        field = "topUp.maxExamples" if request.top_up_examples else field
        findings.append(
            f"{counted(most, 'example', of=len(questions))} {verb(most, 'was', 'were')} selected ({field})"
        )
        questions = sorted(questions, key=hash_order)[:most]
    require_scorer(request, questions)
    chosen = select(scorer_of(request), questions, findings)
    return sorted(chosen, key=lambda question: question.example)


def _usable(dataset: LoadedDataset, *, agent: str, findings: list[str]) -> LoadedDataset:
    """The dataset with the examples that a training would use: of the agent, and whose answer is right."""
    usable = ExampleFilter(agent=agent)
    examples = tuple(example for example in dataset.examples if usable.accepts(example))
    usable.refuse_or_report(
        len(dataset.examples),
        dataset=f"evaluation dataset {dataset.name!r}",
        remedy="an answer that is wrong is no reference: add examples with right answers",
        findings=findings,
    )
    return replace(dataset, examples=examples)


def _without_copies(questions: Sequence[Question], *, findings: list[str]) -> list[Question]:
    """Each question with its target once: copies prove no more than one, and would narrow the interval."""
    first: dict[bytes, Question] = {}
    for question in sorted(questions, key=lambda question: question.example):
        first.setdefault(_content(question), question)
    copies = len(questions) - len(first)
    if copies:
        findings.append(
            f"{counted(copies, 'example')} {verb(copies, 'was', 'were')} left out as "
            f"{verb(copies, 'a copy', 'copies')} of another question with the same target"
        )
    return list(first.values())


def _content(question: Question) -> bytes:
    """A digest of what the models read, and of what is expected of them."""
    parts = question.messages, question.tools, question.target, question.calls
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).digest()


def _without_learnt(
    dataset: LoadedDataset, request: Request, *, learnt: LearntInputs, findings: list[str]
) -> list[Example]:
    """The examples that neither the candidate nor an earlier model has learnt; the others become findings."""
    if learnt.candidate is None:
        findings.append(
            "the training examples of the candidate are not known, so examples of the evaluation may be among them"
        )
    findings += [
        f"the training examples of {name}, from which the candidate was trained, cannot be read, so examples of the "
        "evaluation may be among them"
        for name in learnt.unknown
    ]
    if learnt.by_inputs_only:
        findings.append(
            f"{counted(learnt.by_inputs_only, 'training dataset')} {verb(learnt.by_inputs_only, 'has', 'have')} the "
            "form groups/v1, so only whole inputs could be compared with it: an example that differs in an id or a "
            "time, or that is an earlier turn of a conversation, may have been trained on"
        )
    learnt_by = list(_learnt_by(dataset.examples, request, learnt))
    kept = [example for example, why in zip(dataset.examples, learnt_by, strict=True) if not why]
    if not kept:
        total = len(dataset.examples)
        raise ProgramFailure(
            "TrainTestOverlap",
            f"{counted(total, 'example', of=total)} of evaluation dataset {dataset.name!r} "
            f"{verb(total, 'was', 'were')} trained on; add examples that were not trained on to the dataset in the "
            "Rollout's spec.evaluation.dataset",
        )
    findings += _left_out(Counter(learnt_by))
    return kept


def _learnt_by(examples: Sequence[Example], request: Request, learnt: LearntInputs) -> Iterator[str]:
    """For each example how it was trained on; empty where it was not. Few are compared at once, to save memory."""
    if learnt.candidate is None and not learnt.earlier:
        yield from [""] * len(examples)
        return
    for start in range(0, len(examples), _AT_ONCE):
        some = [Normalised.of(request.prompt, one.inputs) for one in examples[start : start + _AT_ONCE]]
        candidate = learnt.candidate.compare(some) if learnt.candidate else [Compared()] * len(some)
        earlier = [False] * len(some)
        for trained in learnt.earlier:
            earlier = [one or any(found) for one, found in zip(earlier, trained.compare(some), strict=True)]
        for one, before in zip(candidate, earlier, strict=True):
            if one.same:
                yield "same"
            elif one.earlier_turn:
                yield "turn"
            elif one.near:
                yield "near"
            else:
                yield "earlier" if before else ""


def _left_out(counts: Counter[str]) -> Iterator[str]:
    turns, near, earlier = counts["turn"], counts["near"], counts["earlier"]
    for count, reason in (
        (counts["same"], ", because the candidate was trained on the same prompts"),
        (
            turns,
            f" as {verb(turns, 'an earlier turn', 'earlier turns')} of conversations that were trained on",
        ),
        (near, f" as {verb(near, 'a near-copy', 'near-copies')} of training examples"),
        (
            earlier,
            ", because a model from which the candidate was trained has learnt "
            f"{verb(earlier, 'it', 'them')} or {verb(earlier, 'a near-copy', 'near-copies')}",
        ),
    ):
        if count:
            yield f"{counted(count, 'example')} {verb(count, 'was', 'were')} left out{reason}"


def _check_prompt(request: Request) -> None:
    try:
        prompts.check(request.prompt)
    except prompts.PromptError as error:
        raise ProgramFailure("PromptRenderFailed", f"the AgentModel's spec.{error}") from error


def _questions(
    examples: Sequence[Example], request: Request, *, dataset: str, stored: QuestionFile | None
) -> list[Question]:
    """The question of each example, on disk where there is a file.

    Raises ProgramFailure, with the number of the examples that have none.
    """
    scorer = scorer_of(request) if request.scorer else None
    questions: list[Question] = []
    faulty: list[tuple[str, str]] = []
    misfits: list[tuple[str, str]] = []
    for example in examples:
        try:
            question = question_of(example, request=request, scorer=scorer)
            questions.append(stored.stored(question) if stored else question)
        except (FaultyExampleError, prompts.ExampleError) as error:
            faulty.append((example.id, str(error)))
        except prompts.PromptError as error:
            misfits.append((example.id, str(error)))
    if stored:
        stored.close()
    name = f"evaluation dataset {dataset!r}"
    if faulty:
        fault = "cannot be used in an evaluation", "cannot be used in an evaluation"
        raise shape_invalid(faulty, of=len(examples), dataset=name, fault=fault)
    if misfits:
        raise prompt_misfit(misfits, of=len(examples), dataset=name)
    return questions


def hash_order(question: Question) -> bytes:
    """A sort key that selects the same arbitrary examples each time, and the same first ones of more examples."""
    return hashlib.sha256(question.example.encode()).digest()
