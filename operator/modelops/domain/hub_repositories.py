"""The operator's repositories on the Hub: their names, and the lineage that each one has in `modelops.json`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from modelops.domain.training.naming import Named, agent_with_dashes, parse_repository

Json = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class ModelRepository:
    """A model repository whose name has the operator's form.

    `revision` is the commit that published the model, `published_at` the time of that commit (ISO 8601), `lineage`
    the content of `modelops.json` at that commit. All three are empty where no model was published.
    """

    repo: str
    revision: str = ""
    published_at: str = ""
    lineage: Json = field(default_factory=dict)

    @property
    def named(self) -> Named:
        """The parts of the repository's name."""
        return parsed_name(self.repo)

    @property
    def data(self) -> tuple[str, str]:
        """Repository and commit of the training data; empty where the lineage does not name them."""
        return self._dataset_value("repo"), self._dataset_value("revision")

    @property
    def dataset_digest(self) -> str:
        """Digest of the training data that the run used; empty where the lineage does not name it."""
        return self._dataset_value("digest")

    def _dataset_value(self, key: str) -> str:
        found = self.lineage.get("dataset")
        return str(found.get(key) or "") if isinstance(found, Mapping) else ""


@dataclass(frozen=True, kw_only=True)
class DatasetRepository:
    """A repository with prepared data. `revisions` has the content of `modelops.json` by commit, newest first."""

    repo: str
    revisions: Mapping[str, Json] = field(default_factory=dict)

    @property
    def named(self) -> Named:
        """The parts of the repository's name."""
        return parsed_name(self.repo)

    @property
    def lineage(self) -> Json:
        """The newest `modelops.json`; empty where there is none."""
        return next(iter(self.revisions.values()), {})


@dataclass(frozen=True, kw_only=True)
class RepositoryCatalog:
    """All repositories of an organisation whose names have the operator's form."""

    models: tuple[ModelRepository, ...] = ()
    datasets: tuple[DatasetRepository, ...] = ()

    def dataset(self, repo: str) -> DatasetRepository | None:
        """The dataset repository of this name; None where there is none."""
        return next((found for found in self.datasets if found.repo == repo), None)

    def of(self, agent: str) -> RepositoryCatalog:
        """The repositories whose names have this agent."""
        wanted = agent_with_dashes(agent)
        return RepositoryCatalog(
            models=tuple(m for m in self.models if m.named.agent == wanted),
            datasets=tuple(d for d in self.datasets if d.named.agent == wanted),
        )


def parsed_name(repo: str) -> Named:
    """The parts of a repository's name.

    Raises:
        ValueError: the name does not have the operator's form.
    """
    found = parse_repository(repo)
    if found is None:
        raise ValueError(f"{repo!r} is not the name of a model or dataset repository of the operator")
    return found


def names_agent(lineage: Json, agent: str, agent_model: str = "") -> bool:
    """Whether a `modelops.json` names this agent, and no AgentModel (`namespace/name`) other than this one.

    A `modelops.json` that an older operator wrote names no AgentModel.
    """
    owner = lineage.get("agent_model")
    return lineage.get("agent") == agent and (not agent_model or owner in (None, agent_model))
