"""The repositories that every sandbox's Hub has from the start."""

import json

from modelops.sandbox.hub import safetensors
from modelops.sandbox.hub.objects import Entry
from modelops.sandbox.hub.store import RepoStore
from modelops.sandbox.tokens import USER
from modelops.trainers import tiny_model

BASE_MODEL = f"{USER}/docs-base"
"""A base model that `trainers/tiny.py` can start from."""

GATED_MODEL = "restricted-lab/gated-base"
"""A gated model of another namespace."""

_CARD = """---
license: apache-2.0
library_name: modelops-tiny
pipeline_tag: text-generation
tags: [modelops, sandbox]
---
# {name}

A tiny base model of the ModelOps sandbox. It has learnt nothing: it answers with the name of
the function that it is asked about. Its safetensors file holds zeros, so that its size can be read from its
metadata as for any other model. Training it is real.
"""


def create_seeds(store: RepoStore) -> None:
    """Create the base models if they do not exist."""
    for repo_id in (BASE_MODEL, GATED_MODEL):
        if store.find("model", repo_id) is not None:
            continue
        repo = store.create("model", repo_id, private=False, gated=repo_id == GATED_MODEL)
        files = {
            path: store.put(content, lfs=path.endswith((".safetensors", ".gz")))
            for path, content in _files(repo_id)
        }
        head = store.commit_at(repo, "main")
        before: dict[str, Entry] = {} if head is None else head.files
        store.commit(repo, {**before, **files}, title="A base model for the sandbox")


def _files(repo_id: str) -> list[tuple[str, bytes]]:
    config = {"model_type": "modelops-tiny", "architectures": ["Tiny"]}
    return [
        ("README.md", _CARD.format(name=repo_id).encode()),
        (tiny_model.MODEL_FILE, tiny_model.Model([]).to_bytes()),
        ("config.json", json.dumps(config, indent=2).encode()),
        ("model.safetensors", safetensors.zeros({"embedding.weight": (512, 64), "output.weight": (64, 512)})),
    ]
