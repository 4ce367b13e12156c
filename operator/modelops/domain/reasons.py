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

    AgentModelNotFound = (
        "AgentModelNotFound",
        "The AgentModel named by spec.agentModelRef does not exist, or has no record yet.",
    )
    AlreadyCompleted = (
        "AlreadyCompleted",
        "A run with this name and spec already ended; it does not act again. Use a new name to repeat it.",
    )
    JobsDisabled = (
        "JobsDisabled",
        "HUGGINGFACE_JOBS_ENABLED is false; the run, which has backend.huggingFace, waits.",
    )
    SecretNotUsable = (
        "SecretNotUsable",
        "A Secret of the AgentModel is missing, lacks the label modelops.code-chef.dev/managed=true, or lacks the key.",
    )
    NoPromptContract = (
        "NoPromptContract",
        "The AgentModel has no spec.prompt; without a contract nothing is trained.",
    )
    NoDataset = "NoDataset", "Neither the run nor the AgentModel names a training dataset."
    PreparingDataset = "PreparingDataset", "The dataset is read, validated, rendered and uploaded."
    DatasetPrepared = "DatasetPrepared", "The rendered dataset is on the Hub."
    DatasetRefused = (
        "DatasetRefused",
        "The dataset cannot be trained on; the message says why and what to do.",
    )
    LangSmithUnavailable = "LangSmithUnavailable", "LangSmith did not answer; it is tried again."
    HubUnavailable = "HubUnavailable", "The Hugging Face Hub did not answer; it is tried again."
    BaseModelNotFound = (
        "BaseModelNotFound",
        "The base model (spec.baseModel, or the installation's default) is not on the Hub, or the token may not read it.",
    )
    NoBaseModel = (
        "NoBaseModel",
        "The run names no base model and the installation has no default (MODELOPS_DEFAULT_BASE_MODEL); it waits.",
    )
    NoEndToken = (
        "NoEndToken",
        "The base model needs spec.prompt.eos of the AgentModel, the token that ends an answer, and there is none, "
        "or it is no special token of the model.",
    )
    FlavorUnknown = "FlavorUnknown", "spec.backend.huggingFace.flavor is not in the service's list."
    DoesNotFit = (
        "DoesNotFit",
        "The training needs more memory than a device of the flavor has; the message shows the arithmetic.",
    )
    NoFlavorFits = (
        "NoFlavorFits",
        "With flavor auto: no offered hardware is large enough, fast enough and allowed; the message says why.",
    )
    PriceUnknown = (
        "PriceUnknown",
        "No price could be had, or the speed is not known; nothing is spent without an estimate.",
    )
    OverMaxUSD = "OverMaxUSD", "The high estimate is above spec.maxUSD."
    OverBudget = (
        "OverBudget",
        "The high estimate does not fit into what is left of the AgentModel's monthly budget.",
    )
    NeedsApproval = (
        "NeedsApproval",
        "The high estimate is above the AgentModel's spec.budget.approvalAboveUSD; a person is asked, and nothing is reserved.",
    )
    ApprovalStale = (
        "ApprovalStale",
        "spec.approval is of another offer than the one that stands: it was renewed, or what would be trained has changed.",
    )
    SelfApproval = (
        "SelfApproval",
        "The AgentModel forbids that who asks for a run approves it, or the run does not say who asks.",
    )
    Approved = "Approved", "A person approved the offer; the cost is being reserved."
    ApprovalExpired = (
        "ApprovalExpired",
        "Nobody approved for as long as the run asks; nothing was spent on what was asked.",
    )
    Submitting = "Submitting", "The job's submission is on record."
    SubmissionUncertain = (
        "SubmissionUncertain",
        "The answer to a submission was lost; the job is looked for by its label before anything is submitted again.",
    )
    SubmissionRefused = "SubmissionRefused", "The service refused the job; the message has its words."
    JobSubmitted = "JobSubmitted", "The service has the job."
    JobRunning = "JobRunning", "The job trains."
    Retrying = "Retrying", "An attempt failed for a reason that another may not meet; status.attempts has it."
    Suspending = "Suspending", "spec.suspend: the job is being stopped."
    Suspended = "Suspended", "spec.suspend is true; nothing runs, and nothing is spent."
    JobFailed = "JobFailed", "The job ended in an error of its own, which another attempt would meet again."
    JobLost = (
        "JobLost",
        "The job ended without a word of its own, or by broken hardware: another attempt follows after a pause.",
    )
    JobStopped = "JobStopped", "Somebody stopped the job at the service; the run ends."
    OutOfMemory = (
        "OutOfMemory",
        "The job ran out of memory: another attempt has half the batch where it is above 1, else, with flavor auto, larger "
        "hardware; with hardware that was chosen by name the run ends.",
    )
    BadData = "BadData", "The job found the data unusable."
    ModelDoesNotStop = (
        "ModelDoesNotStop",
        "The trained model does not end its answers; nothing was published.",
    )
    TimedOut = (
        "TimedOut",
        "The job reached its timeout: another attempt goes on from its checkpoint, if it kept one.",
    )
    TooSlow = (
        "TooSlow",
        "The job measured that it would not end in time, and stopped early, with a checkpoint if the Hub took it: "
        "another attempt goes on with the time that it measured, if the money allows.",
    )
    StuckInScheduling = (
        "StuckInScheduling",
        "The job got no hardware for long: with flavor auto, other hardware is tried.",
    )
    DeadlineExceeded = "DeadlineExceeded", "spec.activeDeadlineSeconds passed."
    Verifying = "Verifying", "The job ended well; its model is looked for on the Hub."
    WeightsMissing = "WeightsMissing", "The job ended well but its model is not on the Hub."
    Cancelling = "Cancelling", "spec.cancel or a deletion: the job is being stopped and its cost booked."
    Cancelled = "Cancelled", "Cancelled by spec.cancel."
    Trained = "Trained", "The model is on the Hub and in the registry."


