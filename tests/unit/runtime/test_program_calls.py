"""The calls that a program reports in its result are in the operator's metrics once, whoever runs the program."""

from __future__ import annotations

from typing import Any

from modelops.ports import ProgramState
from modelops.runtime.metrics import Metrics
from modelops.runtime.program_calls import CountedPrograms
from modelops.service_calls import OK, UNAVAILABLE, ServiceCalls

NAME = "dataset-0a1b"
RUNNING = ProgramState(running=True)


class Programs:
    """Programs that are in the state that the test sets."""

    state: ProgramState | None = None

    async def observe(self, name: str) -> ProgramState | None:
        return self.state

    async def start(self, *_: Any, **__: Any) -> None: ...

    async def retry(self, name: str) -> None: ...

    async def stop(self, name: str) -> None: ...


class Bench:
    """An operator's process, as it starts."""

    def __init__(self) -> None:
        self.metrics, self.inner = Metrics(), Programs()
        self.programs = CountedPrograms(self.inner, self.metrics)

    async def observe(self, state: ProgramState | None) -> None:
        self.inner.state = state
        assert await self.programs.observe(NAME) is state

    def value(self, name: str, **labels: str) -> float | None:
        found = {"api": "langsmith", "operation": "dataset", **labels}
        return self.metrics.registry.get_sample_value(f"modelops_external_{name}", found)

    @property
    def calls(self) -> tuple[float | None, float | None, float | None]:
        outcomes = (self.value("calls_total", outcome=outcome) for outcome in ("ok", "Unavailable"))
        return (*outcomes, self.value("retries_total"))


def ended(*, ok: bool = True) -> ProgramState:
    """A program that ended after three calls, of which one was made again twice."""
    counted = ServiceCalls()
    counted.add("langsmith", OK)
    counted.add("langsmith", OK if ok else UNAVAILABLE, failed_before=2)
    return ProgramState(result={"ok": ok, "transient": not ok, "calls": counted.document()})


async def test_the_calls_of_a_result_are_counted_once() -> None:
    bench = Bench()
    result = ended()
    for state in (None, RUNNING, result, result):
        await bench.observe(state)
    assert bench.calls == (2, 2, 2)


async def test_each_run_after_an_outage_is_counted() -> None:
    bench = Bench()
    for state in (None, ended(ok=False), RUNNING, ended()):
        await bench.observe(state)
    assert bench.calls == (3, 5, 4)


async def test_what_the_process_before_has_counted_is_not_counted_again() -> None:
    bench = Bench()
    await bench.observe(ended())
    assert bench.calls == (None, None, None)
    await bench.observe(RUNNING)
    await bench.observe(ended())
    assert bench.calls == (2, 2, 2)


async def test_a_program_without_such_a_report_counts_nothing() -> None:
    bench = Bench()
    for state in (RUNNING, ProgramState(result={"ok": False, "reason": "ProgramDied", "message": ""})):
        await bench.observe(state)
    assert bench.calls == (None, None, None)
