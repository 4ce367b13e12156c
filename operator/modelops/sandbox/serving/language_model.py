"""A language model, served by a process of the training environment."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelops.sandbox.jobs.process import DIE_WITH_PARENT
from modelops.sandbox.serving.answers import Answer, ModelFailed, Question
from modelops.trainenv.environment import MAKE, VARIABLE, find_python

WORKER = Path(__file__).with_name("worker.py")
LOAD_SECONDS = 180.0
ANSWER_SECONDS = 120.0
_LONGEST_LINE = 16 * 1024 * 1024


class LanguageModel:
    """One worker process; it answers one question after the other and dies with the sandbox."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._turn = asyncio.Lock()

    @classmethod
    async def start(cls, folder: Path) -> "LanguageModel":
        """Returns when the model is loaded. Raises ModelFailed."""
        python = find_python()
        if python is None:
            raise ModelFailed(f"this machine has no training environment: run '{MAKE}', or set {VARIABLE}")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid())),
            *(str(python), str(WORKER), str(folder)),
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST_LINE,
        )
        model = cls(process)
        try:
            await model._read(LOAD_SECONDS)
        except BaseException:
            await model.close()
            raise
        return model

    async def answer(self, question: Question) -> Answer:
        """Raises ModelFailed; after that the process is of no use any more where it has ended or hangs."""
        request = {"messages": question.messages, "tools": question.tools, "max_tokens": question.limit}
        async with self._turn:
            stdin = self._process.stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps(request).encode() + b"\n")
                await stdin.drain()
            except (ConnectionError, OSError) as error:
                raise ModelFailed("the model's process has ended") from error
            said = await self._read(ANSWER_SECONDS)
        return Answer(**{name: said[name] for name in asdict(Answer("", "stop", 0, 0))})

    async def close(self) -> None:
        """Ends the process, after the answer that is under way."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._turn.acquire()
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """Ends the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _read(self, seconds: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            line = await asyncio.wait_for(stdout.readline(), seconds)
        except TimeoutError as error:
            self.kill()
            raise ModelFailed(f"the model said nothing for {seconds:.0f} s") from error
        if not line:
            raise ModelFailed("the model's process has ended")
        said: dict[str, Any] = json.loads(line)
        if "error" in said:
            raise ModelFailed(str(said["error"]))
        return said
