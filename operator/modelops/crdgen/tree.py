"""The generated files of the repository: their content, and how the tree differs from it."""

from __future__ import annotations

import difflib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from ruamel.yaml import YAML

from modelops.crdgen.definition import crd_definition, openapi_schema
from modelops.crdgen.kinds import KINDS, Kind
from modelops.crdgen.lint import schema_faults, stub, undocumented
from modelops.crdgen.reference import fill_generated_parts

_HEADER = "# Made from operator/modelops/api by `make generate`; do not edit.\n"
_LINE = 110

CRDS = Path("crds")
CHART_CRDS = Path("charts/modelops/files/crds")
"""Copies for the Helm chart, which reads only files of its own folder."""
PAGES = Path("docs/spec/v1alpha1")
SAMPLES = Path("config/samples")


def crd_path(kind: Kind) -> Path:
    """Path of the definition of a kind, from the repository's root."""
    group = kind.resource.crd_name.partition(".")[2]
    return CRDS / f"{group}_{kind.resource.plural}.yaml"


def crd_text(kind: Kind) -> str:
    """The definition of a kind as YAML."""
    yaml = YAML()
    yaml.width = _LINE
    yaml.representer.ignore_aliases = lambda *_: True
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    yaml.dump(crd_definition(kind), text)
    return _HEADER + text.getvalue()


def lint_schemas() -> list[str]:
    """The faults of the schemas, columns and reasons, as `Kind.path: fault`."""
    found: list[str] = []
    for kind in KINDS:
        name, schema = kind.resource.kind, openapi_schema(kind)
        found += (f"{name}: {fault}" for fault in stub(schema["description"]))
        for part in ("spec", "status"):
            found += schema_faults(schema["properties"][part], path=f"{name}.{part}")
        for column in kind.columns:
            if column.description:
                found += (f"{name} column {column.name}: {fault}" for fault in stub(column.description))
        found += (f"{name} reason {fault}" for fault in undocumented(kind.reasons))
    return found


def generated_files(root: Path) -> dict[Path, str]:
    """Every generated file, by its path from the repository's root."""
    files = {crd_path(kind): crd_text(kind) for kind in KINDS}
    files |= {CHART_CRDS / path.name: text for path, text in files.items()}
    for kind in KINDS:
        page = PAGES / f"{kind.resource.plural}.md"
        files[page] = fill_generated_parts(
            _text(root / page), kind, sample=_text(root / SAMPLES / kind.sample)
        )
    return files


def write_changed(root: Path, files: Mapping[Path, str]) -> list[Path]:
    """Write the files that differ; returns their paths."""
    changed = [path for path, text in files.items() if _current(root / path) != text]
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(files[path], encoding="utf-8")
    return changed


def difference(
    root: Path, files: Mapping[Path, str], *, generated_folders: Sequence[Path] = (CRDS, CHART_CRDS)
) -> str:
    """A unified diff from the tree to the generated files; empty where they are equal.

    A definition in one of `generated_folders` that belongs to no kind is a difference, too.
    """
    existing = [
        path.relative_to(root)
        for folder in generated_folders
        for path in sorted((root / folder).glob("*.yaml"))
        if path.name != "kustomization.yaml"
    ]
    pairs = {**{path: "" for path in existing if path not in files}, **files}
    return "".join(
        line
        for path, text in sorted(pairs.items())
        for line in difflib.unified_diff(
            _current(root / path).splitlines(keepends=True),
            text.splitlines(keepends=True),
            fromfile=f"tree/{path}",
            tofile=f"generated/{path}",
        )
    )


def _current(path: Path) -> str:
    return _text(path) if path.exists() else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
