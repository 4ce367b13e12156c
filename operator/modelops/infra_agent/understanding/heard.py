"""A message with all that the rules look at."""

from __future__ import annotations

from dataclasses import dataclass

from modelops.infra_agent.understanding.acts import Act
from modelops.infra_agent.understanding.agents import AgentIdentity
from modelops.infra_agent.understanding.reading import Reading
from modelops.infra_agent.understanding.situation import Situation
from modelops.infra_agent.understanding.spoken import Spoken


@dataclass(frozen=True)
class Message:
    """A message with all that the rules look at."""

    spoken: Spoken
    reading: Reading
    acts: list[Act]
    situation: Situation
    context: tuple[str, ...]
    identities: tuple[AgentIdentity, ...]

    @property
    def words(self) -> tuple[str, ...]:
        return self.reading.words
