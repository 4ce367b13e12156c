"""Vectors of texts by an OpenAI-compatible `/embeddings`: in batches, bounded, retried once, and each text only once.

Nothing that the service does raises an error: a text without a vector has a reason. What was answered is in a journal
and is neither asked nor paid for again.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

from modelops.adapters.certificates import certificate_problem
from modelops.domain.retry_after import retry_after_seconds
from modelops.evaluation.line_journal import LineJournal
from modelops.evaluation.model_client import LONGEST_WAIT_SECONDS, is_final
from modelops.evaluation.reply import amount, failure_of, text_of_body
from modelops.evaluation.sdk_client import sdk_client
from modelops.grammar import counted

BATCH: Final = 32
MOST_CHARACTERS: Final = 8000
"""Characters of a text that are sent: models take 512 to 8,192 tokens, and cut or refuse what is longer."""
MOST_ATTEMPTS: Final = 2
MOST_SECONDS: Final = 300.0
"""How long the service is asked in all: the candidate's endpoint may be billed meanwhile."""
MOST_CONNECTIONS: Final = 4
_MOST_DIMENSIONS: Final = 65_536
_PAUSE_SECONDS = 0.5

Vector: TypeAlias = "array[float]"


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """The vectors by their texts' digests, all of the same length. `missing`: the first reason why one has none."""

    vectors: Mapping[str, Vector]
    missing: str
    usd: Decimal
    billed: bool


