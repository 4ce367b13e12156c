"""Statistics of runs and feedback, as `include_stats` and POST /runs/stats return them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from modelops.sandbox.langsmith.database import Database, load_json

Run = dict[str, Any]


def session_statistics(database: Database, session_id: str) -> dict[str, object]:
    """Return the statistics of a project's runs and of its feedback."""
    runs = [
        load_json(row["document"])
        for row in database.rows("SELECT document FROM runs WHERE session_id = ?", session_id)
    ]
    scores = database.rows("SELECT run_id, document FROM feedback WHERE session_id = ?", session_id)
    return {
        **run_statistics(runs),
        "feedback_stats": feedback_statistics(load_json(row["document"]) for row in scores if row["run_id"]),
        "session_feedback_stats": feedback_statistics(
            load_json(row["document"]) for row in scores if not row["run_id"]
        ),
    }


def run_statistics(runs: Sequence[Run]) -> dict[str, object]:
    """Return counts and latencies (seconds) of root runs, and tokens and USD of all runs."""
    roots = [run for run in runs if run.get("parent_run_id") is None]
    latencies = sorted(seconds for run in roots if (seconds := latency(run)) is not None)
    usages = [usage(run) for run in runs]
    return {
        "run_count": len(roots),
        "latency_p50": _percentile(latencies, 0.5),
        "latency_p99": _percentile(latencies, 0.99),
        "error_rate": sum(1 for run in roots if run.get("error")) / len(roots) if roots else None,
        "last_run_start_time": max(
            (run["start_time"] for run in roots if run.get("start_time")), default=None
        ),
        **{
            name: sum(one[name] for one in usages)
            for name in ("prompt_tokens", "completion_tokens", "total_tokens")
        },
        "total_cost": str(sum((one["total_cost"] for one in usages), Decimal(0))),
    }


def feedback_statistics(entries: Iterable[dict[str, Any]]) -> dict[str, object]:
    """Return, by key, the number of entries, the mean score, and how often each value occurs."""
    by_key: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in entries:
        by_key[entry["key"]].append(entry)
    return {key: _summary(entries) for key, entries in by_key.items()}


def latency(run: Run) -> float | None:
    """Return the seconds from start to end; None if the run has not ended."""
    if not run.get("start_time") or not run.get("end_time"):
        return None
    return (
        datetime.fromisoformat(run["end_time"]) - datetime.fromisoformat(run["start_time"])
    ).total_seconds()


def usage(run: Run) -> dict[str, Any]:
    """Return tokens and USD of a model call, from `usage_metadata` in its metadata or outputs; otherwise zero."""
    found: dict[str, Any] = {}
    if run.get("run_type") == "llm":
        metadata = (run.get("extra") or {}).get("metadata") or {}
        found = metadata.get("usage_metadata") or (run.get("outputs") or {}).get("usage_metadata") or {}
    prompt, completion = int(found.get("input_tokens") or 0), int(found.get("output_tokens") or 0)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": int(found.get("total_tokens") or prompt + completion),
        "total_cost": Decimal(str(found.get("total_cost") or 0)),
    }


def _summary(entries: Sequence[dict[str, Any]]) -> dict[str, object]:
    scores = [float(entry["score"]) for entry in entries if entry.get("score") is not None]
    values: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        if isinstance(entry.get("value"), str):
            values[entry["value"]] += 1
    mean = sum(scores) / len(scores) if scores else None
    spread = (
        math.sqrt(sum((score - mean) ** 2 for score in scores) / len(scores)) if mean is not None else None
    )
    return {"n": len(entries), "avg": mean, "stdev": spread, "values": dict(values), "errors": 0}


def _percentile(ordered: Sequence[float], share: float) -> float | None:
    """Return the nearest-rank percentile of sorted values."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
