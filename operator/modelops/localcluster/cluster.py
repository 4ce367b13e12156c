"""A handle on a running Kubernetes control plane: how to reach it, and how to stop it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from modelops.localcluster import credentials
from modelops.localcluster.credentials import ADMIN, User
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.supervisor_client import SupervisorClient

STATE_FILE = "cluster.json"


class LocalCluster:
    """A running control plane, started by modelops or external (MODELOPS_KUBECONFIG).

    `directory`: the folder of its files. `kubeconfig`: of a cluster admin. `kubectl`: a program of the server's
    version. `url`, `ca_file`, `token`: for the same admin without a kubeconfig; an external cluster has only `url`.
    """

    def __init__(
        self,
        directory: Path,
        *,
        kubeconfig: Path,
        kubectl: Path,
        url: str,
        ca_file: Path | None,
        users: Mapping[str, User],
        supervisor: SupervisorClient | None,
    ) -> None:
        self.directory = directory
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self.url = url
        self.ca_file = ca_file
        self.token = users[ADMIN].token if ADMIN in users else ""
        self._users = users
        self._supervisor = supervisor

    @property
    def external(self) -> bool:
        """Whether modelops did not start this cluster, and so never stops it."""
        return self._supervisor is None

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Attach to the cluster that another process started in `directory`; it runs while any process is attached.

        Raises ClusterError if none runs there.
        """
        supervisor = SupervisorClient.attach(directory)
        state = json.loads((directory / STATE_FILE).read_text())
        return cls(
            directory,
            kubeconfig=directory / "kubeconfig",
            kubectl=Path(state["kubectl"]),
            url=state["url"],
            ca_file=directory / "ca.crt",
            users={
                user["name"]: User(user["name"], tuple(user["groups"]), user["token"])
                for user in state["users"]
            },
            supervisor=supervisor,
        )

    def kubeconfig_for(self, user: str) -> Path:
        """Write a kubeconfig for `user`, one of the users that the cluster was started with; return its path.

        On an external cluster the admin impersonates the user, so any name is possible.
        Raises ClusterError for an unknown user.
        """
        path = self.directory / f"kubeconfig-{user.replace(':', '-').replace('/', '-')}"
        if self.ca_file is None or self.external:
            credentials.write_impersonating_kubeconfig(
                path, kubectl=self.kubectl, source=self.kubeconfig, user=user
            )
            return path
        if user not in self._users:
            known = ", ".join(sorted(self._users))
            raise ClusterError(
                f"this cluster has no user {user!r}, only {known}: add the user in start_cluster(users=...)"
            )
        ca = self.ca_file.read_text()
        credentials.write_kubeconfig(path, url=self.url, ca=ca, user=self._users[user])
        return path

    def detach(self) -> None:
        """Keep the cluster running after this process ends, until any process attaches and calls `stop`."""
        if self._supervisor is not None:
            self._supervisor.detach()

    def release(self) -> None:
        """End this process's use of the cluster. It stops when no other process is attached."""
        if self._supervisor is None:
            self._remove_kubeconfigs()
        else:
            self._supervisor.close()

    def stop(self) -> None:
        """Stop the cluster, even if others are attached, and wait for its processes. An external one keeps running."""
        if self._supervisor is None:
            self._remove_kubeconfigs()
        else:
            self._supervisor.end()

    def _remove_kubeconfigs(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)  # it holds only what `kubeconfig_for` wrote
