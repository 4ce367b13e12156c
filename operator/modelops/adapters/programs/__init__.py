"""Programs of our own (datasets, evaluation) as local processes that outlive the operator and resume."""

from modelops.adapters.programs.local import LocalPrograms

__all__ = ["LocalPrograms"]
