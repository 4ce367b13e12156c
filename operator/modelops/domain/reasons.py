"""Reasons: one word each, documented here, never renamed. The spec pages' tables are made from this file."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason whose meaning is its documentation."""

    doc: str

    def __new__(cls, value: str, doc: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member

    @classmethod
    def named(cls, value: str) -> Self:
        """The reason with this word.

        Raises:
            ValueError: there is none.
        """
        for member in cls:
            if member.value == value:
                return member
        raise ValueError(f"{value!r} is not one of the reasons of {cls.__name__}")


class TrainingReason(Reason):
    """Reasons on a TrainingRun."""

    WAITING_FOR_AGENT_MODEL = (
        "AgentModelNotFound",
        "The AgentModel named by spec.agentModelRef does not exist, or has no record yet.",
    )
    ALREADY_COMPLETED = (
        "AlreadyCompleted",
        "A run with this name and spec already ended; it does not act again. Use a new name to repeat it.",
    )
    JOBS_DISABLED = (
        "JobsDisabled",
        "HUGGINGFACE_JOBS_ENABLED is false; the run, which has backend.huggingFace, waits.",
    )
    SECRET_NOT_USABLE = (
        "SecretNotUsable",
        "A Secret of the AgentModel is missing, lacks the label modelops.code-chef.dev/managed=true, or lacks the key.",
    )
    NO_PROMPT_CONTRACT = (
        "NoPromptContract",
        "The AgentModel has no spec.prompt; without a contract nothing is trained.",
    )
    NO_DATASET = "NoDataset", "Neither the run nor the AgentModel names a training dataset."
    PREPARING_DATASET = "PreparingDataset", "The dataset is read, validated, rendered and uploaded."
    DATASET_PREPARED = "DatasetPrepared", "The rendered dataset is on the Hub."
    DATASET_REFUSED = (
        "DatasetRefused",
        "The dataset cannot be trained on; the message says why and what to do.",
    )
    LANGSMITH_UNAVAILABLE = "LangSmithUnavailable", "LangSmith did not answer; it is tried again."
    HUB_UNAVAILABLE = "HubUnavailable", "The Hugging Face Hub did not answer; it is tried again."
    BASE_MODEL_NOT_FOUND = (
        "BaseModelNotFound",
        "The base model (spec.baseModel, or the installation's default) is not on the Hub, or the token may not read it.",
    )
    NO_BASE_MODEL = (
        "NoBaseModel",
        "The run names no base model and the installation has no default (MODELOPS_DEFAULT_BASE_MODEL); it waits.",
    )
    NO_END_TOKEN = (
        "NoEndToken",
        "The base model needs spec.prompt.eos of the AgentModel, the token that ends an answer, and there is none, "
        "or it is no special token of the model.",
    )
    FLAVOR_UNKNOWN = "FlavorUnknown", "spec.backend.huggingFace.flavor is not in the service's list."
    DOES_NOT_FIT = (
        "DoesNotFit",
        "The training needs more memory than a device of the flavor has; the message shows the arithmetic.",
    )
    NO_FLAVOR_FITS = (
        "NoFlavorFits",
        "With flavor auto: no offered hardware is large enough, fast enough and allowed; the message says why.",
    )
    PRICE_UNKNOWN = (
        "PriceUnknown",
        "No price could be had, or the speed is not known; nothing is spent without an estimate.",
    )
    OVER_MAX_USD = "OverMaxUSD", "The high estimate is above spec.maxUSD."
    OVER_BUDGET = (
        "OverBudget",
        "The high estimate does not fit into what is left of the AgentModel's monthly budget.",
    )
    NEEDS_APPROVAL = (
        "NeedsApproval",
        "The high estimate is above the AgentModel's spec.budget.approvalAboveUSD; a person is asked, and nothing is reserved.",
    )
    APPROVAL_STALE = (
        "ApprovalStale",
        "spec.approval is of another offer than the one that stands: it was renewed, or what would be trained has changed.",
    )
    SELF_APPROVAL = (
        "SelfApproval",
        "The AgentModel forbids that who asks for a run approves it, or the run does not say who asks.",
    )
    APPROVED = "Approved", "A person approved the offer; the cost is being reserved."
    APPROVAL_EXPIRED = (
        "ApprovalExpired",
        "Nobody approved for as long as the run asks; nothing was spent on what was asked.",
    )
    SUBMITTING = "Submitting", "The job's submission is on record."
    SUBMISSION_UNCERTAIN = (
        "SubmissionUncertain",
        "The answer to a submission was lost; the job is looked for by its label before anything is submitted again.",
    )
    SUBMISSION_REFUSED = "SubmissionRefused", "The service refused the job; the message has its words."
    JOB_SUBMITTED = "JobSubmitted", "The service has the job."
    JOB_RUNNING = "JobRunning", "The job trains."
    RETRYING = "Retrying", "An attempt failed for a reason that another may not meet; status.attempts has it."
    SUSPENDING = "Suspending", "spec.suspend: the job is being stopped."
    SUSPENDED = "Suspended", "spec.suspend is true; nothing runs, and nothing is spent."
    JOB_FAILED = "JobFailed", "The job ended in an error of its own, which another attempt would meet again."
    JOB_LOST = (
        "JobLost",
        "The job ended without a word of its own, or by broken hardware: another attempt follows after a pause.",
    )
    JOB_STOPPED = "JobStopped", "Somebody stopped the job at the service; the run ends."
    OUT_OF_MEMORY = (
        "OutOfMemory",
        "The job ran out of memory: another attempt has half the batch where it is above 1, else, with flavor auto, larger "
        "hardware; with hardware that was chosen by name the run ends.",
    )
    BAD_DATA = "BadData", "The job found the data unusable."
    MODEL_DOES_NOT_STOP = (
        "ModelDoesNotStop",
        "The trained model does not end its answers; nothing was published.",
    )
    TIMED_OUT = (
        "TimedOut",
        "The job reached its timeout: another attempt goes on from its checkpoint, if it kept one.",
    )
    TOO_SLOW = (
        "TooSlow",
        "The job measured that it would not end in time, and stopped early, with a checkpoint if the Hub took it: "
        "another attempt goes on with the time that it measured, if the money allows.",
    )
    STUCK_IN_SCHEDULING = (
        "StuckInScheduling",
        "The job got no hardware for long: with flavor auto, other hardware is tried.",
    )
    DEADLINE_EXCEEDED = "DeadlineExceeded", "spec.activeDeadlineSeconds passed."
    VERIFYING = "Verifying", "The job ended well; its model is looked for on the Hub."
    WEIGHTS_MISSING = "WeightsMissing", "The job ended well but its model is not on the Hub."
    CANCELLING = "Cancelling", "spec.cancel or a deletion: the job is being stopped and its cost booked."
    CANCELLED = "Cancelled", "Cancelled by spec.cancel."
    TRAINED = "Trained", "The model is on the Hub and in the registry."


class RolloutReason(Reason):
    """Reasons on a Rollout."""

    WAITING_FOR_AGENT_MODEL = (
        "AgentModelNotFound",
        "The AgentModel named by spec.agentModelRef does not exist, or has no record yet.",
    )
    ALREADY_COMPLETED = (
        "AlreadyCompleted",
        "A rollout with this name and spec already ended; it does not act again. Use a new name to repeat it.",
    )
    WAITING_FOR_CANDIDATE = (
        "WaitingForCandidate",
        "The TrainingRun named by the candidate has not succeeded yet.",
    )
    CANDIDATE_NOT_FOUND = (
        "CandidateNotFound",
        "The candidate cannot be had: the run failed, or the version or model does not exist.",
    )
    WAITING_FOR_TURN = "AnotherRolloutActive", "Another rollout holds the agent."
    STABLE_DRIFT = (
        "StableDrift",
        "The agents' file names another stable model than the record; nothing is claimed until they agree.",
    )
    SECRET_NOT_USABLE = (
        "SecretNotUsable",
        "A Secret of the AgentModel is missing, unlabelled, or lacks the key; or none is named for OpenRouter, which the "
        "evaluation needs.",
    )
    CONFIG_NOT_USABLE = (
        "ConfigNotUsable",
        "The agents' ConfigMap is missing, unlabelled, malformed, or lacks the agent.",
    )
    NO_PROMPT_CONTRACT = (
        "NoPromptContract",
        "The AgentModel has no spec.prompt; without a contract nothing is evaluated.",
    )
    NO_DATASET = "NoDataset", "Neither the rollout nor the AgentModel names an evaluation dataset."
    PRICE_UNKNOWN = "PriceUnknown", "No price could be had for the endpoint; nothing is spent without one."
    OVER_MAX_USD = "OverMaxUSD", "The estimate is above spec.maxUSD."
    OVER_BUDGET = (
        "OverBudget",
        "The estimate does not fit into what is left of the AgentModel's monthly budget.",
    )
    NEEDS_APPROVAL = "NeedsApproval", "The estimate is above the AgentModel's spec.budget.approvalAboveUSD."
    CLAIMED = "Claimed", "The rollout holds the agent."
    PROVISIONING = "Provisioning", "The candidate's endpoint is starting."
    ENDPOINT_READY = "EndpointReady", "The candidate's endpoint answers."
    ENDPOINT_FAILED = (
        "EndpointFailed",
        "The candidate's endpoint could not be started; the message has the service's words.",
    )
    EVALUATING = "Evaluating", "Both models answer the held-out examples."
    EVALUATION_PASSED = "EvaluationPassed", "The candidate is proven within the margin."
    EVALUATION_FAILED = "EvaluationFailed", "The candidate is proven worse than the margin allows."
    EVALUATION_INCONCLUSIVE = "EvaluationInconclusive", "Neither is proven; the candidate is rejected."
    EVALUATION_REFUSED = (
        "EvaluationRefused",
        "The evaluation could not be made; the message says why and what to do.",
    )
    LANGSMITH_UNAVAILABLE = "LangSmithUnavailable", "LangSmith did not answer; it is tried again."
    ARMING = "Arming", "Agents test the canary's reachability at weight 0."
    CANARY_UNREACHABLE = "CanaryUnreachable", "Agents cannot reach the canary with their own credentials."
    ADVANCING = "Advancing", "A higher weight was written; agents are taking it up."
    WAITING_FOR_AGENTS = "WaitingForAgents", "Not every expected agent process has confirmed the routing."
    WAITING_FOR_SAMPLES = "WaitingForSamples", "Too few requests of the canary to judge."
    WATCHING = "Watching", "The canary is healthy; the pause is counted."
    PAUSED = "Paused", "spec.paused holds the rollout."
    ERROR_RATE_BREACHED = (
        "ErrorRateBreached",
        "The canary's error rate exceeds the stable one's by more than allowed.",
    )
    LATENCY_BREACHED = "LatencyBreached", "The canary's 95th percentile of latency exceeds what is allowed."
    ROUTING_MISMATCH = "RoutingMismatch", "The routing in the agents' file is not the one that was intended."
    ABORTED_BY_USER = "AbortedByUser", "spec.abort was set."
    DELETED = "Deleted", "The Rollout was deleted."
    DEADLINE_EXCEEDED = (
        "DeadlineExceeded",
        "spec.progressDeadlineSeconds, or the time that the reservation covers, passed.",
    )
    CLAIM_LOST = "ClaimLost", "The record no longer names this rollout."
    RETREATING = "Retreating", "Everything is being put back."
    PROMOTING = "Promoting", "The candidate is becoming stable."
    PROMOTED = "Promoted", "The candidate is stable."
    EVALUATED_ONLY = "EvaluatedOnly", "The candidate was judged; nothing was moved, as asked."
    ABORT_TOO_LATE = (
        "AbortTooLate",
        "The promotion was committed before the abort; use an undo (candidate.version).",
    )


class AgentModelReason(Reason):
    """Reasons on an AgentModel."""

    RECONCILED = "Reconciled", "File, record and endpoints agree."
    TARGET_CONFLICT = "TargetConflict", "An older AgentModel already owns this agent in this ConfigMap."
    NO_CONFLICT = "NoConflict", "No other AgentModel names this agent in this ConfigMap."
    CONFIG_NOT_USABLE = (
        "ConfigNotUsable",
        "The agents' ConfigMap is missing, unlabelled, malformed, or lacks the agent.",
    )
    SECRET_NOT_USABLE = (
        "SecretNotUsable",
        "A Secret is missing, lacks the label modelops.code-chef.dev/managed=true, or lacks the key.",
    )
    RECORD_NOT_READABLE = "RecordNotReadable", "The record cannot be read; nothing is written over it."
    STABLE_DRIFT = "StableDrift", "The agents' file names another stable model than the record."
    IN_SYNC = "InSync", "The agents' file names what the record says."
    WITHIN_BUDGET = "WithinBudget", "This month's budget has room."
    BUDGET_EXHAUSTED = "BudgetExhausted", "This month's budget is spent or reserved."
    BASELINE_EDITED = (
        "BaselineEdited",
        "spec.baseline was edited; it only says what the record began with. Use a Rollout.",
    )
    BASELINE_CURRENT = "BaselineCurrent", "spec.baseline is what the record began with."
    ENDPOINT_SERVICE_UNAVAILABLE = (
        "EndpointServiceUnavailable",
        "Inference Endpoints did not answer; it is tried again.",
    )
