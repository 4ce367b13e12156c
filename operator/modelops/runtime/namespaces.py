"""The namespaces in which the operator works: those of its settings, without those that it may not read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from modelops.adapters.kube import KubeClient
from modelops.engine.resources import AGENT_MODELS
from modelops.ports import Refused, Unavailable

RETRY_SECONDS: Final = 15.0
_log = logging.getLogger(__name__)


class NamespaceReturned(Exception):
    """A namespace that was left out can be read again. Only a new process has a complete cache of it."""


class WorkNamespaces:
    """`named` are those of the settings; empty: all, of which none is left out.

    The Role of one is gone where it was deleted. Without this, a refusal there would end the work in all the others.
    """

    def __init__(self, named: Sequence[str]) -> None:
        self._named = tuple(named)
        self._refusals: dict[str, str] = {}

    @property
    def working(self) -> tuple[str, ...]:
        """The named ones that are not left out; empty where none is named."""
        return tuple(name for name in self._named if name not in self._refusals)

    @property
    def selectors(self) -> tuple[str | None, ...]:
        """The same for lists and watches, where None stands for all namespaces."""
        return self.working if self._named else (None,)

    def has(self, name: str) -> bool:
        """Whether the operator works in the namespace."""
        return not self._named or name in self.working

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is left out, why, and what to do; for people."""
        return tuple(
            f"namespace {name} is left out, because it cannot be read: {error}. If it was deleted, take it out of "
            "MODELOPS_WATCH_NAMESPACES (watchNamespaces of the chart); else give the operator its rights there"
            for name, error in self._refusals.items()
        )

    def leave_out(self, refusals: dict[str | None, Refused]) -> tuple[str, ...]:
        """Leaves these out, and returns their names. Raises a refusal where nothing would be left."""
        names = tuple(name for name in refusals if name is not None)
        if refusals and not set(self.selectors) - refusals.keys():
            raise next(iter(refusals.values()))
        for name in names:
            self._refusals[name] = str(refusals[name]).rstrip(".")
            _log.error("%s", self.warnings[-1])
        return names

    async def until_one_returns(self, kube: KubeClient) -> None:
        """Asks for those that are left out now and then. Raises NamespaceReturned."""
        while True:
            await asyncio.sleep(RETRY_SECONDS)
            for name in tuple(self._refusals):
                try:
                    await kube.list(AGENT_MODELS, namespace=name)
                except (Refused, Unavailable):
                    continue
                raise NamespaceReturned(
                    f"namespace {name} can be read again: the operator starts again to work there"
                )
