"""What a program needs of Kubernetes beside its input: its secrets, with where they are stored, and its owner."""

from __future__ import annotations

from dataclasses import dataclass

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import ObjectMeta, SecretKeyReference
from modelops.ports import Credentials, ProgramOwner, ProgramSecret, Resource


@dataclass(frozen=True, kw_only=True)
class AgentSecrets:
    """The tokens of one agent, each with the key of the Secret that has it."""

    hugging_face: ProgramSecret
    langsmith: ProgramSecret
    open_router: ProgramSecret
    agent: ProgramSecret


def agent_secrets(agent: AgentModel, credentials: Credentials) -> AgentSecrets:
    """The agent's tokens as they were just read, with the references of its spec."""
    refs = agent.spec.secret_refs
    return AgentSecrets(
        hugging_face=_secret(credentials.hugging_face, refs.hugging_face),
        langsmith=_secret(credentials.langsmith, refs.langsmith),
        open_router=_secret(credentials.open_router, refs.open_router),
        agent=_secret(credentials.agent, refs.agent),
    )


def program_owner(resource: Resource, metadata: ObjectMeta) -> ProgramOwner:
    """The object of this metadata as the owner of its programs."""
    return ProgramOwner(
        kind=resource.kind, namespace=metadata.namespace, name=metadata.name, uid=metadata.uid
    )


def _secret(value: str, reference: SecretKeyReference | None) -> ProgramSecret:
    if reference is None:
        return ProgramSecret(value="")
    return ProgramSecret(value=value, secret=reference.name, key=reference.key)
