"""The guard of a sandboxed process: it must not be able to reach a real service. Standard library only."""

import ipaddress
import socket
import sys
from collections.abc import Mapping
from urllib.parse import urlsplit

SERVICE_VARIABLES = ("HF_ENDPOINT", "MODELOPS_ENDPOINTS_URL", "LANGSMITH_ENDPOINT", "OPENROUTER_BASE_URL")
"""Variables that say where a service is. One that is not set means the real service: refused, too."""

HUB_CONSTANTS = ("ENDPOINT", "INFERENCE_ENDPOINTS_ENDPOINT")
"""Addresses that `huggingface_hub.constants` fixed at its import; the second ignores the environment."""


class NotLoopbackError(RuntimeError):
    """A sandboxed process would reach a real service."""


def assert_loopback(environ: Mapping[str, str]) -> None:
    """Does nothing unless `MODELOPS_SANDBOX=1`; then every service must be on this machine.

    Call it at start-up, and again after `huggingface_hub` was imported and its constants were set.

    Raises:
        NotLoopbackError: names the variable, its value, and what to do.
    """
    if environ.get("MODELOPS_SANDBOX") != "1":
        return
    addresses = {name: environ.get(name, "") for name in SERVICE_VARIABLES}
    constants = sys.modules.get("huggingface_hub.constants")
    if constants is not None:
        for name in HUB_CONSTANTS:
            addresses[f"huggingface_hub.constants.{name}"] = str(getattr(constants, name, ""))
    for name, url in addresses.items():
        if not url:
            raise NotLoopbackError(
                f"MODELOPS_SANDBOX=1 but {name} is not set, which means the real service: "
                "start from the environment that `modelops sandbox up` prints"
            )
        if not is_loopback(url):
            raise NotLoopbackError(
                f"MODELOPS_SANDBOX=1 but {name}={url} is not on this machine: "
                "point it at the sandbox, or unset MODELOPS_SANDBOX to use real services"
            )


def is_loopback(url: str) -> bool:
    """Whether every address that an http(s) URL's host resolves to is a loopback address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(item[4][0]).split("%")[0]).is_loopback for item in found)
