"""The client of a cluster's supervisor process: while any process keeps one open, the servers run."""

import json
import os
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from modelops.localcluster.errors import ClusterError

_FIFO = "supervisor.fifo"  # the same name as in supervisor.py
_END_SECONDS = 20.0


class SupervisorClient:
    """An open write end of the supervisor's FIFO. The servers run as long as any process has one open."""

    def __init__(self, directory: Path, *, fd: int, process: "subprocess.Popen[bytes] | None") -> None:
        self._directory = directory
        self._fd: int | None = fd
        self._process = process

    @classmethod
    def start(cls, directory: Path, *, remove: bool) -> Self:
        """Start a supervisor for `directory`. If `remove`, it deletes the directory when it ends."""
        fifo = directory / _FIFO
        # An earlier run with `remove` False leaves these files.
        for stale in (fifo, *directory.glob("*.exit"), *directory.glob("*.pid")):
            stale.unlink(missing_ok=True)
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
                    start_new_session=True,  # Ctrl-C reaches only our process, which then stops the servers
                )
        finally:
            os.close(read_end)
        return cls(directory, fd=write_end, process=process)

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Connect to the supervisor that runs for `directory`. Raises ClusterError if none runs."""
        try:
            fd = os.open(directory / _FIFO, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            raise ClusterError(
                f"no cluster runs in {directory}: start one with `modelops cluster up`"
            ) from error
        return cls(directory, fd=fd, process=None)

    def start_server(self, name: str, argv: list[str]) -> None:
        """Start a server. Its output goes to NAME.log, its exit code to NAME.exit."""
        self._send({"start": name, "argv": argv})

    def stop_server(self, name: str) -> None:
        """Stop one server; the others keep running."""
        self._send({"stop": name})

    def detach(self) -> None:
        """Keep the servers running after every client has closed, until a client calls `end`."""
        self._send({"detach": True})

    def close(self) -> None:
        """Close this client. The servers end when no other client is open. Safe to call twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def end(self) -> None:
        """Stop the servers, even if other clients are open, and wait for their end. Safe to call twice."""
        if self._fd is None:
            return
        with suppress(ClusterError):  # it has ended already
            self._send({"end": True})
        ended = select.poll()
        # POLLERR is always reported; it means that the FIFO has lost its only reader, the supervisor.
        ended.register(self._fd, 0)
        in_time = bool(ended.poll(_END_SECONDS * 1000))
        self.close()
        if self._process is not None:
            if not in_time:
                self._process.kill()  # its servers die with it
            self._process.wait()
        elif not in_time:
            raise ClusterError(
                f"the cluster in {self._directory} did not stop within {_END_SECONDS:.0f} s: see its *.log files"
            )

    def _send(self, command: dict[str, object]) -> None:
        if self._fd is None:
            raise ClusterError(
                f"the cluster in {self._directory} is already closed in this process: attach to it again"
            )
        try:
            os.write(self._fd, json.dumps(command).encode() + b"\n")
        except BrokenPipeError as error:
            log = self._directory / "supervisor.log"
            raise ClusterError(
                f"the supervisor of the cluster in {self._directory} has ended: see {log}, and start the cluster again"
            ) from error
