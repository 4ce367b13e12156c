"""Parts that the three kinds share: object metadata, conditions, references, and field types."""

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
    """A part of a spec: unknown fields are errors, and names are camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_enum_values=False
    )

    def wire(self) -> dict[str, Any]:
        """The JSON form: camelCase, without unset fields."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class StatusModel(ApiModel):
    """A part of a status. Only the operator writes it; unknown fields of a newer operator are ignored."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True, use_enum_values=False
    )

    def wire(self) -> dict[str, Any]:
        """The JSON form, cut to the schema's bounds: a long message must not make a status unwritable."""
        return fitted(self).model_dump(mode="json", by_alias=True, exclude_none=True)


_MONEY = r"^[0-9]{1,7}(\.[0-9]{1,6})?$"
_FRACTION = r"^[0-9]{1,9}(\.[0-9]{1,12})?([eE]-?[0-9]{1,2})?$"
_AGENT = r"^[a-z][a-z0-9_]{0,38}[a-z0-9]$"
_DATASET = r"^(ls://)?[^\s/][^\r\n]{0,199}$"
_REPOSITORY = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$"
_NAME = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"

Money = Annotated[
    str,
    Field(pattern=_MONEY, max_length=16, description="Amount of US dollars as a decimal string."),
    matches(_MONEY, 'write US dollars as a decimal string without a sign or currency, such as "12.50"'),
]
Fraction = Annotated[
    str,
    Field(pattern=_FRACTION, max_length=32, description='A decimal number as a string, such as "2e-4".'),
    matches(_FRACTION, 'write a number that is not negative as a string, such as "0.35" or "2e-4"'),
]
Share = Annotated[
    Fraction, Rule("double(self) <= 1.0", 'write a share from 0 to 1 as a string, such as "0.5"')
]
Points = Annotated[
    Fraction, Rule("double(self) <= 100.0", 'write percentage points from 0 to 100 as a string, such as "5"')
]
Measured = Annotated[str, Field(max_length=32, description="Measured number as a decimal string.")]
"""A number in a status. It has no pattern, so that no measurement can make a status unwritable."""
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
        description="Repository on the Hugging Face Hub, `organisation/name`.",
    ),
    matches(_REPOSITORY, "write a repository as `organisation/name`, not as a URL"),
]
DatasetRef = Annotated[
    str,
    Field(
        pattern=_DATASET,
        max_length=205,
        description="LangSmith dataset: `ls://<dataset id or exact name>`; the form without `ls://` is accepted.",
    ),
    matches(_DATASET, "write a LangSmith dataset as `ls://<dataset id or exact name>`"),
]
AgentName = Annotated[
    str,
    Field(
        pattern=_AGENT,
        max_length=40,
        description="Name of the agent: its key in agents.yaml, such as `feature_dev`. Immutable.",
    ),
    matches(_AGENT, "write the agent's name as in agents.yaml: small letters, digits and underscores"),
]


LABEL_NAME = Rule(
    "self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",
    "metadata.name must be at most 63 characters and without dots: other objects refer to the object by its name",
)


class ConditionStatus(StrEnum):
    """The three values of a condition's status in Kubernetes."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(StatusModel):
    """One observation of an object's state, in the standard form of Kubernetes."""

    type: str = Field(max_length=64, description="Type of the condition, in CamelCase; unique in the list.")
    status: ConditionStatus = Field(description="Status of the condition: True, False or Unknown.")
    reason: str = Field(
        max_length=64,
        description="Reason of the last change, for programs: one CamelCase word from the table of reasons.",
    )
    message: str = Field(
        default="",
        max_length=2048,
        description="Explanation for people, with the remedy where there is one. May be empty.",
    )
    observed_generation: int = Field(
        default=0, ge=0, description="metadata.generation of the object that the condition was set for."
    )
    last_transition_time: datetime = Field(description="Time of the last change of `status`.")


Conditions = Annotated[
    tuple[Condition, ...],
    Field(
        max_length=16,
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
]


class LocalReference(ApiModel):
    """A reference to another object in the same namespace."""

    name: ObjectName = Field(description="Name of the referenced object in the same namespace.")


class SecretKeyReference(ApiModel):
    """A reference to one key of a labelled Secret in the same namespace."""

    name: str = Field(
        min_length=1,
        max_length=253,
        description="Name of a Secret in the same namespace. The Secret must carry the label "
        "modelops.code-chef.dev/managed=true.",
    )
    key: str = Field(
        default="token",
        min_length=1,
        max_length=253,
        pattern=r"^[-._a-zA-Z0-9]+$",
        description="Key of the Secret's data that holds the credential.",
    )


class ObjectMeta(BaseModel):
    """The part of an object's metadata that the operator reads."""

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
