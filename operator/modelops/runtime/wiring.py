"""Builds the operator: chooses the adapter for each port and creates the three reconcilers. Only this module does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from modelops.adapters.clusterjobs import BatchJobs, ClusterJobs, TrainJobs
from modelops.adapters.huggingface import (
    HuggingFaceConnection,
    HuggingFaceEndpoints,
    HuggingFaceHub,
    HuggingFaceJobs,
)
from modelops.adapters.huggingface.payload import packaged_trainer
from modelops.adapters.kube import KubeClient
from modelops.adapters.langsmith.connection import LangSmithConnection
from modelops.adapters.langsmith.production_metrics import LangSmithMetrics
from modelops.adapters.langsmith.tracing import ActionTraces
from modelops.adapters.notifications import HttpSender
from modelops.adapters.programjobs import JobPrograms
from modelops.adapters.programs import LocalPrograms
from modelops.adapters.prometheus import PrometheusMetrics
from modelops.adapters.reports import ReportServer, ReportStore, TokenCheck, shared_secret, token_review
from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import SecretKeyReference
from modelops.api.v1alpha1.names import MANAGED_LABEL
from modelops.api.v1alpha1.notification import Notification
from modelops.code_tests.shells import SETTING as CODE_TESTS
from modelops.domain.model_hosts import Service
from modelops.domain.rollout.state import RolloutSettings
from modelops.domain.training.state import TrainingSettings
from modelops.engine.accounts import JobsByAccount
from modelops.engine.agent_processes import AgentProcesses
from modelops.engine.agentmodel import AgentModelReconciler
from modelops.engine.cache import ObjectCache
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.event_mapping import keys_to_reconcile, keys_to_reconcile_after_report, with_uid
from modelops.engine.executor import CONFIG_MAPS, Executor
from modelops.engine.metric_answers import MetricAnswers
from modelops.engine.metric_source import MetricSource
from modelops.engine.notifier import InstallationReceiver, Notifier
from modelops.engine.orphan_jobs import OrphanJobs
from modelops.engine.pod_touches import PodTouches
from modelops.engine.poller import SharedJobPoller
from modelops.engine.queue import Key, KeyedQueue
from modelops.engine.resources import PODS
from modelops.engine.rollout import RolloutReconciler
from modelops.engine.services import Services
from modelops.engine.shared_endpoints import SharedEndpoints
from modelops.engine.stops import StopReader
from modelops.engine.trainingrun import TrainingRunReconciler
from modelops.loopback import assert_loopback
from modelops.ports import Clock, Credentials, Programs, Resource
from modelops.runtime.call_counter import count_calls
from modelops.runtime.metrics import Metrics
from modelops.runtime.object_metrics import ObjectMetrics
from modelops.runtime.program_calls import CountedPrograms
from modelops.runtime.settings import Settings
from modelops.runtime.training_defaults import load_training_defaults
from modelops.runtime.watches import watch_name

ENDPOINTS_SECONDS = 5.0
"""The longest time between two lists of an account's endpoints."""

FINAL_LOG_SETTLE_PERIODS = 4
"""For how many settle periods the end of a job's log is read again where it does not say how the job ended."""

MISSING_SETTLE_PERIODS = 4
"""For how many settle periods the service must not know a job until it counts as lost."""

_TOKEN_REVIEWS = Resource(
    group="authentication.k8s.io", version="v1", plural="tokenreviews", kind="TokenReview"
)


class Reconciler(Protocol):
    """The interface that the queue calls. `reconcile` returns the seconds until the next reconcile, or None."""

    async def reconcile(self, namespace: str, name: str) -> float | None: ...


@dataclass
class OperatorParts:
    """The parts of an operator that is built but not started. `close` releases threads and connections."""

    queue: KeyedQueue
    reconcilers: Mapping[str, Reconciler]
    reports: ReportServer
    poller: SharedJobPoller
    orphan_jobs: OrphanJobs
    object_metrics: ObjectMetrics
    touches: PodTouches
    metric_answers: MetricAnswers
    notifier: Notifier
    _closers: list[Callable[[], None]] = field(default_factory=list)

    def close(self) -> None:
        """Ends threads and connections. Programs keep running."""
        for closer in self._closers:
            closer()


