"""Which options of `modelops mcp` fit together."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelops.cli.__main__ import main


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "modelops.example"])
def test_without_authentication_it_listens_on_this_machine_only(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mcp", "--transport", "http", "--host", host]) == 2
    assert "would act with your rights" in capsys.readouterr().err


def test_a_server_for_other_machines_needs_the_names_that_they_use(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["mcp", "--transport", "http", "--host", "::", "--auth", "tokenreview"]) == 2
    assert "with --allowed-host" in capsys.readouterr().err


def test_a_key_that_is_too_short_or_missing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = tmp_path / "key"
    short.write_text("short\n")
    for file, says in ((short, "5 bytes, and 32 are needed"), (tmp_path / "none", "cannot be read")):
        arguments = ["mcp", "--transport", "http", "--auth", "tokenreview", "--key-file", str(file)]
        assert main(arguments) == 2
        assert says in capsys.readouterr().err
