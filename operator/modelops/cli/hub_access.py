"""Which organisation on the Hub a command looks at, and the token that it does it with."""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from modelops.adapters.huggingface.connection import ENDPOINTS_URL, HUB_URL, HuggingFaceConnection
from modelops.adapters.huggingface.repository_catalog import HuggingFaceRepositoryCatalog
from modelops.domain.record import Record
from modelops.loopback import assert_loopback

T = TypeVar("T")
TOKENS = ("HF_TOKEN", "HUGGINGFACE_HUB_TOKEN")


class NoHub(Exception):
    """The Hub cannot be asked; the message says what to set."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--org`. The token is only ever taken from the environment: a command line is seen by others."""
    parser.add_argument(
        "--org",
        default=os.environ.get("MODELOPS_HUB_ORG") or None,
        help="organisation or user on the Hub (default: MODELOPS_HUB_ORG, else the one in the records)",
    )


def organisation(arguments: argparse.Namespace, records: Iterable[Record]) -> str:
    """As given, or the one whose repositories the records name.

    Raises:
        NoHub: the records name none, or several.
    """
    if arguments.org:
        return str(arguments.org)
    repos = (repo for record in records for repo in hub_repos(record))
    found = sorted({repo.partition("/")[0] for repo in repos if "/" in repo})
    if len(found) == 1:
        return found[0]
    named = f"the records name {', '.join(found)}" if found else "no record names one"
    raise NoHub(f"which organisation on the Hub? {named}: set MODELOPS_HUB_ORG, or use --org")


def hub_repos(record: Record) -> Iterable[str]:
    """What this record has had made."""
    return (*(e.hub_repo for e in record.history), *(r.repo for r in record.reservations.values()))


def asked(work: Callable[[HuggingFaceRepositoryCatalog], Awaitable[T]]) -> T:
    """What `work` finds on the Hub.

    Raises:
        NoHub: there is no token. Refused, Unavailable, Uncertain: the Hub's answer.
        NotLoopbackError: MODELOPS_SANDBOX is on, and the Hub is not on this machine.
    """
    token = next((os.environ[name] for name in TOKENS if os.environ.get(name)), "")
    if not token:
        raise NoHub(f"no token for the Hub: set {TOKENS[0]}; the repositories are private")
    connection = HuggingFaceConnection(
        hub_url=os.environ.get("HF_ENDPOINT") or HUB_URL,
        endpoints_url=os.environ.get("MODELOPS_ENDPOINTS_URL") or ENDPOINTS_URL,
        guard=lambda: assert_loopback(os.environ, needed=("HF_ENDPOINT",)),
    )

    async def run() -> T:
        return await work(HuggingFaceRepositoryCatalog(connection, token=token))

    try:
        return asyncio.run(run())
    finally:
        connection.close()
