"""Real examples that every machine has: documented functions of this interpreter's standard library.

A function's signature and body (without its docstring) is the task; its docstring's first paragraph is the
answer. Near-identical functions and docstrings stay on one side of the split between training and held-out.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import random
import sysconfig
import uuid
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from modelops.datasets.group_split import connected_groups
from modelops.datasets.normalised_text import normalised_text

_SKIPPED = {
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "site-packages",
    "dist-packages",
    "__pycache__",
    "pydoc_data",
    "turtledemo",
}
_MAX_LINES = 60
_ANSWER_WORDS = range(3, 61)

Split = Literal["train", "held-out"]


@dataclass(frozen=True)
class StdlibExample:
    """One documented function. `id`: a UUID, the same for the same function of the same Python version."""

    id: str
    module: str
    name: str
    task: str
    docstring: str
    split: Split

    def langsmith(self) -> dict[str, object]:
        """Return the example as a LangSmith SDK dictionary, with the inputs and outputs that the demo's prompt uses."""
        return {
            "inputs": {"task": self.task, "name": self.name, "module": self.module},
            "outputs": {"docstring": self.docstring},
            "metadata": {"agent": "docs", "success": True},
            "split": "test" if self.split == "held-out" else "train",
        }


def read_examples(*, limit: int, seed: int = 7, held_out: float = 1 / 6) -> list[StdlibExample]:
    """Return `limit` examples, about the fraction `held_out` of them held out; equal for equal Python and seed.

    Raises ValueError if this interpreter's library has fewer documented functions (a stripped-down Python).
    """
    order = random.Random(seed)
    files = sorted(_files(_library()))
    order.shuffle(files)
    examples: list[StdlibExample] = []
    for file in files:
        examples.extend(_documented(file))
        if len(examples) >= limit:
            break
    if len(examples) < limit:
        raise ValueError(
            f"{_library()} has {len(examples)} documented functions, {limit} were asked for; "
            "lower the number, or use a Python that ships its library's source"
        )
    return _split(examples[:limit], held_out=held_out, order=order)


def spoil(examples: Sequence[StdlibExample], *, seed: int = 7) -> list[StdlibExample]:
    """Shuffle the docstrings between the tasks, as a broken export might do."""
    docstrings = [example.docstring for example in examples]
    random.Random(seed).shuffle(docstrings)
    return [replace(e, docstring=text) for e, text in zip(examples, docstrings, strict=True)]


def _split(examples: list[StdlibExample], *, held_out: float, order: random.Random) -> list[StdlibExample]:
    groups = connected_groups(
        [(f"task {_shape(e)}", f"answer {normalised_text(e.docstring)}") for e in examples]
    )
    names = list(dict.fromkeys(groups))
    order.shuffle(names)
    wanted, count, chosen = held_out * len(examples), 0, set[int]()
    for name in names:
        size = groups.count(name)
        if count + size <= wanted:
            chosen.add(name)
            count += size
    return [
        replace(e, split="held-out" if group in chosen else "train")
        for e, group in zip(examples, groups, strict=True)
    ]


def _shape(example: StdlibExample) -> str:
    """Return the normalised body without its first line, so that renamed copies are equal."""
    body = normalised_text(example.task.partition("\n")[2])
    return body if len(body) > 40 else normalised_text(example.task)


def _library() -> Path:
    return Path(sysconfig.get_paths()["stdlib"])


def _files(library: Path) -> Iterator[Path]:
    for file in library.rglob("*.py"):
        if not _SKIPPED.intersection(file.relative_to(library).parts):
            yield file


def _documented(file: Path) -> Iterator[StdlibExample]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError):
        return
    module = ".".join(file.relative_to(_library()).with_suffix("").parts)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            answer = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split())
            task = _without_docstring(node)
            if len(answer.split()) in _ANSWER_WORDS and task.count("\n") in range(1, _MAX_LINES):
                place = f"{module}:{node.name}:{node.lineno}"
                yield StdlibExample(
                    id=str(uuid.UUID(hashlib.sha256(place.encode()).hexdigest()[:32])),
                    module=module,
                    name=node.name,
                    task=task,
                    docstring=answer,
                    split="train",
                )


def _without_docstring(node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    bare = copy.copy(node)
    bare.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(bare)
