"""A healthy hour for the alerts: what Prometheus has scraped at the end of a real run, carried on by promtool.

Counters go on as in the last seconds, times that moved go on with the clock, and everything else keeps its value. So an
alert that only waits long enough, such as for the age of something, shows itself.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.prometheus.programs import Programs
from tests.prometheus.server import ALERTS, Series

MINUTES = 60
_COUNTER = re.compile(r"_(total|count|sum|bucket)$")
_TIME = re.compile(r"_timestamp_seconds$|_time_seconds$")


def firing_alerts(
    programs: Programs, folder: Path, series: Sequence[Series], *, now: float, changed: dict[str, float]
) -> list[str]:
    """Names of the alerts that fire within the hour. `changed`: metrics that have another value all the time.

    `series`: of the last seconds before `now` (Unix). promtool's clock begins at 0, so times are moved by `now`.
    """
    case = {
        "interval": "1m",
        "input_series": [_input(one, now=now, changed=changed) for one in series],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname) (count_over_time(ALERTS{{alertstate="firing"}}[{MINUTES}m]))',
                "eval_time": f"{MINUTES}m",
                "exp_samples": [],
            }
        ],
    }
    file = folder / "healthy_hour.json"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [case]}))
    done = subprocess.run([programs.promtool, "test", "rules", file], capture_output=True, text=True)
    output = done.stdout + done.stderr
    found = sorted(set(re.findall(r'alertname="(\w+)"', output)))
    assert done.returncode == 0 or found, output[-2000:]
    return found


def _input(series: Series, *, now: float, changed: dict[str, float]) -> dict[str, Any]:
    name = series.labels["__name__"]
    labels = ",".join(
        f"{key}={json.dumps(value)}" for key, value in series.labels.items() if key != "__name__"
    )
    (began, first), (ended, last) = series.points[0], series.points[-1]
    each_minute = 0.0
    if name in changed:
        last = changed[name]
    elif _TIME.search(name):
        each_minute = 60.0 if last > first else 0.0
        last -= now
    elif _COUNTER.search(name) and ended > began:
        each_minute = max(0.0, last - first) / (ended - began) * 60
    return {"series": f"{name}{{{labels}}}", "values": f"{last!r}+{each_minute!r}x{MINUTES}"}
