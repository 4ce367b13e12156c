"""A process that was killed is known to be dead by its lock; one that is only silent is not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.router.loopback import Mount, agents_yaml, eventually, recording

from modelops.adapters.reports import ReportBody, ReportStore
from modelops.engine.clock import SystemClock
from modelops.router import Router
from modelops.router.pod_processes import MAX_NAMES, PodProcesses, shared_folder

_HOLD = """
import os, sys
from modelops.router.pod_processes import PodProcesses
held = PodProcesses(sys.argv[1], sys.argv[2])
assert sys.argv[2] not in held.ended()
if sys.argv[3] == "fork" and os.fork() == 0:
    sys.stdin.read()
    os._exit(0)
print("held", flush=True)
sys.stdin.read()
"""
_REPORT = """
import sys
from modelops.router import Router
router = Router("docs", file=sys.argv[1], watch=None, report_url=sys.argv[2], report_token="secret")
sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "modelops" / "docs")


@contextmanager
def started(program: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends at the end, and whose children see the end of its standard input then."""
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def holding(folder: str, name: str, how: str = "") -> Iterator[subprocess.Popen[bytes]]:
    with started(_HOLD, folder, name, how) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process


def test_a_killed_process_is_dead_at_once_and_one_that_was_stopped_is_not(folder: str) -> None:
    here = PodProcesses(folder, "here")
    with holding(folder, "other") as other:
        assert here.ended() == []
        other.send_signal(signal.SIGSTOP)
        assert here.ended() == []
        other.kill()
        other.wait()
        assert here.ended() == ["other"]


def test_the_death_of_a_parent_is_seen_while_its_child_lives(folder: str) -> None:
    """A child of a server that loads the application before it forks has the file open, but not the lock."""
    here = PodProcesses(folder, "here")
    with holding(folder, "parent", "fork") as parent:
        assert here.ended() == []
        parent.kill()
        parent.wait()
        assert here.ended() == ["parent"]


def test_what_no_report_brought_is_said_again_and_the_rest_once(folder: str) -> None:
    here, beside = PodProcesses(folder, "here"), PodProcesses(folder, "beside")
    with holding(folder, "other") as other:
        other.kill()
        other.wait()
    assert here.ended() == ["other"]
    assert here.ended() == beside.ended() == ["other"]
    here.forget_named()
    assert here.ended() == beside.ended() == []


def test_routers_of_one_process_do_not_release_each_others_locks(folder: str) -> None:
    one, two = PodProcesses(folder, "one"), PodProcesses(folder, "two")
    for _ in range(2):
        assert one.ended() == two.ended() == []
    with holding(folder, "other"):
        assert {path.name for path in Path(folder).iterdir()} == {"one", "two", "other"}
        seen = subprocess.run(
            [sys.executable, "-c", _LOOK, folder], capture_output=True, check=True, text=True
        ).stdout
    assert seen == "[]\n"


_LOOK = """
import sys
from modelops.router.pod_processes import PodProcesses
print(PodProcesses(sys.argv[1], "third").ended())
"""


def test_a_lock_that_was_lost_is_taken_again(folder: str) -> None:
    """A daemon closes all files of its process; a cleaner of /tmp removes the file."""
    here = PodProcesses(folder, "here")
    assert here.ended() == []
    with (Path(folder) / "here").open():
        pass  # Closing it released the lock.
    (Path(folder) / "here").unlink()
    assert here.ended() == []
    seen = subprocess.run(
        [sys.executable, "-c", _LOOK, folder], capture_output=True, check=True, text=True
    ).stdout
    assert seen == "[]\n"


def test_a_process_that_leaves_has_no_file_and_the_last_one_no_folder(folder: str) -> None:
    one, two = PodProcesses(folder, "one"), PodProcesses(folder, "two")
    one.ended(), two.ended()
    one.leave()
    assert [path.name for path in Path(folder).iterdir()] == ["two"]
    two.leave()
    assert not Path(folder).exists()


def test_a_folder_that_others_may_write_proves_nothing(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    (shared / "docs").mkdir()
    (shared / "docs" / "victim").touch()
    assert PodProcesses(str(shared / "docs"), "here").ended() == []


def test_a_report_names_a_bounded_number(folder: str) -> None:
    here = PodProcesses(folder, "here")
    here.ended()
    for number in range(MAX_NAMES + 6):
        (Path(folder) / f"dead-{number:03}").touch()
    assert len(here.ended()) == MAX_NAMES
    here.forget_named()
    assert len(here.ended()) == 6


def test_agents_pods_and_operators_have_folders_of_their_own() -> None:
    folders = {
        shared_folder(*key) for key in (("a", "", "u"), ("b", "", "u"), ("a", "p", "u"), ("a", "", "v"))
    }
    assert len(folders) == 4


def test_a_worker_that_was_killed_is_gone_with_the_first_report_of_the_next_one(mount: Mount) -> None:
    """Real processes, the real body of the report, and the store of the operator."""
    mount.write(agents_yaml(weight=20, generation=7))
    store = ReportStore(clock=SystemClock())
    with recording() as recorder:
        taken = 0

        def known() -> set[str]:
            nonlocal taken
            reports = recorder.reports
            for report in reports[taken:]:
                store.record(ReportBody.model_validate(report))
            taken = len(reports)
            return {entry.report.process for entry in store.processes("team", "docs")}

        with started(_REPORT, str(mount.file), f"{recorder.url}/v1/report") as worker:
            (first,) = eventually(known)
            worker.kill()
            worker.wait()
            assert known() == {first}
        router = Router("docs", file=mount.file, watch=None, report_url=f"{recorder.url}/v1/report")
        with router:
            eventually(lambda: known() == {router.state().process})
