"""Versions of an agent's model: `v<major>.<minor>.<patch>[-rc.<n>]`. A version is allocated once and never reused.

Each version follows the highest one that was ever allocated; the baseline is v1.0.0. A new base model, prompt
contract or set of tools raises the major number. New data or another recipe raises the minor number. A new run with
identical inputs raises the patch number. A version ends in `-rc.<n>` until it is promoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

BASELINE = "v1.0.0"
_FORM = re.compile(r"v([0-9]+)\.([0-9]+)\.([0-9]+)(?:-rc\.([0-9]+))?")


@dataclass(frozen=True, order=True)
class Version:
    """A version without its release-candidate part, in the order of semantic versioning."""

    major: int
    minor: int
    patch: int

    def __str__(self) -> str:
        return f"v{self.major}.{self.minor}.{self.patch}"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The inputs that a version was made from. Equal digests mean equal inputs."""

    base_model: str
    prompt_digest: str
    dataset_digest: str
    recipe_digest: str


def parse(text: str) -> Version:
    """The version without its release-candidate part.

    Raises:
        ValueError: the text is not a version.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a version: expected v<major>.<minor>.<patch>[-rc.<n>]")
    return Version(int(found[1]), int(found[2]), int(found[3]))


def release_version(text: str) -> str:
    """The version that a release candidate becomes when it is promoted."""
    return str(parse(text))


def next_version(allocated: Iterable[str], *, inputs: Inputs, latest: Inputs | None) -> str:
    """The release candidate to allocate for `inputs`.

    `allocated` are all versions that were ever allocated. `latest` are the inputs of the highest of them; None where
    they are not known.
    """
    highest = max((parse(version) for version in allocated), default=parse(BASELINE))
    if latest is not None and inputs == latest:
        version = Version(highest.major, highest.minor, highest.patch + 1)
    elif latest is not None and (
        inputs.base_model != latest.base_model or inputs.prompt_digest != latest.prompt_digest
    ):
        version = Version(highest.major + 1, 0, 0)
    else:
        version = Version(highest.major, highest.minor + 1, 0)
    return f"{version}-rc.1"
