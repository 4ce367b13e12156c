"""Training jobs in this cluster: `ports.Jobs` on a Kubernetes Job, and on a TrainJob of Kubeflow Trainer v2."""

from modelops.adapters.clusterjobs.batch import BatchJobs
from modelops.adapters.clusterjobs.jobs import ClusterJobs
from modelops.adapters.clusterjobs.trainjob import TrainJobs

__all__ = ["BatchJobs", "ClusterJobs", "TrainJobs"]
