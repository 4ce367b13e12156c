"""From a new TrainingRun to a priced and covered one: nothing here spends anything."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from modelops.api.v1alpha1.names import FINALIZER
from modelops.api.v1alpha1.trainingrun import PreparedDataset, TrainingPhase
from modelops.domain.facts import UNSEEN, Outage
from modelops.domain.money import dollars, micro, shown
from modelops.domain.plan import Do, Plan, WriteFinalizers
from modelops.domain.reasons import TrainingReason as Why
from modelops.domain.training.estimate import CannotEstimate, estimate
from modelops.domain.training.naming import dataset_repository
from modelops.domain.training.observed import Observed
from modelops.domain.training.recipe import recipe
from modelops.domain.training.status import failed, moved, said, wait

RETRY_SECONDS = 15.0


def values(seen: Observed) -> dict[str, Any]:
    """The run's training values."""
    agent = seen.agent_model
    return recipe(
        method=seen.run.spec.method.value,
        run=seen.run.spec.config,
        agent=agent.spec.training_defaults if agent else None,
        defaults=seen.settings.defaults,
    )


def finalizer_is_missing(seen: Observed) -> Plan | None:
    """The finalizer is there before anything that would have to be undone."""
    meta = seen.run.metadata
    if FINALIZER in meta.finalizers:
        return None
    return Plan(steps=(WriteFinalizers(finalizers=(*meta.finalizers, FINALIZER)),), requeue_after=0)


def agent_model_is_missing(seen: Observed) -> Plan | None:
    name = seen.run.spec.agent_model_ref.name
    if seen.agent_model is None:
        message = f"AgentModel {name} (spec.agentModelRef) does not exist in namespace {seen.run.metadata.namespace}: create it"
    elif seen.record is None:
        message = f"AgentModel {name} has no record yet: see its conditions"
    else:
        return None
    return wait(seen, seen.run.status.phase, Why.WAITING_FOR_AGENT_MODEL, message, after=RETRY_SECONDS)


def secret_is_not_usable(seen: Observed) -> Plan | None:
    if not seen.secret_problem:
        return None
    return wait(seen, seen.run.status.phase, Why.SECRET_NOT_USABLE, seen.secret_problem, after=RETRY_SECONDS)


def prompt_contract_is_missing(seen: Observed) -> Plan | None:
    assert seen.agent_model is not None
    if seen.agent_model.spec.prompt is not None:
        return None
    return wait(
        seen,
        TrainingPhase.PENDING,
        Why.NO_PROMPT_CONTRACT,
        f"AgentModel {seen.agent_model.metadata.name} has no spec.prompt: add the prompt contract that the agent really uses",
        after=None,
    )


def training_dataset(seen: Observed) -> str:
    """The LangSmith dataset: the run's, else the agent's, else empty."""
    assert seen.agent_model is not None
    own = seen.run.spec.dataset.langsmith
    settings = seen.agent_model.spec.langsmith
    return own or (settings.training_dataset if settings else None) or ""


def dataset_is_not_named(seen: Observed) -> Plan | None:
    if training_dataset(seen):
        return None
    return failed(
        seen,
        Why.NO_DATASET,
        f"no dataset: set spec.dataset.langsmith of this run, or spec.langsmith.trainingDataset of AgentModel {seen.run.spec.agent_model_ref.name}",
        facts={"DatasetReady": False},
    )


def jobs_are_disabled(seen: Observed) -> Plan | None:
    if seen.settings.jobs_enabled:
        return None
    return wait(
        seen,
        TrainingPhase.PENDING,
        Why.JOBS_DISABLED,
        "HUGGINGFACE_JOBS_ENABLED is false in the operator's environment: set it to true to let this run start",
        after=None,
    )


