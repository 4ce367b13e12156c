"""The guard of a sandboxed process: it must not be able to reach a real service.

Standard library only: this file travels into training jobs as well.
"""

import ipaddress
import socket
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

SWITCH = "MODELOPS_SANDBOX"
ON = frozenset({"1", "true", "t", "yes", "y", "on"})
OFF = frozenset({"", "0", "false", "f", "no", "n", "off"})
"""Values of the switch, in any case: those that pydantic takes for a boolean, and nothing at all."""

SERVICE_VARIABLES = ("HF_ENDPOINT", "MODELOPS_ENDPOINTS_URL", "LANGSMITH_ENDPOINT", "OPENROUTER_BASE_URL")
"""Variables that say where a service is. One that is not set means the real service: refused, too."""

HUB_CONSTANTS = ("ENDPOINT", "INFERENCE_ENDPOINTS_ENDPOINT")
"""Addresses that `huggingface_hub.constants` fixed at its import; the second ignores the environment."""


class NotLoopbackError(RuntimeError):
    """A sandboxed process would reach a real service, or nobody can say whether it is sandboxed."""


def sandboxed(value: str) -> bool:
    """Whether this value of MODELOPS_SANDBOX keeps a process on this machine.

    Raises:
        ValueError: it is neither on nor off; the message says what to write.
    """
    if value.lower() in ON:
        return True
    if value.lower() in OFF:
        return False
    raise ValueError(
        f"{SWITCH}={value} is neither on nor off: write 1 to stay on this machine, 0 to use real services"
    )


def assert_loopback(environ: Mapping[str, str], *, needed: Sequence[str] = SERVICE_VARIABLES) -> None:
    """Does nothing unless MODELOPS_SANDBOX is on; then every service must be on this machine.

    `needed`: the variables that must be set, because the process uses these services. Call it at start-up, and
    again after `huggingface_hub` was imported and its constants were set.

    Raises:
        NotLoopbackError: names the variable, its value, and what to do.
    """
    if not _guarded(environ):
        return
    addresses = {name: environ.get(name, "") for name in SERVICE_VARIABLES}
    addresses = {name: url for name, url in addresses.items() if url or name in needed}
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        for name in HUB_CONSTANTS:
            addresses[f"huggingface_hub.constants.{name}"] = str(getattr(constants, name, ""))
    for name, url in addresses.items():
        assert_address(name, url, environ)


def assert_address(name: str, url: str, environ: Mapping[str, str]) -> None:
    """The same for one address, which `name` is the name of.

    Raises:
        NotLoopbackError: as `assert_loopback`.
    """
    if not _guarded(environ):
        return
    on = f"{SWITCH}={environ[SWITCH]}"
    if not url:
        raise NotLoopbackError(
            f"{on} but {name} is not set, which means the real service: "
            "start from the environment that `modelops sandbox up` prints"
        )
    if not is_loopback(url):
        raise NotLoopbackError(
            f"{on} but {name}={url} is not on this machine: "
            f"point it at the sandbox, or unset {SWITCH} to use real services"
        )


def is_loopback(url: str) -> bool:
    """Whether every address that an http(s) URL's host resolves to is a loopback address."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(item[4][0]).split("%")[0]).is_loopback for item in found)


def _guarded(environ: Mapping[str, str]) -> bool:
    try:
        return sandboxed(environ.get(SWITCH, ""))
    except ValueError as error:
        raise NotLoopbackError(str(error)) from None
