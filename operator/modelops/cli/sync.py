"""`modelops sync`: mirrors agents.yaml and the registry to local files, for agents outside Kubernetes."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.cli.mirrored_file import MirroredAgentsFile
    from modelops.client import AsyncClient

AGENTS_FILE: Final = "agents.yaml"
REGISTRY_FILE: Final = "registry.json"


def register(subparsers: Any) -> None:
    """Add the parser of `sync`."""
    parser = subparsers.add_parser(
        "sync",
        help="mirror agents.yaml and the registry to local files",
        description=f"Mirror the agents.yaml of a ConfigMap to FOLDER/{AGENTS_FILE}, and the records to "
        f"FOLDER/{REGISTRY_FILE}, until interrupted. A file is replaced as a whole, never by a text that is no "
        "agents.yaml, and never by one with an older generation. While the cluster is away, the files stay.",
        epilog="exit status with --once: 0 the files are up to date, 1 one of them was not replaced (stderr says why), "
        "2 the cluster is not available",
    )
    parser.add_argument("configmap", metavar="CONFIGMAP", help="name of the ConfigMap with agents.yaml")
    parser.add_argument(
        "folder", metavar="FOLDER", type=Path, help="folder of the files; made if it is missing"
    )
    parser.add_argument("--key", default=AGENTS_FILE, help=f"key in the ConfigMap (default: {AGENTS_FILE})")
    parser.add_argument("--no-registry", action="store_true", help="mirror agents.yaml alone")
    parser.add_argument("--once", action="store_true", help="mirror once and end")
    parser.add_argument(
        "--interval", type=_seconds, default=2.0, help="seconds between two looks (default: 2; at least 0.2)"
    )
    session.add_arguments(parser)
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.2 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not between 0.2 and 3600 seconds")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Mirror once, or until interrupted."""
    return session.run_with_client("sync", arguments, _sync)


async def _sync(client: AsyncClient, arguments: argparse.Namespace) -> int:
    import asyncio

    from modelops.cli.mirrored_file import MirroredAgentsFile, NotMirrored
    from modelops.client import AccessError, ClientError
    from modelops.tools.errors import ToolRefused

    try:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ToolRefused(f"the folder {arguments.folder} cannot be made: {error.strerror}") from error
    copy = MirroredAgentsFile(arguments.folder / AGENTS_FILE)
    said: str | None = None
    while True:
        problem = None
        try:
            await _mirror(client, arguments, copy)
        except (NotMirrored, ToolRefused, OSError) as error:
            problem = str(error)
            if arguments.once:
                output.complain("sync", error)
                return 1
        except (AccessError, ClientError) as error:
            problem = str(error)
            if arguments.once:
                raise
        if problem and problem != said:  # A cluster that stays away is said once.
            output.complain("sync", problem)
        elif said and not problem:
            print("the cluster and its files can be read again", flush=True)
        said = problem
        if arguments.once:
            return 0
        await asyncio.sleep(arguments.interval)


async def _mirror(client: AsyncClient, arguments: argparse.Namespace, copy: MirroredAgentsFile) -> None:
    """Look once. The registry is read after agents.yaml, which must not wait for it."""
    from modelops.cli.mirrored_file import NotMirrored, write_whole
    from modelops.cli.registry import read_registry

    found = await client.config_map(arguments.configmap)
    text = ((found or {}).get("data") or {}).get(arguments.key)
    if text is None:
        lacks = f"has no key {arguments.key}" if found else "does not exist"
        raise NotMirrored(f"ConfigMap {arguments.configmap} {lacks}; {copy.path} stays as it is")
    for line in copy.update(text):
        print(f"{AGENTS_FILE}: {line}", flush=True)
    if arguments.no_registry:
        return
    path = arguments.folder / REGISTRY_FILE
    registry = json.dumps(await read_registry(client), indent=2) + "\n"
    if not path.exists() or path.read_text(encoding="utf-8") != registry:
        write_whole(path, registry)
        print(f"{REGISTRY_FILE}: replaced", flush=True)
    sys.stdout.flush()