def hardware_is_not_priced(seen: Observed) -> Plan | None:
    """Cheap questions come first: flavor and base model, before the dataset is read."""
    if seen.run.status.estimate is not None:
        return None
    backend = seen.run.spec.backend.hugging_face
    assert backend is not None
    if seen.flavors is UNSEEN:
        return Plan(needs="flavors")
    if isinstance(seen.flavors, Outage):
        if seen.flavors.refused:
            return failed(
                seen, Why.PRICE_UNKNOWN, f"the list of hardware was refused: {seen.flavors.message}"
            )
        return wait(
            seen,
            TrainingPhase.PENDING,
            Why.PRICE_UNKNOWN,
            f"no price for flavor {backend.flavor}: {seen.flavors.message}; trying again",
            after=seen.flavors.retry_after or RETRY_SECONDS,
        )
    listed = {flavor.name: flavor for flavor in seen.flavors}
    if backend.flavor not in listed:
        return failed(
            seen,
            Why.FLAVOR_UNKNOWN,
            f"spec.backend.huggingFace.flavor {backend.flavor!r} is not offered; choose one of {', '.join(sorted(listed))}",
        )
    if listed[backend.flavor].usd_micro_per_hour <= 0:
        return wait(
            seen,
            TrainingPhase.PENDING,
            Why.PRICE_UNKNOWN,
            f"the service lists no price for flavor {backend.flavor} (spec.backend.huggingFace.flavor); nothing is spent without one",
            after=RETRY_SECONDS * 4,
        )
    return None


def base_model_is_not_found(seen: Observed) -> Plan | None:
    if seen.run.status.estimate is not None:
        return None
    if seen.base is UNSEEN:
        return Plan(needs="base")
    if isinstance(seen.base, Outage) and not seen.base.refused:
        return wait(
            seen,
            TrainingPhase.PENDING,
            Why.HUB_UNAVAILABLE,
            f"the Hub did not answer about {seen.run.spec.base_model}: {seen.base.message}; trying again",
            after=seen.base.retry_after or RETRY_SECONDS,
        )
    if seen.base is None or isinstance(seen.base, Outage):
        return failed(
            seen,
            Why.BASE_MODEL_NOT_FOUND,
            f"spec.baseModel {seen.run.spec.base_model} is not on the Hub, or the token may not read it: check the name, and accept the model's terms if it is gated",
        )
    return None


def dataset_is_not_prepared(seen: Observed) -> Plan | None:
    """Runs the dataset program; it resumes by itself, so starting it again costs nothing."""
    run = seen.run
    if run.status.dataset is not None and run.status.dataset.revision:
        return None
    if seen.dataset is UNSEEN:
        return Plan(needs="dataset")
    assert seen.agent_model is not None
    state = None if isinstance(seen.dataset, Outage) else seen.dataset
    if state is None or (not state.running and state.result is None):
        status = moved(
            seen,
            TrainingPhase.PREPARING,
            Why.PREPARING_DATASET,
            f"reading {training_dataset(seen)}",
            facts={"DatasetReady": False},
        )
        start = Do(action="start_dataset", arguments={"given": dataset_input(seen)})
        return Plan(
            steps=(*said(seen, status, Why.PREPARING_DATASET, f"reading {training_dataset(seen)}"), start),
            requeue_after=1.0,
        )
    if state.result is None:
        return Plan(requeue_after=0.25)
    result = state.result
    if not result.get("ok"):
        return dataset_failed(seen, result)
    dataset = PreparedDataset(
        langsmith_id=str(result.get("dataset_id", "")),
        as_of=str(result.get("as_of", "")),
        rows=int(result["rows"]),
        train=int(result["train"]),
        test=int(result["test"]),
        tokens=int(result.get("tokens", 0)),
        digest=str(result["digest"]),
        repo=str(result["repo"]),
        revision=str(result["revision"]),
        findings=tuple(str(finding)[:512] for finding in result.get("findings", ()))[:32],
    )
    priced = estimated(seen, dataset)
    if isinstance(priced, Plan):
        return priced
    message = (
        f"{dataset.train} examples to train on, {dataset.test} held out; "
        f"estimated ${priced.low_usd} to ${priced.high_usd}"
    )
    status = moved(
        seen,
        TrainingPhase.SUBMITTING,
        Why.DATASET_PREPARED,
        message,
        facts={"DatasetReady": True},
        dataset=dataset,
        estimate=priced,
        base_revision=base_revision(seen),
    )
    return Plan(steps=said(seen, status, Why.DATASET_PREPARED, message), requeue_after=0)


def base_revision(seen: Observed) -> str:
    """The revision of the base model at the time of the estimate."""
    return (
        ""
        if seen.base is UNSEEN or seen.base is None or isinstance(seen.base, Outage)
        else seen.base.revision
    )


