"""Trained models in memory, read from the Hub's storage at one commit."""

import asyncio

from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.state import ServiceState, write_bytes
from modelops.trainers import tiny

KEPT = 16
"""Models in memory; the one longest unused goes first."""


class ModelCache:
    """Loads each model once. Commits never change, so that nothing goes stale."""

    def __init__(self, state: ServiceState) -> None:
        self._folder = state.folder / "snapshots"
        self._repos = RepoStore(state.of("hub").folder)
        self._loaded: dict[str, tiny.Model] = {}
        self._loading = asyncio.Lock()

    async def get(self, repo_id: str, commit: str) -> tiny.Model:
        """The model of a repository at a commit.

        Raises:
            LookupError: the repository or the commit is gone.
            ValueError, OSError: its files are no model.
        """
        async with self._loading:
            model = self._loaded.pop(commit, None)
            if model is None:
                model = await asyncio.to_thread(self._load, repo_id, commit)
            self._loaded[commit] = model
            if len(self._loaded) > KEPT:
                del self._loaded[next(iter(self._loaded))]
            return model

    def _load(self, repo_id: str, oid: str) -> tiny.Model:
        repo = self._repos.find("model", repo_id)
        commit = None if repo is None else self._repos.commit_at(repo, oid)
        if commit is None:
            raise LookupError(f"{repo_id} at {oid} is no longer on the Hub")
        folder = self._folder / oid
        for path, entry in commit.files.items():
            write_bytes(folder / path, self._repos.content(entry))
        return tiny.load(folder)
