"""The installation's id: 8 hex digits, created once, and part of the label of every paid job."""

from __future__ import annotations

import re
import secrets

from modelops.api.v1alpha1.names import INSTALLATION_CONFIG_MAP
from modelops.engine.executor import CONFIG_MAPS
from modelops.ports import Conflict, Json, Kube, Missing, Refused, Uncertain

_KEY = "id"


async def installation_id(kube: Kube, namespace: str) -> str:
    """The id in the ConfigMap `modelops-installation`, which is created if it does not exist.

    Raises:
        Refused: the ConfigMap contains no valid id, or the namespace does not exist. No new id is created then,
            because running jobs are found only by the old one.
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
            raise Refused(
                f"namespace {namespace!r} (MODELOPS_NAMESPACE) does not exist: create it"
            ) from error
    value = ((found or {}).get("data") or {}).get(_KEY, "")
    if not re.fullmatch(r"[0-9a-f]{8}", value):
        raise Refused(
            f"key {_KEY!r} of ConfigMap {namespace}/{INSTALLATION_CONFIG_MAP} is {value!r}, not an id of 8 hex "
            "digits: restore it, or delete the ConfigMap if no job of this installation runs"
        )
    return str(value)
