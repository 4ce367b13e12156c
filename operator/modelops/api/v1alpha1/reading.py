"""Reading stored objects: an object of an older or newer schema is reported and never stops the operator.

Unknown fields are ignored. An unreadable part of a status is dropped and named, since the operator writes it again.
Of an object with an unreadable spec only the metadata are kept: enough to report it, and to finish a deletion.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import ValidationError

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import ObjectMeta
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun

KindT = TypeVar("KindT", AgentModel, TrainingRun, Rollout)


@dataclass(frozen=True, slots=True)
class Reading(Generic[KindT]):
    """A stored object, or the problems with which it was read.

    `value` is None if the spec cannot be read. `problems` name field and cause, for a message.
    """

    metadata: ObjectMeta
    value: KindT | None
    problems: tuple[str, ...] = ()


def read(kind: type[KindT], stored: Mapping[str, Any]) -> Reading[KindT]:
    """Read an object as the API server returns it. Raises ValidationError if metadata has no name."""
    metadata = ObjectMeta.model_validate(stored.get("metadata") or {})
    left = {**stored, "status": stored.get("status") or {}}
    problems: list[str] = []
    while True:
        try:
            return Reading(metadata, kind.model_validate(left, extra="ignore"), tuple(problems))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            if not problems:
                left["status"] = deepcopy(left["status"])
            problems.append(f"{'.'.join(map(str, first['loc']))}: {first['msg']}")
            if first["loc"][:1] != ("status",) or not _drop(left, first["loc"]):
                return Reading(metadata, None, tuple(problems))


def _drop(value: Any, path: tuple[int | str, ...]) -> bool:
    """Remove the part at `path`, or the nearest existing part above it. Returns whether a part was removed."""
    holder, last = None, path[0]
    for key in path:
        present = key in value if isinstance(value, dict) else isinstance(value, list)
        if not present:
            break
        holder, last, value = value, key, value[key]
    if holder is None:
        return False
    holder.pop(last)
    return True
