"""The team's own agent as what is evaluated: by HTTP and as a function. Only the model that was asked for counts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
from tests.loopback_server import EndlessAnswer, serving
from tests.unit.evaluation.asked import ARM, request
from tests.unit.evaluation.own_agents import install

from modelops.evaluation.agent.entry_point import load_agent
from modelops.evaluation.agent.fitness import require_agent
from modelops.evaluation.question import Question
from modelops.evaluation.question_file import QuestionFile
from modelops.evaluation.reply import Reply
from modelops.evaluation.request import ARMS, ArmName, Request
from modelops.evaluation.respondents import respondents
from modelops.workdir import ProgramFailure

QUESTION = Question(
    example="e1",
    inputs={"task": "sort"},
    messages=({"role": "user", "content": "Sort it."},),
    target="sorted",
    tools=({"type": "function", "function": {"name": "search"}},),
)
SERVED = {"version": "v1.1.0-rc.1", "models": ["m"], "calls": 1, "failed": 0}


def asked(*, service: str = "huggingface", candidate: str = "m", **agent: object) -> Request:
    arms = {
        "baseline": {**ARM, "model": "other", "version": "v1.0.0", "service": service},
        "candidate": {
            **ARM,
            "model": candidate,
            "version": "v1.1.0-rc.1",
            "service": service,
            "agent_key_env": "HF_TOKEN",
        },
    }
    return request(target="agent", asked_agent=agent, arms=arms, timeout_seconds=5)


def answer_of(
    given: Request, arm: ArmName = "candidate", question: Question = QUESTION
) -> tuple[Reply, ProgramFailure | None]:
    async def ask() -> tuple[Reply, ProgramFailure | None]:
        both = respondents(given)
        try:
            reply = await both[arm].answer(question, 0)
            return reply, both[arm].permanent_refusal(reply)
        finally:
            for one in both.values():
                await one.close()

    return asyncio.run(ask())


class Agent(BaseHTTPRequestHandler):
    """An agent behind HTTP that gives one answer, and keeps what it was asked."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b"{}"
    asked: ClassVar[list[tuple[str | None, Any]]] = []

    def do_POST(self) -> None:
        content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        Agent.asked.append((self.headers["Authorization"], content))
        self._send(Agent.status, Agent.body)

    def do_GET(self) -> None:
        self._send(Agent.status, b"")

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", "http://127.0.0.1:1/")
        self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "sk-model")
    monkeypatch.setenv("MODELOPS_AGENT_KEY", "agent-token")
    Agent.asked.clear()


def by_http(body: Any, *, status: int = 200, **more: Any) -> tuple[Reply, ProgramFailure | None]:
    Agent.status, Agent.body = status, body if isinstance(body, bytes) else json.dumps(body).encode()
    with serving(Agent) as url:
        return answer_of(asked(url=f"{url}/evaluate", **more))


def test_the_agent_gets_inputs_messages_tools_and_the_model_in_the_routers_form_and_no_key() -> None:
    reply, _ = by_http(
        {"answer": "sorted", "served": SERVED, "usage": {"prompt_tokens": 9, "cost_usd": "0.02"}}
    )
    assert (reply.text, reply.error, reply.model, reply.model_calls) == ("sorted", None, "m", 1)
    assert (reply.prompt_tokens, reply.cost_usd) == (9, "0.02")
    [(authorization, body)] = Agent.asked
    assert authorization == "Bearer agent-token"
    assert "sk-model" not in json.dumps(body)
    assert body.pop("session").startswith("evaluation-uid-e1-0-candidate")
    assert body == {
        "v": 1,
        "agent": "docs",
        "inputs": {"task": "sort"},
        "messages": [{"role": "user", "content": "Sort it."}],
        "tools": list(QUESTION.tools),
        "route": {
            "model": "m",
            "served_model": "m",
            "endpoint": "huggingface",
            "endpoint_url": "http://127.0.0.1:1/v1",
            "api_key_env": "HF_TOKEN",
            "version": "v1.1.0-rc.1",
        },
        "max_calls": 5,
    }


