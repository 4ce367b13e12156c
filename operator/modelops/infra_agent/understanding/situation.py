"""What the turns before a message say: the plan that waits for an answer, and what `it` can mean."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from modelops.infra_agent.understanding import things, verbs
from modelops.infra_agent.understanding.agents import AgentIdentity
from modelops.infra_agent.understanding.model import Intent, Slots
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.reading import Reading, read
from modelops.infra_agent.understanding.slots import slots_of
from modelops.infra_agent.understanding.words import Kind

_ASKS_CONSENT = re.compile(
    r"\b(confirm|proceed|go ahead|shall i|should i|do you want|want me to|approve|ok(ay)?|continue|start (it|now)"
    r"|submit|deploy|evaluate|train|promote|roll (it )?back|cancel|collect|run|full rollout|agree)\b",
    re.I,
)
_OPEN_QUESTION = re.compile(r"^\W*(which|what|who|where|when|why|how)\b|\bor\b", re.I)
"""A question that a yes does not answer: it asks for a value, or which of two."""
_WAITS = re.compile(r"\b(to confirm|waits? for|waiting for|awaiting|needs? (an |your )?approval)\b", re.I)
_IS_OVER = re.compile(r"\b(is|are|now) (now )?(live|out|deployed) (for|to|on) (all|every)[^.!?;\n]*", re.I)
"""A rollout that has ended, of which nothing is left to raise."""
_RECOMMENDS = re.compile(r"\b(recommendation|recommend(s|ed)?|suggest(ion|s|ed)?|ready to)\b[^.!?;\n]*", re.I)
_RECOMMENDS_DEPLOYING = re.compile(
    r"\b(recommendation|recommend(s|ed)?|suggest(ion|s|ed)?)\b\W*(\bto\s+)?"
    r"(deploy|ship|release|roll(ing)? out|a canary)|\bready (to (deploy|ship)|for (production|a canary))\b",
    re.I,
)
_QUOTATION = re.compile(r"(```.*?(```|\Z)|\"[^\"]*\"|“[^”]*”|(?<!\w)'[^'\n]*'(?!\w)|^\s*>.*$)", re.S | re.M)
_PLANS: dict[Intent, Phrases] = {
    Intent.ROLLBACK: Phrases("roll * back, rollback, revert, restore, back to"),
    Intent.PROMOTE: Phrases("promote, promotion, full rollout"),
    Intent.TRAIN: Phrases("train, retrain, finetune, fine tune, training"),
    Intent.EVALUATE: Phrases("evaluate, evaluation, eval, compare, benchmark"),
    Intent.COLLECT: Phrases("collect, gather"),
    Intent.CANCEL: Phrases("cancel, stop"),
    Intent.DEPLOY: Phrases("deploy, canary, rollout, to all traffic, all traffic, immediately, live"),
}


@dataclass(frozen=True)
class Plan:
    """A plan that chef has shown in its last turn, and that waits for the person's answer."""

    intent: Intent | None
    agents: tuple[str, ...]
    slots: Slots
    values: frozenset[tuple[Kind, str | float]]
    """Every amount, share, version and name that chef's turn gives."""


@dataclass(frozen=True)
class Situation:
    """What the conversation is about before the message."""

    plan: Plan | None
    asked: str | None
    """Chef's question, if its last turn asks for a value (`Which agent?`)."""
    request: str | None
    """The person's message before this one."""
    agents: tuple[str, ...]
    """The agents of the latest turn that names any."""
    versions: tuple[str, ...]
    runs: tuple[str, ...]
    datasets: tuple[str, ...]
    canary: bool
    """The latest turn of chef is about a canary or a rollout that is there; one that it recommends is not."""
    recommended: bool
    """The latest turn of chef recommends that a version is deployed."""
    job: bool
    """The latest turn of chef is about a training or an evaluation."""


