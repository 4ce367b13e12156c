"""The `modelops` command starts fast and explains itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from modelops.api.v1alpha1.trainingrun import SensitiveKind
from modelops.cli import dataset_collect
from modelops.cli.__main__ import main
from modelops.cli.commands import COMMANDS
from modelops.cli.parser import build_parser

SLOW = {"typing", "argparse", "asyncio", "pydantic", "kubernetes", "rich", "huggingface_hub", "argcomplete"}
"""What takes longer to import than a person should wait for help or a completion."""


def imported_by(line: str, *arguments: str) -> set[str]:
    """The modules that are imported where a shell completes `line`, or where the program has these arguments."""
    program = (
        "import sys, atexit; sys.argv = ['modelops', *sys.argv[1:]]\n"
        "from modelops.cli.__main__ import main\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "import os; os._exit = sys.exit\n"
        "sys.exit(main())"
    )
    question = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))} if line else {}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env={**os.environ, **question, "_ARGCOMPLETE_STDOUT_FILENAME": os.devnull},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done
    return set(done.stderr.split())


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    assert max(map(len, shown.splitlines())) <= 80
    assert main([]) == 2
    assert capsys.readouterr().err == shown


@pytest.mark.parametrize(("line", "arguments"), [("", ["--help"]), ("modelops tr", [])], ids=["help", "word"])
def test_help_and_the_completion_of_a_command_import_nothing_slow(line: str, arguments: list[str]) -> None:
    assert not SLOW & imported_by(line, *arguments)


@pytest.mark.parametrize("command", [*COMMANDS])
def test_the_arguments_of_a_command_are_completed_without_what_it_works_with(command: str) -> None:
    runs_it = {"demo", "cluster", "sandbox", "operator", "crds", "mcp"}
    slow = SLOW - {"typing", "argparse", "argcomplete"}
    found = imported_by(f"modelops {command} --")
    assert not (slow & found) or command in runs_it


def test_a_command_that_does_not_exist_is_answered_with_the_one_that_was_meant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["trian", "docs"]) == 2
    assert "there is no command 'trian': did you mean train?" in capsys.readouterr().err
    assert main(["drill"]) == 2
    assert "there is no command 'drill': did you mean drill rollback?" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*COMMANDS])
def test_every_command_has_a_description_and_fits_a_narrow_terminal(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: modelops {command} ")
    assert max(map(len, shown.splitlines())) <= 80


def test_a_command_of_two_words_is_not_the_first_word_with_an_argument(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["evaluate", "plan", "--help"], ["evaluate", "docs", "--help"]):
        with pytest.raises(SystemExit):
            main(words)
    plan, evaluate = capsys.readouterr().out.split("usage: ")[1:]
    assert plan.startswith("modelops evaluate plan ")
    assert evaluate.startswith("modelops evaluate [")


def test_a_reader_that_has_ended_is_no_error() -> None:
    program = f"exec {sys.executable} -m modelops.cli crds 2>&1 >&3 | cat >&2"
    done = subprocess.run(
        ["/bin/sh", "-c", f"{{ {{ {program}; }} 3>&1 | :; }}"], capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    assert "BrokenPipe" not in done.stderr


def test_the_kinds_of_sensitive_data_are_those_of_the_api() -> None:
    assert list(dataset_collect.SENSITIVE) == [kind.value for kind in SensitiveKind]


def test_build_parser_knows_the_arguments_of_one_command() -> None:
    assert build_parser("train").parse_args(["train", "docs", "--yes"]).yes is True


def test_cluster_down_without_a_cluster_is_an_error(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["cluster", "down", str(tmp_path)]) == 1
    assert "no cluster runs in" in capsys.readouterr().err
