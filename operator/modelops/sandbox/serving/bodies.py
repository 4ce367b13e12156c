"""The request body of a chat completion, with the fields that the sandbox supports."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ChatMessage(BaseModel):
    """One message. Unknown keys are ignored, as inference servers do."""

    model_config = ConfigDict(extra="ignore")

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None
    tool_calls: list[dict[str, Any]] | None = None

    @property
    def text(self) -> str:
        """The content as plain text; if it is a list, its text parts."""
        if self.content is None or isinstance(self.content, str):
            return self.content or ""
        return "\n".join(str(part["text"]) for part in self.content if part.get("type") == "text")

    def for_template(self) -> dict[str, Any]:
        """Return the message in the form that a chat template expects."""
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
        """Maximum number of tokens of the answer, or None."""
        return self.max_completion_tokens or self.max_tokens
