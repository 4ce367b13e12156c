"""A user's servers have one key, which nobody else can read."""

from __future__ import annotations

from pathlib import Path

from modelops.mcp_server.local_key import local_key


def test_the_key_is_made_once_and_is_the_users_alone(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    key = local_key(environ)
    assert len(key) == 32
    assert local_key(environ) == key
    (file,) = (tmp_path / ".local" / "state" / "modelops").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert local_key({"XDG_STATE_HOME": str(tmp_path / "other")}) != key


def test_a_broken_key_is_made_anew(tmp_path: Path) -> None:
    environ = {"XDG_STATE_HOME": str(tmp_path)}
    file = tmp_path / "modelops" / "mcp-key"
    file.parent.mkdir()
    file.write_bytes(b"short")
    key = local_key(environ)
    assert (len(key), local_key(environ)) == (32, key)


def test_without_a_place_for_it_the_process_has_a_key_of_its_own(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.write_text("")
    first, second = (local_key({"XDG_STATE_HOME": str(place)}) for _ in range(2))
    assert (len(first), first == second) == (32, False)
