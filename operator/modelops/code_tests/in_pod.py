"""Tests of code in a Pod of their own: what the evaluation and that Pod leave for each other on the program's volume.

The folder of a request is named by a digest of its jobs, so the same jobs are never run for nothing:

    <digest>/wanted/jobs.jsonl        the jobs, one line each; the Pod has this folder read-only
    <digest>/results/verdicts.json    the verdicts in their order, written by the Pod; nothing else of it is read
    <digest>/asked                    how often the evaluation has asked for them
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from modelops.code_tests.runner_process import Job, Verdict
from modelops.code_tests.shells import SETTING, SandboxRefused, Shell

FOLDER_SETTING: Final = "MODELOPS_CODE_TESTS_FOLDER"
"""Variable of the evaluation: the folder of all requests. It is set where the program has a volume of its own."""
JOBS_SETTING: Final = "MODELOPS_CODE_TESTS_JOBS"
"""Variable of the Pod: its file of jobs."""
MEMORY_SETTING: Final = "MODELOPS_CODE_TESTS_MEMORY"
"""Variable of the Pod: its container's limit of memory, in bytes."""
WANTED, RESULTS, JOBS, VERDICTS = "wanted", "results", "jobs.jsonl", "verdicts.json"
_DIGEST_LETTERS: Final = 32
_MOST_ASKED: Final = 6
"""How often the same verdicts are asked for. A Pod of the evaluation that is killed may ask again."""
_MOST_BYTES_EACH: Final = 2_500
"""Of one verdict: a reason has at most 300 characters, each of them at most 6 bytes of JSON."""
_MOST_BYTES_BESIDE: Final = 10_000


class PodTestsWanted(Exception):
    """The verdicts are not there yet: a Pod must run `jobs` jobs, which are in the folder named `digest`."""

    def __init__(self, digest: str, jobs: int) -> None:
        super().__init__(digest)
        self.digest = digest
        self.jobs = jobs


class PodTests:
    """Looks verdicts up, and asks for those that are missing. `facts` has what was found of the Pod's sandbox."""

    def __init__(self, folder: Path) -> None:
        self.facts: dict[str, Any] = {}
        self._folder = folder

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> PodTests:
        """Raises SandboxRefused where this program has no volume that it shares with such a Pod."""
        folder = environ.get(FOLDER_SETTING, "")
        if not folder:
            raise SandboxRefused(
                f"{SETTING}={Shell.POD.value} runs the code of models in a Pod of its own, which reads it from the "
                "volume of the evaluation's Job, and this evaluation has none. Run programs as Jobs (in the chart "
                "programs.run: job) with programs.job.volume.persistent: true, or choose another "
                f"{SETTING} (in the chart programs.codeTests): docs/guides/operating.md, Tests of code"
            )
        return cls(Path(folder))

    def run(self, jobs: Sequence[Job]) -> list[Verdict]:
        """The verdicts in the order of the jobs. Raises PodTestsWanted, SandboxRefused."""
        if not jobs:
            return []
        digest = hashlib.sha256(b"".join(map(_line, jobs))).hexdigest()[:_DIGEST_LETTERS]
        place = self._folder / digest
        results = place / RESULTS / VERDICTS
        if results.exists() or results.is_symlink():
            content = _read(results, at_most=_MOST_BYTES_BESIDE + _MOST_BYTES_EACH * len(jobs))
            facts, verdicts = _verdicts(content, results, count=len(jobs))
            self.facts.update(facts)
            return verdicts
        _ask(place, jobs)
        raise PodTestsWanted(digest, len(jobs))


def read_jobs(path: Path, *, digest: str) -> Iterator[Job]:
    """The jobs of a request, one after the other. Raises SandboxRefused where they are not those of the digest."""
    found = hashlib.sha256()
    with path.open("rb") as lines:
        for line in lines:
            found.update(line)
    if found.hexdigest()[:_DIGEST_LETTERS] != digest:
        raise SandboxRefused(f"the answers in {path} are not those that were asked for (digest {digest})")
    with path.open("rb") as lines:
        for line in lines:
            document = json.loads(line)
            yield Job(code=document["code"], tests=document["tests"])


def verdicts_document(facts: Mapping[str, Any], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """The content of `verdicts.json`."""
    return {"facts": dict(facts), "verdicts": [[one.ok, one.why, one.processor_ms] for one in verdicts]}


def _line(job: Job) -> bytes:
    return json.dumps({"code": job.code, "tests": job.tests}, sort_keys=True).encode() + b"\n"


def _ask(place: Path, jobs: Sequence[Job]) -> None:
    """Writes the request. Both folders are made here, so that they belong to the user of both Pods."""
    wanted = place / WANTED
    wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
    (place / RESULTS).mkdir(exist_ok=True, mode=0o700)
    asked = place / "asked"
    before = len(asked.read_bytes()) if asked.exists() else 0
    if before >= _MOST_ASKED:
        raise SandboxRefused(
            f"the Pod for code tests has left no verdicts in {place / RESULTS} although it was asked {before} times. "
            "Read the log of its Job, and whether both Pods have the same volume"
        )
    with asked.open("ab") as count:
        count.write(b"+")
    part = wanted / f".{JOBS}.part"
    with part.open("wb") as file:
        file.writelines(map(_line, jobs))
        file.flush()
        os.fsync(file.fileno())
    part.replace(wanted / JOBS)


def _read(path: Path, *, at_most: int) -> bytes:
    """An ordinary file; a link, a pipe or one that is too large is none of ours. Raises SandboxRefused."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxRefused(f"the verdicts of the Pod for code tests cannot be read: {error}") from error
    with os.fdopen(opened, "rb") as file:
        state = os.fstat(opened)
        if not stat.S_ISREG(state.st_mode) or state.st_size > at_most:
            raise SandboxRefused(
                f"the verdicts of the Pod for code tests ({path}) are no file of at most {at_most} bytes"
            )
        return file.read(at_most + 1)


def _verdicts(content: bytes, path: Path, *, count: int) -> tuple[dict[str, Any], list[Verdict]]:
    """Raises SandboxRefused where the content is not what the Pod's program writes."""
    try:
        document = json.loads(content)
        facts, given = document["facts"], document["verdicts"]
        verdicts = [Verdict(ok=ok is True, why=str(why), processor_ms=float(ms)) for ok, why, ms in given]
        if not isinstance(facts, dict) or len(verdicts) != count:
            raise ValueError(f"{len(verdicts)} verdicts for {count} answers")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise SandboxRefused(
            f"the verdicts of the Pod for code tests ({path}) are not in their form: {error}"
        ) from error
    return facts, verdicts