def test_a_call_of_a_tool_is_an_answer() -> None:
    call = {"id": "1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    reply, _ = by_http({"answer": None, "tool_calls": [call], "served": SERVED})
    assert (reply.error, reply.text) == (None, "")
    assert reply.calls[0]["function"] == {"name": "search", "arguments": "{}"}


@pytest.mark.parametrize(
    ("served", "words"),
    [
        ({**SERVED, "models": ["other"]}, "it used the model other, and not m as it was asked"),
        ({**SERVED, "models": ["m", "openai/gpt-4o"]}, "it used the model openai/gpt-4o"),
        ({**SERVED, "version": "v1.0.0"}, "it used version v1.0.0, and not v1.1.0-rc.1"),
        ({**SERVED, "models": []}, "does not name the model that served it"),
        (None, "does not name the model that served it"),
        ("m", "does not name the model that served it"),
    ],
)
def test_an_answer_of_another_model_is_a_failed_measurement_that_ends_the_evaluation(
    served: object, words: str
) -> None:
    reply, refusal = by_http({"answer": "sorted", "served": served})
    assert (reply.text, reply.final) == (None, True)
    assert words in (reply.error or "")
    assert refusal is not None
    assert refusal.reason == "AgentMisrouted"
    assert "asked to use the candidate v1.1.0-rc.1 (m)" in str(refusal)


@pytest.mark.parametrize(
    ("service", "wanted", "answered", "same"),
    [
        ("huggingface", "org/Model", "org/model", True),
        ("huggingface", "org/model", "/repository", True),
        ("huggingface", "org/model", "tgi", True),
        ("huggingface", "org/model", "model", True),
        ("huggingface", "org/model", "org/model-2", False),
        ("openrouter", "openai/gpt-4o", "openai/gpt-4o-2024-08-06", True),
        ("openrouter", "openai/gpt-4o:nitro", "openai/gpt-4o", True),
        ("openrouter", "openai/gpt-4o", "openai/gpt-4.1", False),
        ("openrouter", "openai/gpt-4o", "/repository", False),
    ],
)
def test_a_model_may_call_itself_by_the_names_that_services_give_it(
    service: str, wanted: str, answered: str, same: bool
) -> None:
    reply, _ = by_http(
        {"answer": "x", "served": {**SERVED, "models": [answered]}}, service=service, candidate=wanted
    )
    assert (reply.error is None) is same, reply


@pytest.mark.parametrize(
    ("answered", "version", "proves"),
    [
        ("/repository", None, False),
        ("tgi", "", False),
        ("tgi", "v1.1.0-rc.1", True),
        ("org/model", None, True),
    ],
)
def test_a_name_of_both_models_proves_nothing_without_the_version(
    answered: str, version: str | None, proves: bool
) -> None:
    """Else an agent that never changes its model would be compared with itself, and pass."""
    served = {"models": [answered], "version": version, "calls": 1}
    reply, refusal = by_http({"answer": "x", "served": served}, candidate="org/model")
    assert (reply.error is None) is proves, reply
    assert (refusal is None) is proves
    if refusal is not None:
        assert refusal.reason == "AgentMisrouted"
        assert "as which both models may answer, and no version (served.version)" in str(refusal)


def test_an_agent_whose_calls_of_the_model_failed_is_one_failed_answer() -> None:
    reply, refusal = by_http({"answer": "Sorry!", "served": {**SERVED, "models": [], "failed": 2}})
    assert (reply.error, refusal) == ("no call of the model succeeded, 2 failed", None)


def test_more_calls_than_planned_are_a_failed_answer() -> None:
    reply, refusal = by_http({"answer": "x", "served": {**SERVED, "calls": 6}})
    assert "it took 6 calls of the model" in (reply.error or "")
    assert refusal is None


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"not JSON", b"[" * 100_000, b'{"served": {"models": ["m"], "calls": 1}}', b"9" * 5000],
)
def test_an_answer_of_another_form_is_one_failed_answer(body: bytes) -> None:
    reply, refusal = by_http(body)
    assert reply.error
    assert refusal is not None
    assert refusal.reason == "AgentContractInvalid"


@pytest.mark.parametrize(
    ("status", "reason", "attempts"),
    [
        (401, "AgentUnauthorized", 1),
        (404, "AgentNotFound", 1),
        (302, "AgentNotFound", 1),
        (500, None, 1),
        (422, None, 1),
        (503, None, 6),
    ],
)
def test_errors_are_failed_answers_and_only_busy_agents_are_asked_again(
    monkeypatch: pytest.MonkeyPatch, status: int, reason: str | None, attempts: int
) -> None:
    monkeypatch.setattr("modelops.evaluation.model_client.LONGEST_WAIT_SECONDS", 0.0)
    reply, refusal = by_http({"detail": "why, agent-token"}, status=status)
    assert (reply.error or "").startswith(f"HTTP {status}: ")
    assert "agent-token" not in (reply.error or "")
    assert (refusal.reason if refusal else None) == reason
    assert len(Agent.asked) == reply.attempts == attempts


def test_an_agent_that_never_ends_its_answer_is_given_up_in_time() -> None:
    with serving(EndlessAnswer) as url:
        given = asked(url=url).model_copy(update={"timeout_seconds": 0.5})
        assert answer_of(given)[0].error == "no answer within 0.5 s"


@pytest.mark.parametrize(
    ("status", "reason"), [(204, None), (405, None), (401, "AgentUnauthorized"), (404, "AgentNotFound")]
)
def test_the_check_asks_for_the_agent_before_anything_is_paid(status: int, reason: str | None) -> None:
    Agent.status = status
    with serving(Agent) as url:
        if reason is None:
            require_agent(asked(url=url))
            return
        with pytest.raises(ProgramFailure) as raised:
            require_agent(asked(url=url))
    assert (raised.value.reason, raised.value.transient) == (reason, False)


def test_an_agent_that_does_not_answer_is_waited_for() -> None:
    with pytest.raises(ProgramFailure) as raised:
        require_agent(asked(url="http://127.0.0.1:1/evaluate"))
    assert (raised.value.reason, raised.value.transient) == ("AgentUnavailable", True)


