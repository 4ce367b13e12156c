"""Failures of an agent in production as a dataset that people correct: what there is, and then exactly that stored.

This is the one tool that asks another service than the API server: traces are in LangSmith, and are read with the key
of the client that the caller passes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.client import AsyncClient, Unavailable
from modelops.tools.agents import find_agent
from modelops.tools.errors import ToolRefused

if TYPE_CHECKING:
    from langsmith import Client

    from modelops.datasets.failures import Collected

DAYS: Final = 30
"""Age of the oldest run that is looked at."""
LIMIT: Final = 200
"""Most examples of one dataset."""


@dataclass(frozen=True, kw_only=True)
class Failures:
    """The failures of an agent that would become dataset `name`. No content of them: only the ids of their runs.

    `looked_at`: number of runs since `since`; `repeated`: failures with the inputs of another one; `sensitive`:
    failures that are left out, by what they contain.
    """

    agent: str
    project: str
    name: str
    since: datetime
    until: datetime
    runs: tuple[str, ...]
    looked_at: int
    repeated: int
    sensitive: dict[SensitiveKind, int]


async def project_of(client: AsyncClient, agent_name: str) -> str:
    """The LangSmith project with the agent's traces. Raises ToolRefused where its AgentModel names none."""
    agent = await find_agent(client, agent_name)
    if agent.spec.langsmith is None or not agent.spec.langsmith.project:
        raise ToolRefused(
            f"AgentModel {agent.metadata.name} has no spec.langsmith.project: set it, or name a project with --project"
        )
    return agent.spec.langsmith.project


def dataset_name(agent_name: str, at: datetime) -> str:
    """The name of a dataset that somebody collects then and gives no other name."""
    return f"{agent_name.replace('_', '-')}-failures-{at:%Y%m%d}"


async def find_failures(client: AsyncClient, langsmith: Client, agent_name: str) -> Failures:
    """The agent's failures of the last 30 days. It stores nothing.

    Raises:
        ToolRefused: there are none, LangSmith has no such project, or refuses.
        Unavailable: LangSmith does not answer.
    """
    agent = (await find_agent(client, agent_name)).spec.agent
    project = await project_of(client, agent_name)
    until = datetime.now(UTC)
    since = until - timedelta(days=DAYS)
    found = await asyncio.to_thread(_collect, langsmith, project, since, until, LIMIT)
    if not found.failures:
        left_out = sum(found.sensitive.values())
        why = f"; {left_out} are left out, because they contain secrets or personal data" if left_out else ""
        raise ToolRefused(f"project {project!r} has no failure of the last {DAYS} days to collect{why}")
    return Failures(
        agent=agent,
        project=project,
        name=await asyncio.to_thread(_free_name, langsmith, dataset_name(agent, until)),
        since=since,
        until=until,
        runs=tuple(one.run_id for one in found.failures),
        looked_at=found.looked_at,
        repeated=found.repeated,
        sensitive=found.sensitive,
    )


async def store_failures(langsmith: Client, failures: Failures, *, key: str) -> str:
    """Make the dataset of exactly these failures; returns its id. The same key makes it once.

    Raises:
        ToolRefused: one of them is no failure any more, contains something else by now, or the name was taken.
        Unavailable: LangSmith does not answer.
    """
    return await asyncio.to_thread(_store, langsmith, failures, key)


def _collect(langsmith: Client, project: str, since: datetime, until: datetime, limit: int) -> Collected:
    from modelops.datasets.failures import collect_failures

    with _refusals():
        return collect_failures(langsmith, project, since=since, until=until, limit=limit)


def _store(langsmith: Client, failures: Failures, key: str) -> str:
    from modelops.datasets.failures import MOST_RUNS, create_dataset

    now = _collect(langsmith, failures.project, failures.since, failures.until, MOST_RUNS)
    shown = set(failures.runs)
    kept = [one for one in now.failures if one.run_id in shown]
    if len(kept) != len(shown):
        raise ToolRefused(f"the failures of {failures.agent} are other ones by now: ask again")
    with _refusals():
        return create_dataset(
            langsmith, failures.name, agent=failures.agent, project=failures.project, failures=kept, key=key
        )


def _free_name(langsmith: Client, name: str) -> str:
    with _refusals():
        known: Collection[str] = {
            str(one.name) for one in langsmith.list_datasets(dataset_name_contains=name)
        }
    return next(one for one in _names(name) if one not in known)


def _names(name: str) -> Iterator[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


@contextmanager
def _refusals() -> Iterator[None]:
    """LangSmith's errors as those of the tools."""
    from modelops.adapters.langsmith.errors import LangSmithError
    from modelops.datasets.failures import CollectionRefused

    try:
        yield
    except CollectionRefused as error:
        raise ToolRefused(str(error)) from error
    except LangSmithError as error:
        raise (Unavailable if error.transient else ToolRefused)(str(error)) from error
