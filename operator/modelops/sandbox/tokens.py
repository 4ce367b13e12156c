"""Who may call the sandbox: made-up keys, drawn once for each state folder."""

import secrets
from dataclasses import asdict, dataclass
from hmac import compare_digest
from typing import Self

from modelops.sandbox.state import ServiceState

USER = "modelops-sandbox"
"""Name of the only user; the seeded base models live in its namespace."""

ORGANIZATIONS = ("appsmithery", "code-chef")
"""Organizations the user may write to; every other namespace answers 403."""


@dataclass(frozen=True)
class Tokens:
    """The keys that the services accept. None of them is worth anything outside the sandbox."""

    hf: str
    langsmith: str
    openrouter: str

    @classmethod
    def kept_in(cls, state: ServiceState) -> Self:
        """The keys of this state folder; drawn on first use (file mode 0600)."""
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
        """Hub namespaces that the token may write to."""
        return (USER, *ORGANIZATIONS)


def bearer_matches(header: str | None, expected: str) -> bool:
    """Whether an `Authorization` header is `Bearer <expected>`, compared in constant time."""
    scheme, _, given = (header or "").partition(" ")
    return scheme.lower() == "bearer" and compare_digest(given.strip().encode(), expected.encode())
