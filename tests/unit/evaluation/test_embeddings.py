"""An embedding service that answers in every form, over HTTP and through the real SDK: vectors, or missing ones."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from tests.loopback_server import serving
from tests.unit.evaluation.asked import answer, request

from modelops.evaluation.cover import billed_usd
from modelops.evaluation.embeddings import (
    BATCH,
    Embedded,
    EmbeddingClient,
    EmbeddingJournal,
    cosine,
    digest,
    embed_texts,
)
from modelops.evaluation.question import Question
from modelops.evaluation.similarity import SimilarityReport, measure_similarity

MODEL = "team/embed"
Answerer = Callable[[dict[str, Any]], tuple[int, Any]]


class Service:
    """An embedding service on loopback. `answer` makes status and body from the request; `asked` has the requests."""

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.answer: Answerer = vectors_of


def vectors_of(body: dict[str, Any]) -> tuple[int, Any]:
    """Texts with the same first letter point in the same direction."""
    data = [
        {
            "object": "embedding",
            "index": n,
            "embedding": [float(text.startswith("a")), float(text.startswith("b")), 0.1],
        }
        for n, text in enumerate(body["input"])
    ]
    return 200, listed(data)


def listed(data: Any, **more: Any) -> dict[str, Any]:
    usage = {"prompt_tokens": 1, "total_tokens": 1, "cost": 0.001}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage, **more}


@pytest.fixture
def service() -> Iterator[Service]:
    found = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.asked.append(body)
            status, answered = found.answer(body)
            content = answered if isinstance(answered, bytes) else json.dumps(answered).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(content)

    with serving(Handler) as url:
        found.url = f"{url}/v1"
        yield found


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("modelops.evaluation.embeddings._PAUSE_SECONDS", 0.001)


def embed(service: Service, folder: Path, *texts: str, timeout: float = 10, **more: Any) -> Embedded:
    async def ask() -> Embedded:
        client = EmbeddingClient(model=MODEL, base_url=service.url, api_key="k", timeout_seconds=timeout)
        with EmbeddingJournal(folder / "embeddings.jsonl", model=MODEL) as journal:
            return await embed_texts(client, journal, texts, **more)

    return asyncio.run(ask())


def test_texts_go_in_batches_and_each_only_once(service: Service, tmp_path: Path) -> None:
    texts = [f"a{n}" for n in range(BATCH + 5)]
    found = embed(service, tmp_path, *texts, *texts, "")
    assert sorted(len(body["input"]) for body in service.asked) == [5, BATCH]
    assert service.asked[0]["encoding_format"] == "float"
    assert found.vectors.keys() == {digest(text) for text in texts}
    assert (found.missing, str(found.usd), found.billed) == ("", "0.002", True)


def test_a_restart_asks_and_pays_for_nothing_again(service: Service, tmp_path: Path) -> None:
    first = embed(service, tmp_path, "a", "b")
    service.answer = lambda _: (500, {})
    again = embed(service, tmp_path, "a", "b")
    assert (again.vectors, again.usd, len(service.asked)) == (first.vectors, first.usd, 1)


@pytest.mark.parametrize(
    ("answered", "says"),
    [
        ((500, {}), "HTTP 500"),
        ((401, {"error": {"message": "no"}}), "HTTP 401"),
        ((200, listed(None)), "no vectors for 2 texts"),
        ((200, listed([])), ""),
        ((200, listed([{"index": 0, "embedding": [1.0]}])), "1 vectors for 2 texts"),
        (
            (200, listed([{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}])),
            "order is not known",
        ),
        (
            (200, listed([{"index": 0, "embedding": [1.0]}, {"index": 7, "embedding": [1.0]}])),
            "order is not known",
        ),
        (
            (200, listed([{"index": 0, "embedding": [1.0]}, {"index": 1, "embedding": [1.0, 2.0]}])),
            "different lengths",
        ),
        (
            (200, listed([{"index": 0, "embedding": None}, {"index": 1, "embedding": "AAAA"}])),
            "a vector that is none",
        ),
        (
            (200, listed([{"index": 0, "embedding": [0.0]}, {"index": 1, "embedding": []}])),
            "a vector that is none",
        ),
        (
            (200, listed([{"index": 0, "embedding": ["x"]}, {"index": 1, "embedding": [1e300]}])),
            "a vector that is none",
        ),
        (
            (200, b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [Infinity]}]}'),
            "no finite number",
        ),
        ((200, b"[" * 50_000), ""),
        ((200, {"error": {"code": 502, "message": "upstream"}}), "no vectors"),
        ((200, [1]), ""),
    ],
)
def test_what_is_no_vector_is_missing_and_asked_once_more(
    service: Service, tmp_path: Path, answered: tuple[int, Any], says: str
) -> None:
    service.answer = lambda _: answered
    found = embed(service, tmp_path, "a", "b")
    assert not found.vectors
    assert found.missing
    assert says in found.missing
    assert len(service.asked) == (1 if answered[0] == 401 else 2)


def test_one_bad_vector_does_not_lose_the_others(service: Service, tmp_path: Path) -> None:
    service.answer = lambda _: (
        200,
        listed([{"index": 1, "embedding": None}, {"index": 0, "embedding": [1.0]}]),
    )
    assert embed(service, tmp_path, "a", "b").vectors.keys() == {digest("a")}


def test_a_text_that_is_refused_takes_no_other_with_it(service: Service, tmp_path: Path) -> None:
    def answer_of(body: dict[str, Any]) -> tuple[int, Any]:
        return (400, {"error": {"message": "too long"}}) if "b" in body["input"] else vectors_of(body)

    service.answer = answer_of
    found = embed(service, tmp_path, "a1", "a2", "b", "a3")
    assert found.vectors.keys() == {digest(text) for text in ("a1", "a2", "a3")}
    assert "too long" in found.missing


def test_a_service_that_is_silent_is_given_up(service: Service, tmp_path: Path) -> None:
    def slow(_: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(1)
        return 200, listed([])

    service.answer = slow
    began = time.monotonic()
    found = embed(service, tmp_path, *(f"a{n}" for n in range(20 * BATCH)), most_seconds=0.2)
    assert time.monotonic() - began < 30
    assert "took longer than 0.2 s" in found.missing


def test_a_service_that_only_fails_is_not_asked_for_each_batch(service: Service, tmp_path: Path) -> None:
    service.answer = lambda _: (500, {})
    embed(service, tmp_path, *(f"a{n}" for n in range(50 * BATCH)))
    assert len(service.asked) <= 8


def test_the_cosine() -> None:
    from array import array

    one, other = array("f", [1, 0]), array("f", [1, 1])
    assert (cosine(one, one), cosine(one, array("f", [0, 2])), cosine(one, array("f", [-3, 0]))) == (1, 0, -1)
    assert cosine(one, other) == pytest.approx(0.5**0.5)


QUESTIONS = [Question(example=str(n), inputs={}, messages=(), target=f"a{n}") for n in range(6)]


def measured(
    service: Service, folder: Path, *, candidate: list[str | None], at: str = "openrouter"
) -> SimilarityReport:
    asked = request(
        prompt={"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"},
        similarity={"model": MODEL, "base_url": service.url, "service": at, "max_examples": 100},
    )
    questions = QUESTIONS[: len(candidate)]
    answers = [answer("baseline", n, f"a{n}") for n in range(len(candidate))]
    answers += [answer("candidate", n, text) for n, text in enumerate(candidate)]
    found = measure_similarity(asked, questions, answers, folder=folder, progress=lambda *_: None)
    assert found is not None
    return found


def test_similarity_is_reported_for_both_models_with_the_interval_of_the_difference(
    service: Service, tmp_path: Path
) -> None:
    found = measured(service, tmp_path, candidate=["a", "a", "b", "b", None, " "])
    result = found.result
    assert (result.compared, result.missing, result.baseline) == (6, 0, "1.0000")
    # A failed call and an empty answer have 0, and "b" is nearly orthogonal to "a".
    assert float(result.candidate) == pytest.approx((2 + 2 * 0.01 / 1.01) / 6, abs=1e-3)
    assert float(result.interval[0]) < float(result.difference) < float(result.interval[1]) < 0
    assert "report only, it does not change the verdict" in found.findings[0]


def test_an_outage_is_missing_and_ends_nothing(service: Service, tmp_path: Path) -> None:
    service.answer = lambda _: (503, {})
    found = measured(service, tmp_path, candidate=["a"] * 4)
    assert (found.result.compared, found.result.missing, found.result.difference) == (0, 4, "")
    assert "compared nothing" in found.line
    assert any(
        "4 of 4 examples are missing" in finding and "HTTP 503" in finding for finding in found.findings
    )


def test_nobody_who_is_not_asked_for_is_called(service: Service, tmp_path: Path) -> None:
    assert measure_similarity(request(), [], [], folder=tmp_path, progress=lambda *_: None) is None
    assert not service.asked


@pytest.mark.parametrize(("at", "billed"), [("huggingface", True), ("openrouter", False)])
def test_vectors_of_a_teams_own_endpoint_leave_the_cost_of_the_calls_known(
    service: Service, tmp_path: Path, at: str, billed: bool
) -> None:
    def unbilled(body: dict[str, Any]) -> tuple[int, Any]:
        return 200, {**vectors_of(body)[1], "usage": {"prompt_tokens": 1, "total_tokens": 1}}

    service.answer = unbilled
    found = measured(service, tmp_path, candidate=["a"] * 4, at=at)
    assert (found.result.compared, found.billed) == (4, billed)
    assert billed_usd(request(), [], reports=[found]) == ("0" if billed else None)