def test_target_agent_without_an_agent_is_refused() -> None:
    with pytest.raises(ProgramFailure) as raised:
        require_agent(request(target="agent", asked_agent=None))
    assert raised.value.reason == "AgentNotCallable"


@pytest.fixture
def team(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], tuple[Reply, ProgramFailure | None]]:
    monkeypatch.syspath_prepend(str(install(tmp_path)))
    return lambda name: answer_of(asked(entry_point=f"team_agents:{name}"))


Team = Callable[[str], tuple[Reply, ProgramFailure | None]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("plain", "sort by v1.1.0-rc.1 with sk-model"),
        ("later", "sort by v1.1.0-rc.1 with sk-model Sort it. 1"),
        ("graph", "from a graph: sort"),
        ("builder", "from a graph: sort"),
        ("make_graph", "from a graph: sort"),
    ],
)
def test_functions_coroutines_and_graphs_answer_with_the_model_that_is_asked_for(
    team: Team, name: str, text: str
) -> None:
    reply, refusal = team(name)
    assert (reply.text, reply.error, refusal) == (text, None, None)


@pytest.mark.parametrize("name", ["graph", "builder"])
def test_a_real_langgraph_graph_uses_the_model_in_all_of_its_nodes(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    value = f"tests.unit.evaluation.langgraph_agent:{name}"
    declared = [EntryPoint(name="docs", value=value, group="modelops.agents")]
    monkeypatch.setattr("modelops.evaluation.agent.entry_point.entry_points", lambda **_: declared)
    for arm, version, model in (("candidate", "v1.1.0-rc.1", "m"), ("baseline", "v1.0.0", "other")):
        reply, _ = answer_of(asked(entry_point=value), arm)  # type: ignore[arg-type]
        assert (reply.text, reply.error) == (f"Sort it. -> answer by {version}", None)
        assert (reply.model, reply.model_calls, reply.prompt_tokens) == (model, 2, 30)


def test_an_agent_that_changes_its_inputs_leaves_the_question_to_the_other_model_as_it_was(
    team: Team, tmp_path: Path
) -> None:
    """Both models are asked one after the other, and the file keeps the question in memory meanwhile."""
    given = asked(entry_point="team_agents:remembers")
    turns = [{"role": "user", "content": "Sort it."}]
    kept = replace(QUESTION, inputs={"task": "sort", "messages": turns})
    file = QuestionFile(tmp_path / "questions.jsonl")
    stored = file.stored(kept)
    file.close()
    for question in (kept, stored):
        heard = [answer_of(given, arm, question)[0].text for arm in ARMS]
        assert heard == ["9", "9"]
    assert list(stored.inputs["messages"]) == turns


def test_tokens_and_cost_are_those_of_the_router_or_of_the_messages(team: Team) -> None:
    plain, graph = team("plain")[0], team("graph")[0]
    assert (plain.prompt_tokens, plain.cost_usd, plain.model_calls) == (12, "0.000300", 1)
    assert (graph.prompt_tokens, graph.completion_tokens, graph.model_calls) == (14, 4, 2)


def test_what_a_failed_answer_has_cost_is_known(team: Team) -> None:
    reply, _ = team("loops")
    assert "maxCallsPerAnswer" in (reply.error or "")
    assert (reply.model_calls, reply.prompt_tokens, reply.cost_usd) == (5, 60, "0.001500")


def test_a_call_of_a_tool_in_langchains_form_is_an_answer(team: Team) -> None:
    assert team("with_calls")[0].calls[0]["function"] == {"name": "search", "arguments": '{"query": "x"}'}


@pytest.mark.parametrize("name", ["own_choice", "other_model"])
def test_a_function_that_uses_another_model_ends_the_evaluation(team: Team, name: str) -> None:
    reply, refusal = team(name)
    assert reply.text is None
    assert refusal is not None
    assert refusal.reason == "AgentMisrouted"


@pytest.mark.parametrize(
    ("name", "words"),
    [("raises", "RuntimeError: no answer with"), ("stops", "SystemExit: 3"), ("loops", "maxCallsPerAnswer")],
)
def test_whatever_a_function_does_is_one_failed_answer_without_keys(
    team: Team, name: str, words: str
) -> None:
    reply, refusal = team(name)
    assert words in (reply.error or "")
    assert "sk-model" not in (reply.error or "")
    assert refusal is None


def test_a_function_that_never_returns_is_given_up_in_time(team: Team) -> None:
    given = asked(entry_point="team_agents:hangs").model_copy(update={"timeout_seconds": 0.3})
    assert answer_of(given)[0].error == "no answer within 0.3 s"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("subprocess:run", "AgentUnknown"),
        ("team_agents:_ask", "AgentUnknown"),
        ("team_agents_missing:x", "AgentFailed"),
        ("team_agents:no_agent", "AgentFailed"),
    ],
)
@pytest.mark.usefixtures("team")
def test_only_what_a_package_declares_is_called(value: str, reason: str) -> None:
    with pytest.raises(ProgramFailure) as raised:
        load_agent(value)
    assert raised.value.reason == reason
