"""A real Kubernetes control plane on loopback, for as long as somebody wants it."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from modelops.localcluster import credentials
from modelops.localcluster.credentials import ADMIN, User
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.lifeline import Lifeline

STATE = "cluster.json"


class LocalCluster:
    """A running control plane, ours or somebody else's, and the ways to reach it.

    `kubeconfig`: of a cluster admin. `kubectl`: one that fits the server's version. `directory`: its files.
    `url`, `ca_file`, `token`: the same admin without a kubeconfig; an external cluster has only `url`.
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
        lifeline: Lifeline | None,
    ) -> None:
        self.directory = directory
        self.kubeconfig = kubeconfig
        self.kubectl = kubectl
        self.url = url
        self.ca_file = ca_file
        self.token = users[ADMIN].token if ADMIN in users else ""
        self._users = users
        self._lifeline = lifeline

    @property
    def external(self) -> bool:
        """Whether somebody else started it."""
        return self._lifeline is None

    @classmethod
    def attach(cls, directory: Path) -> Self:
        """Hold a cluster that another process started in `directory`: it lives until all have let go.

        Raises ClusterError where none runs.
        """
        lifeline = Lifeline.attach(directory)
        state = json.loads((directory / STATE).read_text())
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
            lifeline=lifeline,
        )

    def kubeconfig_for(self, user: str) -> Path:
        """Write a kubeconfig of `user`, one of those the cluster was started with, and return its path.

        On an external cluster the admin impersonates the user, who then need not exist.
        """
        path = self.directory / f"kubeconfig-{user.replace(':', '-').replace('/', '-')}"
        if self.ca_file is None or self.external:
            credentials.write_impersonating_kubeconfig(
                path, kubectl=self.kubectl, of=self.kubeconfig, user=user
            )
            return path
        if user not in self._users:
            known = ", ".join(sorted(self._users))
            raise ClusterError(
                f"this cluster has no user {user!r}, only {known}: name it in start_cluster(users=...)"
            )
        ca = self.ca_file.read_text()
        credentials.write_kubeconfig(path, url=self.url, ca=ca, user=self._users[user])
        return path

    def detach(self) -> None:
        """Let it outlive this process, until `stop` from any process that attaches."""
        if self._lifeline is not None:
            self._lifeline.detach()

    def release(self) -> None:
        """Let go of it. It ends when nobody else holds it."""
        if self._lifeline is None:
            self._forget_external()
        else:
            self._lifeline.release()

    def stop(self) -> None:
        """End it, whoever else holds it, and wait until its processes are gone. An external one goes on."""
        if self._lifeline is None:
            self._forget_external()
        else:
            self._lifeline.end()

    def _forget_external(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)  # only the kubeconfigs that were written for it
