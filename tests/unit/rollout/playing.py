"""Plays: drawn from a seed, given move by move, or the usual course with something done to it; and made short."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

from tests.unit.rollout.explorer import Moves, Run, Scenario, over
from tests.unit.rollout.safety import Violated


@dataclass(frozen=True)
class Failure:
    """What was violated, and the moves that lead there."""

    what: str
    moves: Moves

    def __str__(self) -> str:
        return self.what + "".join(f"\n    {move}" for move in self.moves)


def drawn(scenario: Scenario, seed: int, *, most: int = 160) -> Failure | None:
    """Plays moves drawn from the seed, then closes."""
    chance, run = random.Random(seed), Run(deepcopy(scenario))
    return _judged(run, lambda: _draw(run, chance, most))


def _draw(run: Run, chance: random.Random, most: int) -> None:
    for _ in range(chance.randint(most // 4, most)):
        moves = run.enabled()
        run.play(chance.choices([m for _, m in moves], [w for w, _ in moves])[0], trusted=True)


def replayed(scenario: Scenario, moves: Iterable[str]) -> Failure | None:
    """Plays these moves, leaving out what is not possible, then closes."""
    run = Run(deepcopy(scenario))

    def play() -> None:
        for move in moves:
            run.play(move)

    return _judged(run, play)


def _judged(run: Run, play: Callable[[], None]) -> Failure | None:
    try:
        play()
        run.close()
    except Violated as error:
        return Failure(str(error), tuple(run.moves))
    except Exception as error:  # noqa: BLE001  # the code under test fell over: as bad, and as worth shortening
        return Failure(f"{type(error).__name__}: {error}", tuple(run.moves))
    return None


def shortened(scenario: Scenario, failure: Failure, *, most: int = 400) -> Failure:
    """The failure with fewer moves: halves, then ever smaller pieces are left out while it still fails."""
    best, piece, tries = failure, max(1, len(failure.moves) // 2), 0
    while tries < most:
        found = False
        for start in range(0, len(best.moves), piece):
            tries += 1
            shorter = replayed(scenario, best.moves[:start] + best.moves[start + piece :])
            if shorter is not None and len(shorter.moves) < len(best.moves) and _kind(shorter) == _kind(best):
                best, found = shorter, True
                break
        if not found:
            if piece == 1:
                break
            piece = max(1, piece // 2)
    return best


def _kind(failure: Failure) -> str:
    return failure.what.split(" ")[0]


def usual(run: Run) -> str | None:
    """The next move where everything is well: deliver, answer, reconcile, let time pass; None when all is over."""
    labels = [label for _, label in run.enabled()]
    for verb in ("watch", "answer", "start"):
        for label in labels:
            if label.startswith(verb):
                return label
    rollouts = [item for name, item in run.server.objects.items() if name[0] == "rollouts"]
    return "tick" if any(not over(item) for item in rollouts) else None


def injected(scenario: Scenario, at: int, moves: Moves) -> Failure | bool | None:
    """The usual course with `moves` made before its move number `at`; False where it has no such move."""
    run = Run(deepcopy(scenario))
    reached = False

    def play() -> None:
        nonlocal reached
        for number in range(400):
            if number == at:
                reached = True
                for move in moves:
                    run.play(move)
            step = usual(run)
            if step is None:
                return
            run.play(step, trusted=True)

    failure = _judged(run, play)
    if failure is None and not reached:
        return False
    return failure
