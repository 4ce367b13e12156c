"""The nodes of the graph: each reads the state, does one thing, and returns what changes."""

from __future__ import annotations

import inspect
from typing import Any, Final

from langchain_core.messages import AIMessage

from modelops.client import ClientError, Unavailable, Uncertain
from modelops.domain.record import MalformedRecord
from modelops.infra_agent import answering, following, wording
from modelops.infra_agent.acting import carry_out
from modelops.infra_agent.asking import AsksFirst
from modelops.infra_agent.confirming import EXPIRED
from modelops.infra_agent.hands import Hands, TeamSettings
from modelops.infra_agent.heard import Heard, Understand, heard
from modelops.infra_agent.planning import make_plan
from modelops.infra_agent.state import Conversation, Followed, Plan, State, remembered, written
from modelops.infra_agent.turns import new_message, offered_last, say, turns_before, was_shown_last
from modelops.tools.errors import ToolRefused

REFUSALS: Final = (ToolRefused, ClientError, MalformedRecord)
"""What becomes a sentence. Anything else is a fault of the program, and goes to the host."""
Update = dict[str, Any]


class Steps:
    """The nodes of the graph."""

    def __init__(self, hands: Hands, understand: Understand, team: TeamSettings) -> None:
        self._hands = hands
        self._understand = understand
        self._team = team

    async def hear(self, state: State) -> Update:
        """Understand the person's new message: an answer to the plan that waits, or something else."""
        message = new_message(state)
        assert message is not None  # the edges lead here only with one
        memory, was_unreadable = remembered(state)
        lost = [say("I have lost what we had planned: nothing waits any more.")] if was_unreadable else []
        answered = str(message.id)
        messages, plan = list(state["messages"]), memory.plan
        try:
            names = await self._hands.agents()
        except REFUSALS as error:
            text = f"{_sentence(error)} Nothing was done."
            return {"messages": [*lost, say(text)], "modelops": written(memory, answered=answered)}
        found = self._understand(str(message.text), turns_before(messages, message, plan), names)
        meant = heard(await found if inspect.isawaitable(found) else found)
        before = messages[: messages.index(message)]
        if plan is None or not was_shown_last(before, plan):
            accepted = memory.offered if plan is None and offered_last(before) and _consents(meant) else None
            update = written(memory, answered=answered, heard=accepted or meant, offered=None)
            return {"messages": lost, "modelops": update}
        said, changes = _about_the_plan(meant, plan, memory.later)
        return {"messages": [*lost, *said], "modelops": written(memory, answered=answered, **changes)}

    async def answer(self, state: State) -> Update:
        """Answer what only reads, or ask."""
        memory = remembered(state)[0]
        meant = _heard_in(memory)
        followed: tuple[Followed, ...] = ()
        try:
            text, followed = await answering.answer(self._hands, meant, self._team)
        except REFUSALS as error:
            text = _sentence(error)
        for one in followed:
            memory = memory.follow(one)
        plan = memory.plan
        asks = meant.intent == "ambiguous"
        if plan is not None and not asks:
            text = f"{text}\nThis plan still waits: {plan.text}"
        asks_about = None if asks and not meant.of_plan else plan
        return {"messages": [say(text, plan=asks_about)], "modelops": written(memory, heard=None)}

    async def plan(self, state: State) -> Update:
        """Make a plan. It replaces the one that waits, which can no longer be confirmed."""
        memory = remembered(state)[0]
        meant, before = _heard_in(memory), memory.plan
        try:
            plan = await make_plan(self._hands, meant, self._team)
        except REFUSALS as error:
            dropped = before is not None and before.agent in meant.agents
            text = _sentence(error) + (" The plan before is dropped." if dropped else "")
            kept = None if dropped else before
            offered = error.request if isinstance(error, AsksFirst) and kept is None else None
            then = meant.then if kept is None and offered is None else None
            update = written(memory, heard=then, plan=kept, offered=offered)
            return {"messages": [say(text, offers=offered is not None)], "modelops": update}
        text = plan.text if before is None else f"This replaces the plan before. {plan.text}"
        if meant.by_model:
            text = f"As I understood you: {plan.what}. {text}"
        if meant.then is not None:
            text = f"One after the other: {plan.what} first, then {_named(meant.then)}. {text}"
        later = meant.then or (memory.later if before is not None and before.agent == plan.agent else None)
        update = written(memory, heard=None, plan=plan, later=later, offered=None)
        return {"messages": [say(text, plan=plan)], "modelops": update}

    async def act(self, state: State) -> Update:
        """Carry out the plan that was confirmed; it can be run again after a crash."""
        memory = remembered(state)[0]
        plan = memory.plan
        if plan is None or memory.approved != plan.id:
            return {"messages": [say("Nothing was done.")], "modelops": written(memory, approved="")}
        try:
            done = await carry_out(self._hands, plan, self._team)
        except (Uncertain, Unavailable) as error:
            text = (
                f"I do not know whether it was done: {_sentence(error)} Confirm again: nothing is done twice."
            )
            return {"messages": [say(text, plan=plan)], "modelops": written(memory, approved="")}
        except REFUSALS as error:
            text = f"{_sentence(error)} Nothing was done."
            return {"messages": [say(text)], "modelops": written(memory, approved="", plan=None, later=None)}
        followed = memory.follow(done.follow) if done.follow else memory
        later, text = memory.later, done.said
        if later is not None and plan.runs_on and plan.agent in later.agents:
            text, later = f"{text} When it has ended, I say so: then you can {_named(later)}.", None
        update = written(followed, approved="", plan=None, heard=later, later=None)
        return {"messages": [say(text)], "modelops": update}

    async def follow(self, state: State) -> Update:
        """Say what has changed since the last turn, and propose the next step of what has ended."""
        memory = remembered(state)[0]
        found = await following.changes(self._hands, memory.following, self._team)
        still = tuple(news.still for news in found if news.still is not None)
        texts = [news.text for news in found if news.text]
        plan = memory.plan
        for step in [news.next_step for news in found if news.next_step is not None]:
            plan, text = await self._propose(step, plan)
            texts.append(text)
        if not texts:
            return {}
        message: AIMessage = say("\n".join(texts), plan=plan)
        return {"messages": [message], "modelops": written(memory, following=still, plan=plan)}

    async def _propose(self, step: Heard, waiting: Plan | None) -> tuple[Plan | None, str]:
        """A plan for the next step, where none waits; and what is said about it."""
        if waiting is not None:
            return waiting, f"Say '{step.intent} {step.agents[0]} {step.version}' for the next step."
        try:
            plan = await make_plan(self._hands, step, self._team)
        except REFUSALS as error:
            return None, _sentence(error)
        return plan, plan.text


