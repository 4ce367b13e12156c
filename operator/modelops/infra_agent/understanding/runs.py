"""Names of runs, such as `docs-train-1c2f7a90b4` or `tr-12`: what the run does, and which agent's it is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from modelops.infra_agent.understanding.agents import AgentIdentity
from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.words import folded

PURPOSES: Final = {
    Intent.TRAIN: ("train", "training", "tr", "tj", "sft", "dpo", "orpo"),
    Intent.EVALUATE: ("evaluate", "evaluation", "eval", "ev"),
    Intent.DEPLOY: ("deploy", "deployment", "rollout", "canary", "ro"),
}
"""The parts of names that say what a run does."""


def purpose_of(run: str) -> Intent | None:
    """What a run does, where its name says so."""
    parts = folded(run).split("-")
    return next(
        (intent for intent, words in PURPOSES.items() if not set(words).isdisjoint(parts)),
        None,
    )


def agent_of(run: str, agents: Sequence[AgentIdentity]) -> str | None:
    """The agent whose name is a part of the run's name; the longest one."""
    parts = tuple(re.split(r"[-_.]", folded(run)))
    found = [
        (len(call), agent.name)
        for agent in agents
        for call in agent.calls
        if any(parts[at : at + len(call)] == call for at in range(len(parts)))
    ]
    return max(found)[1] if found else None
