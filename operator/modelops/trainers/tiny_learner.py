"""How the small model learns: gradient descent on its weights, each training example answered from the others.

Good data makes the model better than its untrained self and spoilt data makes it worse; nothing about that is scripted.

This file travels into the job beside the trainer; it needs the standard library only.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING or __package__:
    from modelops.trainers.tiny_model import FAMILIES, Candidate, Model, token_counts, token_f1
else:
    from tiny_model import FAMILIES, Candidate, Model, token_counts, token_f1

LEARNING_RATE_SCALE = 500.0
"""Factor for a run's learning rate, which suits a language model's adapter; the weights here are of order 1 to 10."""


class Learner:
    """Adam on the negative logarithm of the expected token F1."""

    def __init__(self, model: Model, *, learning_rate: float) -> None:
        self.model = model
        self.learning_rate = learning_rate
        self._targets = [token_counts(answer) for _, answer in model.examples]
        self._candidates: dict[int, list[Candidate]] = {}
        self._mean = [0.0] * len(FAMILIES)
        self._square = [0.0] * len(FAMILIES)
        self._steps = 0

    def step(self, batch: Sequence[int], *, rate: float = 1.0) -> tuple[float, float]:
        """Update the weights on these examples; returns the mean loss before the update, and the gradient's length.

        `rate` is a factor of the learning rate.
        """
        losses, gradient = 0.0, [0.0] * len(FAMILIES)
        for number in batch:
            if number not in self._candidates:
                question = self.model.examples[number][0]
                self._candidates[number] = self.model.candidates(question, without=number)
            loss, slope = self._loss(self._candidates[number], self._targets[number])
            losses += loss / len(batch)
            gradient = [total + part / len(batch) for total, part in zip(gradient, slope, strict=True)]
        self._move(gradient, self.learning_rate * LEARNING_RATE_SCALE * rate)
        return losses, math.hypot(*gradient)

    def held_out_loss(self, rows: Sequence[tuple[str, str]]) -> float:
        """The mean loss on examples that the model does not remember."""
        losses = [
            self._loss(self.model.candidates(question), token_counts(answer))[0] for question, answer in rows
        ]
        return sum(losses) / len(losses)

    def _loss(self, candidates: Sequence[Candidate], target: Counter[str]) -> tuple[float, list[float]]:
        floor = 0.01  # The loss of an example without similar ones is -log(0.01), not infinity.
        if not candidates:
            return -math.log(floor), [0.0] * len(FAMILIES)
        chances = self.model.chances(candidates)
        rewards = self.model.rewards(candidates, target)
        expected = sum(p * r for p, r in zip(chances, rewards, strict=True))
        slope = [
            -sum(
                p * (r - expected) * c.evidence[f]
                for p, r, c in zip(chances, rewards, candidates, strict=True)
            )
            / (expected + floor)
            for f in range(len(FAMILIES))
        ]
        return -math.log(expected + floor), slope

    def _move(self, gradient: Sequence[float], rate: float) -> None:
        """One step of Adam with its usual constants (Kingma and Ba, 2015, algorithm 1); no weight falls below zero."""
        self._steps += 1
        for f, slope in enumerate(gradient):
            self._mean[f] = 0.9 * self._mean[f] + 0.1 * slope
            self._square[f] = 0.999 * self._square[f] + 0.001 * slope * slope
            mean = self._mean[f] / (1 - 0.9**self._steps)
            square = self._square[f] / (1 - 0.999**self._steps)
            self.model.weights[f] = max(0.0, self.model.weights[f] - rate * mean / (math.sqrt(square) + 1e-8))


def mean_f1(model: Model, rows: Sequence[tuple[str, str]]) -> float:
    """Mean token F1 of the model's answers."""
    answers = ((model.generate([{"role": "user", "content": question}]), answer) for question, answer in rows)
    scores = (token_f1(token_counts(answer), token_counts(target)) for answer, target in answers)
    return sum(scores) / max(1, len(rows))
