"""The demo's real input: datasets of this Python's own standard library, through the real LangSmith SDK."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langsmith import Client

from modelops.datasets.sensitive import find_sensitive
from modelops.demo.stdlib_examples import StdlibExample, read_examples, spoil
from modelops.sandbox.client import SandboxInfo

READ = 2_300
HELD_OUT = 0.15
TRAIN = 1_100
"""Of the first training set. The second one has all that is not held out."""
SPOILT = 700
_AT_ONCE = 500


@dataclass(frozen=True)
class Datasets:
    """How many examples each LangSmith dataset has, and tasks for the agents to work on."""

    sizes: dict[str, int]
    tasks: tuple[str, ...]


def seed(sandbox: SandboxInfo) -> Datasets:
    """Creates docs-train, docs-train-more, docs-spoilt and docs-holdout.

    Examples are read from the interpreter's own library; near-duplicates of held-out ones are not trained on.
    The agents are given held-out tasks, which no model has seen.
    """
    read = read_examples(limit=READ, held_out=HELD_OUT)
    # A few functions hold their author's address, which a dataset is refused for.
    examples = [example for example in read if not find_sensitive(f"{example.task}\n{example.docstring}")]
    train = [example for example in examples if example.split == "train"]
    held_out = [example for example in examples if example.split == "held-out"]
    parts = {
        "docs-holdout": held_out,
        "docs-train": train[:TRAIN],
        "docs-spoilt": spoil(train[:SPOILT]),
        "docs-train-more": train,
    }
    client = Client(api_url=sandbox.langsmith, api_key=sandbox.langsmith_key)
    for name, part in parts.items():
        _create(client, name, part)
    return Datasets({name: len(part) for name, part in parts.items()}, tuple(e.task for e in held_out))


def _create(client: Client, name: str, examples: Sequence[StdlibExample]) -> None:
    dataset = client.create_dataset(name, description="Functions of Python's standard library")
    sent = [dict(example.langsmith()) for example in examples]
    for start in range(0, len(sent), _AT_ONCE):
        client.create_examples(dataset_id=dataset.id, examples=sent[start : start + _AT_ONCE])
