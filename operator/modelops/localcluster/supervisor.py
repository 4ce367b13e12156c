"""The process that owns a local cluster's servers, run as a script: supervisor.py DIRECTORY remove|keep.

The servers run as long as any process has the write end of the supervisor's standard input, a FIFO, open. The
kernel closes that end when the last such process ends, so nothing is left behind after a crash. SIGTERM and
SIGINT end the supervisor, too. Standard input carries one JSON object a line: {"start": NAME, "argv": [...]},
{"stop": NAME}, {"end": true}, or {"detach": true} to keep the servers running without any client. The supervisor
writes the output, the process id and the exit code of each server to DIRECTORY/NAME.{log,pid,exit}.

It imports only the standard library, and only modules that load fast: it runs without site-packages.
"""

import ctypes
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

_FIFO = "supervisor.fifo"  # the same name as in supervisor_client.py
_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_GRACE_SECONDS = 5.0
_GOGC = "300"  # with Go's default of 100, garbage collection took a fifth of kube-apiserver's CPU time


class Supervisor:
    """Starts and stops the servers of one directory."""

    def __init__(self, directory: Path, *, remove: bool) -> None:
        """`remove`: delete the directory at the end; its servers are then killed with SIGKILL at once."""
        self._directory = directory
        self._remove = remove
        self._servers: dict[str, subprocess.Popen[bytes]] = {}
        self._ending = False
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def run(self) -> None:
        """Execute commands until standard input closes or a signal arrives; then stop the servers in reverse order."""
        wakeup_read, wakeup_write = os.pipe()
        os.set_blocking(wakeup_write, False)
        signal.set_wakeup_fd(wakeup_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: setattr(self, "_ending", True))
        signal.signal(signal.SIGCHLD, lambda *_: None)
        selector = selectors.DefaultSelector()
        selector.register(wakeup_read, selectors.EVENT_READ)
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        pending = b""
        while not self._ending:
            for key, _ in selector.select():
                received = os.read(key.fd, 65536)
                if key.fd == wakeup_read:
                    self._record_exits()
                elif received:
                    *lines, pending = (pending + received).split(b"\n")
                    for line in lines:
                        self._execute(json.loads(line))
                else:
                    self._ending = True
        self._stop_all()

    def _execute(self, command: dict[str, Any]) -> None:
        if "start" in command:
            self._start(command["start"], command["argv"])
        elif "stop" in command:
            self._stop(command["stop"])
        elif "end" in command:
            self._ending = True
        elif "detach" in command:
            os.open(self._directory / _FIFO, os.O_WRONLY)  # its own input now never closes

    def _start(self, name: str, argv: list[str]) -> None:
        self._file(name, "exit").unlink(missing_ok=True)
        try:
            with self._file(name, "log").open("ab") as log:
                server = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self._directory,
                    env={"GOGC": _GOGC, **os.environ},
                    preexec_fn=self._die_with_supervisor,
                )
        except OSError as error:
            self._file(name, "log").write_text(f"cannot start {argv[0]}: {error}\n")
            self._file(name, "exit").write_text("127\n")
            return
        self._servers[name] = server
        self._file(name, "pid").write_text(f"{server.pid}\n")

    def _die_with_supervisor(self) -> None:
        # The kernel sends the signal when the thread that forked ends. This process has only one thread.
        if self._libc is not None:
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

    def _record_exits(self) -> None:
        for name, server in list(self._servers.items()):
            if server.poll() is not None:
                del self._servers[name]
                self._file(name, "exit").write_text(f"{server.returncode}\n")

    def _stop(self, name: str) -> None:
        server = self._servers.pop(name, None)
        if server is None:
            return
        if self._remove:
            server.kill()
        else:
            server.terminate()
        try:
            server.wait(_GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        self._file(name, "exit").write_text(f"{server.returncode}\n")

    def _stop_all(self) -> None:
        for name in reversed(list(self._servers)):
            self._stop(name)
        if self._remove:
            shutil.rmtree(self._directory, ignore_errors=True)
        else:
            (self._directory / _FIFO).unlink(missing_ok=True)

    def _file(self, name: str, suffix: str) -> Path:
        return self._directory / f"{name}.{suffix}"


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1]), remove=sys.argv[2] == "remove").run()
