"""Reads the emergency stops: from the cache for decisions, and live before a write that gives a canary sessions."""

from __future__ import annotations

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import STOP_ALL_CONFIG_MAP, STOP_CONFIG_MAP
from modelops.domain.stop import Stop, stop_of_agent, stop_of_config_map
from modelops.engine.cache import ObjectCache
from modelops.engine.resources import AGENT_MODELS, CONFIG_MAPS
from modelops.ports import Json, Kube, Resource


class StopReader:
    """`home` is the operator's namespace, in which the stop of all agents is; empty where there is none."""

    def __init__(self, kube: Kube, cache: ObjectCache, home: str = "") -> None:
        self._kube = kube
        self._cache = cache
        self._home = home

    def known(self, namespace: str, agent_model: AgentModel | None) -> Stop | None:
        """The largest stop of an agent that the watches have delivered; None where it is not stopped."""
        everything = self._cache.get(CONFIG_MAPS, self._home, STOP_ALL_CONFIG_MAP) if self._home else None
        return (
            stop_of_config_map(everything)
            or stop_of_config_map(self._cache.get(CONFIG_MAPS, namespace, STOP_CONFIG_MAP))
            or stop_of_agent(agent_model)
        )

    async def forbids_raise(self, namespace: str, agent_model: str) -> bool:
        """Emergency stop 1: whether the API server has a stop, or no such AgentModel. The cache learns what is read.

        Raises what `ports.Kube.get` raises: without an answer nothing is raised.
        """
        found = await self._live(AGENT_MODELS, namespace, agent_model)
        if found is None or (found.get("spec") or {}).get("stop") is not None:
            return True
        if await self._live(CONFIG_MAPS, namespace, STOP_CONFIG_MAP) is not None:
            return True
        return bool(self._home) and await self._live(CONFIG_MAPS, self._home, STOP_ALL_CONFIG_MAP) is not None

    async def _live(self, resource: Resource, namespace: str, name: str) -> Json | None:
        before = self._cache.get(resource, namespace, name)
        answer = await self._kube.get(resource, namespace, name)
        if answer is None:
            self._cache.confirm_absent(resource, namespace, name, before=before)
            return None
        self._cache.put(resource, answer)
        return answer
