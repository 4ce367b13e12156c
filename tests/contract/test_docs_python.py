"""The Python examples of the documentation run against the models of the sandbox."""

from pathlib import Path
from typing import Any

import pytest
from tests.unit.docs.pages import ROOT, blocks

from modelops.router import Router
from modelops.sandbox.client import SandboxInfo

PAGES = [ROOT / "README.md", ROOT / "docs" / "guides" / "agents.md"]
MESSAGES = [{"role": "user", "content": "def read_lines(path): ..."}]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_example_of_the_page_gets_an_answer(
    page: Path, sandbox: SandboxInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "agents.yaml"
    file.write_text(
        "agents:\n  docs:\n    model: modelops-sandbox/name-as-sentence\n    endpoint: openrouter\n"
        f"    endpoint_url: {sandbox.openrouter}\n    api_key_env: OPENROUTER_API_KEY\n"
    )
    monkeypatch.setenv("MODELOPS_AGENTS_FILE", str(file))
    monkeypatch.setenv("OPENROUTER_API_KEY", sandbox.openrouter_key)
    given: dict[str, object] = {"chat": _chat, "thread_id": "thread-1", "os": __import__("os")}

    for block in blocks(page):
        if block.test == "python":
            exec(compile(block.text, str(page), "exec"), given)

    router = given["router"]
    assert isinstance(router, Router)
    expected = 1
    answer, stream_answer = given.get("answer"), given.get("stream_answer")
    if callable(answer):
        assert answer("thread-1", MESSAGES) == "Read lines."
    if callable(stream_answer):
        assert "".join(stream_answer("thread-1", MESSAGES)) == "Read lines."
        expected = 2
    counted = router._counters.as_report()["tracks"]["stable"]
    assert (counted["requests"], counted["errors"]) == (expected, 0)
    assert counted["tokens"] > 0
    calls = sandbox.requests(service="openrouter", method="POST", path_regex="/chat/completions$")
    assert [call["status"] for call in calls] == [200] * expected
    router.close()


def _chat(url: str, *, model: str) -> object:
    """The `chat` function that the README leaves to the reader."""
    import os

    from openai import OpenAI

    client = OpenAI(base_url=url, api_key=os.environ["OPENROUTER_API_KEY"])
    return client.chat.completions.create(model=model, messages=MESSAGES)  # type: ignore[arg-type]


@pytest.fixture
def on_the_page() -> dict[str, Any]:
    """What the page of scorers defines."""
    given: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / "guides" / "scorers.md"):
        if block.test == "python":
            exec(compile(block.text, "scorers.md", "exec"), given)
    return given


def test_the_scorer_of_the_page_scores_an_answer(on_the_page: dict[str, Any]) -> None:
    found = on_the_page["same_imports"](
        inputs={}, outputs={"answer": "import os\nx = 1"}, reference_outputs={"code": "y = 2\nimport os"}
    )
    assert found == {"key": "same_imports", "score": 1.0, "comment": "the same"}


def test_the_labels_of_the_page_become_examples(on_the_page: dict[str, Any]) -> None:
    lines = ['{"question": "q", "expected": "e", "a": "x", "b": "y", "label": "a"}']
    assert list(on_the_page["label_examples"](lines)) == [
        {"inputs": {"question": "q", "expected": "e", "a": "x", "b": "y"}, "outputs": {"label": "a"}}
    ]
