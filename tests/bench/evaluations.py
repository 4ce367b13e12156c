"""The row evaluation: both models are asked 1,000 questions; peer: `langsmith.evaluate` with the same models and scorer."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from tests.bench.environment import Environment
from tests.bench.table import Row

from modelops.domain.gates.scoring import exact
from modelops.evaluation.collect_answers import collect_answers
from modelops.evaluation.journal import Answer, AnswerJournal
from modelops.evaluation.outcome import compare_arms
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.scorers.interface import Score

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

QUESTIONS, CONCURRENCY, CALL_SECONDS = 1_000, 32, 0.1
LEAST_OF_IDEAL, LEAST_OF_PEER = 0.95, 1.2
PAIRS, STATISTICS_SECONDS = 10_000, 2.0
SECONDS = 240.0
_SERVER = """
import asyncio, json, sys
from aiohttp import web

ANSWER = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "usage": {
    "prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}, "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}]}

async def answer(request):
    await request.read()
    await asyncio.sleep(float(sys.argv[1]))
    return web.json_response(ANSWER)

async def main():
    app = web.Application()
    app.router.add_post("/v1/chat/completions", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print(site._server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


async def measure(env: Environment) -> list[Row]:
    """The models are one process that answers each call after 100 ms."""
    os.environ["BENCH_MODEL_KEY"] = "sk-bench"
    async with _models() as address:
        ours = await _ours(address, env.folder)
        peer = await asyncio.to_thread(_peer, address)
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
    ]


@asynccontextmanager
async def _models() -> AsyncIterator[str]:
    """The address of the models."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _SERVER, str(CALL_SECONDS)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(await process.stdout.readline())}/v1"
    finally:
        process.stdin.close()
        await process.wait()


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
