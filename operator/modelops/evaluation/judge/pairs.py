"""Both orders of each pair: a judge tends to prefer what it reads first, so only what it says twice counts."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from modelops.evaluation.judge.calls import Attempt, JudgeClient, JudgeJournal
from modelops.evaluation.judge.prompt import Pair

MOST_SECONDS = 900.0
"""How long a judge is asked in all: the candidate's endpoint may be billed meanwhile."""
SILENT_CALLS = 8
"""A judge of which so many calls gave no choice, and none did, is not asked any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`preferred` is 1 for the answer `a`, -1 for `b` and 0 for a tie; None where it is missing, with the reason."""

    preferred: int | None
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The judgements by the pairs' keys, and what the judge's calls were billed, as far as the service said so."""

    judgements: Mapping[str, Judgement]
    usd: Decimal
    billed: bool = True
    """Whether each answer of the judge has a bill."""

    @property
    def first_missing(self) -> str:
        """See `most_frequent_reason`."""
        return most_frequent_reason(self.judgements.values())


def most_frequent_reason(judgements: Iterable[Judgement]) -> str:
    """The most frequent reason of a missing judgement; empty where none is missing."""
    reasons = Counter(one.missing for one in judgements if one.missing)
    return reasons.most_common(1)[0][0] if reasons else ""


async def judge_pairs(
    client: JudgeClient,
    journal: JudgeJournal,
    pairs: Sequence[Pair],
    *,
    concurrency: int,
    progress: Callable[[int, int], None] | None = None,
    most_seconds: float = MOST_SECONDS,
) -> Judged:
    """A judgement of each pair. Nothing that the judge does raises an error: then judgements are missing."""
    calls = iter([(pair, swapped) for pair in pairs if pair.a != pair.b for swapped in (False, True)])
    total = 2 * len(pairs)
    found: dict[tuple[str, bool], Attempt] = {}
    stopped = ""
    ends = asyncio.get_running_loop().time() + most_seconds

    async def work() -> None:
        nonlocal stopped
        for pair, swapped in calls:
            if stopped:
                return
            try:
                async with asyncio.timeout_at(ends):
                    attempt = await client.ask(pair, journal, swapped=swapped)
            except TimeoutError:
                stopped = stopped or f"the judge took longer than {most_seconds:g} s in all"
                return
            found[pair.key, swapped] = attempt
            if attempt.ends or (
                len(found) >= SILENT_CALLS and all(one.choice is None for one in found.values())
            ):
                stopped = stopped or attempt.missing
            if progress is not None:
                progress(len(found), total)

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(work())
    finally:
        await client.close()
    judgements = {pair.key: _judgement(pair, found, stopped) for pair in pairs}
    usd = sum((Decimal(one.usd) for one in journal.all() if one.usd is not None), Decimal(0))
    billed = all(one.usd is not None for one in journal.all() if one.choice is not None)
    return Judged(judgements=judgements, usd=usd, billed=billed)


def _judgement(pair: Pair, found: Mapping[tuple[str, bool], Attempt], stopped: str) -> Judgement:
    if pair.a == pair.b:
        return Judgement(preferred=0)
    both = [found.get((pair.key, swapped)) for swapped in (False, True)]
    for attempt in both:
        if attempt is None:
            return Judgement(preferred=None, missing=stopped)
        if attempt.choice is None:
            return Judgement(preferred=None, missing=attempt.missing)
    one, other = (_preferred(attempt) for attempt in both if attempt is not None)
    return Judgement(preferred=one if one == other else 0)


def _preferred(attempt: Attempt) -> int:
    """1 for the answer `a`, which stands second where the order was swapped."""
    if attempt.choice == "equal":
        return 0
    return 1 if (attempt.choice == "first") is not attempt.swapped else -1
