"""Which token ends an answer: a base model that stops at none of its own needs the prompt contract's `eos`."""

from __future__ import annotations

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.effective_spec import named_base_model
from modelops.domain.training.preparation.tokenizer import TokenizerFiles
from modelops.domain.training.pricing.price import stands
from modelops.domain.training.state import Observed
from modelops.domain.training.status import failed, hub_is_away
from modelops.ports import ModelInfo

INSTRUCT = "-Instruct"
SHOWN = 8
"""Special tokens that a message lists at most."""


def end_token_is_unknown(seen: Observed) -> Plan | None:
    """The training job would find out that a model cannot learn to stop, but only after it was paid for."""
    if stands(seen):
        return None
    if seen.tokenizer is UNSEEN:
        return Plan(needs="tokenizer")
    if isinstance(seen.tokenizer, Outage) and not seen.tokenizer.refused:
        return hub_is_away(seen, seen.tokenizer, f"the tokenizer of {named_base_model(seen)}")
    if is_base(seen) and seen.sibling is UNSEEN:
        return Plan(needs="sibling")
    message = flaw(seen)
    return failed(seen, Why.NO_END_TOKEN, message) if message else None


def is_base(seen: Observed) -> bool:
    """Whether the model stops at no token that a chat template of its own writes; False where that is not known."""
    files = seen.tokenizer
    return isinstance(files, TokenizerFiles) and not (files.template and files.stops_at_its_end)


def sibling_of(base_model: str) -> str:
    """The name that the -Instruct model of a base model has on the Hub."""
    return base_model + INSTRUCT


def sibling_name(seen: Observed) -> str:
    """The -Instruct sibling of a base model; empty where the Hub has none, or did not say."""
    return seen.sibling.repo if is_base(seen) and isinstance(seen.sibling, ModelInfo) else ""


def flaw(seen: Observed) -> str:
    """Why this base model cannot be trained by this contract; empty where it can."""
    files, eos = seen.tokenizer, end_token(seen)
    if not isinstance(files, TokenizerFiles):
        return ""
    agent = f"AgentModel {seen.run.spec.agent_model_ref.name}"
    model = f"{named_base_model(seen)} of TrainingRun {seen.run.metadata.name}"
    tokens = sorted({files.eos, *files.special.values()} - {""})
    listed = (
        f" (it has {', '.join(tokens[:SHOWN])}{', ...' if len(tokens) > SHOWN else ''})" if tokens else ""
    )
    if eos and files.special and eos not in tokens:
        return (
            f"spec.prompt.eos {eos} of {agent} is no special token of {model}{listed}: correct it, then create a "
            "new run"
        )
    if eos or not is_base(seen):
        return ""
    lacks = (
        "its chat template ends an answer with no token that it stops at"
        if files.template
        else "it has no chat template"
    )
    sibling = sibling_name(seen)
    instead = f"use {sibling}" if sibling else "use a model that was made for conversations"
    return (
        f"{model} is a base model: {lacks}. In a new run {instead}, or before it set spec.prompt.eos of {agent} to the "
        f"special token that is to end an answer{listed}"
    )


def end_token(seen: Observed) -> str:
    """The prompt contract's; empty where it names none."""
    agent = seen.agent_model
    return (agent.spec.prompt.eos if agent and agent.spec.prompt else None) or ""
