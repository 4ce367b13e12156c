"""Run by the interpreter with langchain-mcp-adapters: makes the calls of its standard input, and prints the answers.

It is given `{"connection": {...}, "calls": [[tool, arguments], ...]}`. QUOTE as an argument is the quote_id of the answer
before. The answers are `{"tools": [...], "answers": [{"status", "content", "structured"}, ...]}`.
"""

import asyncio
import json
import sys
from typing import Any

from langchain_core.messages import ToolMessage
from langchain_mcp_adapters.client import MultiServerMCPClient


async def main(connection: dict[str, Any], calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """List the tools and call some of them, as a LangGraph agent does it."""
    tools = {tool.name: tool for tool in await MultiServerMCPClient({"modelops": connection}).get_tools()}
    answers: list[dict[str, Any]] = []
    for number, (name, arguments) in enumerate(calls):
        given = {
            key: answers[-1]["structured"]["quote_id"] if value == "QUOTE" else value
            for key, value in arguments.items()
        }
        call = {"type": "tool_call", "id": f"call-{number}", "name": name, "args": given}
        message: ToolMessage = await tools[name].ainvoke(call)
        artifact = message.artifact or {}
        answers.append(
            {
                "status": message.status,
                "content": str(message.content),
                "structured": artifact.get("structured_content"),
            }
        )
    return {"tools": sorted(tools), "answers": answers}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(**json.load(sys.stdin)))))
