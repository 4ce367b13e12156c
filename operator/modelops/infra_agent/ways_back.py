"""How an agent would go back: its active rollout is aborted, or a version that served before serves again."""

from __future__ import annotations

from modelops.client import AsyncClient
from modelops.domain.undo import previous_version
from modelops.infra_agent.hands import WayBack
from modelops.tools.agents import find_agent
from modelops.tools.candidates import read_record
from modelops.tools.situation import active_rollouts, read_situation


async def way_back(client: AsyncClient, agent: str, *, to: str | None) -> WayBack:
    """The way back to version `to`, to `baseline` (what served before any training), or with None to the one before.

    Raises:
        ToolRefused: an unknown agent, or one without a history.
    """
    found = await find_agent(client, agent)
    name = found.metadata.name
    now = await read_situation(client, name)
    active = active_rollouts(now)
    record = await read_record(client, found)
    current = record.stable.version
    if active and to in (None, current):
        return WayBack(agent_model=name, current=current, abort=next(iter(active.values())))
    if to == "baseline":
        trained = {entry.version for entry in record.history}
        to = next((version for version in record.served if version not in trained), None)
    target = to or previous_version(record, now.entry)
    why_not = ""
    if target is None:
        why_not = "it is on stable, and there is no version before to go back to"
    elif target == current:
        why_not = f"it is on {target} already"
    elif target not in record.served:
        why_not = f"{target} never served it; {', '.join(sorted(record.served))} did"
    return WayBack(agent_model=name, current=current, to=None if why_not else target, why_not=why_not)
