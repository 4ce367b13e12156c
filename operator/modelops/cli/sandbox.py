"""`modelops sandbox`: runs imitations of Hugging Face, LangSmith and OpenRouter on this machine."""

import argparse
import shlex
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from modelops.sandbox.client import SandboxInfo, start


def register(subparsers: Any) -> None:
    """Add `sandbox up` and `sandbox env`. argparse has no public type for `subparsers`."""
    sandbox = subparsers.add_parser(
        "sandbox", help="run imitations of Hugging Face, LangSmith and OpenRouter on this machine"
    )
    verbs = sandbox.add_subparsers(metavar="VERB", required=True)

    up = verbs.add_parser(
        "up", help="start a sandbox and print the environment variables for its clients; Ctrl-C stops it"
    )
    up.add_argument("--state", type=Path, help="folder for its state (default: a temporary one)")
    up.add_argument(
        "--profile",
        choices=["fast", "realistic"],
        default="fast",
        help="fast (default), or realistic: with the waits of the real services, shortened",
    )
    up.set_defaults(run=_up)

    env = verbs.add_parser("env", help="print the environment variables of a running sandbox")
    env.add_argument("--state", type=Path, required=True, help="the sandbox's state folder")
    env.set_defaults(run=_env)


def _up(arguments: argparse.Namespace) -> int:
    if arguments.state is not None:
        return _serve(arguments.state, arguments.profile)
    with tempfile.TemporaryDirectory(prefix="modelops-sandbox-") as folder:
        return _serve(Path(folder), arguments.profile)


def _serve(folder: Path, profile: str) -> int:
    try:
        with start(folder, profile=profile) as info:
            _print_environment(info)
            print(f"# admin: {info.admin}, state: {folder}; Ctrl-C stops it", flush=True)
            while True:
                time.sleep(3600)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1


def _env(arguments: argparse.Namespace) -> int:
    try:
        _print_environment(SandboxInfo.load(arguments.state))
    except FileNotFoundError:
        print(
            f"no sandbox is running on {arguments.state}: start one with "
            f"`modelops sandbox up --state {arguments.state}`",
            file=sys.stderr,
        )
        return 1
    return 0


def _print_environment(info: SandboxInfo) -> None:
    for name, value in info.environment().items():
        print(f"export {name}={shlex.quote(value)}")
