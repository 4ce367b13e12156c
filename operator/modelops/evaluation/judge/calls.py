"""Calls of the judge, and their journal: what was answered is neither asked nor paid for again."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from modelops.adapters.certificates import certificate_problem
from modelops.domain.retry_after import retry_after_seconds
from modelops.evaluation.judge.prompt import MOST_TOKENS, PROMPT_DIGEST, SCHEMA, Pair, judge_messages
from modelops.evaluation.judge.reader import read_judgement
from modelops.evaluation.line_journal import LineJournal
from modelops.evaluation.model_client import LONGEST_WAIT_SECONDS, is_final
from modelops.evaluation.reply import amount, failure_of, flags_the_question, text_of_body
from modelops.evaluation.sdk_client import sdk_client

MOST_ATTEMPTS = 2
_EVERY_CALL = (401, 402, 403, 404)
"""HTTP statuses that every further call would get."""
_PAUSE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call. `choice` is what the judge prefers of what it read; without one, `missing` says why.

    `ends`: whether every further call would fail in the same way. `final`: whether this one would.
    """

    key: str
    swapped: bool
    judge: str
    choice: str | None = None
    missing: str = ""
    usd: str | None = None
    ends: bool = False
    final: bool = False


class JudgeJournal(LineJournal):
    """Attempts in memory and on disk.

    Attempts of another model, or with another instruction, are kept on disk and not used.
    """

    def __init__(self, path: Path, *, model: str) -> None:
        super().__init__(path, lambda line, _: self._add(Attempt(**line)))
        self.judge = f"{model} {PROMPT_DIGEST}"
        self._attempts: dict[tuple[str, bool], list[Attempt]] = {}

    def add(self, attempt: Attempt) -> None:
        """Add an attempt and write it to disk."""
        self.write(asdict(attempt))
        self._add(attempt)

    def of(self, key: str, *, swapped: bool) -> list[Attempt]:
        """The attempts of one call, the first one first."""
        return self._attempts.get((key, swapped), [])

    def all(self) -> list[Attempt]:
        """All attempts of this judge."""
        return [attempt for attempts in self._attempts.values() for attempt in attempts]

    def _add(self, attempt: Attempt) -> None:
        if attempt.judge == self.judge:
            self._attempts.setdefault((attempt.key, attempt.swapped), []).append(attempt)


class JudgeClient:
    """Calls the judge at an OpenAI-compatible `base_url`, with an answer in the form of a schema."""

    def __init__(self, *, model: str, base_url: str, api_key: str, timeout_seconds: float) -> None:
        self._model = model
        self._timeout_seconds = timeout_seconds
        self._client = sdk_client(base_url=base_url, api_key=api_key, timeout_seconds=timeout_seconds)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def ask(self, pair: Pair, journal: JudgeJournal, *, swapped: bool) -> Attempt:
        """The judge's last attempt: one that the journal has, or a new one. Without a choice there is one retry."""
        made = journal.of(pair.key, swapped=swapped)
        while not made or not (made[-1].choice or made[-1].final or len(made) >= MOST_ATTEMPTS):
            attempt, pause = await self._call_once(pair, swapped=swapped, judge=journal.judge)
            if attempt.ends:
                return attempt  # Not a word of the judge: a later start may have a better key, or credits.
            journal.add(attempt)
            made = journal.of(pair.key, swapped=swapped)
            if attempt.choice is None and not attempt.final and len(made) < MOST_ATTEMPTS:
                await asyncio.sleep(min(pause or _PAUSE_SECONDS, LONGEST_WAIT_SECONDS))
        return made[-1]

    async def _call_once(self, pair: Pair, *, swapped: bool, judge: str) -> tuple[Attempt, float | None]:
        import openai

        def attempt(**fields: Any) -> Attempt:
            return Attempt(key=pair.key, swapped=swapped, judge=judge, **fields)

        try:
            # The SDK's own timeout is that of one read, and a service may send white space while it waits for a model.
            async with asyncio.timeout(self._timeout_seconds):
                completion = await self._client.chat.completions.create(
                    model=self._model,
                    messages=cast(Any, judge_messages(pair, swapped=swapped)),
                    max_tokens=MOST_TOKENS,
                    response_format=cast(
                        Any,
                        {
                            "type": "json_schema",
                            "json_schema": {"name": "judgement", "strict": True, "schema": SCHEMA},
                        },
                    ),
                    extra_body={"provider": {"require_parameters": True, "allow_fallbacks": False}},
                )
        except openai.APIStatusError as error:
            status, body = error.status_code, text_of_body(error.response)
            pause = retry_after_seconds(error.response.headers.get("retry-after"), now=datetime.now(UTC))
            return attempt(
                missing=failure_of(f"HTTP {status}", body, key=self._client.api_key),
                ends=status in _EVERY_CALL and not flags_the_question(status, body),
                final=is_final(status),
            ), pause
        except (openai.APITimeoutError, TimeoutError):
            return attempt(missing=f"no answer within {self._timeout_seconds:g} s"), None
        except (openai.APIError, ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            return attempt(missing=certificate_problem(error) or type(error).__name__), None
        usd = amount(getattr(getattr(completion, "usage", None), "cost", None))
        answered = getattr(completion, "model", None)
        if self._is_another(answered):
            return attempt(missing=f"an answer of another model, {str(answered)[:128]}", usd=usd), None
        reading = read_judgement(completion)
        return attempt(choice=reading.choice, missing=reading.missing, usd=usd), None

    def _is_another(self, answered: object) -> bool:
        """Whether a model of another author answered: a service may write the model's name with its date."""
        if not isinstance(answered, str) or "/" not in answered:
            return False
        return answered.partition("/")[0].lower() != self._model.partition("/")[0].lower()
