"""The runs that the routed clients leave in LangSmith say which version answered, by the real SDKs against the sandbox."""

import asyncio
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from langsmith import Client, traceable, tracing_context

from modelops.router import Router
from modelops.sandbox.client import SandboxInfo

ASKED: list[Any] = [{"role": "user", "content": "def read_lines(path): ..."}]
SALT = "7c1d8f7e-6a0b-4f7e-9a52-0f2f6d4b8f11"
NOWHERE = "http://127.0.0.1:1/v1"


@pytest.fixture
def router_to(
    sandbox: SandboxInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Router]]:
    """A router whose sessions all go to a canary at the address."""
    monkeypatch.setenv("OPENROUTER_API_KEY", sandbox.openrouter_key)
    made: list[Router] = []

    def make(canary: str) -> Router:
        file = tmp_path / "agents.yaml"
        model = "model: modelops-sandbox/name-as-sentence, api_key_env: OPENROUTER_API_KEY"
        file.write_text(
            f"agents:\n  docs:\n    model: modelops-sandbox/name-as-sentence\n    version: v1.0.0\n"
            f"    endpoint_url: {sandbox.openrouter}\n    api_key_env: OPENROUTER_API_KEY\n"
            f"    routing:\n      generation: 1\n      salt: {SALT}\n"
            f"      rollout: {{uid: {SALT}, step: 1, state: Progressing}}\n"
            f"      canary: {{weight: 100, {model}, version: v1.1.0-rc.1, endpoint_url: '{canary}'}}\n"
        )
        made.append(Router("docs", file=file, watch=None))
        return made[-1]

    yield make
    for router in made:
        router.close()


def by_client(router: Router) -> str:
    return (
        router.openai("s").chat.completions.create(model="docs", messages=ASKED).choices[0].message.content
        or ""
    )


def by_stream(router: Router) -> str:
    chunks = router.openai("s").chat.completions.create(model="docs", messages=ASKED, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


async def by_async_client(router: Router) -> str:
    answer = await router.async_openai("s").chat.completions.create(model="docs", messages=ASKED)
    return answer.choices[0].message.content or ""


def by_chat_model(router: Router) -> str:
    return str(router.chat_model("s").invoke("def read_lines(path): ...").content)


def by_chat_stream(router: Router) -> str:
    return "".join(str(chunk.content) for chunk in router.chat_model("s").stream("def read_lines(path): ..."))


def by_streaming_chat_model(router: Router) -> str:
    """As LangGraph does that streams the messages of its nodes."""
    return str(router.chat_model("s", streaming=True).invoke("def read_lines(path): ...").content)


async def by_async_chat_stream(router: Router) -> str:
    return "".join(
        [str(chunk.content) async for chunk in router.chat_model("s").astream("def read_lines(path): ...")]
    )


async def by_async_chat_model(router: Router) -> str:
    return str((await router.chat_model("s").ainvoke("def read_lines(path): ...")).content)


_LANGCHAIN = pytest.mark.skipif(not find_spec("langchain_openai"), reason="langchain-openai is not installed")
WAYS = [
    by_client,
    by_stream,
    by_async_client,
    *[
        pytest.param(way, marks=_LANGCHAIN)
        for way in (
            by_chat_model,
            by_chat_stream,
            by_streaming_chat_model,
            by_async_chat_model,
            by_async_chat_stream,
        )
    ],
]


def traced(sandbox: SandboxInfo, ask: Callable[[Router], Any], router: Router) -> tuple[Any, Any]:
    """The root of the trace of one answer, and the run of the model."""
    project = f"agents-{uuid4().hex}"
    client = Client(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key)
    with tracing_context(enabled=True, client=client, project_name=project):

        @traceable(name="agent")
        def answer() -> str:
            said = ask(router)
            return str(asyncio.run(said) if asyncio.iscoroutine(said) else said)

        assert answer() == "Read lines."
    client.flush()
    runs = list(client.list_runs(project_name=project))
    (root,) = [run for run in runs if run.parent_run_id is None]
    (model,) = [run for run in runs if run.run_type == "llm"]
    client.close(timeout=5)
    return root, model


@pytest.mark.parametrize("ask", WAYS)
def test_the_runs_of_an_answer_name_agent_version_and_track(
    sandbox: SandboxInfo, router_to: Callable[[str], Router], ask: Callable[[Router], Any]
) -> None:
    for run in traced(sandbox, ask, router_to(sandbox.openrouter)):
        assert {"docs", "v1.1.0-rc.1", "canary"} <= set(run.tags or [])
        said = {name: run.metadata.get(f"modelops_{name}") for name in ("agent", "version", "track")}
        assert said == {"agent": "docs", "version": "v1.1.0-rc.1", "track": "canary"}


@pytest.mark.parametrize("ask", WAYS)
def test_after_a_fallback_the_model_s_run_is_stable_s_and_the_trace_the_canary_s(
    sandbox: SandboxInfo, router_to: Callable[[str], Router], ask: Callable[[Router], Any]
) -> None:
    root, model = traced(sandbox, ask, router_to(NOWHERE))
    assert (root.metadata["modelops_version"], root.metadata["modelops_track"]) == ("v1.1.0-rc.1", "canary")
    assert (model.metadata["modelops_version"], model.metadata["modelops_track"]) == ("v1.0.0", "stable")
    assert {"v1.0.0", "v1.1.0-rc.1"} <= set(model.tags or [])
    assert (root.metadata["modelops_fallback"], model.metadata["modelops_fallback"]) == (True, True)
