"""Every remedy that Troubleshooting names is carried out by a test, which this table names."""

from __future__ import annotations

import ast
import re
from functools import cache
from typing import Final

import pytest
from tests.unit.docs.pages import ROOT

PAGE: Final = ROOT / "docs" / "guides" / "troubleshooting.md"
NOTHING_TO_DO: Final = {
    "TrainingRun": ("SubmissionUncertain", "Retrying", "LangSmithUnavailable", "HubUnavailable"),
    "Rollout": (
        "WaitingForCandidate",
        "LangSmithUnavailable",
        "HubUnavailable",
        "EndpointServiceUnavailable",
        "AnotherVersionServes",
    ),
    "AgentModel": ("EndpointServiceUnavailable",),
}
"""Reasons whose remedy is to wait; the operator's own retries have tests of their own."""

_INPUT = "e2e/test_bad_input.py::test_invalid_input_is_reported_nothing_is_spent_and_the_remedy_works"
_BAD_RUN: Final = (
    "AgentModelNotFound", "SecretNotUsable", "NoPromptContract", "NoDataset", "DatasetRefused", "BaseModelNotFound",
    "NoBaseModel", "NoEndToken", "FlavorUnknown", "PriceUnknown", "OverMaxUSD", "OverBudget",
)  # fmt: skip
_BAD_ROLLOUT: Final = (
    "AgentModelNotFound", "SecretNotUsable", "NoPromptContract", "NoDataset", "EvaluationRefused", "PriceUnknown",
    "CandidateNotFound", "OverMaxUSD", "OverBudget",
)  # fmt: skip
_RUN_WAITS: Final = "unit/training/test_prerequisites.py::test_a_wait_ends_as_soon_as_its_remedy_is_done"
_ROLLOUT_WAITS: Final = (
    "unit/rollout/test_rollout_refusals.py::test_a_wait_ends_as_soon_as_its_remedy_is_done"
)
_CANARY: Final = "unit/rollout/test_rollout_canary.py::"
_TRUTH: Final = "cases/test_agentmodel_truth.py::"
_FULL_DISK: Final = (
    "contract/test_programs_local.py::test_a_program_that_had_no_space_goes_on_once_there_is_some"
)
_NOT_RUNNING: Final = (
    "cluster/test_program_jobs.py::test_a_missing_key_is_named_and_the_program_goes_on_once_it_is_there"
)
_RUN: Final = {
    **dict.fromkeys(_BAD_RUN, _INPUT),
    "OperatorDiskFull": _FULL_DISK,
    "ProgramNotRunning": _NOT_RUNNING,
    "AlreadyCompleted": "unit/training/test_run_end.py::test_a_run_re_created_with_the_same_name_and_spec_does_nothing",
    "JobsDisabled": _RUN_WAITS,
    "EmergencyStop": "unit/training/test_emergency_stop.py::test_a_new_run_waits_prepares_nothing_and_says_who_stopped_it",
    "BaseModelNotTrainable": "unit/training/test_trainable_base.py::test_other_bases_are_trained",
    "DoesNotFit": "unit/training/test_price.py::test_auto_submits_to_the_cheapest_fitting_flavor_and_says_why",
    "NoFlavorFits": "unit/training/test_price.py::test_a_smaller_batch_fits_where_no_flavor_did",
    "DeadlineTooShort": "unit/training/test_estimate_before_deadline.py::test_the_deadline_that_the_message_names_is_long_enough",
    "NeedsApproval": "e2e/test_approval.py::test_a_run_above_the_threshold_waits_for_an_approval_and_then_trains",
    "ApprovalStale": "e2e/test_approval.py::test_an_expired_estimate_is_renewed_and_an_approval_of_the_old_one_is_stale",
    "SelfApproval": "unit/training/test_approval.py::test_self_approval_is_refused_where_it_is_forbidden",
    "ApprovalExpired": "unit/training/test_approval.py::test_the_wait_for_an_approval_ends",
    "TokenRefused": "cases/test_trainingrun_truth.py::test_a_revoked_token_is_the_reason_of_a_run_whose_job_goes_on",
    "SubmissionRefused": "unit/training/test_submission_answer.py::test_a_refused_submission_ends_the_run_without_asking_the_hub",
    "OutOfMemory": "e2e/test_attempts.py::test_after_out_of_memory_the_next_job_has_half_the_batch_size",
    "BadData": "cases/test_data.py::test_what_the_job_would_refuse_is_refused_before_with_row_and_field",
    "ModelDoesNotStop": "e2e/test_preferences.py::test_a_base_model_is_trained_by_sft_and_then_by_dpo_and_orpo",
    "TimedOut": "unit/training/test_retry_costs.py::test_a_timeout_is_retried_only_from_a_checkpoint",
    "TooSlow": "unit/training/test_retry_costs.py::test_after_a_too_slow_job_the_next_one_gets_the_measured_time",
    "HubRefused": "unit/training/test_retries.py::test_an_attempt_after_a_refusal_waits_until_the_token_may_submit_again",
    "JobKilled": "unit/training/test_retries.py::test_a_job_that_was_killed_without_a_word_is_not_repeated_on_the_same_machine",
    "JobLost": "e2e/test_attempts.py::test_a_lost_job_is_retried_and_both_jobs_are_settled",
    "StuckInScheduling": "e2e/test_attempts.py::test_a_job_stuck_in_scheduling_is_retried_on_another_flavor",
    "JobStopped": "e2e/test_attempts.py::test_a_job_cancelled_at_the_service_is_not_retried",
    "Suspending": "e2e/test_attempts.py::test_a_run_is_suspended_resumed_and_deleted_after_its_ttl",
    "Suspended": "e2e/test_attempts.py::test_a_run_is_suspended_resumed_and_deleted_after_its_ttl",
    "DeadlineExceeded": "unit/training/test_scheduling.py::test_a_job_without_hardware_is_replaced_by_one_with_another_flavor",
    "JobFailed": "unit/training/test_attempt_end.py::test_a_failed_job_ends_the_run_with_its_reason",
    "WeightsMissing": "e2e/test_attempts.py::test_a_completed_job_without_a_model_fails_the_run",
}
_UNDO: Final = "unit/rollout/test_undo.py::"
_ROLLOUT: Final = {
    "OperatorDiskFull": _FULL_DISK,
    "ProgramNotRunning": _NOT_RUNNING,
    **dict.fromkeys(
        _BAD_ROLLOUT, "unit/rollout/test_rollout_refusals.py::test_a_refusal_ends_before_the_agent_is_locked"
    ),
    **dict.fromkeys(
        ("AgentModelNotFound", "SecretNotUsable", "NoPromptContract", "PriceUnknown"), _ROLLOUT_WAITS
    ),
    "AlreadyCompleted": "unit/rollout/test_undo.py::test_an_undo_applied_again_under_its_name_says_what_serves_now",
    "TargetConflict": _ROLLOUT_WAITS,
    "AnotherRolloutActive": _ROLLOUT_WAITS,
    "EmergencyStop": "unit/rollout/test_emergency_stop.py::"
    "test_a_rollout_that_has_not_begun_waits_and_goes_on_when_the_stop_is_lifted",
    "Frozen": "unit/rollout/test_freeze_windows.py::test_a_person_lets_one_rollout_go_on_before_or_in_the_middle",
    "WaitingForUndo": f"{_UNDO}test_an_undo_that_is_asked_for_while_another_is_under_way_waits_and_then_acts",
    "WaitingForDrill": "unit/agentmodel/test_drill.py::test_a_rollout_waits_for_the_end_of_a_drill_and_goes_on",
    "WatchingPromotion": "unit/rollout/test_watch.py::test_other_rollouts_wait_for_the_watch_and_an_undo_does_not",
    "VersionUndone": f"{_UNDO}test_a_rollout_that_was_created_before_an_undo_does_not_bring_its_version_back",
    "Superseded": f"{_UNDO}test_another_undo_that_was_asked_for_before_ends_as_superseded",
    "SupersededByRollout": "unit/rollout/test_turn.py::"
    "test_a_rollout_that_supersedes_latches_the_active_one_and_begins_after_its_end",
    "LeftByUndo": f"{_UNDO}test_the_active_rollout_writes_neither_file_nor_record_while_the_undo_drives",
    "NeedsApproval": "unit/rollout/test_rollout_approval.py::test_an_approval_is_used_once_and_names_the_person",
    "ApprovalStale": "unit/rollout/test_rollout_approval.py::"
    "test_an_approval_of_something_else_or_by_the_requester_does_not_count",
    "SelfApproval": "unit/rollout/test_rollout_approval.py::"
    "test_an_approval_of_something_else_or_by_the_requester_does_not_count",
    "ApprovalExpired": "unit/rollout/test_rollout_approval.py::"
    "test_after_a_week_without_an_approval_the_rollout_ends_through_the_record",
    "ConfigNotUsable": _ROLLOUT_WAITS,
    "StableDrift": f"{_TRUTH}test_a_rollout_that_waits_for_a_drift_names_the_same_keys_and_starts_when_they_are_set",
    "TokenRefused": "unit/rollout/test_rollout_refusals.py::test_a_refused_token_is_waited_for_until_another_is_in_the_secret",
    "EndpointNotCreated": "unit/rollout/test_rollout_refusals.py::test_why_the_endpoint_does_not_start_is_said_and_it_is_waited_for",
    "EndpointFailed": "unit/rollout/test_rollout_refusals.py::test_an_endpoint_that_fails_ends_the_rollout",
    "OverMaxMonthlyUSD": "unit/rollout/test_evaluation_ceilings.py::test_a_standing_cost_within_the_limit_is_not_refused",
    "LowPower": "unit/rollout/test_evaluation_plan.py::test_a_poor_chance_that_the_spec_accepts_is_only_planned",
    "EvaluationFailed": "e2e/test_happy_path.py::test_a_better_model_is_trained_evaluated_promoted_and_rolled_back",
    "EvaluationInconclusive": "cases/test_gate.py::test_prose_that_no_model_reproduces_exactly_is_inconclusive_and_a_better_scorer_is_named",
    "BaselineUnavailable": "cases/test_rollout_truth.py::test_a_service_that_does_not_answer_is_named_by_the_reason",
    "AgentUnavailable": "cases/test_rollout_truth.py::test_a_service_that_does_not_answer_is_named_by_the_reason",
    "CanaryUnreachable": f"{_CANARY}test_no_weight_before_every_agent_reaches_the_canary",
    "WaitingForAgents": f"{_CANARY}test_no_weight_before_every_agent_reaches_the_canary",
    "WaitingForSamples": f"{_CANARY}test_a_pause_lasts_until_there_are_enough_samples",
    "BothTracksIll": f"{_CANARY}test_a_rollout_holds_while_both_tracks_are_ill_and_goes_on_afterwards",
    "WaitingForPromotion": "unit/rollout/test_promote_request.py::"
    "test_through_step_opens_the_pauses_up_to_it_and_no_other",
    "Paused": f"{_CANARY}test_spec_paused_stops_before_the_next_step_until_it_is_unset",
    "ErrorRateBreached": "cases/test_rollout_truth.py::test_an_aborted_canary_keeps_the_numbers_that_decided",
    "MetricFailed": "unit/rollout/test_metrics.py::test_argo_404_a_failure_aborts_and_says_metric_value_and_condition",
    "MetricInconclusive": "unit/rollout/test_metrics.py::test_argo_2866_and_3015_a_person_pauses_and_resumes_to_measure_again",
    "MetricUnavailable": "unit/rollout/test_metrics.py::test_errors_hold_and_neither_promote_nor_abort",
    "LatencyBreached": "cases/test_rollout_truth.py::test_an_aborted_canary_keeps_the_numbers_that_decided",
    "RoutingMismatch": "e2e/test_rollback.py::test_routing_changed_by_hand_ends_on_stable",
    "CanaryExpired": f"{_CANARY}test_an_expired_canary_is_not_renewed_but_aborted",
    "DeadlineExceeded": f"{_CANARY}test_the_deadline_aborts",
    "AgentLockLost": f"{_CANARY}test_a_lost_agent_lock_ends_the_rollout_without_a_write_of_the_file",
    "AbortTooLate": "e2e/test_happy_path.py::test_a_better_model_is_trained_evaluated_promoted_and_rolled_back",
}
_AGENT: Final = {
    "TargetConflict": "unit/agentmodel/test_agentmodel_decide.py::test_a_second_agent_model_over_the_same_agent_does_nothing",
    "ConfigNotUsable": _INPUT,
    "SecretNotUsable": _INPUT,
    "RecordNotReadable": "unit/agentmodel/test_agentmodel_decide.py::test_a_record_that_cannot_be_read_is_left_alone",
    "GoingBack": f"{_UNDO}test_an_undo_to_an_endpoint_that_does_not_answer_waits_and_says_until_when_and_what_could_serve",
    "UndoneVersionServes": f"{_UNDO}test_an_undone_version_in_the_file_is_shown_and_not_ready",
    "StableDrift": f"{_TRUTH}test_the_values_that_the_drift_message_names_bring_file_and_record_together",
    "EmergencyStop": "unit/rollout/test_emergency_stop.py::"
    "test_the_condition_is_there_only_of_agents_that_were_stopped_and_each_change_has_an_event",
    "BudgetExhausted": "unit/agentmodel/test_agentmodel_decide.py::test_a_standing_endpoint_uses_up_the_budget_and_is_no_reason_to_write_until_then",
    "BaselineEdited": f"{_TRUTH}test_a_typo_in_the_baseline_is_corrected_in_spec_baseline",
    "TokenRefused": "cases/test_trainingrun_truth.py::test_the_agent_model_of_a_run_with_a_revoked_token_says_so_too",
    "EndpointNotRunning": f"{_TRUTH}test_a_stable_endpoint_that_does_not_run_is_not_ready",
    "AgentsNotInSync": f"{_TRUTH}test_agents_that_do_not_confirm_the_file_make_it_not_ready_after_a_while",
    "Deleting": f"{_TRUTH}test_a_deletion_stops_no_endpoint_that_the_file_names_and_says_why_it_waits",
}
TESTS: Final = {"TrainingRun": _RUN, "Rollout": _ROLLOUT, "AgentModel": _AGENT}


def reasons_with_a_remedy() -> dict[str, tuple[str, ...]]:
    """The reasons in the table of each kind."""
    sections = re.split(r"(?m)^## ", PAGE.read_text())
    tables = {section.partition("\n")[0]: section for section in sections}
    return {
        kind: tuple(
            reason
            for row in re.findall(r"(?m)^\| (`\w+`(?:, `\w+`)*) \|", tables[kind])
            for reason in re.findall(r"\w+", row)
        )
        for kind in TESTS
    }


@cache
def function_names(path: str) -> frozenset[str]:
    """The names of the test functions in a file below tests/."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = ast.walk(ast.parse((ROOT / "tests" / path).read_text()))
    return frozenset(node.name for node in nodes if isinstance(node, functions))


@pytest.mark.parametrize("kind", TESTS)
def test_each_remedy_in_troubleshooting_has_a_test(kind: str) -> None:
    assert {*TESTS[kind], *NOTHING_TO_DO[kind]} == set(reasons_with_a_remedy()[kind])
    for named in TESTS[kind].values():
        path, _, name = named.partition("::")
        assert name in function_names(path), named