def build_operator(
    settings: Settings,
    *,
    kube: KubeClient,
    cache: ObjectCache,
    clock: Clock,
    metrics: Metrics,
    installation: str,
    home: str = "",
) -> OperatorParts:
    """Builds the queue, the reconcilers and their adapters. Every change in `cache` enqueues the affected objects.

    `home`: the operator's namespace, in which the emergency stop of all agents is.
    """
    reconcilers: dict[str, Reconciler] = {}

    async def reconcile(key: Key) -> float | None:
        return await reconcilers[key.kind].reconcile(key.namespace, key.name)

    queue = KeyedQueue(reconcile, workers=settings.workers, observer=metrics)

    def enqueue_all(keys: Iterable[Key]) -> None:
        for key in keys:
            queue.add(key)

    cache.listen(lambda resource, item, before: enqueue_all(keys_to_reconcile(cache, resource, item, before)))
    hugging_face = HuggingFaceConnection(
        hub_url=settings.hf_endpoint,
        endpoints_url=settings.endpoints_url,
        model_hosts=settings.model_hosts,
        before_write=kube.before_write,
        guard=lambda: assert_loopback(_program_environment(settings)),
        on_rate_limit=metrics.rate_limit,
    )
    jobs = JobsByAccount(
        hugging_face=count_calls(HuggingFaceJobs(hugging_face), api="jobs", metrics=metrics),
        kubernetes=count_calls(
            ClusterJobs(kube, BatchJobs(settings.training_security_context), clock=clock),
            api="kubernetes",
            metrics=metrics,
        ),
        train_job=count_calls(ClusterJobs(kube, TrainJobs(), clock=clock), api="trainjob", metrics=metrics),
    )
    report_store = ReportStore(
        clock=clock, on_change=lambda ns, agent: enqueue_all(keys_to_reconcile_after_report(cache, ns, agent))
    )
    poller = SharedJobPoller(
        jobs,
        clock=clock,
        changed=lambda uid: enqueue_all(with_uid(cache, str(uid))),
        interval_seconds=settings.poll_seconds,
        report_seconds=settings.progress_seconds,
        final_seconds=FINAL_LOG_SETTLE_PERIODS * settings.settle_seconds,
        missing_seconds=MISSING_SETTLE_PERIODS * settings.settle_seconds,
    )
    traces = _traces(settings)
    stops = StopReader(kube, cache, home)
    reader = ClusterReader(kube, cache, clock, stops=stops)
    metric_answers = MetricAnswers(
        prometheus=count_calls(PrometheusMetrics(), api="prometheus", metrics=metrics),
        langsmith=count_calls(
            LangSmithMetrics(settings.langsmith_endpoint), api="langsmith", metrics=metrics
        ),
        clock=clock,
        changed=lambda asker: queue.add(Key("Rollout", *asker)),
    )
    services = Services(
        jobs=jobs,
        hub=count_calls(HuggingFaceHub(hugging_face), api="hub", metrics=metrics),
        endpoints=SharedEndpoints(
            count_calls(HuggingFaceEndpoints(hugging_face), api="endpoints", metrics=metrics),
            clock=clock,
            interval_seconds=min(settings.poll_seconds, ENDPOINTS_SECONDS),
        ),
        programs=CountedPrograms(
            _programs(
                settings,
                kube,
                clock,
                installation=installation,
                on_ended=lambda name: enqueue_all(with_uid(cache, name.partition("-")[2])),
            ),
            metrics,
        ),
        hub_org=settings.hub_org,
        require_leadership=kube.before_write,
        host_refusal=_host_refusal(settings),
        agent_refusal=lambda url, namespace: settings.model_hosts.agent_refusal(url, namespace=namespace),
        metrics=_metric_source(settings, metric_answers),
        program_environment=_program_environment(settings),
    )
    credentials = CredentialReader(kube, clock, installation=_cleanup_credentials(settings))
    executor = Executor(kube, cache, traces=traces, stops=stops)
    touches = PodTouches(reader, kube, report_store, enabled=settings.touch_pods)
    agents = AgentProcesses(
        reader=reader, reports=report_store, silence=_watch_silence(cache), touches=touches
    )
    training = TrainingSettings(
        installation=installation,
        hub_org=settings.hub_org,
        default_base_model=settings.default_base_model,
        jobs_enabled=settings.jobs_enabled,
        trains_language_models=settings.trainer == "trl",
        defaults=load_training_defaults(settings.training_defaults),
        poll_seconds=settings.poll_seconds,
        settle_seconds=settings.settle_seconds,
        approval_seconds=settings.approval_seconds,
        retry_seconds=settings.retry_seconds,
        scheduling_seconds=settings.scheduling_seconds,
    )
    reconcilers |= {
        "AgentModel": AgentModelReconciler(
            reader,
            credentials,
            services,
            executor,
            agents,
            installation=installation,
            settle_seconds=settings.settle_seconds,
        ),
        "TrainingRun": TrainingRunReconciler(
            reader,
            credentials,
            services,
            executor,
            poller,
            training,
            enqueue=queue.add,
            trainer=packaged_trainer(settings.trainer, image=settings.training_image),
        ),
        "Rollout": RolloutReconciler(
            reader,
            credentials,
            services,
            executor,
            agents,
            RolloutSettings(
                installation=installation,
                hub_org=settings.hub_org,
                approval_seconds=settings.approval_seconds,
            ),
        ),
    }
    server = ReportServer(
        report_store, _token_check(settings, kube, clock), host=settings.host, port=settings.report_port
    )
    closers = [hugging_face.close, *([traces.close] if traces else [])]
    orphan_jobs = OrphanJobs(
        reader,
        credentials,
        services,
        executor,
        interval_seconds=settings.resync_seconds,
    )
    notifier = Notifier(
        reader,
        kube,
        credentials,
        HttpSender(settings.notification_hosts),
        installation=_installation_receiver(settings),
        require_leadership=kube.before_write,
        count=metrics.notification,
    )
    cache.listen(notifier.heard)
    return OperatorParts(
        queue=queue,
        reconcilers=reconcilers,
        reports=server,
        poller=poller,
        orphan_jobs=orphan_jobs,
        object_metrics=ObjectMetrics(agents, observe=poller.observe),
        touches=touches,
        metric_answers=metric_answers,
        notifier=notifier,
        _closers=closers,
    )


