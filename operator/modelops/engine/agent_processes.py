"""What the agents' own processes report, beside the Pods that should report it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.engine.cluster_reader import ClusterReader
from modelops.ports import AgentReports, Reports


@dataclass(frozen=True, kw_only=True)
class AgentProcesses:
    """The first provider of the canary's analysis, and the proof that agents took a change of routing up."""

    reader: ClusterReader
    reports: Reports
    silence: Callable[[str, AgentModel | None], float] = lambda _namespace, _agent: 0.0
    """Seconds since the watches of the agent's ConfigMaps and Pods last said anything, bookmarks included."""

    def summary(
        self, namespace: str, agent: AgentModel | None, name: str, *, generation: int, salt: str
    ) -> AgentReports:
        """What the processes of the agent `name` say about this generation of the routing."""
        return self.reports.summary(
            namespace,
            name,
            generation=generation,
            salt=salt,
            pods=self.reader.expected_pods(namespace, agent),
        )
