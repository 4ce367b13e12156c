"""The guard of the sandbox: a sandboxed process must not be able to reach a real service.

It uses only the standard library, because this file is also part of the payload of training jobs.
"""

import ipaddress
import socket
import sys
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

SWITCH = "MODELOPS_SANDBOX"
ON = frozenset({"1", "true", "t", "yes", "y", "on"})
OFF = frozenset({"", "0", "false", "f", "no", "n", "off"})
"""Values of MODELOPS_SANDBOX in upper or lower case: those that pydantic accepts as a boolean, and an empty text."""

SERVICE_VARIABLES = ("HF_ENDPOINT", "MODELOPS_ENDPOINTS_URL", "LANGSMITH_ENDPOINT", "OPENROUTER_BASE_URL")
"""Variables with the address of a service. An unset variable means the real service, which is refused, too."""

OPTIONAL_VARIABLES = ("MODELOPS_PROMETHEUS_URL",)
"""Variables with the address of a service that is not used where they are unset."""

HUB_CONSTANTS = ("ENDPOINT", "INFERENCE_ENDPOINTS_ENDPOINT")
"""Addresses that `huggingface_hub.constants` sets at its import; the second one ignores the environment."""


class NotLoopbackError(RuntimeError):
    """A sandboxed process would reach a real service, or MODELOPS_SANDBOX has an invalid value."""


def sandboxed(value: str) -> bool:
    """Whether this value of MODELOPS_SANDBOX restricts a process to this machine.

    Raises:
        ValueError: the value is neither on nor off; the message says what to write.
    """
    if value.lower() in ON:
        return True
    if value.lower() in OFF:
        return False
    raise ValueError(
        f"{SWITCH}={value} is neither on nor off: write 1 for the sandbox on this machine, 0 for real services"
    )


def assert_loopback(environ: Mapping[str, str], *, needed: Sequence[str] = SERVICE_VARIABLES) -> None:
    """Checks that every service is on this machine, if MODELOPS_SANDBOX is on.

    `needed`: the variables that must be set, because the process uses these services. Call it at start-up, and
    again after `huggingface_hub` was imported and its constants were set.

    Raises:
        NotLoopbackError: a service is not on this machine. The message has the variable, its value and the remedy.
    """
    if not _is_sandboxed(environ):
        return
    addresses = {name: environ.get(name, "") for name in (*SERVICE_VARIABLES, *OPTIONAL_VARIABLES)}
    addresses = {name: url for name, url in addresses.items() if url or name in needed}
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        for name in HUB_CONSTANTS:
            addresses[f"huggingface_hub.constants.{name}"] = str(getattr(constants, name, ""))
    for name, url in addresses.items():
        assert_address(name, url, environ)


def assert_address(name: str, url: str, environ: Mapping[str, str]) -> None:
    """Checks one address, if MODELOPS_SANDBOX is on. `name` is its variable, for the message.

    Raises:
        NotLoopbackError: as for `assert_loopback`.
    """
    if not _is_sandboxed(environ):
        return
    on = f"{SWITCH}={environ[SWITCH]}"
    if not url:
        raise NotLoopbackError(
            f"{on} but {name} is not set, which means the real service: "
            "use the environment that `modelops sandbox up` prints"
        )
    if not is_loopback(url):
        raise NotLoopbackError(
            f"{on} but {name}={url} is not on this machine: "
            f"set it to the address of the sandbox, or unset {SWITCH} to use real services"
        )


def is_loopback(url: str) -> bool:
    """Whether the host of an http(s) URL resolves only to loopback addresses."""
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


def _is_sandboxed(environ: Mapping[str, str]) -> bool:
    try:
        return sandboxed(environ.get(SWITCH, ""))
    except ValueError as error:
        raise NotLoopbackError(str(error)) from None
