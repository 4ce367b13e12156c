"""A real Prometheus in a folder of its own, on loopback, with the alerts of the chart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.patience import patient
from tests.prometheus.programs import Programs

from modelops.free_port import free_port

ALERTS = Path(__file__).parents[2] / "charts" / "modelops" / "files" / "alerts.yaml"
SCRAPE_SECONDS = 2


@dataclass(frozen=True)
class Series:
    """One series of an answer: its labels, and its points as Unix seconds and values."""

    labels: Mapping[str, str]
    points: tuple[tuple[float, float], ...]


class Prometheus:
    """Asks a running Prometheus."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def query_range(
        self, expr: str, *, start: float, end: float, points: int = 120
    ) -> tuple[Series, ...]:
        """The series of an expression. Raises AssertionError with Prometheus' message for one that it refuses."""
        step = max(1.0, (end - start) / points)
        form = {"query": expr, "start": str(start), "end": str(end), "step": str(step)}
        result = (await self._ask("query_range", form))["result"]
        return tuple(
            Series(found["metric"], tuple((float(at), float(value)) for at, value in found["values"]))
            for found in result
        )

    async def healthy_targets(self) -> int:
        """How many targets have been scraped without an error."""
        targets = (await self._ask("targets", None))["activeTargets"]
        return sum(target["health"] == "up" for target in targets)

    async def _ask(self, what: str, form: Mapping[str, str] | None) -> Any:
        method = "GET" if form is None else "POST"
        async with self._session.request(method, f"{self.url}/api/v1/{what}", data=form) as answer:
            body = await answer.json()
        assert body["status"] == "success", f"{form}: {body.get('error')}"
        return body["data"]


@asynccontextmanager
async def running_prometheus(
    programs: Programs, folder: Path, targets: Mapping[str, str], *, scrape_seconds: float = SCRAPE_SECONDS
) -> AsyncIterator[Prometheus]:
    """Prometheus, which scrapes these targets (`host:port` by job) so often, from its readiness to its end."""
    every = f"{scrape_seconds * 1000:.0f}ms"
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "global": {
            "scrape_interval": every,
            "scrape_timeout": every,
            "evaluation_interval": every,
        },
        "rule_files": [str(ALERTS)],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [target]}]} for job, target in targets.items()
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(config))  # JSON is YAML
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            programs.prometheus,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--log.level=warn",
            stdout=log,
            stderr=log,
        )
    try:
        async with aiohttp.ClientSession() as session:
            made = Prometheus(f"http://127.0.0.1:{port}", session)
            await _wait_until_ready(made, session, process, folder / "log")
            yield made
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _wait_until_ready(
    made: Prometheus, session: aiohttp.ClientSession, process: asyncio.subprocess.Process, log: Path
) -> None:
    async with asyncio.timeout(patient(30)):
        while True:
            assert process.returncode is None, log.read_text()
            try:
                async with session.get(f"{made.url}/-/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.1)
