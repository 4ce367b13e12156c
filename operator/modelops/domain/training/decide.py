"""The decision about a TrainingRun, read top to bottom: the first step that returns a plan decides."""

from __future__ import annotations

from collections.abc import Callable

from modelops.domain.plan import Plan
from modelops.domain.status import with_generation_observed
from modelops.domain.training import stop
from modelops.domain.training.actions import TrainingPlan
from modelops.domain.training.outcome import conclude, ending, finished_run, follow, retry, verification
from modelops.domain.training.preparation import (
    dataset,
    end_token,
    prerequisites,
    published_before,
    trainable_base,
)
from modelops.domain.training.pricing import offer, price_inputs
from modelops.domain.training.state import State
from modelops.domain.training.submission import approval, submit

Step = Callable[[State], TrainingPlan | None]

BEFORE_THE_INTENT: tuple[Step, ...] = (
    retry.run_is_suspended,
    stop.wait_while_stopped,
    approval.end_unapproved_run,
    prerequisites.jobs_are_disabled,
    prerequisites.prompt_contract_is_missing,
    prerequisites.base_model_is_not_named,
    prerequisites.fail_if_no_dataset,
    published_before.restore_record_from_hub,
    approval.withdraw_changed_offer,
    dataset.await_dataset_program,
    price_inputs.ensure_hardware_priced,
    price_inputs.fail_if_base_model_not_found,
    price_inputs.base_config_is_unknown,
    trainable_base.fail_if_base_cannot_be_trained,
    end_token.fail_if_no_end_token,
    dataset.ensure_dataset_prepared,
    offer.ensure_offer,
    approval.ensure_approved,
    submit.ensure_submitted,
)


BEFORE_ANOTHER_INTENT: tuple[Step, ...] = (
    retry.run_is_suspended,
    stop.wait_while_stopped,
    retry.backoff_has_not_elapsed,
    approval.end_unapproved_run,
    prerequisites.jobs_are_disabled,
    price_inputs.ensure_hardware_priced,
    price_inputs.fail_if_base_model_not_found,
    price_inputs.base_config_is_unknown,
    offer.ensure_offer,
    approval.ensure_approved,
    submit.ensure_submitted,
)


def prepare_and_submit(state: State) -> TrainingPlan | None:
    """Check, prepare, price, reserve, submit. Once the intent is in the status, edits of other objects do not matter.

    A further attempt has the data and the recipe of the first one, and a price of its own.
    """
    if state.run.status.job is not None:
        return None
    plan = first_plan(BEFORE_ANOTHER_INTENT if state.run.status.attempts else BEFORE_THE_INTENT, state)
    return conclude.conclude_if_reserved(state, plan) if plan is not None else None


STEPS: tuple[Step, ...] = (
    finished_run.finish_or_delete,
    finished_run.adopt_recorded_end,
    ending.end_before_submission,
    ending.give_up_cleanup,
    prerequisites.ensure_finalizer,
    prerequisites.agent_model_is_missing,
    follow.enforce_deadline,
    follow.begin_suspension,
    prerequisites.secret_is_not_usable,
    ending.end_unanswered_submission,
    prepare_and_submit,
    submit.resolve_submission,
    follow.switch_to_claiming_job,
    follow.follow_active_job,
    follow.ensure_attempt_closed,
    verification.verify_or_retry,
)


def first_plan(steps: tuple[Step, ...], state: State) -> TrainingPlan | None:
    """The plan of the first step that returns one."""
    for step in steps:
        plan = step(state)
        if plan is not None:
            return plan
    return None


def decide(state: State) -> TrainingPlan:
    """The plan for the run in this state."""
    plan = first_plan(STEPS, state) or Plan()
    return with_generation_observed(plan, state.run.status, state.run.metadata)
