"""Reads the tokens of an agent from its Secrets, and reports why a Secret cannot be used."""

from __future__ import annotations

import base64
from dataclasses import replace

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import SecretKeyReference
from modelops.api.v1alpha1.names import MANAGED_LABEL
from modelops.engine.resources import SECRETS, is_managed
from modelops.ports import Clock, Credentials, Json, Kube, Unavailable

SECRET_SECONDS = 30.0
"""For how long a Secret that was read is not read again."""
MISSING_SECRET_SECONDS = 2.0
"""The same for a Secret that does not exist. One without the label or the key is read at each use."""


class CredentialReader:
    """Reads Secrets from the API server, because the cache has none, and keeps them for half a minute."""

    def __init__(self, kube: Kube, clock: Clock, *, installation: Credentials | None = None) -> None:
        self._kube = kube
        self._clock = clock
        self._installation = installation or Credentials()
        """The installation's own credentials: they stop jobs and endpoints if an agent's Secret was deleted."""
        self._secrets: dict[tuple[str, str], tuple[float, Json | None]] = {}

    async def read(
        self,
        namespace: str,
        agent: AgentModel | None,
        *,
        only_hugging_face: bool = False,
        afresh: bool = False,
    ) -> tuple[Credentials, str]:
        """The agent's tokens, and what is wrong with a Secret; without an agent the installation's own.

        If the Secret with the Hugging Face token was deleted, the installation's token is returned; it may only end
        what bills.
        `only_hugging_face`: no other Secret is read, so that a submitted job is followed and stopped even if another
        Secret cannot be used.
        `afresh`: the Secrets are read from the API server in any case.
        """
        if agent is None:
            return (
                replace(self._installation, is_installation_token=True),
                ""
                if self._installation.hugging_face
                else "the AgentModel is gone and the installation has no token",
            )
        refs = agent.spec.secret_refs
        tokens, first = {"hugging_face": "", "langsmith": "", "open_router": "", "agent": ""}, ""
        for kind, path, reference in (
            ("hugging_face", "huggingFace", refs.hugging_face),
            ("langsmith", "langsmith", refs.langsmith),
            ("open_router", "openRouter", refs.open_router),
            ("agent", "agent", refs.agent),
        ):
            if reference is None or (only_hugging_face and kind != "hugging_face"):
                continue
            if afresh:
                self._secrets.pop((namespace, reference.name), None)
            tokens[kind], problem = await self._secret(namespace, reference, f"spec.secretRefs.{path}")
            first = first or problem
        if not tokens["hugging_face"] and self._is_gone(namespace, refs.hugging_face):
            return replace(self._installation, is_installation_token=True), first
        return (
            Credentials(
                hugging_face=tokens["hugging_face"],
                langsmith=tokens["langsmith"],
                open_router=tokens["open_router"],
                agent=tokens["agent"],
            ),
            first,
        )

    async def read_for_program(self, namespace: str, agent: AgentModel | None) -> Credentials:
        """The agent's tokens as its Secrets have them now.

        A program's refusal of a key can be final, so it must not be about a key that was replaced half a minute ago.
        Raises Unavailable where a Secret cannot be used any more; the next decision waits for it.
        """
        credentials, problem = await self.read(namespace, agent, afresh=True)
        if problem:
            raise Unavailable(problem)
        return credentials

    async def token(self, namespace: str, reference: SecretKeyReference, path: str) -> tuple[str, str]:
        """The token of one Secret, and what is wrong with it; `path` is the field that names it."""
        return await self._secret(namespace, reference, path)

    def _is_gone(self, namespace: str, reference: SecretKeyReference) -> bool:
        """Whether the Secret did not exist at the last read. A Secret without the label or the key does exist."""
        _, item = self._secrets.get((namespace, reference.name), (0.0, {}))
        return item is None

    async def _secret(self, namespace: str, reference: SecretKeyReference, path: str) -> tuple[str, str]:
        known = self._secrets.get((namespace, reference.name))
        now = self._clock.monotonic()
        kept = SECRET_SECONDS if known is not None and known[1] is not None else MISSING_SECRET_SECONDS
        if known is None or now - known[0] > kept:
            item = await self._kube.get(SECRETS, namespace, reference.name)
            # Secrets that are no longer used are dropped.
            for old in [k for k, (read_at, _) in self._secrets.items() if now - read_at > SECRET_SECONDS]:
                del self._secrets[old]
            known = self._secrets[namespace, reference.name] = (now, item)
        item = known[1]
        where = f"Secret {reference.name} ({path})"
        if item is None:
            return (
                "",
                f"{where} does not exist in namespace {namespace}: create it with the label "
                f"{MANAGED_LABEL}=true and the key {reference.key}",
            )
        if not is_managed(item):
            self._secrets.pop((namespace, reference.name), None)
            return (
                "",
                f"{where} does not carry the label {MANAGED_LABEL}=true: add it to let the operator read the "
                "Secret",
            )
        encoded = (item.get("data") or {}).get(reference.key)
        if not encoded:
            self._secrets.pop((namespace, reference.name), None)
            return "", f"{where} has no key {reference.key}: add it, or name another key"
        token = _token_of(encoded)
        if not token:
            self._secrets.pop((namespace, reference.name), None)
            return (
                "",
                f"{where}: the value of its key {reference.key} is no token, which is one word of ASCII characters: "
                "store the token alone, on one line, as UTF-8 without a byte order mark",
            )
        return token, ""


def _token_of(encoded: str) -> str:
    """The token in a value of a Secret; empty where no HTTP header could carry the value.

    A file that PowerShell wrote is UTF-16, and editors on Windows begin a file with a byte order mark.
    """
    token = base64.b64decode(encoded).decode("ascii", errors="replace").strip()
    return token if all("!" <= character <= "~" for character in token) else ""
