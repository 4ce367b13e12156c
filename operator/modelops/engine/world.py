"""What every reconciler reads in the same way: objects, record, agents' file, credentials, reports."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeVar

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.meta import SecretKeyReference
from modelops.api.v1alpha1.names import MANAGED_LABEL, RECORD_LABEL, record_name
from modelops.api.v1alpha1.reading import KindT, read
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain import agentsfile
from modelops.domain.digest import identity_digest
from modelops.domain.record import MalformedRecord, Record
from modelops.domain.rollout.state import File
from modelops.engine.cache import ObjectCache
from modelops.engine.event_mapping import agent_model_of
from modelops.engine.executor import CONFIG_MAPS, Executor
from modelops.engine.queue import Key
from modelops.engine.resources import AGENT_MODELS, PODS, ROLLOUTS, SECRETS, TRAINING_RUNS
from modelops.ports import (
    AgentReports,
    Clock,
    Credentials,
    Endpoints,
    Hub,
    Jobs,
    Json,
    Kube,
    Programs,
    Refused,
    Reports,
    Resource,
    Unavailable,
)

CacheKey = TypeVar("CacheKey")
CacheValue = TypeVar("CacheValue")

SECRET_SECONDS = 30.0
MISSING_SECRET_SECONDS = 2.0
MOST_READ = 4096
_READ: OrderedDict[str, tuple[str, object]] = OrderedDict()
"""Objects with their resourceVersion, by uid: each version is parsed once, and only the last one is kept."""
_RECORDS: OrderedDict[str, tuple[str, Record]] = OrderedDict()
"""Records, likewise."""
_IDENTITIES: OrderedDict[tuple[str, int], str] = OrderedDict()
"""Identities by uid and generation: what they cover changes with neither."""
_parse_file = lru_cache(maxsize=256)(agentsfile.parse)


@dataclass
class World:
    """The engine's side of the world, shared by the three reconcilers."""

    kube: Kube
    cache: ObjectCache
    executor: Executor
    clock: Clock
    jobs: Jobs
    hub: Hub
    endpoints: Endpoints
    programs: Programs
    reports: Reports
    enqueue: Callable[[Key], None]
    hub_org: str
    gate: Callable[[], None] = lambda: None
    """Raises NotLeader; asked before every write outside Kubernetes."""
    host_refusal: Callable[[str, str, str], str] = lambda _url, _service, _what: ""
    """Why a token of this service may not be sent to this address of `what`; empty where it may be."""
    silence: Callable[[str, AgentModel | None], float] = lambda _namespace, _agent: 0.0
    """Seconds since the watches of the agent's ConfigMaps and Pods last said anything, bookmarks included."""
    program_environment: Mapping[str, str] = field(default_factory=dict)
    """Service URLs for our own programs; never secrets."""
    fallback: Credentials = field(default_factory=Credentials)
    """The installation's own credentials, for cleaning up where an agent's Secret is gone."""
    _secrets: dict[tuple[str, str], tuple[float, Json | None]] = field(default_factory=dict, repr=False)

    async def raw(self, resource: Resource, namespace: str, name: str, *, live: bool = False) -> Json | None:
        """The object from the cache, or read live where it is not there or must be."""
        before = self.cache.get(resource, namespace, name)
        if before is not None and not live:
            return before
        answer = await self.kube.get(resource, namespace, name)
        if answer is None:
            self.cache.absent(resource, namespace, name, before=before)
            return None
        self.cache.put(resource, answer)
        return self.cache.get(resource, namespace, name) or answer

    def agent_model(self, namespace: str, name: str) -> AgentModel | None:
        """The AgentModel as the watch has it."""
        item = self.cache.get(AGENT_MODELS, namespace, name)
        return parsed(AgentModel, item) if item is not None else None

    def runs_of(self, namespace: str, agent_model: str) -> dict[str, TrainingRun]:
        """The TrainingRuns that name the AgentModel, by identity."""
        return {
            identity(item): run
            for item in self.cache.list(TRAINING_RUNS, namespace=namespace)
            if agent_model_of(item) == agent_model and (run := parsed(TrainingRun, item)) is not None
        }

    def rollouts_of(self, namespace: str, agent_model: str) -> dict[str, Rollout]:
        """The Rollouts that name the AgentModel, by identity."""
        return {
            identity(item): rollout
            for item in self.cache.list(ROLLOUTS, namespace=namespace)
            if agent_model_of(item) == agent_model and (rollout := parsed(Rollout, item)) is not None
        }

    def unreadable_rollouts(self, namespace: str) -> frozenset[str]:
        """Uids of the Rollouts that an older or newer schema let in and that cannot be read."""
        return frozenset(
            item["metadata"]["uid"]
            for item in self.cache.list(ROLLOUTS, namespace=namespace)
            if parsed(Rollout, item) is None
        )

    async def record(self, namespace: str, agent_model: str) -> tuple[Json | None, Record | None, str]:
        """The record's ConfigMap, the record, and why it cannot be read where it cannot."""
        item = await self.raw(CONFIG_MAPS, namespace, record_name(agent_model))
        if item is None:
            return None, None, ""
        uid, version = item["metadata"]["uid"], item["metadata"]["resourceVersion"]
        known = _RECORDS.get(uid)
        try:
            record = known[1] if known and known[0] == version else Record.from_data(item.get("data") or {})
            _remember(_RECORDS, uid, (version, record))
            return item, record, ""
        except MalformedRecord as error:
            return (
                item,
                None,
                (
                    f"ConfigMap {record_name(agent_model)}: {error}. Restore it from a backup, or delete it "
                    "to have it rebuilt"
                ),
            )

    async def file(
        self, namespace: str, config_map: str, key: str, agent: str, *, live: bool = False
    ) -> tuple[Json | None, File | None, str]:
        """The agents' ConfigMap, the file as it reads, and what is wrong with it."""
        item = await self.raw(CONFIG_MAPS, namespace, config_map, live=live)
        if item is None:
            return (
                None,
                None,
                f"ConfigMap {config_map} (spec.config.configMapRef) does not exist in namespace {namespace}: "
                "create it",
            )
        if (item["metadata"].get("labels") or {}).get(MANAGED_LABEL) != "true":
            return (
                item,
                None,
                (
                    f"ConfigMap {config_map} (spec.config.configMapRef) does not carry the label "
                    f"{MANAGED_LABEL}=true: "
                    f"add it to let the operator write the file"
                ),
            )
        text = (item.get("data") or {}).get(key)
        if text is None:
            return (
                item,
                None,
                f"ConfigMap {config_map} has no key {key} (spec.config.configMapRef.key): add it",
            )
        try:
            entry = _parse_file(text, agent)
        except agentsfile.AgentsFileError as error:
            return item, None, f"ConfigMap {config_map}, key {key} (spec.config.configMapRef): {error}"
        version = item["metadata"]["resourceVersion"]
        return item, File(resource_version=version, text=text, entry=entry, live=live), ""

    async def credentials(
        self, namespace: str, agent: AgentModel | None, *, only_hugging_face: bool = False
    ) -> tuple[Credentials, str]:
        """The agent's tokens, and what is wrong with a Secret; without an agent the installation's own.

        Where a Secret is not usable, the token for Hugging Face is there if what bills can be ended with it: the
        agent's, or the installation's where the Secret with the agent's is gone.
        `only_hugging_face`: a job that is under way is followed and stopped whatever the other Secrets say.
        """
        if agent is None:
            return (
                replace(self.fallback, borrowed=True),
                ""
                if self.fallback.hugging_face
                else "the AgentModel is gone and the installation has no token",
            )
        refs = agent.spec.secret_refs
        tokens, first = {"hugging_face": "", "langsmith": "", "open_router": ""}, ""
        for kind, path, reference in (
            ("hugging_face", "huggingFace", refs.hugging_face),
            ("langsmith", "langsmith", refs.langsmith),
            ("open_router", "openRouter", refs.open_router),
        ):
            if reference is None or (only_hugging_face and kind != "hugging_face"):
                continue
            tokens[kind], problem = await self._secret(namespace, reference, f"spec.secretRefs.{path}")
            first = first or problem
        if not tokens["hugging_face"] and self._is_gone(namespace, refs.hugging_face):
            return replace(self.fallback, borrowed=True), first
        return (
            Credentials(
                hugging_face=tokens["hugging_face"],
                langsmith=tokens["langsmith"],
                open_router=tokens["open_router"],
            ),
            first,
        )

    def _is_gone(self, namespace: str, reference: SecretKeyReference) -> bool:
        """Whether the Secret did not exist when it was last asked for; one without label or key is not gone."""
        _, item = self._secrets.get((namespace, reference.name), (0.0, {}))
        return item is None

    async def _secret(self, namespace: str, reference: SecretKeyReference, path: str) -> tuple[str, str]:
        known = self._secrets.get((namespace, reference.name))
        now = self.clock.monotonic()
        kept = SECRET_SECONDS if known is not None and known[1] is not None else MISSING_SECRET_SECONDS
        if known is None or now - known[0] > kept:
            item = await self.kube.get(SECRETS, namespace, reference.name)
            # What nobody asks for any more is not kept.
            for old in [k for k, (read_at, _) in self._secrets.items() if now - read_at > SECRET_SECONDS]:
                del self._secrets[old]
            known = self._secrets[namespace, reference.name] = (now, item)
        item = known[1]
        where = f"Secret {reference.name} ({path})"
        if item is None:
            return "", f"{where} does not exist in namespace {namespace}: create it"
        if (item["metadata"].get("labels") or {}).get(MANAGED_LABEL) != "true":
            return (
                "",
                f"{where} does not carry the label {MANAGED_LABEL}=true: add it to let the operator read the "
                "Secret",
            )
        encoded = (item.get("data") or {}).get(reference.key)
        if not encoded:
            self._secrets.pop((namespace, reference.name), None)
            return "", f"{where} has no key {reference.key}: add it, or name another key"
        return base64.b64decode(encoded).decode().strip(), ""

    def agent_reports(
        self, namespace: str, agent: AgentModel | None, name: str, *, generation: int, salt: str
    ) -> AgentReports:
        """What the agent's processes say about this generation."""
        return self.reports.summary(
            namespace, name, generation=generation, salt=salt, pods=self.expected_pods(namespace, agent)
        )

    def expected_pods(self, namespace: str, agent: AgentModel | None) -> Sequence[str] | None:
        """Names of the ready Pods that run the agent; None without a selector."""
        selector = agent.spec.config.workload_selector if agent else None
        if selector is None:
            return None
        return tuple(
            pod["metadata"]["name"]
            for pod in self.cache.list(PODS, namespace=namespace, labels=selector.match_labels)
            if any(
                condition.get("type") == "Ready" and condition.get("status") == "True"
                for condition in (pod.get("status") or {}).get("conditions") or ()
            )
        )

    async def start_program(
        self, name: str, module: str, given: Json, environment: Mapping[str, str]
    ) -> None:
        """Starts it; one that was begun with another input (somebody edited the AgentModel) begins anew."""
        environment = {**self.program_environment, **environment}
        try:
            await self.programs.start(name, module, given, environment)
        except Refused:
            await self.programs.stop(name)
            await self.programs.start(name, module, given, environment)

    def record_reference(self, namespace: str, agent_model: str) -> tuple[str, str, Mapping[str, str]]:
        """Where the record is written."""
        return namespace, record_name(agent_model), {RECORD_LABEL: agent_model}


