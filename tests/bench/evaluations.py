"""The rows of an evaluation: both models are asked 1,000 questions; peer: `langsmith.evaluate` with the same models
and scorer. And its statistics, and its memory."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from langsmith import Client, evaluate
from openai import OpenAI
from tests.bench.environment import Environment
from tests.bench.table import Row
from tests.evaluation_memory import example_ids, models, peak_mb, write_dataset

from modelops.datasets.download import LoadedDataset
from modelops.domain.gates.scoring import exact
from modelops.evaluation.collect_answers import collect_answers
from modelops.evaluation.experiments import record_experiments
from modelops.evaluation.journal import Answer, AnswerJournal
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.scored_answers import score_answers
from modelops.evaluation.scorers.interface import Score

QUESTIONS, CONCURRENCY, CALL_SECONDS = 1_000, 32, 0.1
LEAST_OF_IDEAL, LEAST_OF_PEER = 0.95, 1.2
PAIRS, STATISTICS_SECONDS = 10_000, 2.0
SECONDS = 240.0
FEW, MANY = 1_000, 20_000
MOST_GROWTH = 2_000.0
"""Bytes of an example in memory, with both answers: their numbers, and no text."""
CHARACTERS = 2_000
DATASET = "bench"


async def measure(env: Environment) -> list[Row]:
    """The models are one process that answers each call after 100 ms."""
    os.environ["BENCH_MODEL_KEY"] = "sk-bench"
    os.environ.update(env.sandbox.environment())
    dataset_id = await asyncio.to_thread(_dataset, env)
    with models(seconds=CALL_SECONDS) as address:
        asked, recorded = await _ours(address, env.folder, dataset_id)
        peer_asked = await asyncio.to_thread(_peer, address, uploaded=False)
        peer_recorded = await asyncio.to_thread(_peer, address, uploaded=True)
    statistics = _statistics()
    few, many = await asyncio.to_thread(_peaks, env.folder)
    growth = (many - few) * 1e6 / (MANY - FEW)
    ideal = len(ARMS) * QUESTIONS * CALL_SECONDS / CONCURRENCY
    calls = f"{QUESTIONS:,} examples x {len(ARMS)} models, {CONCURRENCY} calls of {CALL_SECONDS * 1000:.0f} ms at once"
    return [
        Row(
            name=calls,
            measured=f"{asked:.2f} s: {ideal / asked:.2f} of the ideal rate",
            limit=f">= {LEAST_OF_IDEAL} of the ideal",
            peer=f"langsmith.evaluate, results not uploaded: {peer_asked:.2f} s",
            limit_missed=ideal / asked < LEAST_OF_IDEAL,
        ),
        Row(
            name="the same until both experiments are in LangSmith",
            measured=f"{recorded:.2f} s: {peer_recorded / recorded:.2f} of the peer's rate",
            limit=f">= {LEAST_OF_PEER} of the peer's",
            peer=f"langsmith.evaluate: {peer_recorded:.2f} s",
            limit_missed=peer_recorded / recorded < LEAST_OF_PEER,
        ),
        Row(
            name=f"statistics of {PAIRS:,} pairs: success, p50, p95, limit of p95, cost",
            measured=f"{statistics:.2f} s",
            limit=f"< {STATISTICS_SECONDS:.0f} s",
            limit_missed=statistics >= STATISTICS_SECONDS,
        ),
        Row(
            name=f"peak RSS of an evaluation of {MANY:,} examples of {3 * CHARACTERS:,} letters",
            measured=f"{many:.0f} MB: {growth / 1000:.1f} kB for each example more",
            limit=f"< {MOST_GROWTH / 1000:.0f} kB for each example more",
            peer=f"{FEW:,} examples: {few:.0f} MB",
            limit_missed=growth >= MOST_GROWTH,
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


def _dataset(env: Environment) -> str:
    """The id of a dataset with the questions in the sandbox's LangSmith."""
    client = Client(api_url=env.sandbox.langsmith, api_key=env.sandbox.langsmith_key)
    dataset = client.create_dataset(DATASET)
    examples = [
        {"id": question.example, "inputs": dict(question.inputs), "outputs": {"text": "yes"}}
        for question in _questions(QUESTIONS)
    ]
    for start in range(0, QUESTIONS, 250):
        client.create_examples(dataset_id=dataset.id, examples=examples[start : start + 250])
    client.close(timeout=5)
    return str(dataset.id)


async def _ours(address: str, folder: Path, dataset_id: str) -> tuple[float, float]:
    """Seconds for all answers, with the journal that makes them survive a crash, and their scores; and seconds until
    both experiments are in LangSmith."""
    questions, request = _questions(QUESTIONS), _request(address)
    as_of = datetime.now(UTC).isoformat()
    dataset = LoadedDataset(dataset_id=dataset_id, name=DATASET, as_of=as_of, examples=())
    began = time.monotonic()
    with AnswerJournal(folder / "answers.jsonl") as journal:
        await collect_answers(request, questions, journal, progress=lambda done, total: None)
        answers = list(journal.answers.values())
        scores = score_answers(request, questions, answers)
    asked = time.monotonic() - began
    recorded = await asyncio.to_thread(record_experiments, request, dataset, questions, answers, scores)
    assert recorded["recorded"], recorded
    assert [score.value for score in scores.values()] == [1.0] * len(ARMS) * QUESTIONS
    return asked, time.monotonic() - began


def _peer(address: str, *, uploaded: bool) -> float:
    """Seconds of LangSmith's own evaluation, once for each model, until what it uploads is there."""
    client = Client()
    examples = list(client.list_examples(dataset_name=DATASET))
    model = OpenAI(base_url=address, api_key="sk-bench", max_retries=0)

    def target(inputs: dict[str, Any]) -> dict[str, Any]:
        completion = model.chat.completions.create(
            model="m", messages=[{"role": "user", "content": inputs["task"]}]
        )
        return {"text": completion.choices[0].message.content}

    def score(outputs: dict[str, Any], reference_outputs: dict[str, Any]) -> dict[str, Any]:
        return {"key": "exact", "score": exact(outputs["text"], reference_outputs["text"])}

    began = time.monotonic()
    for _ in ARMS:
        rows = evaluate(
            target,
            data=examples,
            evaluators=[score],
            max_concurrency=CONCURRENCY,
            upload_results=uploaded,
            client=client,
        )
        scores = [row["evaluation_results"]["results"][0].score for row in rows]
        assert scores == [1.0] * QUESTIONS
    client.flush()
    seconds = time.monotonic() - began
    model.close()
    client.close(timeout=5)
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
