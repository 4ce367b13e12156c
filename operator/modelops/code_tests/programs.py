"""The program that an answer means: the answer as a whole, or the task's code with the answer as its body."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterator
from typing import Final

_FENCE: Final = re.compile(
    r"^[ \t]*```[ \t]*([\w+.-]*)[^\n]*\n(.*?)(?:^[ \t]*```|\Z)", re.DOTALL | re.MULTILINE
)
_PYTHON: Final = ("", "python", "py", "python3")
_DEFINITION: Final = re.compile(r"^(?:async[ ]def|def|class)[ ]+(\w+)", re.MULTILINE)
_CODE_BEGINS: Final = re.compile(
    r"^(?:async def |def |class |import |from \w[\w.]* import |@\w)", re.MULTILINE
)
_TOP_LEVEL: Final = re.compile(r"^\S", re.MULTILINE)
_BODY: Final = "    "
MOST_CUTS: Final = 20
"""How many shorter forms of a text that is no Python are tried."""


def program(task: str, answer: str, *, entry_point: str = "") -> str:
    """The code to run before the tests.

    An answer may be a whole program or only the body, in a Markdown fence (also one that never ends) or not, indented
    or not, with words around it, and without the task's imports. Where nothing of it is Python, the answer itself is
    returned, which then fails by itself.
    """
    head = task_code(task)
    wanted = entry_point or defined_last(head)
    text = _unfenced(answer, wanted)
    for candidate in _cuts(text):
        names = _defined(candidate)
        if names and (wanted in names or not wanted):
            return _before_last_definition(head) + candidate
    if head:
        for candidate in _cuts(text):
            for body in _bodies(candidate):
                if _defined(head + body) is not None:
                    return head + body
    return text


def task_code(task: str) -> str:
    """The Python of a task, ending with a line break, which an answer may continue; empty where it has none."""
    for text in (task, _unfenced(task, "")):
        code = text.strip("\n").rstrip() + "\n"
        if _DEFINITION.search(code) and any(
            _defined(code + end) is not None for end in ("", f"{_BODY}pass\n")
        ):
            return code
    return ""


def defined_last(code: str) -> str:
    """The name in the last line of the form `def name` or `class name` at the left edge; empty without one."""
    names = _DEFINITION.findall(code)
    return str(names[-1]) if names else ""


def stub(entry_point: str, code: str) -> str:
    """A program that defines the name and does nothing, in place of `code`: tests that it passes check nothing."""
    if not entry_point:
        return ""
    if re.search(rf"^class[ ]+{re.escape(entry_point)}\b", code, re.MULTILINE):
        return f"class {entry_point}:\n    def __init__(self, *a, **k): pass\n"
    return f"def {entry_point}(*a, **k): return None\n"


def _unfenced(text: str, wanted: str) -> str:
    """The longest fenced block, of those that define the wanted name if any do; the text where it has no block."""
    blocks = [block for language, block in _FENCE.findall(text) if language.lower() in _PYTHON]
    fitting = [block for block in blocks if wanted and wanted in _DEFINITION.findall(textwrap.dedent(block))]
    found = max(fitting or blocks, key=len, default=None)
    return text if found is None else found


def _cuts(text: str) -> Iterator[str]:
    """The text; from its first line of code on; and without its last lines, which may be words or cut off."""
    begin = _CODE_BEGINS.search(text)
    whole = [text, textwrap.dedent(text)] + ([text[begin.start() :]] if begin else [])
    yield from dict.fromkeys(whole)
    last = whole[-1]
    for match in reversed(list(_TOP_LEVEL.finditer(last))[-MOST_CUTS:]):
        if match.start():
            yield last[: match.start()]


def _bodies(text: str) -> Iterator[str]:
    """The text as the body of a function: as it is; with its first indentation, which may be lost; and indented."""
    yield text
    yield _BODY + text.lstrip()
    yield textwrap.indent(textwrap.dedent(text), _BODY)


def _before_last_definition(head: str) -> str:
    """What the task has before the function that the answer gives: imports and helpers."""
    starts = [match.start() for match in _DEFINITION.finditer(head)]
    before = head[: starts[-1]] if starts else ""
    return before if _defined(before) is not None else ""


def _defined(text: str) -> set[str] | None:
    """The names of functions, classes and variables that the text defines at its left edge; None where it is no
    Python."""
    try:
        tree = ast.parse(text)
        compile(tree, "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return names