class RolloutReason(Reason):
    """Reasons on a Rollout."""

    AgentModelNotFound = (
        "AgentModelNotFound",
        "The AgentModel named by spec.agentModelRef does not exist, or has no record yet.",
    )
    AlreadyCompleted = (
        "AlreadyCompleted",
        "A rollout with this name and spec already ended; it does not act again. Use a new name to repeat it.",
    )
    WaitingForCandidate = (
        "WaitingForCandidate",
        "The TrainingRun named by the candidate has not succeeded yet.",
    )
    CandidateNotFound = (
        "CandidateNotFound",
        "The candidate cannot be had: the run failed, or the version or model does not exist.",
    )
    AnotherRolloutActive = "AnotherRolloutActive", "Another rollout holds the agent."
    StableDrift = (
        "StableDrift",
        "The agents' file names another stable model than the record; nothing is claimed until they agree.",
    )
    SecretNotUsable = (
        "SecretNotUsable",
        "A Secret of the AgentModel is missing, unlabelled, or lacks the key; or none is named for OpenRouter, which the "
        "evaluation needs.",
    )
    ConfigNotUsable = (
        "ConfigNotUsable",
        "The agents' ConfigMap is missing, unlabelled, malformed, or lacks the agent.",
    )
    NoPromptContract = (
        "NoPromptContract",
        "The AgentModel has no spec.prompt; without a contract nothing is evaluated.",
    )
    NoDataset = "NoDataset", "Neither the rollout nor the AgentModel names an evaluation dataset."
    PriceUnknown = "PriceUnknown", "No price could be had for the endpoint; nothing is spent without one."
    OverMaxUSD = "OverMaxUSD", "The estimate is above spec.maxUSD."
    OverBudget = (
        "OverBudget",
        "The estimate does not fit into what is left of the AgentModel's monthly budget.",
    )
    NeedsApproval = "NeedsApproval", "The estimate is above the AgentModel's spec.budget.approvalAboveUSD."
    AgentLocked = "AgentLocked", "The rollout holds the agent."
    Provisioning = "Provisioning", "The candidate's endpoint is starting."
    EndpointReady = "EndpointReady", "The candidate's endpoint answers."
    EndpointFailed = (
        "EndpointFailed",
        "The candidate's endpoint could not be started; the message has the service's words.",
    )
    Evaluating = "Evaluating", "Both models answer the held-out examples."
    EvaluationPassed = "EvaluationPassed", "The candidate is proven within the margin."
    EvaluationFailed = "EvaluationFailed", "The candidate is proven worse than the margin allows."
    EvaluationInconclusive = "EvaluationInconclusive", "Neither is proven; the candidate is rejected."
    EvaluationRefused = (
        "EvaluationRefused",
        "The evaluation could not be made; the message says why and what to do.",
    )
    LangSmithUnavailable = "LangSmithUnavailable", "LangSmith did not answer; it is tried again."
    Arming = "Arming", "Agents test the canary's reachability at weight 0."
    CanaryUnreachable = "CanaryUnreachable", "Agents cannot reach the canary with their own credentials."
    Advancing = "Advancing", "A higher weight was written; agents are taking it up."
    WaitingForAgents = "WaitingForAgents", "Not every expected agent process has confirmed the routing."
    WaitingForSamples = "WaitingForSamples", "Too few requests of the canary to judge."
    Watching = "Watching", "The canary is healthy; the pause is counted."
    Paused = "Paused", "spec.paused holds the rollout."
    ErrorRateBreached = (
        "ErrorRateBreached",
        "The canary's error rate exceeds the stable one's by more than allowed.",
    )
    LatencyBreached = "LatencyBreached", "The canary's 95th percentile of latency exceeds what is allowed."
    RoutingMismatch = "RoutingMismatch", "The routing in the agents' file is not the one that was intended."
    AbortedByUser = "AbortedByUser", "spec.abort was set."
    Deleted = "Deleted", "The Rollout was deleted."
    DeadlineExceeded = (
        "DeadlineExceeded",
        "spec.progressDeadlineSeconds, or the time that the reservation covers, passed.",
    )
    AgentLockLost = "AgentLockLost", "The record no longer names this rollout."
    Aborting = "Aborting", "Everything is being put back."
    Promoting = "Promoting", "The candidate is becoming stable."
    Promoted = "Promoted", "The candidate is stable."
    EvaluatedOnly = "EvaluatedOnly", "The candidate was judged; nothing was moved, as asked."
    AbortTooLate = (
        "AbortTooLate",
        "The promotion was committed before the abort; use an undo (candidate.version).",
    )


