"""What a message was understood to mean: the intent, the agent, the values named, and how sure that is."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Intent(StrEnum):
    """What the person wants."""

    TRAIN = "train"
    MONITOR = "monitor"
    EVALUATE = "evaluate"
    DEPLOY = "deploy"
    PROMOTE = "promote"
    ROLLBACK = "rollback"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    APPROVE = "approve"
    HISTORY = "history"
    COST = "cost"
    COLLECT = "collect"
    AMBIGUOUS = "ambiguous"
    NONE = "none"

    @property
    def spends_or_moves(self) -> bool:
        """Whether a plan with this intent spends money or moves traffic once a person has confirmed it."""
        return self in _SPENDS_OR_MOVES

    @property
    def changes_something(self) -> bool:
        """Whether anything is other than before when this is done; a cancelled training saves money but is lost."""
        return self in _SPENDS_OR_MOVES or self in _ALSO_CHANGES


_SPENDS_OR_MOVES = frozenset(
    {Intent.TRAIN, Intent.EVALUATE, Intent.DEPLOY, Intent.PROMOTE, Intent.ROLLBACK, Intent.APPROVE}
)
_ALSO_CHANGES = frozenset({Intent.CANCEL, Intent.COLLECT, Intent.PAUSE, Intent.RESUME})


class Slots(BaseModel):
    """The values that a message names. Each number keeps its kind: rows, times and steps are in none of them."""

    model_config = ConfigDict(frozen=True)

    dataset: str | None = None
    """`ls://...`, or `same as last run`."""
    method: str | None = None
    """sft, dpo or orpo."""
    base_model: str | None = None
    """A repository, a model's name, a size (`14b`), or `current`."""
    version: str | tuple[str, ...] | None = None
    """`v9`, `current`, `candidate`, `previous`, or the versions to compare."""
    percent: float | None = None
    """The share of the traffic, from 0 to 100."""
    strategy: str | None = None
    """`canary` or `immediate`."""
    max_usd: float | None = None
    """The most that may be spent, in US dollars."""
    condition: str | None = None
    """The person's own words of what must hold first."""
    examples: int | None = None
    """How many examples an evaluation would have, where it is asked what one would cost or show."""
    run: str | None = None
    """The name of a run or evaluation (`tr-12`)."""

    def over(self, older: Slots) -> Slots:
        """These values, and those of `older` where this has none."""
        return Slots.model_validate(older.model_dump() | self.model_dump(exclude_none=True))


class Understanding(BaseModel):
    """The meaning of one message. Nothing was done: before anything is spent, a person confirms a plan."""

    model_config = ConfigDict(frozen=True)

    intent: Intent
    agent: str | None = None
    """The agent, if exactly one is meant; a name of agents.yaml."""
    agents: tuple[str, ...] = ()
    """All agents that are meant, if the message names several."""
    slots: Slots = Slots()
    question: str | None = None
    """The one question to ask the person; set if, and only if, the intent is ambiguous."""
    about: Intent | None = None
    """Where the intent is ambiguous: what is wanted, as far as that is known. Where it asks about money: EVALUATE if it
    is about an evaluation that nobody has started."""
    certain: bool = True
    """False: a model may be asked, and `settle` decides what of its answer counts."""
    of_plan: bool = False
    """The question is about the plan that waits: a yes to it confirms that plan."""
    by_model: bool = False
    """A model has read it so, because the rules were unsure."""
    then: Understanding | None = None
    """A second request of the message, for after this one."""
    may_act: bool = True
    """False: a safety rule holds, and no model's answer makes this an intent that changes something."""
    why: str
    """The reason, for logs and for the person."""
