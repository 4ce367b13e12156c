"""What the Hub says of an agent's repositories: names, and the lineage that each carries in `modelops.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelops.domain.training.naming import Named, parse_repository

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelRepository:
    """A repository with the name of a model of ours.

    `revision` is the commit that published the model, `published_at` its time (ISO 8601); both are empty, and
    `told` too, where nothing was published. `told` is its `modelops.json`.
    """

    repo: str
    revision: str = ""
    published_at: str = ""
    told: Json = field(default_factory=dict)

    @property
    def named(self) -> Named:
        return named(self.repo)

    @property
    def data(self) -> tuple[str, str]:
        """Repository and commit of what it was trained on; empty where it does not say."""
        return self._of_data("repo"), self._of_data("revision")

    @property
    def data_digest(self) -> str:
        """As the run was given it."""
        return self._of_data("digest")

    def _of_data(self, key: str) -> str:
        found = self.told.get("dataset")
        return str(found.get(key) or "") if isinstance(found, Mapping) else ""


@dataclass(frozen=True, kw_only=True)
class DatasetRepository:
    """A repository with the name of prepared data of ours. `revisions`: `modelops.json` by commit, newest first."""

    repo: str
    revisions: Mapping[str, Json] = field(default_factory=dict)

    @property
    def named(self) -> Named:
        return named(self.repo)

    @property
    def told(self) -> Json:
        """The newest."""
        return next(iter(self.revisions.values()), {})


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """All repositories of an organisation whose names are ours."""

    models: tuple[ModelRepository, ...] = ()
    datasets: tuple[DatasetRepository, ...] = ()

    def dataset(self, repo: str) -> DatasetRepository | None:
        return next((found for found in self.datasets if found.repo == repo), None)

    def of(self, agent: str) -> Shelf:
        """Those whose names say this agent."""
        wanted = agent.replace("_", "-")
        return Shelf(
            models=tuple(m for m in self.models if m.named.agent == wanted),
            datasets=tuple(d for d in self.datasets if d.named.agent == wanted),
        )


def named(repo: str) -> Named:
    """Of a repository that was chosen by its name."""
    found = parse_repository(repo)
    assert found is not None, repo
    return found


def is_for(told: Json, agent: str, agent_model: str = "") -> bool:
    """Whether a `modelops.json` names this agent, and no other AgentModel (`namespace/name`) than this one.

    One that an older operator had written names no AgentModel.
    """
    owner = told.get("agent_model")
    return told.get("agent") == agent and (not agent_model or owner in (None, agent_model))
