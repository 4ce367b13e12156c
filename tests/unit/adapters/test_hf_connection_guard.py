"""In the sandbox, no request is sent to Hugging Face unless the SDK's own addresses are on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import pytest
from tests.patience import patient

from modelops.adapters.huggingface import HuggingFaceConnection
from modelops.adapters.kube import Connection, KubeClient, Transport
from modelops.engine.cache import ObjectCache
from modelops.engine.clock import SystemClock
from modelops.loopback import HUB_CONSTANTS, SERVICE_VARIABLES, NotLoopbackError, assert_loopback
from modelops.runtime.metrics import Metrics
from modelops.runtime.settings import Settings
from modelops.runtime.wiring import build_operator

NOWHERE = "http://127.0.0.1:9"
SANDBOXED = {"MODELOPS_SANDBOX": "1", **dict.fromkeys(SERVICE_VARIABLES, NOWHERE)}


@pytest.fixture
def _staging(monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses that the SDK sets at import with HUGGINGFACE_CO_STAGING, which overrides HF_ENDPOINT."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "https://hub-ci.huggingface.co")
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", NOWHERE)


@pytest.mark.usefixtures("_staging")
async def test_no_request_is_sent_where_the_sdk_has_a_real_address() -> None:
    asked: list[object] = []
    connection = HuggingFaceConnection(
        hub_url=NOWHERE, endpoints_url=NOWHERE, guard=lambda: assert_loopback(SANDBOXED)
    )
    try:
        for _ in range(2):
            with pytest.raises(NotLoopbackError, match=r"constants\.ENDPOINT=https://hub-ci"):
                await connection.call(asked.append, doing="testing", token="t")
    finally:
        connection.close()
    assert asked == []


async def test_an_sdk_with_local_addresses_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    for name in HUB_CONSTANTS:
        monkeypatch.setattr(constants, name, NOWHERE)
    connection = HuggingFaceConnection(
        hub_url=NOWHERE, endpoints_url=NOWHERE, guard=lambda: assert_loopback(SANDBOXED)
    )
    try:
        assert await connection.call(lambda api: api.endpoint, doing="testing", token="t") == NOWHERE
    finally:
        connection.close()


@pytest.mark.usefixtures("_staging")
async def test_the_connection_of_the_operator_is_guarded() -> None:
    with mock.patch.dict(os.environ, SANDBOXED, clear=True):
        settings = Settings()
    clock = SystemClock()
    parts = build_operator(
        settings,
        kube=KubeClient(Transport(Connection(server=NOWHERE, source="test"))),
        cache=ObjectCache(monotonic=clock.monotonic),
        clock=clock,
        metrics=Metrics(),
        installation="0badcafe",
    )
    try:
        with pytest.raises(NotLoopbackError, match=r"constants\.ENDPOINT=https://hub-ci"):
            await parts.orphan_jobs._services.jobs.flavors("t")
    finally:
        parts.close()


def test_the_sdk_uses_the_address_of_a_settings_file(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("file")
    file = folder / "operator.env"
    file.write_text(
        "".join(f"{name}={value}\n" for name, value in {**SANDBOXED, "MODELOPS_HUB_ORG": "o"}.items())
    )
    code = (
        "from modelops.runtime.__main__ import main\n"
        "code = main()\n"
        "from huggingface_hub import constants\n"
        "print(code, constants.ENDPOINT)\n"
    )
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    none = {"HOME": str(folder), "KUBECONFIG": str(folder / "none")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**kept, **none, "MODELOPS_ENV_FILE": str(file)},
        capture_output=True,
        text=True,
        timeout=patient(60),
    )
    assert done.stdout.split() == ["1", NOWHERE], done.stderr