class AgentModelReason(Reason):
    """Reasons on an AgentModel."""

    Reconciled = "Reconciled", "File, record and endpoints agree."
    TargetConflict = "TargetConflict", "An older AgentModel already owns this agent in this ConfigMap."
    NoConflict = "NoConflict", "No other AgentModel names this agent in this ConfigMap."
    ConfigNotUsable = (
        "ConfigNotUsable",
        "The agents' ConfigMap is missing, unlabelled, malformed, or lacks the agent.",
    )
    SecretNotUsable = (
        "SecretNotUsable",
        "A Secret is missing, lacks the label modelops.code-chef.dev/managed=true, or lacks the key.",
    )
    RecordNotReadable = "RecordNotReadable", "The record cannot be read; nothing is written over it."
    StableDrift = "StableDrift", "The agents' file names another stable model than the record."
    InSync = "InSync", "The agents' file names what the record says."
    WithinBudget = "WithinBudget", "This month's budget has room."
    BudgetExhausted = "BudgetExhausted", "This month's budget is spent or reserved."
    BaselineEdited = (
        "BaselineEdited",
        "spec.baseline was edited; it only says what the record began with. Use a Rollout.",
    )
    BaselineCurrent = "BaselineCurrent", "spec.baseline is what the record began with."
    EndpointServiceUnavailable = (
        "EndpointServiceUnavailable",
        "Inference Endpoints did not answer; it is tried again.",
    )
