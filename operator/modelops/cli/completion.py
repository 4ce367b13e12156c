"""`modelops completion`: the script that makes a shell complete commands, flags, and names in the cluster."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from typing import Any

SHELLS = ("bash", "zsh", "fish", "powershell")
_SECONDS = 3.0
"""Time that the completion of a name may take."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "completion",
        help="print the completion script of a shell",
        description="Print a script that makes the shell complete commands, flags and names. Use it in this shell with "
        "`source <(modelops completion bash)`, and put that line into ~/.bashrc or ~/.zshrc to keep it. For fish: "
        "`modelops completion fish | source`.",
    )
    parser.add_argument("shell", choices=SHELLS)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Exit status 0: printed; 2: a package is missing."""
    try:
        from argcomplete.shell_integration import shellcode
    except ImportError as error:
        print(f"modelops completion: {error}; pip install 'modelops[cli]'", file=sys.stderr)
        return 2
    print(shellcode(["modelops"], use_defaults=False, shell=arguments.shell))
    return 0


def complete(**settings: Any) -> None:
    """Answer a shell's question by argcomplete, and end the process; returns where it is not installed.

    `settings` are those of argcomplete.autocomplete.
    """
    try:
        import argcomplete
    except ImportError:
        return
    from modelops.cli.commands import COMMANDS
    from modelops.cli.parser import build_parser

    words = os.environ.get("COMP_LINE", "").split()
    command = words[1] if len(words) > 1 and words[1] in COMMANDS else None
    argcomplete.autocomplete(build_parser(command), **settings)


def names(*kinds: str) -> Callable[..., list[str]]:
    """A completer of the names of these kinds in the namespace and cluster that the line names.

    `kinds`: attributes of a Client. It answers nothing where the cluster does not answer in time.
    """

    def completer(*, prefix: str, parsed_args: argparse.Namespace, **_: Any) -> list[str]:
        from modelops.client import Access, Client, ClientError

        given = vars(parsed_args)
        access = Access(**{name: given.get(name) for name in ("kubeconfig", "context", "namespace")})
        found: list[str] = []
        with Client(access, request_seconds=_SECONDS) as client:
            for kind in kinds:
                try:
                    listed = getattr(client, kind).list().items
                except ClientError:
                    continue
                found += [_shown(one) for one in listed]
        return [name for name in found if name.startswith(prefix)]

    return completer


def _shown(value: Any) -> str:
    return str(value.spec.agent if value.kind == "AgentModel" else value.metadata.name)
