"""Endpoints on disk: one JSON file each, which the management API writes and the serving application reads."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

from aiohttp import web

from modelops.sandbox.endpoints.records import Endpoint
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.state import ServiceState, read_json
from modelops.trainers.tiny_model import MODEL_FILE

SERVABLE_FILES = ({MODEL_FILE}, {"config.json", "model.safetensors"})
"""The files that a servable model needs: those of the sandbox's tiny model, or those of transformers."""


class EndpointStore:
    """All endpoints of a sandbox. A name is unique over all namespaces, because the address contains only the name."""

    def __init__(self, state: ServiceState) -> None:
        self._state = state.of("endpoints")
        self._repos = RepoStore(state.of("hub").folder)

    def find(self, name: str) -> Endpoint | None:
        """Return the endpoint of that name, or None."""
        stored = self._state.read(f"{name}.json")
        return None if stored is None else Endpoint.from_stored(stored)

    def all(self) -> Iterator[Endpoint]:
        """Yield every endpoint, sorted by name."""
        for file in sorted(self._state.folder.glob("[!.]*.json")):
            yield Endpoint.from_stored(read_json(file))

    def create(self, namespace: str, name: str, spec: dict[str, Any]) -> Endpoint:
        """Create an endpoint and start its provisioning."""
        now = time.time()
        endpoint = Endpoint(
            name=name,
            namespace=namespace,
            spec=spec,
            created=now,
            updated=now,
            provisioning_started=now,
            provisioning_seconds=self._state.profile.provisioning,
        )
        return self._start_provisioning(endpoint, "running")

    def update(self, endpoint: Endpoint, spec: dict[str, Any]) -> Endpoint:
        """Start to roll out a change; the previous commit is served until the change is complete."""
        before = endpoint.served_commit(time.time())
        changed = replace(endpoint, spec=spec, previous_commit=before)
        return self._start_provisioning(changed, "running" if before is None else "updating")

    def resume(self, endpoint: Endpoint) -> Endpoint:
        """Start to provision the endpoint again."""
        return self._start_provisioning(endpoint, "running")

    def stop(self, endpoint: Endpoint, requested_state: Literal["paused", "scaledToZero"]) -> Endpoint:
        """Stop serving."""
        return self._save(
            replace(endpoint, requested_state=requested_state, updated=time.time(), problem=None)
        )

    def delete(self, endpoint: Endpoint) -> None:
        """Remove the endpoint at once."""
        (self._state.folder / f"{endpoint.name}.json").unlink(missing_ok=True)

    def url(self, endpoint: Endpoint) -> str:
        """Return the address at which the endpoint answers."""
        return f"{self._state.urls['models']}/e/{endpoint.name}"

    def _start_provisioning(
        self, endpoint: Endpoint, requested_state: Literal["running", "updating"]
    ) -> Endpoint:
        now = time.time()
        commit, problem = self._resolve_model(endpoint.spec["model"])
        return self._save(
            replace(
                endpoint,
                requested_state=requested_state,
                provisioning_started=now,
                updated=now,
                commit=commit,
                problem=problem,
            )
        )

    def _resolve_model(self, model: dict[str, Any]) -> tuple[str | None, str | None]:
        repo = self._repos.find("model", model["repository"])
        if repo is None:
            return None, f"Endpoint failed to start: repository {model['repository']} not found"
        revision = model["revision"] or "main"
        commit = self._repos.commit_at(repo, revision)
        if commit is None:
            return None, f"Endpoint failed to start: {repo.id} has no revision {revision}"
        if not any(commit.files.keys() >= model for model in SERVABLE_FILES):
            needed = " nor ".join(" and ".join(sorted(model)) for model in SERVABLE_FILES)
            return (
                None,
                f"Endpoint failed to start: {repo.id} at {commit.oid} holds neither {needed} to serve",
            )
        return commit.oid, None

    def _save(self, endpoint: Endpoint) -> Endpoint:
        self._state.write(f"{endpoint.name}.json", endpoint.to_stored(), mode=0o600)
        return endpoint


ENDPOINTS: web.AppKey[EndpointStore] = web.AppKey("endpoints", EndpointStore)
