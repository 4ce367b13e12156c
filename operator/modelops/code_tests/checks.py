"""The checks of the sandbox, run at each evaluation's start: harmless answers try what must be refused or ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Check:
    """An answer, its tests, and how it must end: empty where the tests must pass, else the beginning of the reason."""

    name: str
    code: str
    tests: str
    ends: str = ""


def _refused(name: str, body: str, errors: str = "OSError") -> Check:
    """Holds where the body raises one of the errors."""
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return Check(
        name=name,
        code=f"def attempt():\n{lines}",
        tests=f"try:\n    attempt()\nexcept ({errors}):\n    pass\nelse:\n    raise SystemError('not refused')\n",
    )


_LIBC: Final = "import ctypes, os\nlibc = ctypes.CDLL(None, use_errno=True)\n"
_RAISE: Final = "raise OSError(ctypes.get_errno(), 'refused')"


def sandbox_checks(*, port: int, outside: int, canary: str) -> list[Check]:
    """All checks. `port` listens on loopback, `outside` is a process beside the sandbox, `canary` a file of everybody's
    there."""
    return [
        _refused("opens a connection", f"import socket\nsocket.create_connection(('127.0.0.1', {port}), 1)"),
        _refused(
            "sends a datagram",
            f"import socket\nsocket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        ),
        _refused("addresses a socket", "import socket\nsocket.socketpair()[0].connect('/tmp/none')"),
        _refused("writes outside", f"open({canary!r}, 'a').write('x')"),
        _refused("reads outside", f"open({canary!r}).read(1)"),
        _refused("writes beside its folder", "import os\nopen(os.path.join('..', 'beside'), 'w').write('x')"),
        _refused("reads the users", "open('/etc/passwd').read(1)"),
        _refused(
            "reads its parent's environment", "import os\nopen(f'/proc/{os.getppid()}/environ', 'rb').read(1)"
        ),
        _refused("reads an environment outside", f"open('/proc/{outside}/environ', 'rb').read(1)"),
        _refused("cuts a file off", f"import os\nos.truncate({canary!r}, 0)"),
        _refused("changes a file's mode", f"import os\nos.chmod({canary!r}, 0o600)"),
        Check(
            name="has an environment without secrets",
            code="import os",
            tests="assert set(os.environ) <= {'HOME', 'TMPDIR', 'PATH', 'LANG'}",
        ),
        _refused(
            "forks",
            "import os, time\nfor _ in range(200):\n    if os.fork() == 0:\n        time.sleep(5)\n        os._exit(0)",
        ),
        _refused("starts a program", "import subprocess\nsubprocess.run(['/bin/true'])"),
        _refused("signals its parent", "import os\nos.kill(os.getppid(), 0)"),
        _refused("signals a process outside", f"import os\nos.kill({outside}, 0)"),
        _refused(
            "directs signals", "import fcntl, os\nfcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, os.getppid())"
        ),
        _refused("makes a namespace", f"{_LIBC}if libc.unshare(0x10000000): {_RAISE}"),
        _refused("takes shared memory", f"{_LIBC}if libc.shmget(0, 4096, 0o600) < 0: {_RAISE}"),
        _refused("takes 2 GB", "bytearray(2 << 30)", "MemoryError"),
        _refused(
            "writes 64 MB",
            "f = open('big', 'wb')\nfor _ in range(64):\n    f.write(b'x' * (1 << 20))\n    f.flush()",
        ),
        _refused("opens 500 files", "kept = [open('/dev/null') for _ in range(500)]"),
        _refused(
            "raises its limits",
            "import resource\nresource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
            "OSError, ValueError",
        ),
        _refused(
            "starts 300 threads",
            "import threading, time\nfor _ in range(300):\n"
            "    threading.Thread(target=time.sleep, args=(1,), daemon=True).start()",
            "RuntimeError, MemoryError",
        ),
        Check(
            name="may write its own files",
            code="import tempfile\nwith open('a', 'w') as f: f.write('x')\nkept = tempfile.NamedTemporaryFile()",
            tests="assert open('a').read() == 'x'",
        ),
        Check(
            name="may use asyncio and a thread",
            code="import asyncio, threading",
            tests="assert asyncio.run(asyncio.sleep(0, 5)) == 5\nt = threading.Thread(); t.start(); t.join()",
        ),
        Check(
            name="floods its output",
            code="import sys\nfor _ in range(100): sys.stdout.write('x' * (1 << 20))",
            tests="",
            ends="output",
        ),
        Check(
            name="fills the disk",
            code="n = 0\nwhile True:\n    with open(str(n), 'wb') as f: f.write(b'x' * (1 << 20))\n    n += 1",
            tests="",
            ends="OSError|disk",
        ),
        Check(name="sleeps", code="import time; time.sleep(60)", tests="", ends="timeout"),
        Check(name="loops", code="while True: pass", tests="", ends="processor time|timeout"),
        Check(name="leaves with code 0", code="import os; os._exit(0)", tests="", ends="ended early"),
        Check(name="exits with code 0", code="import sys; sys.exit(0)", tests="", ends="SystemExit"),
        Check(name="is no Python", code="def f(:", tests="", ends="SyntaxError"),
        Check(name="recurses", code="def f(n): return f(n + 1)", tests="f(0)", ends="RecursionError"),
        Check(name="is honest", code="def f(x): return x + 1", tests="assert f(1) == 2"),
    ]


def holds(check: Check, *, ok: bool, why: str) -> bool:
    """Whether the answer of a check ended as it must."""
    return not ok and why.startswith(tuple(check.ends.split("|"))) if check.ends else ok
