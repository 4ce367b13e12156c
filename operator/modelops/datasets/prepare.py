"""The dataset program from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from modelops.datasets.card import dataset_card
from modelops.datasets.checks import (
    leave_out_long_rows,
    refuse_few_pairs,
    report_outliers,
)
from modelops.datasets.control_tokens import ControlTokens
from modelops.datasets.download import DatasetVersion, download_dataset
from modelops.datasets.exact_lengths import count_rows_that_may_be_long
from modelops.datasets.example_ids import ExampleIds
from modelops.datasets.feedback import read_feedback_scores
from modelops.datasets.files import CARD, DatasetFiles, write_files
from modelops.datasets.hub_models import TemplateFiles, download_template_files, download_tokenizer
from modelops.datasets.leakage import check_overlap
from modelops.datasets.lengths import ModelTokenizer, TokenCounter, TokenEstimate
from modelops.datasets.licensing import check_licences
from modelops.datasets.line_file import LineFile
from modelops.datasets.normalised_prompts import instruction_words
from modelops.datasets.production import compare_with_production
from modelops.datasets.rendered_dataset import RenderedDataset, render_dataset
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.row_groups import RowGroups, split_by_groups
from modelops.datasets.template_check import TemplateCheck
from modelops.datasets.training_rows import Row, build_preference_pairs, deduplicate
from modelops.datasets.upload import upload
from modelops.grammar import counted, verb
from modelops.workdir import ProgramFailure, WorkDir


@dataclass(frozen=True, kw_only=True)
class CheckedDataset:
    """A dataset that passed all checks, in the work folder. `train` and `test` are numbers of rows."""

    version: DatasetVersion
    files: DatasetFiles
    train: int
    test: int


def prepare_dataset(work: WorkDir) -> dict[str, Any]:
    """Read, check, render, split and upload the dataset; returns the content of `result.json`.

    Raises ProgramFailure.
    """
    request, report = Request.of(work.input()), Report()
    checked = check_dataset(work, request, report)
    rows, lineage = checked.train + checked.test, checked.files.lineage
    result = {
        "rows": rows,
        "train": checked.train,
        "test": checked.test,
        "digest": checked.files.digest,
        "prompt_digest": lineage["prompt"],
        "dataset_id": checked.version.dataset_id,
        "as_of": checked.version.as_of,
        "findings": list(report.findings),
        "report": report.document(),
        **{key: lineage[key] for key in ("tokens", "p99_tokens", "max_tokens")},
    }
    if request.hub is None:
        return result
    work.progress("uploading", done=rows, total=rows)
    files = {**checked.files.files, CARD: dataset_card(request, checked.version, checked.files, report)}
    revision = upload(files, digest=checked.files.digest, repo=request.hub.repo)
    return {**result, "repo": request.hub.repo, "revision": revision}


def check_dataset(work: WorkDir, request: Request, report: Report) -> CheckedDataset:
    """Do everything except for the upload.

    The report grows step by step, so that after a refusal it has the findings until then. Raises ProgramFailure.
    """
    work.progress("reading")
    source = request.langsmith
    downloaded = download_dataset(work, "source", source.dataset, as_of=source.as_of, splits=source.splits)
    version = downloaded.version
    report.figures |= {"dataset": version.name, "as_of": version.as_of, "method": request.method}
    report.figures["examples"] = version.count
    check_licences(request, version, report=report)
    tokenizer = download_tokenizer(work, request.base_model.repo) if request.base_model else None
    counter = _token_counter(tokenizer, request, report)
    template = download_template_files(work, request.base_model.repo) if request.base_model else None
    work.progress("checking", total=version.count)
    with LineFile(work.folder / "rendered.jsonl") as file:
        rendered = render_dataset(
            downloaded,
            request,
            counter=counter,
            control_tokens=ControlTokens(tokenizer),
            template_check=TemplateCheck(template, eos=request.prompt.eos or ""),
            file=file,
            report=report,
        )
        rendered.sensitive.refuse_or_report(request=request, name=version.name, report=report)
        _refuse_tools_without_template(rendered, template, request=request, version=version)
        rendered.template_check.refuse_or_report(request=request, name=version.name, report=report)
        rows = _training_rows(work, rendered, request=request, version=version, report=report)
        rows = count_rows_that_may_be_long(rows, limit=request.max_seq_length, counter=counter, file=file)
        rows = leave_out_long_rows(rows, request=request, name=version.name, report=report)
        _refuse_few_rows(rows, request=request, version=version, report=report)
        groups = RowGroups(
            rows,
            rendered.shingles,
            group_key=request.group_key,
            instructions=instruction_words(request.prompt),
        )
        _refuse_unknown_group_key(rows, request=request, version=version)
        if request.evaluation_dataset:
            index = groups.index(range(len(rows)))
            check_overlap(work, request, rows, index, dataset=version.name, report=report)
        dataset = request.describe_dataset(version.name)
        train, test = split_by_groups(rows, groups, request=request, dataset=dataset, report=report)
        files = write_files(
            work,
            request,
            version,
            file,
            train=[rows[number] for number in train],
            test=[rows[number] for number in test],
            near=groups.index(train).document(),
            example_ids=ExampleIds(rendered.completions),
            slack=counter.slack,
            tools=bool(rendered.tool_users),
        )
    _report_lengths_and_labels(rows, rendered, files, counter=counter, report=report)
    report.figures |= {"train": len(train), "test": len(test)}
    if request.project:
        compare_with_production(request.project, rendered.prompts, report)
    return CheckedDataset(version=version, files=files, train=len(train), test=len(test))


def _token_counter(file: Path | None, request: Request, report: Report) -> TokenCounter:
    if request.base_model is None:
        return TokenEstimate()
    repo = request.base_model.repo
    if file is None:
        report.add_finding(f"lengths are estimated: {repo} has no tokenizer.json on the Hub that can be read")
        return TokenEstimate()
    try:
        return ModelTokenizer(file, repo=repo, limit=request.max_seq_length)
    except ValueError as error:
        report.add_finding(f"lengths are estimated: {error}")
        return TokenEstimate()


def _refuse_tools_without_template(
    rendered: RenderedDataset, template: TemplateFiles | None, *, request: Request, version: DatasetVersion
) -> None:
    """The training job gives a model without a template one that has no place for tools (`trainers/trl_tokens.py`)."""
    users = rendered.tool_users
    if users and request.base_model is not None and template is not None and template.lack_template:
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"{counted(len(users), 'example')} of {request.describe_dataset(version.name)} "
            f"{verb(len(users), 'uses', 'use')} tools; the first is {users[0]}. Base model {request.base_model.repo} "
            "has no chat template, so it cannot learn to call them: choose its -Instruct sibling",
        )


def _training_rows(
    work: WorkDir, rendered: RenderedDataset, *, request: Request, version: DatasetVersion, report: Report
) -> list[Row]:
    if request.method == "sft":
        return deduplicate(rendered.completions, report=report)
    runs = [one.source_run for one in rendered.completions]
    scores = read_feedback_scores(work, runs, key=request.feedback_key, report=report)
    pairs = build_preference_pairs(rendered.completions, scores=scores, report=report)
    refuse_few_pairs(pairs, request=request, name=version.name, examples=version.count)
    return pairs


def _refuse_few_rows(rows: list[Row], *, request: Request, version: DatasetVersion, report: Report) -> None:
    usable, needed = len(rows), request.min_examples
    if usable >= needed:
        return
    reason = f" ({'; '.join(report.findings)})" if report.findings else ""
    raise ProgramFailure(
        "DatasetTooSmall",
        f"dataset {version.name!r} has {counted(usable, 'usable example')} of {version.count}{reason}; "
        f"{needed} are needed: add at least {needed - usable}",
    )


def _refuse_unknown_group_key(rows: list[Row], *, request: Request, version: DatasetVersion) -> None:
    if request.group_key and all(row.better.group_value is None for row in rows):
        raise ProgramFailure(
            "DatasetShapeInvalid",
            f"none of the {counted(len(rows), 'usable example')} of {request.describe_dataset(version.name)} has "
            f"spec.dataset.groupKey {request.group_key!r} in its inputs or metadata; the first is {rows[0].id}. "
            "Correct the path, or leave it out",
        )


def _report_lengths_and_labels(
    rows: list[Row], rendered: RenderedDataset, files: DatasetFiles, *, counter: TokenCounter, report: Report
) -> None:
    report_outliers(rows, report=report)
    rendered.control_tokens.report(report)
    rendered.labels.report_balance(report)
    report.figures["tokens"] = {
        "counted_by": counter.description,
        "trained_in_an_epoch": files.lineage["tokens"],
        "median": round(median(row.longest for row in rows)),
        "p99": files.lineage["p99_tokens"],
        "longest": max(row.longest for row in rows),
        "max_length": files.lineage["max_tokens"],
    }
