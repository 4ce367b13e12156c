"""The dataset's card: README.md of its repository, with the report."""

from __future__ import annotations

from modelops.datasets.files import TEST, TRAIN, Bundle
from modelops.datasets.report import Report
from modelops.datasets.request import Request
from modelops.datasets.source import Version


def card(request: Request, source: Version, packed: Bundle, report: Report) -> bytes:
    """Markdown with the header that the Hub reads."""
    base = f" Base model `{request.base_model.repo}`." if request.base_model else ""
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        f"  - split: train\n    path: {TRAIN}\n  - split: test\n    path: {TEST}\ntags:\n- modelops\n---\n"
        f"# Training data of {request.agent}\n\n"
        f"Made by ModelOps run `{request.run}` from LangSmith dataset `{source.dataset_id}` as of "
        f"`{source.as_of}`, for `{request.method}`.{base} Digest `{packed.digest}`.\n\n"
        "Keep this repository private: it holds what an agent was asked and what it answered.\n\n"
        f"## Report\n\n{report.text()}\n"
    ).encode()
