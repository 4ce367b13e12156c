"""The decision about a TrainingRun, read top to bottom: the first step with something to say is the plan."""

from __future__ import annotations

from collections.abc import Callable

from modelops.domain.plan import Plan
from modelops.domain.training import (
    approval,
    attempts,
    conclude,
    dataset,
    ending,
    ending_token,
    follow,
    offer,
    prepare,
    price,
    submit,
)
from modelops.domain.training.observed import Observed

Step = Callable[[Observed], Plan | None]

BEFORE_THE_INTENT: tuple[Step, ...] = (
    attempts.run_is_suspended,
    approval.nobody_approved,
    prepare.jobs_are_disabled,
    prepare.prompt_contract_is_missing,
    prepare.base_model_is_not_named,
    prepare.dataset_is_not_named,
    approval.offer_has_changed,
    dataset.dataset_is_being_prepared,
    price.hardware_is_not_priced,
    price.base_model_is_not_found,
    price.base_config_is_unseen,
    ending_token.end_of_answers_is_not_known,
    dataset.dataset_is_not_prepared,
    offer.price_does_not_stand,
    approval.approval_is_awaited,
    submit.submission_is_not_intended,
)


BEFORE_ANOTHER_INTENT: tuple[Step, ...] = (
    attempts.run_is_suspended,
    attempts.backoff_is_not_over,
    approval.nobody_approved,
    prepare.jobs_are_disabled,
    price.hardware_is_not_priced,
    price.base_model_is_not_found,
    price.base_config_is_unseen,
    offer.price_does_not_stand,
    approval.approval_is_awaited,
    submit.submission_is_not_intended,
)


def nothing_is_intended_yet(seen: Observed) -> Plan | None:
    """Check, prepare, price, cover, submit. Once a submission is on record, no edit elsewhere matters.

    Another attempt has the data and the recipe of the first, and a price of its own.
    """
    if seen.run.status.job is not None:
        return None
    plan = first(BEFORE_ANOTHER_INTENT if seen.run.status.attempts else BEFORE_THE_INTENT, seen)
    return conclude.through_the_record(seen, plan) if plan is not None else None


STEPS: tuple[Step, ...] = (
    conclude.is_over,
    conclude.record_says_done,
    ending.ended_before_any_intent,
    ending.cannot_be_cleaned_up,
    prepare.finalizer_is_missing,
    prepare.agent_model_is_missing,
    follow.deadline_has_passed,
    follow.suspension_is_asked,
    prepare.secret_is_not_usable,
    ending.ended_with_an_intent_only,
    nothing_is_intended_yet,
    submit.job_is_not_known,
    follow.another_job_has_the_claim,
    follow.job_is_under_way,
    follow.attempt_is_not_closed,
    follow.outcome,
)


def first(steps: tuple[Step, ...], seen: Observed) -> Plan | None:
    """The first step that has something to say."""
    for step in steps:
        plan = step(seen)
        if plan is not None:
            return plan
    return None


def decide(seen: Observed) -> Plan:
    """What to do now about the run."""
    return first(STEPS, seen) or Plan()
