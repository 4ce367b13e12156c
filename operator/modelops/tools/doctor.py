"""`doctor`: what is wrong with cluster, rights, operator, policies, agents' files and agents, and what mends it.

It only reads, in the caller's rights. What the caller may not read is `unknown`, never well.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import ConditionStatus
from modelops.api.v1alpha1.names import AGENT_MODELS, LEASE, MANAGED_LABEL, ROLLOUTS, TRAINING_RUNS
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.client import AsyncClient, ClientError, Forbidden, NotFound, NotServed, has_finished
from modelops.domain import agentsfile
from modelops.domain.agents_config_map import missing_key_problem
from modelops.domain.crd_fields import difference
from modelops.tools.conditions import condition
from modelops.tools.results import Result
from modelops.tools.situation import file_of

LEASE_PATIENCE: Final = 3.0
"""The lease is stale once it has not been renewed for this many times its duration."""
POLICIES: Final = ("approval", "budget", "jobs", "pods", "requested-by", "status")
_GOOD_WHEN_FALSE: Final = frozenset({"Stalled", "Reconciling", "TargetConflict", "BaselineIgnored"})


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    UNKNOWN = "unknown"


class Check(Result):
    """One check: what was looked at, how it is, and what mends it."""

    subject: str
    state: State
    message: str
    remedy: str = ""


async def examine(
    client: AsyncClient, *, operator_namespace: str = "modelops-system"
) -> AsyncGenerator[Check, None]:
    """All checks, in the order in which one breaks the next; it stops where nothing more can be known.

    Raises:
        AccessError, Unavailable: there is no usable kubeconfig, or the API server does not answer.
    """
    version = await client.read("/version")
    yield _ok("cluster", f"{await client.description()}, Kubernetes {version.get('gitVersion', '?')}")
    try:
        agents = (await client.agent_models.list()).items
    except NotServed as error:
        yield Check(subject="CRDs", state=State.PROBLEM, message=str(error))
        return
    except Forbidden as error:
        yield Check(subject="rights", state=State.PROBLEM, message=str(error))
        return
    async for check in _crds(client):
        yield check
    async for check in _rights(client):
        yield check
    yield await _operator(client, operator_namespace)
    yield await _policies(client)
    if not agents:
        place = await client.namespace()
        yield Check(
            subject="agents",
            state=State.WARNING,
            message=f"namespace {place} has no AgentModel",
            remedy="name another namespace with -n, or create one: docs/MODELOPS.md, step 1",
        )
    for agent in agents:
        async for check in _agent(client, agent):
            yield check
    async for check in _stalled(client):
        yield check


async def _crds(client: AsyncClient) -> AsyncGenerator[Check, None]:
    models: tuple[tuple[Any, Any], ...] = (
        (AGENT_MODELS, AgentModel),
        (TRAINING_RUNS, TrainingRun),
        (ROLLOUTS, Rollout),
    )
    problems = []
    for resource, model in models:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{resource.crd_name}"
        try:
            problems.append(difference(await client.read(path), model, program="program"))
        except Forbidden:
            yield _unknown("CRDs", "you may not read custom resource definitions")
            return
        except NotFound:
            problems.append(f"CRD {resource.crd_name} does not exist: `modelops crds | kubectl apply -f -`")
    found = [problem for problem in problems if problem]
    for problem in found:
        yield Check(subject="CRDs", state=State.WARNING, message=problem)
    if not found:
        yield _ok("CRDs", "the three kinds have the fields of this version")


async def _rights(client: AsyncClient) -> AsyncGenerator[Check, None]:
    user = (await client.whoami()).name
    kinds = (client.training_runs, client.rollouts)
    may = {
        verb: all([await kind.may(verb) for kind in kinds])
        for verb in ("get", "list", "watch", "create", "patch")
    }
    lacking = [verb for verb, allowed in may.items() if not allowed]
    if lacking:
        place = await client.namespace()
        yield Check(
            subject="rights",
            state=State.WARNING,
            message=f"{user} may not {', '.join(lacking)} TrainingRuns and Rollouts",
            remedy=f"kubectl create rolebinding modelops-edit -n {place} --clusterrole=edit --user={user}",
        )
    else:
        approves = "may" if await client.training_runs.may("approve") else "may not"
        yield _ok("rights", f"{user} may train, evaluate and deploy, and {approves} approve")


async def _operator(client: AsyncClient, namespace: str) -> Check:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{LEASE}"
    try:
        spec = (await client.read(path, namespace=namespace))["spec"]
    except Forbidden:
        return _unknown("operator", f"you may not read leases in namespace {namespace}")
    except (NotFound, NotServed):
        return Check(
            subject="operator",
            state=State.PROBLEM,
            message=f"no operator has run in namespace {namespace}",
            remedy="install the chart (docs/guides/installing.md), or name its namespace with --operator-namespace",
        )
    renewed = datetime.fromisoformat(spec["renewTime"]) if spec.get("renewTime") else None
    age = (datetime.now(UTC) - renewed).total_seconds() if renewed else float("inf")
    holder = spec.get("holderIdentity") or ""
    if not holder or age > LEASE_PATIENCE * float(spec.get("leaseDurationSeconds") or 15):
        since = f", and the lease was renewed {age:.0f} s ago" if renewed else ""
        return Check(
            subject="operator",
            state=State.PROBLEM,
            message=f"no operator leads in namespace {namespace}{since}",
            remedy=f"kubectl -n {namespace} get pods; kubectl -n {namespace} logs deployment/modelops-operator",
        )
    return _ok("operator", f"{holder.partition('_')[0]} leads")


async def _policies(client: AsyncClient) -> Check:
    path = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings"
    try:
        listed = await client.read(path)
    except ClientError:
        return _unknown("policies", "you may not list ValidatingAdmissionPolicyBindings")
    bound = {item["spec"].get("policyName", "") for item in listed["items"]}
    missing = [name for name in POLICIES if not any(policy.endswith(f"-{name}") for policy in bound)]
    if missing:
        return Check(
            subject="policies",
            state=State.WARNING,
            message=f"the admission policies {', '.join(missing)} are not in force: whoever may write an object can "
            "approve its cost",
            remedy="install the chart with policies.enabled, or kubectl apply -f config/policies",
        )
    return _ok("policies", "approvals, budgets and status are enforced by the API server")


async def _agent(client: AsyncClient, agent: AgentModel) -> AsyncGenerator[Check, None]:
    subject = f"agent {agent.spec.agent}"
    problems = 0
    for check in _conditions(agent, subject):
        problems += 1
        yield check
    async for check in _file(client, agent, subject):
        problems += 1
        yield check
    async for check in _mounts(client, agent, subject):
        problems += 1
        yield check
    routing = agent.status.routing
    if routing is not None and not routing.agents_total:
        problems += 1
        yield Check(
            subject=subject,
            state=State.WARNING,
            message="no process of the agent had reported when its status was written last: without reports a rollout "
            "cannot watch its canary",
            remedy="use the router in the agent, and give it MODELOPS_REPORT_URL: docs/guides/agents.md; the next "
            "rollout counts the processes again",
        )
    if not problems:
        stable = agent.status.stable
        serves = f"{stable.version} ({stable.model}) serves" if stable else "the operator has not seen it yet"
        yield _ok(subject, serves)


def _conditions(agent: AgentModel, subject: str) -> Iterator[Check]:
    ready = condition(agent, "Ready")
    if ready is None:
        yield Check(
            subject=subject,
            state=State.WARNING,
            message="the operator has not seen this AgentModel",
            remedy="is its namespace watched? See watchNamespaces of the chart",
        )
    for one in agent.status.conditions:
        good = ConditionStatus.FALSE if one.type in _GOOD_WHEN_FALSE else ConditionStatus.TRUE
        if one.status is good or one.type in ("Stalled", "Reconciling"):
            continue
        state = State.PROBLEM if one.type in ("Ready", "TargetConflict") else State.WARNING
        yield Check(subject=subject, state=state, message=f"{one.type} ({one.reason}): {one.message}")


async def _file(client: AsyncClient, agent: AgentModel, subject: str) -> AsyncGenerator[Check, None]:
    place = agent.metadata.namespace
    _, name, key, entry = file_of(place, {"spec": agent.spec.wire()})
    try:
        found = await client.config_map(name, namespace=place)
    except Forbidden:
        yield _unknown(subject, f"you may not read ConfigMap {name}")
        return
    if found is None:
        yield Check(
            subject=subject,
            state=State.PROBLEM,
            message=f"ConfigMap {name} (spec.config.configMapRef) does not exist",
            remedy=f"kubectl create configmap {name} -n {place} --from-file={key}",
        )
        return
    if (found["metadata"].get("labels") or {}).get(MANAGED_LABEL) != "true":
        yield Check(
            subject=subject,
            state=State.PROBLEM,
            message=f"ConfigMap {name} lacks the label that lets the operator use it",
            remedy=f"kubectl label configmap {name} -n {place} {MANAGED_LABEL}=true",
        )
    text = (found.get("data") or {}).get(key)
    if text is None:
        problem = missing_key_problem(name, key, data=found.get("data"), binary=found.get("binaryData"))
        yield Check(subject=subject, state=State.PROBLEM, message=problem)
        return
    try:
        agentsfile.parse(text, entry)
    except agentsfile.AgentsFileError as error:
        yield Check(subject=subject, state=State.PROBLEM, message=f"ConfigMap {name}, key {key}: {error}")


async def _mounts(client: AsyncClient, agent: AgentModel, subject: str) -> AsyncGenerator[Check, None]:
    """Pods that mount the file in a way in which it never changes."""
    selector = agent.spec.config.workload_selector
    if selector is None or not selector.match_labels:
        return
    place = agent.metadata.namespace
    labels = ",".join(f"{name}={value}" for name, value in selector.match_labels.items())
    try:
        pods = (
            await client.read(f"/api/v1/namespaces/{place}/pods?labelSelector={labels}", namespace=place)
        )["items"]
    except ClientError:
        yield _unknown(subject, "you may not list its Pods")
        return
    if not pods:
        yield Check(
            subject=subject,
            state=State.WARNING,
            message=f"no Pod has the labels of spec.config.workloadSelector ({labels})",
            remedy="start the agent, or correct the selector",
        )
    config_map = agent.spec.config.config_map_ref.name
    fixed = sorted({pod["metadata"]["name"] for pod in pods if _has_fixed_mount(pod, config_map)})
    if fixed:
        yield Check(
            subject=subject,
            state=State.PROBLEM,
            message=f"Pod {fixed[0]} mounts ConfigMap {config_map} with subPath: such a file never changes",
            remedy="mount the whole volume, as docs/examples/agent/deployment.yaml does",
        )


def _has_fixed_mount(pod: Mapping[str, Any], config_map: str) -> bool:
    spec = pod["spec"]
    volumes = {
        volume["name"]
        for volume in spec.get("volumes") or ()
        if (volume.get("configMap") or {}).get("name") == config_map
    }
    return any(
        mount["name"] in volumes and (mount.get("subPath") or mount.get("subPathExpr"))
        for container in spec["containers"]
        for mount in container.get("volumeMounts") or ()
    )


async def _stalled(client: AsyncClient) -> AsyncGenerator[Check, None]:
    """Runs and rollouts that wait for a person."""
    objects: list[TrainingRun | Rollout] = [*(await client.training_runs.list()).items]
    objects += (await client.rollouts.list()).items
    for one in objects:
        stalled = condition(one, "Stalled")
        if stalled is not None and stalled.status is ConditionStatus.TRUE and not has_finished(one):
            yield Check(
                subject=f"{one.kind} {one.metadata.name}",
                state=State.WARNING,
                message=f"{stalled.reason}: {stalled.message}",
                remedy=f"modelops explain {one.metadata.name} -n {one.metadata.namespace}",
            )


def _ok(subject: str, message: str) -> Check:
    return Check(subject=subject, state=State.OK, message=message)


def _unknown(subject: str, message: str) -> Check:
    return Check(subject=subject, state=State.UNKNOWN, message=message)
