"""The examples of a live smoke run: short functions of Python's standard library, in two LangSmith datasets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from modelops.adapters.langsmith.errors import translated_errors
from modelops.datasets.sensitive import find_sensitive
from modelops.demo.stdlib_examples import StdlibExample, read_examples
from modelops.livesmoke.run_file import RunIdentity
from modelops.livesmoke.services import Services

TRAIN, HELD_OUT = 30, 12
_MOST_CHARACTERS: Final = 600
"""Of a task, so that a question has at most about 200 tokens."""


@dataclass(frozen=True)
class Datasets:
    """`ids`: LangSmith's id of the dataset `train` and `held-out`. `tasks`: the held-out tasks, for the agent."""

    ids: dict[str, str]
    tasks: tuple[str, ...]


def create_datasets(services: Services, run: RunIdentity) -> Datasets:
    """Create the two datasets. Raises the errors of ServiceError."""
    read = [
        example
        for example in read_examples(limit=400, held_out=0.3)
        if len(example.task) <= _MOST_CHARACTERS
        and not find_sensitive(f"{example.task}\n{example.docstring}")
    ]
    parts = {
        "train": [example for example in read if example.split == "train"][:TRAIN],
        "held-out": [example for example in read if example.split == "held-out"][:HELD_OUT],
    }
    ids = {part: _create(services, run.dataset(part), run.agent, found) for part, found in parts.items()}
    return Datasets(ids, tuple(example.task for example in parts["held-out"]))


def _create(services: Services, name: str, agent: str, examples: Sequence[StdlibExample]) -> str:
    client = services.langsmith
    with translated_errors(doing=f"creating dataset {name!r}", url=client.api_url):
        dataset = client.create_dataset(name, description="A live smoke run of ModelOps; it may be deleted")
        sent = []
        for example in examples:
            made = dict(example.langsmith())
            sent.append({**made, "metadata": {"agent": agent, "success": True}})
        client.create_examples(dataset_id=dataset.id, examples=sent)
    return str(dataset.id)


def delete_datasets(services: Services, run: RunIdentity) -> list[str]:
    """Delete the run's datasets with their experiments; returns their names. Raises the errors of ServiceError."""
    client, deleted = services.langsmith, []
    for name in dataset_names(services, run):
        with translated_errors(doing=f"deleting dataset {name!r}", url=client.api_url):
            client.delete_dataset(dataset_name=name)
        deleted.append(name)
    return deleted


def dataset_names(services: Services, run: RunIdentity) -> list[str]:
    """Names of the run's datasets that LangSmith has. Raises the errors of ServiceError."""
    client = services.langsmith
    with translated_errors(doing="listing datasets", url=client.api_url):
        found = [dataset.name for dataset in client.list_datasets(dataset_name_contains=run.dataset_prefix)]
    return sorted(name for name in found if name.startswith(run.dataset_prefix))
