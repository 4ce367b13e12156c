"""Asking both models everything: interleaved in time, a bounded number at once, each answer journaled."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields

from modelops.evaluation.calls import Caller, Reply
from modelops.evaluation.journal import Answer, Journal
from modelops.evaluation.questions import Question
from modelops.evaluation.request import ARMS, ArmName, Request

Asked = tuple[ArmName, Question, int]
PROGRESS_SECONDS = 0.5


async def ask_all(
    request: Request, questions: Sequence[Question], journal: Journal, *, progress: Callable[[int, int], None]
) -> None:
    """Ask whatever the journal has no answer to.

    Raises ProgramFailure where a model that has not answered anything refuses for good.
    """
    everything = list(_plan(questions, repetitions=request.repetitions))
    missing = iter([a for a in everything if (a[0], a[1].example, a[2]) not in journal.answers])
    callers = {name: Caller(name, request.arms[name], prompt=request.prompt) for name in ARMS}
    said_at = 0.0

    async def work() -> None:
        nonlocal said_at
        for arm, question, repetition in missing:
            reply = await callers[arm].ask(question.messages)
            refusal = callers[arm].refusal(reply)
            if refusal and not any(a.arm == arm and a.error is None for a in journal.answers.values()):
                raise refusal
            journal.add(_answer(reply, arm=arm, example=question.example, repetition=repetition))
            if time.monotonic() - said_at > PROGRESS_SECONDS:
                said_at = time.monotonic()
                progress(len(journal.answers), len(everything))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(request.concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for caller in callers.values():
            await caller.close()


def _plan(questions: Sequence[Question], *, repetitions: int) -> Iterator[Asked]:
    """Both arms back to back, so that a slow minute hits both; which is first follows from the example."""
    for repetition in range(repetitions):
        for question in questions:
            toss = hashlib.sha256(f"{question.example} {repetition}".encode()).digest()[0] % 2
            for arm in ARMS if toss else reversed(ARMS):
                yield arm, question, repetition


def _answer(reply: Reply, *, arm: ArmName, example: str, repetition: int) -> Answer:
    shared = {f.name for f in fields(Reply)} & {f.name for f in fields(Answer)}
    return Answer(
        arm=arm, example=example, repetition=repetition, **{name: getattr(reply, name) for name in shared}
    )
