"""Which rows are turns of one conversation.

LangSmith logs one run for each turn, and each run has the whole history, whose answers are learnt, too. So the turns of
a conversation stay on one side of the split.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

MOST_CONVERSATIONS, MOST_SHARE = 3, 0.1
"""A beginning that more conversations have, or more than a tenth of all, is a greeting and joins none of them."""


def conversation_keys(turns: Sequence[tuple[str, ...]]) -> list[set[str]]:
    """For each row the keys that it shares with other turns of its conversation; none where it has no other turn.

    `turns` are those of each row's prompt (`NormalisedPrompt`): the digests of each beginning of its conversation that
    was answered, and last of the whole conversation. A beginning counts as one of a conversation for each of the
    conversations that go on from it to different ends; a few are one conversation of which an answer was made again.
    """
    answered = {beginning for own in turns for beginning in own[:-1]}
    if not answered:
        return [set() for _ in turns]
    ends = {own[-1]: own for own in turns if own[-1] not in answered}
    conversations = Counter(beginning for own in ends.values() for beginning in set(own[:-1]))
    most = max(1, min(MOST_CONVERSATIONS, int(MOST_SHARE * len(ends))))
    joining = {beginning for beginning, count in conversations.items() if count <= most}
    return [{f"turn {turn}" for turn in own if turn in joining} for own in turns]
