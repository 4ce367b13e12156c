"""Reasons of conditions: one documented word each. The tables of reasons in docs/spec are generated from this file."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """A reason, with its meaning as `doc`: one sentence or more for people."""

    doc: str

    def __new__(cls, value: str, doc: str) -> Self:
        member = str.__new__(cls, value)
        member._value_ = value
        member.doc = doc
        return member

    @classmethod
    def named(cls, value: str) -> Self:
        """The reason with this value.

        Raises:
            ValueError: no reason of this kind has it.
        """
        for member in cls:
            if member.value == value:
                return member
        raise ValueError(f"{value!r} is not one of the reasons of {cls.__name__}")


class TrainingReason(Reason):
    """Reasons of a TrainingRun: of its phase, its conditions and its attempts."""

    AgentModelNotFound = (
        "AgentModelNotFound",
        "The AgentModel named by spec.agentModelRef does not exist, or has no record yet.",
    )
    AlreadyCompleted = (
        "AlreadyCompleted",
        "A TrainingRun with the same name and spec already ended, so this one does nothing. Use a new name to "
        "train again.",
    )
    EmergencyStop = (
        "EmergencyStop",
        "An emergency stop is set for the agent, its namespace or all agents. Nothing is submitted until it is lifted; "
        "a job that runs goes on.",
    )
    JobsDisabled = (
        "JobsDisabled",
        "The run has backend.huggingFace, and HUGGINGFACE_JOBS_ENABLED is false. The run waits until it is true.",
    )
    SecretNotUsable = (
        "SecretNotUsable",
        "A Secret of the AgentModel is missing, lacks the label modelops.code-chef.dev/managed=true, lacks the key, "
        "or has a value that is no token.",
    )
    NoPromptContract = (
        "NoPromptContract",
        "The AgentModel has no spec.prompt. Without a prompt contract no model is trained.",
    )
    NoDataset = (
        "NoDataset",
        "Neither the run nor the AgentModel names a training dataset.",
    )
    PreparingDataset = (
        "PreparingDataset",
        "The operator reads, validates, renders and uploads the dataset.",
    )
    DatasetPrepared = (
        "DatasetPrepared",
        "The rendered dataset is on the Hub.",
    )
    DatasetRefused = (
        "DatasetRefused",
        "The dataset cannot be used for training. The message has the cause and the remedy.",
    )
    LangSmithUnavailable = (
        "LangSmithUnavailable",
        "LangSmith did not answer. The operator tries again.",
    )
    HubUnavailable = (
        "HubUnavailable",
        "The Hugging Face Hub did not answer. The operator tries again.",
    )
    OperatorDiskFull = (
        "OperatorDiskFull",
        "The disk of the operator, which prepares datasets and evaluates, is full. The operator tries again.",
    )
    ProgramNotRunning = (
        "ProgramNotRunning",
        "The Kubernetes Job that prepares the dataset cannot start or run. The message has the cause. The operator tries again.",
    )
    BaseModelNotFound = (
        "BaseModelNotFound",
        "The base model (spec.baseModel, or the installation's default) is not on the Hub, or the token may not read it.",
    )
    BaseModelNotTrainable = (
        "BaseModelNotTrainable",
        "The training job cannot load the base model, or cannot merge an adapter into it. The message says why.",
    )
    NoBaseModel = (
        "NoBaseModel",
        "The run names no base model, and the installation has no default (MODELOPS_DEFAULT_BASE_MODEL). The run "
        "waits.",
    )
    NoEndToken = (
        "NoEndToken",
        "The base model needs spec.prompt.eos of the AgentModel, the token that ends an answer. The field is "
        "empty, or the token is no special token of the model.",
    )
    FlavorUnknown = (
        "FlavorUnknown",
        "spec.backend.huggingFace.flavor is not in the service's list of hardware.",
    )
    DoesNotFit = (
        "DoesNotFit",
        "The training needs more memory than a device of the flavor has, or more memory or disk than the machine around "
        "it. The message shows the calculation.",
    )
    NoFlavorFits = (
        "NoFlavorFits",
        "The flavor is auto, and no offered hardware is large enough, fast enough and allowed. The message has "
        "the cause for each flavor.",
    )
    DeadlineTooShort = (
        "DeadlineTooShort",
        "Even the low end of the estimate is above what is left of spec.activeDeadlineSeconds, so that the deadline would "
        "end a job that was paid for. The message has both times.",
    )
    PriceUnknown = (
        "PriceUnknown",
        "The price or the speed of the hardware is not known. Nothing is spent without an estimate.",
    )
    OverMaxUSD = (
        "OverMaxUSD",
        "The high end of the estimate is above spec.maxUSD.",
    )
    OverBudget = (
        "OverBudget",
        "The high end of the estimate does not fit into the rest of the AgentModel's monthly budget.",
    )
    NeedsApproval = (
        "NeedsApproval",
        "The high end of the estimate is above the AgentModel's spec.budget.approvalAboveUSD. The run waits for a "
        "person's approval, and nothing is reserved.",
    )
    ApprovalStale = (
        "ApprovalStale",
        "spec.approval names another offer than the current one. The offer was renewed, or the training would be "
        "another one.",
    )
    SelfApproval = (
        "SelfApproval",
        "The AgentModel forbids self-approval, and the run was approved by spec.requestedBy or has no "
        "spec.requestedBy.",
    )
    Approved = (
        "Approved",
        "A person approved the offer. The operator reserves the cost.",
    )
    ApprovalExpired = (
        "ApprovalExpired",
        "The last offer expired without an approval. The run ended, and nothing was spent on the offer.",
    )
    Submitting = (
        "Submitting",
        "The operator recorded that it submits the job, and submits it.",
    )
    SubmissionUncertain = (
        "SubmissionUncertain",
        "The answer to a submission was lost. The operator searches for the job by its label before it submits "
        "again.",
    )
    SubmissionRefused = (
        "SubmissionRefused",
        "The service refused the job. The message has the service's answer.",
    )
    JobSubmitted = (
        "JobSubmitted",
        "The service accepted the job. The job waits for hardware.",
    )
    JobRunning = (
        "JobRunning",
        "The job runs and trains the model.",
    )
    TokenRefused = (
        "TokenRefused",
        "Hugging Face refuses the token: it was revoked or has expired, or it lacks a permission. The operator tries "
        "again with the token in the Secret.",
    )
    Retrying = (
        "Retrying",
        "An attempt failed, and another one follows. status.attempts has the failed attempt.",
    )
    Suspending = (
        "Suspending",
        "spec.suspend is true. The operator stops the job.",
    )
    Suspended = (
        "Suspended",
        "spec.suspend is true. No job runs, and nothing is spent.",
    )
    JobFailed = (
        "JobFailed",
        "The job ended with an error of the training itself. Another attempt would fail in the same way, so none "
        "follows.",
    )
    JobLost = (
        "JobLost",
        "The job ended without a report, or its hardware failed. Another attempt follows after a pause, up to "
        "spec.backoffLimit.",
    )
    HubRefused = (
        "HubRefused",
        "The Hub refuses what the job writes or reads: its token lacks a permission or was revoked, or storage is used "
        "up. A running job goes on and tries again until its timeout. If it ends without a published model, another "
        "attempt continues from its checkpoint; without a checkpoint, the run ends. Before the job: no storage is left "
        "for the dataset; the operator tries again.",
    )
    JobKilled = (
        "JobKilled",
        "The job was killed (exit code 137), and neither its report nor the service says why. Usually the memory of "
        "the machine was exhausted. With flavor auto, another attempt uses a machine with more memory; otherwise the "
        "run ended.",
    )
    JobStopped = (
        "JobStopped",
        "A person or program stopped the job at the service. The run ended.",
    )
    OutOfMemory = (
        "OutOfMemory",
        "The job ran out of memory. Another attempt uses half the batch size if it is above 1, or else, with "
        "flavor auto, larger hardware. With a named flavor and batch size 1 the run ends.",
    )
    BadData = (
        "BadData",
        "The job reported that its training data cannot be used.",
    )
    ModelDoesNotStop = (
        "ModelDoesNotStop",
        "The trained model does not end its answers. It was not published.",
    )
    TimedOut = (
        "TimedOut",
        "The job reached its timeout. Another attempt continues from its last "
        "checkpoint. Without a checkpoint the run ends.",
    )
    TooSlow = (
        "TooSlow",
        "The job measured that it could not end in time, and stopped early. Another attempt continues from the "
        "last checkpoint on the Hub with the measured time, if the budget allows it.",
    )
    StuckInScheduling = (
        "StuckInScheduling",
        "The job waited too long for hardware. With flavor auto, another attempt uses other hardware.",
    )
    DeadlineExceeded = (
        "DeadlineExceeded",
        "spec.activeDeadlineSeconds passed before the run ended.",
    )
    Verifying = (
        "Verifying",
        "The job ended. The operator reads why, or verifies its model on the Hub.",
    )
    WeightsMissing = (
        "WeightsMissing",
        "The job ended successfully, but its model is not on the Hub.",
    )
    Cancelling = (
        "Cancelling",
        "spec.cancel is true, or the run was deleted. The operator stops the job and books its cost.",
    )
    Cancelled = (
        "Cancelled",
        "spec.cancel ended the run, or its deletion did.",
    )
    Estimated = (
        "Estimated",
        "The data are prepared, and status.estimate has the price of the training. Nothing was trained or spent, as "
        "spec.estimateOnly asks.",
    )
    Trained = (
        "Trained",
        "The model is on the Hub and in the registry.",
    )


class RolloutReason(Reason):
    """Reasons of a Rollout: of its phase and its conditions."""

    AgentModelNotFound = (
        "AgentModelNotFound",
        "The AgentModel named by spec.agentModelRef does not exist, or has no record yet.",
    )
    AlreadyCompleted = (
        "AlreadyCompleted",
        "A Rollout with the same name and spec already ended, so this one does nothing. Use a new name to repeat "
        "it.",
    )
    WaitingForCandidate = (
        "WaitingForCandidate",
        "The TrainingRun named by the candidate has not succeeded yet, or the Hub does not have the candidate's "
        "commit yet.",
    )
    CandidateNotFound = (
        "CandidateNotFound",
        "The candidate does not exist: its run failed, or the version or the model is not there.",
    )
    TargetConflict = (
        "TargetConflict",
        "An older AgentModel owns this agent in this ConfigMap. The rollout waits until one of the two is deleted.",
    )
    AnotherRolloutActive = (
        "AnotherRolloutActive",
        "Another rollout holds the agent's lock, or its turn comes before. This one waits for its end.",
    )
    SupersededByRollout = (
        "SupersededByRollout",
        "A newer rollout with strategy.onActive Supersede aborted this one, which was active.",
    )
    StableDrift = (
        "StableDrift",
        "The agents' file names another stable model than the record. The rollout does not begin until they agree.",
    )
    SecretNotUsable = (
        "SecretNotUsable",
        "A Secret of the AgentModel is missing, lacks the label modelops.code-chef.dev/managed=true, lacks the key, "
        "or has a value that is no token. Or the evaluation needs OpenRouter, and spec.secretRefs.openRouter is empty.",
    )
    ConfigNotUsable = (
        "ConfigNotUsable",
        "The agents' ConfigMap is missing, malformed, lacks the label modelops.code-chef.dev/managed=true, or "
        "lacks the agent.",
    )
    NoPromptContract = (
        "NoPromptContract",
        "The AgentModel has no spec.prompt. Without a prompt contract no model is evaluated.",
    )
    NoDataset = "NoDataset", "Neither the rollout nor the AgentModel names an evaluation dataset."
    PriceUnknown = (
        "PriceUnknown",
        "The price of the endpoint is not known. Nothing is spent without a price.",
    )
    OverMaxUSD = (
        "OverMaxUSD",
        "The estimated cost is above spec.maxUSD.",
    )
    OverMaxMonthlyUSD = (
        "OverMaxMonthlyUSD",
        "Serving the candidate would cost more in a month than spec.evaluation.maxMonthlyUSD.",
    )
    OverBudget = (
        "OverBudget",
        "The estimated cost does not fit into the rest of the AgentModel's monthly budget.",
    )
    NeedsApproval = (
        "NeedsApproval",
        "A person must approve the offer in status.offer; the message says why. Before the agent is locked nothing is "
        "reserved.",
    )
    ApprovalStale = (
        "ApprovalStale",
        "spec.approval names another offer than the current one. The offer was renewed or changed after the approval.",
    )
    SelfApproval = (
        "SelfApproval",
        "The AgentModel forbids self-approval, and the rollout was approved by spec.requestedBy or has no "
        "spec.requestedBy.",
    )
    OfferWithdrawn = (
        "OfferWithdrawn",
        "The offer expired, or what it covers has changed. The operator makes a new one.",
    )
    Approved = (
        "Approved",
        "A person approved the offer. The rollout goes on.",
    )
    ApprovalExpired = (
        "ApprovalExpired",
        "The last offer expired without an approval. The rollout ended, and nothing was spent on the offer.",
    )
    Provisioning = (
        "Provisioning",
        "The candidate's endpoint is starting.",
    )
    EndpointNotCreated = (
        "EndpointNotCreated",
        "The service does not create the candidate's endpoint at the moment, for example for lack of quota. The "
        "operator tries again.",
    )
    EndpointServiceUnavailable = (
        "EndpointServiceUnavailable",
        "The Inference Endpoints service did not answer, or refused to list endpoints. The operator tries again.",
    )
    EndpointFailed = (
        "EndpointFailed",
        "The candidate's endpoint could not be started. The message has the service's answer.",
    )
    Evaluating = (
        "Evaluating",
        "The candidate and the stable model answer the held-out examples.",
    )
    EvaluationPlanned = (
        "EvaluationPlanned",
        "The evaluation is possible. status.evaluation.plan says what it is likely to show; nothing was spent yet.",
    )
    LowPower = (
        "LowPower",
        "Even a candidate with the expected gain would probably not pass the evaluation, so nothing was spent.",
    )
    EvaluationPassed = (
        "EvaluationPassed",
        "The evaluation showed that the candidate is within the margin.",
    )
    EvaluationFailed = (
        "EvaluationFailed",
        "The evaluation showed that the candidate is worse than the margin allows, or slower than maxP95Milliseconds.",
    )
    EvaluationInconclusive = (
        "EvaluationInconclusive",
        "The evaluation showed neither that the candidate is within the margin nor that it is worse. The "
        "candidate is rejected, unless spec.evaluation.onInconclusive asks a person.",
    )
    EvaluationRefused = (
        "EvaluationRefused",
        "The evaluation could not be made. The message has the cause and the remedy.",
    )
    LangSmithUnavailable = (
        "LangSmithUnavailable",
        "LangSmith did not answer. The operator tries again.",
    )
    HubUnavailable = (
        "HubUnavailable",
        "The Hugging Face Hub did not answer. The operator tries again.",
    )
    OperatorDiskFull = (
        "OperatorDiskFull",
        "The disk of the operator, which prepares datasets and evaluates, is full. The operator tries again.",
    )
    ProgramNotRunning = (
        "ProgramNotRunning",
        "The Kubernetes Job that evaluates cannot start or run. The message has the cause. The operator tries again.",
    )
    TokenRefused = (
        "TokenRefused",
        "Hugging Face refuses the token: it was revoked or has expired, or it lacks a permission. The operator tries "
        "again with the token in the Secret.",
    )
    AgentUnavailable = (
        "AgentUnavailable",
        "The agent that the evaluation asks does not answer (spec.evaluation.agent.url of the AgentModel). Nothing was "
        "spent, and the operator tries again.",
    )
    BaselineUnavailable = (
        "BaselineUnavailable",
        "Too many calls of the model that serves the agent now have failed during the evaluation. The operator "
        "repeats them.",
    )
    Arming = (
        "Arming",
        "The agents test at weight 0 whether they reach the canary.",
    )
    CanaryUnreachable = (
        "CanaryUnreachable",
        "Not every agent process reaches the canary with its own credentials. Above weight 0 the rollout is aborted.",
    )
    Advancing = (
        "Advancing",
        "The operator wrote a higher weight. The agents are reading it.",
    )
    WaitingForAgents = (
        "WaitingForAgents",
        "Not every expected agent process has confirmed the routing.",
    )
    WaitingForSamples = (
        "WaitingForSamples",
        "Too little is known of the canary: fewer requests than spec.analysis.minRequests, a difference of "
        "spec.analysis.excludePoints that is not excluded yet, or agents whose router reports no sessions.",
    )
    BothTracksIll = (
        "BothTracksIll",
        "The stable track fails as well, so nothing is held against the canary. The rollout holds its weight.",
    )
    Watching = (
        "Watching",
        "The canary is healthy, and the time of the pause counts.",
    )
    WaitingForPromotion = (
        "WaitingForPromotion",
        "A pause without a duration, or an analysis after its timeout, waits until a person goes on with spec.promote. The "
        "analysis of the canary goes on.",
    )
    Paused = (
        "Paused",
        "spec.paused is true. The rollout does not begin its next step.",
    )
    ErrorRateBreached = (
        "ErrorRateBreached",
        "More of the canary's sessions fail than of the stable track's, by more than spec.analysis.maxErrorPoints, or "
        "more than spec.analysis.maxErrorPercent.",
    )
    LatencyBreached = (
        "LatencyBreached",
        "More of the canary's sessions are slow than of the stable track's, beyond spec.analysis.maxLatencyRatio.",
    )
    MetricFailed = (
        "MetricFailed",
        "A metric of spec.analysis.metrics failed more often than its failureLimit allows. The rollout is aborted; the "
        "message has the metric, its value and its condition.",
    )
    MetricInconclusive = (
        "MetricInconclusive",
        "A metric was neither good nor a failure more often than its inconclusiveLimit allows. The rollout holds its "
        "weight and asks a person.",
    )
    MetricUnavailable = (
        "MetricUnavailable",
        "A metric has no value: no data, NaN, or a provider that does not answer. The rollout holds its weight; that "
        "alone neither promotes nor aborts.",
    )
    WaitingForMetrics = (
        "WaitingForMetrics",
        "A metric has no good measurement in the current step yet. The rollout goes on after one.",
    )
    EmergencyStop = (
        "EmergencyStop",
        "An emergency stop is set for the agent, its namespace or all agents. A rollout that has not begun waits; one "
        "that was active was aborted, and does not begin again.",
    )
    Frozen = (
        "Frozen",
        "A freeze window of the AgentModel (spec.freeze). The rollout begins nothing until its end, which the message "
        "names.",
    )
    WaitingForUndo = (
        "WaitingForUndo",
        "An undo of this agent is under way. This rollout waits for its end.",
    )
    WaitingForDrill = (
        "WaitingForDrill",
        "A rollback of this agent is rehearsed (spec.drill of the AgentModel). This rollout waits for its end.",
    )
    WatchingPromotion = (
        "WatchingPromotion",
        "The version that was promoted last is still watched (strategy.postPromotion). This rollout waits for the end of "
        "the watch. An undo does not wait.",
    )
    GoingBack = (
        "GoingBack",
        "The undo is accepted. The operator writes its version into the agents' file; an abort comes too late.",
    )
    AlreadyServes = (
        "AlreadyServes",
        "The version of this undo serves already, by the record and by the agents' file.",
    )
    Superseded = (
        "Superseded",
        "Another undo was accepted after this one was asked for, so this one does nothing.",
    )
    VersionUndone = (
        "VersionUndone",
        "An undo left the candidate's version after this rollout was created. A new rollout may try it again.",
    )
    LeftByUndo = (
        "LeftByUndo",
        "An undo was accepted while this rollout was active, and ended it.",
    )
    AnotherVersionServes = (
        "AnotherVersionServes",
        "The version that this rollout promoted does not serve any more: an undo or another rollout replaced it.",
    )
    RoutingMismatch = (
        "RoutingMismatch",
        "The routing in the agents' file is not the one that the operator wrote.",
    )
    AbortedByUser = (
        "AbortedByUser",
        "spec.abort is true. The rollout is aborted.",
    )
    Deleted = (
        "Deleted",
        "The Rollout was deleted before it ended.",
    )
    DeadlineExceeded = (
        "DeadlineExceeded",
        "spec.progressDeadlineSeconds passed, or the time that the reservation covers.",
    )
    AgentLockLost = (
        "AgentLockLost",
        "The record no longer names this rollout as the holder of the agent's lock.",
    )
    Aborting = (
        "Aborting",
        "The operator puts all traffic back on the stable model and removes the candidate.",
    )
    Promoting = (
        "Promoting",
        "The candidate is becoming the stable model.",
    )
    Promoted = (
        "Promoted",
        "The candidate is the stable model now.",
    )
    EvaluatedOnly = (
        "EvaluatedOnly",
        "The candidate was evaluated. No traffic moved, as spec.strategy.evaluateOnly asks.",
    )
    CanaryExpired = (
        "CanaryExpired",
        "No operator renewed the canary in time, so agents went back to stable by themselves.",
    )
    AbortTooLate = (
        "AbortTooLate",
        "The promotion was committed before the abort. To undo it, create a Rollout with candidate.version.",
    )


class AgentModelReason(Reason):
    """Reasons of an AgentModel's conditions."""

    Reconciled = (
        "Reconciled",
        "The agents' file, the record and the endpoints agree.",
    )
    TargetConflict = (
        "TargetConflict",
        "An older AgentModel already owns this agent in this ConfigMap.",
    )
    NoConflict = "NoConflict", "No other AgentModel names this agent in this ConfigMap."
    ConfigNotUsable = (
        "ConfigNotUsable",
        "The agents' ConfigMap is missing, malformed, lacks the label modelops.code-chef.dev/managed=true, or "
        "lacks the agent.",
    )
    SecretNotUsable = (
        "SecretNotUsable",
        "A Secret is missing, lacks the label modelops.code-chef.dev/managed=true, lacks the key, or has a value that "
        "is no token.",
    )
    RecordNotReadable = (
        "RecordNotReadable",
        "The record cannot be read. The operator does not overwrite it.",
    )
    StableDrift = (
        "StableDrift",
        "The agents' file names another stable model than the record, so agents may not be served by what "
        "status.stable says.",
    )
    GoingBack = (
        "GoingBack",
        "An undo is accepted, or was made directly in the agents' file, and is not finished: the message says what it "
        "waits for.",
    )
    UndoneVersionServes = (
        "UndoneVersionServes",
        "The agents' file names a version as stable that an undo left. The record does not follow it.",
    )
    EmergencyStop = (
        "EmergencyStop",
        "An emergency stop is set for this agent, its namespace or all agents. Nothing new is started; undo goes on.",
    )
    NotStopped = "NotStopped", "No emergency stop is set for this agent."
    Deleting = (
        "Deleting",
        "The AgentModel is being deleted, and endpoints that agents may use still run.",
    )
    EndpointNotRunning = (
        "EndpointNotRunning",
        "The endpoint of the stable model does not run, or has another address than the agents' file names.",
    )
    AgentsNotInSync = (
        "AgentsNotInSync",
        "Agent processes have not confirmed the newest version of the agents' file for half a minute, so they may use "
        "an older one.",
    )
    InSync = (
        "InSync",
        "The agents' file names the same stable model as the record.",
    )
    WithinBudget = (
        "WithinBudget",
        "The budget of this month is not used up.",
    )
    BudgetExhausted = (
        "BudgetExhausted",
        "The budget of this month is spent or reserved.",
    )
    BaselineEdited = (
        "BaselineEdited",
        "spec.baseline was edited after the record began, and the record does not follow it: see the message.",
    )
    BaselineCurrent = (
        "BaselineCurrent",
        "spec.baseline is v1.0.0 of the record.",
    )
    TokenRefused = (
        "TokenRefused",
        "Hugging Face refuses the token: it was revoked or has expired, or it lacks a permission. The operator tries "
        "again with the token in the Secret.",
    )
    EndpointServiceUnavailable = (
        "EndpointServiceUnavailable",
        "The Inference Endpoints service did not answer. The operator tries again.",
    )
