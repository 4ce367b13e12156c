"""The real sandbox: honest answers pass, everything else is refused or ended, and a lock that is missing is found."""

import os
import subprocess
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import psutil
import pytest
from tests.contract.sandboxes import SHELLS, require
from tests.patience import patient

from modelops.code_tests import sandbox as sandboxes
from modelops.code_tests.runner_process import Job, Verdict
from modelops.code_tests.sandbox import Sandbox, opened
from modelops.code_tests.shells import SETTING, SandboxRefused

HONEST = Job(code="def f(x):\n    return x + 1\n", tests="assert f(1) == 2")


@pytest.fixture(scope="module", params=SHELLS)
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    require(request.param)
    with opened({SETTING: request.param}) as box:
        yield box


def one(sandbox: Sandbox, code: str, tests: str = "", **times: float) -> Verdict:
    return sandbox.run([Job(code=code, tests=tests, times=times)])[0]


def test_all_checks_hold_and_what_was_found_is_recorded(sandbox: Sandbox) -> None:
    assert sandbox.facts["checks"] >= 27
    assert sandbox.facts["landlock"] >= 1
    assert sandbox.facts["uid"] != 0
    assert sandbox.facts["shell"] in SHELLS


def test_verdicts_come_in_the_order_of_the_answers(sandbox: Sandbox) -> None:
    wrong = Job(code="def f(x):\n    return x\n", tests=HONEST.tests)
    verdicts = sandbox.run([HONEST, wrong] * 20)
    assert [verdict.ok for verdict in verdicts] == [True, False] * 20
    assert verdicts[1].why.startswith("AssertionError")


def test_each_answer_starts_from_the_same_state(sandbox: Sandbox) -> None:
    """Neither modules nor files of one answer reach the next one."""
    leaves = Job(
        code="import math, os\nmath.pi = 3\nopen('left', 'w').write('x')", tests="assert math.pi == 3"
    )
    finds = Job(code="import math, os", tests="assert math.pi > 3.1\nassert os.listdir('.') == []")
    assert [verdict.ok for verdict in sandbox.run([leaves, finds] * 4)] == [True] * 8


def test_folders_that_nobody_can_list_are_emptied_and_links_are_not_followed(sandbox: Sandbox) -> None:
    code = (
        "import os\nos.mkdir('closed', 0o300)\nopen('closed/file', 'w').write('x')\nos.mkdir('none', 0)\n"
        "os.symlink('/tmp', 'link')\nos.symlink('nowhere', 'dangling')"
    )
    leaves = Job(code=code, tests="assert os.path.exists('closed/file')")
    finds = Job(code="import os", tests="assert os.listdir('.') == [], os.listdir('.')")
    assert [(verdict.ok, verdict.why) for verdict in sandbox.run([leaves, finds] * 4)] == [(True, "")] * 8


def test_folders_that_are_too_deep_to_walk_do_not_end_the_runner(sandbox: Sandbox) -> None:
    code = "import os, time\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\ntime.sleep(0.3)"
    deep = Job(code=code, tests="")
    finds = Job(code="import os", tests="assert os.listdir('.') == [], os.listdir('.')")
    assert [(verdict.ok, verdict.why) for verdict in sandbox.run([deep, finds] * 3)] == [(True, "")] * 6


def test_kernel_without_landlock_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    require("inner")
    whole = sandboxes._archive()
    monkeypatch.setattr(
        sandboxes, "_archive", lambda: _without(whole, "landlock", "def version(libc): return 0")
    )
    with pytest.raises(SandboxRefused, match="the kernel has no Landlock"), opened({SETTING: "inner"}):
        pass


@pytest.mark.parametrize(
    ("code", "tests", "why"),
    [
        ("import os\nos._exit(0)", "assert False", "ended early (exit 0)"),
        ("raise SystemExit(0)", "assert False", "SystemExit"),
        (
            "import threading, os\nthreading.Timer(0.1, os._exit, [0]).start()\nthreading.Event().wait()",
            "",
            "ended early",
        ),
        ("def f(:", "", "SyntaxError"),
        ("x = '\\ud800'", "raise ValueError(x)", "ValueError"),
        ("class Odd(BaseException): pass\nraise Odd", "", "Odd"),
        ("import sys\nsys.stdout.close()", "", "ValueError"),
        ("import os\nos.close(3)", "", "ended early (exit 0)"),
        ("import os\nos.write(3, b'+' + bytes(16))", "", ""),
        ("import os\nos.abort()", "", "ended early (signal 6)"),
        ("x = [1]\nwhile True: x = x + x", "", "MemoryError"),
    ],
)
def test_answer_that_does_not_run_its_tests_to_the_end_fails(
    sandbox: Sandbox, code: str, tests: str, why: str
) -> None:
    verdict = one(sandbox, code, tests)
    assert not verdict.ok
    assert why in verdict.why


