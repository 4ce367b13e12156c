"""The dataset program on examples that lie in its work folder already: no service is asked, nothing is uploaded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from modelops.datasets.prepare import prepare_dataset
from modelops.workdir import WorkDir, run_program

Example = dict[str, Any]


@dataclass(frozen=True)
class Prepared:
    """The program's `result.json`, and the rows that it wrote."""

    result: dict[str, Any]
    train: list[dict[str, Any]]
    test: list[dict[str, Any]]


def prepared(
    folder: Path,
    examples: Sequence[Example],
    *,
    evaluation: Sequence[Example] | None = None,
    template: str = "",
    tokenizer_config: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Prepared:
    """Run the program. The example with number n has the id `example-n`.

    The files of the base model lie in the folder as if they were downloaded: a chat template, and no tokenizer that can
    be read unless the test wrote one.
    """
    _write(folder, "source", examples)
    base = {"template": template, "config": json.dumps(tokenizer_config or {})}
    (folder / "base_template.json").write_text(json.dumps(base))
    if not (folder / "tokenizer.json").exists():
        (folder / "tokenizer.json").write_text("{}")
    program_input: dict[str, Any] = {
        "v": 1,
        "run": "uid",
        "agent": "docs",
        "langsmith": {"dataset": "source"},
        "prompt": {"user": "{{ inputs.task }}", "assistant": "{{ outputs.text }}"},
        "method": "sft",
        "hub": None,
        "min_examples": 2,
        "split": {"test_fraction": 0.2, "seed": "seed"},
        **changes,
    }
    if evaluation is not None:
        _write(folder, "evaluation", evaluation)
        program_input["evaluation_dataset"] = "evaluation"
    (folder / "input.json").write_text(json.dumps(program_input))
    run_program(prepare_dataset, folder)
    result = WorkDir(folder).read("result.json")
    return Prepared(result, _rows(folder / "train.jsonl"), _rows(folder / "test.jsonl"))


def example(task: str, text: str = "An answer.", *, success: bool = True) -> Example:
    """An example of one text and its answer."""
    return {"inputs": {"task": task}, "outputs": {"text": text}, "metadata": {"success": success}}


def _write(folder: Path, name: str, examples: Sequence[Example]) -> None:
    lines = [
        json.dumps({"id": f"example-{number:03}", "metadata": {}, **one})
        for number, one in enumerate(examples)
    ]
    (folder / f"{name}.jsonl").write_text("".join(line + "\n" for line in lines))
    version = {"dataset_id": name, "name": name, "as_of": "2026-01-01T00:00:00+00:00", "count": len(lines)}
    (folder / f"{name}.json").write_text(json.dumps(version))


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
