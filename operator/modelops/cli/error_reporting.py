"""Runs a command that reads the cluster and the Hub, and reports its errors on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable


def run_and_report_errors(command: str, work: Callable[[], int]) -> int:
    """Return the exit status of `work`.

    Return 1 if it raises CommandError, and 2 if the cluster, the Hub or a package that it needs is not available.
    """
    try:
        return _run(command, work)
    except ImportError as error:
        print(f"modelops {command}: {error}; pip install 'modelops[cli,operator]'", file=sys.stderr)
        return 2


def _run(command: str, work: Callable[[], int]) -> int:
    from kubernetes.client import ApiException

    from modelops.cli.errors import CommandError, HubNotConfiguredError
    from modelops.cli.hub_access import TOKEN_VARIABLES
    from modelops.cli.kube_access import api_problem
    from modelops.loopback import NotLoopbackError
    from modelops.ports import Refused, Unavailable, Uncertain

    try:
        return work()
    except CommandError as error:
        print(f"modelops {command}: {error}", file=sys.stderr)
        return 1
    except (HubNotConfiguredError, NotLoopbackError, Unavailable, Uncertain) as error:
        print(f"modelops {command}: {error}", file=sys.stderr)
        return 2
    except Refused as error:
        print(
            f"modelops {command}: {error} This command takes its token from {TOKEN_VARIABLES[0]}.",
            file=sys.stderr,
        )
        return 2
    except ApiException as error:
        print(f"modelops {command}: {api_problem(error)}", file=sys.stderr)
        return 2
