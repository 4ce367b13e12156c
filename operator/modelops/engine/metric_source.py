"""The metrics of a rollout as a fact: who is asked, with which token, and what the answers are so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from modelops.domain.metrics.counting import MetricReading, compares_with_stable
from modelops.domain.rollout.metric_questions import Access, question_of
from modelops.domain.rollout.metric_state import MetricReadings, Watched, due_metrics
from modelops.domain.rollout.state import State
from modelops.engine.credentials import CredentialReader
from modelops.engine.metric_answers import MetricAnswers
from modelops.ports import Refused, Unavailable

NO_PROMETHEUS = (
    "no Prometheus is known: set spec.analysis.prometheus.url of the AgentModel, or MODELOPS_PROMETHEUS_URL of the "
    "operator"
)


@dataclass(frozen=True, kw_only=True)
class MetricSource:
    """The answers, and the installation's own Prometheus. `refusal`: why an AgentModel's address may not be asked."""

    answers: MetricAnswers
    prometheus_url: str = ""
    prometheus_token: str = field(repr=False, default="")
    refusal: Callable[[str, str], str] = lambda _url, _namespace: ""

    async def read(
        self, state: State, credentials: CredentialReader, *, langsmith_key: str
    ) -> MetricReadings:
        """The readings of what is due. It asks the Kubernetes API for a Secret at most, and no provider."""
        due = due_metrics(state)
        asks_prometheus = any(one.metric.prometheus is not None for one in due)
        access = await self._access(state, credentials, langsmith_key, asks_prometheus=asks_prometheus)
        return {one.metric.name: self._reading(state, one, access) for one in due}

    async def _access(
        self, state: State, credentials: CredentialReader, langsmith_key: str, *, asks_prometheus: bool
    ) -> Access:
        agent, namespace = state.require_agent_model(), state.rollout.metadata.namespace
        own = agent.spec.analysis.prometheus if agent.spec.analysis is not None else None
        if own is None:
            return Access(
                prometheus_url=self.prometheus_url,
                prometheus_token=self.prometheus_token,
                prometheus_problem="" if self.prometheus_url else NO_PROMETHEUS,
                langsmith_key=langsmith_key,
            )
        # Never the installation's token: the AgentModel's writer chose the address.
        token, problem = "", self.refusal(own.url, namespace)
        reference = agent.spec.secret_refs.prometheus
        if not problem and reference is not None and asks_prometheus:
            try:
                token, problem = await credentials.token(namespace, reference, "spec.secretRefs.prometheus")
            except Unavailable as error:
                problem = f"Secret {reference.name} cannot be read now: {error}"
        return Access(
            prometheus_url=own.url.rstrip("/"),
            prometheus_token=token,
            prometheus_problem=problem,
            langsmith_key=langsmith_key,
        )

    def _reading(self, state: State, one: Watched, access: Access) -> MetricReading | None:
        metric, metadata = one.metric, state.rollout.metadata
        since = one.due_since(one.written, state.now) or state.now
        asker = metadata.namespace, metadata.name
        try:
            asked = [question_of(state, metric, "canary", access)]
            if compares_with_stable(metric):
                asked.append(question_of(state, metric, "stable", access))
        except Refused as error:
            return MetricReading(at=state.now, problem=str(error))
        answers = [self.answers.answer(question, since=since, asker=asker) for question in asked]
        found = [answer for answer in answers if answer is not None]
        if len(found) < len(answers):
            return None
        of_stable = found[1] if len(found) > 1 else None
        problem = found[0].problem or (of_stable.problem if of_stable else "")
        if of_stable and of_stable.problem and not found[0].problem:
            problem = f"of the stable model: {problem}"
        return MetricReading(
            at=min(answer.at for answer in found),
            value=found[0].value,
            stable=of_stable.value if of_stable else None,
            problem=problem,
        )
