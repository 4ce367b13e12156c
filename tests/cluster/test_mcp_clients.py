"""Clients of other people: the Inspector, the conformance suite, and langchain-mcp-adapters with its older mcp.

Their versions are in tests/mcp_clients/package-lock.json and requirements/mcp-clients.txt.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cluster.docs_preconditions import Kubectl
from tests.cluster.mcp_process import serving
from tests.cluster.mcp_world import EVALUATE, World
from tests.mcp_clients.programs import NoRegistryError, Programs, find_programs
from tests.patience import patient

from modelops.localcluster import LocalCluster
from modelops.mcp_server.server import TOOLS

NAMES = sorted(function.__name__ for function, *_ in TOOLS)
_ADAPTERS = Path(__file__).parents[1] / "mcp_clients" / "adapters.py"

CONFORMS = {
    "dns-rebinding-protection",
    "ping",
    "prompts-list",
    "resources-list",
    "server-initialize",
    "server-sse-multiple-streams",
    "tools-list",
}
_TEST_TOOL = "it calls a tool of the suite's own, such as test_simple_text"
_NO_RESOURCES = "the server has no resources"
_NO_PROMPTS = "the server has no prompts"
NOT_APPLICABLE = {
    "completion-complete": "the server completes no arguments: it has no prompts and resources",
    "elicitation-sep1034-defaults": _TEST_TOOL,
    "elicitation-sep1330-enums": _TEST_TOOL,
    "json-schema-2020-12": _TEST_TOOL,
    "logging-set-level": "the server sends no log messages: its log is its standard error",
    "prompts-get-embedded-resource": _NO_PROMPTS,
    "prompts-get-simple": _NO_PROMPTS,
    "prompts-get-with-args": _NO_PROMPTS,
    "prompts-get-with-image": _NO_PROMPTS,
    "resources-read-binary": _NO_RESOURCES,
    "resources-read-text": _NO_RESOURCES,
    "resources-subscribe": _NO_RESOURCES,
    "resources-templates-read": _NO_RESOURCES,
    "resources-unsubscribe": _NO_RESOURCES,
    "server-sse-polling": _TEST_TOOL,
    "tools-call-audio": _TEST_TOOL,
    "tools-call-elicitation": _TEST_TOOL,
    "tools-call-embedded-resource": _TEST_TOOL,
    "tools-call-error": f"{_TEST_TOOL}; that there is none is an error, so it proves nothing here",
    "tools-call-image": _TEST_TOOL,
    "tools-call-mixed-content": _TEST_TOOL,
    "tools-call-sampling": _TEST_TOOL,
    "tools-call-simple-text": f"{_TEST_TOOL}; it takes any answer, so it proves nothing here",
    "tools-call-with-logging": _TEST_TOOL,
    "tools-call-with-progress": _TEST_TOOL,
}
"""Scenarios of the suite that say nothing about this server, and why."""


@pytest.fixture(scope="session")
def programs() -> Programs:
    try:
        return find_programs()
    except NoRegistryError as error:
        pytest.skip(str(error))


@pytest.fixture
def world(cluster: LocalCluster, kubectl: Kubectl, namespace: str) -> World:
    return World(cluster, kubectl, namespace)


async def run(*command: str, folder: Path, given: str = "") -> tuple[int, str, str]:
    """Exit status, standard output and standard error. The programs write files into their home."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "NO_PROXY": "127.0.0.1,localhost"},
    )
    try:
        out, err = await asyncio.wait_for(process.communicate(given.encode()), patient(30))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_inspector_lists_and_calls_the_tools_over_stdio_and_http(
    world: World, programs: Programs, tmp_path: Path
) -> None:
    command = ["-m", "modelops.cli", "mcp", "-n", world.namespace]
    command += ["--kubeconfig", str(world.cluster.kubeconfig_for("alice"))]
    entry = {"command": sys.executable, "args": command, "env": {"PYTHONPATH": ":".join(sys.path)}}
    config = tmp_path / "mcp.json"  # in the form that docs/guides/mcp.md shows
    config.write_text(json.dumps({"mcpServers": {"modelops": entry}}))

    async def inspect(*options: str) -> tuple[int, dict[str, Any], str]:
        code, out, err = await run(*programs.inspector, "--cli", *options, folder=tmp_path)
        return code, json.loads(out), err

    async with serving(world, "alice") as address:
        for target in (("--config", str(config), "--server", "modelops"), (address,)):
            code, listed, err = await inspect(*target, "--method", "tools/list", "--strict")
            assert (code, sorted(tool["name"] for tool in listed["tools"])) == (0, NAMES), err
            call = (*target, "--method", "tools/call", "--tool-name")
            code, answer, err = await inspect(*call, "list_agent_models", "--tool-arg", "agent_name=docs")
            assert (code, answer["structuredContent"]["total"]) == (0, 2), err
            code, answer, err = await inspect(*call, "list_agent_models", "--tool-arg", "agent_name=dosc")
            assert (code, answer["isError"]) == (5, True), err
            assert "did you mean docs?" in answer["content"][0]["text"]


async def test_it_conforms_in_every_scenario_that_needs_no_special_server(
    world: World, programs: Programs, tmp_path: Path
) -> None:
    _, listed, _ = await run(*programs.conformance, "list", "--server", folder=tmp_path)
    assert set(re.findall(r"^\s+- ([\w-]+)", listed, re.M)) == CONFORMS | NOT_APPLICABLE.keys()
    assert not CONFORMS & NOT_APPLICABLE.keys()
    async with serving(world, "alice") as address:
        for scenario in sorted(CONFORMS):
            options = ("server", "--url", address, "--scenario", scenario)
            code, out, err = await run(*programs.conformance, *options, folder=tmp_path)
            assert code == 0, (scenario, out, err)
            assert re.search(r"Passed: [1-9]", out), (scenario, out)


@pytest.mark.parametrize("transport", ["stdio", "streamable_http"])
async def test_langchain_mcp_adapters_read_and_confirm_by_a_quote(
    world: World, programs: Programs, tmp_path: Path, transport: str
) -> None:
    calls = [
        ("list_agent_models", {"agent_name": "docs"}),
        ("evaluate_model_vs_baseline", EVALUATE),
        ("evaluate_model_vs_baseline", EVALUATE | {"quote_id": "QUOTE"}),
        ("list_agent_models", {"agent_name": "dosc"}),
    ]

    async def answered(connection: dict[str, Any]) -> dict[str, Any]:
        given = json.dumps({"connection": connection, "calls": calls})
        code, out, err = await run(str(programs.python), str(_ADAPTERS), folder=tmp_path, given=given)
        assert code == 0, err
        found: dict[str, Any] = json.loads(out)
        return found

    kubeconfig = str(world.cluster.kubeconfig_for("alice"))
    options = ["-m", "modelops.cli", "mcp", "-n", world.namespace, "--kubeconfig", kubeconfig]
    if transport == "stdio":
        environ = {"PYTHONPATH": ":".join(sys.path), "HOME": str(tmp_path)}
        found = await answered(
            {"transport": "stdio", "command": sys.executable, "args": options, "env": environ}
        )
    else:
        async with serving(world, "alice") as address:
            found = await answered({"transport": "streamable_http", "url": address})
    assert found["tools"] == NAMES
    history, asked, started, unknown = found["answers"]
    assert history["structured"]["total"] == 2
    assert asked["structured"]["status"] == "confirmation_required"
    assert started["structured"]["created"] is True
    assert list(world.specs("rollouts")) == [started["structured"]["evaluation_id"]]
    assert unknown["status"] == "error"
    assert "did you mean docs?" in unknown["content"]
