"""What is left of an agents.yaml, and where its parts were."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple


class Remainder(NamedTuple):
    """What is left of a file. `left_out` are the parts that are not in `text`, in the order of the file."""

    text: str
    left_out: tuple[str, ...]
    names: frozenset[str]
    """The agents whose entries are left out."""
    places: list[int]
    """Index in `text` at which each part is missing."""
    lengths: list[int]
    """Characters that are left out before each part, and at last those of all parts."""
    lines: list[int]
    """Lines that are left out, in the same way."""

    def start(self, index: int) -> int:
        """The index in the file of something that starts here in `text`."""
        return index + self.lengths[bisect_right(self.places, index)]

    def end(self, index: int) -> int:
        """The index in the file of something that ends here in `text`."""
        return index + self.lengths[bisect_left(self.places, index)]

    def lines_before(self, index: int) -> int:
        """How many lines are left out before something that starts here in `text`."""
        return self.lines[bisect_right(self.places, index)]