def test_loops_and_sleepers_end_by_their_limits(sandbox: Sandbox) -> None:
    loop, sleeper, ignoring = sandbox.run(
        [
            Job(
                code="while True: pass", tests="", times={"processor_seconds": 1, "wall_seconds": patient(5)}
            ),
            Job(code="import time\ntime.sleep(60)", tests="", times={"wall_seconds": 0.5}),
            Job(
                code="import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
                tests="",
                times={"processor_seconds": 1, "wall_seconds": patient(5)},
            ),
        ]
    )
    assert (loop.ok, sleeper.ok, ignoring.ok) == (False, False, False)
    assert loop.why == "processor time"
    assert sleeper.why == "timeout"
    assert sandbox.run([HONEST])[0].ok


def test_dataclasses_and_annotations_of_an_answer_work(sandbox: Sandbox) -> None:
    code = (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
        "@dataclass\nclass Point:\n    x: int\n    y: int = 0\n\nif __name__ == '__main__':\n    input()\n"
    )
    assert one(sandbox, code, "assert Point(1).y == 0").ok


@pytest.mark.parametrize("left_out", ["seccomp", "landlock"])
@pytest.mark.parametrize("shell", SHELLS)
def test_missing_lock_is_found_by_the_checks(
    shell: str, left_out: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checks can fail: without one of the locks no verdict is given."""
    require(shell)
    whole = sandboxes._archive()
    monkeypatch.setattr(sandboxes, "_archive", lambda: _without(whole, left_out))
    with pytest.raises(SandboxRefused, match="does not hold here"), opened({SETTING: shell}):
        pass


def _without(archive: bytes, module: str, instead: str = "def apply(*args, **more): pass") -> bytes:
    """The runner with a lock that does nothing, or with another function instead."""
    changed = BytesIO()
    with zipfile.ZipFile(BytesIO(archive)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name.endswith(f"/{module}.py"):
                text += f"\n\n{instead}\n".encode()
            new.writestr(name, text)
    return changed.getvalue()


def test_runner_that_cannot_start_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    require("inner")
    monkeypatch.setattr(sandboxes, "_archive", lambda: b"no archive")
    with pytest.raises(SandboxRefused, match="the runner of code tests ended"), opened({SETTING: "inner"}):
        pass


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user")
def test_ordinary_user_gets_the_same_sandbox(tmp_path: Path) -> None:
    """The operator in a Pod is an ordinary user; here root becomes one."""
    require("inner")
    python = "/usr/bin/python3"
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "from modelops.code_tests.sandbox import opened\n"
        "with opened({'MODELOPS_CODE_TESTS': 'inner'}) as box: print(box.facts['uid'], box.facts['checks'])\n"
    )
    operator = Path(sandboxes.__file__).parents[2]
    probe = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 11))"]
    for command in (probe, [python, "-c", f"open({str(operator / 'modelops/__init__.py')!r})"]):
        if subprocess.run(command, user=65532, check=False, stderr=subprocess.DEVNULL, cwd="/").returncode:
            pytest.skip(f"user 65532 cannot run {python} on {operator}")
    done = subprocess.run(
        [python, "-c", program, str(operator)],
        user=65532,
        group=65532,
        extra_groups=(),
        env={"SECRET": "not for answers", "TMPDIR": "/tmp"},
        cwd="/",
        capture_output=True,
        text=True,
        timeout=patient(60),
        check=False,
    )
    assert done.stdout.split()[:1] == ["65532"], done.stderr


def test_nothing_is_left_behind(sandbox: Sandbox) -> None:
    """Runners end with their batch, so that no process of an answer stays."""
    sandbox.run([HONEST] * 4)
    assert [child.cmdline() for child in psutil.Process().children() if "-P" in child.cmdline()] == []