def _about_the_plan(meant: Heard, plan: Plan, later: Heard | None) -> tuple[list[AIMessage], dict[str, Any]]:
    """What a message says about the plan that was shown last: yes, no, or something else.

    After a no the second request of the message before, `later`, is planned.
    """
    other_agent = bool(meant.agents) and plan.agent not in meant.agents
    if meant.intent == "approve" and meant.run is None and not other_agent:
        if plan.is_stale():
            return [say(EXPIRED)], {"plan": None, "heard": None, "later": None}
        return [], {"approved": plan.id, "heard": None}
    if meant.intent == "cancel" and meant.run is None:
        if plan.stops:  # "Cancel it" can be a yes or a no here.
            return [say("It runs on, unless you answer yes.", plan=plan)], {"heard": None}
        text = f"Dropped. Nothing was done for {plan.agent}. If you meant something that runs, name it."
        return [say(text)], {"plan": None, "heard": later, "later": None}
    return [], {"heard": meant}


def _consents(meant: Heard) -> bool:
    """Whether it is a yes, and to nothing that has a name."""
    return meant.intent == "approve" and meant.run is None


def _named(meant: Heard) -> str:
    """A request in few words: `train cicd`."""
    version = f" {meant.version}" if isinstance(meant.version, str) else ""
    return f"{meant.intent} {', '.join(meant.agents)}{version}"


def _heard_in(memory: Conversation) -> Heard:
    assert memory.heard is not None  # the edges lead here only after `hear`
    return memory.heard


def _sentence(error: Exception) -> str:
    text = wording.shown(error)
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"
