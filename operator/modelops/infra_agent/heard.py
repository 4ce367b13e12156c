"""What the graph needs of an understanding of a message; `modelops.infra_agent.understanding` returns such."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict


class UnderstoodSlots(Protocol):
    """The values that a message names."""

    @property
    def dataset(self) -> str | None: ...
    @property
    def method(self) -> str | None: ...
    @property
    def base_model(self) -> str | None: ...
    @property
    def version(self) -> str | tuple[str, ...] | None: ...
    @property
    def percent(self) -> float | None: ...
    @property
    def strategy(self) -> str | None: ...
    @property
    def max_usd(self) -> float | None: ...
    @property
    def condition(self) -> str | None: ...
    @property
    def run(self) -> str | None: ...


class Understood(Protocol):
    """The meaning of a message."""

    @property
    def intent(self) -> str: ...
    @property
    def agent(self) -> str | None: ...
    @property
    def agents(self) -> tuple[str, ...]: ...
    @property
    def slots(self) -> UnderstoodSlots: ...
    @property
    def question(self) -> str | None: ...
    @property
    def about(self) -> str | None: ...
    @property
    def of_plan(self) -> bool: ...
    @property
    def by_model(self) -> bool: ...
    @property
    def then(self) -> Understood | None: ...


Understand = Callable[[str, Sequence[str], Sequence[str]], Understood | Awaitable[Understood]]
"""From a message, the turns before (`chef: ...`, `user: ...`, the newest last) and the names of the agents."""


class Heard(BaseModel):
    """An understanding, as the conversation keeps it until it has answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: str
    agents: tuple[str, ...]
    question: str | None
    about: str | None
    """Where the intent is ambiguous: what is wanted, as far as that is known. Of `cost`: `evaluate`, where it is
    about an evaluation that nobody has started."""
    of_plan: bool = False
    """The question is about the plan that waits."""
    by_model: bool = False
    """A model has read it so: the plan says what was understood."""
    dataset: str | None
    method: str | None
    base_model: str | None
    version: str | tuple[str, ...] | None
    percent: float | None
    strategy: str | None
    max_usd: float | None
    condition: str | None
    run: str | None
    examples: int | None = None
    """How many examples an evaluation would have that is only asked about."""

    then: Heard | None = None
    """A second request of the message."""

    @property
    def agent(self) -> str | None:
        """The agent, where exactly one is meant."""
        return self.agents[0] if len(self.agents) == 1 else None


def heard(found: Understood) -> Heard:
    """An understanding as `Heard`."""
    slots: dict[str, Any] = {name: getattr(found.slots, name, None) for name in (*_SLOTS, "examples")}
    return Heard(
        intent=str(found.intent),
        agents=found.agents or ((found.agent,) if found.agent else ()),
        question=found.question,
        about=str(found.about) if found.about else None,
        of_plan=found.of_plan,
        by_model=found.by_model,
        then=heard(found.then) if found.then is not None else None,
        **slots,
    )


_SLOTS = (
    "dataset",
    "method",
    "base_model",
    "version",
    "percent",
    "strategy",
    "max_usd",
    "condition",
    "run",
)


def request(intent: str, agent: str, version: str | None) -> Heard:
    """The request that a next step would be, as if a person had said it."""
    empty = dict.fromkeys(("question", "about", *_SLOTS))
    return Heard.model_validate({**empty, "intent": intent, "agents": (agent,), "version": version})
