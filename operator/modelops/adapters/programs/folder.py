"""The files of one program: its input, progress, result and log, and the number of its crashes.

The program writes `progress.json`, `result.json` and its journals; the operator writes the other files. A JSON
file is always replaced as a whole, so a reader sees the old content or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from modelops.adapters.programs.process import LOCK, LOG, PID
from modelops.ports import Json, Refused

INPUT: Final = "input.json"
PROGRESS: Final = "progress.json"
RESULT: Final = "result.json"
CRASHES: Final = "crashes.json"
OPERATOR_FILES: Final = frozenset({INPUT, LOCK, PID, f"{PID}.new", LOG, CRASHES})

MAX_CRASHES_WITHOUT_PROGRESS: Final = 3
MAX_CRASHES: Final = 20
MAX_LOG_BYTES: Final = 512 * 1024
KEPT_LOG_BYTES: Final = 64 * 1024
MIN_FREE_BYTES: Final = 64 * 1024
"""With less on its disk, a program that ended without a result could not write it."""
MAX_JSON_BYTES: Final = 64 * 1024 * 1024

SECRETS: Final = re.compile(r"(hf_|lsv2_|lsv2_pt_|lsv2_sk_|sk-or-|sk-)[A-Za-z0-9_\-]{6,}|(?<=Bearer )\S+")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,150}")


@dataclass(frozen=True)
class ProgramFolder:
    """One program's folder; it need not exist."""

    path: Path

    @classmethod
    def of(cls, programs: Path, name: str) -> ProgramFolder:
        """The folder of the program. Raises Refused for a name that could lead out of the folder of programs."""
        if not NAME.fullmatch(name):
            raise Refused(f"program name {name!r} is not valid: it must match {NAME.pattern}")
        return cls(programs / name)

    @property
    def exists(self) -> bool:
        """Whether the program was started before."""
        return (self.path / INPUT).is_file()

    def write_input(self, content: Json) -> None:
        """Writes the program's input, unless the same input was written before.

        Raises Refused where the folder has another input, because its journal belongs to that input.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        existing = self._read_json(INPUT)
        if existing is not None and existing != content:
            raise Refused(
                f"{self.path} belongs to a program with another input; stop that program, or use another name"
            )
        if existing is None:
            self._write(INPUT, content)

    @property
    def progress(self) -> Json:
        """The progress that the program reports; empty where it reports none."""
        return self._read_json(PROGRESS) or {}

    @property
    def result(self) -> Json | None:
        """The program's result; None while there is none. An unreadable result counts as a failure."""
        if not (self.path / RESULT).is_file():
            return None
        result = self._read_json(RESULT)
        if result is None or not isinstance(result.get("ok"), bool):
            return failure_result(
                "ProgramFailed",
                f"{self.path / RESULT} is not a valid result: it must be a JSON object with a boolean `ok`",
            )
        return result

    def discard_result(self) -> None:
        """Removes the result and the crash count; the journal stays."""
        for name in (RESULT, CRASHES, PID):
            (self.path / name).unlink(missing_ok=True)

    def record_crash(self, *secrets: str) -> None:
        """Counts a process that ended without a result, once per process; does nothing without one.

        After too many crashes the result is a failure with the end of the log, from which `secrets` are removed. Raises
        OSError (ENOSPC), and counts nothing, where the disk is full.
        """
        if not (self.path / PID).is_file():
            return
        if shutil.disk_usage(self.path).free < MIN_FREE_BYTES:
            raise OSError(errno.ENOSPC, "the program could not write its result", str(self.path))
        (self.path / PID).unlink()
        before = self._read_json(CRASHES) or {}
        fingerprint = self._progress_fingerprint()
        in_a_row = before.get("in_a_row", 0) + 1 if before.get("fingerprint") == fingerprint else 1
        total = before.get("total", 0) + 1
        self._write(CRASHES, {"in_a_row": in_a_row, "total": total, "fingerprint": fingerprint})
        if in_a_row >= MAX_CRASHES_WITHOUT_PROGRESS or total >= MAX_CRASHES:
            without_progress = in_a_row >= MAX_CRASHES_WITHOUT_PROGRESS
            often = f"{in_a_row} times in a row without progress" if without_progress else f"{total} times"
            log = self.log_tail(*secrets) or "(empty)"
            self._write(
                RESULT,
                failure_result(
                    "ProgramDied",
                    f"the program ended {often} without a result; remove the cause and try again. "
                    f"The end of its log: {log}",
                ),
            )

    def log_tail(self, *secrets: str) -> str:
        """The end of the log without secrets: at most ten lines and 1,500 characters."""
        try:
            with (self.path / LOG).open("rb") as log:
                log.seek(0, os.SEEK_END)
                log.seek(max(0, log.tell() - 8192))
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        for secret in secrets:
            text = text.replace(secret, "***")
        lines = [line for line in SECRETS.sub("***", text).splitlines() if line.strip()]
        return "\n".join(lines[-10:])[-1500:]

    def truncate_log(self) -> None:
        """Keeps only the end of a log that is too large. The program appends, so it continues after that end."""
        log = self.path / LOG
        if log.is_file() and log.stat().st_size > MAX_LOG_BYTES:
            with log.open("r+b") as file:
                file.seek(-KEPT_LOG_BYTES, os.SEEK_END)
                kept = file.read()
                file.truncate(0)
            with log.open("ab") as file:
                file.write(kept)

    def remove(self) -> None:
        """Removes the folder and its content."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _progress_fingerprint(self) -> str:
        """A digest of the progress and the sizes of the journals: it changes when the program makes progress."""
        digest = hashlib.sha256()
        for file in sorted(self.path.rglob("*")):
            name = str(file.relative_to(self.path))
            if name in OPERATOR_FILES or name.startswith(".") or not file.is_file():
                continue
            progress = {key: value for key, value in self.progress.items() if key != "t"}
            content = json.dumps(progress, sort_keys=True) if name == PROGRESS else str(file.stat().st_size)
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()

    def _read_json(self, name: str) -> Json | None:
        file = self.path / name
        try:
            if file.stat().st_size > MAX_JSON_BYTES:
                return None
            content = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _write(self, name: str, content: Json) -> None:
        new = self.path / f".{name}.new"
        with new.open("w") as file:
            json.dump(content, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / name)


def failure_result(reason: str, message: str) -> Json:
    """The result of a program that wrote no valid one."""
    return {"ok": False, "reason": reason, "message": message, "transient": False}
