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


@dataclass(frozen=True, kw_only=True)
class ProgramSecret:
    """The secret value of a variable of a program, and the key of a Secret that has it in the owner's namespace.

    `secret` and `key` are empty where no Secret has it; then `value` is empty, too.
    """

    value: str = field(repr=False)
    secret: str = ""
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class ProgramOwner:
    """The object that a program works for. The API server deletes a program's objects after their owner."""

    kind: str
    namespace: str
    name: str
    uid: str


class Programs(Protocol):
    """Dataset and evaluation programs: processes or Jobs that outlive the operator and can resume."""

    async def observe(self, name: str) -> ProgramState | None:
        """The state of the program; None where it was never started."""

    async def start(
        self,
        name: str,
        module: str,
        program_input: Json,
        environment: Mapping[str, str],
        *,
        secrets: Mapping[str, ProgramSecret],
        owner: ProgramOwner,
    ) -> None:
        """Starts the program. A program that died starts again and resumes in its folder.

        `environment` has no secret value. Raises Refused where the program was started with another input.
        """

    async def retry(self, name: str) -> None:
        """Removes a result that is marked transient, so that `start` runs the program again. Its journal stays."""

    async def stop(self, name: str) -> None:
        """Ends the program and removes its folder."""
