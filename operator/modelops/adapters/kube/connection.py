"""The address of the API server and the credentials for it: from a kubeconfig, or from the operator's Pod."""

from __future__ import annotations

import base64
import os
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class ConfigurationError(Exception):
    """No usable API server was found. The message says where it was searched for and what to do."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An API server and one identity on it. Secrets do not appear in its repr.

    `server`: base URL, http or https. `token_file`: read again whenever the server answers 401, because the
    kubelet renews it. `namespace`: that of the kubeconfig's context, or of the operator's Pod. `source`: the
    kubeconfig or the folder from which all of this was read.
    """

    server: str
    source: str
    namespace: str = "default"
    ca: str = field(repr=False, default="")
    insecure: bool = False
    certificate: str = field(repr=False, default="")
    private_key: str = field(repr=False, default="")
    token_value: str = field(repr=False, default="")
    token_file: Path | None = None
    impersonate: str = ""

    @classmethod
    def discover(cls, kubeconfig: Path | None = None, *, environ: Mapping[str, str] = os.environ) -> Self:
        """The named kubeconfig; else $KUBECONFIG; else the Pod's service account; else ~/.kube/config.

        Raises:
            ConfigurationError: none of them exists, or the one found cannot be used.
        """
        if kubeconfig is not None:
            return cls.from_kubeconfig(kubeconfig)
        if environ.get("KUBECONFIG"):
            return cls.from_kubeconfig(Path(environ["KUBECONFIG"].split(os.pathsep)[0]))
        if environ.get("KUBERNETES_SERVICE_HOST"):
            return cls.in_cluster(environ=environ)
        home = Path(environ.get("HOME", "/")) / ".kube" / "config"
        if home.is_file():
            return cls.from_kubeconfig(home)
        raise ConfigurationError(
            f"no API server is configured: KUBECONFIG is not set, this process does not run in a Pod, and {home} "
            "does not exist; set KUBECONFIG to the path of a kubeconfig"
        )

    @classmethod
    def in_cluster(cls, *, folder: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> Self:
        """The API server of the cluster in which the operator's Pod runs, as the Pod's service account."""
        host, port = environ["KUBERNETES_SERVICE_HOST"], environ.get("KUBERNETES_SERVICE_PORT", "443")
        host = f"[{host}]" if ":" in host else host
        try:
            return cls(
                server=f"https://{host}:{port}",
                source=str(folder),
                namespace=(folder / "namespace").read_text().strip(),
                ca=(folder / "ca.crt").read_text(),
                token_file=folder / "token",
            )
        except OSError as error:
            raise ConfigurationError(
                f"the service account's files in {folder} cannot be read: {error}; set "
                "automountServiceAccountToken: true in the Pod"
            ) from error

    @classmethod
    def from_kubeconfig(cls, path: Path) -> Self:
        """The current context of a kubeconfig.

        Raises:
            ConfigurationError: no such file, no such context, or an exec or auth-provider plugin.
        """
        from ruamel.yaml import YAML
        from ruamel.yaml.error import YAMLError

        try:
            config = YAML(typ="safe", pure=True).load(path.read_text())
            wanted = config["current-context"]
            context = _find_entry(config, "contexts", wanted)["context"]
            cluster = _find_entry(config, "clusters", context["cluster"])["cluster"]
            user = _find_entry(config, "users", context["user"]).get("user") or {}
            server = str(cluster["server"]).rstrip("/")
        except (OSError, YAMLError, KeyError, TypeError) as error:
            raise ConfigurationError(
                f"kubeconfig {path} cannot be used ({error!r}): it must be a YAML file, and its "
                "current-context must name a context with a cluster and a user"
            ) from error
        if "exec" in user or "auth-provider" in user:
            raise ConfigurationError(
                f"kubeconfig {path}: user {context['user']!r} logs in by a plugin, and the operator runs no "
                "plugins; use a token or a client certificate, or run the operator in the cluster"
            )
        token_file = user.get("tokenFile")
        return cls(
            server=server,
            source=str(path),
            namespace=context.get("namespace") or "default",
            ca=_read_pem(cluster, "certificate-authority", path),
            insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
            certificate=_read_pem(user, "client-certificate", path),
            private_key=_read_pem(user, "client-key", path),
            token_value=user.get("token", ""),
            token_file=path.parent / token_file if token_file else None,
            impersonate=user.get("as", ""),
        )

    def headers(self) -> dict[str, str]:
        """The headers that identify the caller, with the current token."""
        token = self.token_file.read_text().strip() if self.token_file else self.token_value
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return {**headers, "Impersonate-User": self.impersonate} if self.impersonate else headers

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for a plain http:// server."""
        if not self.server.startswith("https://"):
            return None
        context = ssl.create_default_context(cadata=self.ca or None)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.certificate:
            _load_certificate(context, self.certificate, self.private_key)
        return context


def _find_entry(config: Any, section: str, name: str) -> Any:
    for entry in config[section]:
        if entry["name"] == name:
            return entry
    raise KeyError(f"{section} has no entry {name!r}")


def _read_pem(entry: Mapping[str, str], key: str, kubeconfig: Path) -> str:
    """PEM text that a kubeconfig contains inline (base64), or names as a file relative to itself."""
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"]).decode()
    if not entry.get(key):
        return ""
    file = kubeconfig.parent / entry[key]
    try:
        return file.read_text()
    except OSError as error:
        raise ConfigurationError(
            f"kubeconfig {kubeconfig}: the file that {key} names cannot be read: {error}; correct its path"
        ) from error


def _load_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    # Python's ssl loads a client certificate only from a file; this one is private and removed at once.
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(certificate.rstrip() + "\n" + private_key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink(missing_ok=True)
