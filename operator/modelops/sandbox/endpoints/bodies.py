"""The request bodies of the management API. Unknown fields are refused."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Scaling(_Strict):
    """The number of replicas, and when to scale to zero."""

    minReplica: Annotated[int, Field(ge=0)] = 1  # noqa: N815
    maxReplica: Annotated[int, Field(ge=1)] = 1  # noqa: N815
    scaleToZeroTimeout: Annotated[int, Field(ge=1)] | None = None  # noqa: N815
    measure: dict[str, float] | None = None


class Machine(_Strict):
    """The hardware of an endpoint."""

    accelerator: Literal["cpu", "gpu", "neuron"]
    instanceType: str  # noqa: N815
    instanceSize: str  # noqa: N815
    scaling: Scaling = Scaling()


class Served(_Strict):
    """The model that an endpoint serves."""

    repository: Annotated[str, Field(pattern=r"^[^/\s]+/[^/\s]+$")]
    revision: str | None = None
    framework: Literal["custom", "pytorch", "llamacpp"] = "pytorch"
    task: str = "text-generation"
    image: Annotated[dict[str, dict[str, Any]], Field(min_length=1, max_length=1)] = {"huggingface": {}}
    env: dict[str, str] = {}
    secrets: dict[str, str] = {}
    command: list[str] | None = None
    args: list[str] | None = None


class Provider(_Strict):
    """The cloud provider and region of an endpoint."""

    vendor: str
    region: str


class CreateBody(_Strict):
    """Body of `POST /v2/endpoint/{namespace}`."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$")]
    type: Literal["authenticated", "public", "private"]
    provider: Provider
    compute: Machine
    model: Served
    tags: list[str] = []
    cacheHttpResponses: bool | None = None  # noqa: N815
    route: dict[str, str] | None = None


class UpdateBody(_Strict):
    """Body of `PUT /v2/endpoint/{namespace}/{name}`: the fields to change, merged into the present ones."""

    type: Literal["authenticated", "public", "private"] | None = None
    compute: dict[str, Any] = {}
    model: dict[str, Any] = {}
    tags: list[str] | None = None
    cacheHttpResponses: bool | None = None  # noqa: N815
    route: dict[str, str] = {}
