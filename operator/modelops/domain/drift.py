"""Whether the agents' file names the record's stable model, and what to do where it does not."""

from __future__ import annotations

from modelops.domain.agentsfile import STABLE_KEYS, AgentEntry, StableTarget
from modelops.domain.record import ActiveRollout, Record, Target
from modelops.domain.rollout.state import same_target, stable_keys
from modelops.domain.versions import BASELINE, release_version


def drift_between(record: Record, entry: AgentEntry, *, agent_model: str) -> str | None:
    """What differs between the agents' file and the record, with the remedy; None where they agree.

    A promotion that has reached the file and not the record is no drift: its rollout finishes it or restores the file.
    """
    if same_target(entry.stable, record.stable):
        return None
    if record.active is not None and is_being_promoted(entry, record.active):
        return None
    found = entry.stable
    version = found.version if found and found.version else "no version"
    in_file = f"{found.model} ({version})" if found and found.model else "no model"
    wrong = ", ".join(differing_keys(found, stable_keys(record.stable)))
    return (
        f"agents.{record.agent} in ConfigMap {record.config_map}, key {record.config_key}, names {in_file} as stable, "
        f"and the record {record.stable.model} ({record.stable.version}). They differ in {wrong}. Agents may not be "
        f"served by what status.stable says, and no rollout starts. {remedy(record, agent_model)}"
    )


def is_being_promoted(entry: AgentEntry, active: ActiveRollout) -> bool:
    """Whether the active rollout has written its candidate into the file as stable."""
    block = entry.routing
    if block is None or block.salt != active.uid or block.rollout.state != "Promoted":
        return False
    version = release_version(active.candidate.version)
    return same_target(
        entry.stable, active.candidate.model_copy(update={"version": version, "endpoint_url": ""})
    )


def differing_keys(found: StableTarget | None, wanted: StableTarget) -> tuple[str, ...]:
    """The keys of the file that are not as the record has them."""
    return tuple(
        name
        for name in STABLE_KEYS
        if (want := getattr(wanted, name)) and want != (getattr(found, name) if found else None)
    )


def remedy(record: Record, agent_model: str) -> str:
    """What a person can do: the file follows the record, or the other way round."""
    keys = stable_keys(record.stable)
    wanted = ", ".join(f"{name}: {value}" for name in STABLE_KEYS if (value := getattr(keys, name)))
    restore = f"Set these keys of agents.{record.agent}: {wanted}"
    if record.stable.version == BASELINE:
        return (
            f"{restore}. If the file is right, correct spec.baseline of AgentModel {agent_model} to the same values "
            "instead: the record follows"
        )
    return f"{restore}. If another version is the one that you want, create a Rollout to it after that"


def is_same_baseline(first: Target, now: Target) -> bool:
    """Whether two targets are the same model at the same place."""
    return stable_keys(first) == stable_keys(now)
