"""JSON as a model writes it: any text at all, so reading it never fails in a way that its caller does not expect."""

from __future__ import annotations

import json
from typing import Any


class UnreadableJsonError(ValueError):
    """A text is not JSON that can be read. The message says why."""


def read_json(text: str) -> Any:
    """The value of a JSON text.

    Raises UnreadableJsonError, also for a number of several thousand digits (Python reads 4,300 at most), and for a
    text that is nested more deeply than Python can follow.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UnreadableJsonError(f"not JSON: {error.msg} at character {error.pos}") from error
    except ValueError as error:
        raise UnreadableJsonError(f"JSON with a number that cannot be read: {error}") from error
    except RecursionError as error:
        raise UnreadableJsonError("JSON that is nested too deeply") from error


def same_json(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal. `true` is not the number 1; 1 and 1.0 are the same number."""
    pairs = [(one, other)]
    while pairs:
        a, b = pairs.pop()
        if isinstance(a, dict) and isinstance(b, dict):
            if a.keys() != b.keys():
                return False
            pairs += [(a[key], b[key]) for key in a]
        elif isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                return False
            pairs += zip(a, b, strict=True)
        elif isinstance(a, bool) or isinstance(b, bool):
            if a is not b:
                return False
        elif a != b:
            return False
    return True
