"""Programs as real processes: started once, found again after a restart, ended with their children."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.patience import deadline_after, patient

from modelops.adapters.programs import LocalPrograms
from modelops.adapters.programs.process import process_id
from modelops.ports import ProgramState, Refused
from modelops.runtime.metrics import Metrics
from modelops.runtime.program_calls import CountedPrograms
from modelops.service_calls import ServiceCalls
from modelops.workdir import FAILED, WorkDir, run_program

PROGRAM = """
import json, os, pathlib, subprocess, sys, time
folder = pathlib.Path(sys.argv[1])
given = json.loads((folder / "input.json").read_text())
def put(name, content):
    new = folder / f"{name}.tmp"
    new.write_text(json.dumps(content)); new.replace(folder / name)
put("progress.json", {"t": time.time(), "stage": "begun"}) if given["do"] == "die" else None
with (folder / "runs.jsonl").open("a") as journal:
    if given.get("journal", True):
        journal.write(json.dumps({"pid": os.getpid()}) + "\\n")
match given["do"]:
    case "finish": put("result.json",
        {"ok": True, "environment": dict(os.environ), "argv": sys.argv, "calls": given.get("calls")})
    case "transient": put("result.json", {"ok": False, "reason": "Later", "message": "", "transient": True})
    case "die": print("dying of", os.environ.get("API_KEY"), "and hf_abcdefghij123"); sys.exit(3)
    case "shout": print("x" * 2_000_000, flush=True); put("progress.json", {"said": 1}); time.sleep(60)
    case "wait":
        if given.get("child"):
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
            put("progress.json", {"child": child.pid})
        put("progress.json", {**json.loads((folder / "progress.json").read_text()
            if (folder / "progress.json").exists() else "{}"), "waits": True})
        time.sleep(60)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that does what its input says."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "program_under_test.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(source))
    return "program_under_test"


@pytest.fixture
async def programs(tmp_path: Path) -> AsyncIterator[LocalPrograms]:
    running = LocalPrograms(tmp_path)
    yield running
    for folder in (tmp_path / "programs").glob("*"):
        await running.stop(folder.name)


async def until(
    programs: LocalPrograms, name: str, condition: Callable[[ProgramState], bool], seconds: float = 15.0
) -> ProgramState:
    deadline = deadline_after(seconds)
    while time.monotonic() < deadline:
        state = await programs.observe(name)
        if state is not None and condition(state):
            return state
        await asyncio.sleep(0.02)
    pytest.fail(f"{name} did not get there in {seconds} s: {await programs.observe(name)}")


def finished(state: ProgramState) -> bool:
    return state.result is not None


def waiting(state: ProgramState) -> bool:
    return state.progress.get("waits", False) is True


def not_running(state: ProgramState) -> bool:
    return not state.running


def runs(tmp_path: Path, name: str) -> int:
    return len((tmp_path / "programs" / name / "runs.jsonl").read_text().splitlines())


