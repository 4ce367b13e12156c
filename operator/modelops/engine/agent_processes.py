"""What the agents' own processes report, beside the Pods that should report it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.rollout.state import File
from modelops.engine.cluster_reader import SUB_PATH_REMEDY, ClusterReader
from modelops.engine.pod_touches import PodTouches
from modelops.ports import AgentReports, AgentTraffic, LatencyLimits, Reports


@dataclass(frozen=True, kw_only=True)
class AgentProcesses:
    """The first provider of the canary's analysis, and the proof that agents took a change of routing up."""

    reader: ClusterReader
    reports: Reports
    silence: Callable[[str, AgentModel | None], float] = lambda _namespace, _agent: 0.0
    """Seconds since the watches of the agent's ConfigMaps and Pods last said anything, bookmarks included."""

    touches: PodTouches | None = None
    """None: no Pod is touched."""

    def summary(
        self,
        namespace: str,
        agent: AgentModel | None,
        name: str,
        *,
        generation: int,
        salt: str,
        latency: LatencyLimits | None = None,
        stable_seconds: float | None = None,
        with_sessions: bool = True,
    ) -> AgentReports:
        """What the processes of the agent `name` say about this generation of the routing."""
        return self.reports.summary(
            namespace,
            name,
            generation=generation,
            salt=salt,
            latency=latency,
            stable_seconds=stable_seconds,
            with_sessions=with_sessions,
            pods=self.reader.expected_pods(namespace, agent),
            present=self.reader.present_pods(namespace, agent),
        )

    def traffic(self, namespace: str, name: str) -> AgentTraffic | None:
        """The sessions of the agent `name` since the operator listens, of 7 days at most."""
        return self.reports.traffic(namespace, name)

    def unconfirmed(
        self, namespace: str, agent: AgentModel | None, name: str, *, generation: int
    ) -> tuple[str, ...]:
        """At most five Pods of the agent `name` whose processes have not all confirmed this generation."""
        pods = self.reader.expected_pods(namespace, agent)
        if pods is None:
            return ()
        return tuple(self.reports.unconfirmed(namespace, name, generation=generation, pods=pods))[:5]

    def follow(self, namespace: str, agent: AgentModel | None, config_map: str, file: File | None) -> None:
        """Touches the Pods that mount the file and do not have its routing yet; it neither waits nor fails.

        It is called at each reconcile with the file as it was read, so always after a write, and also after a restart
        and after an edit by hand. A file that cannot be read says nothing.
        """
        if file is not None and self.touches is not None:
            block = file.entry.routing
            generation = block.generation if block is not None else None
            self.touches.follow(namespace, agent, config_map=config_map, generation=generation)

    def mount_problem(self, namespace: str, agent: AgentModel | None, name: str, config_map: str) -> str:
        """Why processes of the agent `name` never see a change of the file; empty where none is known to miss it.

        The selected Pods say it by their spec, and every process that reports by its own mounts.
        """
        fixed = self.reports.fixed_files(namespace, name, pods=self.reader.expected_pods(namespace, agent))
        return self.reader.mount_problem(namespace, agent, config_map) or fixed_file_problem(
            config_map, fixed
        )


def fixed_file_problem(config_map: str, processes: Sequence[str]) -> str:
    """What to do about processes whose file never changes; empty where there are none."""
    if not processes:
        return ""
    return (
        f"{' and '.join(processes)} reported that the agents' file of ConfigMap {config_map} is mounted with subPath "
        f"there, so a change never reaches it: {SUB_PATH_REMEDY}"
    )
