"""What the three kinds share: object metadata, conditions, references, and field types."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from modelops.api.v1alpha1.cel import Rule, matches
from modelops.api.v1alpha1.fitting import fitted
from modelops.api.v1alpha1.names import API_VERSION


class ApiModel(BaseModel):
    """A part of an object as people write it: unknown fields are errors, names are camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_enum_values=False
    )

    def wire(self) -> dict[str, Any]:
        """The JSON form: camelCase, nothing that is unset."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(ApiModel):
    """A part of a status: written by the operator alone, read with tolerance for newer fields."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, use_enum_values=False
    )

    def wire(self) -> dict[str, Any]:
        """The JSON form, cut to what the schema takes: a long message must not make a status unwritable."""
        return fitted(self).model_dump(mode="json", by_alias=True, exclude_none=True)


_MONEY = r"^[0-9]{1,7}(\.[0-9]{1,6})?$"
_FRACTION = r"^[0-9]{1,9}(\.[0-9]{1,12})?([eE]-?[0-9]{1,2})?$"
_AGENT = r"^[a-z][a-z0-9_]{0,38}[a-z0-9]$"
_DATASET = r"^(ls://)?[^\s/][^\r\n]{0,199}$"
_REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$"
_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"

Money = Annotated[
    str,
    Field(pattern=_MONEY, max_length=16, description="US dollars as a decimal string."),
    matches(_MONEY, 'write US dollars as a decimal string without a sign or currency, such as "12.50"'),
]
Fraction = Annotated[
    str,
    Field(pattern=_FRACTION, max_length=32, description='A decimal number as a string, such as "2e-4".'),
    matches(_FRACTION, 'write a number that is not negative as a string, such as "0.35" or "2e-4"'),
]
Share = Annotated[Fraction, Rule("double(self) <= 1.0", "write a part of one, from 0 to 1")]
Points = Annotated[Fraction, Rule("double(self) <= 100.0", "write percentage points, from 0 to 100")]
Measured = Annotated[str, Field(max_length=32, description="A measured number as a decimal string.")]
"""A number in a status: without a pattern, so that no measurement can make a status unwritable."""
ObjectName = Annotated[
    str,
    Field(pattern=_NAME, min_length=1, max_length=63),
    matches(_NAME, "write an object's name in small letters, digits and dashes, such as `feature-dev`"),
]
HubRepository = Annotated[
    str,
    Field(
        pattern=_REPOSITORY,
        max_length=193,
        description="A Hugging Face repository, `organisation/name`.",
    ),
    matches(_REPOSITORY, "write a repository as `organisation/name`, not as a URL"),
]
DatasetRef = Annotated[
    str,
    Field(
        pattern=_DATASET,
        max_length=205,
        description="A LangSmith dataset: `ls://<dataset id or exact name>`; the bare form is accepted.",
    ),
    matches(_DATASET, "write a LangSmith dataset as `ls://<dataset id or exact name>`"),
]
AgentName = Annotated[
    str,
    Field(
        pattern=_AGENT,
        max_length=40,
        description="The agent's own name, as the key in agents.yaml, such as `feature_dev`. Immutable.",
    ),
    matches(_AGENT, "write the agent's name as in agents.yaml: small letters, digits and underscores"),
]


LABEL_NAME = Rule(
    "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
    "metadata.name must be at most 63 characters and without dots: other objects refer to it by that name",
)


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """One observation of an object's state, in the standard form of Kubernetes."""

    type: str = Field(max_length=64, description="What is observed.")
    status: ConditionStatus = Field(description="Whether it holds.")
    reason: str = Field(max_length=64, description="Why, as one documented CamelCase word.")
    message: str = Field(default="", max_length=2048, description="Why, for a person, with the remedy.")
    observed_generation: int = Field(default=0, ge=0, description="The generation that this speaks of.")
    last_transition_time: datetime = Field(description="When the status last changed.")


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class LocalReference(ApiModel):
    """Another object in the same namespace."""

    name: ObjectName = Field(description="Name of the object, in the same namespace.")


class SecretKeyReference(ApiModel):
    """One key of a labelled Secret in the same namespace."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description="Name of the Secret, in the same namespace; it carries the label "
        "modelops.code-chef.dev/managed=true.",
    )
    key: str = Field(
        default="token",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key in the Secret.",
    )


class ObjectMeta(BaseModel):
    """What the operator reads of an object's metadata."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    name: str
    namespace: str = "default"
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


SpecT = TypeVar("SpecT", bound=ApiModel)
StatusT = TypeVar("StatusT", bound=StatusModel)


class KubernetesObject(BaseModel, Generic[SpecT, StatusT]):
    """An object of one of our kinds, as the API server stores it."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)

    api_version: Literal["modelops.code-chef.dev/v1alpha1"] = API_VERSION
    kind: str
    metadata: ObjectMeta
    spec: SpecT
    status: StatusT