def digest(text: str) -> str:
    """The key of a text."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def sent_text(text: str) -> str:
    """The text as it is sent: a service refuses an empty one."""
    return text.encode(errors="replace").decode()[:MOST_CHARACTERS].strip()


class EmbeddingJournal(LineJournal):
    """Vectors and bills in memory and on disk. Those of another model are kept on disk and not used."""

    def __init__(self, path: Path, *, model: str) -> None:
        super().__init__(path, lambda line, _: self._read(line))
        self._model = model
        self.vectors: dict[str, Vector] = {}
        self.usd = Decimal(0)
        self.billed = True

    def add(self, vectors: Mapping[str, Vector], usd: str | None) -> None:
        """Add the vectors of one call, and write them to disk."""
        packed = {key: base64.b64encode(vector.tobytes()).decode() for key, vector in vectors.items()}
        line = {"model": self._model, "vectors": packed, "usd": usd}
        self.write(line)
        self._read(line)

    def _read(self, line: dict[str, Any]) -> None:
        if line["model"] != self._model:
            return
        for key, packed in line["vectors"].items():
            vector: Vector = array("f")
            vector.frombytes(base64.b64decode(packed))
            self.vectors[key] = vector
        self.billed = self.billed and line["usd"] is not None
        self.usd += Decimal(line["usd"] or 0)


class EmbeddingClient:
    """Asks for vectors at an OpenAI-compatible `base_url`."""

    def __init__(self, *, model: str, base_url: str, api_key: str, timeout_seconds: float) -> None:
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._client = sdk_client(base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds)
        self.missing = ""

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def embed(self, texts: Sequence[str], journal: EmbeddingJournal) -> None:
        """Ask for the vectors of a batch. Where a service refuses a whole batch, each half is asked alone."""
        for attempt in range(MOST_ATTEMPTS):
            vectors, usd, why, status, pause = await self._call_once(texts)
            if usd is not None or vectors:
                journal.add(vectors, usd)
            if not why:
                return
            self.missing = self.missing or why
            if is_final(status):
                break
            if attempt + 1 < MOST_ATTEMPTS:
                await asyncio.sleep(min(pause or _PAUSE_SECONDS, LONGEST_WAIT_SECONDS))
        if status in (400, 413, 422) and len(texts) > 1:
            half = len(texts) // 2
            await self.embed(texts[:half], journal)
            await self.embed(texts[half:], journal)

    async def _call_once(
        self, texts: Sequence[str]
    ) -> tuple[dict[str, Vector], str | None, str, int | None, float | None]:
        """Vectors, bill, what is wrong, HTTP status of a refusal, and the pause that the service asks for."""
        import openai

        try:
            async with asyncio.timeout(self._timeout_seconds):
                answer = await self._client.embeddings.create(
                    model=self._model, input=list(texts), encoding_format="float"
                )
        except openai.APIStatusError as error:
            status, body = error.status_code, text_of_body(error.response)
            pause = retry_after_seconds(error.response.headers.get("retry-after"), now=datetime.now(UTC))
            return {}, None, failure_of(f"HTTP {status}", body, key=self._client.api_key), status, pause
        except (openai.APITimeoutError, TimeoutError):
            return {}, None, f"no answer within {self._timeout_seconds:g} s", None, None
        except (openai.APIError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            return {}, None, certificate_problem(error) or type(error).__name__, None, None
        usd = amount(getattr(getattr(answer, "usage", None), "cost", None))
        vectors, why = read_vectors(answer, texts)
        return vectors, usd, why, None, None


def read_vectors(answer: Any, texts: Sequence[str]) -> tuple[dict[str, Vector], str]:
    """The vectors by their texts' digests, and what is wrong with the answer, of which the SDK has checked no type.

    A vector that is missing, has another length, or has a value that is no finite number makes its text missing.
    """
    data = getattr(answer, "data", None)
    if not isinstance(data, list) or len(data) != len(texts):
        count = len(data) if isinstance(data, list) else "no"
        return {}, f"{count} vectors for {counted(len(texts), 'text')}"
    found: dict[int, Vector] = {}
    why = ""
    for place, one in enumerate(data):
        index = getattr(one, "index", None)
        index = index if isinstance(index, int) and not isinstance(index, bool) else place
        vector = _vector(getattr(one, "embedding", None))
        if vector is None:
            why = why or "a vector that is none, or with a value that is no finite number"
        elif not 0 <= index < len(texts) or index in found:
            return {}, "vectors whose order is not known"
        else:
            found[index] = vector
    lengths = {len(vector) for vector in found.values()}
    if len(lengths) > 1:
        return {}, "vectors of different lengths"
    return {digest(texts[index]): vector for index, vector in found.items()}, why


def _vector(values: Any) -> Vector | None:
    if not isinstance(values, list) or not 0 < len(values) <= _MOST_DIMENSIONS:
        return None
    if not all(isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v) for v in values):
        return None
    try:
        vector = array("f", values)
    except OverflowError:
        return None
    return vector if all(map(math.isfinite, vector)) and any(vector) else None


async def embed_texts(
    client: EmbeddingClient,
    journal: EmbeddingJournal,
    texts: Sequence[str],
    *,
    progress: Callable[[int, int], None] | None = None,
    most_seconds: float = MOST_SECONDS,
) -> Embedded:
    """A vector of each text, as far as the service gives one. A text is asked about once, however often it occurs."""
    wanted = [text for text in dict.fromkeys(texts) if text and digest(text) not in journal.vectors]
    batches = iter([wanted[start : start + BATCH] for start in range(0, len(wanted), BATCH)])
    done = 0
    ends = asyncio.get_running_loop().time() + most_seconds

    async def work() -> None:
        nonlocal done
        for batch in batches:
            known = len(journal.vectors)
            try:
                async with asyncio.timeout_at(ends):
                    await client.embed(batch, journal)
            except TimeoutError:
                client.missing = client.missing or f"the service took longer than {most_seconds:g} s in all"
                return
            done += len(batch)
            if progress is not None:
                progress(done, len(wanted))
            if len(journal.vectors) == known == 0:
                return  # A service of which the first batches give nothing is not asked any more.

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(MOST_CONNECTIONS):
                group.create_task(work())
    finally:
        await client.close()
    kept = _of_one_length(journal.vectors)
    lost = "" if len(kept) == len(journal.vectors) else "vectors of different lengths"
    return Embedded(vectors=kept, missing=client.missing or lost, usd=journal.usd, billed=journal.billed)


def _of_one_length(vectors: Mapping[str, Vector]) -> Mapping[str, Vector]:
    """The vectors of the most frequent length: those of different lengths cannot be compared."""
    lengths = [len(vector) for vector in vectors.values()]
    usual = max(set(lengths), key=lengths.count, default=0)
    return {key: vector for key, vector in vectors.items() if len(vector) == usual}


def cosine(a: Vector, b: Vector) -> float:
    """The cosine of the angle between two vectors of the same length, from -1 to 1. Neither of them is zero."""
    product = math.fsum(x * y for x, y in zip(a, b, strict=True))
    lengths = math.sqrt(math.fsum(x * x for x in a)) * math.sqrt(math.fsum(y * y for y in b))
    return max(-1.0, min(1.0, product / lengths))
