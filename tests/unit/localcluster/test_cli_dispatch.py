"""The `modelops` command starts fast and explains itself."""

import subprocess
import sys

import pytest

from modelops.cli.__main__ import COMMANDS, main


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in COMMANDS)


def test_help_imports_no_command() -> None:
    program = (
        "import sys; from modelops.cli.__main__ import build_parser; build_parser(None); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not {command.module for command in COMMANDS.values()} & set(done.stdout.split())


def test_cluster_down_without_a_cluster_is_an_error(
    capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    assert main(["cluster", "down", str(tmp_path)]) == 1
    assert "no cluster runs in" in capsys.readouterr().err
