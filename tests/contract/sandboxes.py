"""The sandboxes for code tests that this machine can have."""

from functools import cache

import pytest

from modelops.code_tests.sandbox import opened
from modelops.code_tests.shells import SETTING, SandboxRefused

SHELLS = ("bubblewrap", "inner")


def require(shell: str) -> None:
    """Skips, with the reason, where this machine cannot have the shell. A check that fails is no such reason."""
    refusal = refusal_of(shell)
    if refusal and "does not hold" not in refusal:
        pytest.skip(f"no sandbox for code tests here: {refusal}")


@cache
def refusal_of(shell: str) -> str:
    """Why the sandbox cannot be used; empty where it can."""
    try:
        with opened({SETTING: shell}):
            return ""
    except SandboxRefused as refused:
        return str(refused)
