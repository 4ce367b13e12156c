"""Time and cost of an evaluation before it begins, by the price list of a service."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from tests.loopback_server import EndlessAnswer, serving
from tests.unit.evaluation.asked import ARM, QUESTIONS, answer, request

from modelops.api.v1alpha1.judge import JudgeResult
from modelops.api.v1alpha1.similarity import SimilarityResult
from modelops.evaluation import check, embeddings, price_list
from modelops.evaluation.cover import billed_usd, cover, longest_judge_seconds, longest_seconds
from modelops.evaluation.judge.answers import JudgeReport
from modelops.evaluation.question import Question
from modelops.evaluation.request import Request
from modelops.evaluation.similarity import SimilarityReport


class Prices(BaseHTTPRequestHandler):
    """A service with one model; the test sets its answer."""

    status = 200
    body: Any = None

    def do_GET(self) -> None:
        content = json.dumps(self.body).encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        return


def priced(*prices: tuple[str, str]) -> dict[str, Any]:
    endpoints = [{"pricing": {"prompt": p, "completion": c, "request": "0"}} for p, c in prices]
    return {"data": {"endpoints": endpoints}}


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("KEY", "sk-key")
    monkeypatch.setattr(Prices, "status", 200)
    monkeypatch.setattr(Prices, "body", priced(("0.000003", "0.000015"), ("0.000001", "0.000020")))
    with serving(Prices) as found:
        yield found


def asked(url: str, *, model: str = "author/m", **changes: Any) -> Request:
    arms = {
        "baseline": {
            **ARM,
            "base_url": f"{url}/v1",
            "version": "v1.0.0",
            "service": "openrouter",
            "model": model,
        },
        "candidate": {**ARM, "version": "v1.1.0-rc.1", "service": "huggingface"},
    }
    prompt = {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}", "maxTokens": 512}
    return request(arms=arms, prompt=prompt, **changes)


def questions(count: int) -> list[Question]:
    messages = ({"role": "user", "content": "x" * 300},)
    return [Question(example=str(n), inputs={}, messages=messages, target="yes") for n in range(count)]


def test_the_calls_cost_what_the_dearest_provider_asks_for_each_example(url: str) -> None:
    few, many = (cover(asked(url), questions(count)) for count in (50, 5000))
    call = Decimal("0.000003") * 111 + Decimal("0.00002") * 512
    assert (Decimal(few["calls_usd"]), Decimal(many["calls_usd"])) == (50 * call, 5000 * call)
    assert (few["unpriced"], few["unanswered"]) == ([], [])


def test_the_time_follows_from_examples_length_and_concurrency(url: str) -> None:
    given = asked(url, concurrency=8)
    # 500 examples and two models, 8 calls at once, up to 53.2 s each: more than an hour.
    assert longest_seconds(given, 500) == 6650
    assert longest_seconds(given.model_copy(update={"concurrency": 64}), 500) == 852
    longer = given.prompt.model_copy(update={"max_tokens": 8000})
    assert longest_seconds(given.model_copy(update={"prompt": longer}), 500) == 125 * 120


@pytest.mark.parametrize(
    ("status", "body", "missing"),
    [
        (200, priced(("-1", "-1")), "unpriced"),
        (200, priced(("NaN", "0")), "unpriced"),
        (200, {"data": {"endpoints": []}}, "unpriced"),
        (200, {"data": {"endpoints": [{}]}}, "unpriced"),
        (200, [1], "unpriced"),
        (404, {}, "unpriced"),
        (500, {}, "unanswered"),
        (429, {}, "unanswered"),
    ],
)
def test_a_price_that_is_not_told_is_said_and_not_taken_for_nothing(
    url: str, monkeypatch: pytest.MonkeyPatch, status: int, body: Any, missing: str
) -> None:
    monkeypatch.setattr(Prices, "status", status)
    monkeypatch.setattr(Prices, "body", body)
    found = cover(asked(url), questions(5))
    assert {name: found[name] for name in ("unpriced", "unanswered") if found[name]} == {
        missing: ["author/m"]
    }


def test_a_service_that_never_ends_its_answer_holds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-key")
    monkeypatch.setattr(price_list, "PRICE_SECONDS", 0.5)
    began = time.monotonic()
    with serving(EndlessAnswer) as url:
        assert cover(asked(url), questions(1))["unanswered"] == ["author/m"]
    assert time.monotonic() - began < 10


def test_the_bills_are_added_up_and_a_missing_one_is_not_guessed(url: str) -> None:
    given = asked(url)
    bills = [answer("baseline", 0, "<yes>", cost_usd="0.25"), answer("baseline", 1, "<no>", cost_usd="0.5")]
    own = answer("candidate", 0, "<yes>")
    failed = answer("baseline", 2, None)
    assert Decimal(billed_usd(given, [*bills, own, failed]) or "") == Decimal("0.75")
    assert billed_usd(given, [*bills, answer("baseline", 3, "<yes>")]) is None


def test_a_judge_is_in_the_plan(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both orders with a retry for each of 40 examples, each of at most 2,000 tokens of answer at $0.00002."""
    monkeypatch.setenv("OPENROUTER_BASE_URL", f"{url}/v1")
    without = cover(asked(url), questions(100))
    judged = asked(url, judge={"model": "judges/one", "max_examples": 40})
    found = cover(judged, questions(100))
    more = Decimal(found["calls_usd"]) - Decimal(without["calls_usd"])
    answers = 40 * 4 * 2000 * Decimal("0.00002")
    read = 40 * 4 * (2048 + 100) * Decimal("0.000003")
    assert answers + read < more < answers + 2 * read
    # 160 calls of at most 120 s, 8 at the same time, and no more than 15 minutes.
    assert found["seconds"] - without["seconds"] == 900
    assert found["unpriced"] == found["unanswered"] == []


