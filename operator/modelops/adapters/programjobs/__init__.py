"""The dataset and evaluation programs as Kubernetes Jobs in the namespaces of their objects."""

from modelops.adapters.programjobs.job_programs import JobPrograms
from modelops.adapters.programjobs.pod_settings import ProgramPodSettings

__all__ = ["JobPrograms", "ProgramPodSettings"]
