"""A real Kubernetes control plane without Docker: etcd, kube-apiserver, kube-controller-manager on loopback.

with start_cluster() as cluster:
    subprocess.run([cluster.kubectl, "--kubeconfig", cluster.kubeconfig, "get", "namespaces"])
"""

from modelops.localcluster.cluster import LocalCluster
from modelops.localcluster.errors import ClusterError
from modelops.localcluster.startup import open_cluster, start_cluster

__all__ = ["ClusterError", "LocalCluster", "open_cluster", "start_cluster"]
