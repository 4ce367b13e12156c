"""The dataset and evaluation programs as local processes, which keep running when the operator restarts."""

from modelops.adapters.programs.local import LocalPrograms

__all__ = ["LocalPrograms"]
