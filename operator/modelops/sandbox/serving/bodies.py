"""The body of a chat completion, as far as a tiny model can honour it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ChatMessage(BaseModel):
    """One message; further keys are ignored, as inference servers do."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]]

    @property
    def text(self) -> str:
        """The content as plain text: the text parts, where it comes in parts."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(str(part["text"]) for part in self.content if part.get("type") == "text")


class ChatBody(BaseModel):
    """Body of `POST /v1/chat/completions`. Sampling values are accepted; the model is deterministic."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    stream: bool = False
    n: Literal[1] = 1

    @property
    def limit(self) -> int | None:
        """Most tokens of the answer, or None."""
        return self.max_completion_tokens or self.max_tokens
