"""Embeddings: vectors of the words in a text. Equal texts have equal vectors, and texts with common words near ones."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from array import array
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from modelops.sandbox.openrouter.catalogue import EMBEDDING_MODELS
from modelops.sandbox.openrouter.completions import Completion, Preferences, RefusedError

DIMENSIONS = 64
_WORDS = re.compile(r"\w+")


class Request(BaseModel):
    """Body of POST /embeddings."""

    model_config = ConfigDict(extra="allow")

    model: str
    input: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=2048)]
    )
    encoding_format: Literal["float", "base64"] = "float"
    provider: Preferences = Preferences()

    @property
    def texts(self) -> list[str]:
        """The texts, in order."""
        return [self.input] if isinstance(self.input, str) else self.input


def embed(request: Request) -> Completion:
    """The vectors of the texts. Words are counted as tokens. Raises RefusedError."""
    model = EMBEDDING_MODELS.get(request.model)
    if model is None:
        raise RefusedError(400, f"{request.model} is not a valid model ID")
    if not request.provider.admits_provider():
        raise RefusedError(404, f"No endpoints found that match your provider preferences for {model.id}")
    counts = [len(text.split()) for text in request.texts]
    if max(counts) > model.context_length:
        raise RefusedError(
            400, f"This model's maximum context length is {model.context_length} tokens, not {max(counts)}"
        )
    tokens = sum(counts)
    cost = model.prompt_price * Decimal(tokens)
    now = datetime.now(UTC)
    name = f"gen-emb-{int(now.timestamp())}-{uuid4().hex[:20]}"
    body = {
        "id": name,
        "object": "list",
        "model": model.id,
        "data": [
            {"object": "embedding", "index": index, "embedding": _encoded(vector(text), request)}
            for index, text in enumerate(request.texts)
        ],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens, "cost": float(cost)},
    }
    generation = {"id": name, "model": model.id, "created_at": now.isoformat(), "total_cost": float(cost)}
    return Completion(body=body, generation=generation, cost=cost)


def vector(text: str) -> list[float]:
    """A vector of length 1, from the words in lower case."""
    counts = [0.0] * DIMENSIONS
    for word in _WORDS.findall(text.lower()) or [text]:
        digest = hashlib.sha256(word.encode()).digest()
        counts[digest[0] % DIMENSIONS] += 1.0
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts]


def embedding_endpoints_json(name: str) -> Mapping[str, Any] | None:
    """The `data` of GET /models/{author}/{slug}/endpoints; None for another model."""
    model = EMBEDDING_MODELS.get(name)
    if model is None:
        return None
    pricing = {"prompt": f"{model.prompt_price:f}", "completion": "0", "request": "0", "image": "0"}
    endpoint = {"name": model.id, "context_length": model.context_length, "pricing": pricing}
    return {"id": model.id, "name": model.name, "endpoints": [{**endpoint, "supported_parameters": []}]}


def _encoded(values: list[float], request: Request) -> list[float] | str:
    if request.encoding_format == "float":
        return values
    return base64.b64encode(array("f", values).tobytes()).decode()
