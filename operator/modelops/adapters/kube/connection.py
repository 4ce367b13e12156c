"""Where the API server is and who we are there: from a kubeconfig, or from the Pod that we run in."""

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
    """There is no usable way to an API server; the message says where it was looked for and what to do."""


@dataclass(frozen=True, kw_only=True)
class Connection:
    """An API server and one identity there. Secrets are never shown.

    `server`: base URL, http or https. `token_file`: read again whenever the server answers 401, since the
    kubelet renews it. `namespace`: of the kubeconfig's context, or of our Pod. `source`: where all of this
    came from.
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
            ConfigurationError: none of them is there, or the one found cannot be used.
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
            f"no API server to talk to: KUBECONFIG is not set, this is no Pod, and {home} does not exist; "
            "set KUBECONFIG to the path of a kubeconfig"
        )

    @classmethod
    def in_cluster(cls, *, folder: Path = SERVICE_ACCOUNT, environ: Mapping[str, str] = os.environ) -> Self:
        """The API server of the cluster whose Pod we run in, as the Pod's service account."""
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
                f"the service account's files are not readable: {error}; "
                "set automountServiceAccountToken: true"
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
            context = _named(config, "contexts", wanted)["context"]
            cluster = _named(config, "clusters", context["cluster"])["cluster"]
            user = _named(config, "users", context["user"]).get("user") or {}
            server = str(cluster["server"]).rstrip("/")
        except (OSError, YAMLError, KeyError, TypeError) as error:
            raise ConfigurationError(f"kubeconfig {path} cannot be used: {error!r}") from error
        if "exec" in user or "auth-provider" in user:
            raise ConfigurationError(
                f"kubeconfig {path}: user {context['user']!r} logs in by a plugin, which the operator "
                "does not run; use a token or a client certificate, or run it in the cluster"
            )
        token_file = user.get("tokenFile")
        return cls(
            server=server,
            source=str(path),
            namespace=context.get("namespace") or "default",
            ca=_material(cluster, "certificate-authority", path),
            insecure=bool(cluster.get("insecure-skip-tls-verify", False)),
            certificate=_material(user, "client-certificate", path),
            private_key=_material(user, "client-key", path),
            token_value=user.get("token", ""),
            token_file=path.parent / token_file if token_file else None,
            impersonate=user.get("as", ""),
        )

    def headers(self) -> dict[str, str]:
        """Who we are, with the token as it is now."""
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


def _named(config: Any, section: str, name: str) -> Any:
    for entry in config[section]:
        if entry["name"] == name:
            return entry
    raise KeyError(f"{section} has no {name!r}")


def _material(entry: Mapping[str, str], key: str, kubeconfig: Path) -> str:
    """PEM text that a kubeconfig holds inline (base64) or names as a file beside it."""
    if entry.get(f"{key}-data"):
        return base64.b64decode(entry[f"{key}-data"]).decode()
    if not entry.get(key):
        return ""
    file = kubeconfig.parent / entry[key]
    try:
        return file.read_text()
    except OSError as error:
        raise ConfigurationError(f"kubeconfig {kubeconfig}: {key}: {error}") from error


def _load_certificate(context: ssl.SSLContext, certificate: str, private_key: str) -> None:
    # Python's ssl loads a client certificate from a file only; this one is private and gone at once.
    descriptor, name = tempfile.mkstemp(suffix=".pem")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(certificate.rstrip() + "\n" + private_key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink(missing_ok=True)
