"""The generated parts of the spec pages: the example, every field, and every reason with its meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator

from modelops.crdgen.definition import openapi_schema
from modelops.crdgen.kinds import Kind
from modelops.crdgen.schema import Schema


class MarkerError(ValueError):
    """A spec page lacks the markers around a generated part."""


def fill_generated_parts(page: str, kind: Kind, *, sample: str) -> str:
    """The page with new generated parts. Raises MarkerError where a marker is missing."""
    parts = openapi_schema(kind)["properties"]
    generated = {
        "example": ["```yaml", sample.rstrip("\n"), "```"],
        "spec fields": _fields(parts["spec"], path="spec"),
        "status fields": _fields(parts["status"], path="status"),
        "reasons": _reasons(kind),
    }
    for name, rows in generated.items():
        page = _between(page, name=name, text="\n".join(rows))
    return page


def _between(page: str, *, name: str, text: str) -> str:
    begin, end = f"<!-- generated: {name} -->\n", f"<!-- end: {name} -->"
    head, found_begin, rest = page.partition(begin)
    _, found_end, tail = rest.partition(end)
    if not found_begin or not found_end:
        raise MarkerError(f"the page needs the lines `{begin.strip()}` and `{end}`, in this order")
    return f"{head}{begin}{text}\n{end}{tail}"


def _reasons(kind: Kind) -> Iterator[str]:
    yield "| Reason | Meaning |"
    yield "|---|---|"
    for reason in kind.reasons:
        yield f"| `{reason.value}` | {_cell(reason.doc)} |"


def _fields(schema: Schema, *, path: str) -> Iterator[str]:
    yield "| Field | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    yield from _rows(schema, path=path)


def _rows(schema: Schema, *, path: str) -> Iterator[str]:
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        default = f"`{json.dumps(part['default'])}`" if "default" in part else ""
        if name in required:
            default = "required"
        meaning = _cell(part["description"])
        yield f"| `{path}.{name}` | {_type(part)} | {_cell(default)} | {meaning} |"
        yield from _rows(part, path=f"{path}.{name}")
        yield from _rows(part.get("items", {}), path=f"{path}.{name}[]")


def _type(schema: Schema) -> str:
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if schema["type"] == "array":
        return f"list of {_type(schema['items'])}"
    if "additionalProperties" in schema:
        return "map of strings"
    if schema.get("format") == "date-time":
        return "time"
    if schema["type"] == "integer":
        return "integer" + _range(schema)
    return str(schema["type"])


def _range(schema: Schema) -> str:
    lowest, highest = schema.get("minimum"), schema.get("maximum")
    if highest is None:
        return ""
    return f", {lowest} to {highest}"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
