"""An installed package with agents of a team, as `pip install` leaves it."""

from pathlib import Path

MODULE = """
import asyncio, os, time
from modelops.router import Router

router = Router("docs", watch=None)


def _ask(inputs, model=None):
    with router.request("session") as request:
        request.tokens, request.cost_micro_usd, request.model = 12, 300, model
        return f"{inputs['task']} by {request.route.version} with {os.environ[request.route.api_key_env]}"


def plain(inputs):
    return _ask(inputs)


async def later(inputs, messages, tools, route):
    await asyncio.sleep(0)
    assert router.pick("x").version == route["version"]
    return {"output": _ask(inputs) + f" {messages[-1]['content']} {len(tools)}"}


def with_calls(inputs):
    _ask(inputs)
    return {"answer": None, "tool_calls": [{"name": "search", "args": {"query": "x"}}]}


def own_choice(inputs):
    return {"answer": "from the model of production"}


def other_model(inputs):
    return _ask(inputs, model="openai/gpt-4o")


def loops(inputs):
    while True:
        _ask(inputs)


def remembers(inputs, messages):
    heard = len(inputs["messages"]) + len(messages[0]["content"])
    inputs["messages"].append({"role": "assistant", "content": _ask(inputs)})
    messages[0]["content"] += " again"
    return str(heard)


def raises(inputs):
    raise RuntimeError("no answer with " + os.environ["KEY"])


def stops(inputs):
    raise SystemExit(3)


def hangs(inputs):
    time.sleep(600)


class State:
    pass


class Message:
    type = "ai"

    def __init__(self, content, tool_calls=()):
        self.content, self.tool_calls = content, list(tool_calls)
        self.response_metadata = {"model_name": "m"}
        self.usage_metadata = {"input_tokens": 7, "output_tokens": 2}


class Graph:
    async def ainvoke(self, state):
        return {"messages": [*state["messages"], Message(""), Message("from a graph: " + state["task"])]}


class Builder:
    def compile(self):
        return Graph()


graph = Graph()
builder = Builder()


def make_graph():
    return graph


no_agent = 7
"""
NAMES = [
    "plain",
    "later",
    "with_calls",
    "own_choice",
    "other_model",
    "loops",
    "remembers",
    "raises",
    "stops",
    "hangs",
    "graph",
    "builder",
    "make_graph",
    "no_agent",
]


def install(folder: Path) -> Path:
    """Installs the package into the folder, which must be on the path; returns it."""
    (folder / "team_agents.py").write_text(MODULE)
    info = folder / "team_agents-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: team-agents\nVersion: 1.0\n")
    lines = [f"{name} = team_agents:{name}" for name in NAMES] + ["broken = team_agents_missing:x"]
    (info / "entry_points.txt").write_text("[modelops.agents]\n" + "\n".join(lines) + "\n")
    return folder
