"""A job's container, as far as a sandbox has one: a process group with its own folder and environment."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from modelops.sandbox.jobs import uv_shim
from modelops.sandbox.jobs.hardware import FLAVORS
from modelops.sandbox.jobs.logs import JobLog
from modelops.sandbox.jobs.records import Job

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
_PIPE_GRACE_SECONDS = 1.0
_CHUNK = 1 << 16


class JobProcess:
    """The running process of a job."""

    def __init__(self, process: asyncio.subprocess.Process, log: JobLog, folder: Path) -> None:
        self._process = process
        self._log = log
        self._folder = folder

    @classmethod
    async def begin(
        cls, job: Job, *, secrets: Mapping[str, str], service: Mapping[str, str], folder: Path, log: JobLog
    ) -> "JobProcess":
        """Starts a job in a fresh folder. `service` is the environment that the service itself gives."""
        for name in ("home", "work"):
            (folder / name).mkdir(parents=True)
        uv_shim.install(folder / "bin")
        first = f"{folder / 'bin'}:{Path(sys.executable).parent}"
        path = f"{first}:{os.environ.get('PATH', os.defpath)}"
        # A login shell (`bash -l`) resets PATH from /etc/profile and then reads this file.
        (folder / "home" / ".profile").write_text(f'export PATH="{first}:$PATH"\n')
        flavor = FLAVORS[job.flavor]
        environment = {
            "PATH": path,
            "HOME": str(folder / "home"),
            "HF_HOME": str(folder / "home" / ".cache" / "huggingface"),
            "TMPDIR": str(folder / "work"),
            "LANG": "C.UTF-8",
            "JOB_ID": job.id,
            "ACCELERATOR": job.flavor if flavor.gpu else "",
            "CPU_CORES": str(flavor.vcpus),
            "MEMORY": f"{flavor.ram_gb}Gi",
            **service,
            **job.environment,
            **secrets,
        }
        log.mark_start()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid())),
            *(*job.command, *job.arguments),
            cwd=folder / "work",
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
        return cls(process, log, folder)

    async def wait(self) -> int:
        """Its exit code (negative: the signal that ended it), once all that it said is in the log."""
        copying = asyncio.create_task(self._copy())
        try:
            code = await self._process.wait()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(copying), _PIPE_GRACE_SECONDS)
            return code
        finally:
            copying.cancel()
            self.kill()
            await asyncio.to_thread(shutil.rmtree, self._folder, ignore_errors=True)

    def kill(self) -> None:
        """Ends it and everything that it started, at once."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _copy(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        rest = b""
        while chunk := await stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                self._log.append(*(line.decode(errors="replace").rstrip("\r") for line in lines))
        if rest:
            self._log.append(rest.decode(errors="replace"))
