"""Calls each service as the operator and its programs do, with the addresses of the environment; prints what came of it.

A process of its own, because the SDKs read proxies and certificate authorities when they are imported or first used.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable

from modelops.adapters.huggingface.connection import HuggingFaceConnection
from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.errors import LangSmithError, translated_errors
from modelops.api.v1alpha1.agentmodel import PromptContract
from modelops.evaluation.model_client import ModelClient
from modelops.evaluation.request import Arm
from modelops.loopback import assert_loopback
from modelops.ports import Unavailable
from modelops.sandbox.tokens import USER


async def call_hub() -> str:
    return await _call_hugging_face("hub")


async def call_endpoints() -> str:
    return await _call_hugging_face("endpoints")


async def _call_hugging_face(service: str) -> str:
    connection = HuggingFaceConnection(
        hub_url=os.environ["HF_ENDPOINT"],
        endpoints_url=os.environ["MODELOPS_ENDPOINTS_URL"],
        guard=lambda: assert_loopback(os.environ),
    )
    try:
        await connection.call(
            lambda api: api.whoami() if service == "hub" else api.list_inference_endpoints(namespace=USER),
            doing=f"calling {service}",
            token=os.environ["HF_TOKEN"],
        )
    except Unavailable as error:
        return str(error)
    finally:
        connection.close()
    return "ok"


async def call_langsmith() -> str:
    url = os.environ["LANGSMITH_ENDPOINT"]
    client = LangSmithConnection(api_url=url, api_key=os.environ["LANGSMITH_API_KEY"], attempts=1).client()
    try:
        with translated_errors(doing="listing datasets", url=url):
            list(client.list_datasets(limit=1))
    except LangSmithError as error:
        return str(error)
    finally:
        client.close(timeout=0)
    return "ok"


async def call_openrouter() -> str:
    arm = Arm(
        version="v1.0.0",
        model="modelops-sandbox/name-as-sentence",
        service="openrouter",
        base_url=os.environ["OPENROUTER_BASE_URL"],
        api_key_env="OPENROUTER_API_KEY",
    )
    client = ModelClient("baseline", arm, prompt=PromptContract(user="{{ inputs.task }}", assistant="x"))
    try:
        reply = await client.ask([{"role": "user", "content": "def add(a, b): ..."}])
    finally:
        await client.close()
    return reply.error or "ok"


CALLS: dict[str, Callable[[], Awaitable[str]]] = {
    "hub": call_hub,
    "endpoints": call_endpoints,
    "langsmith": call_langsmith,
    "openrouter": call_openrouter,
}


async def main() -> None:
    assert_loopback(os.environ)
    print(json.dumps({name: await call() for name, call in CALLS.items()}))


if __name__ == "__main__":
    asyncio.run(main())
