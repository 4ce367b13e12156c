"""The installation's id: 8 hex digits, made once, part of every paid job's label."""

from __future__ import annotations

import re
import secrets

from modelops.api.v1alpha1.names import INSTALLATION_CONFIG_MAP
from modelops.engine.executor import CONFIG_MAPS
from modelops.ports import Conflict, Json, Kube, Missing, Refused, Uncertain

_KEY = "id"


async def installation_id(kube: Kube, namespace: str) -> str:
    """The id in the ConfigMap `modelops-installation`, which is made where there is none.

    Raises:
        Refused: the ConfigMap holds no id, or the namespace does not exist. An id is never made up then: with
            another one, running jobs would not be found again.
    """
    found = await kube.get(CONFIG_MAPS, namespace, INSTALLATION_CONFIG_MAP)
    if found is None:
        body: Json = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": INSTALLATION_CONFIG_MAP, "namespace": namespace},
            "data": {_KEY: secrets.token_hex(4)},
        }
        try:
            found = await kube.create(CONFIG_MAPS, body)
        except (Conflict, Uncertain):
            found = await kube.get(CONFIG_MAPS, namespace, INSTALLATION_CONFIG_MAP)
        except Missing as error:
            raise Refused(f"namespace {namespace} (MODELOPS_NAMESPACE) does not exist: create it") from error
    value = ((found or {}).get("data") or {}).get(_KEY, "")
    if not re.fullmatch(r"[0-9a-f]{8}", value):
        raise Refused(
            f"ConfigMap {namespace}/{INSTALLATION_CONFIG_MAP} holds no id of 8 hex digits "
            f"(key {_KEY}: {value!r}): restore it, or delete it if no job of this installation runs"
        )
    return str(value)
