"""The row chart: `helm template` of the whole chart with all its switches, by Helm 3 and by Helm 4."""

from __future__ import annotations

import asyncio
import time

from tests.bench.environment import Environment
from tests.bench.table import Row
from tests.contract.charts import MONITORING, REQUIRED, SWITCHES, helm_template, merged

from modelops.localcluster.helm import RELEASES, HelmRelease, find_helm

LIMIT_SECONDS = 10.0


async def measure(env: Environment) -> list[Row]:
    """The sum over all sets of values, which are those of the tests."""
    return [await asyncio.to_thread(_measure, release, env) for release in RELEASES.values()]


def _measure(release: HelmRelease, env: Environment) -> Row:
    find_helm(release)  # Its installation is no part of the measurement.
    sets = [*SWITCHES.values(), MONITORING]
    started = time.monotonic()
    for values in sets:
        done = helm_template(release, env.folder, merged(REQUIRED, values))
        if done.returncode:
            raise RuntimeError(done.stderr)
    seconds = time.monotonic() - started
    return Row(
        name=f"chart, helm {release.version}: all switches",
        measured=f"{seconds:.1f} s ({len(sets)} renderings)",
        limit=f"< {LIMIT_SECONDS:.0f} s",
        limit_missed=seconds >= LIMIT_SECONDS,
    )
