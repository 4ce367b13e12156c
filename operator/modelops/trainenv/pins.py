"""The pins in the headers of `trainers/trl.py` and `trainers/claim.py` (PEP 723): those of `requirements/train.txt` and
`requirements/claim.txt`, without the hashes.

A script's header cannot have hashes: in a job, `uv` checks its downloads only against the package index.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Final

PACKAGED: Final = Path(__file__).parent / "train.txt"
"""The requirements in an installed wheel."""
REPOSITORY: Final = Path(__file__).parents[3] / "requirements" / "train.txt"
"""The requirements in the repository, for an editable install."""
_TRAINERS: Final = Path(__file__).parents[1] / "trainers"
SCRIPTS: Final = {
    _TRAINERS / "trl.py": REPOSITORY,
    _TRAINERS / "claim.py": REPOSITORY.with_name("claim.txt"),
}
"""The scripts with a header, and the requirements that theirs has."""

_HEADER = re.compile(r"(?m)\A# /// script\n(?P<content>(?:^#(?:| .*)$\n)+?)^# ///\n")


class PinsError(RuntimeError):
    """The requirements or the header are missing, or malformed."""


def requirements_file() -> Path:
    """The locked requirements of a training job. Raises PinsError."""
    for place in (PACKAGED, REPOSITORY):
        if place.is_file():
            return place
    raise PinsError(f"this installation has no train.txt: neither {PACKAGED} nor {REPOSITORY} exists")


def locked_pins(text: str) -> list[str]:
    """The requirements in a requirements file with their markers, without their hashes."""
    joined = text.replace("\\\n", " ")
    lines = (re.sub(r"\s+--hash=\S+", "", line).strip() for line in joined.splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def header_pins(script: str) -> list[str]:
    """The dependencies in a script's header. Raises PinsError."""
    header = _HEADER.search(script)
    if header is None:
        raise PinsError("the script does not begin with a PEP 723 header")
    content = "".join(line[2:] for line in header["content"].splitlines(keepends=True))
    names: list[str] = tomllib.loads(content)["dependencies"]
    return names


def with_header(script: str, dependencies: list[str]) -> str:
    """The script with these dependencies in its header. Raises PinsError."""
    header_pins(script)
    listed = "".join(f'#     "{name}",\n' for name in dependencies)
    header = f'# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n{listed}# ]\n# ///\n'
    return _HEADER.sub(lambda _: header, script, count=1)
