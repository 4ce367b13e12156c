"""Runs a command that reads the cluster and the Hub, and reports the errors of both on stderr."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.client import AsyncClient


def run_with_hub(command: str, arguments: argparse.Namespace, work: session.Work) -> int:
    """Return the exit status of `work`; 1 if it raises CommandError, 2 if the cluster or the Hub does not answer it."""
    return session.run_with_client(
        command, arguments, lambda client, parsed: _run(command, client, parsed, work), extras="cli,operator"
    )


async def _run(command: str, client: AsyncClient, arguments: argparse.Namespace, work: session.Work) -> int:
    from modelops.cli.errors import CommandError, HubNotConfiguredError
    from modelops.cli.hub_access import TOKEN_VARIABLES
    from modelops.client import ClientError
    from modelops.loopback import NotLoopbackError
    from modelops.ports import Refused, Unavailable, Uncertain

    try:
        return await work(client, arguments)
    except CommandError as error:
        output.complain(command, error)
        return 1
    except (ClientError, HubNotConfiguredError, NotLoopbackError, Unavailable, Uncertain) as error:
        output.complain(command, error)
        return 2
    except Refused as error:
        output.complain(command, f"{error} This command takes its token from {TOKEN_VARIABLES[0]}.")
        return 2
