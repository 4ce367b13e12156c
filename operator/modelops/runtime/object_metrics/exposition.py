"""Writes samples in Prometheus' text format (version 0.0.4), about ten times as fast as prometheus_client does.

https://prometheus.io/docs/instrumenting/exposition_formats
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal


@dataclass(frozen=True, eq=False)
class Family:
    """One metric: its name, type and labels, without `le` of a histogram. Counters end in `_total`."""

    name: str
    type: Literal["gauge", "counter", "histogram"]
    labels: tuple[str, ...]
    help: str


@lru_cache(maxsize=8192)
def label(name: str, value: str) -> str:
    """One label with its value, escaped."""
    escaped = value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'{name}="{escaped}"'


class Exposition:
    """Samples by family. `labels` is what `label` returns, joined with commas, in any order."""

    def __init__(self) -> None:
        self._samples: dict[Family, list[str]] = defaultdict(list)

    def add(self, family: Family, labels: str, value: float) -> None:
        """Adds a sample."""
        self._samples[family].append(f"{family.name}{{{labels}}} {value!r}")

    def add_histogram(
        self, family: Family, labels: str, *, bounds: tuple[int, ...], counts: list[int], total: int
    ) -> None:
        """Adds a histogram. `counts` has one entry for each bound, and one for larger values."""
        samples, below = self._samples[family], 0
        for bound, count in zip((*map(str, bounds), "+Inf"), counts, strict=True):
            below += count
            samples.append(f'{family.name}_bucket{{{labels},le="{bound}"}} {below}')
        samples.append(f"{family.name}_sum{{{labels}}} {total}")
        samples.append(f"{family.name}_count{{{labels}}} {below}")

    def render(self) -> bytes:
        """The text, each family with its help and type."""
        lines: list[str] = []
        for family, samples in self._samples.items():
            lines += (
                f"# HELP {family.name} {family.help}",
                f"# TYPE {family.name} {family.type}",
                *samples,
            )
        return "\n".join([*lines, ""]).encode()
