"""Creates the demo's LangSmith datasets from this Python's standard library, with the real LangSmith SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langsmith import Client

from modelops.datasets.sensitive import find_sensitive
from modelops.demo.stdlib_examples import StdlibExample, read_examples, spoil
from modelops.sandbox.client import SandboxInfo

FUNCTIONS = 2_300
HELD_OUT_FRACTION = 0.15
TRAIN_EXAMPLES = 1_100
"""Size of docs-train. docs-train-more has all examples that are not held out."""
SPOILT_EXAMPLES = 700
_BATCH_SIZE = 500


@dataclass(frozen=True)
class Datasets:
    """`sizes`: number of examples by LangSmith dataset. `tasks`: the held-out tasks, for the agents."""

    sizes: dict[str, int]
    tasks: tuple[str, ...]


def create_datasets(sandbox: SandboxInfo) -> Datasets:
    """Create docs-train, docs-train-more, docs-spoilt and docs-holdout.

    The examples come from the interpreter's own library; near-duplicates of held-out examples are not trained on.
    The agents work on held-out tasks, on which no model was trained.
    """
    read = read_examples(limit=FUNCTIONS, held_out=HELD_OUT_FRACTION)
    # A few functions contain an e-mail address; the operator refuses a dataset with one.
    examples = [example for example in read if not find_sensitive(f"{example.task}\n{example.docstring}")]
    train = [example for example in examples if example.split == "train"]
    held_out = [example for example in examples if example.split == "held-out"]
    parts = {
        "docs-holdout": held_out,
        "docs-train": train[:TRAIN_EXAMPLES],
        "docs-spoilt": spoil(train[:SPOILT_EXAMPLES]),
        "docs-train-more": train,
    }
    client = Client(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key)
    for name, part in parts.items():
        _create(client, name, part)
    return Datasets({name: len(part) for name, part in parts.items()}, tuple(e.task for e in held_out))


def _create(client: Client, name: str, examples: Sequence[StdlibExample]) -> None:
    dataset = client.create_dataset(name, description="Functions of Python's standard library")
    sent = [dict(example.langsmith()) for example in examples]
    for start in range(0, len(sent), _BATCH_SIZE):
        client.create_examples(dataset_id=dataset.id, examples=sent[start : start + _BATCH_SIZE])
