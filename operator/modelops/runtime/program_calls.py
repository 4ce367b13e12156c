"""Adds the calls of services that programs report in their results to the operator's metrics, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelops.ports import Json, ProgramOwner, Programs, ProgramSecret, ProgramState
from modelops.runtime.metrics import Metrics
from modelops.service_calls import OUTCOMES


class CountedPrograms:
    """`ports.Programs`, with the calls of each ended run counted under the program's kind as the operation.

    A result that was there when this process saw the program first is not counted: the process before may have done so.
    """

    def __init__(self, programs: Programs, metrics: Metrics) -> None:
        self._programs = programs
        self._metrics = metrics
        self._counted: dict[str, str] = {}
        """By program: the run whose calls were counted last; empty before the first one."""

    async def observe(self, name: str) -> ProgramState | None:
        state = await self._programs.observe(name)
        # A program that waits for its tests of code has ended, and has no result yet.
        calls = (state.progress if state.result is None else state.result).get("calls") if state else None
        run = str(calls.get("run", "")) if isinstance(calls, dict) else ""
        if isinstance(calls, dict) and self._counted.get(name, run) != run:
            self._count(name.partition("-")[0], calls)
        if run or name not in self._counted:
            self._counted[name] = run
        return state

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
        await self._programs.start(name, module, program_input, environment, secrets=secrets, owner=owner)

    async def retry(self, name: str) -> None:
        await self._programs.retry(name)

    async def stop(self, name: str) -> None:
        self._counted.pop(name, None)
        await self._programs.stop(name)

    def _count(self, operation: str, calls: Mapping[str, Any]) -> None:
        for api, found in dict(calls.get("services") or {}).items():
            for outcome in OUTCOMES:
                self._metrics.program_calls(api, operation, outcome, found["outcomes"].get(outcome, 0))
            self._metrics.program_retries(api, operation, found["retries"])
