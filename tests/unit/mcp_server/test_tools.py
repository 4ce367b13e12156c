"""What a client reads about the tools: their names, arguments, results and hints."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mcp import Client
from mcp.server.mcpserver import MCPServer
from mcp_types import TextContent, Tool

from modelops.api.v1alpha1.names import ROLLOUTS
from modelops.client import AsyncClient, Conflict
from modelops.mcp_server.callers import Caller, Need
from modelops.mcp_server.confirming import quoted
from modelops.mcp_server.guarded_tool import GuardedTool
from modelops.mcp_server.server import READS, build_server
from modelops.mcp_server.services import Ctx, Services
from modelops.tools.errors import ToolRefused
from modelops.tools.results import Change

MISSION = {
    "train_subagent_model": (
        ["agent_name", "dataset_id", "base_model", "training_method", "training_config"],
        ["job_id", "hub_repo", "estimated_cost", "status_url"],
    ),
    "monitor_training_job": (
        ["job_id"],
        ["status", "progress_pct", "current_loss", "eta_minutes", "hub_repo"],
    ),
    "evaluate_model_vs_baseline": (
        ["agent_name", "candidate_model", "eval_dataset_id", "metrics"],
        [
            "baseline_score",
            "candidate_score",
            "improvement_pct",
            "recommendation",
            "langsmith_experiment_url",
        ],
    ),
    "deploy_model_to_agent": (
        ["agent_name", "model_repo", "deployment_target", "rollout_strategy"],
        ["deployed", "endpoint_url", "version", "rollout_pct"],
    ),
    "list_agent_models": (["agent_name"], ["models"]),
}
ADDED = {
    "max_usd",
    "scorer",
    "threshold",
    "target",
    "production_runs",
    "until_promoted",
    "quote_id",
    "wait_seconds",
    "idempotency_key",
    "page",
    "limit",
}
READ_ONLY = {
    "monitor_training_job",
    "monitor_evaluation",
    "monitor_deployment",
    "list_agent_models",
    "list_datasets",
    "agent_spending",
    "plan_evaluation",
    "explain",
}
DESTRUCTIVE = {
    "deploy_model_to_agent",
    "abort_rollout",
    "pause_rollout",
    "promote_rollout",
    "retry_rollout",
    "rollback_agent",
    "cancel_training",
    "emergency_stop",
}


class Nobody:
    """Callers without a cluster: what is tested here asks none."""

    def __init__(self, refused: Exception | None = None) -> None:
        self._refused = refused

    @asynccontextmanager
    async def calling(self) -> AsyncIterator[Caller]:
        yield Caller(name="alice", client=AsyncClient())

    async def require(self, caller: Caller, need: Need) -> None:
        if self._refused is not None:
            raise self._refused


@asynccontextmanager
async def nobody() -> AsyncIterator[Services]:
    yield Services(callers=Nobody())


@pytest.fixture
async def tools() -> dict[str, Tool]:
    async with Client(build_server(nobody)) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


def properties(schema: dict[str, Any] | None) -> list[str]:
    assert schema is not None
    return list(schema["properties"])


@pytest.mark.parametrize("name", MISSION)
def test_the_five_tools_have_the_missions_inputs_and_outputs(tools: dict[str, Tool], name: str) -> None:
    inputs, outputs = MISSION[name]
    given = properties(tools[name].input_schema)
    assert set(inputs) <= set(given)
    assert set(given) - set(inputs) <= ADDED
    assert set(tools[name].input_schema.get("required", [])) <= set(inputs)
    assert set(outputs) <= set(properties(tools[name].output_schema))


def test_every_tool_is_described_refuses_other_arguments_and_answers_in_a_structure(
    tools: dict[str, Tool],
) -> None:
    for tool in tools.values():
        assert tool.description is not None
        assert 60 < len(tool.description) < 500
        assert "\n" not in tool.description
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema is not None
        assert tool.output_schema["type"] == "object"
        for argument in tool.input_schema["properties"].values():
            assert argument.get("description"), (tool.name, argument)
        assert "offer" not in properties(tool.input_schema)
        assert "answer" not in properties(tool.input_schema)


def test_the_hints_are_honest(tools: dict[str, Tool]) -> None:
    for name, tool in tools.items():
        hints = tool.annotations
        assert hints is not None
        assert hints.read_only_hint == (name in READ_ONLY), name
        assert bool(hints.destructive_hint) == (name in DESTRUCTIVE), name
        takes_quote = "quote_id" in properties(tool.input_schema)
        assert takes_quote == (name not in READ_ONLY and name != "estimate_training"), name


def server_with(function: Any, callers: Nobody | None = None) -> MCPServer[Services]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Services]:
        yield Services(callers=callers or Nobody())

    tool = GuardedTool.of(function, title="A tool", annotations=READS, needs=(Need("get", ROLLOUTS),))
    return MCPServer("test", tools=[tool], lifespan=lambda _: opened())


async def told(server: MCPServer[Services], name: str, arguments: dict[str, Any]) -> str:
    async with Client(server) as client:
        answer = await client.call_tool(name, arguments)
    assert answer.is_error
    (content,) = answer.content
    assert isinstance(content, TextContent)
    return content.text


async def refuses(ctx: Ctx, what: str) -> Change:
    """A tool that fails."""
    raise {"refused": ToolRefused("say it so"), "conflict": Conflict("it was changed")}.get(
        what, RuntimeError("a secret")
    )


async def test_what_was_expected_is_told_and_what_was_not_is_withheld() -> None:
    server = server_with(refuses)
    assert await told(server, "refuses", {"what": "refused"}) == "say it so"
    assert await told(server, "refuses", {"what": "conflict"}) == "it was changed"
    unexpected = await told(server, "refuses", {"what": "else"})
    assert "the server's log has it" in unexpected
    assert "secret" not in unexpected


async def shows(text: str | None = None, settings: dict[str, Any] | None = None) -> str:
    """Say what has arrived, as a refusal."""
    raise ToolRefused(f"text {text!r}, settings {settings!r}")


@pytest.mark.parametrize("key", ['{"run": 7}', '["a"]', "true", "7", "null", "monday"])
async def test_a_text_that_looks_like_json_stays_a_text(key: str) -> None:
    expected = None if key == "null" else key
    assert await told(server_with(shows), "shows", {"text": key}) == f"text {expected!r}, settings None"


async def test_settings_may_come_as_json_text() -> None:
    arguments = {"settings": '{"num_epochs": 2}'}
    assert await told(server_with(shows), "shows", arguments) == "text None, settings {'num_epochs': 2}"


async def test_wrong_arguments_are_told_by_their_names() -> None:
    server = build_server(nobody)
    unknown = await told(server, "train_subagent_model", {"agent_name": "docs", "datasetid": "ls://x"})
    assert "no argument 'datasetid' (did you mean dataset_id?)" in unknown
    assert "idempotency_key" in unknown
    method = await told(server, "train_subagent_model", {"agent_name": "docs", "training_method": "rlhf"})
    assert "training_method" in method
    assert "'sft', 'dpo' or 'orpo'" in method
    hidden = await told(server, "abort_rollout", {"rollout_id": "one", "answer": {"action": "accept"}})
    assert "has no argument 'answer'" in hidden
    missing = await told(server, "monitor_training_job", {})
    assert missing == "wrong arguments: job_id: Field required"
    assert "less than or equal to 300" in await told(
        server, "monitor_training_job", {"job_id": "a", "wait_seconds": 301}
    )


async def test_without_the_right_the_tool_does_not_run() -> None:
    server = server_with(refuses, Nobody(refused=ToolRefused("alice may not get rollouts")))
    assert await told(server, "refuses", {"what": "else"}) == "alice may not get rollouts"


def test_quoted_text_stays_on_its_line() -> None:
    assert quoted("a\nb\u2028c\x1b[31m") == '"a b c [31m"'
    assert quoted('a" - cost: "$0') == "\"a' - cost: '$0\""
    assert quoted("x" * 300) == '"' + "x" * 199 + '…"'
