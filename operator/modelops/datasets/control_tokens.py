"""Control tokens of the base model in the texts of examples, such as `<|im_end|>` in a question about chat templates.

The training job reads them as text (`trainers/trl_tokens.py`). A server may not: there a question with such a token
ends a message. So a person should know of them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from modelops.datasets.example_fields import field_with
from modelops.datasets.rendering import RenderedExample
from modelops.datasets.report import Report
from modelops.grammar import counted, verb

_SHOWN = 5


class ControlTokens:
    """Finds the control tokens that a `tokenizer.json` names; without such a file it finds none."""

    def __init__(self, tokenizer: Path | None = None) -> None:
        texts = sorted(_control_tokens(tokenizer), key=lambda text: (-len(text), text))
        self._pattern = re.compile("|".join(map(re.escape, texts))) if texts else None
        self._examples: dict[str, str] = {}
        """Id of each example with a control token, and for the first of them the token and its field."""

    def look_at(self, one: RenderedExample) -> None:
        """Note whether the example contains a control token."""
        found = self._pattern.search(one.text) if self._pattern else None
        if found is None or one.example.id in self._examples:
            return
        token, place = found.group(), ""
        if len(self._examples) < _SHOWN:
            place = f"{token} in {field_with(one.example, lambda text: token in text)}"
        self._examples[one.example.id] = place

    def report(self, report: Report) -> None:
        """Add a finding where examples contain control tokens."""
        count = len(self._examples)
        if not count:
            return
        first = "; ".join(f"{example}: {place}" for example, place in list(self._examples.items())[:_SHOWN])
        report.figures["control_tokens"] = count
        more = "; and more" if count > _SHOWN else ""
        report.add_finding(
            f"{counted(count, 'example')} {verb(count, 'contains', 'contain')} control tokens of the base model "
            f"({first}{more}); the training reads them as text, but a server may end a message there"
        )


def _control_tokens(tokenizer: Path | None) -> set[str]:
    """Tokens of one character are left out: they are letters to most readers, and to most templates."""
    if tokenizer is None:
        return set()
    try:
        added: Any = json.loads(tokenizer.read_text(encoding="utf-8"))["added_tokens"]
        return {str(one["content"]) for one in added if one.get("special") and len(str(one["content"])) > 1}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()
