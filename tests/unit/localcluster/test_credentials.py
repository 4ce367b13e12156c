"""Tokens and kubeconfigs: the groups of each user, and the permissions of the files."""

import csv
import json
import stat
from pathlib import Path

from modelops.localcluster.credentials import with_admin, write_kubeconfig, write_token_file


def test_token_file_gives_each_user_its_own_token_and_groups(tmp_path: Path) -> None:
    users = with_admin({"alice": (), "bob": ("dev", "ops")})
    write_token_file(tmp_path / "tokens.csv", users)
    with (tmp_path / "tokens.csv").open(newline="") as file:
        rows = {row[1]: row for row in csv.reader(file)}
    assert {name: row[3] for name, row in rows.items()} == {
        "admin": "system:masters",
        "alice": "",
        "bob": "dev,ops",
    }
    assert len({row[0] for row in rows.values()}) == 3


def test_kubeconfig_is_for_its_owner_only(tmp_path: Path) -> None:
    user = with_admin({})["admin"]
    path = tmp_path / "kubeconfig"
    write_kubeconfig(path, url="https://127.0.0.1:1", ca="PEM", user=user)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["users"][0]["user"]["token"] == user.token


def test_token_is_not_in_the_repr_of_its_user() -> None:
    user = with_admin({})["admin"]
    assert user.token not in repr(user)
