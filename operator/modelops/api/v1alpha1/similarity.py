"""Similarity of answers to the expected ones by an embedding model: a report beside the verdict."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, matches, rules
from modelops.api.v1alpha1.meta import ApiModel, Measured, StatusModel

_URL = r"^https?://[^\s@]+$"


class Embeddings(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "!has(self.endpoint) || self.endpoint != 'huggingface' || has(self.endpointUrl)",
            "embeddings.endpointUrl is required with endpoint huggingface: write the base URL of the Inference "
            "Endpoint, with its `/v1`",
            field="endpointUrl",
        )
    ),
):
    """The service that turns texts into vectors, in the form of OpenAI's `/embeddings`."""

    model: str = Field(
        min_length=1,
        max_length=193,
        description="Name of the embedding model at the service, such as `openai/text-embedding-3-small`.",
    )
    endpoint: Annotated[str, Field(pattern=r"^(openrouter|huggingface)$", max_length=16)] = Field(
        default="openrouter",
        description="Service whose key is sent, openrouter or huggingface: secretRefs.openRouter or "
        "secretRefs.huggingFace.",
    )
    endpoint_url: (
        Annotated[
            str, matches(_URL, "write an http or https URL without a user or password; keys go into a Secret")
        ]
        | None
    ) = Field(
        default=None,
        pattern=_URL,
        max_length=512,
        description="OpenAI-compatible base URL of the service, including its version segment (`…/v1`). If it is "
        "empty, it is that of OpenRouter.",
    )


class Similarity(ApiModel):
    """Asks for a report on how similar the answers are to the expected ones."""

    max_examples: int = Field(
        default=200,
        ge=2,
        le=5000,
        description="Maximum number of examples whose answers are compared.",
    )


class SimilarityResult(StatusModel):
    """How similar the answers are to the expected ones. It is a report: the verdict does not depend on it."""

    model: str = Field(default="", max_length=193, description="Embedding model that gave the vectors.")
    compared: int = Field(
        default=0, ge=0, description="Number of examples with a similarity of both answers."
    )
    missing: int = Field(
        default=0, ge=0, description="Number of examples without one, because the service gave no vector."
    )
    baseline: str = Field(
        default="",
        max_length=16,
        description="Mean cosine similarity of the stable model's answers to the expected ones, from -1 to 1. A failed "
        "call, and an answer that is empty or cannot be read, has 0. Empty if nothing was compared.",
    )
    candidate: str = Field(default="", max_length=16, description="The same for the candidate's answers.")
    difference: str = Field(
        default="",
        max_length=16,
        description="Mean of the candidate's similarity minus the stable model's. Empty if nothing was compared.",
    )
    interval: tuple[Annotated[str, Field(max_length=16)], ...] = Field(
        default=(),
        max_length=2,
        description="Confidence interval of the difference over the pairs (90 percent, Student's t): its lower and its "
        "upper end. Empty below two examples.",
    )
    usd: Measured = Field(
        default="0", description="What the calls were billed, in US dollars, as far as the service says so."
    )
