"""The dataset card: README.md of the dataset repository. It shows the report."""

from __future__ import annotations

from modelops.datasets.download import DatasetVersion
from modelops.datasets.files import TEST, TRAIN, DatasetFiles
from modelops.datasets.report import Report
from modelops.datasets.request import Request


def dataset_card(request: Request, version: DatasetVersion, files: DatasetFiles, report: Report) -> bytes:
    """Markdown that begins with the metadata block that the Hub reads."""
    base = f" Base model `{request.base_model.repo}`." if request.base_model else ""
    return (
        "---\nconfigs:\n- config_name: default\n  data_files:\n"
        f"  - split: train\n    path: {TRAIN}\n  - split: test\n    path: {TEST}\ntags:\n- modelops\n---\n"
        f"# Training data of {request.agent}\n\n"
        f"Made by ModelOps run `{request.run}` from LangSmith dataset `{version.dataset_id}` as of "
        f"`{version.as_of}`, for `{request.method}`.{base} Digest `{files.digest}`.\n\n"
        "Keep this repository private: it holds the questions that the agent was asked and its answers.\n\n"
        f"## Report\n\n{report.text()}\n"
    ).encode()
