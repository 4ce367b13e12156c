"""The row evaluation: both models are asked 1,000 questions; peer: `langsmith.evaluate` with the same models and scorer."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID, uuid4

from tests.bench.environment import Environment
from tests.bench.table import Row
from tests.evaluation_memory import example_ids, models, peak_mb, write_dataset

from modelops.domain.gates.scoring import exact
from modelops.evaluation.collect_answers import collect_answers
from modelops.evaluation.journal import Answer, AnswerJournal
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.scorers.interface import Score

QUESTIONS, CONCURRENCY, CALL_SECONDS = 1_000, 32, 0.1
LEAST_OF_IDEAL, LEAST_OF_PEER = 0.95, 1.2
PAIRS, STATISTICS_SECONDS = 10_000, 2.0
SECONDS = 240.0
FEW, MANY, MOST_GROWTH = 1_000, 20_000, 1.25
CHARACTERS = 2_000


async def measure(env: Environment) -> list[Row]:
    """The models are one process that answers each call after 100 ms."""
    os.environ["BENCH_MODEL_KEY"] = "sk-bench"
    with models(seconds=CALL_SECONDS) as address:
        ours = await _ours(address, env.folder)
        peer = await asyncio.to_thread(_peer, address)
    few, many = await asyncio.to_thread(_peaks, env.folder)
    ideal = len(ARMS) * QUESTIONS * CALL_SECONDS / CONCURRENCY
    statistics = await asyncio.to_thread(_statistics)
    return [
        Row(
            name=f"{QUESTIONS:,} examples x {len(ARMS)} models, {CONCURRENCY} calls of {CALL_SECONDS * 1000:.0f} ms at once",
            measured=f"{ours:.2f} s: {ideal / ours:.2f} of the ideal rate, {peer / ours:.2f} of the peer's",
            limit=f">= {LEAST_OF_IDEAL} of the ideal, >= {LEAST_OF_PEER} of the peer's",
            peer=f"langsmith.evaluate, results not uploaded: {peer:.2f} s",
            limit_missed=ideal / ours < LEAST_OF_IDEAL or peer / ours < LEAST_OF_PEER,
        ),
        Row(
            name=f"statistics of {PAIRS:,} pairs: success, p50, p95, limit of p95, cost",
            measured=f"{statistics:.2f} s",
            limit=f"< {STATISTICS_SECONDS:.0f} s",
            limit_missed=statistics >= STATISTICS_SECONDS,
        ),
        Row(
            name=f"peak RSS of an evaluation of {MANY:,} examples, {3 * CHARACTERS:,} letters each",
            measured=f"{many:.0f} MB: {many / few:.2f} of that of {FEW:,}",
            limit=f"<= {MOST_GROWTH} of that of {FEW:,} examples",
            peer=f"{FEW:,} examples: {few:.0f} MB",
            limit_missed=many / few > MOST_GROWTH,
        ),
    ]


def _peaks(folder: Path) -> tuple[float, float]:
    """The peaks of memory of a whole evaluation of few and of many examples. LangSmith is down, so nothing is uploaded."""
    found = []
    with models(characters=CHARACTERS * 3 // 4) as address:
        for count in (FEW, MANY):
            work = folder / f"of-{count}"
            work.mkdir()
            ids = example_ids(count)
            write_dataset(
                work, dataset_id="d", as_of="2026-01-01T00:00:00+00:00", ids=ids, characters=CHARACTERS
            )
            down = {"LANGSMITH_ENDPOINT": "http://127.0.0.1:1", "LANGSMITH_API_KEY": "lsv2_bench"}
            found.append(peak_mb(work, address=address, environment=down))
    few, many = found
    return few, many


def _request(address: str) -> Request:
    arm = {"model": "m", "base_url": address, "api_key_env": "BENCH_MODEL_KEY"}
    return Request.of(
        {
            "v": 1,
            "rollout": "bench",
            "agent": "docs",
            "dataset": "ls://bench",
            "arms": {"baseline": {**arm, "version": "v1"}, "candidate": {**arm, "version": "v2"}},
            "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"},
            "scorer": {"type": "exact", "threshold": "1"},
            "margin_points": "5",
            "goal": "nonInferior",
            "concurrency": CONCURRENCY,
        }
    )


def _questions(count: int) -> list[Question]:
    return [
        Question(
            example=str(UUID(int=n)),
            inputs={"task": f"question {n}"},
            messages=({"role": "user", "content": f"question {n}"},),
            target="yes",
        )
        for n in range(count)
    ]


async def _ours(address: str, folder: Path) -> float:
    """Seconds for all answers, with the journal that makes them survive a crash, and their scores."""
    questions, request = _questions(QUESTIONS), _request(address)
    began = time.monotonic()
    with AnswerJournal(folder / "answers.jsonl") as journal:
        await collect_answers(request, questions, journal, progress=lambda done, total: None)
        scores = [exact(answer.text or "", "yes") for answer in journal.answers.values()]
    seconds = time.monotonic() - began
    assert scores == [1.0] * len(ARMS) * QUESTIONS
    return seconds


def _peer(address: str) -> float:
    """Seconds of LangSmith's own evaluation, once for each model."""
    from langsmith import Client, evaluate
    from langsmith.schemas import Example
    from openai import OpenAI

    dataset = uuid4()
    examples = [
        Example(
            id=UUID(question.example),
            inputs=dict(question.inputs),
            outputs={"text": "yes"},
            dataset_id=dataset,
            created_at=datetime.now(UTC),
        )
        for question in _questions(QUESTIONS)
    ]
    client = Client(api_url="http://127.0.0.1:1", api_key="lsv2_bench", auto_batch_tracing=False)
    model = OpenAI(base_url=address, api_key="sk-bench", max_retries=0)

    def target(inputs: dict[str, Any]) -> dict[str, Any]:
        completion = model.chat.completions.create(
            model="m", messages=[{"role": "user", "content": inputs["task"]}]
        )
        return {"text": completion.choices[0].message.content}

    def score(outputs: dict[str, Any], reference_outputs: dict[str, Any]) -> float:
        return exact(outputs["text"], reference_outputs["text"])

    began = time.monotonic()
    for _ in ARMS:
        rows = evaluate(
            target,
            data=examples,
            evaluators=[score],
            max_concurrency=CONCURRENCY,
            upload_results=False,
            client=client,
        )
        scores = [row["evaluation_results"]["results"][0].score for row in rows]
        assert scores == [1.0] * QUESTIONS
    seconds = time.monotonic() - began
    model.close()
    return seconds


def _statistics() -> float:
    """Seconds for verdict, intervals, the latencies' bootstrap, and cost of answers that are scored already."""
    random, questions = Random(7), _questions(PAIRS)
    request = _request("http://127.0.0.1:1/v1").model_copy(update={"max_p95_ms": 2000})
    answers = [_answer(arm, question, random) for question in questions for arm in ARMS]
    scores = {answer.key: Score(value=float(random.random() < 0.7)) for answer in answers}
    began = time.monotonic()
    compare_arms(request, questions, answers, scores)
    return time.monotonic() - began


def _answer(arm: ArmName, question: Question, random: Random) -> Answer:
    return Answer(
        arm=arm,
        example=question.example,
        repetition=0,
        started=0.0,
        latency_ms=random.lognormvariate(6, 0.5),
        text="yes",
        prompt_tokens=10,
        completion_tokens=10,
    )
