"""What an installation decides about the Pods of its programs: image, resources, volume, nodes."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class CodeTestsPodSettings(BaseModel):
    """What differs for the Pods in which scorer `tests` runs the code of models."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    resources: dict[str, Any] = Field(
        default_factory=lambda: {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    )
    """For each further answer at the same time 640 MiB more are needed."""
    user_namespace: bool = False
    """Whether the Pods get user namespaces of their own (`hostUsers: false`); nodes and volumes must be able to."""


class ProgramPodSettings(BaseModel):
    """The value of MODELOPS_PROGRAM_JOBS, as JSON in camel case. The chart writes it.

    What has no explanation here is the field of that name of a Pod or of its container.
    """

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True)

    image: str = Field(min_length=1, max_length=512)
    """The operator's own image: its Python has this package."""
    image_pull_policy: str = ""
    image_pull_secrets: tuple[dict[str, str], ...] = ()
    """Secrets in the namespace of each agent."""
    resources: dict[str, Any] = Field(default_factory=dict)
    volume_size: str = ""
    """Size of each program's PersistentVolumeClaim. If empty, it has none: a Pod that is killed loses its work."""
    storage_class_name: str = ""
    """If empty, the cluster's default."""
    temporary_size: str = "1Gi"
    """Largest size of /tmp."""
    env: tuple[dict[str, Any], ...] = ()
    """Further variables, such as those of a proxy."""
    volumes: tuple[dict[str, Any], ...] = ()
    volume_mounts: tuple[dict[str, Any], ...] = ()
    security_context: dict[str, Any] = Field(default_factory=dict)
    """The Pod's; the container's is fixed."""
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: tuple[dict[str, Any], ...] = ()
    priority_class_name: str = ""
    code_tests: CodeTestsPodSettings = CodeTestsPodSettings()
    labels: dict[str, str] = Field(default_factory=dict)
    """Labels of every object."""
