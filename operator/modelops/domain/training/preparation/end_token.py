"""Which token ends an answer: a base model that stops at none of its own needs the prompt contract's `eos`."""

from __future__ import annotations

from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.plan import Plan
from modelops.domain.reasons import TrainingReason
from modelops.domain.training.actions import TrainingFact, TrainingPlan
from modelops.domain.training.effective_spec import describe_base_model
from modelops.domain.training.preparation.tokenizer import TokenizerFiles
from modelops.domain.training.pricing.spending import price_is_fixed
from modelops.domain.training.state import State
from modelops.domain.training.status import fail_run, wait_for_hub
from modelops.ports import ModelInfo

INSTRUCT = "-Instruct"
MAX_LISTED_TOKENS = 8
"""Special tokens that a message lists at most."""


def end_token_is_unknown(state: State) -> TrainingPlan | None:
    """The training job would find out that a model cannot learn to stop, but only after it was paid for."""
    if price_is_fixed(state):
        return None
    if state.tokenizer is UNSEEN:
        return Plan(needs=TrainingFact.TOKENIZER)
    if isinstance(state.tokenizer, Outage) and not state.tokenizer.refused:
        return wait_for_hub(state, state.tokenizer, f"the tokenizer of {describe_base_model(state)}")
    if is_base_model(state) and state.sibling is UNSEEN:
        return Plan(needs=TrainingFact.SIBLING)
    message = end_token_problem(state)
    return fail_run(state, TrainingReason.NoEndToken, message) if message else None


def is_base_model(state: State) -> bool:
    """Whether the model stops at no token that a chat template of its own writes; False where that is not known."""
    files = state.tokenizer
    return isinstance(files, TokenizerFiles) and not (files.template and files.stops_at_its_end)


def sibling_of(base_model: str) -> str:
    """The name that the -Instruct model of a base model has on the Hub."""
    return base_model + INSTRUCT


def sibling_name(state: State) -> str:
    """The -Instruct sibling of a base model; empty where the Hub has none, or did not say."""
    return state.sibling.repo if is_base_model(state) and isinstance(state.sibling, ModelInfo) else ""


def end_token_problem(state: State) -> str:
    """Why this base model cannot be trained by this contract; empty where it can."""
    files, eos = state.tokenizer, contract_end_token(state)
    if not isinstance(files, TokenizerFiles):
        return ""
    agent = f"AgentModel {state.run.spec.agent_model_ref.name}"
    model = f"{describe_base_model(state)} of TrainingRun {state.run.metadata.name}"
    tokens = sorted({files.eos, *files.special.values()} - {""})
    more = ", ..." if len(tokens) > MAX_LISTED_TOKENS else ""
    listed = f" (it has {', '.join(tokens[:MAX_LISTED_TOKENS])}{more})" if tokens else ""
    if eos and files.special and eos not in tokens:
        return (
            f"spec.prompt.eos {eos} of {agent} is no special token of {model}{listed}: correct it, then create a "
            "new run"
        )
    if eos or not is_base_model(state):
        return ""
    lacks = (
        "its chat template ends an answer with no token that it stops at"
        if files.template
        else "it has no chat template"
    )
    sibling = sibling_name(state)
    instead = f"use {sibling}" if sibling else "use a model that was made for conversations"
    return (
        f"{model} is a base model: {lacks}. In a new run {instead}, or before it set spec.prompt.eos of {agent} to the "
        f"special token that is to end an answer{listed}"
    )


def contract_end_token(state: State) -> str:
    """The prompt contract's; empty where it names none."""
    agent = state.agent_model
    return (agent.spec.prompt.eos if agent and agent.spec.prompt else None) or ""
