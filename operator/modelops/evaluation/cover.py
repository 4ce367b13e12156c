"""What an evaluation may cost and how long it may take, before it begins: the operator covers both.

Calls to OpenRouter are billed one by one. Their price is the highest among the providers of the model. Calls of an
endpoint cost only its time.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from modelops.evaluation import embeddings
from modelops.evaluation.journal import Answer
from modelops.evaluation.judge import deciding
from modelops.evaluation.judge.answers import JUDGE_KEY, JudgeReport, judge_address, judged_questions
from modelops.evaluation.judge.calibrated import CalibratedJudge
from modelops.evaluation.judge.calls import MOST_ATTEMPTS
from modelops.evaluation.judge.offer import highest_usd
from modelops.evaluation.judge.pairs import MOST_SECONDS
from modelops.evaluation.judge.prompt import INSTRUCTION, MOST_CHARACTERS, MOST_TOKENS
from modelops.evaluation.model_client import read_api_key
from modelops.evaluation.price_list import NoAnswer, Price, highest_price, model_listing
from modelops.evaluation.question import Question
from modelops.evaluation.request import ARMS, ArmName, JudgeRule, Request, SimilarityRule
from modelops.evaluation.similarity import (
    EMBEDDINGS_KEY,
    SimilarityReport,
    compared_questions,
    embeddings_address,
)

BYTES_PER_TOKEN = 3
"""Of a prompt as JSON, at least: tokens of prose and code are longer, and a character of Chinese has three bytes."""
TOKENS_PER_SECOND = 10
"""Tokens that a model writes in a second while it answers several calls, at least."""
FIRST_TOKEN_SECONDS = 2.0


def cover(
    request: Request,
    questions: Sequence[Question],
    *,
    production: Sequence[Question] = (),
    calibrated: CalibratedJudge | None = None,
) -> dict[str, Any]:
    """The part of the check's `result.json` from which the operator plans time and money.

    `calibrated`: the judge that decides, which is asked about labelled pairs as well.

    `seconds`: the longest time of all calls. `calls_usd`: the highest cost of the calls that are billed one by one;
    it does not contain those of `unpriced`, the models of which the service names no price, and of `unanswered`, those
    whose price it did not tell now. `production`: questions that are asked once, beside the others.
    """
    total, unpriced, unanswered = Decimal(0), [], []
    for name in ARMS:
        arm = request.arms[name]
        if arm.service != "openrouter":
            continue
        try:
            price = _price(name, request)
        except NoAnswer:
            unanswered.append(arm.model)
            continue
        if price is None:
            unpriced.append(arm.model)
        else:
            asked = [*questions] * request.repetitions + [*production]
            total += sum((_cost(price, request, question) for question in asked), Decimal(0))
    if request.judge is not None:
        try:
            judging = _judge_usd(
                request,
                request.judge,
                [
                    *judged_questions(request, request.judge, questions),
                    *judged_questions(request, request.judge, production),
                ],
                calibrated,
            )
        except NoAnswer:
            unanswered.append(request.judge.model)
        else:
            unpriced += [request.judge.model] if judging is None else []
            total += judging or 0
    if request.similarity is not None and request.similarity.service == "openrouter":
        try:
            comparing = _similarity_usd(request, request.similarity, questions)
        except NoAnswer:
            unanswered.append(request.similarity.model)
        else:
            unpriced += [request.similarity.model] if comparing is None else []
            total += comparing or 0
    return {
        "seconds": sum(
            longest_seconds(request, asked) + longest_judge_seconds(request, judged)
            for asked, judged in (
                (len(questions) * request.repetitions, len(questions)),
                (len(production), len(production)),
            )
        )
        + (math.ceil(embeddings.MOST_SECONDS) if request.similarity is not None else 0)
        + (math.ceil(request.feedback.wait_seconds) if request.feedback is not None else 0),
        "calls_usd": f"{total:f}",
        "unpriced": unpriced,
        "unanswered": unanswered,
    }


def longest_seconds(request: Request, answers: int) -> int:
    """The longest time in which both arms give so many answers each."""
    call = FIRST_TOKEN_SECONDS + request.prompt.max_tokens / TOKENS_PER_SECOND
    call = min(request.timeout_seconds, call * _calls_of_a_model(request))
    rounds = math.ceil(answers * len(ARMS) / request.concurrency)
    return math.ceil(rounds * call)


def longest_judge_seconds(request: Request, examples: int) -> int:
    """The longest time in which the judge is asked, with all retries."""
    if request.judge is None:
        return 0
    call = min(request.timeout_seconds, FIRST_TOKEN_SECONDS + MOST_TOKENS / TOKENS_PER_SECOND)
    pairs = min(examples, request.judge.max_examples)
    if request.judge_decides:
        pairs = examples + deciding.CONTROL_PAIRS
    longest = MOST_SECONDS
    if request.judge_decides:
        longest = deciding.MOST_SECONDS * (2 if request.top_up_examples else 1)
    calls = pairs * _JUDGE_CALLS
    return math.ceil(min(longest, math.ceil(calls / request.concurrency) * call))


def billed_usd(
    request: Request, answers: Sequence[Answer], *, reports: Sequence[JudgeReport | SimilarityReport] = ()
) -> str | None:
    """What the calls that are billed one by one have cost, by the service's own bills.

    `reports` are those of a judge and of similarity. None where an answer has no bill: then nothing less than the
    highest cost is known. A failed call of a model has none and costs nothing; an agent that failed may have made
    several calls before.
    """
    billed = [a for a in answers if request.arms[a.arm].service == "openrouter"]
    by_agent = request.agent_rule is not None
    if any(a.cost_usd is None and (by_agent or a.error is None) for a in billed):
        return None
    if not all(one.billed for one in reports):
        return None
    reported = sum((Decimal(one.result.usd) for one in reports), Decimal(0))
    return f"{sum((Decimal(answer.cost_usd or 0) for answer in billed), reported):f}"


_JUDGE_CALLS = 2 * MOST_ATTEMPTS
"""Of one example: both orders, each with its retries."""


def _judge_usd(
    request: Request, rule: JudgeRule, questions: Sequence[Question], calibrated: CalibratedJudge | None
) -> Decimal | None:
    """The highest cost of judging these questions; None where no price is known. Raises NoAnswer."""
    _, document = model_listing(
        rule.model, base_url=judge_address(), api_key=os.environ.get(JUDGE_KEY) or "none"
    )
    price = highest_price(document)
    if price is None:
        return None
    prompt, completion, call = price
    answers = len(ARMS) * _answer_tokens(request, MOST_CHARACTERS)
    instruction = math.ceil(len(INSTRUCTION.encode()) / BYTES_PER_TOKEN)
    control = deciding.control_pairs(request, calibrated) if calibrated else []
    total = highest_usd(price, [one.pair for one in control])
    for question in questions:
        expected = math.ceil(len(question.target.encode()) / BYTES_PER_TOKEN)
        tokens = instruction + answers + _prompt_tokens(question) + expected
        total += _JUDGE_CALLS * (prompt * tokens + completion * MOST_TOKENS + call)
    return total


def _similarity_usd(request: Request, rule: SimilarityRule, questions: Sequence[Question]) -> Decimal | None:
    """The highest cost of the vectors; None where no price is known. Raises NoAnswer."""
    _, document = model_listing(
        rule.model, base_url=embeddings_address(rule), api_key=os.environ.get(EMBEDDINGS_KEY) or "none"
    )
    price = highest_price(document)
    if price is None:
        return None
    prompt, _, call = price
    answer = _answer_tokens(request, embeddings.MOST_CHARACTERS)
    total = Decimal(0)
    chosen = compared_questions(rule, questions)
    for question in chosen:
        expected = math.ceil(len(question.target.encode()) / BYTES_PER_TOKEN)
        total += embeddings.MOST_ATTEMPTS * prompt * (expected + len(ARMS) * answer)
    return total + embeddings.MOST_ATTEMPTS * call * 3 * len(chosen)


def _cost(price: Price, request: Request, question: Question) -> Decimal:
    prompt, completion, call = price
    rule = request.agent_rule
    # An agent adds a system prompt, tools and a history of its own, which nobody knows before.
    tokens = _prompt_tokens(question) if rule is None else rule.max_prompt_tokens
    once = prompt * tokens + completion * request.prompt.max_tokens + call
    return once * _calls_of_a_model(request)


def _calls_of_a_model(request: Request) -> int:
    """The calls of a model for one answer, at most."""
    rule = request.agent_rule
    return 1 if rule is None else rule.max_calls


def _answer_tokens(request: Request, characters: int) -> int:
    """The tokens of an answer for another model, which reads at most so many characters of it.

    That model may count them in other tokens: twice as many, and at most one for a letter. An agent's answer is as long
    as the agent likes, whatever spec.prompt.maxTokens is.
    """
    return characters if request.agent_rule is not None else min(2 * request.prompt.max_tokens, characters)


def _prompt_tokens(question: Question) -> int:
    """The tokens of messages and tools, at most: their form as JSON is longer than what a chat template adds."""
    parts = (*question.messages, *question.tools)
    return sum(
        math.ceil(len(json.dumps(part, ensure_ascii=False, default=str).encode()) / BYTES_PER_TOKEN)
        for part in parts
    )


def _price(name: ArmName, request: Request) -> Price | None:
    """The highest price of the model among its providers; None where none is known. Raises NoAnswer."""
    arm = request.arms[name]
    for model in dict.fromkeys((arm.model, arm.model.partition(":")[0])):
        _, document = model_listing(model, base_url=arm.base_url, api_key=read_api_key(name, arm))
        if price := highest_price(document):
            return price
    return None
