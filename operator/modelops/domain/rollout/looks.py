"""How often a version of the evaluation dataset was looked at, and with which choices.

Each further look makes it more likely that a candidate passes by luck, and a margin or a number of examples that is
chosen after a result was seen proves little.
"""

from __future__ import annotations

from typing import Final

from modelops.domain.record import Record

MOST_LOOKS: Final = 5
"""Candidates that may be evaluated on one version of a dataset before fresh examples are asked for."""


def look_findings(record: Record, dataset_version: str, choices: str) -> tuple[str, ...]:
    """What earlier evaluations on this version of the dataset mean for the next one with these choices."""
    findings = []
    earlier = record.evaluation_choices.get(dataset_version)
    if earlier is not None and earlier != choices:
        findings.append(
            f"this evaluation has {choices}; the first one on the same version of the dataset had {earlier}: choices "
            "that are made after a result was seen prove little, so confirm them on fresh examples"
        )
    looks = looks_with_next(record, dataset_version)
    if looks > MOST_LOOKS:
        findings.append(
            f"this is candidate {looks} on the same version of the dataset, and one of so many can pass by luck: add "
            "fresh examples to the dataset"
        )
    return tuple(findings)


def looks_with_next(record: Record, dataset_version: str) -> int:
    """The number of candidates on this version of the dataset, the next one included."""
    return record.candidates_compared.get(dataset_version, 0) + 1
