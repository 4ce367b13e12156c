"""A cluster that was restored without its records: they are made from the statuses of thousands of finished runs.

The event loop must go on meanwhile, because it renews the lease: the limits here are far below the lease's 10 s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from tests.patience import patient
from tests.unit.agentmodel.test_agentmodel_decide import agent_model_state
from tests.unit.training.objects import prepared_status, run_json

from modelops.api.v1alpha1.reading import read
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.agentmodel.bootstrap import first_record, with_statuses
from modelops.domain.digest import identity_digest
from modelops.domain.record_bound import bounded_data
from modelops.engine.cache import ObjectCache
from modelops.engine.queue import Key, KeyedQueue
from modelops.engine.resources import TRAINING_RUNS
from modelops.ports import Json
from modelops.runtime.watches import CacheUpdater

RUNS = 3_000
CONFIG_MAP_LIMIT = 2**20


def finished_run(number: int) -> Json:
    status = {
        **prepared_status(),
        "phase": "Succeeded",
        "reason": "Trained",
        "costUSD": "0.5",
        "finishedAt": "2025-12-09T21:50:00Z",
        "job": {"attempt": 1, "label": f"l{number}", "submissions": 1, "id": f"job-{number}"},
        "model": {"repo": f"org/m-{number}", "revision": "a" * 40, "version": f"v1.{number + 1}.0-rc.1"},
    }
    uid = f"7f3c1c62-0000-4000-8000-{number:012}"
    item = run_json(uid=uid, status=status)
    item["metadata"] |= {"name": f"docs-{number}", "resourceVersion": str(number + 10)}
    return item


def parsed_runs(count: int) -> dict[str, TrainingRun]:
    found = {}
    for number in range(count):
        item = finished_run(number)
        run = read(TrainingRun, item).value
        assert run is not None
        identity = identity_digest(kind="TrainingRun", name=run.metadata.name, spec=item["spec"])
        found[identity] = run
    return found


def test_a_record_of_thousands_of_runs_is_made_in_one_pass_and_fits_into_a_config_map() -> None:
    runs = parsed_runs(RUNS)
    state = agent_model_state(runs=runs, live=True)
    began = time.process_time()
    record = first_record(state)
    assert time.process_time() - began < 3.0
    assert record.completed.keys() == runs.keys()
    assert len(record.history) == RUNS
    assert record.booked(f"{state.now:%Y-%m}") == RUNS * 500_000
    assert with_statuses(replace(state, record=record), record) == record

    bounded = bounded_data(record)
    assert sum(len(text.encode()) for text in bounded.values()) < CONFIG_MAP_LIMIT * 0.95
    kept = type(record).from_data(bounded)
    assert kept.completed.keys() == runs.keys()
    assert kept.booked(f"{state.now:%Y-%m}") == RUNS * 500_000
    assert with_statuses(replace(state, record=kept), kept) == kept


@dataclass
class Pulse:
    """The longest time for which the event loop did not come back to this task, in seconds."""

    longest: float = 0.0


@asynccontextmanager
async def pulse() -> AsyncIterator[Pulse]:
    found, loop = Pulse(), asyncio.get_running_loop()

    async def beat() -> None:
        before = loop.time()
        while True:
            await asyncio.sleep(0)
            found.longest = max(found.longest, loop.time() - before)
            before = loop.time()

    task = asyncio.create_task(beat())
    await asyncio.sleep(0)
    try:
        yield found
    finally:
        task.cancel()


async def test_work_that_never_waits_leaves_the_event_loop_to_others() -> None:
    done: list[Key] = []

    async def work(key: Key) -> None:
        ends = time.perf_counter() + 0.001
        while time.perf_counter() < ends:
            pass
        done.append(key)

    queue = KeyedQueue(work)
    keys = [Key("TrainingRun", "team", f"docs-{number}") for number in range(RUNS)]
    for key in keys:
        queue.add(key)
    async with pulse() as found:
        queue.start()
        assert queue.first_pass_size == queue.first_pass_left == RUNS
        async with asyncio.timeout(patient(60)):
            while queue.first_pass_left:
                await asyncio.sleep(0)
    await queue.close()
    assert done == keys
    assert found.longest < patient(1.0)


async def test_a_list_of_thousands_is_taken_into_the_cache_with_pauses() -> None:
    cache = ObjectCache(monotonic=time.monotonic)
    heard: list[str] = []

    def listener(_resource: object, item: Json, _before: Json | None) -> None:
        ends = time.perf_counter() + 0.001
        while time.perf_counter() < ends:
            pass
        heard.append(item["metadata"]["name"])

    cache.listen(listener)
    updater = CacheUpdater(cache, TRAINING_RUNS, None, {})
    items = [finished_run(number) for number in range(RUNS)]
    async with pulse() as found:
        await updater.listed(items, str(RUNS + 100))
    assert len(cache) == len(heard) == RUNS
    assert cache.synced([updater.name])
    assert found.longest < patient(1.5)
    await updater.listed(items[1:], str(RUNS + 200))
    assert len(cache) == RUNS - 1
