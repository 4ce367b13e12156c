"""`list_datasets`: the LangSmith datasets that an agent could train on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.client import AsyncClient
from modelops.domain.nearest import did_you_mean
from modelops.tools.agents import find_agent
from modelops.tools.errors import ToolRefused
from modelops.tools.results import Dataset, Datasets

PAGE: Final = 50
MOST: Final = 2000
"""Datasets that are looked at: LangSmith gives a hundred at a time."""
_REFERENCE: Final = "ls://"
_LONGEST: Final = 300


class CatalogUnavailable(ToolRefused):
    """LangSmith did not answer, or refused. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class StoredDataset:
    """A dataset as LangSmith has it. `agent` is that of its own metadata; empty where it names none."""

    id: str
    name: str
    examples: int
    changed: datetime | None
    description: str = ""
    agent: str = ""


class Catalog(Protocol):
    """The datasets of one LangSmith workspace: that of a key."""

    async def find(self, contains: str | None, *, limit: int) -> Sequence[StoredDataset]:
        """At most `limit` datasets whose name contains this. Raises CatalogUnavailable."""
        ...


@dataclass(frozen=True, kw_only=True)
class Catalogs:
    """`own_key`: the caller's own key of LangSmith; without it the agent's is used, if the caller may read it."""

    opened: Callable[[str], Catalog]
    own_key: str | None = None


async def list_datasets_for(
    client: AsyncClient,
    catalogs: Catalogs,
    agent_name: str,
    *,
    contains: str | None = None,
    limit: int = PAGE,
    page: str | None = None,
) -> Datasets:
    """The datasets of an agent's workspace, seen from that agent.

    Raises:
        ToolRefused: an unknown agent, no key, no such dataset or page.
        CatalogUnavailable: LangSmith does not answer, or refuses.
        Forbidden: the caller has no key and may not read the agent's.
    """
    agent = await find_agent(client, agent_name)
    key = catalogs.own_key or await _key_of(client, agent)
    agents = (await client.agent_models.list()).items
    return await list_datasets(
        catalogs.opened(key), agent=agent, agents=agents, contains=contains, limit=limit, page=page
    )


async def list_datasets(
    catalog: Catalog,
    *,
    agent: AgentModel | None = None,
    agents: Sequence[AgentModel] = (),
    contains: str | None = None,
    limit: int = PAGE,
    page: str | None = None,
) -> Datasets:
    """The datasets, the last changed first, `limit` at a time. `page`: the `next_page` of the page before.

    `agents`: the AgentModels whose datasets are told apart. Raises ToolRefused.
    """
    wanted = contains.removeprefix(_REFERENCE) if contains else None
    found = sorted(await catalog.find(wanted, limit=MOST), key=_newest_first)
    if wanted and not found:
        every = [one.name for one in await catalog.find(None, limit=MOST)]
        hint = did_you_mean(wanted, every, none="there is no dataset at all")
        raise ToolRefused(f"LangSmith has no dataset whose name contains {wanted!r}: {hint}")
    start = 0
    if page is not None:
        after = [number for number, one in enumerate(found) if one.id == page]
        if not after:
            raise ToolRefused(f"there is no page {page!r}: use the next_page of the page before")
        start = after[0] + 1
    shown = found[start : start + limit]
    return Datasets(
        agent_name=agent.spec.agent if agent is not None else None,
        datasets=tuple(_seen_by(agent, one, agents) for one in shown),
        total=len(found),
        next_page=shown[-1].id if shown and start + limit < len(found) else None,
    )


def _newest_first(dataset: StoredDataset) -> tuple[float, str]:
    return -(dataset.changed or datetime(1970, 1, 1, tzinfo=UTC)).timestamp(), dataset.name


def _seen_by(agent: AgentModel | None, dataset: StoredDataset, agents: Iterable[AgentModel]) -> Dataset:
    references = {f"{_REFERENCE}{dataset.name}", f"{_REFERENCE}{dataset.id}"}
    owners, evaluates = ({dataset.agent} if dataset.agent else set()), set()
    for one in agents:
        settings = one.spec.langsmith
        if settings is not None and settings.training_dataset in references:
            owners.add(one.spec.agent)
        if settings is not None and settings.evaluation_dataset in references:
            owners.add(one.spec.agent)
            evaluates.add(one.spec.agent)
    own = agent.spec.agent if agent is not None else None
    text = " ".join(dataset.description.split())
    return Dataset(
        dataset_id=f"{_REFERENCE}{dataset.name}",
        examples=dataset.examples,
        last_modified=dataset.changed,
        agents=tuple(sorted(owners)),
        is_another_agents=bool(owners) and own is not None and own not in owners,
        evaluates=tuple(sorted(evaluates)),
        description=f"{text[: _LONGEST - 1]}…" if len(text) > _LONGEST else text,
    )


async def _key_of(client: AsyncClient, agent: AgentModel) -> str:
    reference = agent.spec.secret_refs.langsmith
    if reference is None:
        raise ToolRefused(
            f"AgentModel {agent.metadata.name} has no spec.secretRefs.langsmith: name the Secret with a key of "
            "LangSmith, or set LANGSMITH_API_KEY"
        )
    return await client.secret_value(reference.name, reference.key)
