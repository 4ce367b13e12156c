"""What a request takes from chef's last turn: the version that it recommended, and the dataset that it named."""

from __future__ import annotations

from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.lexicon import METHODS
from modelops.infra_agent.understanding.model import Intent, Slots
from modelops.infra_agent.understanding.words import words_of

_TAKES = words_of("use using take with on from mit auf con com avec sur")
_POINTS = words_of("that this it those these them the")
_DATA = words_of("one ones dataset data set examples collection cases failures samples")
_NEW_DATA = words_of("new fresh collected same")
_NOT_MEANT = words_of("not never dont without ok okay fine happy good agree")
"""Before `with that` these words point at no data."""
_GOES_ON = METHODS | words_of(
    "to and please pls plz now then too again but only if anyway instead asap today max"
)
"""What can follow where the message points: `on that, dpo`; but not `with that in mind`, `on the data of bob`."""


def with_what_chef_named(message: Message, intent: Intent, slots: Slots) -> Slots:
    """The values of the message, with one that chef has named for the same agent, if the message points at it."""
    situation = message.situation
    if situation.plan is not None or any(one.agent not in situation.agents for one in message.reading.named):
        return slots
    found: dict[str, str] = {}
    deploys = intent is Intent.DEPLOY and slots.version in (None, "candidate")
    if deploys and situation.recommended and len(situation.versions) == 1:
        found["version"] = situation.versions[0]
    uses = intent in (Intent.TRAIN, Intent.EVALUATE) and slots.dataset is None
    if uses and len(situation.datasets) == 1 and _points_at_data(message.words):
        found["dataset"] = situation.datasets[0]
    return slots.model_copy(update=found)


def _points_at_data(words: tuple[str, ...]) -> bool:
    """`use that one`, `on it`, `with the new dataset`; but not `on this base model`."""
    for at in range(len(words) - 1):
        if words[at] not in _TAKES or words[at + 1] not in _POINTS or words[max(0, at - 1)] in _NOT_MEANT:
            continue
        end = at + 3 if words[at + 2 : at + 3] and words[at + 2] in _NEW_DATA else at + 2
        data = words[end : end + 1] != () and words[end] in _DATA
        following = words[end + data : end + data + 1]
        ends = following in ((), ("",)) or following[0] in _GOES_ON
        if ends and (data or words[at + 1] != "the"):
            return True
    return False
