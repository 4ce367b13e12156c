"""What the commands of the three kinds share: the arguments that choose a cluster, a client, and their errors."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from modelops.cli import output

if TYPE_CHECKING:
    from modelops.client import AsyncClient

Work = Callable[["AsyncClient", argparse.Namespace], Awaitable[int]]


def add_named(parser: argparse.ArgumentParser, name: str, *kinds: str, **settings: Any) -> None:
    """Add an argument that names objects of these kinds (attributes of a Client), which shells complete."""
    from modelops.cli.completion import names

    parser.add_argument(name, **settings).completer = names(*kinds)  # type: ignore[attr-defined]


def add_arguments(
    parser: argparse.ArgumentParser,
    *,
    namespace: str = "namespace (default: that of the kubeconfig's context)",
) -> None:
    """Add the arguments that choose cluster, namespace and caller, by kubectl's names. `namespace`: the help of -n."""
    parser.add_argument("-n", "--namespace", help=namespace)
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: the same as kubectl's)")
    parser.add_argument("--context", help="context of the kubeconfig (default: its current one)")
    parser.add_argument("--as", dest="as_user", metavar="USER", help="act as this user, as kubectl does")
    parser.add_argument(
        "--as-group",
        dest="as_groups",
        metavar="GROUP",
        action="append",
        default=[],
        help="with --as: a group of that user; may be repeated",
    )


def run_with_client(command: str, arguments: argparse.Namespace, work: Work, *, extras: str = "cli") -> int:
    """Run `work` with a client, and report its errors on stderr. `extras`: those that install what it imports.

    Exit status: that of `work`; 1 where the request was refused, 2 where the cluster or a package is not available,
    130 where the user interrupted it.
    """
    import asyncio

    try:
        return asyncio.run(_run(command, arguments, work))
    except ImportError as error:
        output.complain(command, f"{error}; pip install 'modelops[{extras}]'")
        return 2


async def _run(command: str, arguments: argparse.Namespace, work: Work) -> int:
    from modelops.client import (
        Access,
        AccessError,
        AsyncClient,
        ClientError,
        Impersonation,
        NotServed,
        Unavailable,
        Uncertain,
        WaitTimeout,
    )
    from modelops.tools.conditions import what_happens
    from modelops.tools.errors import ToolRefused

    as_user = arguments.as_user
    if arguments.as_groups and not as_user:
        output.complain(command, "--as-group needs --as, the user who is in that group")
        return 2
    access = Access(
        kubeconfig=arguments.kubeconfig,
        context=arguments.context,
        namespace=arguments.namespace,
        impersonate=Impersonation(user=as_user, groups=tuple(arguments.as_groups)) if as_user else None,
    )
    try:
        async with AsyncClient(access) as client:
            return await work(client, arguments)
    except (AccessError, NotServed, Unavailable, Uncertain) as error:
        output.complain(command, error)
        return 2
    except WaitTimeout as error:
        says = f"it says: {what_happens(error.last)}; " if error.last is not None else ""
        output.complain(command, f"{error}; {says}it goes on without this command")
        return 1
    except (ClientError, ToolRefused) as error:
        output.complain(command, error)
        return 1
