"""The dataset program, read top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import Any

from modelops.datasets.card import card
from modelops.datasets.checks import find_outliers, refuse_few_pairs, refuse_sensitive, without_long
from modelops.datasets.choosing import Row, distinct, preferences
from modelops.datasets.clusters import Clusters, split
from modelops.datasets.examples import Holdings
from modelops.datasets.feedback import scores
from modelops.datasets.files import CARD, Bundle, bundle
from modelops.datasets.hub_facts import tokenizer_file
from modelops.datasets.leakage import check_overlap
from modelops.datasets.lengths import Counter, Estimate, ModelTokenizer
from modelops.datasets.licensing import check_licences
from modelops.datasets.production import compare
from modelops.datasets.refusals import named
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.rows import Candidates, candidates
from modelops.datasets.source import Version, journal
from modelops.datasets.spool import Spool
from modelops.datasets.upload import upload
from modelops.workdir import ProgramFailure, WorkDir


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A dataset that may be trained on, in the work folder."""

    version: Version
    bundle: Bundle
    train: int
    test: int


def prepare(work: WorkDir) -> dict[str, Any]:
    """Read, check, render, split, upload; returns what `result.json` says of it. Raises ProgramFailure."""
    request, report = Request.of(work.input()), Report()
    found = check(work, request, report)
    result = {
        "rows": found.train + found.test,
        "train": found.train,
        "test": found.test,
        "digest": found.bundle.digest,
        "prompt_digest": found.bundle.lineage["prompt"],
        "dataset_id": found.version.dataset_id,
        "as_of": found.version.as_of,
        "findings": list(report.findings),
        "report": report.document(),
        **{key: found.bundle.lineage[key] for key in ("tokens", "p99_tokens", "max_tokens")},
    }
    if request.hub is None:
        return result
    work.progress("uploading", done=found.train + found.test, total=found.train + found.test)
    files = {**found.bundle.files, CARD: card(request, found.version, found.bundle, report)}
    revision = upload(files, digest=found.bundle.digest, repo=request.hub.repo)
    return {**result, "repo": request.hub.repo, "revision": revision}


def check(work: WorkDir, request: Request, report: Report) -> Checked:
    """Everything but the upload. The report grows, so that it says what was seen before a refusal, too.

    Raises ProgramFailure.
    """
    work.progress("reading")
    source = request.langsmith
    found = journal(work, "source", source.dataset, as_of=source.as_of, splits=source.splits)
    version = found.version
    report.figures |= {"dataset": version.name, "as_of": version.as_of, "method": request.method}
    report.figures["examples"] = version.count
    check_licences(request, version, report=report)
    counter = _counter(work, request, report)
    work.progress("checking", total=version.count)
    with Spool(work.folder / "rendered.jsonl") as spool:
        made = candidates(found, request, counter=counter, spool=spool, report=report)
        refuse_sensitive(made.sensitive, request=request, name=version.name, report=report)
        rows = _rows(work, made, request=request, version=version, report=report)
        rows = without_long(rows, request=request, name=version.name, report=report)
        _check_number(rows, request=request, version=version, report=report)
        clusters = Clusters(rows, made.shingles, group_key=request.group_key)
        _check_key(rows, request=request, version=version)
        if request.evaluation_dataset:
            index = clusters.index(range(len(rows)))
            check_overlap(work, request.evaluation_dataset, rows, index, dataset=version.name, report=report)
        train, test = split(
            rows, clusters, request=request, dataset=named(request, version.name), report=report
        )
        packed = bundle(
            work,
            request,
            version,
            spool,
            train=[rows[number] for number in train],
            test=[rows[number] for number in test],
            near=clusters.index(train).document(),
            holdings=Holdings(made.kept),
            slack=counter.slack,
            tools=bool(made.trained.tools),
        )
    _say(rows, made, packed, counter=counter, report=report)
    report.figures |= {"train": len(train), "test": len(test)}
    if request.project:
        compare(request.project, made.trained, report)
    return Checked(version=version, bundle=packed, train=len(train), test=len(test))


def _counter(work: WorkDir, request: Request, report: Report) -> Counter:
    if request.base_model is None:
        return Estimate()
    repo = request.base_model.repo
    file = tokenizer_file(work, repo)
    if file is None:
        report.find(f"lengths are estimated: {repo} has no tokenizer.json on the Hub that can be read")
        return Estimate()
    try:
        return ModelTokenizer(file, repo=repo, limit=request.max_seq_length)
    except ValueError as error:
        report.find(f"lengths are estimated: {error}")
        return Estimate()


def _rows(
    work: WorkDir, made: Candidates, *, request: Request, version: Version, report: Report
) -> list[Row]:
    if request.method == "sft":
        return distinct(made.kept, report=report)
    found = scores(work, [one.source_run for one in made.kept], key=request.feedback_key, report=report)
    pairs = preferences(made.kept, scores=found, report=report)
    refuse_few_pairs(pairs, request=request, name=version.name, examples=version.count)
    return pairs


def _check_number(rows: list[Row], *, request: Request, version: Version, report: Report) -> None:
    usable, needed = len(rows), request.min_examples
    if usable >= needed:
        return
    why = f" ({'; '.join(report.findings)})" if report.findings else ""
    raise ProgramFailure(
        "DatasetTooSmall",
        f"dataset {version.name!r} has {usable} usable examples of {version.count}{why}; "
        f"{needed} are needed: add at least {needed - usable}",
    )


def _check_key(rows: list[Row], *, request: Request, version: Version) -> None:
    if request.group_key and all(row.better.key is None for row in rows):
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"none of the {len(rows)} usable examples of {named(request, version.name)} has "
            f"spec.dataset.groupKey {request.group_key!r} in its inputs or metadata, the first being "
            f"{rows[0].id}; correct the path, or leave it out",
        )


def _say(rows: list[Row], made: Candidates, packed: Bundle, *, counter: Counter, report: Report) -> None:
    find_outliers(rows, report=report)
    made.labels.say(report)
    report.figures["tokens"] = {
        "counted_by": counter.how,
        "trained_in_an_epoch": packed.lineage["tokens"],
        "median": round(median(row.longest for row in rows)),
        "p99": packed.lineage["p99_tokens"],
        "longest": max(row.longest for row in rows),
        "max_length": packed.lineage["max_tokens"],
    }
