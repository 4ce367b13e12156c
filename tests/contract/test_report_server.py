"""The report server, called by a real router and by callers without a valid token."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.patience import deadline_after, patient

from modelops.adapters.reports import (
    Caller,
    ReportForwarder,
    ReportServer,
    ReportStore,
    TokenCheck,
    shared_secret,
    token_review,
)
from modelops.adapters.reports.body import MAX_BODY_BYTES
from modelops.engine.clock import SystemClock
from modelops.ports import Refused, Unavailable
from modelops.router import Router

SECRET = "a-shared-secret-of-the-test"
AGENTS = """
agents:
  docs:
    model: org/stable
    endpoint: openrouter
    version: v1.0.0
    endpoint_url: http://127.0.0.1:9/v1
    routing:
      generation: 42
      salt: rollout-1
      rollout: {uid: rollout-1, step: 0, state: Progressing}
      canary_until: 2999-01-01T00:00:00Z
      canary: {weight: 100, model: org/canary, endpoint_url: "http://127.0.0.1:9/v1", version: v1.1.0-rc.1}
"""


@pytest.fixture
def news() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def store(news: list[tuple[str, str]]) -> ReportStore:
    return ReportStore(clock=SystemClock(), on_change=lambda *key: news.append(key))


@pytest.fixture
def check() -> TokenCheck:
    return shared_secret(SECRET)


@pytest.fixture
async def server(store: ReportStore, check: TokenCheck) -> AsyncIterator[ReportServer]:
    running = ReportServer(store, check)
    await running.start()
    yield running
    await running.close()


def report(**fields: Any) -> dict[str, Any]:
    empty = {"latencyMs": {"count": 0, "buckets": [0] * 162}}
    tracks = {"stable": empty, "canary": empty}
    return {"agent": "docs", "process": "p", "generation": 1, "salt": "", "tracks": tracks} | fields


async def post(url: str, body: Any, *, token: str | None = SECRET) -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with aiohttp.ClientSession() as session, session.post(url, data=data, headers=headers) as answer:
        return answer.status, await answer.text()


async def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = deadline_after(seconds)
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_the_report_of_a_real_router_arrives_with_its_generation_and_counters(
    server: ReportServer, store: ReportStore, news: list[tuple[str, str]], tmp_path: Path
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(AGENTS)
    router = await asyncio.to_thread(
        lambda: Router("docs", file=file, watch=None, report_url=server.url, report_token=SECRET)
    )
    try:
        await until(lambda: _summary(store).in_sync == 1)
        assert ("", "docs") in news
        await asyncio.to_thread(_one_request, router)
        await until(lambda: _summary(store).canary_errors != ())
        await until(lambda: _summary(store).canary.requests == 1, seconds=20)
        said = _summary(store)
        assert (said.canary.errors, said.canary_reachable) == (1, 0)
        assert said.canary_errors == ("ConnectionRefused",)
    finally:
        await asyncio.to_thread(router.close)
    left = _summary(store)
    assert (left.expected, left.canary.errors) == (0, 1)


AGENT_THAT_CRASHES = """
import sys, time
from modelops.router import Router

router = Router("docs", file=sys.argv[1], watch=None, report_url=sys.argv[2], report_token=sys.argv[3])
while not router.state().reports_sent:
    time.sleep(0.01)
for session in "abc":
    router.observe(router.pick(session), ok=False, latency_ms=12.0)
