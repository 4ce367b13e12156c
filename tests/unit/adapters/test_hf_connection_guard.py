"""Sandboxed, nothing is asked of Hugging Face unless the SDK itself leads to this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from unittest import mock

import pytest

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
    """What the SDK fixes at its import where HUGGINGFACE_CO_STAGING is set, whatever HF_ENDPOINT says."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "https://hub-ci.huggingface.co")
    monkeypatch.setattr(constants, "INFERENCE_ENDPOINTS_ENDPOINT", NOWHERE)


@pytest.mark.usefixtures("_staging")
async def test_nothing_is_asked_where_the_sdk_leads_elsewhere() -> None:
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


async def test_an_sdk_that_leads_here_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
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
async def test_the_operators_own_connection_is_guarded() -> None:
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
            await parts.strays._world.jobs.flavors("t")
    finally:
        parts.close()


def test_the_sdk_is_led_where_a_settings_file_says(tmp_path_factory: pytest.TempPathFactory) -> None:
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
        timeout=60,
    )
    assert done.stdout.split() == ["1", NOWHERE], done.stderr
