"""The address of the ConfigMap that the router watches, and the credentials for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class WatchConfig(NamedTuple):
    """The address of the ConfigMap. `token_file` is read at every connection and takes precedence over `token`."""

    url: str
    namespace: str
    name: str
    key: str = "agents.yaml"
    ca_file: str | None = None
    token: str | None = None
    token_file: str | None = None

    def __repr__(self) -> str:
        """The configuration without its token."""
        return f"WatchConfig(url={self.url!r}, configmap={self.namespace}/{self.name}, key={self.key!r})"

    @classmethod
    def in_cluster(cls, environ: Mapping[str, str] | None = None) -> WatchConfig | None:
        """The configuration from the Pod's service account; None outside a cluster and without `MODELOPS_CONFIGMAP`.

        `MODELOPS_CONFIGMAP` is the ConfigMap's name, `MODELOPS_CONFIGMAP_KEY` its key (default: agents.yaml), and
        `MODELOPS_CONFIGMAP_NAMESPACE` its namespace (default: that of the Pod).
        """
        environ = os.environ if environ is None else environ
        host, name = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("MODELOPS_CONFIGMAP")
        if not host or not name or not os.access(f"{_SERVICE_ACCOUNT}/token", os.R_OK):
            return None
        namespace = environ.get("MODELOPS_CONFIGMAP_NAMESPACE")
        if not namespace:
            from pathlib import Path

            namespace = Path(_SERVICE_ACCOUNT, "namespace").read_text().strip()
        host = f"[{host}]" if ":" in host else host
        return cls(
            url=f"https://{host}:{environ.get('KUBERNETES_SERVICE_PORT', '443')}",
            namespace=namespace,
            name=name,
            key=environ.get("MODELOPS_CONFIGMAP_KEY", "agents.yaml"),
            ca_file=f"{_SERVICE_ACCOUNT}/ca.crt",
            token_file=f"{_SERVICE_ACCOUNT}/token",
        )