def situation_of(context: Sequence[str], agents: Sequence[AgentIdentity]) -> Situation:
    """The situation after the turns of `context`, the newest last; each begins with `chef:` or `user:`."""
    turns = [_turn(line) for line in context]
    last = turns[-1] if turns else None
    chef = last[1] if last is not None and last[0] else ""
    requests = [text for by_chef, text in turns if not by_chef]
    named: tuple[str, ...] = ()
    for _, text in reversed(turns):
        found = tuple(dict.fromkeys(one.agent for one in read(text, agents).named))
        if found:
            named = found
            break
    reading = read(chef, agents)
    kinds = {
        kind: tuple(dict.fromkeys(t.text for t in reading.tokens if t.kind is kind))
        for kind in (Kind.VERSION, Kind.RUN, Kind.DATASET)
    }
    plan = _plan(chef, reading, named)
    return Situation(
        plan=plan,
        asked=chef if chef and plan is None and _question(chef) else None,
        request=requests[-1] if requests else None,
        agents=named,
        versions=kinds[Kind.VERSION],
        runs=kinds[Kind.RUN],
        datasets=kinds[Kind.DATASET],
        canary=things.CANARY.within(read(_IS_OVER.sub(" ", _RECOMMENDS.sub(" ", chef)), agents).words),
        recommended=_RECOMMENDS_DEPLOYING.search(chef) is not None,
        job=things.JOB.within(reading.words) or bool(kinds[Kind.RUN]),
    )


def _turn(line: str) -> tuple[bool, str]:
    who, colon, text = line.partition(":")
    by_chef = bool(colon) and who.strip().casefold() in (
        "chef",
        "assistant",
        "infra",
        "modelops",
        "code-chef",
    )
    said = (
        text if colon and (by_chef or who.strip().casefold() in ("user", "human", "person", "me")) else line
    )
    return by_chef, _QUOTATION.sub(" ", said).strip()


def _question(text: str) -> bool:
    sentence = re.split(r"(?<=[.!;])\s+|\n", text.strip())[-1]
    return sentence.rstrip().endswith("?")


def _plan(text: str, reading: Reading, agents: tuple[str, ...]) -> Plan | None:
    if not text:
        return None
    last = re.split(r"(?<=[.!;])\s+|\n", text.strip())[-1]
    consent = last.rstrip().endswith("?") and _ASKS_CONSENT.search(last) and not _OPEN_QUESTION.search(last)
    if not consent and not _WAITS.search(text):
        return None
    intent = _planned(last, reading)
    return Plan(intent, agents, slots_of(reading, intent or Intent.AMBIGUOUS), values_of(reading))


_VALUES = frozenset({Kind.PERCENT, Kind.USD, Kind.VERSION, Kind.DATASET, Kind.MODEL, Kind.RUN})


def values_of(reading: Reading) -> frozenset[tuple[Kind, str | float]]:
    """The values in a text, by kind."""
    return frozenset(
        (token.kind, token.text if token.number is None else token.number)
        for token in reading.tokens
        if token.kind in _VALUES
    )


def _planned(last: str, reading: Reading) -> Intent | None:
    asked = re.fullmatch(
        r"\W*(?:shall i |should i |do you want me to )?(\w+)(?: now| it)?\W*", last.casefold()
    )
    if asked:
        for intent, phrases in _PLANS.items():
            if phrases.within((asked[1],)):
                return intent
    stops = [at for at, token in enumerate(reading.tokens[:-1]) if token.kind is Kind.STOP]
    begin = stops[-1] + 1 if stops else 0
    places = [
        (found.start < begin, found.start, order, intent)
        for order, (intent, phrases) in enumerate(_PLANS.items())
        for found in phrases.all(reading.words)
    ]
    places += (
        [(True, len(reading.words), 99, Intent.DEPLOY)]
        if any(t.kind is Kind.VERSION for t in reading.tokens)
        else []
    )
    return min(places)[3] if places else None


def is_request_verb(word: str) -> bool:
    """Whether a word alone is a verb of this field."""
    return any(phrases.within((word,)) for phrases in verbs.REQUESTS.values()) or verbs.STOP.within((word,))
