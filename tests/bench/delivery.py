"""The row delivery: many canaries that fail at once, many undos at once, and what many watched canaries cost."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from typing import Final

import psutil
from tests.bench.environment import Environment, wait_until
from tests.bench.fleet import Fleet, running_fleet
from tests.bench.hub_content import add_models
from tests.bench.operators import INSTANT_PROGRAMS, operator
from tests.bench.table import Row, milliseconds, quantile

from modelops.api.v1alpha1.names import record_name
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS
from modelops.ports import Json

SANDBOX: Final = "tests.bench.wide_sandbox"
SECONDS: Final = 900.0
FEW: Final = 40
MANY: Final = int(os.environ.get("MODELOPS_BENCH_ROLLOUTS", "500"))
MODELS: Final = 8
"""Candidates, which the agents share: an upload takes longer than all else here."""
ERRORS: Final = 40
WATCHED_SECONDS: Final = 30.0
FEW_SECONDS, MANY_SECONDS = 0.7, 2.0
CORE_SHARE, MEGABYTES = 0.4, 200
ARGO: Final = "Argo Rollouts 1.9.3, abort -> weight 0 written, 40 at once: p50 3,300 ms (measured before)"
_CHUNK: Final = 20
_WAIT_SECONDS: Final = 300.0


async def measure(env: Environment) -> list[Row]:
    """Rows for 40 and for many breaches at once, for 40 undos at once, and for the cost of watching."""
    names = [f"agent{number}" for number in range(MANY)]
    models = await asyncio.to_thread(add_models, env, 2 * MODELS)
    async with operator(env, module=INSTANT_PROGRAMS) as started:
        await _in_chunks(names, env.add_agent)
        records = {record_name(name) for name in names}
        await wait_until(
            lambda: _exist(env, records), expected="the record of each agent", seconds=_WAIT_SECONDS
        )
        async with running_fleet(names, env=env, report_url=started.addresses["reports"]) as fleet:
            few = names[:FEW]
            await _promote(env, few, models[MODELS:])
            undone = await _undo(env, fleet, few)
            await _watch(env, fleet, names, models[:MODELS])
            cost = await _cost(started.process.pid)
            broken = await _break(env, fleet, few)
            rest = await _break(env, fleet, names[FEW:])
    return [
        _row(f"{FEW} breaches at once -> in effect", broken, FEW_SECONDS, peer=ARGO),
        _row(f"{FEW} undos at once -> in effect", undone, FEW_SECONDS),
        _row(f"{len(rest)} breaches at once -> in effect", rest, MANY_SECONDS),
        Row(
            name=f"{MANY} watched canaries: the operator",
            measured=f"{cost[0]:.0%} of a core, {cost[1]:.0f} MB",
            limit=f"< {CORE_SHARE:.0%}, < {MEGABYTES} MB (1,000)",
            limit_missed=cost[0] >= CORE_SHARE or cost[1] >= MEGABYTES,
            notes=(f"over {WATCHED_SECONDS:.0f} s; each agent has one process, which reports every 5 s",),
        ),
    ]


def _row(name: str, seconds: Sequence[float], limit: float, *, peer: str = "") -> Row:
    return Row(
        name=name,
        measured=milliseconds(seconds),
        limit=f"p99 < {limit * 1000:.0f} ms",
        limit_missed=quantile(seconds, 0.99) >= limit,
        peer=peer,
        notes=(
            "from just before its first failed request, or the request of the undo, until the agent's router uses weight 0",
        ),
    )


async def _in_chunks(names: Sequence[str], act: Callable[[str], object]) -> None:
    """Calls `act` for each name, 20 at a time."""
    for start in range(0, len(names), _CHUNK):
        await asyncio.gather(*(act(name) for name in names[start : start + _CHUNK]))  # type: ignore[call-overload]


async def _exist(env: Environment, names: set[str]) -> bool:
    return names <= {item["metadata"]["name"] for item in await env.items(CONFIG_MAPS)}


async def _promote(env: Environment, names: Sequence[str], models: Sequence[tuple[str, str]]) -> None:
    specs = {
        f"{name}-first": _spec(name, *model, {"immediate": {}})
        for name, model in zip(names, cycle(models), strict=False)
    }
    await _create(env, specs)
    await _until_reason(env, list(specs), "Promoted")


async def _undo(env: Environment, fleet: Fleet, names: Sequence[str]) -> list[float]:
    """All undos at once, by a field of the AgentModel."""
    begun = dict.fromkeys(names, time.time())
    undo = {"to": "v1.0.0", "id": "bench"}
    await asyncio.gather(*(env.edit(AGENT_MODELS, name, undo=undo) for name in names))
    return await _in_effect(fleet, begun)


async def _watch(
    env: Environment, fleet: Fleet, names: Sequence[str], models: Sequence[tuple[str, str]]
) -> None:
    """Every agent has a canary that is watched, with good requests on both tracks."""
    steps = [{"setWeight": 20}, {"pause": {"durationSeconds": 3000}}, {"setWeight": 100}]
    specs = {
        f"{name}-canary": _spec(name, *model, {"canary": {"steps": steps}})
        for name, model in zip(names, cycle(models), strict=False)
    }
    await _create(env, specs)
    await _until_reason(env, list(specs), "Watching")
    await fleet.ask("requests", 200, list(names))


async def _break(env: Environment, fleet: Fleet, names: Sequence[str]) -> list[float]:
    seconds = await _in_effect(fleet, (await fleet.ask("break", ERRORS, list(names)))["began"])
    await _until_reason(env, [f"{name}-canary" for name in names], "ErrorRateBreached")
    return seconds


async def _in_effect(fleet: Fleet, begun: Mapping[str, float]) -> list[float]:
    """Seconds until each agent's router uses weight 0 of a new routing; `begun` has the Unix time of each start."""

    async def all_stable() -> list[float] | None:
        moments = {name: fleet.stable_since(name, at) for name, at in begun.items()}
        return None if None in moments.values() else [at - begun[name] for name, at in moments.items() if at]

    return list(await wait_until(all_stable, expected="every agent on stable", seconds=60))


