"""The keys that a program gets are those that the Secrets have when it starts: its refusal of one may be final."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
from tests.unit.engine.test_rollout_memory import Bench, ProgramsAndReports
from tests.unit.training.objects import NAMESPACE, agent_model_json, secret_json
from tests.unit.training.services import ApiServer, KubeClient, Time

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.domain.facts import Outage
from modelops.domain.plan import Plan
from modelops.domain.rollout.actions import EvaluationProgram, RolloutFact, RolloutPlan, StartProgram
from modelops.engine.credentials import SECRET_SECONDS, CredentialReader
from modelops.engine.program_secrets import AgentSecrets
from modelops.engine.resources import AGENT_MODELS
from modelops.engine.rollout import program_secrets
from modelops.ports import Json, ProgramOwner, ProgramSecret, Unavailable

INPUT = {
    "arms": {
        "baseline": {"version": "v1.0.0", "base_url": "", "service": "openrouter"},
        "candidate": {"version": "v1.1.0-rc.1", "base_url": "", "service": "huggingface"},
    }
}
START = Plan(steps=(StartProgram(program=EvaluationProgram.CHECK, input=INPUT),), requeue_after=5.0)


class RecordingPrograms(ProgramsAndReports):
    """Keeps the secrets and owners with which programs were started."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: list[Mapping[str, ProgramSecret]] = []
        self.owners: list[ProgramOwner] = []

    async def start(
        self, name: str, module: str, program_input: Json, environment: Mapping[str, str], **more: Any
    ) -> None:
        assert not environment.keys() & more["secrets"].keys()
        self.secrets.append(more["secrets"])
        self.owners.append(more["owner"])


def secret(key: str) -> Json:
    made = secret_json()
    made["data"] = {k: base64.b64encode(key.encode()).decode() for k in ("token", "openrouter")}
    return made


async def test_a_program_gets_the_key_that_the_secret_has_now() -> None:
    programs = RecordingPrograms()
    bench = Bench(programs)
    keys = (("huggingFace", "token"), ("openRouter", "openrouter"))
    model = agent_model_json(
        uid="with-keys", secretRefs={field: {"name": "tokens", "key": key} for field, key in keys}
    )
    model["metadata"].update(namespace="team", name="docs")
    bench.cache.put(AGENT_MODELS, bench.api.put(model))
    bench.api.put(secret("wrong"))
    await bench.reconcile(START)
    bench.api.put(secret("right"))
    bench.time.seconds += 1
    await bench.reconcile(START)
    told = [(given["HF_TOKEN"].value, given["MODELOPS_BASELINE_KEY"].value) for given in programs.secrets]
    assert told == [("wrong", "wrong"), ("right", "right")]
    stored = {variable: (of.secret, of.key) for variable, of in programs.secrets[1].items()}
    assert stored == {
        "HF_TOKEN": ("tokens", "token"),
        "LANGSMITH_API_KEY": ("", ""),
        "MODELOPS_BASELINE_KEY": ("tokens", "openrouter"),
        "MODELOPS_CANDIDATE_KEY": ("tokens", "token"),
    }
    assert "right" not in repr(programs.secrets)
    assert {(owner.kind, owner.namespace) for owner in programs.owners} == {("Rollout", "team")}


async def test_a_key_that_was_replaced_since_the_program_started_is_seen_at_once() -> None:
    bench = Bench(RecordingPrograms())
    model = agent_model_json(uid="with-keys", secretRefs={"huggingFace": {"name": "tokens", "key": "token"}})
    model["metadata"].update(namespace="team", name="docs")
    bench.cache.put(AGENT_MODELS, bench.api.put(model))
    bench.api.put(secret("wrong"))
    asked: RolloutPlan = Plan(needs=RolloutFact.KEYS_REPLACED)
    assert (await bench.reconcile(asked)).keys_replaced is False
    start = StartProgram(program=EvaluationProgram.EVALUATION, input=INPUT)
    await bench.reconcile(Plan(steps=(start,), requeue_after=5.0))
    assert (await bench.reconcile(asked)).keys_replaced is False
    bench.api.put(secret("right"))
    assert (await bench.reconcile(asked)).keys_replaced is True
    await bench.reconcile(Plan(steps=(start,), requeue_after=5.0))
    assert (await bench.reconcile(asked)).keys_replaced is False
    bench.api.objects.pop("tokens")
    assert isinstance((await bench.reconcile(asked)).keys_replaced, Outage)


