"""The memory of an evaluation does not grow with the texts of its examples and answers."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from langsmith import Client
from tests.evaluation_memory import example_ids, example_of, models, peak_mb, write_dataset

from modelops.sandbox.client import SandboxInfo

FEW, MANY, CHARACTERS = 100, 900, 8000
"""An example has 12,000 characters and its two answers 16,000: one copy of them all would be 28 kB an example."""
MOST_BYTES_EACH = 6000


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of memory is counted by the Linux kernel")
def test_peak_memory_does_not_grow_with_the_texts(
    sandbox: SandboxInfo, client: Client, tmp_path: Path
) -> None:
    with models(characters=CHARACTERS) as address:
        few, many = (
            peak_mb(
                downloaded(client, tmp_path / str(count), count),
                address=address,
                environment=sandbox.environment(),
                record_seconds=45,
            )
            for count in (FEW, MANY)
        )
    assert (many - few) * 1e6 / (MANY - FEW) < MOST_BYTES_EACH, (few, many)


def downloaded(client: Client, folder: Path, count: int) -> Path:
    """A work folder with a dataset of LangSmith that was downloaded before."""
    folder.mkdir()
    dataset, ids = client.create_dataset(f"memory-{uuid4().hex}"), example_ids(count)
    for start in range(0, count, 100):
        client.create_examples(
            dataset_id=dataset.id,
            examples=[
                {"id": one, **example_of(start + number, CHARACTERS)}
                for number, one in enumerate(ids[start : start + 100])
            ],
        )
    as_of = datetime.now(UTC).isoformat()
    write_dataset(folder, dataset_id=str(dataset.id), as_of=as_of, ids=ids, characters=CHARACTERS)
    return folder
