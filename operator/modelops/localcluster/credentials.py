"""Credentials of a local cluster: tokens, the token file, the service-account key, kubeconfigs."""

import base64
import json
import os
import secrets
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ADMIN = "admin"
_ADMIN_GROUPS = ("system:masters",)

# SEC 1, C.4, ECPrivateKey on prime256v1 without the optional public key, which Go's crypto/x509 derives.
_EC_KEY_HEAD = bytes.fromhex("30310201010420")
_EC_KEY_TAIL = bytes.fromhex("a00a06082a8648ce3d030107")
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # SEC 2, 2.4.2


@dataclass(frozen=True)
class User:
    """A user in the API server's token file."""

    name: str
    groups: tuple[str, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)


def with_admin(users: Mapping[str, Sequence[str]]) -> dict[str, User]:
    """Create a token for the cluster's admin and for each of `users` (name to groups)."""
    groups_by_user = {ADMIN: _ADMIN_GROUPS, **{name: tuple(groups) for name, groups in users.items()}}
    return {name: User(name, groups=groups) for name, groups in groups_by_user.items()}


def write_token_file(path: Path, users: Mapping[str, User]) -> None:
    """Write the CSV file for --token-auth-file: token, name, uid, and the groups in quotes."""
    lines = [f'{user.token},{user.name},{user.name},"{",".join(user.groups)}"\n' for user in users.values()]
    write_secret(path, "".join(lines))


def write_service_account_key(path: Path) -> None:
    """Write a fresh P-256 private key in PEM."""
    scalar = 1 + secrets.randbelow(_P256_ORDER - 1)
    der = _EC_KEY_HEAD + scalar.to_bytes(32, "big") + _EC_KEY_TAIL
    body = base64.encodebytes(der).decode()
    write_secret(path, f"-----BEGIN EC PRIVATE KEY-----\n{body}-----END EC PRIVATE KEY-----\n")


def write_kubeconfig(path: Path, *, url: str, ca: str, user: User) -> None:
    """Write a kubeconfig with one context, as JSON, which is also YAML."""
    name = "modelops-local"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": url,
                    "certificate-authority-data": base64.b64encode(ca.encode()).decode(),
                },
            }
        ],
        "users": [{"name": user.name, "user": {"token": user.token}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": user.name, "namespace": "default"}}],
    }
    write_secret(path, json.dumps(config, indent=2) + "\n")


def write_impersonating_kubeconfig(path: Path, *, kubectl: Path, source: Path, user: str) -> None:
    """Write the current context of the kubeconfig `source`, impersonating `user`: for an external cluster."""
    config = read_kubeconfig(kubectl, source)
    for entry in config["users"]:
        entry["user"]["as"] = user
    write_secret(path, json.dumps(config, indent=2) + "\n")


def read_kubeconfig(kubectl: Path, path: Path) -> dict[str, list[dict[str, dict[str, str]]]]:
    """Read the current context of a kubeconfig with `kubectl config view`, which inlines the files that it names."""
    shown = subprocess.run(
        [kubectl, "--kubeconfig", path, "config", "view", "--minify", "--flatten", "--raw", "-o", "json"],
        capture_output=True,
        check=True,
        text=True,
    )
    config: dict[str, list[dict[str, dict[str, str]]]] = json.loads(shown.stdout)
    return config


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, atomically: a reader sees the old content or the new one."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    Path(name).replace(path)
