"""The one exception that a local cluster raises."""


class ClusterError(RuntimeError):
    """There is no usable cluster. The message says what failed, where to look and what to do."""
