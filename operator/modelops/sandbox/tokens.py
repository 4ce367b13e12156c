"""The API keys of the sandbox: random, created once for each state folder."""

import secrets
from dataclasses import asdict, dataclass
from hmac import compare_digest
from typing import Self

from modelops.sandbox.state import ServiceState

USER = "modelops-sandbox"
"""Name of the only user; the seeded base models are in its namespace."""

ORGANIZATIONS = ("appsmithery", "code-chef")
"""Organizations that the user may write to; a write to any other namespace gets a 403."""


@dataclass(frozen=True)
class Tokens:
    """The keys that the services accept. They are of no use outside the sandbox."""

    hf: str
    langsmith: str
    openrouter: str

    @classmethod
    def load_or_create(cls, state: ServiceState) -> Self:
        """Return the keys of this state folder; they are created on first use, in a file with mode 0600."""
        stored = state.read("tokens.json")
        if isinstance(stored, dict):
            return cls(**stored)
        tokens = cls(
            hf="hf_sandbox_" + secrets.token_hex(16),
            langsmith="lsv2_sandbox_" + secrets.token_hex(16),
            openrouter="sk-or-sandbox-" + secrets.token_hex(16),
        )
        state.write("tokens.json", asdict(tokens), mode=0o600)
        return tokens

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The Hub namespaces that the token may write to."""
        return (USER, *ORGANIZATIONS)


def bearer_matches(header: str | None, expected: str) -> bool:
    """Whether an `Authorization` header is `Bearer <expected>`, compared in constant time."""
    scheme, _, given = (header or "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), expected.encode())
