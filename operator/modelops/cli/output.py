"""How results are shown: for people as lines and tables, for programs as JSON, YAML or a name."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from pydantic import BaseModel

_GAP, _NARROW = 3, 20
"""Blanks between columns; the width below which a column of words cannot be read."""
FORMATS = ("table", "json", "yaml", "name")


def add_arguments(parser: argparse.ArgumentParser, *, default: str = "table") -> None:
    """Add `-o`. With another default than a table there is no table."""
    choices = FORMATS if default == "table" else tuple(name for name in FORMATS if name != "table")
    parser.add_argument(
        "-o", "--output", choices=choices, default=default, help="form of the output (default: %(default)s)"
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


def print_next(result: BaseModel, output: str, *, name: tuple[str, str]) -> None:
    """Print one of several results as they come: a line of JSON, a document of YAML, or the name."""
    if output == "json":
        print(json.dumps(_plain(result)), flush=True)
        return
    if output == "yaml":
        print("---")
    show(result, output, names=[name], table=lambda: None)
    sys.stdout.flush()


def print_fields(fields: Mapping[str, object]) -> None:
    """Print a column of names and a column of values; what is None or empty is left out."""
    shown = {name: value for name, value in fields.items() if value not in (None, "", ())}
    width = max((len(name) for name in shown), default=0) + 2
    for name, value in shown.items():
        print(wrapped(f"{name:<{width}}{value}", indent=width))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, none: str) -> None:
    """Print a table as kubectl does; `none` where there is no row.

    On a terminal the last column is wrapped; where there is no room beside the others, it has a line of its own.
    """
    if not rows:
        print(none)
        return
    texts = [[_cell(value) for value in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(columns), *texts]) for at in range(len(columns))]
    indent = sum(widths[:-1]) + _GAP * (len(widths) - 1)
    room = _columns(sys.stdout) or sys.maxsize
    beside = indent + min(widths[-1], _NARROW) <= room
    for row in [list(columns), *texts]:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)]
        if beside:
            print(wrapped((" " * _GAP).join(cells).rstrip(), indent=indent))
        else:
            print((" " * _GAP).join(cells[:-1]).rstrip())
            print(wrapped(f"    {row[-1]}", indent=4))


def _columns(stream: TextIO) -> int | None:
    """The width of the terminal; None where the stream is none."""
    if not stream.isatty():
        return None
    import shutil

    return shutil.get_terminal_size().columns


def say(message: str) -> None:
    """Print a message for people."""
    print(wrapped(message, indent=0))


def complain(command: str, message: object) -> None:
    """Print on stderr why a command does not do what it was asked."""
    print(wrapped(f"modelops {command}: {message}", indent=0, stream=sys.stderr), file=sys.stderr)


def wrapped(text: str, *, indent: int, stream: TextIO | None = None) -> str:
    """The text in lines that the terminal has room for, the further ones indented; elsewhere as it is.

    Names and commands are not broken. A column that would be too narrow to read is left to the terminal. `stream` is
    stdout where it is not given.
    """
    room = _columns(stream or sys.stdout)
    if room is None or len(text) <= room or room - indent < _NARROW:
        return text
    import textwrap

    lines = textwrap.wrap(
        text[indent:], room - indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    first, *more = lines or [""]
    return "\n".join([text[:indent] + first, *(" " * indent + line for line in more)])


def styled(text: str, code: str) -> str:
    """The text in a style of ANSI (its code, such as 32 for green), where stdout is a terminal that shows it."""
    import os

    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty()
    return text if plain else f"\x1b[{code}m{text}\x1b[0m"


def money(amount: float | None, *, up: bool = False) -> str:
    """`$4.50`, below a cent `$0.0067`, or a dash where there is none. `up`: a limit, which is never shown as less."""
    if amount is None:
        return "-"
    if up and amount >= 0.01:
        import math

        amount = math.ceil(round(amount * 100, 6)) / 100
    if 0 < amount < 0.01:
        return f"${amount:.4f}".rstrip("0")
    return f"${amount:,.2f}"


def percent(share: float | None) -> str:
    """`87 %` of a share from 0 to 1, or a dash where there is none."""
    return "-" if share is None else f"{100 * share:.0f} %"


def minutes_left(minutes: int | None) -> str:
    """`, 12 min left` for the end of a line; empty where it is not known."""
    if minutes is None:
        return ""
    return f", {minutes} min left" if minutes else ", less than a minute left"


def confirm(question: str, *, yes: bool) -> bool:
    """Ask on the terminal, unless `yes`. Without a terminal the answer is no."""
    if yes:
        return True
    return ask(f"{question} [y/N] ").lower() in ("y", "yes")


def ask(question: str) -> str:
    """The line that is typed after a question on the terminal; empty without a terminal or an answer."""
    import signal

    # asyncio takes the first Ctrl-C for itself, and acts on it only after the line is typed.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        sys.stderr.write(question)
        sys.stderr.flush()
        return input().strip()
    except (EOFError, RuntimeError, OSError, UnicodeDecodeError):
        sys.stderr.write("\n")
        return ""
    finally:
        signal.signal(signal.SIGINT, before)


def _plain(result: BaseModel | Sequence[BaseModel]) -> Any:
    if isinstance(result, Sequence):
        return [_plain(one) for one in result]
    is_object = hasattr(result, "metadata")  # One of Kubernetes, which leaves out what is not set.
    return result.model_dump(mode="json", by_alias=True, exclude_none=is_object)


def _cell(value: object) -> str:
    if value is None or value == "":
        return "-"
    return str(value)
