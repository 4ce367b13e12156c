"""What an answer of an OpenAI-compatible service says of itself, whole or as server-sent events.

Services differ in what they send, so nothing here raises an error: what is missing or of another form is unknown.
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

MAX_EVENT_BYTES: Final = 16 * 1024 * 1024
"""A longer event is not read; the stream itself is passed on."""

_SAYS_NOTHING: Final = frozenset(
    {"role", "index", "finish_reason", "native_finish_reason", "stop_reason", "logprobs", "message", "delta"}
)
"""The fields of a choice or a message that are no part of what the model said."""


class Answer:
    """An answer as far as it was read: chat completions, completions, and the Responses API."""

    __slots__ = (
        "_buffer",
        "_data",
        "_skipped",
        "cost_micro_usd",
        "done",
        "failed",
        "finish",
        "model",
        "said",
        "tokens",
    )

    def __init__(self) -> None:
        self.said = False
        """Whether the model said anything: text, a tool call, a refusal, or a part of its reasoning."""
        self.failed = False
        """Whether the service says that the answer failed."""
        self.finish: str | None = None
        """The model's reason for the end of the answer; None where none was given yet."""
        self.done = False
        """Whether the stream said that it is over (`[DONE]`)."""
        self.tokens: int | None = None
        self.cost_micro_usd: int | None = None
        self.model: str | None = None
        self._buffer = b""
        self._data: list[bytes] = []
        self._skipped = False

    @property
    def is_whole(self) -> bool:
        """Whether the stream is an answer: the model said something and gave a reason for its end."""
        return self.said and self.finish is not None and not self.failed

    @property
    def is_usable(self) -> bool:
        """Whether a body is an answer. Its length shows its end, so that a missing reason does not matter."""
        return self.said and not self.failed

    @property
    def has_ended(self) -> bool:
        """Whether everything that matters was read, so that a reader who leaves now has had the answer."""
        return self.done or self.failed or self.finish is not None

    def read_body(self, content: bytes) -> None:
        """Reads a whole answer."""
        try:
            data = json.loads(content)
        except (ValueError, RecursionError):
            return
        self.read(data)

    def read_stream(self, chunk: bytes) -> None:
        """Reads the next bytes of a stream of server-sent events."""
        lines = (self._buffer + chunk).split(b"\n")
        self._buffer = lines.pop()
        if len(self._buffer) > MAX_EVENT_BYTES:
            self._buffer, self._skipped = b"", True
        for line in lines:
            self._read_line(line.rstrip(b"\r"))

    def end_stream(self) -> None:
        """Reads what is left: a last event may lack its blank line."""
        self._read_line(self._buffer.rstrip(b"\r"))
        self._buffer = b""
        self._read_line(b"")

    def _read_line(self, line: bytes) -> None:
        if self._skipped:
            self._skipped = False
        elif line.startswith(b"data:"):
            self._data.append(line[5:].strip())
        elif not line and self._data:
            data, self._data = b"\n".join(self._data), []
            if data.startswith(b"[DONE]"):
                self.done = True
            else:
                self.read_body(data)
        elif line.startswith(b"event:") and line[6:].strip() == b"error":
            self.failed = True

    def read(self, data: Any) -> None:
        """Reads a body or an event. One of another form than expected says nothing."""
        if not isinstance(data, dict):
            return
        kind = data.get("type")
        kind = kind if isinstance(kind, str) else ""
        whole = data.get("response")
        body = whole if kind.startswith("response.") and isinstance(whole, dict) else data
        if data.get("error") or body.get("error") or kind in ("error", "response.failed"):
            self.failed = True
        if isinstance(body.get("model"), str):
            self.model = body["model"]
        self._read_usage(body.get("usage"))
        choices = body.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._read_choice(choice)
        if kind.startswith("response.") and kind.endswith(".delta") and data.get("delta"):
            self.said = True
        if body.get("object") == "response":
            self._read_response(body)

    def _read_choice(self, choice: Any) -> None:
        if not isinstance(choice, dict):
            return
        for part in (choice.get("delta"), choice.get("message"), choice):
            if isinstance(part, dict) and any(
                value for name, value in part.items() if name not in _SAYS_NOTHING
            ):
                self.said = True
        finish = choice.get("finish_reason")
        if finish is not None:
            self.finish = str(finish)
            self.failed = self.failed or finish == "error"

    def _read_response(self, body: dict[str, Any]) -> None:
        status = body.get("status")
        if body.get("output"):
            self.said = True
        if status in ("completed", "incomplete"):
            self.finish = str(status)
        elif status in ("failed", "cancelled"):
            self.failed = True

    def _read_usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        total = _count(usage.get("total_tokens"))
        if total is None:
            parts = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
            known = [count for count in (_count(usage.get(name)) for name in parts) if count is not None]
            total = sum(known) if known else None
        self.tokens = self.tokens if total is None else total
        cost = usage.get("cost")  # OpenRouter: US dollars
        if isinstance(cost, int | float) and not isinstance(cost, bool) and math.isfinite(cost) and cost >= 0:
            self.cost_micro_usd = round(cost * 1_000_000)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
