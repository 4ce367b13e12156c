"""Answers to what chef asked last: yes, no, or another value in the plan that waits."""

from __future__ import annotations

from modelops.infra_agent.understanding import moods
from modelops.infra_agent.understanding.acts import Act
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.lexicon import is_content
from modelops.infra_agent.understanding.model import Intent, Slots, Understanding
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.situation import Plan, Situation, values_of
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.words import Kind

_CHANGE = Phrases("""
    make it|that, change, use, instead, rather, only, but, lieber, stattdessen, mejor, melhor, plutot,
    actually, with, set, start with, go with, switch to, first, better, more like, no more than, max,
    cap, limit
""")
_DOUBT = Phrases("""
    but, if, unless, wait, not, until, only if, except, aber, wenn, pero, mas, mais, sauf, however,
    after, dont, first, hmm, before
""")


def is_consent(words: tuple[str, ...]) -> bool:
    """Whether the words say yes and nothing else."""
    covered = _covered(words, moods.YES)
    return bool(covered) and _only_polite(words, covered)


def is_refusal(words: tuple[str, ...]) -> bool:
    """Whether the words say no and nothing else."""
    covered = _covered(words, moods.NO)
    return bool(covered) and _only_polite(
        tuple(word for word in words if word not in ("ok", "okay")), covered
    )


def answer_to_plan(reading: Reading, acts: list[Act], situation: Situation) -> Understanding | None:
    """What the message says about the plan that waits; None: it is about something else."""
    plan = situation.plan
    if plan is None:
        return None
    agent = plan.agents[0] if len(plan.agents) == 1 else None
    other = [one.agent for one in reading.named if one.agent not in plan.agents]
    if is_refusal(reading.words) or _begins_with_refusal(reading, acts, situation):
        return Understanding(
            intent=Intent.CANCEL, agent=agent, agents=plan.agents, why="The plan that waits was refused."
        )
    changed = _changes(reading, acts, plan)
    if changed is not None and plan.agents and not other:
        return Understanding(
            intent=plan.intent or Intent.AMBIGUOUS,
            agent=agent,
            agents=plan.agents,
            slots=changed.over(plan.slots),
            why="The plan that waits was changed; the changed plan needs a confirmation of its own.",
        )
    if _consents(reading, acts, plan):
        if other or (reading.unknown_agent and not reading.named):
            return Understanding(
                intent=Intent.AMBIGUOUS,
                question="Do you confirm the plan that I showed, or do you mean another agent?",
                of_plan=True,
                may_act=False,
                why="The message says yes and names another agent than the plan.",
            )
        return Understanding(
            intent=Intent.APPROVE,
            agent=agent,
            agents=plan.agents,
            slots=Slots(run=plan.slots.run),
            why="The plan that waits was confirmed.",
        )
    if (
        reading.words
        and reading.words[0] in moods.STRONG_YES
        and not any(act.form is Form.REQUEST for act in acts)
        and not _asks(reading)
    ):
        return Understanding(
            intent=Intent.AMBIGUOUS,
            agent=agent,
            question="Do you confirm the plan as I showed it?",
            of_plan=True,
            certain=False,
            may_act=False,
            why="The message says yes, and more that could be a condition.",
        )
    return None


def _consents(reading: Reading, acts: list[Act], plan: Plan) -> bool:
    words = reading.words
    if is_consent(words):
        return True
    if values_of(reading) - plan.values:
        return False
    if any(part.role is Role.CONDITION or part.question for part in reading.parts) or any(
        t.before_question_mark for t in reading.tokens
    ):
        return False
    if any(act.form is Form.DENIED for act in acts):
        return False
    requests = [act for act in acts if act.form is Form.REQUEST]
    same = (
        plan.intent is not None and all(act.intent is plan.intent for act in requests) if requests else False
    )
    if requests and not same:
        return False
    first = next((part for part in reading.parts), None)
    if first is None:
        return False
    opening = words[first.start : first.end]
    if same:
        return len([w for w in words if is_content(w)]) <= 4 and not _DOUBT.within(words)
    return is_consent(opening) and first.end < len(words) and not _DOUBT.within(words[first.end :])


def _begins_with_refusal(reading: Reading, acts: list[Act], situation: Situation) -> bool:
    """`no, too expensive`, `don't deploy it`; but `no, make it 10 %` is a change."""
    plan = situation.plan
    denied = [act for act in acts if act.form is Form.DENIED]
    requests = [act for act in acts if act.form is Form.REQUEST and not act.stops]
    if requests or plan is None:
        return False
    others = [one for one in reading.named if one.agent not in plan.agents]
    if denied and plan.intent in {act.intent for act in denied} and not others:
        return True
    stops = [act for act in acts if act.form is Form.REQUEST and act.stops]
    if stops and not others and not reading.words[stops[0].end : stops[0].end + 3].count("canary"):
        return len(reading.words) <= 6
    first = next((part for part in reading.parts), None)
    if first is None or any(part.question for part in reading.parts):
        return False
    opening = reading.words[first.start : first.end]
    return (
        is_refusal(opening)
        and not _has_values(reading)
        and not _bare_percent(reading, plan, Slots())
        and not others
    )


def _has_values(reading: Reading) -> bool:
    values = {Kind.PERCENT, Kind.USD, Kind.VERSION, Kind.DATASET, Kind.MODEL}
    return any(token.kind in values for token in reading.tokens)


def _changes(reading: Reading, acts: list[Act], plan: Plan) -> Slots | None:
    """The values that differ from the plan's, if the message gives values and no other request."""
    if plan.intent is None or _asks(reading):
        return None
    requests = [act for act in acts if act.form is Form.REQUEST]
    if any(act.intent not in (plan.intent, Intent.DEPLOY) or act.stops for act in requests):
        return None
    found = slots_of(reading, plan.intent)
    bare = _bare_percent(reading, plan, found)
    values = found.model_dump(exclude_none=True) | bare
    different = {name: value for name, value in values.items() if getattr(plan.slots, name) != value}
    if not different or set(different) <= {"condition"}:
        return None
    if (
        set(different) == {"strategy"}
        and not _CHANGE.within(reading.words)
        and different["strategy"] == "immediate"
    ):
        return None if is_consent(reading.words) else Slots.model_validate(different)
    return Slots.model_validate(different)


def _bare_percent(reading: Reading, plan: Plan, found: Slots) -> dict[str, float]:
    """`make it 20`: a bare number is a share, if the plan has one."""
    if plan.slots.percent is None or found.percent not in (None, plan.slots.percent):
        return {}
    numbers = [
        token.number
        for at, token in enumerate(reading.tokens)
        if token.kind is Kind.NUMBER and token.number is not None and reading.words[at - 1 : at] != ("not",)
    ]
    return {"percent": numbers[-1]} if len(numbers) == 1 and 0 < numbers[0] <= 100 else {}


def _asks(reading: Reading) -> bool:
    return any(part.question for part in reading.parts)


def _covered(words: tuple[str, ...], phrases: Phrases) -> set[int]:
    return {place for found in phrases.all(words) for place in range(found.start, found.end)}


def _only_polite(words: tuple[str, ...], covered: set[int]) -> bool:
    rest = [word for place, word in enumerate(words) if place not in covered and word]
    return all(word in moods.POLITE and word != AGENT for word in rest)
