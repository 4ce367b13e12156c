"""The files of one program: what it was given, how far it is, what came of it, and how often it died.

The program owns `progress.json`, `result.json` and its journals; the rest is ours. Every JSON file is
replaced as a whole, so a reader sees the old one or the new one.
"""

from __future__ import annotations

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
DEATHS: Final = "deaths.json"
OURS: Final = frozenset({INPUT, LOCK, PID, f"{PID}.new", LOG, DEATHS})

DEATHS_WITHOUT_PROGRESS: Final = 3
DEATHS_IN_ALL: Final = 20
LARGEST_LOG: Final = 512 * 1024
KEPT_LOG: Final = 64 * 1024
LARGEST_RESULT: Final = 64 * 1024 * 1024

SECRETS: Final = re.compile(r"(hf_|lsv2_|lsv2_pt_|lsv2_sk_|sk-or-|sk-)[A-Za-z0-9_\-]{6,}|(?<=Bearer )\S+")
NAME: Final = re.compile(r"[a-z0-9][a-z0-9.-]{0,150}")


@dataclass(frozen=True)
class ProgramFolder:
    """One program's folder; it need not exist."""

    path: Path

    @classmethod
    def of(cls, programs: Path, name: str) -> ProgramFolder:
        """Raises Refused where the name could leave the folder of programs."""
        if not NAME.fullmatch(name):
            raise Refused(f"program name {name!r} is not of the form {NAME.pattern}")
        return cls(programs / name)

    @property
    def exists(self) -> bool:
        """Whether the program was ever started."""
        return (self.path / INPUT).is_file()

    def give(self, given: Json) -> None:
        """Writes the input; one that is there already must be the same.

        Raises Refused where it is another one: a journal belongs to its input.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        there = self._json(INPUT)
        if there is not None and there != given:
            raise Refused(
                f"{self.path} belongs to another input; stop the program of that name, or use another name"
            )
        if there is None:
            self._replace(INPUT, given)

    @property
    def progress(self) -> Json:
        """What the program says of itself; empty where it says nothing."""
        return self._json(PROGRESS) or {}

    @property
    def result(self) -> Json | None:
        """What came of it. A result that cannot be read is a failure that says so."""
        if not (self.path / RESULT).is_file():
            return None
        result = self._json(RESULT)
        if result is None or not isinstance(result.get("ok"), bool):
            return failed("ProgramFailed", f"{self.path / RESULT} is not a result: a JSON object with ok")
        return result

    def forget_result(self) -> None:
        """The journal stays; deaths are counted anew."""
        for name in (RESULT, DEATHS, PID):
            (self.path / name).unlink(missing_ok=True)

    def count_death(self, *secrets: str) -> None:
        """Once for each process that ended without a result; too many of them are the result."""
        if not (self.path / PID).is_file():
            return
        (self.path / PID).unlink()
        before = self._json(DEATHS) or {}
        mark = self._mark()
        in_a_row = before.get("in_a_row", 0) + 1 if before.get("mark") == mark else 1
        in_all = before.get("in_all", 0) + 1
        self._replace(DEATHS, {"in_a_row": in_a_row, "in_all": in_all, "mark": mark})
        if in_a_row >= DEATHS_WITHOUT_PROGRESS or in_all >= DEATHS_IN_ALL:
            how = f"{in_a_row} times in a row without progress" if in_a_row >= 3 else f"{in_all} times"
            words = self.last_words(*secrets)
            self._replace(
                RESULT, failed("ProgramDied", f"the program died {how}; its last words: {words or 'none'}")
            )

    def last_words(self, *secrets: str) -> str:
        """The end of the log, at most ten lines and 1,500 characters, without secrets."""
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

    def bound_log(self) -> None:
        """Keeps the end of a log that has grown too large; the program appends, so it goes on after it."""
        log = self.path / LOG
        if log.is_file() and log.stat().st_size > LARGEST_LOG:
            with log.open("r+b") as file:
                file.seek(-KEPT_LOG, os.SEEK_END)
                kept = file.read()
                file.truncate(0)
            with log.open("ab") as file:
                file.write(kept)

    def remove(self) -> None:
        """With everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)

    def _mark(self) -> str:
        """Changes when the program gets on: its progress and the sizes of its journals."""
        digest = hashlib.sha256()
        for file in sorted(self.path.rglob("*")):
            name = str(file.relative_to(self.path))
            if name in OURS or name.startswith(".") or not file.is_file():
                continue
            said = {key: value for key, value in self.progress.items() if key != "t"}
            content = json.dumps(said, sort_keys=True) if name == PROGRESS else str(file.stat().st_size)
            digest.update(f"{name}\0{content}\0".encode())
        return digest.hexdigest()

    def _json(self, name: str) -> Json | None:
        file = self.path / name
        try:
            if file.stat().st_size > LARGEST_RESULT:
                return None
            content = json.loads(file.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def _replace(self, name: str, content: Json) -> None:
        new = self.path / f".{name}.new"
        with new.open("w") as file:
            json.dump(content, file, sort_keys=True)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path / name)


def failed(reason: str, message: str) -> Json:
    """A result of ours for a program that gave none."""
    return {"ok": False, "reason": reason, "message": message, "transient": False}
