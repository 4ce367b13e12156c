"""In place of a job's container: a process group with its own folder and environment."""

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
    async def start(
        cls, job: Job, *, secrets: Mapping[str, str], service: Mapping[str, str], folder: Path, log: JobLog
    ) -> "JobProcess":
        """Start a job in a new folder. `service`: the environment variables that the service itself sets."""
        for name in ("home", "work"):
            (folder / name).mkdir(parents=True)
        uv_shim.install(folder / "bin")
        own_programs = f"{folder / 'bin'}:{Path(sys.executable).parent}"
        path = f"{own_programs}:{os.environ.get('PATH', os.defpath)}"
        # A login shell (`bash -l`) resets PATH from /etc/profile and then reads this file.
        (folder / "home" / ".profile").write_text(f'export PATH="{own_programs}:$PATH"\n')
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
        """Wait until the job has ended and its output is in the log; return its exit code (negative: the signal)."""
        copying = asyncio.create_task(self._copy_output())
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
        """Kill the job and every process that it has started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def _copy_output(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        rest = b""
        while chunk := await stream.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            if lines:
                self._log.append(*(line.decode(errors="replace").rstrip("\r") for line in lines))
        if rest:
            self._log.append(rest.decode(errors="replace"))
