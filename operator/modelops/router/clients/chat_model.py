"""`ChatOpenAI` of the package `langchain-openai`, which sends by the router."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from uuid import uuid4

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import ensure_config
from langchain_openai import ChatOpenAI

from modelops.router.clients import Connections
from modelops.router.clients.openai_clients import routed_async_client, routed_client
from modelops.router.clients.tracing import chat_runs

if TYPE_CHECKING:
    from modelops.router.clients.routing import Routing

_OF_CLIENTS: Final = ("max_retries", "timeout", "default_headers", "default_query")


def routed_chat_model(
    router: Routing, connections: Connections, session_key: object, *, fallback: bool, **options: Any
) -> ChatOpenAI:
    """A chat model for one session. Its name for the model is the stable one; each request has that of its route."""
    for name in ("base_url", "openai_api_base", "api_key", "openai_api_key"):
        if name in options:
            raise TypeError(f"{name} is the route's, from agents.yaml: leave it out")
    given = {name: options[name] for name in _OF_CLIENTS if name in options}
    senders = {"": options.pop("http_client", None), "a": options.pop("http_async_client", None)}
    sync = routed_client(
        router,
        connections,
        session_key,
        fallback=fallback,
        trace=False,  # LangChain traces the model.
        http_client=senders[""],
        **given,
    )
    asynchronous = routed_async_client(
        router, connections, session_key, fallback=fallback, trace=False, http_client=senders["a"], **given
    )
    return RoutedChatOpenAI(
        **{
            "model": router._stable_model() or router.agent,
            "stream_usage": True,
            "max_retries": sync.max_retries,
            **options,
            "api_key": sync.api_key,
            "base_url": str(sync.base_url),
            "root_client": sync,
            "client": sync.chat.completions,
            "root_async_client": asynchronous,
            "async_client": asynchronous.chat.completions,
        }
    )


class RoutedChatOpenAI(ChatOpenAI):
    """A `ChatOpenAI` whose runs of LangSmith are marked with what answered.

    Only the callbacks of a call know its run. LangChain hands them to `_generate_with_cache`; of a stream it makes them
    itself, so they are made here, and given to it.
    """

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        with chat_runs(run_manager):
            return super()._generate_with_cache(messages, stop, run_manager, **kwargs)

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **kwargs: Any,
    ) -> ChatResult:
        with chat_runs(run_manager):
            return await super()._agenerate_with_cache(messages, stop, run_manager, **kwargs)

    def stream(self, input: Any, config: Any = None, **kwargs: Any) -> Iterator[AIMessageChunk]:
        """As of any chat model."""
        config, call = _with_callbacks(config, CallbackManager)
        chunks = super().stream(input, config, **kwargs)
        try:
            # The request is sent for the first chunk. A context must not stay set while the reader has the chunk.
            with chat_runs(call):
                chunk = next(chunks, None)
            while chunk is not None:
                yield chunk
                chunk = next(chunks, None)
        finally:
            if isinstance(chunks, Generator):
                chunks.close()

    async def astream(self, input: Any, config: Any = None, **kwargs: Any) -> AsyncIterator[AIMessageChunk]:
        """As of any chat model."""
        config, call = _with_callbacks(config, AsyncCallbackManager)
        chunks = super().astream(input, config, **kwargs)
        try:
            with chat_runs(call):
                chunk = await anext(chunks, None)
            while chunk is not None:
                yield chunk
                chunk = await anext(chunks, None)
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()


class _Call(NamedTuple):
    """What `chat_runs` reads of a call."""

    handlers: list[Any]
    run_id: Any


def _with_callbacks(config: Any, manager: type[Any]) -> tuple[Any, _Call]:
    """The configuration with its callbacks made and the id of its run chosen, and both."""
    found: Any = {**ensure_config(config)}
    made = found["callbacks"] = manager.configure(found.get("callbacks"))
    found["run_id"] = found.get("run_id") or uuid4()
    return found, _Call(made.handlers, found["run_id"])
