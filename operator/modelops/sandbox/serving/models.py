"""The cache of loaded models. A model is read from the Hub's storage at one commit."""

import asyncio
from pathlib import Path

from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.serving.answers import ModelFailedError, ServedModel, TinyServedModel
from modelops.sandbox.serving.language_model import LanguageModel
from modelops.sandbox.state import ServiceState, write_bytes
from modelops.trainers import tiny_model

MAX_MODELS = 16
"""Number of loaded models; the least recently used one is removed first."""
MAX_LANGUAGE_MODELS = 2
"""Number of language models among them: each is a PyTorch process of at least half a gigabyte."""


class ModelCache:
    """Loads each model once. A commit never changes, so a loaded model is never outdated."""

    def __init__(self, state: ServiceState) -> None:
        self._folder = state.folder / "snapshots"
        self._repos = RepoStore(state.of("hub").folder)
        self._loaded: dict[str, asyncio.Task[ServedModel]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, repo_id: str, commit: str) -> ServedModel:
        """Return the model of a repository at a commit; load it if needed.

        Raises:
            ModelFailedError: the repository or the commit was deleted, or its files are not a model.
        """
        loading = self._loaded.pop(commit, None) or asyncio.create_task(self._load(repo_id, commit))
        self._loaded[commit] = loading
        self._evict()
        try:
            return await asyncio.shield(loading)
        except (LookupError, ValueError, OSError, ModelFailedError) as error:
            self.forget(commit)
            raise ModelFailedError(f"the model cannot be loaded: {error}") from error

    def forget(self, commit: str) -> None:
        """Remove a model from the cache, so that the next request loads it again."""
        loading = self._loaded.pop(commit, None)
        if loading is not None:
            self._close(loading)

    async def close(self) -> None:
        """Close every model, when the sandbox stops."""
        for loading in self._loaded.values():
            if loading.done() and not loading.cancelled() and loading.exception() is None:
                model = loading.result()
                if isinstance(model, LanguageModel):
                    model.kill()
            loading.cancel()
        await asyncio.gather(*self._loaded.values(), *self._closing, return_exceptions=True)

    def _evict(self) -> None:
        """Remove the least recently used models beyond the limits."""
        language = [commit for commit, one in self._loaded.items() if _is_language_model(one)]
        surplus = language[: max(0, len(language) - MAX_LANGUAGE_MODELS)]
        surplus += list(self._loaded)[: max(0, len(self._loaded) - MAX_MODELS)]
        for commit in surplus:
            self.forget(commit)

    def _close(self, loading: "asyncio.Task[ServedModel]") -> None:
        async def closing() -> None:
            model = await asyncio.gather(loading, return_exceptions=True)
            if not isinstance(model[0], BaseException):
                await model[0].close()

        task = asyncio.create_task(closing())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _load(self, repo_id: str, oid: str) -> ServedModel:
        folder = await asyncio.to_thread(self._write_files, repo_id, oid)
        if (folder / tiny_model.MODEL_FILE).is_file():
            return TinyServedModel(await asyncio.to_thread(tiny_model.load, folder))
        model = await LanguageModel.start(folder)
        asyncio.get_running_loop().call_soon(self._evict)
        return model

    def _write_files(self, repo_id: str, oid: str) -> Path:
        repo = self._repos.find("model", repo_id)
        commit = None if repo is None else self._repos.commit_at(repo, oid)
        if commit is None:
            raise LookupError(f"{repo_id} at {oid} is no longer on the Hub")
        folder = self._folder / oid
        for path, entry in commit.files.items():
            write_bytes(folder / path, self._repos.content(entry))
        return folder


def _is_language_model(loading: "asyncio.Task[ServedModel]") -> bool:
    done = loading.done() and not loading.cancelled() and loading.exception() is None
    return done and isinstance(loading.result(), LanguageModel)
