"""Trained models in memory, read from the Hub's storage at one commit."""

import asyncio
from pathlib import Path

from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.serving.answers import ModelFailed, Served, TinyServed
from modelops.sandbox.serving.language_model import LanguageModel
from modelops.sandbox.state import ServiceState, write_bytes
from modelops.trainers import tiny_model

KEPT = 16
"""Models in memory; the one longest unused goes first."""
KEPT_LANGUAGE_MODELS = 2
"""Of them, language models: each is a process with PyTorch, half a gigabyte and more."""


class ModelCache:
    """Loads each model once. Commits never change, so that nothing goes stale."""

    def __init__(self, state: ServiceState) -> None:
        self._folder = state.folder / "snapshots"
        self._repos = RepoStore(state.of("hub").folder)
        self._loaded: dict[str, asyncio.Task[Served]] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def get(self, repo_id: str, commit: str) -> Served:
        """The model of a repository at a commit.

        Raises:
            ModelFailed: the repository or the commit is gone, or its files are no model.
        """
        loading = self._loaded.pop(commit, None) or asyncio.create_task(self._load(repo_id, commit))
        self._loaded[commit] = loading
        self._bound()
        try:
            return await asyncio.shield(loading)
        except (LookupError, ValueError, OSError, ModelFailed) as error:
            self.forget(commit)
            raise ModelFailed(f"the model cannot be loaded: {error}") from error

    def forget(self, commit: str) -> None:
        """Loads it anew the next time."""
        loading = self._loaded.pop(commit, None)
        if loading is not None:
            self._close(loading)

    async def close(self) -> None:
        """Ends every model, at the end of the sandbox."""
        for loading in self._loaded.values():
            if loading.done() and not loading.cancelled() and loading.exception() is None:
                model = loading.result()
                if isinstance(model, LanguageModel):
                    model.kill()
            loading.cancel()
        await asyncio.gather(*self._loaded.values(), *self._closing, return_exceptions=True)

    def _bound(self) -> None:
        """Lets the longest unused go."""
        language = [commit for commit, one in self._loaded.items() if _is_language_model(one)]
        surplus = language[: max(0, len(language) - KEPT_LANGUAGE_MODELS)]
        surplus += list(self._loaded)[: max(0, len(self._loaded) - KEPT)]
        for commit in surplus:
            self.forget(commit)

    def _close(self, loading: "asyncio.Task[Served]") -> None:
        async def closing() -> None:
            model = await asyncio.gather(loading, return_exceptions=True)
            if not isinstance(model[0], BaseException):
                await model[0].close()

        task = asyncio.create_task(closing())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _load(self, repo_id: str, oid: str) -> Served:
        folder = await asyncio.to_thread(self._files, repo_id, oid)
        if (folder / tiny_model.MODEL_FILE).is_file():
            return TinyServed(await asyncio.to_thread(tiny_model.load, folder))
        model = await LanguageModel.start(folder)
        asyncio.get_running_loop().call_soon(self._bound)
        return model

    def _files(self, repo_id: str, oid: str) -> Path:
        repo = self._repos.find("model", repo_id)
        commit = None if repo is None else self._repos.commit_at(repo, oid)
        if commit is None:
            raise LookupError(f"{repo_id} at {oid} is no longer on the Hub")
        folder = self._folder / oid
        for path, entry in commit.files.items():
            write_bytes(folder / path, self._repos.content(entry))
        return folder


def _is_language_model(loading: "asyncio.Task[Served]") -> bool:
    done = loading.done() and not loading.cancelled() and loading.exception() is None
    return done and isinstance(loading.result(), LanguageModel)
