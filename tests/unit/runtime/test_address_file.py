"""The file with the URLs is a help for programs on this machine: without it the operator leads all the same."""

import errno
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from modelops.runtime.address_file import AddressFile

URLS = {"metrics": "http://127.0.0.1:8080"}


def test_the_file_has_the_urls_and_is_removed(tmp_path: Path) -> None:
    file = AddressFile(tmp_path / "state" / "operator.json")
    file.write(URLS)
    assert json.loads(file.path.read_text()).items() > URLS.items()
    file.remove()
    assert not file.path.exists()


def test_a_folder_that_cannot_be_written_is_said_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "state").write_text("a file where the folder should be")
    file = AddressFile(tmp_path / "state" / "operator.json")
    with caplog.at_level(logging.WARNING):
        file.write(URLS)
        file.remove()
    assert "operator.json" in caplog.text


def test_a_full_volume_is_said_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    file = AddressFile(tmp_path / "operator.json")
    with caplog.at_level(logging.WARNING):
        file.write(URLS)
    assert "No space left on device" in caplog.text
