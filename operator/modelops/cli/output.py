"""How results are shown: for people as lines and tables, for programs as JSON, YAML or a name."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

FORMATS = ("table", "json", "yaml", "name")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `-o`."""
    parser.add_argument(
        "-o", "--output", choices=FORMATS, default="table", help="form of the output (default: %(default)s)"
    )


def show(
    result: BaseModel | Sequence[BaseModel],
    output: str,
    *,
    names: Sequence[tuple[str, str]],
    table: Callable[[], None],
) -> None:
    """Print a result. `names`: pairs of a kind and a name, for `-o name`. `table` prints it for people."""
    if output == "table":
        table()
    elif output == "name":
        from modelops.api.v1alpha1.names import GROUP

        for kind, name in names:
            print(f"{kind.lower()}.{GROUP}/{name}")
    else:
        print_document(_plain(result), output)


def print_document(document: Any, output: str) -> None:
    """Print a value as JSON or YAML."""
    if output == "json":
        json.dump(document, sys.stdout, indent=2)
        print()
        return
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.default_flow_style = False
    yaml.dump(document, sys.stdout)


def print_fields(fields: Mapping[str, object]) -> None:
    """Print a column of names and a column of values; what is None or empty is left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", ())}
    width = max((len(name) for name in shown), default=0) + 2
    for name, value in shown.items():
        print(f"{name:<{width}}{value}")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, none: str) -> None:
    """Print a table as kubectl does; `none` where there is no row. Colour and lines are left to the terminal."""
    if not rows:
        print(none)
        return
    texts = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(columns), *texts]) for at in range(len(columns))]
    for row in [list(columns), *texts]:
        print("   ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def money(amount: float | None) -> str:
    """`$4.50`, or a dash where there is none."""
    return "-" if amount is None else f"${amount:,.2f}"


def percent(share: float | None) -> str:
    """`87 %` of a share from 0 to 1, or a dash where there is none."""
    return "-" if share is None else f"{100 * share:.0f} %"


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on the terminal, unless `yes`. Without a terminal the answer is no."""
    if yes:
        return True
    return ask(f"{question} [y/N] ").lower() in ("y", "yes")


def ask(question: str) -> str:
    """The line that is typed after a question on the terminal; empty without a terminal or an answer."""
    import signal

    sys.stderr.write(question)
    sys.stderr.flush()
    # asyncio takes the first Ctrl-C for itself, and acts on it only after the line is typed.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return input().strip()
    except (EOFError, RuntimeError, OSError, UnicodeDecodeError):
        sys.stderr.write("\n")
        return ""
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(result: BaseModel | Sequence[BaseModel]) -> Any:
    if isinstance(result, Sequence):
        return [one.model_dump(mode="json") for one in result]
    return result.model_dump(mode="json")


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return str(value)
