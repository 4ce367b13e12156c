"""The lineage of a trained model: `modelops.json` for programs, the model card for people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from modelops.trainers import job as jobs
    from modelops.trainers.trl_recipe import LORA_DROPOUT, SEED, Recipe
else:
    import job as jobs
    from trl_recipe import LORA_DROPOUT, SEED, Recipe

TRAINER = "trl/v1"
PACKAGES = ("trl", "peft", "transformers", "torch", "accelerate", "datasets", "huggingface_hub")


def digest(content: bytes) -> str:
    """The digest of a file of the dataset."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def lineage(
    job: jobs.Job, recipe: Recipe, *, files: Mapping[str, bytes], metrics: Mapping[str, float], **facts: Any
) -> dict[str, Any]:
    """The content of `modelops.json`: the run as the operator wrote it, and its result. `files` are the dataset's."""
    run = job.run
    return {
        **run.raw,
        "dataset": {**run.raw["dataset"], "files": {path: digest(body) for path, body in files.items()}},
        "trainer": TRAINER,
        "job": job.attempt.job_id,
        "recipe": {**asdict(recipe), "lora_dropout": LORA_DROPOUT, "seed": SEED},
        "packages": {name: version(name) for name in PACKAGES},
        "metrics": dict(metrics),
        **facts,
    }


def as_bytes(lineage: Mapping[str, Any]) -> bytes:
    """The file `modelops.json`."""
    return json.dumps(lineage, sort_keys=True, indent=1).encode()


def card(lineage: Mapping[str, Any]) -> str:
    """The model card: README.md of the model's repository."""
    dataset = lineage["dataset"]
    header = {
        "base_model": lineage["base_model"],
        "base_model_relation": "finetune",
        "datasets": [dataset["repo"]],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["modelops", "trl", lineage["method"], "lora"],
    }
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items())
    facts = {
        "agent": lineage["agent"],
        "version": lineage["version"],
        "base model": f"{lineage['base_model']} at {lineage['base_revision']}",
        "dataset": f"{dataset['repo']} at {dataset['revision']}",
        **({"dataset digest": dataset["digest"]} if dataset.get("digest") else {}),
        **dataset["files"],
        "method": f"{lineage['method'].upper()} with LoRA",
        "run": f"{lineage['run']}, attempt {lineage['attempt']}, job {lineage['job']}",
    }
    return (
        f"---\n{lines}---\n"
        f"# {lineage['agent']} {lineage['version']}\n\n"
        "Trained by ModelOps. At the root are the merged weights, in `adapter/` the LoRA adapter alone.\n"
        "`modelops.json` holds all of the following for programs. The model's evaluations are in "
        f"[its data repository](/datasets/{dataset['repo']}/tree/main/evaluations).\n\n"
        f"{_table('fact', facts)}\n"
        f"## Recipe\n\n{_table('value', lineage['recipe'])}\n"
        f"## Metrics at the end\n\n{_table('metric', lineage['metrics'])}\n"
        f"## Packages\n\n{_table('package', lineage['packages'])}"
    )


def _table(head: str, rows: Mapping[str, Any]) -> str:
    lines = "".join(f"| {key} | {_cell(value)} |\n" for key, value in rows.items())
    return f"| {head} | |\n|---|---|\n{lines}"


def _cell(value: Any) -> str:
    text = (
        f"{value:.6g}"
        if isinstance(value, float)
        else ", ".join(value)
        if isinstance(value, tuple)
        else str(value)
    )
    return "`" + text.replace("|", "\\|").replace("`", "'").replace("\n", " ") + "`"