def parsed(kind: type[KindT], item: Json) -> KindT | None:
    """The typed object; None where it cannot be read (an older schema). Shared: never changed."""
    metadata = item["metadata"]
    uid, version = metadata["uid"], metadata["resourceVersion"]
    known = _READ.get(uid)
    found = known[1] if known and known[0] == version else read(kind, item).value
    _remember(_READ, uid, (version, found))
    return found if isinstance(found, kind) else None


def _remember(known: OrderedDict[CacheKey, CacheValue], key: CacheKey, value: CacheValue) -> None:
    """Keeps the `MOST_READ` that were asked for last."""
    known[key] = value
    known.move_to_end(key)
    while len(known) > MOST_READ:
        known.popitem(last=False)


def identity(item: Json) -> str:
    """The digest that makes a re-created object the same one."""
    metadata = item["metadata"]
    key = (metadata["uid"], metadata["generation"])
    found = _IDENTITIES.get(key)
    if found is None:
        found = identity_digest(kind=item["kind"], name=metadata["name"], spec=item["spec"])
    _remember(_IDENTITIES, key, found)
    return found


def outage(service: str, error: Exception) -> Any:
    """The fact that a service did not answer."""
    from modelops.domain.facts import Outage

    retry_after = error.retry_after if isinstance(error, Unavailable) else None
    return Outage(
        service=service,
        message=str(error),
        retry_after=retry_after,
        refused=not isinstance(error, Unavailable),
    )
