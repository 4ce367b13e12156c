"""Whether the CRDs in the cluster have the fields of this operator's API: an older or a newer one loses some silently.

The API server drops a field that its CRD does not have, and the operator ignores a field that it does not know. Either
may be a limit that somebody relies on, so both are said (`/readyz` and the log).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel

from modelops.adapters.kube.transport import Transport
from modelops.api.v1alpha1 import AgentModel, Rollout, TrainingRun
from modelops.api.v1alpha1.names import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS, Resource
from modelops.domain.crd_fields import difference
from modelops.ports import Missing, Refused, Unavailable

_MODELS: Final[Sequence[tuple[Resource, type[BaseModel]]]] = (
    (AGENT_MODELS, AgentModel),
    (TRAINING_RUNS, TrainingRun),
    (ROLLOUTS, Rollout),
)


async def compare_crds(transport: Transport) -> tuple[str, ...]:
    """A sentence for each CRD whose spec has other fields than this operator knows; empty where all fit.

    A CRD that cannot be read now, or may not be read by this account, is left out.
    """
    found = []
    for resource, model in _MODELS:
        path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{resource.crd_name}"
        try:
            crd = await transport.call("get", path, plural="customresourcedefinitions")
        except (Missing, Refused, Unavailable):
            continue
        if sentence := await asyncio.to_thread(difference, crd, model):
            found.append(sentence)
    return tuple(found)
