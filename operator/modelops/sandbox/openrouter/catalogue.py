"""The available models and their prices. The JSON follows the official SDK (openrouter 1.3.84)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from modelops.sandbox.openrouter import algorithms

PROVIDER = "ModelOps Sandbox"
"""The only provider; routing preferences use this name or `PROVIDER_SLUG`."""
PROVIDER_SLUG = "modelops-sandbox"
_CREATED = 1_764_547_200
_PARAMETERS = ("max_tokens", "seed", "stop", "temperature", "top_p")


@dataclass(frozen=True, slots=True)
class Model:
    """One model. Prices are USD per token; `answer` maps the last user message to the completion."""

    id: str
    name: str
    description: str
    prompt_price: Decimal
    completion_price: Decimal
    context_length: int
    answer: Callable[[str], str]
    takes_schema: bool = False
    """Whether it gives an answer in the form of a JSON schema."""

    @property
    def parameters(self) -> list[str]:
        """The parameters of a request that it takes."""
        return sorted(
            (*_PARAMETERS, *(("response_format", "structured_outputs") if self.takes_schema else ()))
        )

    def cost(self, *, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """Return the cost of a completion in USD."""
        return self.prompt_price * prompt_tokens + self.completion_price * completion_tokens


MODELS = {
    model.id: model
    for model in (
        Model(
            id="modelops-sandbox/name-as-sentence",
            name="Sandbox: Name as Sentence",
            description="Answers with the name of the function in the message, turned into a sentence.",
            prompt_price=Decimal("0.00000015"),
            completion_price=Decimal("0.0000006"),
            context_length=131_072,
            answer=algorithms.name_as_sentence,
        ),
        Model(
            id="modelops-sandbox/echo-signature",
            name="Sandbox: Echo Signature",
            description="Answers with the signature of the function in the message.",
            prompt_price=Decimal("0.00000005"),
            completion_price=Decimal("0.0000002"),
            context_length=131_072,
            answer=algorithms.echo_signature,
        ),
        Model(
            id="modelops-judges/prefer-by-words",
            name="Sandbox: Prefer by Words",
            description="Judges two answers by the words that they share with the expected one.",
            prompt_price=Decimal("0.0000001"),
            completion_price=Decimal("0.0000004"),
            context_length=131_072,
            answer=algorithms.prefer_by_words,
            takes_schema=True,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class EmbeddingModel:
    """A model that gives vectors. The price is USD per token."""

    id: str
    name: str
    prompt_price: Decimal
    context_length: int


EMBEDDING_MODELS = {
    model.id: model
    for model in (
        EmbeddingModel(
            id="modelops-sandbox/words-as-vectors",
            name="Sandbox: Words as Vectors",
            prompt_price=Decimal("0.00000002"),
            context_length=2000,
        ),
    )
}


def model_json(model: Model, base: str) -> dict[str, object]:
    """Return an entry of GET /models. `base`: the service's address."""
    return {
        "id": model.id,
        "canonical_slug": model.id,
        "hugging_face_id": None,
        "name": model.name,
        "created": _CREATED,
        "description": model.description,
        "context_length": model.context_length,
        "architecture": _ARCHITECTURE,
        "pricing": _pricing(model),
        "top_provider": {
            "context_length": model.context_length,
            "max_completion_tokens": 4096,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": model.parameters,
        "default_parameters": {},
        "expiration_date": None,
        "links": {"details": f"{base}/models/{model.id}/endpoints"},
    }


def endpoints_json(model: Model) -> dict[str, object]:
    """Return the `data` of GET /models/{author}/{slug}/endpoints."""
    endpoint = {
        "name": f"{PROVIDER} | {model.id}",
        "model_id": model.id,
        "model_name": model.name,
        "provider_name": PROVIDER,
        "tag": PROVIDER_SLUG,
        "quantization": None,
        "context_length": model.context_length,
        "max_completion_tokens": 4096,
        "max_prompt_tokens": None,
        "pricing": _pricing(model),
        "supported_parameters": model.parameters,
        "status": 0,
        "uptime_last_5m": None,
        "uptime_last_30m": None,
        "uptime_last_1d": None,
        "latency_last_30m": None,
        "throughput_last_30m": None,
        "supports_implicit_caching": False,
    }
    return {
        "id": model.id,
        "name": model.name,
        "created": _CREATED,
        "description": model.description,
        "architecture": _ARCHITECTURE,
        "endpoints": [endpoint],
    }


_ARCHITECTURE = {
    "input_modalities": ["text"],
    "output_modalities": ["text"],
    "modality": "text->text",
    "tokenizer": "Other",
    "instruct_type": None,
}


def _pricing(model: Model) -> dict[str, str]:
    return {
        "prompt": f"{model.prompt_price:f}",
        "completion": f"{model.completion_price:f}",
        "request": "0",
        "image": "0",
    }
