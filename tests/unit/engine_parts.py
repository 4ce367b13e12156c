"""What a reconciler is built from, over a test's own Kubernetes API and services."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.cache import ObjectCache
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.executor import Executor
from modelops.engine.services import Services
from modelops.ports import Credentials


@dataclass(frozen=True, kw_only=True)
class EngineParts:
    reader: ClusterReader
    credentials: CredentialReader
    services: Services
    executor: Executor
    agents: AgentProcesses

    @property
    def common(self) -> tuple[ClusterReader, CredentialReader, Services, Executor]:
        """What every reconciler takes first."""
        return self.reader, self.credentials, self.services, self.executor


def engine_parts(
    *,
    kube: Any,
    cache: ObjectCache,
    clock: Any,
    executor: Executor,
    jobs: Any = None,
    hub: Any = None,
    endpoints: Any = None,
    programs: Any = None,
    reports: Any = None,
    hub_org: str = "org",
    installation_token: str = "",
    silence: Callable[[Any, Any], float] = lambda _namespace, _agent: 0.0,
    host_refusal: Callable[[str, str, str], str] = lambda _url, _service, _what: "",
    agent_refusal: Callable[[str, str], str] = lambda _url, _namespace: "",
) -> EngineParts:
    """Services that a test does not use stay None."""
    reader = ClusterReader(kube, cache, clock)
    return EngineParts(
        reader=reader,
        credentials=CredentialReader(kube, clock, installation=Credentials(hugging_face=installation_token)),
        services=Services(
            jobs=jobs,
            hub=hub,
            endpoints=endpoints,
            programs=programs,
            hub_org=hub_org,
            host_refusal=host_refusal,
            agent_refusal=agent_refusal,
        ),
        executor=executor,
        agents=AgentProcesses(reader=reader, reports=reports, silence=silence),
    )
