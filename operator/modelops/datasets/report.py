"""What a person should know about a dataset: figures, and findings in sentences. Contents never appear."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORM = "dataset-report/v1"


@dataclass
class Report:
    """Grows while the dataset is checked; what it says after a refusal is what was seen until then.

    `figures` are plain JSON: counts, shares from 0 to 1, lengths in tokens.
    """

    findings: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def find(self, sentence: str) -> None:
        """Something that a person should know and that does not stop the training."""
        self.findings.append(sentence)

    def document(self) -> dict[str, Any]:
        """As JSON, as it is in `result.json`."""
        return {"form": FORM, **self.figures, "findings": list(self.findings)}

    def text(self) -> str:
        """For a terminal and, as it is, for the dataset's card."""
        lines = [f"- {_words(name)}: {_shown(value)}" for name, value in self.figures.items()]
        found = [f"- {sentence}" for sentence in self.findings] or ["- nothing"]
        return "\n".join([*lines, "", "Findings:", "", *found])


def share(part: int, whole: int) -> float:
    """From 0 to 1, to three places."""
    return round(part / whole, 3) if whole else 0.0


def _words(name: str) -> str:
    return name.replace("_", " ")


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{_words(str(key))} {_shown(inner)}" for key, inner in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)
