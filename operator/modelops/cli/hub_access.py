"""The organisation on the Hub that a command reads, and the token that it uses."""

from __future__ import annotations

import argparse
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeVar

from modelops.cli.errors import HubNotConfiguredError

if TYPE_CHECKING:
    from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
    from modelops.domain.record import Record

T = TypeVar("T")
TOKEN_VARIABLES = ("HF_TOKEN", "HUGGINGFACE_HUB_TOKEN")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--org`. There is no argument for the token, because other users can read a command line."""
    parser.add_argument(
        "--org",
        default=os.environ.get("MODELOPS_HUB_ORG") or None,
        help="organisation or user on the Hub (default: MODELOPS_HUB_ORG, otherwise the one in the records)",
    )


def resolve_organisation(arguments: argparse.Namespace, records: Iterable[Record]) -> str:
    """Return `--org`, or the one organisation whose repositories the records name.

    Raises:
        HubNotConfiguredError: the records name no organisation, or several.
    """
    if arguments.org:
        return str(arguments.org)
    repos = (repo for record in records for repo in repositories_of(record))
    found = sorted({repo.partition("/")[0] for repo in repos if "/" in repo})
    if len(found) == 1:
        return found[0]
    named = f"the records name {', '.join(found)}" if found else "no record names one"
    raise HubNotConfiguredError(
        f"the organisation on the Hub is unknown, because {named}: set MODELOPS_HUB_ORG, or use --org"
    )


def repositories_of(record: Record) -> Iterable[str]:
    """Return the repositories that the record names in its history and its reservations."""
    return (*(e.hub_repo for e in record.history), *(r.repo for r in record.reservations.values()))


async def query_hub(query: Callable[[HuggingFaceRepositoryCatalog], Awaitable[T]]) -> T:
    """Return what `query` reads on the Hub.

    Raises:
        HubNotConfiguredError: there is no token.
        Refused, Unavailable, Uncertain: the Hub refused the request, or did not answer it.
        NotLoopbackError: MODELOPS_SANDBOX is on, and the Hub's address is not on this machine.
    """
    from modelops.adapters.huggingface.connection import ENDPOINTS_URL, HUB_URL, HuggingFaceConnection
    from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
    from modelops.loopback import assert_loopback

    token = next((os.environ[name] for name in TOKEN_VARIABLES if os.environ.get(name)), "")
    if not token:
        raise HubNotConfiguredError(
            f"there is no token for the Hub: set {TOKEN_VARIABLES[0]} to one that can read the private repositories"
        )
    connection = HuggingFaceConnection(
        hub_url=os.environ.get("HF_ENDPOINT") or HUB_URL,
        endpoints_url=os.environ.get("MODELOPS_ENDPOINTS_URL") or ENDPOINTS_URL,
        guard=lambda: assert_loopback(os.environ, needed=("HF_ENDPOINT",)),
    )
    try:
        return await query(HuggingFaceRepositoryCatalog(connection, token=token))
    finally:
        connection.close()
