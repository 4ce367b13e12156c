"""The token that ends an answer: a base model without one needs `spec.prompt.eos` of the AgentModel."""

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
"""Maximum number of special tokens in a message."""


def fail_if_no_end_token(state: State) -> TrainingPlan | None:
    """Fails a run whose model could not learn to end its answers, before the training job is paid for."""
    if price_is_fixed(state):
        return None
    if state.tokenizer is UNSEEN:
        return Plan(needs=TrainingFact.TOKENIZER)
    if isinstance(state.tokenizer, Outage) and not state.tokenizer.is_final:
        return wait_for_hub(state, state.tokenizer, f"the tokenizer of {describe_base_model(state)}")
    if is_base_model(state) and state.sibling is UNSEEN:
        return Plan(needs=TrainingFact.SIBLING)
    message = end_token_problem(state)
    return fail_run(state, TrainingReason.NoEndToken, message) if message else None


def is_base_model(state: State) -> bool:
    """Whether the model has no chat template that ends answers with a token at which it stops; False if unknown."""
    files = state.tokenizer
    return isinstance(files, TokenizerFiles) and not (files.template and files.stops_at_its_end)


def sibling_of(base_model: str) -> str:
    """The name that a base model's -Instruct model would have on the Hub."""
    return base_model + INSTRUCT


def sibling_name(state: State) -> str:
    """The -Instruct sibling of a base model; empty if the Hub has none, or did not answer."""
    return state.sibling.repo if is_base_model(state) and isinstance(state.sibling, ModelInfo) else ""


def end_token_problem(state: State) -> str:
    """Why this base model cannot be trained with this prompt contract; empty if it can."""
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
            f"spec.prompt.eos {eos} of {agent} is not a special token of {model}{listed}: correct it, then create a "
            "new run"
        )
    if eos or not is_base_model(state):
        return ""
    defect = (
        "its chat template ends answers with no token at which it stops"
        if files.template
        else "it has no chat template"
    )
    sibling = sibling_name(state)
    alternative = f"use {sibling}" if sibling else "use a model that was made for conversations"
    return (
        f"{model} is a base model: {defect}. In a new run {alternative}, or before it set spec.prompt.eos of {agent} "
        f"to the special token that ends an answer{listed}"
    )


def contract_end_token(state: State) -> str:
    """The `eos` of the prompt contract; empty if it names none."""
    agent = state.agent_model
    return (agent.spec.prompt.eos if agent and agent.spec.prompt else None) or ""
