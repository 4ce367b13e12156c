"""The near end of the supervisor: hold it, and the servers live; let go, and they end."""

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from modelops.localcluster.errors import ClusterError

_FIFO = "lifeline"
_END_SECONDS = 20.0


class Lifeline:
    """An open write end of the supervisor's FIFO; the servers live while any process has one."""

    def __init__(self, directory: Path, *, fd: int, process: "subprocess.Popen[bytes] | None") -> None:
        self._directory = directory
        self._fd: int | None = fd
        self._process = process

    @classmethod
    def start(cls, directory: Path, *, remove: bool) -> Self:
        """Start a supervisor for `directory`, which it deletes at its end if `remove`."""
        fifo = directory / _FIFO
        for left in (
            fifo,
            *directory.glob("*.exit"),
            *directory.glob("*.pid"),
        ):  # of an earlier run, data kept
            left.unlink(missing_ok=True)
        os.mkfifo(fifo, 0o600)
        read_end = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        write_end = os.open(fifo, os.O_WRONLY)
        os.set_blocking(read_end, True)
        try:
            with (directory / "supervisor.log").open("wb") as log:
                process = subprocess.Popen(
                    [
                        sys.executable,
                        "-I",
                        "-S",
                        str(Path(__file__).with_name("supervisor.py")),
                        str(directory),
                        "remove" if remove else "keep",
                    ],
                    stdin=read_end,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in a terminal is for us; we then stop the servers
                )
        finally:
            os.close(read_end)
        return cls(directory, fd=write_end, process=process)

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Hold the supervisor that runs for `directory`. Raises ClusterError where none does."""
        try:
            fd = os.open(directory / _FIFO, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ClusterError(
                f"no cluster runs in {directory}: start one with `modelops cluster up`"
            ) from error
        return cls(directory, fd=fd, process=None)

    def start_server(self, name: str, argv: list[str]) -> None:
        """Have a server started; its output goes to NAME.log, its end to NAME.exit."""
        self._send({"start": name, "argv": argv})

    def stop_server(self, name: str) -> None:
        """Have one server stopped; the others go on."""
        self._send({"stop": name})

    def detach(self) -> None:
        """Let the servers outlive every holder, until somebody calls `end`."""
        self._send({"detach": True})

    def release(self) -> None:
        """Let go. The servers end when nobody else holds on. Safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def end(self) -> None:
        """Stop the servers whoever else holds on, and wait until they are gone. Safe to call twice."""
        if self._fd is None:
            return
        with suppress(ClusterError):  # it has ended already
            self._send({"end": True})
        gone = select.poll()
        gone.register(self._fd, 0)  # POLLERR, always reported: the FIFO lost its only reader, the supervisor
        in_time = bool(gone.poll(_END_SECONDS * 1000))
        self.release()
        if self._process is not None:
            if not in_time:
                self._process.kill()  # its servers die with it
            self._process.wait()
        elif not in_time:
            raise ClusterError(f"the cluster in {self._directory} does not stop: see its *.log files")

    def _send(self, order: dict[str, object]) -> None:
        if self._fd is None:
            raise ClusterError(f"the cluster in {self._directory} was already released")
        try:
            os.write(self._fd, json.dumps(order).encode() + b"\n")
        except BrokenPipeError as error:
            log = self._directory / "supervisor.log"
            raise ClusterError(
                f"the supervisor of the cluster in {self._directory} has ended: see {log}"
            ) from error
