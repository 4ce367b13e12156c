"""The account of a live smoke run: addresses, tokens and names, all from the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from modelops.adapters.huggingface.connection import ENDPOINTS_URL, HUB_URL
from modelops.domain.model_hosts import is_loopback
from modelops.loopback import SWITCH, NotLoopbackError, assert_loopback, sandboxed

LANGSMITH_URL: Final = "https://api.smith.langchain.com"
OPENROUTER_URL: Final = "https://openrouter.ai/api/v1"
INFERENCE_PROVIDERS_URL: Final = "https://router.huggingface.co/v1"
_PASSED_ON: Final = (
    "MODELOPS_", "HF_HUB_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
    "SSL_CERT_", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
"""Beginnings of the variables that the operator of the run gets, too."""
_OWN: Final = (
    "MODELOPS_KUBECONFIG",
    "MODELOPS_ENV_FILE",
    "MODELOPS_PROGRAM_JOBS",
    "MODELOPS_WATCH_NAMESPACES",
)
"""Variables of another installation, which the operator of the run does not get."""


class AccountIncompleteError(Exception):
    """A token is missing, or an address may not be used. The message lists what to set."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Addresses and tokens. `org`: the namespace on the Hub; empty where it is the token's own user."""

    hub_url: str
    endpoints_url: str
    langsmith_url: str
    openrouter_url: str
    hf_token: str = field(repr=False)
    langsmith_key: str = field(repr=False)
    openrouter_key: str = field(repr=False)
    org: str
    sandbox: bool
    """Whether MODELOPS_SANDBOX is on: then nothing is billed, and every address is on this machine."""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in any report."""
        return tuple(filter(None, (self.hf_token, self.langsmith_key, self.openrouter_key)))

    @property
    def baseline_service(self) -> str:
        """The service that serves the baseline: `openrouter` where there is a key for it, else `huggingface`."""
        return "openrouter" if self.openrouter_key else "huggingface"

    @property
    def baseline_url(self) -> str:
        """The OpenAI-compatible address of the baseline."""
        return self.openrouter_url if self.openrouter_key else INFERENCE_PROVIDERS_URL

    @property
    def baseline_token(self) -> str:
        """The token that the baseline's service is sent."""
        return self.openrouter_key or self.hf_token

    @property
    def baseline_token_variable(self) -> str:
        """The variable in which an agent has that token."""
        return "OPENROUTER_API_KEY" if self.openrouter_key else "HF_TOKEN"


def read_account(environ: Mapping[str, str] = os.environ) -> Account:
    """The account that the environment names.

    Raises:
        AccountIncompleteError: a token is missing, or MODELOPS_SANDBOX is on and an address is not on this machine.
    """
    hf_token = environ.get("HF_TOKEN") or environ.get("HUGGINGFACE_HUB_TOKEN") or ""
    langsmith_key = environ.get("LANGSMITH_API_KEY") or ""
    problems = []
    if not hf_token:
        problems.append(
            "HF_TOKEN is not set: make a token that may write repositories, run jobs and manage Inference Endpoints "
            f"at {HUB_URL}/settings/tokens, then `export HF_TOKEN=hf_…`"
        )
    if not langsmith_key:
        problems.append(
            "LANGSMITH_API_KEY is not set: make a key in LangSmith under Settings, API Keys, then "
            "`export LANGSMITH_API_KEY=lsv2_…`"
        )
    for name, token in (("HF_TOKEN", hf_token), ("LANGSMITH_API_KEY", langsmith_key)):
        if any(sign.isspace() or not sign.isprintable() for sign in token):
            problems.append(f"{name} has white space or unprintable signs in it: set it again, without them")
    try:
        assert_loopback(environ)
        is_sandbox = sandboxed(environ.get(SWITCH, ""))
    except NotLoopbackError as error:
        problems.append(str(error))
        is_sandbox = False
    account = Account(
        hub_url=(environ.get("HF_ENDPOINT") or HUB_URL).rstrip("/"),
        endpoints_url=(environ.get("MODELOPS_ENDPOINTS_URL") or ENDPOINTS_URL).rstrip("/"),
        langsmith_url=(environ.get("LANGSMITH_ENDPOINT") or LANGSMITH_URL).rstrip("/"),
        openrouter_url=(environ.get("OPENROUTER_BASE_URL") or OPENROUTER_URL).rstrip("/"),
        hf_token=hf_token,
        langsmith_key=langsmith_key,
        openrouter_key=environ.get("OPENROUTER_API_KEY") or "",
        org=environ.get("MODELOPS_HUB_ORG") or "",
        sandbox=is_sandbox,
    )
    plain = [
        f"{name}={url} has no https, so everybody on the way could read the token: correct it"
        for name, url in (
            ("HF_ENDPOINT", account.hub_url),
            ("MODELOPS_ENDPOINTS_URL", account.endpoints_url),
            ("LANGSMITH_ENDPOINT", account.langsmith_url),
            ("OPENROUTER_BASE_URL", account.openrouter_url),
        )
        if not url.startswith("https://") and not is_loopback(url)
    ]
    if problems or plain:
        raise AccountIncompleteError("\n".join([*problems, *plain]))
    return account


def operator_environment(account: Account, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of the operator's process: addresses, the installation's token, and the person's own settings."""
    passed = {
        name: value for name, value in environ.items() if name.startswith(_PASSED_ON) and name not in _OWN
    }
    return {
        **passed,
        "HF_ENDPOINT": account.hub_url,
        "MODELOPS_ENDPOINTS_URL": account.endpoints_url,
        "LANGSMITH_ENDPOINT": account.langsmith_url,
        "OPENROUTER_BASE_URL": account.openrouter_url,
        "HUGGINGFACE_HUB_TOKEN": account.hf_token,
    }
