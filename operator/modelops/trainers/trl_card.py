"""Where a model comes from: `modelops.json` for programs, the card for people."""

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
    """Of a file of the dataset."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def lineage(
    job: jobs.Job, recipe: Recipe, *, files: Mapping[str, bytes], metrics: Mapping[str, float], **facts: Any
) -> dict[str, Any]:
    """The run as it was given, and what became of it. `files` are the dataset's, as they were read."""
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


def as_bytes(told: Mapping[str, Any]) -> bytes:
    """The content of `modelops.json`."""
    return json.dumps(told, sort_keys=True, indent=1).encode()


def card(told: Mapping[str, Any]) -> str:
    """The README of the model's repository."""
    dataset = told["dataset"]
    header = {
        "base_model": told["base_model"],
        "base_model_relation": "finetune",
        "datasets": [dataset["repo"]],
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["modelops", "trl", told["method"], "lora"],
    }
    lines = "".join(f"{key}: {json.dumps(value)}\n" for key, value in header.items())
    facts = {
        "agent": told["agent"],
        "version": told["version"],
        "base model": f"{told['base_model']} at {told['base_revision']}",
        "dataset": f"{dataset['repo']} at {dataset['revision']}",
        **({"dataset digest": dataset["digest"]} if dataset.get("digest") else {}),
        **dataset["files"],
        "method": f"{told['method'].upper()} with LoRA",
        "run": f"{told['run']}, attempt {told['attempt']}, job {told['job']}",
    }
    return (
        f"---\n{lines}---\n"
        f"# {told['agent']} {told['version']}\n\n"
        "Trained by ModelOps. At the root are the merged weights, in `adapter/` the LoRA adapter alone.\n"
        "`modelops.json` holds all of the following for programs.\n\n"
        f"{_table('what', facts)}\n"
        f"## Recipe\n\n{_table('value', told['recipe'])}\n"
        f"## Metrics at the end\n\n{_table('metric', told['metrics'])}\n"
        f"## Packages\n\n{_table('package', told['packages'])}"
    )


def _table(head: str, rows: Mapping[str, Any]) -> str:
    shown = "".join(f"| {key} | {_cell(value)} |\n" for key, value in rows.items())
    return f"| {head} | |\n|---|---|\n{shown}"


def _cell(value: Any) -> str:
    text = (
        f"{value:.6g}"
        if isinstance(value, float)
        else ", ".join(value)
        if isinstance(value, tuple)
        else str(value)
    )
    return "`" + text.replace("|", "\\|").replace("`", "'").replace("\n", " ") + "`"