async def _cost(pid: int) -> tuple[float, float]:
    """The operator's share of a core and its resident memory in MB, once it is settled."""
    process = psutil.Process(pid)
    await asyncio.sleep(10)
    before = process.cpu_times()
    await asyncio.sleep(WATCHED_SECONDS)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return used / WATCHED_SECONDS, process.memory_info().rss / 1e6


async def _create(env: Environment, specs: dict[str, Json]) -> None:
    await _in_chunks(list(specs), lambda name: env.create(ROLLOUTS, name, spec=specs[name]))


async def _until_reason(env: Environment, names: Sequence[str], reason: str) -> None:
    seen: Counter[str] = Counter()

    async def all_there() -> bool:
        nonlocal seen
        of = {
            item["metadata"]["name"]: (item.get("status") or {}).get("reason", "")
            for item in await env.items(ROLLOUTS)
        }
        seen = Counter(of.get(name, "") for name in names)
        await asyncio.sleep(0.5)
        return seen[reason] == len(names)

    try:
        await wait_until(all_there, expected=f"{len(names)} rollouts are {reason}", seconds=_WAIT_SECONDS)
    except TimeoutError as error:
        raise TimeoutError(f"{error}: {dict(seen)}") from error


def _spec(agent: str, repo: str, revision: str, strategy: Json) -> Json:
    return {
        "agentModelRef": {"name": agent},
        "candidate": {"model": {"repo": repo, "revision": revision}},
        "maxUSD": "9",
        "evaluation": {"scorer": {"type": "tokenF1", "threshold": "0.35"}},
        "strategy": strategy,
        "analysis": {"minRequests": 20},
        "progressDeadlineSeconds": 3600,
    }
