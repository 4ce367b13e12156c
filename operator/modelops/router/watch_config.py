"""Where the one ConfigMap is that the router watches."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

_SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


class WatchConfig(NamedTuple):
    """Where the ConfigMap is. `token_file` is read again at every connection and comes before `token`."""

    url: str
    namespace: str
    name: str
    key: str = "agents.yaml"
    ca_file: str | None = None
    token: str | None = None
    token_file: str | None = None

    def __repr__(self) -> str:
        """Without the token."""
        return f"WatchConfig(url={self.url!r}, configmap={self.namespace}/{self.name}, key={self.key!r})"

    @classmethod
    def in_cluster(cls, environ: Mapping[str, str] | None = None) -> WatchConfig | None:
        """From the Pod's own service account, or None outside a cluster or without a name.

        `MODELOPS_CONFIGMAP` is the ConfigMap's name, `MODELOPS_CONFIGMAP_KEY` its key (agents.yaml),
        `MODELOPS_CONFIGMAP_NAMESPACE` its namespace (the Pod's).
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
