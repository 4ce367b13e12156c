"""The body of `POST /api/jobs/{namespace}`, checked as strictly as the service does."""

import re
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from modelops.sandbox.jobs.hardware import FLAVORS

DEFAULT_TIMEOUT_SECONDS = 30 * 60
"""The timeout of a job that names none (documented in "Jobs: configuration")."""

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,100}")
_NAME_LABEL = re.compile(r"[A-Za-z0-9._-]{1,100}")


class JobSpec(BaseModel):
    """The job to run. Volumes, ports, SSH and networks are refused, because the sandbox does not have them."""

    model_config = ConfigDict(extra="forbid")

    command: list[str]
    arguments: list[str] = []
    environment: dict[str, str] = {}
    secrets: dict[str, str] = {}
    flavor: str
    timeoutSeconds: Annotated[int, Field(ge=1, le=30 * 24 * 3600)] = DEFAULT_TIMEOUT_SECONDS  # noqa: N815
    attempts: Annotated[int, Field(ge=1, le=10)] = 1
    labels: dict[str, str] = {}
    dockerImage: str | None = None  # noqa: N815
    spaceId: str | None = None  # noqa: N815

    @field_validator("flavor")
    @classmethod
    def _offered(cls, value: str) -> str:
        if value not in FLAVORS:
            raise ValueError(f"unknown flavor {value!r}; one of {', '.join(FLAVORS)}")
        return value

    @field_validator("labels")
    @classmethod
    def _labels_fit(cls, value: dict[str, str]) -> dict[str, str]:
        check_labels(value)
        return value

    @model_validator(mode="after")
    def _runnable(self) -> Self:
        if not self.command and not self.arguments:
            raise ValueError("command is empty")
        if (self.dockerImage is None) == (self.spaceId is None):
            raise ValueError("exactly one of dockerImage and spaceId is needed")
        return self


class LabelsBody(BaseModel):
    """Body of `PUT .../labels`: replaces all labels."""

    model_config = ConfigDict(extra="forbid")

    labels: dict[str, str]

    @field_validator("labels")
    @classmethod
    def _labels_fit(cls, value: dict[str, str]) -> dict[str, str]:
        check_labels(value)
        return value


def check_labels(labels: dict[str, str]) -> None:
    """Check labels as the real service does: keys and values have 1 to 100 characters of `[A-Za-z0-9_-]`.

    Raises:
        ValueError: a label is invalid; the message names it.
    """
    for key, value in labels.items():
        allowed = _NAME_LABEL if key == "name" else _LABEL
        if _LABEL.fullmatch(key) is None or allowed.fullmatch(value) is None:
            raise ValueError(
                f"label {key!r}={value!r}: keys and values are 1 to 100 characters of [A-Za-z0-9_-]"
            )
