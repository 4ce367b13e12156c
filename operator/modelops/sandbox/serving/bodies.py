"""The body of a chat completion, as far as the sandbox can honour it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ChatMessage(BaseModel):
    """One message; further keys are ignored, as inference servers do."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The content as plain text: the text parts, where it comes in parts."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n".join(str(part["text"]) for part in self.content if part.get("type") == "text")

    def plain(self) -> dict[str, Any]:
        """The message as a chat template takes it."""
        calls = {"tool_calls": self.tool_calls} if self.tool_calls else {}
        return {"role": self.role, "content": self.text, **calls}


class ChatBody(BaseModel):
    """Body of `POST /v1/chat/completions`. Sampling values are accepted; models are deterministic."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    tools: list[dict[str, Any]] | None = None
    stream: bool = False
    n: Literal[1] = 1

    @property
    def limit(self) -> int | None:
        """Most tokens of the answer, or None."""
        return self.max_completion_tokens or self.max_tokens
