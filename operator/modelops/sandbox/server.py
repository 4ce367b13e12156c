"""Runs the services of the sandbox, each on its own loopback port."""

import fcntl
import importlib
import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from pathlib import Path

from aiohttp import web

from modelops.free_port import free_port
from modelops.sandbox.admin import build_admin
from modelops.sandbox.calls import CallLog
from modelops.sandbox.client import SandboxInfo
from modelops.sandbox.faults import Faults
from modelops.sandbox.state import Profile, ProfileName, ServiceState, read_json, write_json
from modelops.sandbox.tokens import Tokens

Builder = Callable[[ServiceState, Faults, Tokens], web.Application]

SERVICES = {
    "hub": ("modelops.sandbox.hub.app", ""),
    "endpoints": ("modelops.sandbox.endpoints.app", "/v2"),
    "langsmith": ("modelops.sandbox.langsmith.app", ""),
    "openrouter": ("modelops.sandbox.openrouter.app", "/api/v1"),
    "models": ("modelops.sandbox.serving.app", ""),
}
"""By name: the module with `build(state, faults, tokens)`, and the base path at the end of its address.

A builder registers its routes with that base path. It may set `app[ADMIN_ROUTES]` (`sandbox.admin`) to add routes
to the admin address.
"""

MAX_BODY = 256 * 1024 * 1024
"""Bytes of the largest file that can be uploaded in one request."""


class StateInUseError(RuntimeError):
    """Another sandbox runs on the same state folder."""


@asynccontextmanager
async def serving(root: Path, profile: ProfileName = "fast") -> AsyncIterator[SandboxInfo]:
    """Run the sandbox for the length of a `with` block. `root/sandbox.json` has the addresses meanwhile.

    Raises:
        StateInUseError: another sandbox already runs on this folder.
    """
    with _exclusive(root):
        sockets = _listen([*SERVICES, "admin"], read_json(root / "ports.json", {}))
        ports = {name: bound.getsockname()[1] for name, bound in sockets.items()}
        write_json(root / "ports.json", ports)
        urls = {
            name: f"http://127.0.0.1:{port}" + (SERVICES[name][1] if name in SERVICES else "")
            for name, port in ports.items()
        }
        delays = Profile.named(profile)
        tokens = Tokens.load_or_create(ServiceState(root, "admin", delays, urls))
        runners = []
        try:
            for name, app in _build_apps(ServiceState(root, "", delays, urls), tokens).items():
                runner = web.AppRunner(
                    app,
                    access_log=None,
                    shutdown_timeout=1.0,
                    # aiohttp needs one more package for zstd; the service decompresses bodies itself.
                    auto_decompress=name != "langsmith",
                )
                await runner.setup()
                runners.append(runner)
                await web.SockSite(runner, sockets[name], backlog=512).start()
            info = SandboxInfo(
                **urls,
                hf_token=tokens.hf,
                langsmith_key=tokens.langsmith,
                openrouter_key=tokens.openrouter,
                pid=os.getpid(),
            )
            write_json(root / "sandbox.json", asdict(info), mode=0o600)
            yield info
        finally:
            for runner in reversed(runners):
                await runner.cleanup()
            (root / "sandbox.json").unlink(missing_ok=True)


def _build_apps(state: ServiceState, tokens: Tokens) -> dict[str, web.Application]:
    faults, calls = Faults(), CallLog()
    apps = {}
    for name, (module, _) in SERVICES.items():
        app = _builder(module)(state.of(name), faults, tokens)
        app.middlewares.insert(0, faults.middleware(name))
        app.middlewares.insert(0, calls.middleware(name))
        apps[name] = app
    apps["admin"] = build_admin(faults, calls, list(apps.values()))
    return apps


def _builder(module: str) -> Builder:
    builder: Builder = importlib.import_module(module).build
    return builder


def _listen(names: list[str], last: dict[str, int]) -> dict[str, socket.socket]:
    """Listen for each name, at its port in `last` if that is still free: clients keep an address."""
    sockets = {}
    for name in names:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", last.get(name) or free_port()))
        except OSError:
            bound.bind(("127.0.0.1", free_port()))
        bound.listen()
        sockets[name] = bound
    return sockets


@contextmanager
def _exclusive(root: Path) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StateInUseError(
                f"another sandbox is running on {root}: stop it, or choose another --state folder"
            ) from None
        yield
