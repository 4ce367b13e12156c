"""A Secret whose value is no token is reported as a Secret that cannot be used, and stops nothing else."""

from __future__ import annotations

import base64

import pytest
from tests.unit.training.objects import NAMESPACE, agent_model_json, secret_json
from tests.unit.training.services import ApiServer, KubeClient, Time

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.engine.credentials import CredentialReader
from modelops.ports import Credentials


async def read(value: bytes) -> tuple[Credentials, str]:
    time = Time(stepped=False)
    server = ApiServer(time)
    made = secret_json()
    made["data"] = {"token": base64.b64encode(value).decode()}
    server.seed(made)
    reader = CredentialReader(KubeClient(server), time)  # type: ignore[arg-type]
    return await reader.read(NAMESPACE, AgentModel.model_validate(agent_model_json()))


@pytest.mark.parametrize(
    "value",
    [
        "hf_secret\r\n".encode("utf-16"),
        "\ufeffhf_secret".encode(),
        b"hf_secret\nhf_secret",
        "hf_secret\u00e9".encode(),
        b"hf_secret\xff",
        b"hf_secret and a remark",
        b" \n",
    ],
)
async def test_a_value_that_is_no_token_is_reported_with_its_secret_and_key(value: bytes) -> None:
    credentials, problem = await read(value)
    assert credentials == Credentials()
    assert "Secret tokens (spec.secretRefs.huggingFace): the value of its key token is no token" in problem
    assert "secret" not in problem.replace("spec.secretRefs", "")


async def test_space_around_a_token_is_no_part_of_it() -> None:
    credentials, problem = await read(b" hf_secret\r\n")
    assert (credentials.hugging_face, problem) == ("hf_secret", "")
