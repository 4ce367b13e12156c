"""Whose rights are used, and which cluster is asked: a kubeconfig, a service account, and an impersonation."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from modelops.client.errors import AccessError

if TYPE_CHECKING:
    from kubernetes.aio.client import Configuration

_SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_DNS_LABEL: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
USER_AGENT: Final = "modelops-client"


@dataclass(frozen=True, kw_only=True)
class Impersonation:
    """The user in whose name the API server is asked; the caller needs the verb `impersonate` on it."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def headers(self) -> list[tuple[str, str]]:
        """The request's headers, https://kubernetes.io/docs/reference/access-authn-authz/authentication/."""
        return [
            ("Impersonate-User", self.user),
            *(("Impersonate-Group", group) for group in self.groups),
            *([("Impersonate-Uid", self.uid)] if self.uid else []),
            *(
                (f"Impersonate-Extra-{quote(key, safe='')}", value)
                for key, values in self.extra.items()
                for value in values
            ),
        ]


@dataclass(frozen=True, kw_only=True)
class Access:
    """The cluster and the caller. With no argument it is what kubectl would use; in a Pod, its service account.

    `kubeconfig`: file, or several separated as in KUBECONFIG. `namespace`: default that of the context.
    """

    kubeconfig: str | None = None
    context: str | None = None
    namespace: str | None = None
    impersonate: Impersonation | None = None


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A resolved Access. `description` names context and server, for messages."""

    configuration: Configuration
    namespace: str
    description: str
    impersonate: Impersonation | None


async def open_access(access: Access) -> Opened:
    """Read the kubeconfig or the service account.

    Raises:
        AccessError: there is none, it cannot be read, or the context does not exist.
    """
    try:
        from kubernetes.aio import config
        from kubernetes.aio.client import Configuration
    except ImportError as error:
        raise AccessError(f"{error}: pip install 'modelops[cli]'") from error

    settings = Configuration()
    files = access.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
    if not _exists(files):
        if access.kubeconfig is None and access.context is None and _in_cluster():
            config.load_incluster_config(settings)  # type: ignore[no-untyped-call]
            namespace = (_SERVICE_ACCOUNT / "namespace").read_text().strip()
            return Opened(
                configuration=settings,
                namespace=_namespace(access.namespace or namespace),
                description=f"{settings.host}, with the Pod's service account",
                impersonate=access.impersonate,
            )
        raise AccessError(f"no cluster: there is no kubeconfig at {files}: name one with --kubeconfig")
    try:
        loader = await config.load_kube_config(  # type: ignore[no-untyped-call]
            files, access.context, client_configuration=settings
        )
        active = loader.current_context
    except config.ConfigException as error:
        hint = _other_contexts(files, access.context)
        raise AccessError(f"no cluster: the kubeconfig {files} cannot be used: {error}{hint}") from error
    except Exception as error:  # The package checks nothing, so a wrong file ends it anywhere.
        said = " ".join(str(error).split())
        raise AccessError(
            f"no cluster: {files} is not a kubeconfig that can be used ({type(error).__name__}: {said}): correct it, "
            "or name another one with --kubeconfig"
        ) from error
    if not str(settings.host).startswith(("https://", "http://")):
        raise AccessError(
            f"no cluster: context {active['name']} of {files} has the server {settings.host!r}, which is no URL"
        )
    return Opened(
        configuration=settings,
        namespace=_namespace(access.namespace or active["context"].get("namespace") or "default"),
        description=f"context {active['name']}, {settings.host}",
        impersonate=access.impersonate or _impersonation_of(loader),
    )


def _namespace(name: str) -> str:
    """The name, which becomes a part of paths. Raises AccessError where no namespace can have it."""
    if not _DNS_LABEL.fullmatch(name):
        raise AccessError(
            f"{name!r} cannot be the name of a namespace: those have lower case letters, digits and `-`, such as "
            "code-chef"
        )
    return name


def _other_contexts(files: str, wanted: str | None) -> str:
    """The contexts that were probably meant, where the one that was asked for does not exist."""
    from kubernetes.aio import config

    from modelops.domain.nearest import did_you_mean

    try:
        contexts, _ = config.list_kube_config_contexts(files)  # type: ignore[no-untyped-call]
        names = [context["name"] for context in contexts]
    except Exception:  # noqa: BLE001 - it is only a hint
        return ""
    known = wanted is None or wanted in names
    return "" if known else f": {did_you_mean(str(wanted), names, none='it has no context')}"


def _exists(files: str) -> bool:
    return any(Path(file).expanduser().is_file() for file in files.split(os.pathsep) if file)


def _in_cluster() -> bool:
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (_SERVICE_ACCOUNT / "token").is_file()


def _impersonation_of(loader: Any) -> Impersonation | None:
    """The kubeconfig's own `as` with its groups, uid and extra, which the official package does not apply."""
    user = getattr(loader, "_user", None)
    if user is None or not user.safe_get("as"):
        return None

    def value(name: str) -> Any:
        found = user.safe_get(name)
        return getattr(found, "value", found)

    extra = value("as-user-extra") or {}
    return Impersonation(
        user=value("as"),
        groups=tuple(value("as-groups") or ()),
        uid=value("as-uid") or "",
        extra={key: tuple(values) for key, values in extra.items()},
    )
