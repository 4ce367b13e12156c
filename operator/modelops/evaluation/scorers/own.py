"""A team's own scorer, from an installed package.

The package has an entry point in the group `modelops.scorers`, whose name is that of spec.evaluation.scorer. It loads a
function with the arguments `inputs`, `outputs` and `reference_outputs` that returns `{"key", "score", "comment"}`: the
form of openevals, whose scorers can be named as well.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from copy import deepcopy
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Final

from modelops.evaluation.scorers.interface import Score, ScorerOfEach, ToScore
from modelops.evaluation.time_limit import wall_time_limit
from modelops.workdir import ProgramFailure

GROUP: Final = "modelops.scorers"
OWN_SECONDS = 60.0
"""Seconds in which a team's own scorer must score one answer: it may call a service."""
MOST_WORDS: Final = 300


class Own(ScorerOfEach):
    """The installed scorer of this name. Its function gets the whole answer: its text, and its calls of tools."""

    remedy_for_slowness = "make it faster"

    def __init__(self, name: str) -> None:
        """Raises ProgramFailure ScorerUnknown where no package has it, and ScorerFailed where it cannot be loaded."""
        self.name = name
        self._function = _load(name)

    def time_limit(self) -> AbstractContextManager[None]:
        """See ScorerOfEach."""
        return wall_time_limit(OWN_SECONDS)

    def score(self, answer: ToScore) -> Score:
        """See ScorerOfEach. An error of the function, or a result that is no score, is a score of None."""
        question = answer.question
        outputs: dict[str, Any] = {"answer": answer.text}
        if answer.calls:
            outputs["tool_calls"] = [dict(call) for call in answer.calls]
        # The function's own: what it changes must not be in what the next answer is compared with.
        inputs, outputs, expected = deepcopy((dict(question.inputs), outputs, dict(question.outputs)))
        try:
            return _score(self._function(inputs=inputs, outputs=outputs, reference_outputs=expected))
        except Exception as error:  # noqa: BLE001 - Code of others: whatever it raises is one answer without a score.
            words = f"{type(error).__name__}: {error}"[:MOST_WORDS]
            return Score(value=None, comment=f"scorer {self.name} failed with {words}")


def installed() -> Mapping[str, EntryPoint]:
    """The scorers of all installed packages by name."""
    return {one.name: one for one in entry_points(group=GROUP)}


def _load(name: str) -> Callable[..., Any]:
    known = installed()
    if name not in known:
        others = f"It has {', '.join(sorted(known))}" if known else "It has none"
        raise ProgramFailure(
            "ScorerUnknown",
            f"{name!r}: no package in the operator's image has this entry point in the "
            f"group {GROUP}. {others}. Add the package to the image, or correct the name",
        )
    try:
        function = known[name].load()
    except Exception as error:  # Code of others.
        raise ProgramFailure(
            "ScorerFailed",
            f"scorer {name} ({known[name].value}) cannot be loaded: {type(error).__name__}: {error}"[
                :MOST_WORDS
            ],
        ) from error
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise ProgramFailure(
            "ScorerFailed",
            f"scorer {name} ({known[name].value}) is no plain function: write one with the arguments inputs, outputs "
            "and reference_outputs that returns {'key', 'score', 'comment'}",
        )
    found: Callable[..., Any] = function
    return found


def _score(result: Any) -> Score:
    """The score in what a function returned. Raises ValueError where there is none from 0 to 1."""
    value = result.get("score") if isinstance(result, Mapping) else result
    if not isinstance(value, bool | int | float) or not math.isfinite(value) or not 0 <= value <= 1:
        raise ValueError(f"{value!r} is no score from 0 to 1")
    comment = result.get("comment") if isinstance(result, Mapping) else None
    return Score(value=float(value), comment=str(comment)[:MOST_WORDS] if comment else "")
