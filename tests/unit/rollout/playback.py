"""Runs of scenarios: random moves, given moves, or the usual course with moves injected; and shorter failing runs."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass

from tests.unit.rollout.explorer import Moves, Run, Scenario, has_ended
from tests.unit.rollout.safety import Violated


@dataclass(frozen=True)
class Failure:
    """What was violated, and the moves that lead there."""

    what: str
    moves: Moves

    def __str__(self) -> str:
        return self.what + "".join(f"\n    {move}" for move in self.moves)


def play_random_moves(scenario: Scenario, seed: int, *, max_moves: int = 160) -> Failure | None:
    """Plays random moves of this seed, then closes the run."""
    chance, run = random.Random(seed), Run(deepcopy(scenario))
    return _failure_of(run, lambda: _play_random(run, chance, max_moves))


def _play_random(run: Run, chance: random.Random, max_moves: int) -> None:
    for _ in range(chance.randint(max_moves // 4, max_moves)):
        moves = run.enabled()
        run.play(chance.choices([m for _, m in moves], [w for w, _ in moves])[0], trusted=True)


def replay(scenario: Scenario, moves: Iterable[str]) -> Failure | None:
    """Plays these moves without the impossible ones, then closes the run."""
    run = Run(deepcopy(scenario))

    def play() -> None:
        for move in moves:
            run.play(move)

    return _failure_of(run, play)


def _failure_of(run: Run, play: Callable[[], None]) -> Failure | None:
    try:
        play()
        run.close()
    except Violated as error:
        return Failure(str(error), tuple(run.moves))
    except Exception as error:  # noqa: BLE001  # an exception of the code under test is a failure like the others
        return Failure(f"{type(error).__name__}: {error}", tuple(run.moves))
    return None


def shrink(scenario: Scenario, failure: Failure, *, max_moves: int = 400) -> Failure:
    """The failure with fewer moves: halves, then ever smaller pieces are left out while it still fails."""
    best, piece, tries = failure, max(1, len(failure.moves) // 2), 0
    while tries < max_moves:
        found = False
        for start in range(0, len(best.moves), piece):
            tries += 1
            shorter = replay(scenario, best.moves[:start] + best.moves[start + piece :])
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


def next_usual_move(run: Run) -> str | None:
    """The next move without faults: deliver, answer, reconcile, or let time pass; None when every rollout has ended."""
    labels = [label for _, label in run.enabled()]
    for verb in ("watch", "answer", "start"):
        for label in labels:
            if label.startswith(verb):
                return label
    rollouts = [item for name, item in run.server.objects.items() if name[0] == "rollouts"]
    return "tick" if any(not has_ended(item) for item in rollouts) else None


def play_with_injection(scenario: Scenario, at: int, moves: Moves) -> Failure | bool | None:
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
            step = next_usual_move(run)
            if step is None:
                return
            run.play(step, trusted=True)

    failure = _failure_of(run, play)
    if failure is None and not reached:
        return False
    return failure
