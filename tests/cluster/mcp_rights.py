"""The rights that the chart gives the MCP server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.docs_preconditions import Kubectl
from tests.contract.charts import SWITCHES, render

from modelops.localcluster.helm import HELM_4


@contextmanager
def server_rights(kubectl: Kubectl, folder: Path, *, user: str) -> Iterator[str]:
    """Gives `user` exactly these rights; yields the user."""
    role = render(HELM_4, folder, SWITCHES["mcp"]).one("ClusterRole", "modelops-mcp")
    name = f"mcp-{uuid.uuid4().hex[:8]}"
    kubectl("create", "-f", "-", input=json.dumps(role | {"metadata": {"name": name}}), check=True)
    kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={user}", check=True)
    yield user
    kubectl("delete", "clusterrole,clusterrolebinding", name, "--wait=false", check=True)
