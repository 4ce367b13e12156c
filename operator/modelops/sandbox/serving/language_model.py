"""Serves a language model in a worker process that runs in the training environment."""

import asyncio
import json
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from modelops.sandbox.jobs.process import DIE_WITH_PARENT
from modelops.sandbox.serving.answers import ChatAnswer, ChatRequest, ModelFailedError
from modelops.trainenv.environment import MAKE, VARIABLE, find_python

WORKER = Path(__file__).with_name("worker.py")
LOAD_SECONDS = 180.0
ANSWER_SECONDS = 120.0
_MAX_LINE_BYTES = 16 * 1024 * 1024


class LanguageModel:
    """One worker process. It answers one request at a time and ends with the sandbox."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._lock = asyncio.Lock()

    @classmethod
    async def start(cls, folder: Path) -> "LanguageModel":
        """Start a worker and return when the model is loaded. Raises ModelFailedError."""
        python = find_python()
        if python is None:
            raise ModelFailedError(
                f"this machine has no training environment: run '{MAKE}', or set {VARIABLE}"
            )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid())),
            *(str(python), str(WORKER), str(folder)),
            env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_MAX_LINE_BYTES,
        )
        model = cls(process)
        try:
            await model._read(LOAD_SECONDS)
        except BaseException:
            await model.close()
            raise
        return model

    async def answer(self, request: ChatRequest) -> ChatAnswer:
        """Answer a request. After a ModelFailedError the process may have ended or hang: start a new one."""
        message = {"messages": request.messages, "tools": request.tools, "max_tokens": request.limit}
        async with self._lock:
            stdin = self._process.stdin
            assert stdin is not None
            try:
                stdin.write(json.dumps(message).encode() + b"\n")
                await stdin.drain()
            except (ConnectionError, OSError) as error:
                raise ModelFailedError("the model's process has ended") from error
            reply = await self._read(ANSWER_SECONDS)
        return ChatAnswer(**{name: reply[name] for name in asdict(ChatAnswer("", "stop", 0, 0))})

    async def close(self) -> None:
        """End the process after its current answer."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._lock.acquire()
        self.kill()
        await self._process.wait()

    def kill(self) -> None:
        """End the process at once."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def _read(self, seconds: float) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        try:
            line = await asyncio.wait_for(stdout.readline(), seconds)
        except TimeoutError as error:
            self.kill()
            raise ModelFailedError(f"the model said nothing for {seconds:.0f} s") from error
        if not line:
            raise ModelFailedError("the model's process has ended")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise ModelFailedError(str(reply["error"]))
        return reply
