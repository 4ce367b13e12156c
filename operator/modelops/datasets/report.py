"""The report on a dataset for people: figures, and findings in sentences. It never has contents of examples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

FORM = "dataset-report/v1"


@dataclass
class Report:
    """Grows while the dataset is checked. After a refusal it has everything that was found before the refusal.

    `figures` are plain JSON: counts, shares from 0 to 1, lengths in tokens. `findings` are facts that a person should
    know and that do not stop the training.
    """

    findings: list[str] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)

    def add_finding(self, sentence: str) -> None:
        """Add a sentence for a person; it has no full stop at its end."""
        self.findings.append(sentence)

    def document(self) -> dict[str, Any]:
        """The report as JSON, for `result.json`."""
        return {"form": FORM, **self.figures, "findings": list(self.findings)}

    def text(self) -> str:
        """The report as Markdown, for a terminal and for the dataset card."""
        lines = [f"- {_words(name)}: {_formatted(value)}" for name, value in self.figures.items()]
        findings = [f"- {sentence}" for sentence in self.findings] or ["- nothing"]
        return "\n".join([*lines, "", "Findings:", "", *findings])


def share(part: int, whole: int) -> float:
    """A share from 0 to 1, rounded to three places; 0 where `whole` is 0."""
    return round(part / whole, 3) if whole else 0.0


def _words(name: str) -> str:
    return name.replace("_", " ")


def _formatted(value: Any) -> str:
    if isinstance(value, Mapping):
        parts = (f"{_words(str(key))} {_formatted(inner)}" for key, inner in value.items())
        return ", ".join(parts) or "none"
    if isinstance(value, float):
        return f"{value:.1%}"
    return f"{value:,}" if isinstance(value, int) else str(value)
