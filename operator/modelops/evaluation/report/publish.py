"""Puts the report beside the candidate's training data, in the private repository that was made for that."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from modelops.evaluation.report.content import Report
from modelops.evaluation.report.html import html
from modelops.evaluation.report.interval_picture import interval_picture
from modelops.evaluation.report.markdown import PICTURE, markdown
from modelops.evaluation.request import Request
from modelops.trainers.hub_repository import HubRefused, HubSilent, Repository

if TYPE_CHECKING:
    from huggingface_hub import HfApi

FOLDER = "evaluations"
"""The folder of all evaluations in a data repository; the model card links to it."""
RETRY_SECONDS = 45.0


def publish_report(report: Report, request: Request) -> dict[str, str]:
    """Commit the report unless it is there; returns keys of `result.json`.

    `report_url` is the page on the Hub. Without it, `unpublished` says why there is none; it is empty where the
    candidate has no data repository. The verdict does not need the report, so no failure ends the evaluation.
    """
    repo = request.training_dataset.repo
    if not repo or not os.environ.get("HF_TOKEN"):
        return {}
    from huggingface_hub import HfApi

    api = HfApi(endpoint=os.environ.get("HF_ENDPOINT"), token=os.environ["HF_TOKEN"])
    try:
        return {"report_url": _publish(api, repo, report, request)}
    except (HubRefused, HubSilent, _NotPrivateError) as error:
        return {"unpublished": f"the report was not published: {error}"}


class _NotPrivateError(Exception):
    """The repository can be read by others, and a report has examples in it."""


def _publish(api: HfApi, repo: str, report: Report, request: Request) -> str:
    target = Repository(api, repo, repo_type="dataset", retry_seconds=RETRY_SECONDS)
    if not target.retry(lambda: (api.repo_info(repo, repo_type="dataset").private,))[0]:
        raise _NotPrivateError(f"dataset repository {repo} is public, and the report has examples in it")
    folder = f"{FOLDER}/{request.rollout}"
    page = f"{folder}/report.md"
    content = markdown(report).encode()
    target.commit(
        {
            page: content,
            f"{folder}/report.html": html(report).encode(),
            f"{folder}/{PICTURE}": interval_picture(report).encode(),
        },
        title=f"Evaluation of {request.arms.candidate.version}: {report.verdict.value}",
        is_committed=lambda head: target.read_once(page, revision=head) == content,
    )
    return f"{api.endpoint}/datasets/{repo}/blob/main/{page}"