def test_a_judge_without_a_price_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENROUTER_BASE_URL", f"{url}/v1")
    judged = request(judge={"model": "judges/one"})
    monkeypatch.setattr(Prices, "body", {"data": {"endpoints": []}})
    assert cover(judged, questions(10))["unpriced"] == ["judges/one"]
    monkeypatch.setattr(Prices, "status", 503)
    assert cover(judged, questions(10))["unanswered"] == ["judges/one"]


@pytest.mark.parametrize(("billed", "usd"), [(True, "0.25"), (False, None)])
def test_a_judge_is_in_the_bill(billed: bool, usd: str | None) -> None:
    judged = JudgeReport(result=JudgeResult(usd="0.25"), billed=billed, line="", findings=())
    assert billed_usd(request(), [], reports=[judged]) == usd


def test_one_answer_of_the_service_serves_every_question_about_a_model(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gets: list[str] = []
    answered = Prices.do_GET
    monkeypatch.setattr(Prices, "do_GET", lambda self: (gets.append(self.path), answered(self)))
    given = asked(url)
    with price_list.listings_asked_once():
        assert check._model_refusal("baseline", given.arms.baseline) is None
        assert cover(given, questions(2))["unpriced"] == []
    assert gets == ["/v1/models/author/m/endpoints"]
    cover(given, questions(2))
    assert len(gets) == 2


def test_a_service_that_did_not_answer_is_asked_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = asked(url)
    with price_list.listings_asked_once():
        monkeypatch.setattr(Prices, "status", 500)
        assert check._model_refusal("baseline", given.arms.baseline) is None
        monkeypatch.setattr(Prices, "status", 200)
        assert cover(given, questions(2))["unanswered"] == []


def test_similarity_is_in_the_bill_too() -> None:
    similar = SimilarityReport(result=SimilarityResult(usd="0.5"), billed=True, line="", findings=())
    judged = JudgeReport(result=JudgeResult(usd="0.25"), billed=True, line="", findings=())
    assert billed_usd(request(), [], reports=[judged, similar]) == "0.75"


def test_reports_are_waited_for_in_the_planned_time() -> None:
    without = cover(request(), QUESTIONS)
    found = cover(
        request(
            similarity={"model": "m", "service": "huggingface"}, feedback={"keys": ["k"], "wait_seconds": 90}
        ),
        QUESTIONS,
    )
    assert found["seconds"] - without["seconds"] == embeddings.MOST_SECONDS + 90
    assert found["calls_usd"] == "0"


def test_a_judge_that_decides_is_covered_for_every_example_and_the_labelled_pairs() -> None:
    judge = {"judge": {"model": "judges/strict", "max_examples": 10}}
    reported = longest_judge_seconds(request(**judge), 150)
    deciding = longest_judge_seconds(request(**judge, scorer={"type": "judge", "threshold": "1"}), 150)
    assert reported < deciding <= 3600
