"""The model that an evaluation asks an agent to use: only there, for everything that runs there, and counted apart."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import pytest

from modelops.router import (
    CallsExhausted,
    EvaluationArm,
    EvaluationNotAllowed,
    Route,
    Router,
    evaluation_arm,
    require_evaluation_token,
)

STABLE = Route("stable", "org/stable", "org/stable", endpoint_url="http://127.0.0.1:1/v1", version="v1.0.0")
CANDIDATE = {
    "model": "org/candidate",
    "served_model": "org/candidate",
    "endpoint": "huggingface",
    "endpoint_url": "http://127.0.0.1:2/v1",
    "api_key_env": "HF_TOKEN",
    "version": "v1.1.0-rc.1",
}


@pytest.fixture
def router() -> Router:
    return Router("docs", watch=None, report_url=None, default=STABLE)


def test_in_the_block_every_router_of_the_agent_picks_the_model_of_the_evaluation(router: Router) -> None:
    other = Router("code_review", watch=None, default=STABLE)
    with EvaluationArm("docs", CANDIDATE):
        route = router.pick("session")
        assert (route.track, route.served_model, route.version) == (
            "evaluation",
            "org/candidate",
            "v1.1.0-rc.1",
        )
        assert route.endpoint_url == "http://127.0.0.1:2/v1"
        assert other.pick("session") == STABLE
    assert router.pick("session") == STABLE


def test_it_works_before_any_configuration_could_be_read() -> None:
    router = Router("docs", watch=None, file=None)
    with EvaluationArm("docs", CANDIDATE):
        assert router.pick("x").model == "org/candidate"


def test_what_it_counts_is_no_request_of_production(router: Router) -> None:
    before = router._report_body()["tracks"]
    with EvaluationArm("docs", CANDIDATE) as arm:
        with router.request("a") as request:
            request.tokens, request.cost_micro_usd, request.model = 30, 1500, "org/Candidate"
        with pytest.raises(OSError), router.request("a"):
            raise OSError
    assert router._report_body()["tracks"] == before
    assert arm.report() == {
        "served": {"version": "v1.1.0-rc.1", "models": ["org/Candidate"], "calls": 2, "failed": 1},
        "usage": {"total_tokens": 30, "cost_usd": "0.001500"},
    }


def test_tokens_of_which_a_part_is_not_known_are_not_known(router: Router) -> None:
    with EvaluationArm("docs", CANDIDATE) as arm:
        for tokens in (30, None):
            with router.request("a") as request:
                request.tokens = tokens
    assert arm.report()["usage"] == {}


def test_a_cost_of_which_a_part_is_not_known_is_not_known(router: Router) -> None:
    """A part of it would be booked as all that the answer has cost."""
    with EvaluationArm("docs", CANDIDATE) as arm:
        for cost in (1500, None):
            with router.request("a") as request:
                request.cost_micro_usd = cost
    assert "cost_usd" not in arm.report()["usage"]


def test_it_follows_tasks_and_threads_and_two_questions_at_once_do_not_mix(router: Router) -> None:
    async def ask(version: str) -> list[str | None]:
        with EvaluationArm("docs", {**CANDIDATE, "version": version}):
            seen = [router.pick("x").version]
            await asyncio.sleep(0)
            seen.append((await asyncio.to_thread(router.pick, "x")).version)
            seen.append((await asyncio.create_task(_picked(router))).version)
            with ThreadPoolExecutor(1) as pool:
                seen.append(pool.submit(copy_context().run, router.pick, "x").result().version)
            return seen

    async def both() -> list[list[str | None]]:
        return await asyncio.gather(ask("v1.0.0"), ask("v1.1.0"))

    assert asyncio.run(both()) == [["v1.0.0"] * 4, ["v1.1.0"] * 4]


async def _picked(router: Router) -> Route:
    return router.pick("x")


def test_a_thread_without_the_context_picks_as_production_does(router: Router) -> None:
    found: list[Route] = []
    with EvaluationArm("docs", CANDIDATE) as arm:
        thread = threading.Thread(target=lambda: found.append(router.pick("x")))
        thread.start()
        thread.join()
    assert found == [STABLE]
    assert arm.report()["served"]["calls"] == 0


def test_more_calls_than_allowed_are_refused(router: Router) -> None:
    with EvaluationArm("docs", CANDIDATE, max_calls=2):
        for _ in range(2):
            with router.request("x"):
                pass
        with pytest.raises(CallsExhausted, match="maxCallsPerAnswer"):
            router.request("x")


@pytest.mark.parametrize("authorization", [None, "", "Bearer", "Bearer wrong", "Basic right", "right"])
def test_without_the_token_nobody_chooses_where_the_agents_keys_are_sent(
    monkeypatch: pytest.MonkeyPatch, authorization: str | None
) -> None:
    monkeypatch.setenv("MODELOPS_EVALUATION_TOKEN", "right")
    with pytest.raises(EvaluationNotAllowed):
        evaluation_arm("docs", CANDIDATE, authorization=authorization)
    assert evaluation_arm("docs", CANDIDATE, authorization="bearer right").route.model == "org/candidate"


@pytest.mark.parametrize("authorization", [None, "Bearer ", "Bearer x"])
def test_an_agent_without_a_token_takes_no_evaluations(
    monkeypatch: pytest.MonkeyPatch, authorization: str | None
) -> None:
    monkeypatch.delenv("MODELOPS_EVALUATION_TOKEN", raising=False)
    with pytest.raises(EvaluationNotAllowed, match="is not set"):
        require_evaluation_token(authorization)


@pytest.mark.parametrize("route", [{}, {"model": ""}, {"model": 7}, {"model": "m", "endpoint_url": ["x"]}])
def test_a_route_of_another_form_is_refused(route: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="the route of an evaluation"):
        EvaluationArm("docs", route)


def test_the_model_is_the_served_model_where_none_is_named() -> None:
    assert EvaluationArm("docs", {"model": "m"}).route.served_model == "m"


def test_a_file_of_the_agent_does_not_change_the_model_of_an_evaluation(tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text("agents:\n  docs:\n    model: org/file\n")
    router = Router("docs", file=file, watch=None)
    with EvaluationArm("docs", CANDIDATE):
        assert router.call("x", lambda request: request.route.model, fallback=True) == "org/candidate"
    router.close()