async def test_a_secret_is_kept_for_decisions_and_read_afresh_for_programs() -> None:
    time = Time(stepped=False)
    server = ApiServer(time)
    server.seed(secret("old"))
    reader, agent = CredentialReader(KubeClient(server), time), AgentModel.model_validate(agent_model_json())  # type: ignore[arg-type]
    assert (await reader.read(NAMESPACE, agent))[0].hugging_face == "old"
    server.seed(secret("new"))
    time.seconds += SECRET_SECONDS / 2
    assert (await reader.read(NAMESPACE, agent))[0].hugging_face == "old"
    assert (await reader.read_for_program(NAMESPACE, agent)).hugging_face == "new"
    assert (await reader.read(NAMESPACE, agent))[0].hugging_face == "new"


async def test_a_program_does_not_start_with_a_secret_that_has_lost_its_label() -> None:
    time = Time(stepped=False)
    server = ApiServer(time)
    server.seed(secret("old"))
    reader, agent = CredentialReader(KubeClient(server), time), AgentModel.model_validate(agent_model_json())  # type: ignore[arg-type]
    await reader.read(NAMESPACE, agent)
    unlabelled = secret("old")
    unlabelled["metadata"]["labels"] = {}
    server.seed(unlabelled)
    with pytest.raises(Unavailable, match="does not carry the label"):
        await reader.read_for_program(NAMESPACE, agent)


def test_only_an_evaluation_with_a_judge_gets_its_key() -> None:
    known = AgentSecrets(
        hugging_face=ProgramSecret(value="hf"),
        langsmith=ProgramSecret(value="ls"),
        open_router=ProgramSecret(value="or", secret="tokens", key="openrouter"),
        agent=ProgramSecret(value="ask-me", secret="agent", key="token"),
    )
    asked = {"asked_agent": {"url": "http://docs.team.svc/evaluate"}}
    assert program_secrets({**INPUT, **asked}, known)["MODELOPS_AGENT_KEY"].secret == "agent"
    for none in ({}, {"asked_agent": None}, {"asked_agent": {"url": "", "entry_point": "a:b"}}):
        assert "MODELOPS_AGENT_KEY" not in program_secrets({**INPUT, **none}, known)
    given = program_secrets({**INPUT, "judge": {"model": "judges/strict"}}, known)
    assert (given["MODELOPS_JUDGE_KEY"].value, given["MODELOPS_JUDGE_KEY"].key) == ("or", "openrouter")
    assert "MODELOPS_JUDGE_KEY" not in program_secrets({**INPUT, "judge": None}, known)
    assert "MODELOPS_JUDGE_KEY" not in program_secrets(INPUT, known)


@pytest.mark.parametrize(("service", "value"), [("openrouter", "or"), ("huggingface", "hf")])
def test_an_embedding_service_gets_the_key_of_its_kind(service: str, value: str) -> None:
    known = AgentSecrets(
        hugging_face=ProgramSecret(value="hf"),
        langsmith=ProgramSecret(value="ls"),
        open_router=ProgramSecret(value="or"),
        agent=ProgramSecret(value="agent"),
    )
    given = program_secrets({**INPUT, "similarity": {"model": "m", "service": service}}, known)
    assert given["MODELOPS_EMBEDDINGS_KEY"].value == value
    assert "MODELOPS_EMBEDDINGS_KEY" not in program_secrets({**INPUT, "similarity": None}, known)
