"""How similar the answers are to the expected ones, by an embedding model. It is reported apart and decides nothing.

It cannot decide: for a typical model `x << 1` and `x >> 1` are 0.86 similar.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from modelops.api.v1alpha1.similarity import SimilarityResult
from modelops.domain.gates.tool_calls import said
from modelops.evaluation.embeddings import (
    Embedded,
    EmbeddingClient,
    EmbeddingJournal,
    cosine,
    digest,
    embed_texts,
    sent_text,
)
from modelops.evaluation.journal import Answer
from modelops.evaluation.judge.answers import judge_address
from modelops.evaluation.paired_report import paired_fields
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request, SimilarityRule
from modelops.evaluation.scored_answers import readable_answer
from modelops.grammar import counted, verb

EMBEDDINGS_KEY = "MODELOPS_EMBEDDINGS_KEY"
"""The environment variable with the API key of the embedding service."""


@dataclass(frozen=True, kw_only=True)
class SimilarityReport:
    """`line` is the result in one sentence; `billed`: whether every call has a bill, so that `result.usd` is all."""

    result: SimilarityResult
    billed: bool
    line: str
    findings: tuple[str, ...]


def embeddings_address(rule: SimilarityRule) -> str:
    """The base URL of the embedding service."""
    return rule.base_url or judge_address()


def compared_questions(rule: SimilarityRule, questions: Sequence[Question]) -> list[Question]:
    """The sample that is compared: it follows from the examples' ids, so that a restart takes the same one."""
    return sorted(questions, key=lambda q: hashlib.sha256(q.example.encode()).digest())[: rule.max_examples]


def measure_similarity(
    request: Request,
    questions: Sequence[Question],
    answers: Sequence[Answer],
    *,
    folder: Path,
    progress: Callable[[int, int], None],
) -> SimilarityReport | None:
    """Compare a sample of the answers; None where nobody asks for it. No error of the service ends the evaluation."""
    rule = request.similarity
    if rule is None:
        return None
    given = {answer.key: answer for answer in answers}
    chosen = compared_questions(rule, questions)
    texts = {
        (arm, question.example): _text(request, given[arm, question.example, 0], question)
        for question in chosen
        for arm in ARMS
    }
    expected = {q.example: sent_text(said(q.target, q.calls)) for q in chosen}
    embedded = _embedded(request, rule, [*expected.values(), *texts.values()], folder, progress)

    def similarity(arm: ArmName, example: str) -> float | None:
        wanted = embedded.vectors.get(digest(expected[example]))
        text = texts[arm, example]
        if wanted is None:
            return None
        if not text:
            return 0.0  # A failure of the model, as everywhere.
        found = embedded.vectors.get(digest(text))
        return None if found is None else cosine(found, wanted)

    pairs = [
        (baseline, candidate)
        for question in chosen
        if (baseline := similarity("baseline", question.example)) is not None
        and (candidate := similarity("candidate", question.example)) is not None
    ]
    return _report(request, rule, pairs, of=len(chosen), embedded=embedded)


def _text(request: Request, answer: Answer, question: Question) -> str:
    """What is compared of an answer; empty where it failed, is empty or cannot be read."""
    read = readable_answer(request, answer, question)
    return sent_text(said(read.text, read.calls)) if read is not None else ""


def _embedded(
    request: Request,
    rule: SimilarityRule,
    texts: Sequence[str],
    folder: Path,
    progress: Callable[[int, int], None],
) -> Embedded:
    async def ask() -> Embedded:
        client = EmbeddingClient(
            model=rule.model,
            base_url=embeddings_address(rule),
            api_key=os.environ.get(EMBEDDINGS_KEY) or "none",
            timeout_seconds=request.timeout_seconds,
        )
        with EmbeddingJournal(folder / "embeddings.jsonl", model=rule.model) as journal:
            return await embed_texts(client, journal, texts, progress=progress)

    return asyncio.run(ask())


def _report(
    request: Request,
    rule: SimilarityRule,
    pairs: Sequence[tuple[float, float]],
    *,
    of: int,
    embedded: Embedded,
) -> SimilarityReport:
    missing = of - len(pairs)
    result = SimilarityResult(
        model=rule.model,
        missing=missing,
        usd=f"{embedded.usd.normalize():f}",
        **paired_fields(pairs, alpha=float(request.alpha), mean="{:.4f}".format, difference=_signed),
    )
    line = similarity_line(result)
    findings = [f"report only, it does not change the verdict: {line}"]
    if missing:
        findings.append(
            f"similarity by {rule.model}: {counted(missing, 'example', of=of)} {verb(missing, 'is', 'are')} missing, "
            f"because of: {embedded.missing or 'no vector'}"[:500]
        )
    # A team's own endpoint sends no bills: it costs its time, whoever asks it.
    billed = embedded.billed or rule.service != "openrouter"
    return SimilarityReport(result=result, billed=billed, line=line, findings=tuple(findings))


def similarity_line(result: SimilarityResult) -> str:
    """The result in a sentence."""
    if not result.compared:
        return f"similarity by {result.model} compared nothing"
    interval = f" (90 % interval {' to '.join(result.interval)})" if result.interval else ""
    return (
        f"similarity to the expected answers by {result.model} on {counted(result.compared, 'example')}: candidate "
        f"{result.candidate}, baseline {result.baseline}, difference {result.difference}{interval}, for ${result.usd}"
    )


def _signed(value: float) -> str:
    return f"{value + 0.0:.4f}".replace("-0.0000", "0.0000")
