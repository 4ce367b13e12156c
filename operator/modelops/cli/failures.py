"""How a command that asks the cluster and the Hub says that it could not."""

from __future__ import annotations

import sys
from collections.abc import Callable


def told(command: str, work: Callable[[], int]) -> int:
    """What `work` returns. 1 where something in the cluster cannot be read, 2 where it or the Hub cannot be asked."""
    try:
        return _told(command, work)
    except ImportError as error:
        print(f"modelops {command}: {error}; pip install 'modelops[cli,operator]'", file=sys.stderr)
        return 2


def _told(command: str, work: Callable[[], int]) -> int:
    from kubernetes.client import ApiException

    from modelops.cli.agents_view import CannotTell
    from modelops.cli.hub_access import TOKENS, NoHub
    from modelops.loopback import NotLoopbackError
    from modelops.ports import Refused, Unavailable, Uncertain

    try:
        return work()
    except CannotTell as error:
        print(f"modelops {command}: {error}", file=sys.stderr)
        return 1
    except (NoHub, NotLoopbackError, Unavailable, Uncertain) as error:
        print(f"modelops {command}: {error}", file=sys.stderr)
        return 2
    except Refused as error:
        print(f"modelops {command}: {error} The token of this command is {TOKENS[0]}'s.", file=sys.stderr)
        return 2
    except ApiException as error:
        print(
            f"modelops {command}: the API server answered {error.status}: {error.reason}",
            file=sys.stderr,
        )
        return 2
