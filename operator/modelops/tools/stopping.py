"""Sets and lifts the emergency stop of an agent, of a namespace, or of all agents of an installation."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.names import STOP_ALL_CONFIG_MAP, STOP_CONFIG_MAP
from modelops.client import AlreadyExists, AsyncClient, Forbidden, NotFound
from modelops.domain.conditions import condition_of
from modelops.domain.stop import StopScope
from modelops.tools.agents import find_agent
from modelops.tools.errors import ToolRefused
from modelops.tools.results import Change

CONFIRM_SECONDS: Final = 5.0
"""How long the operator may take to say that it has seen the stop; it watches for it, and says so within a second."""
_PAUSE_SECONDS: Final = 0.2
OPERATOR_NAMESPACE: Final = "modelops-system"


async def set_stop(
    client: AsyncClient,
    *,
    scope: StopScope,
    agent: str = "",
    reason: str = "",
    lift: bool = False,
    operator_namespace: str = OPERATOR_NAMESPACE,
    seconds: float = CONFIRM_SECONDS,
) -> Change:
    """Sets or lifts a stop, and says which agents the operator has confirmed it for.

    Raises:
        ToolRefused: a reason is missing, or there is no such agent.
        Forbidden: the caller may not write the object; the message names it.
    """
    if not lift and not reason.strip():
        raise ToolRefused("say why with --reason: whoever finds the stop must know what it is for")
    by = "" if lift else (await client.whoami()).name
    if scope is StopScope.AGENT:
        found = await find_agent(client, agent)
        return await _of_agent(client, found, reason=reason, by=by, lift=lift, seconds=seconds)
    place = operator_namespace if scope is StopScope.ALL else await client.namespace()
    name = STOP_ALL_CONFIG_MAP if scope is StopScope.ALL else STOP_CONFIG_MAP
    try:
        done = await _write(client, name, place, {"reason": reason, "by": by}, lift=lift)
    except NotFound as error:
        raise ToolRefused(
            f"namespace {place} does not exist: name the operator's namespace with --operator-namespace"
        ) from error
    except Forbidden as error:
        verb = "delete" if lift else "create"
        raise Forbidden(
            f"you may not {verb} ConfigMap {name} in namespace {place}: {error}. Somebody with that right runs "
            f"`kubectl {verb} configmap {name} -n {place}`"
        ) from error
    what = "all agents of the installation" if scope is StopScope.ALL else f"all agents of namespace {place}"
    message = _words(what, f"ConfigMap {name} in namespace {place}", done=done, lift=lift)
    if done:
        message += await _seen(client, stopped=not lift, scope=scope, seconds=seconds)
    return Change(kind="ConfigMap", name=name, agent_name="", done=done, message=message)


async def _of_agent(
    client: AsyncClient, found: AgentModel, *, reason: str, by: str, lift: bool, seconds: float
) -> Change:
    name, wanted = found.metadata.name, None if lift else {"reason": reason, "by": by}
    now = found.spec.stop
    done = (now is not None) if lift else now is None or now.reason != reason
    if done:
        await client.agent_models.patch(name, {"spec": {"stop": wanted}}, uid=found.metadata.uid)
    message = _words(f"agent {found.spec.agent}", f"spec.stop of AgentModel {name}", done=done, lift=lift)
    if done:
        message += await _seen(
            client, stopped=not lift, scope=StopScope.AGENT, seconds=seconds, only=found.metadata.name
        )
    return Change(kind="AgentModel", name=name, agent_name=found.spec.agent, done=done, message=message)


async def _write(client: AsyncClient, name: str, place: str, data: dict[str, str], *, lift: bool) -> bool:
    """Whether anything was to be done."""
    if lift:
        return await client.delete_config_map(name, namespace=place)
    try:
        await client.create_config_map(name, data, labels={}, namespace=place)
    except AlreadyExists:
        return False
    return True


def _words(what: str, where: str, *, done: bool, lift: bool) -> str:
    if lift and not done:
        return f"{where} does not exist: there is no such stop of {what}"
    if lift:
        return (
            f"the stop of {what} is lifted ({where} is removed). Rollouts that it aborted do not begin again"
        )
    if not done:
        return f"{what} are stopped already, by {where}"
    return (
        f"{what}: nothing new is started, and canaries go back to stable ({where}). Trainings that run go on; "
        "`modelops rollback` still works"
    )


async def _seen(
    client: AsyncClient, *, stopped: bool, scope: StopScope, seconds: float, only: str = ""
) -> str:
    """Which agents of the caller's namespace show it, after the operator had a moment to see it."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        agents = [a for a in (await client.agent_models.list()).items if only in ("", a.metadata.name)]
        showing = [a for a in agents if is_stopped(a) == stopped]
        if len(showing) == len(agents) or asyncio.get_running_loop().time() >= deadline:
            break
        await asyncio.sleep(_PAUSE_SECONDS)
    if not agents:
        return ""
    if len(showing) == len(agents):
        return f". The operator has seen it: {len(agents)} of {len(agents)} AgentModels say so"
    if not stopped:
        held = f"{len(agents) - len(showing)} of {len(agents)} AgentModels"
        return f". {held} are still stopped: `modelops explain` says why"
    missing = f". {len(showing)} of {len(agents)} AgentModels say so after {seconds:g} s"
    if scope is StopScope.ALL:
        return f"{missing}: is that the operator's namespace (--operator-namespace), and does it run?"
    return f"{missing}: does the operator run (`modelops doctor`)? No raise begins without a look at the stop"


def is_stopped(agent: AgentModel) -> bool:
    """Whether the operator says that the agent is stopped."""
    found: Any = condition_of(agent.status.conditions, "Stopped")
    return found is not None and found.status == "True"
