"""The dataset and evaluation programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from modelops.ports.kubernetes import Json


@dataclass(frozen=True, kw_only=True)
class ProgramState:
    """A dataset or evaluation program: running, finished with a result, or stopped without one."""

    running: bool = False
    progress: Json = field(default_factory=dict)
    result: Json | None = None


class Programs(Protocol):
    """Dataset and evaluation programs. They are local processes that outlive the operator and can resume."""

    async def observe(self, name: str) -> ProgramState | None:
        """The state of the program; None where it was never started."""

    async def start(
        self, name: str, module: str, program_input: Json, environment: Mapping[str, str]
    ) -> None:
        """Starts the program. A program that died starts again and resumes in its folder."""

    async def retry(self, name: str) -> None:
        """Removes a result that is marked transient, so that `start` runs the program again. Its journal stays."""

    async def stop(self, name: str) -> None:
        """Ends the program and removes its folder."""
