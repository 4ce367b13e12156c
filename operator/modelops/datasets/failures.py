"""Turns an agent's failed production runs into a LangSmith dataset that people correct.

A run has failed if it has an error, or feedback below one half. Its example has `metadata.success: false`. Until
somebody corrects its answer and sets that to true, `sft` does not learn from it, and `dpo` takes it as a rejected one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from langsmith import Client
from langsmith.utils import LangSmithConflictError

from modelops.adapters.langsmith.errors import NotFound, translated_errors
from modelops.adapters.langsmith.runs import LoggedRun, list_runs
from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.datasets.sensitive import find_sensitive

PASSED: Final = 0.5
"""Feedback below it is a failure: a thumb down is 0, and most scores are from 0 to 1."""
MOST_RUNS: Final = 20_000
"""Runs that are looked at, the newest first."""
REQUEST: Final = "modelops_request"
"""Key in the metadata of a dataset that was made for a request."""
_BATCH: Final = 200


class CollectionRefused(Exception):
    """There is nothing to collect, or the dataset exists. The message says what to do."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A failed run. `why` is its error, or the feedback that it got; it comes from production, so it is only data."""

    run_id: str
    inputs: dict[str, Any]
    outputs: dict[str, Any]
    why: str
    at: datetime | None


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What was found. `sensitive` counts the failures that were left out, by what they contain.

    `looked_at`: number of runs; `repeated`: failures with inputs that another one has.
    """

    failures: tuple[Failure, ...]
    sensitive: dict[SensitiveKind, int]
    looked_at: int
    repeated: int


def collect_failures(
    client: Client,
    project: str,
    *,
    since: datetime,
    limit: int,
    until: datetime | None = None,
    feedback_key: str | None = None,
    allowed: Collection[SensitiveKind] = (),
) -> Collected:
    """The project's failed runs since then, the newest first, without secrets and personal data unless `allowed`.

    `until`: runs that started later are not looked at. `feedback_key`: only this feedback counts; None for any.

    Raises:
        CollectionRefused: LangSmith has no such project.
        LangSmithError: LangSmith refused, or did not answer.
    """
    kept: list[Failure] = []
    sensitive: Counter[SensitiveKind] = Counter()
    seen: set[str] = set()
    looked_at = repeated = 0
    for run in root_runs(client, project, since=since):
        if until is not None and run.started > until:
            continue
        looked_at += 1
        failure = _failure_of(run, feedback_key)
        if failure is None:
            continue
        inputs = json.dumps(failure.inputs, sort_keys=True, default=str)
        if inputs in seen:
            repeated += 1
            continue
        seen.add(inputs)
        found = find_sensitive(f"{inputs}\n{json.dumps(failure.outputs, default=str)}\n{failure.why}")
        if refused := found - set(allowed):
            sensitive.update(refused)
            continue
        kept.append(failure)
        if len(kept) >= limit:
            break
    return Collected(failures=tuple(kept), sensitive=dict(sensitive), looked_at=looked_at, repeated=repeated)


def create_dataset(
    client: Client, name: str, *, agent: str, project: str, failures: Sequence[Failure], key: str = ""
) -> str:
    """Store the failures as a new dataset; returns its id.

    `key`: names the request. A second call with the same one returns the dataset that the first one has made.

    Raises:
        CollectionRefused: there are none, or a dataset of that name exists.
        LangSmithError: LangSmith refused, or did not answer; a dataset that is not complete is deleted.
    """
    if not failures:
        raise CollectionRefused("there is no failure to store")
    with translated_errors(doing=f"creating dataset {name!r}", url=client.api_url):
        try:
            dataset = client.create_dataset(
                name,
                description=f"Failures of agent {agent} in project {project}, to be corrected",
                metadata={"agent": agent, **({REQUEST: key} if key else {})},
            )
        except LangSmithConflictError:
            known = client.read_dataset(dataset_name=name)
            if key and (known.metadata or {}).get(REQUEST) == key and known.example_count == len(failures):
                return str(known.id)
            raise CollectionRefused(f"LangSmith has a dataset {name!r} already: use another name") from None
        try:
            for batch in _batches(failures):
                client.create_examples(
                    dataset_id=dataset.id, examples=[_example(one, agent) for one in batch]
                )
        except BaseException:
            client.delete_dataset(dataset_id=dataset.id)
            raise
    return str(dataset.id)


def root_runs(client: Client, project: str, *, since: datetime) -> Iterator[LoggedRun]:
    """The project's runs since then that no other run has made, the newest first, at most `MOST_RUNS`.

    Raises CollectionRefused where there is no such project, and LangSmithError.
    """
    try:
        yield from list_runs(client, project, is_root=True, since=since, limit=MOST_RUNS)
    except NotFound:
        raise CollectionRefused(_no_project(project)) from None


def _no_project(project: str) -> str:
    return (
        f"LangSmith has no project {project!r}: it is made with the first run; check spec.langsmith.project of the "
        "AgentModel"
    )


def _failure_of(run: LoggedRun, feedback_key: str | None) -> Failure | None:
    if not run.inputs:
        return None
    why = run.error or _bad_feedback(run.feedback_stats, feedback_key)
    if not why:
        return None
    return Failure(run_id=run.id, inputs=dict(run.inputs), outputs=dict(run.outputs), why=why, at=run.started)


def _bad_feedback(stats: Mapping[str, Any], feedback_key: str | None) -> str:
    for key, values in sorted(stats.items()):
        average = values.get("avg") if isinstance(values, dict) else None
        if feedback_key in (None, key) and isinstance(average, int | float) and average < PASSED:
            return f"feedback {key}: {average:g}"
    return ""


def _example(failure: Failure, agent: str) -> dict[str, Any]:
    return {
        "inputs": failure.inputs,
        "outputs": failure.outputs,
        "metadata": {"agent": agent, "success": False, "run": failure.run_id, "why": failure.why[:500]},
    }


def _batches(failures: Sequence[Failure]) -> Iterable[Sequence[Failure]]:
    for start in range(0, len(failures), _BATCH):
        yield failures[start : start + _BATCH]