def exists(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()


async def test_a_program_that_was_never_started_is_unknown(programs: LocalPrograms) -> None:
    assert await programs.observe("dataset-a") is None


async def test_a_program_has_only_the_environment_that_it_was_given(
    programs: LocalPrograms, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPERATORS_OWN_SECRET", "not-for-programs")
    await programs.start("dataset-a", module, {"do": "finish"}, {"API_KEY": "given-secret"})
    result = (await until(programs, "dataset-a", finished)).result
    assert result is not None
    assert result["ok"]
    assert result["environment"]["API_KEY"] == "given-secret"
    assert "OPERATORS_OWN_SECRET" not in result["environment"]
    assert "given-secret" not in " ".join(result["argv"])
    ours = [file for file in (tmp_path / "programs" / "dataset-a").iterdir() if file.name != "result.json"]
    assert not [file for file in ours if b"given-secret" in file.read_bytes()]


async def test_the_calls_of_a_process_are_in_the_operators_metrics(
    programs: LocalPrograms, module: str
) -> None:
    metrics, calls = Metrics(), ServiceCalls()
    calls.add("langsmith", "ok")
    counted = CountedPrograms(programs, metrics)
    assert await counted.observe("dataset-a") is None
    await programs.start("dataset-a", module, {"do": "finish", "calls": calls.document()}, {})
    await until(programs, "dataset-a", finished)
    for _ in range(2):
        await counted.observe("dataset-a")
    labels = {"api": "langsmith", "operation": "dataset", "outcome": "ok"}
    assert metrics.registry.get_sample_value("modelops_external_calls_total", labels) == 1


async def test_a_second_start_changes_nothing_while_it_runs_and_after_it_finished(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    for _ in range(3):
        await programs.start("a", module, {"do": "wait"}, {})
    await until(programs, "a", waiting)
    await programs.start("a", module, {"do": "wait"}, {})
    await programs.start("b", module, {"do": "finish"}, {})
    await until(programs, "b", finished)
    await programs.start("b", module, {"do": "finish"}, {})
    assert (runs(tmp_path, "a"), runs(tmp_path, "b")) == (1, 1)


async def test_another_input_under_the_same_name_is_refused(programs: LocalPrograms, module: str) -> None:
    await programs.start("a", module, {"do": "finish"}, {})
    with pytest.raises(Refused, match="another input"):
        await programs.start("a", module, {"do": "die"}, {})


async def test_a_restarted_operator_adopts_a_running_program(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    await programs.start("a", module, {"do": "wait"}, {})
    await until(programs, "a", waiting)
    successor = LocalPrograms(tmp_path)
    await successor.start("a", module, {"do": "wait"}, {})
    state = await successor.observe("a")
    assert state is not None
    assert state.running
    assert runs(tmp_path, "a") == 1


async def test_a_program_outlives_the_operator_that_started_it(tmp_path: Path, module: str) -> None:
    script = (
        "import asyncio, pathlib, sys; from modelops.adapters.programs import LocalPrograms;"
        "asyncio.run(LocalPrograms(pathlib.Path(sys.argv[1])).start('a', sys.argv[2], {'do': 'wait'}, {}))"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path), module], check=True, timeout=patient(30))
    successor = LocalPrograms(tmp_path)
    state = await until(successor, "a", waiting)
    assert state.running
    await successor.stop("a")


async def test_a_killed_program_is_started_again_and_resumes_in_its_folder(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    await programs.start("a", module, {"do": "wait"}, {})
    await until(programs, "a", waiting)
    process = process_id(tmp_path / "programs" / "a")
    assert process is not None
    os.kill(process, signal.SIGKILL)
    state = await until(programs, "a", not_running)
    assert state.result is None
    await programs.start("a", module, {"do": "wait"}, {})
    await until(programs, "a", lambda state: state.running and runs(tmp_path, "a") == 2)


async def test_a_process_id_of_another_process_is_not_taken_for_the_program(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    await programs.start("a", module, {"do": "die"}, {})
    await until(programs, "a", not_running)
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
    try:
        (tmp_path / "programs" / "a" / "pid").write_text(str(stranger.pid))
        state = await programs.observe("a")
        assert state is not None
        assert not state.running
        await programs.stop("a")
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


async def crash(programs: LocalPrograms, module: str, *, times: int, journal: bool) -> ProgramState:
    given = {"do": "die", "journal": journal}
    for _ in range(times):
        await programs.start("a", module, given, {"API_KEY": "given-secret"})
        state = await until(programs, "a", not_running)
    return state


async def test_three_crashes_without_progress_are_a_failure_with_the_log_and_without_secrets(
    programs: LocalPrograms, module: str
) -> None:
    assert (await crash(programs, module, times=2, journal=False)).result is None
    result = (await crash(programs, module, times=1, journal=False)).result
    assert result is not None
    assert (result["ok"], result["reason"], result["transient"]) == (False, "ProgramDied", False)
    assert "dying of *** and ***" in result["message"]


async def test_crashes_with_progress_in_between_are_no_failure(programs: LocalPrograms, module: str) -> None:
    assert (await crash(programs, module, times=4, journal=True)).result is None


async def test_only_a_transient_result_is_discarded_and_the_journal_stays(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    for name, do in (("a", "transient"), ("b", "finish")):
        await programs.start(name, module, {"do": do}, {})
        await until(programs, name, finished)
        await programs.retry(name)
        await programs.start(name, module, {"do": do}, {})
        await until(programs, name, finished)
    assert (runs(tmp_path, "a"), runs(tmp_path, "b")) == (2, 1)


async def test_stop_ends_the_program_with_its_children_and_removes_the_folder(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    await programs.start("a", module, {"do": "wait", "child": True}, {})
    child = (await until(programs, "a", waiting)).progress["child"]
    await programs.stop("a")
    await eventually(lambda: asyncio.sleep(0, not exists(child)))
    assert not (tmp_path / "programs" / "a").exists()
    assert await programs.observe("a") is None


async def test_the_end_of_a_program_is_reported_at_once_and_leaves_no_zombie(
    tmp_path: Path, module: str
) -> None:
    ended: asyncio.Queue[str] = asyncio.Queue()
    programs = LocalPrograms(tmp_path, on_ended=ended.put_nowait)
    await programs.start("a", module, {"do": "finish"}, {})
    assert await asyncio.wait_for(ended.get(), patient(15)) == "a"
    process = process_id(tmp_path / "programs" / "a")
    assert process is not None
    assert not Path(f"/proc/{process}").exists()


async def test_a_long_log_is_truncated(programs: LocalPrograms, module: str, tmp_path: Path) -> None:
    await programs.start("a", module, {"do": "shout"}, {})
    await until(programs, "a", lambda state: "said" in state.progress)
    await programs.observe("a")
    assert (tmp_path / "programs" / "a" / "program.log").stat().st_size < 100_000


@pytest.mark.parametrize("name", ["../a", "a/b", "", ".hidden", "A"])
async def test_a_name_cannot_leave_the_folder(programs: LocalPrograms, name: str) -> None:
    with pytest.raises(Refused, match="program name"):
        await programs.observe(name)


async def test_an_invalid_result_is_a_failure(programs: LocalPrograms, module: str, tmp_path: Path) -> None:
    await programs.start("a", module, {"do": "die"}, {})
    await until(programs, "a", not_running)
    (tmp_path / "programs" / "a" / "result.json").write_text(json.dumps({"fine": True}))
    result = (await until(programs, "a", finished)).result
    assert result is not None
    assert result["reason"] == "ProgramFailed"


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    deadline = deadline_after(seconds)
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_a_program_that_had_no_space_goes_on_once_there_is_some(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    """Every write to /dev/full fails as on a full disk (man 4 full)."""
    folder = tmp_path / "programs" / "full"
    folder.mkdir(parents=True)
    (folder / ".input.json.new").symlink_to("/dev/full")
    await programs.start("full", module, {"do": "finish"}, {})
    state = await programs.observe("full")
    assert state is not None
    assert state.result is not None
    assert not state.running
    assert (state.result["reason"], state.result["transient"]) == ("OperatorDiskFull", True)
    assert str(folder) in state.result["message"]
    (folder / ".input.json.new").unlink()
    await programs.retry("full")
    assert await programs.observe("full") is None
    await programs.start("full", module, {"do": "finish"}, {})
    done = await until(programs, "full", lambda state: state.result is not None)
    assert done.result is not None
    assert done.result["ok"]


async def test_a_program_that_could_not_write_its_result_has_not_crashed(
    programs: LocalPrograms, module: str, tmp_path: Path
) -> None:
    await programs.start("full", module, {"do": "die"}, {})
    folder = tmp_path / "programs" / "full"
    (folder / ".crashes.json.new").symlink_to("/dev/full")
    state = await until(programs, "full", lambda state: not state.running)
    assert state.result is not None
    assert (state.result["reason"], state.result["transient"]) == ("OperatorDiskFull", True)


def test_an_error_of_a_full_disk_is_tried_again(tmp_path: Path) -> None:
    def main(work: WorkDir) -> dict[str, str]:
        try:
            Path("/dev/full").write_text("a journal")
        except OSError as error:
            raise RuntimeError("the journal could not be written") from error
        return {}

    assert run_program(main, tmp_path) == FAILED
    result = json.loads((tmp_path / "result.json").read_text())
    assert (result["reason"], result["transient"]) == ("OperatorDiskFull", True)
