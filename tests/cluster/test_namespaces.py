"""A test's namespace ends although its objects have finalizers of an operator that no longer runs."""

import json
import time
import uuid

from tests.conftest import Kubectl
from tests.e2e import manifests
from tests.namespaces import remove_namespace
from tests.patience import deadline_after


def test_namespace_with_finalizers_ends(kubectl: Kubectl) -> None:
    name = f"ends-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name, check=True)
    item = manifests.agent_model(openrouter="https://openrouter.example/v1", train="a", held_out="b")
    item["metadata"]["finalizers"] = ["modelops.code-chef.dev/cleanup"]
    kubectl("apply", "-f", "-", namespace=name, input=json.dumps(item), check=True)
    remove_namespace(kubectl, name)
    deadline = deadline_after(60)
    while kubectl("get", "namespace", name).returncode == 0:
        assert time.monotonic() < deadline, kubectl("get", "namespace", name, "-o", "yaml").stdout
        time.sleep(0.3)
