"""Marks the runs of LangSmith with what answered, so that traces can be compared by version.

Marked are the run of the model and the runs above it that this process can still find: of LangChain all of them, of a
traced client the one in which the program calls it. A run of LangSmith does not know the object of the run above it.
Nothing is imported for it: a program that traces has imported `langsmith` itself.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Final

from modelops.router.routing_table import Route

AGENT: Final = "modelops_agent"
VERSION: Final = "modelops_version"
"""The key of a run's metadata by which a rollout's analysis finds the runs of a version."""
TRACK: Final = "modelops_track"
FALLBACK: Final = "modelops_fallback"

_chat_call: ContextVar[Any] = ContextVar("modelops_chat_call", default=None)
_above: ContextVar[Any] = ContextVar("modelops_run_above", default=None)


def run_metadata(agent: str, route: Route) -> dict[str, str]:
    """What the metadata of a run say of the route that answered."""
    return {AGENT: agent, VERSION: route.version or route.model, TRACK: route.track}


@contextmanager
def chat_runs(run_manager: Any) -> Iterator[None]:
    """In the block the runs of a LangChain chat model are marked: its own, begun there or not, and those above it."""
    token = _chat_call.set(run_manager)
    try:
        yield
    finally:
        _chat_call.reset(token)


def knowing_the_run_above(call: Callable[..., Any], *, asynchronous: bool) -> Callable[..., Any]:
    """The method of a traced client: the run in which it is called is marked, too."""

    @functools.wraps(call)
    def plain(*args: Any, **kwargs: Any) -> Any:
        with _run_above():
            return call(*args, **kwargs)

    @functools.wraps(call)
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        with _run_above():
            return await call(*args, **kwargs)

    return awaited if asynchronous else plain


@contextmanager
def _run_above() -> Iterator[None]:
    from langsmith import get_current_run_tree

    token = _above.set(get_current_run_tree())
    try:
        yield
    finally:
        _above.reset(token)


def mark_runs(agent: str, route: Route) -> None:
    """Marks the current run and the root of its trace with the route of the session."""
    with suppress(Exception):  # A trace must not spoil an answer.
        for run in _current_runs():
            _mark(run, agent, route)
            run.add_metadata(run_metadata(agent, route))


def mark_fallback(agent: str, stable: Route) -> None:
    """Marks the model's run as answered by stable. The root of its trace stays that of the session's route."""
    with suppress(Exception):
        for run in _current_runs():
            run.add_metadata({FALLBACK: True})
        run = _current_runs()[0]
        _mark(run, agent, stable)
        if run.run_type == "llm":
            run.add_metadata(run_metadata(agent, stable))


def _mark(run: Any, agent: str, route: Route) -> None:
    known = run.tags or []
    run.add_tags([tag for tag in (agent, route.version, route.track) if tag and tag not in known])
    if run.run_type == "llm":
        run.add_metadata({"ls_model_name": route.served_model})


def _current_runs() -> tuple[Any, ...]:
    """The current run first, then those above it that can be found; none where nothing is traced."""
    if "langsmith" not in sys.modules:
        return ()
    found = _runs_of(_chat_call.get())
    if found:
        return found
    from langsmith import get_current_run_tree

    run, above = get_current_run_tree(), _above.get()
    return tuple(one for one in (run, above if above is not run else None) if one is not None)


def _runs_of(run_manager: Any) -> tuple[Any, ...]:
    """The run of a chat model, and those above it up to the root of its trace; none where nothing is traced."""
    for handler in getattr(run_manager, "handlers", ()):
        runs = getattr(handler, "run_map", None)
        if isinstance(runs, dict) and type(handler).__name__ == "LangChainTracer":
            found: dict[str, Any] = {}
            key = str(run_manager.run_id)
            while key in runs and key not in found:
                found[key] = runs[key]
                key = str(runs[key].parent_run_id)
            return tuple(found.values())
    return ()
