"""Collects the answers of both arms, interleaved in time, with a bounded number of calls at once and a journal."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterator, Sequence

from modelops.evaluation.journal import Answer, AnswerJournal
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.respondents import respondents

Call = tuple[ArmName, Question, int]
"""Arm, question and repetition."""
PROGRESS_SECONDS = 0.5
NO_CREDITS = 402
"""HTTP status of a service whose account must be paid first."""


async def collect_answers(
    request: Request,
    questions: Sequence[Question],
    journal: AnswerJournal,
    *,
    progress: Callable[[int, int], None],
) -> None:
    """Make every call that the journal has no answer to; `progress` gets the numbers of answers and of all calls.

    Raises ProgramFailure where a model that has answered no call gives a refusal that every further call would get, and
    where the account of a model has no credits left.
    """
    total = len(questions) * request.repetitions * len(ARMS)
    plan = _plan(questions, repetitions=request.repetitions)
    missing = (call for call in plan if (call[0], call[1].example, call[2]) not in journal.answers)
    answering = {answer.arm for answer in journal.answers.values() if answer.error is None}
    clients = respondents(request)
    reported_at = 0.0

    async def work() -> None:
        nonlocal reported_at
        for arm, question, repetition in missing:
            reply = await clients[arm].answer(question, repetition)
            refusal = clients[arm].permanent_refusal(reply)
            # An account that has run out of credits stays so, also in the middle of an evaluation.
            if refusal and (arm not in answering or reply.status == NO_CREDITS):
                raise refusal
            if reply.error is None:
                answering.add(arm)
            journal.add(Answer.of(reply, arm=arm, example=question.example, repetition=repetition))
            if time.monotonic() - reported_at > PROGRESS_SECONDS:
                reported_at = time.monotonic()
                progress(len(journal.answers), total)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(request.concurrency):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    finally:
        for client in clients.values():
            await client.close()


def _plan(questions: Sequence[Question], *, repetitions: int) -> Iterator[Call]:
    """All calls in order: both arms one after the other, so that a slow minute affects both.

    A hash of the example decides which arm is first, so that a restart gives the same order.
    """
    for repetition in range(repetitions):
        for question in questions:
            coin = hashlib.sha256(f"{question.example} {repetition}".encode()).digest()[0] % 2
            for arm in ARMS if coin else reversed(ARMS):
                yield arm, question, repetition