raise RuntimeError("as an agent may when its model answers nonsense")
"""


async def test_the_errors_of_an_agent_that_crashes_at_once_arrive(
    server: ReportServer, store: ReportStore, tmp_path: Path
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(AGENTS)
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        AGENT_THAT_CRASHES,
        str(file),
        server.url,
        SECRET,
        stderr=asyncio.subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(agent.communicate(), patient(30))
    assert stderr.decode().strip().endswith("answers nonsense")
    assert _summary(store).canary.errors == 3


def _summary(store: ReportStore) -> Any:
    return store.summary("team", "docs", generation=42, salt="rollout-1", pods=None)


def _one_request(router: Router) -> None:
    route = router.pick("s")
    router.observe(route, ok=False, latency_ms=12.0, tokens=3, cost_micro_usd=4)


@pytest.mark.parametrize("token", [None, "", "wrong", SECRET + "x", "ä"])
async def test_a_report_without_a_valid_token_is_refused(
    server: ReportServer, store: ReportStore, token: str | None
) -> None:
    status, _ = await post(server.url, report(), token=token)
    assert (status, store.version) == (401, 0)


async def test_a_body_that_is_too_large_is_refused(server: ReportServer, store: ReportStore) -> None:
    status, _ = await post(server.url, b" " * (MAX_BODY_BYTES + 1))
    assert (status, store.version) == (413, 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no json", "the body"),
        (report(generation="1"), "generation"),
        (report(process=""), "process"),
        ([1], ""),
    ],
)
async def test_an_invalid_body_is_refused_with_the_name_of_the_field(
    server: ReportServer, store: ReportStore, body: Any, words: str
) -> None:
    status, text = await post(server.url, body)
    assert (status, store.version) == (400, 0)
    assert words in text


async def test_the_namespace_in_the_report_counts_where_the_token_proves_none(
    server: ReportServer, store: ReportStore
) -> None:
    assert (await post(server.url, report(namespace="team")))[0] == 204
    assert len(store.processes("team", "docs")) == 1
    assert len(store.processes("other", "docs")) == 0


def test_a_short_shared_secret_is_an_error() -> None:
    with pytest.raises(ValueError, match="16 characters"):
        shared_secret("short")


def review_of(statuses: Mapping[str, dict[str, Any]], asked: list[str]) -> Any:
    async def review(token: str) -> dict[str, Any]:
        asked.append(token)
        if token not in statuses:
            raise Unavailable("the API server does not answer")
        return statuses[token]

    return review


AGENT = {
    "authenticated": True,
    "user": {
        "username": "system:serviceaccount:team:docs-agent",
        "extra": {"authentication.kubernetes.io/pod-name": ["docs-5d9-x2"]},
    },
}


async def test_a_service_account_reports_for_its_namespace_and_pod_and_is_reviewed_once(
    store: ReportStore,
) -> None:
    asked: list[str] = []
    person = {"authenticated": True, "user": {"username": "alice"}}
    statuses = {"a.agent.c": AGENT, "a.person.c": person, "a.nobody.c": {"authenticated": False}}
    server = ReportServer(store, token_review(review_of(statuses, asked), clock=SystemClock()))
    await server.start()
    try:
        lies = report(pod="another", namespace="other")
        assert (await post(server.url, lies, token="a.agent.c"))[0] == 204
        assert (await post(server.url, lies, token="a.agent.c"))[0] == 204
        assert (await post(server.url, report(), token="a.person.c"))[0] == 401
        assert (await post(server.url, report(), token="a.nobody.c"))[0] == 401
        assert (await post(server.url, report(), token="a.later.c"))[0] == 503
    finally:
        await server.close()
    assert asked == ["a.agent.c", "a.person.c", "a.nobody.c", "a.later.c"]
    assert [entry.report.pod for entry in store.processes("team", "docs")] == ["docs-5d9-x2"]
    assert store.processes("other", "docs") == ()


async def test_a_token_without_a_pod_proves_only_the_namespace() -> None:
    status = {"authenticated": True, "user": {"username": "system:serviceaccount:team:docs-agent"}}
    check = token_review(review_of({"a.t.c": status}, []), clock=SystemClock())
    assert await check("a.t.c") == Caller(namespace="team")


async def test_a_text_that_is_no_service_account_token_is_never_reviewed() -> None:
    asked: list[str] = []
    check = token_review(review_of({}, asked), clock=SystemClock())
    for token in ("x", "a.b", "a.b.c.d", "ä.b.c", "a." + "b" * 9000 + ".c"):
        assert await check(token) is None
    assert asked == []


async def test_a_flood_of_unknown_tokens_does_not_reach_the_api_server() -> None:
    asked: list[str] = []
    hold = asyncio.Event()

    async def review(token: str) -> dict[str, Any]:
        asked.append(token)
        await hold.wait()
        return {"authenticated": False}

    check = token_review(review, clock=SystemClock())
    flood = [asyncio.create_task(check(f"a.{number}.c")) for number in range(500)]
    await asyncio.wait(flood, timeout=5, return_when=asyncio.FIRST_EXCEPTION)
    assert len(asked) <= 8
    hold.set()
    answers = await asyncio.gather(*flood, return_exceptions=True)
    assert len(asked) <= 64
    assert sum(isinstance(answer, Unavailable) for answer in answers) >= 436


async def test_rejected_tokens_do_not_displace_accepted_ones() -> None:
    asked: list[str] = []
    statuses = {f"a.{number}.c": {"authenticated": False} for number in range(2100)}
    check = token_review(review_of({**statuses, "a.agent.c": AGENT}, asked), clock=SystemClock())
    await check("a.agent.c")
    for token in statuses:
        await check(token)
    assert await check("a.agent.c") == Caller(namespace="team", pod="docs-5d9-x2")
    assert asked.count("a.agent.c") == 1


async def test_a_review_that_fails_is_answered_with_503(store: ReportStore) -> None:
    async def review(_: str) -> dict[str, Any]:
        raise Refused("tokenreviews is forbidden")

    server = ReportServer(store, token_review(review, clock=SystemClock()))
    await server.start()
    try:
        assert (await post(server.url, report(), token="a.b.c"))[0] == 503
    finally:
        await server.close()


@pytest.fixture
async def forwarder(server: ReportServer) -> AsyncIterator[ReportForwarder]:
    running = ReportForwarder(lambda: server.url, host="127.0.0.1", port=0)
    await running.start()
    yield running
    await running.close()


async def post_through(port: int, body: dict[str, Any], secret: str = SECRET) -> tuple[int, str]:
    url = f"http://127.0.0.1:{port}/v1/report"
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json=body, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


async def test_a_report_to_a_standby_reaches_the_leader_with_its_token(
    forwarder: ReportForwarder, store: ReportStore
) -> None:
    assert (await post_through(forwarder.port, report()))[0] == 204
    assert len(store.processes("team", "docs")) == 1
    status, text = await post_through(forwarder.port, report(), secret="wrong-secret-of-the-test")
    assert status == 401
    assert "bearer token" in text
    assert (await post_through(forwarder.port, report(generation=-1)))[0] == 400


@pytest.mark.parametrize("leader", ["", "http://127.0.0.1:9/v1/report"])
async def test_a_report_to_a_standby_without_a_leader_is_to_be_sent_again(leader: str) -> None:
    forwarder = ReportForwarder(lambda: leader, host="127.0.0.1", port=0)
    await forwarder.start()
    try:
        status, text = await post_through(forwarder.port, report())
        assert status == 503
        assert "report again" in text
    finally:
        await forwarder.close()


async def test_a_standby_sends_no_token_to_an_address_that_is_not_allowed(server: ReportServer) -> None:
    forwarder = ReportForwarder(
        lambda: server.url, host="127.0.0.1", port=0, may_send=lambda url: f"{url} is elsewhere"
    )
    await forwarder.start()
    try:
        status, text = await post_through(forwarder.port, report())
        assert (status, "is elsewhere" in text) == (503, True)
    finally:
        await forwarder.close()