def dataset_input(seen: Observed) -> dict[str, Any]:
    """`input.json` of the dataset program."""
    run, agent = seen.run, seen.agent_model
    assert agent is not None
    assert agent.spec.prompt is not None
    assert run.metadata.creation_timestamp is not None
    settings = agent.spec.langsmith
    return {
        "v": 1,
        "run": run.metadata.uid,
        "agent": agent.spec.agent,
        "langsmith": {
            "dataset": training_dataset(seen),
            "as_of": run.spec.dataset.as_of.isoformat() if run.spec.dataset.as_of else None,
            "splits": list(run.spec.dataset.splits),
        },
        "evaluation_dataset": settings.evaluation_dataset if settings else None,
        "prompt": agent.spec.prompt.wire(),
        "method": run.spec.method.value,
        "hub": {
            "repo": dataset_repository(
                org=seen.settings.hub_org,
                agent=agent.spec.agent,
                created=run.metadata.creation_timestamp,
                uid=run.metadata.uid,
            )
        },
        "min_examples": seen.settings.min_examples,
        "split": {"test_fraction": 0.1, "seed": run.metadata.uid},
    }


def dataset_failed(seen: Observed, result: dict[str, Any]) -> Plan:
    reason, message = str(result.get("reason", "")), str(result.get("message", ""))
    if result.get("transient"):
        why = Why.LANGSMITH_UNAVAILABLE if reason.startswith("LangSmith") else Why.HUB_UNAVAILABLE
        plan = wait(
            seen, TrainingPhase.PREPARING, why, message, after=RETRY_SECONDS, facts={"DatasetReady": False}
        )
        return Plan(
            steps=(*plan.steps, Do(action="retry_dataset", arguments={"after": RETRY_SECONDS})),
            requeue_after=RETRY_SECONDS,
        )
    return failed(seen, Why.DATASET_REFUSED, f"{reason}: {message}", facts={"DatasetReady": False})


def estimated(seen: Observed, dataset: PreparedDataset) -> Any:
    """The estimate, or the plan that ends the run because it cannot be covered."""
    run, agent, record = seen.run, seen.agent_model, seen.record
    backend = run.spec.backend.hugging_face
    assert agent is not None
    assert record is not None
    assert backend is not None
    assert not isinstance(seen.flavors, Outage)
    assert seen.flavors is not UNSEEN
    assert not isinstance(seen.base, Outage)
    assert seen.base is not UNSEEN
    assert seen.base is not None
    flavor = next(f for f in seen.flavors if f.name == backend.flavor)
    try:
        priced = estimate(
            repo=run.spec.base_model,
            parameters=seen.base.parameters,
            tokens=max(1, dataset.tokens),
            epochs=int(values(seen).get("num_epochs", 3)),
            flavor=flavor,
        )
    except CannotEstimate as error:
        return failed(seen, Why.PRICE_UNKNOWN, str(error), dataset=dataset)
    high = micro(priced.high_usd)
    budget = agent.spec.budget
    if high > micro(run.spec.max_usd):
        return failed(
            seen,
            Why.OVER_MAX_USD,
            f"the training may cost up to {shown(high)} and spec.maxUSD is ${run.spec.max_usd}: raise it in a new run, "
            f"choose a cheaper flavor, or train on less",
            dataset=dataset,
            estimate=priced,
        )
    if high > micro(budget.approval_above_usd):
        return failed(
            seen,
            Why.NEEDS_APPROVAL,
            f"the training may cost up to {shown(high)}, above budget.approvalAboveUSD ${budget.approval_above_usd} of "
            f"AgentModel {agent.metadata.name}: raise that, or make the run cheaper",
            dataset=dataset,
            estimate=priced,
        )
    refusal = over_budget(seen, high)
    if refusal:
        return failed(seen, Why.OVER_BUDGET, refusal, dataset=dataset, estimate=priced)
    return priced


def over_budget(seen: Observed, high: int) -> str:
    """Why the month's budget does not cover the amount; empty where it does."""
    agent, record = seen.agent_model, seen.record
    assert agent is not None
    assert record is not None
    left = micro(agent.spec.budget.monthly_usd) - record.committed(f"{seen.now:%Y-%m}")
    if high <= left:
        return ""
    return (
        f"up to {shown(high)} is needed and ${dollars(max(0, left))} of budget.monthlyUSD "
        f"${agent.spec.budget.monthly_usd} of AgentModel {agent.metadata.name} is left this month (UTC): raise the "
        f"budget or wait for the next month, then create a new run"
    )


def deadline_of(seen: Observed) -> Any:
    """When the attempt must have ended, counted from the intent; None before there is one."""
    job = seen.run.status.job
    if job is None or job.intended_at is None:
        return None
    return job.intended_at + timedelta(seconds=seen.run.spec.active_deadline_seconds)
