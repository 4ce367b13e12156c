"""The header of `trainers/trl.py` (PEP 723) says what `requirements/train.txt` says, without the hashes.

A script's header has no place for hashes: in a job, `uv` checks what it downloads against its index only.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

PACKAGED: Final = Path(__file__).parent / "train.txt"
"""Where the wheel has the requirements."""
REPOSITORY: Final = Path(__file__).parents[3] / "requirements" / "train.txt"
"""Where an editable install has them."""
SCRIPT: Final = Path(__file__).parents[1] / "trainers" / "trl.py"

_HEADER = re.compile(r"(?m)\A# /// script\n(?P<content>(?:^#(?:| .*)$\n)+?)^# ///\n")


class PinsError(RuntimeError):
    """The requirements or the header are not there, or not in their form."""


def requirements_file() -> Path:
    """The locked requirements of a training job. Raises PinsError."""
    for place in (PACKAGED, REPOSITORY):
        if place.is_file():
            return place
    raise PinsError(f"no train.txt in this installation: looked for {PACKAGED} and {REPOSITORY}")


def locked(text: str) -> list[str]:
    """Each requirement of a requirements file with its marker, without its hashes."""
    joined = text.replace("\\\n", " ")
    lines = (re.sub(r"\s+--hash=\S+", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def in_header(script: str) -> list[str]:
    """The dependencies that a script's header names. Raises PinsError."""
    found = _HEADER.search(script)
    if found is None:
        raise PinsError("the script does not begin with a PEP 723 header")
    content = "".join(line[2:] for line in found["content"].splitlines(keepends=True))
    names: list[str] = tomllib.loads(content)["dependencies"]
    return names


def with_header(script: str, dependencies: list[str]) -> str:
    """The script with these dependencies in its header. Raises PinsError."""
    in_header(script)
    listed = "".join(f'#     "{name}",\n' for name in dependencies)
    header = f'# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n{listed}# ]\n# ///\n'
    return _HEADER.sub(lambda _: header, script, count=1)
