"""`modelops mcp`: serves the tools to chat clients and agents over the Model Context Protocol."""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "mcp",
        help="serve the tools to chat clients and agents, over MCP",
        description="Serve the tools over the Model Context Protocol. Over stdio, a client starts this command and has "
        "the rights of your kubeconfig. Over HTTP it listens on this machine only, unless callers log in by a token "
        "(--auth tokenreview), which is for servers in a cluster. Exit status 0: ended; 2: wrong options, the port is "
        "taken, or a package is missing.",
    )
    parser.add_argument(
        "--transport", choices=["stdio", "http"], default="stdio", help="default: %(default)s"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8765, help="default: %(default)s; 0 takes a free one")
    parser.add_argument("-n", "--namespace", help="namespace (default: that of the kubeconfig's context)")
    parser.add_argument("--kubeconfig", help="kubeconfig file (default: the same as kubectl's)")
    parser.add_argument("--context", help="context of the kubeconfig (default: its current one)")
    parser.add_argument(
        "--only-people",
        action="store_true",
        help="refuse what needs a confirmation where the client cannot ask a person, instead of making a quote",
    )
    cluster = parser.add_argument_group("in a cluster, with --transport http")
    cluster.add_argument(
        "--auth", choices=["tokenreview"], help="callers log in by a bearer token, and are impersonated"
    )
    cluster.add_argument(
        "--audience",
        action="append",
        help="audience of the callers' tokens (default: modelops-mcp); may be repeated",
    )
    cluster.add_argument(
        "--impersonate-extra",
        action="append",
        default=[],
        metavar="KEY",
        help="extra field of users that the server may impersonate, besides those of service accounts; may be repeated",
    )
    cluster.add_argument(
        "--allowed-host",
        action="append",
        default=[],
        help="value of the header Host that is answered, NAME or NAME:* for every port; may be repeated (default: "
        "this machine)",
    )
    cluster.add_argument(
        "--calls-per-minute",
        type=_positive,
        default=120,
        help="calls of one caller in a minute (default: %(default)s)",
    )
    cluster.add_argument(
        "--key-file",
        type=Path,
        help="32 random bytes or more, the same in every replica; without it quotes end with the process",
    )
    cluster.add_argument("--tls-certificate", type=Path, help="certificate file, for HTTPS")
    cluster.add_argument("--tls-key", type=Path, help="its key file")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until the client or a signal ends it."""
    try:
        from modelops.cli.langsmith_catalog import catalogs_of_caller
        from modelops.client import Access
        from modelops.mcp_server.impersonating import EXTRA_KEYS
        from modelops.mcp_server.serving import CannotServe, HttpOptions, serve_http, serve_stdio
    except ImportError as error:
        print(f"modelops mcp: {error}; pip install 'modelops[mcp]'", file=sys.stderr)
        return 2

    access = Access(kubeconfig=arguments.kubeconfig, context=arguments.context, namespace=arguments.namespace)
    catalogs = catalogs_of_caller()
    if arguments.auth == "tokenreview":  # A key of the server's own would be everybody's.
        catalogs = replace(catalogs, own_key=None)
    if arguments.transport == "stdio":
        asyncio.run(serve_stdio(access, only_people=arguments.only_people, catalogs=catalogs))
        return 0
    options = HttpOptions(
        host=arguments.host,
        port=arguments.port,
        token_review=arguments.auth == "tokenreview",
        audiences=tuple(arguments.audience or ("modelops-mcp",)),
        extra_keys=(*EXTRA_KEYS, *arguments.impersonate_extra),
        allowed_hosts=tuple(arguments.allowed_host),
        calls_per_minute=arguments.calls_per_minute,
        key_file=arguments.key_file,
        only_people=arguments.only_people,
        tls_certificate=arguments.tls_certificate,
        tls_key=arguments.tls_key,
        catalogs=catalogs,
    )
    try:
        asyncio.run(serve_http(access, options))
    except (CannotServe, OSError) as error:
        print(f"modelops mcp: {error}", file=sys.stderr)
        return 2
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value
