"""Who is asked about a metric, and with which token: never the installation's at an address of an AgentModel."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import RolloutDriver, at_weight, rollout_state

from modelops.domain.metrics.counting import MetricReading
from modelops.domain.model_hosts import ModelHosts
from modelops.domain.rollout.state import State
from modelops.engine.metric_answers import Answer, Asker
from modelops.engine.metric_source import MetricSource
from modelops.ports import LangSmithQuestion, MetricQuestion, PrometheusQuestion, Unavailable

OWN = {"prometheus": {"url": "http://prometheus.team.svc:9090/"}}
ERRORS = {"name": "errors", "prometheus": {"template": "errorRatio"}, "successCondition": "value < 1"}
QUALITY = {
    "name": "quality",
    "langsmith": {"measure": "feedback", "feedbackKey": "helpful"},
    "successCondition": "value - stable > -0.1",
}


class Asked:
    """`MetricAnswers`: remembers the questions, and answers each with its number."""

    def __init__(self, *, problem: str = "") -> None:
        self.questions: list[MetricQuestion] = []
        self.problem = problem
        self.pending = False

    def answer(self, question: MetricQuestion, *, since: datetime, asker: Asker) -> Answer | None:
        self.questions.append(question)
        if self.pending:
            return None
        value = None if self.problem else float(len(self.questions))
        return Answer(at=since + timedelta(seconds=1), value=value, problem=self.problem)


class Secrets:
    def __init__(self, token: str = "s3cret", problem: str = "", error: Exception | None = None) -> None:
        self.found, self.error = (token, problem), error

    async def token(self, *_: Any) -> tuple[str, str]:
        if self.error:
            raise self.error
        return self.found


def source(asked: Asked) -> MetricSource:
    return MetricSource(
        answers=asked,  # type: ignore[arg-type]
        prometheus_url="http://prometheus.monitoring.svc:9090",
        prometheus_token="installation",
        refusal=lambda url, namespace: ModelHosts().agent_refusal(
            url, namespace=namespace, where="spec.analysis.prometheus.url"
        ),
    )


def state(*metrics: Any, analysis: Any = None, token: bool = False, **agent: Any) -> State:
    secrets = {
        "huggingFace": {"name": "tokens"},
        "openRouter": {"name": "tokens"},
        **({"prometheus": {"name": "prom"}} if token else {}),
    }
    item = objects.rollout(analysis={"metrics": list(metrics)})
    given = objects.agent_model(secretRefs=secrets, analysis=analysis or {}, **agent)
    driver = RolloutDriver(rollout_state(item, agent=given)).run_until(at_weight(20))
    return driver.state


async def read(asked: Asked, of: State, secrets: Secrets | None = None, key: str = "ls") -> Any:
    return await source(asked).read(of, secrets or Secrets(), langsmith_key=key)  # type: ignore[arg-type]


async def test_the_installations_prometheus_gets_the_installations_token() -> None:
    asked = Asked()
    await read(asked, state(ERRORS))
    (question,) = asked.questions
    assert isinstance(question, PrometheusQuestion)
    assert (question.url, question.token) == ("http://prometheus.monitoring.svc:9090", "installation")
    assert 'agent_namespace="team",rollout="r1",track="canary"' in question.query
    assert "installation" not in repr(question)
    assert "installation" not in repr(source(asked))


@pytest.mark.parametrize("token", [False, True])
async def test_an_agents_prometheus_never_gets_the_installations_token(token: bool) -> None:
    asked = Asked()
    await read(asked, state(ERRORS, analysis=OWN, token=token))
    (question,) = asked.questions
    assert isinstance(question, PrometheusQuestion)
    assert (question.url, question.token) == (
        "http://prometheus.team.svc:9090",
        "s3cret" if token else "",
    )


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest",
        "http://prometheus.other.svc:9090",
        "http://127.0.0.1:9090",
        "https://prometheus.example.com",
    ],
)
async def test_other_hosts_are_not_asked(url: str) -> None:
    asked = Asked()
    readings = await read(asked, state(ERRORS, analysis={"prometheus": {"url": url}}))
    assert asked.questions == []
    assert "spec.analysis.prometheus.url is at" in readings["errors"].problem
    assert "MODELOPS_MODEL_HOSTS" in readings["errors"].problem


@pytest.mark.parametrize(
    ("secrets", "why"),
    [
        (Secrets(token="", problem="Secret prom has no key token"), "has no key token"),
        (Secrets(error=Unavailable("no answer")), "cannot be read now"),
    ],
)
async def test_a_token_that_cannot_be_read_is_an_error_of_the_metric_alone(
    secrets: Secrets, why: str
) -> None:
    asked = Asked()
    readings = await read(asked, state(ERRORS, analysis=OWN, token=True), secrets)
    assert asked.questions == []
    assert why in readings["errors"].problem


async def test_langsmith_is_asked_about_both_versions_where_a_condition_compares() -> None:
    asked = Asked()
    project = {"project": "docs-prod", "evaluationDataset": "ls://docs-eval", "scorer": {"type": "exact"}}
    readings = await read(asked, state(QUALITY, langsmith=project))
    versions = [question.version for question in asked.questions if isinstance(question, LangSmithQuestion)]
    assert versions == ["v1.1.0-rc.1", "v1.0.0"]
    reading: MetricReading = readings["quality"]
    assert (reading.value, reading.stable, reading.problem) == (1.0, 2.0, "")


@pytest.mark.parametrize(
    ("langsmith", "key", "why"),
    [
        (None, "ls", "spec.langsmith.project"),
        ({"project": "docs-prod"}, "", "spec.secretRefs.langsmith"),
    ],
)
async def test_what_langsmith_needs_is_named(langsmith: Any, key: str, why: str) -> None:
    given = {"evaluationDataset": "ls://docs-eval", "scorer": {"type": "exact"}, **(langsmith or {})}
    readings = await read(Asked(), state(QUALITY, langsmith=given), key=key)
    assert why in readings["quality"].problem


async def test_an_answer_that_has_not_come_is_no_reading() -> None:
    asked = Asked()
    asked.pending = True
    assert await read(asked, state(ERRORS)) == {"errors": None}