def _watch_silence(cache: ObjectCache) -> Callable[[str, AgentModel | None], float]:
    def longest_silence(namespace: str, agent: AgentModel | None) -> float:
        labels = {MANAGED_LABEL: "true"}
        files = min(cache.age(watch_name(CONFIG_MAPS, of, labels)) for of in (namespace, None))
        selector = agent.spec.config.workload_selector if agent else None
        pods = cache.age(watch_name(PODS, namespace, selector.match_labels)) if selector else 0.0
        return max(files, pods)

    return longest_silence


def _host_refusal(settings: Settings) -> Callable[[str, str, str], str]:
    hosts = settings.model_hosts

    def refusal(url: str, service: str, what: str) -> str:
        of: Service = "openrouter" if service == "openrouter" else "huggingface"
        return hosts.refusal(url, service=of, what=what)

    return refusal


def _metric_source(settings: Settings, answers: MetricAnswers) -> MetricSource:
    def refusal(url: str, namespace: str) -> str:
        where = "spec.analysis.prometheus.url"
        return settings.model_hosts.agent_refusal(url, namespace=namespace, where=where)

    return MetricSource(
        answers=answers,
        prometheus_url=settings.prometheus_url,
        prometheus_token=settings.prometheus_token.get_secret_value(),
        refusal=refusal,
    )


def _cleanup_credentials(settings: Settings) -> Credentials:
    """The token that cleans up after an agent whose Secret was deleted. Other services have nothing that is billed."""
    return Credentials(hugging_face=settings.hub_token.get_secret_value())


def _installation_receiver(settings: Settings) -> InstallationReceiver | None:
    """The receiver of every agent's notifications; None where the settings name none."""
    url = settings.notification_url.get_secret_value()
    if not url:
        return None
    receiver = Notification(
        name="installation",
        type=settings.notification_type,
        url_from=SecretKeyReference(name="installation"),
        min_severity=settings.notification_severity,
    )
    return InstallationReceiver(receiver=receiver, url=url, key=settings.notification_key.get_secret_value())


def _programs(
    settings: Settings,
    kube: KubeClient,
    clock: Clock,
    *,
    installation: str,
    on_ended: Callable[[str], None],
) -> Programs:
    """Programs as Jobs where the settings describe their Pods; else as processes of this machine."""
    if settings.program_jobs is None:
        return LocalPrograms(settings.state_dir, on_ended=on_ended)
    return JobPrograms(
        kube,
        settings.program_jobs,
        installation=installation,
        clock=clock,
        namespaces=settings.watch_namespaces,
    )


def _program_environment(settings: Settings) -> dict[str, str]:
    environment = {
        "HF_ENDPOINT": settings.hf_endpoint,
        "LANGSMITH_ENDPOINT": settings.langsmith_endpoint,
        "OPENROUTER_BASE_URL": settings.openrouter_base_url,
        "MODELOPS_ENDPOINTS_URL": settings.endpoints_url,
        CODE_TESTS: settings.code_tests.value,
    }
    return {**environment, "MODELOPS_SANDBOX": "1"} if settings.sandbox else environment


def _traces(settings: Settings) -> ActionTraces | None:
    key = settings.langsmith_api_key.get_secret_value()
    if not key:
        return None
    return ActionTraces(LangSmithConnection(api_url=settings.langsmith_endpoint, api_key=key))


def _token_check(settings: Settings, kube: KubeClient, clock: Clock) -> TokenCheck:
    secret = settings.report_token.get_secret_value()
    if secret:
        return shared_secret(secret)

    async def review(token: str) -> Mapping[str, Any]:
        answer = await kube.create(
            _TOKEN_REVIEWS,
            {
                "apiVersion": "authentication.k8s.io/v1",
                "kind": "TokenReview",
                "spec": {"token": token},
            },
        )
        status: Mapping[str, Any] = answer.get("status") or {}
        return status

    return token_review(review, clock=clock)
