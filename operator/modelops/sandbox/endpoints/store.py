"""Endpoints on disk: one JSON file each, shared by the management API and the serving side."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from aiohttp import web

from modelops.sandbox.endpoints.records import Endpoint
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.state import ServiceState, read_json
from modelops.trainers.tiny_model import MODEL_FILE

SERVED = ({MODEL_FILE}, {"config.json", "model.safetensors"})
"""Files of the models that the serving side knows: the sandbox's own, and those of transformers."""


class EndpointStore:
    """All endpoints of a sandbox. Names are unique over all namespaces, since addresses are made of them."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state.of("endpoints")
        self._repos = RepoStore(state.of("hub").folder)

    def find(self, name: str) -> Endpoint | None:
        """The endpoint of that name, or None."""
        stored = self._state.read(f"{name}.json")
        return None if stored is None else Endpoint.from_json(stored)

    def all(self) -> Iterator[Endpoint]:
        """Every endpoint, by name."""
        for file in sorted(self._state.folder.glob("[!.]*.json")):
            yield Endpoint.from_json(read_json(file))

    def create(self, namespace: str, name: str, spec: dict[str, Any]) -> Endpoint:
        """Takes a new endpoint in and begins to provision it."""
        now = time.time()
        made = Endpoint(
            name=name,
            namespace=namespace,
            spec=spec,
            created=now,
            updated=now,
            since=now,
            provisioning=self._state.profile.provisioning,
        )
        return self._provisioned(made, "running")

    def update(self, endpoint: Endpoint, spec: dict[str, Any]) -> Endpoint:
        """Begins to roll a change out; what it served goes on until then."""
        before = endpoint.serves(time.time())
        changed = replace(endpoint, spec=spec, before=before)
        return self._provisioned(changed, "running" if before is None else "updating")

    def resume(self, endpoint: Endpoint) -> Endpoint:
        """Begins to provision it again."""
        return self._provisioned(endpoint, "running")

    def rest(self, endpoint: Endpoint, asked: Literal["paused", "scaledToZero"]) -> Endpoint:
        """Stops serving."""
        return self._keep(replace(endpoint, asked=asked, updated=time.time(), problem=None))

    def delete(self, endpoint: Endpoint) -> None:
        """Removes it at once."""
        (self._state.folder / f"{endpoint.name}.json").unlink(missing_ok=True)

    def url(self, endpoint: Endpoint) -> str:
        """Where it answers."""
        return f"{self._state.urls['models']}/e/{endpoint.name}"

    def _provisioned(self, endpoint: Endpoint, asked: Literal["running", "updating"]) -> Endpoint:
        now = time.time()
        commit, problem = self._resolved(endpoint.spec["model"])
        return self._keep(
            replace(endpoint, asked=asked, since=now, updated=now, commit=commit, problem=problem)
        )

    def _resolved(self, model: dict[str, Any]) -> tuple[str | None, str | None]:
        repo = self._repos.find("model", model["repository"])
        if repo is None:
            return None, f"Endpoint failed to start: repository {model['repository']} not found"
        revision = model["revision"] or "main"
        commit = self._repos.commit_at(repo, revision)
        if commit is None:
            return None, f"Endpoint failed to start: {repo.id} has no revision {revision}"
        if not any(commit.files.keys() >= model for model in SERVED):
            needed = " nor ".join(" and ".join(sorted(model)) for model in SERVED)
            return (
                None,
                f"Endpoint failed to start: {repo.id} at {commit.oid} holds neither {needed} to serve",
            )
        return commit.oid, None

    def _keep(self, endpoint: Endpoint) -> Endpoint:
        self._state.write(f"{endpoint.name}.json", endpoint.stored(), mode=0o600)
        return endpoint


ENDPOINTS: web.AppKey[EndpointStore] = web.AppKey("endpoints", EndpointStore)
