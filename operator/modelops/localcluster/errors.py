"""The one exception that a local cluster raises."""


class ClusterError(RuntimeError):
    """No cluster, and why: the message names what failed, where to look and what to do."""
