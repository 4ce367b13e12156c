"""What a conversation remembers between its turns, as JSON in the checkpointer of the host.

LangGraph restores a pydantic object of an older class without validating it, and makes lists of tuples. Therefore the
state is plain JSON there, and is validated whenever it is read.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from modelops.infra_agent.heard import Heard

PLAN_VALID: Final = timedelta(hours=1)
"""Time after which a plan cannot be confirmed any more, as for a quote: models, prices and traffic may have changed."""


class Remembered(BaseModel):
    """Base of what is remembered."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Train(Remembered):
    """Start the training of a quote."""

    kind: Literal["train"] = "train"
    quote_id: str
    max_usd: str | None
    """The person's own limit in US dollars; None for that of the quote."""


class Compare(Remembered):
    """Start a Rollout: an evaluation, or with a `strategy` a deployment.

    `basis` is the digest of all that the Rollout depended on when it was shown (`tools.planning.Plan.basis`). It must
    be the same when the Rollout is created.
    """

    kind: Literal["compare"] = "compare"
    candidate: str
    eval_dataset_id: str | None
    max_usd: str
    scorer: str | None = None
    threshold: str | None = None
    strategy: str | None
    basis: str


class Abort(Remembered):
    """Abort a Rollout: all traffic goes back to stable."""

    kind: Literal["abort"] = "abort"
    rollout: str
    what: Literal["evaluation", "deployment"] = "deployment"


class GoBack(Remembered):
    """Go back to a version that served before, while no Rollout is active."""

    kind: Literal["go_back"] = "go_back"
    agent_model: str
    to: str


class SetPaused(Remembered):
    """Pause a Rollout before its next step or suspend a training, or let it go on."""

    kind: Literal["set_paused"] = "set_paused"
    what: Literal["training", "evaluation", "deployment"]
    name: str
    paused: bool


class GoOn(Remembered):
    """Open the step at which a canary waits for a person, or all of its steps."""

    kind: Literal["go_on"] = "go_on"
    rollout: str
    through_step: int | None = None
    full: bool = False


class Collect(Remembered):
    """Make dataset `name` of the failed runs that were shown, as `tools.collecting.Failures`, without their content."""

    kind: Literal["collect"] = "collect"
    project: str
    name: str
    since: datetime
    until: datetime
    runs: tuple[str, ...]


class CancelTraining(Remembered):
    """Stop a training and its job for good."""

    kind: Literal["cancel_training"] = "cancel_training"
    run: str


class Approve(Remembered):
    """Approve the offer of a training, an evaluation or a deployment that waits for it, in the caller's name."""

    kind: Literal["approve"] = "approve"
    what: Literal["training", "evaluation", "deployment"] = "training"
    run: str
    uid: str
    digest: str


Action = Annotated[
    Train | Compare | Abort | GoBack | SetPaused | GoOn | Collect | CancelTraining | Approve,
    Field(discriminator="kind"),
]


class Plan(Remembered):
    """What happens when the person confirms it, and nothing else."""

    id: str
    agent: str
    action: Action
    text: str
    """The plan as the person saw it, with the question at its end."""
    gist: str
    """The plan in few words, without names that came from elsewhere: what a confirmation or a change refers to."""
    max_usd: float | None
    valid_until: datetime

    @property
    def what(self) -> str:
        """The gist alone, such as `train docs by sft`."""
        return self.gist.removeprefix("Plan: ").removesuffix(". Confirm?")

    @property
    def stops(self) -> bool:
        """Whether it stops something that runs."""
        return isinstance(self.action, Abort | CancelTraining)

    @property
    def runs_on(self) -> bool:
        """Whether what it starts takes hours, such as a training."""
        return isinstance(self.action, Train | Compare)

    def is_stale(self, now: datetime | None = None) -> bool:
        """Whether it is too old to be confirmed."""
        return (now or datetime.now(UTC)) >= self.valid_until


def plan_of(
    agent: str,
    action: Action,
    text: str,
    gist: str,
    *,
    max_usd: float | None = None,
    limit: str | None = None,
    valid_until: datetime | None = None,
    key: str | None = None,
) -> Plan:
    """A plan with an id of its own. `limit`: the person's own, which a change of the plan keeps."""
    cost = float(action.max_usd) if isinstance(action, Compare) else max_usd
    return Plan(
        id=key or new_id(),
        agent=agent,
        action=action,
        text=text,
        gist=f"Plan: {gist}{f' for at most ${limit}' if limit else ''}. Confirm?",
        max_usd=cost,
        valid_until=valid_until or datetime.now(UTC) + PLAN_VALID,
    )


def new_id() -> str:
    """An id that names a plan, and the Rollout that it creates."""
    return uuid.uuid4().hex[:16]


class Followed(Remembered):
    """An object that the conversation has started, or was asked to follow.

    `told`: what was said of it last. `mark`: that it waited for an approval then, or a canary's share in percent: a
    change of it is news without being asked for.
    """

    kind: Literal["training", "evaluation", "deployment"]
    name: str
    agent: str
    told: str = ""
    mark: str = ""


class Conversation(Remembered):
    """The whole memory. `turn` grows with each change, so that an older copy never replaces a newer one."""

    turn: int = 0
    answered: str = ""
    """Id of the newest message that was answered."""
    plan: Plan | None = None
    approved: str = ""
    """Id of the plan that the person has confirmed, until it is carried out."""
    following: tuple[Followed, ...] = ()
    offered: Heard | None = None
    """What a yes to the question that was asked last would request: a plan is made of it."""
    later: Heard | None = None
    """A second request, of which a plan is made once the plan that waits is done or dropped."""
    heard: Heard | None = None
    """What the newest message was understood to mean, until it is answered."""

    def follow(self, one: Followed) -> Conversation:
        """With `one` among what is followed; what was told of that object before stays told."""
        known = next((other for other in self.following if other.name == one.name), one)
        one = one if one.told else known
        others = tuple(other for other in self.following if other.name != one.name)
        return self.model_copy(update={"following": (*others, one)[-_FOLLOWED:]})


_FOLLOWED: Final = 20


def newest(stored: dict[str, Any] | None, written: dict[str, Any] | None) -> dict[str, Any]:
    """The reducer of `modelops`: of two memories the newer.

    A supervisor passes its copy of the memory to the graph with each message. After an interrupt that copy is older.
    """
    if not stored or not written:
        return written or stored or {}
    return written if written.get("turn", 0) >= stored.get("turn", 0) else stored


class State(TypedDict, total=False):
    """The state of the graph: a host shares `messages`, and nothing else."""

    messages: Annotated[list[AnyMessage], add_messages]
    modelops: Annotated[dict[str, Any], newest]


def remembered(state: State) -> tuple[Conversation, bool]:
    """The memory, and whether there was one that this version cannot read: then it is empty, and nothing waits."""
    stored = state.get("modelops") or {}
    try:
        return Conversation.model_validate(stored), False
    except ValidationError:
        return Conversation(turn=int(stored.get("turn") or 0)), True


def written(before: Conversation, **changes: Any) -> dict[str, Any]:
    """The update of `modelops` with these changes."""
    after = before.model_copy(update={**changes, "turn": before.turn + 1})
    return after.model_dump(mode="json")
