"""Tells receivers of transitions, beside everything else: no reconcile waits for it, and it writes no status.

What is to be told is in `status.history` of the objects in the cache, and what was told in a ConfigMap of each agent
(`domain/notifications/delivered.py`). So a new leader goes on where the old one stopped. A process that dies between a
request and that write makes the next one send the same notification again, with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.history import Transition
from modelops.api.v1alpha1.names import API_VERSION
from modelops.api.v1alpha1.notification import Notification
from modelops.api.v1alpha1.rollout import Rollout
from modelops.api.v1alpha1.trainingrun import TrainingRun
from modelops.domain.notifications.delivered import INSTALLATION, Delivered
from modelops.domain.notifications.formats import body_of, content_type, signature_headers
from modelops.domain.notifications.notice import Notice, Told, notice_of
from modelops.domain.notifications.occasions import is_wanted, wishes_of
from modelops.domain.notifications.occasions import occasion_of as occasion
from modelops.engine.cluster_reader import ClusterReader
from modelops.engine.credentials import CredentialReader
from modelops.engine.event_mapping import agent_model_of
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import (
    Conflict,
    Json,
    Kube,
    Missing,
    NotificationSender,
    NotLeader,
    Refused,
    Resource,
    SendResult,
    Unavailable,
    Uncertain,
)

FIRST_PAUSE_SECONDS: Final = 2.0
"""Before the second try; doubled after each further one."""
LONGEST_PAUSE_SECONDS: Final = 600.0
AFTER_FAILURE_SECONDS: Final = 10.0
"""Before an agent is looked at again whose ConfigMap could not be read or written."""
GIVE_UP_SECONDS: Final = 6 * 3600.0
"""For so long one notification is tried; then the next one of the receiver gets its turn."""
GONE_KEPT: Final = 64
"""Deleted objects of which a last transition may still have to be told."""
_log = logging.getLogger(__name__)
AgentKey = tuple[str, str]


@dataclass(frozen=True, kw_only=True)
class InstallationReceiver:
    """The receiver of the installation's settings, with its URL and key, which are secrets."""

    receiver: Notification
    url: str = field(repr=False)
    key: str = field(default="", repr=False)


@dataclass
class _Trial:
    """The notification that a receiver is being told now."""

    id: str
    since: float
    tries: int = 0
    not_before: float = 0.0
    problem: str = ""


@dataclass
class _Agent:
    delivered: Delivered | None = None
    version: str = ""
    """Of the ConfigMap; empty where there is none."""
    is_saved: bool = True
    trials: dict[str, _Trial] = field(default_factory=dict)


class Notifier:
    """One task that looks at the agents that changed, and one more for each receiver that is being told something."""

    def __init__(
        self,
        reader: ClusterReader,
        kube: Kube,
        credentials: CredentialReader,
        sender: NotificationSender,
        *,
        installation: InstallationReceiver | None = None,
        require_leadership: Callable[[], None] = lambda: None,
        count: Callable[[str, str], None] = lambda _form, _outcome: None,
        pause_seconds: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        self._reader = reader
        self._clock = reader.clock
        self._kube = kube
        self._credentials = credentials
        self._sender = sender
        self._installation = installation
        self._require_leadership = require_leadership
        self._count = count
        self._first_pause = pause_seconds
        self._agents: dict[AgentKey, _Agent] = {}
        self._changed: dict[AgentKey, float] = {}
        """Agents to look at, with the time on the monotonic clock from which on."""
        self._gone: dict[str, tuple[AgentKey, Resource, Json]] = {}
        self._wake = asyncio.Event()
        self._busy: dict[tuple[AgentKey, str], asyncio.Task[None]] = {}
        self._saving = asyncio.Lock()

    def heard(self, resource: Resource, item: Json, before: Json | None) -> None:
        """A change of the cache. It returns at once."""
        if resource not in (AGENT_MODELS, TRAINING_RUNS, ROLLOUTS):
            return
        metadata = item["metadata"]
        name = metadata["name"] if resource == AGENT_MODELS else agent_model_of(item)
        key = (metadata["namespace"], name)
        if before is not None and _last(before) == _last(item) and resource != AGENT_MODELS:
            return
        if resource != AGENT_MODELS and self._reader.cache.get(resource, key[0], metadata["name"]) is None:
            self._gone[metadata["uid"]] = key, resource, item
            while len(self._gone) > GONE_KEPT:
                self._gone.pop(next(iter(self._gone)))
        self._look_at(key, after=0.0)

    async def run(self) -> None:
        """Runs until it is cancelled."""
        for item in self._reader.cache.list(AGENT_MODELS):
            self._look_at((item["metadata"]["namespace"], item["metadata"]["name"]), after=0.0)
        try:
            while True:
                await self._pause()
                now = self._clock.monotonic()
                for key in [one for one, at in self._changed.items() if at <= now]:
                    self._changed.pop(key, None)
                    try:
                        await self._look(key)
                    except (Conflict, Missing, Refused, Unavailable, Uncertain, NotLeader) as error:
                        _log.info("notifications of %s/%s wait: %s", *key, error)
                        self._look_at(key, after=AFTER_FAILURE_SECONDS)
                    except Exception:  # noqa: BLE001 - the end of this task would end the operator's process
                        _log.exception("notifications of %s/%s failed", *key)
                        self._look_at(key, after=LONGEST_PAUSE_SECONDS)
        finally:
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)
            await self._sender.close()

    async def _pause(self) -> None:
        wait = min(self._changed.values(), default=None)
        left = None if wait is None else max(0.0, wait - self._clock.monotonic())
        if left != 0.0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._wake.wait()
        self._wake.clear()

    def _look_at(self, key: AgentKey, *, after: float) -> None:
        at = self._clock.monotonic() + after
        self._changed[key] = min(at, self._changed.get(key, at))
        self._wake.set()

    async def _look(self, key: AgentKey) -> None:
        """Starts what is due of an agent: one notification for each receiver."""
        agent = self._reader.agent_model(*key)
        if agent is None:
            self._agents.pop(key, None)
            return
        receivers = self._receivers(agent)
        if not receivers:
            self._agents.pop(key, None)
            return
        known = self._agents.setdefault(key, _Agent())
        await self._load(key, agent, known, {name: wishes_of(one) for name, one in receivers.items()})
        for name, receiver in receivers.items():
            busy = self._busy.get((key, name))
            if busy is not None and not busy.done():
                continue
            due = next(self._due(key, agent, known, name, receiver), None)
            if due is None:
                known.trials.pop(name, None)
                continue
            trial = known.trials.get(name)
            now = self._clock.monotonic()
            if trial is None or trial.id != due.id:
                trial = known.trials[name] = _Trial(id=due.id, since=now)
            if trial.not_before > now:
                self._look_at(key, after=trial.not_before - now)
                continue
            self._busy[key, name] = asyncio.create_task(
                self._tell(key, agent, known, receiver, name, due, trial)
            )

    def _receivers(self, agent: AgentModel) -> dict[str, Notification]:
        found = {one.name: one for one in agent.spec.notifications}
        if self._installation is not None:
            found[INSTALLATION] = self._installation.receiver
        return found

    def _due(
        self, key: AgentKey, agent: AgentModel, known: _Agent, name: str, receiver: Notification
    ) -> Iterator[Notice]:
        """What the receiver has not been told, the oldest first."""
        delivered, now = known.delivered, self._clock.now()
        if delivered is None:
            return
        waiting: list[tuple[Transition, Told]] = []
        for value in self._objects(key, agent):
            uid = value.metadata.uid
            waiting += [
                (entry, value)
                for entry in value.status.history
                if delivered.is_due(name, uid, entry, now=now)
            ]
        waiting.sort(key=lambda one: (one[0].at, one[1].kind, one[0].number))
        for entry, value in waiting:
            undo = isinstance(value, Rollout) and value.status.intent is None
            found = occasion(value.kind, entry, undo=undo)
            notice = notice_of(value, entry, agent) if found is not None else None
            if found is not None and notice is not None and is_wanted(receiver, found, entry.reason):
                yield notice

    def _objects(self, key: AgentKey, agent: AgentModel) -> Iterator[Told]:
        yield agent
        for item in self._items(key, TRAINING_RUNS):
            run = self._reader.parsed(TrainingRun, item)
            if run is not None:
                yield run
        for item in self._items(key, ROLLOUTS):
            rollout = self._reader.parsed(Rollout, item)
            if rollout is not None:
                yield rollout

    def _items(self, key: AgentKey, resource: Resource) -> Iterator[Json]:
        """The agent's objects of a kind that have a history, and those that were deleted a while ago."""
        for item in self._reader.cache.list(resource, namespace=key[0]):
            if agent_model_of(item) == key[1] and _last(item):
                yield item
        yield from (item for of, gone, item in self._gone.values() if (of, gone) == (key, resource))

    async def _tell(
        self,
        key: AgentKey,
        agent: AgentModel,
        known: _Agent,
        receiver: Notification,
        name: str,
        notice: Notice,
        trial: _Trial,
    ) -> None:
        """One try, and what follows from it."""
        try:
            result = await self._send(key[0], receiver, name, notice)
            trial.tries += 1
            self._count(receiver.type.value, "failed" if result.problem else "sent")
            if not result.problem:
                await self._done(key, agent, known, name, notice)
                return
            now, pause = self._clock.monotonic(), self._first_pause * 2 ** min(trial.tries - 1, 20)
            pause = min(LONGEST_PAUSE_SECONDS, max(pause, result.retry_after or 0.0))
            trial.not_before = now + pause
            if result.final or now - trial.since + pause > GIVE_UP_SECONDS:
                await self._give_up(key, agent, known, receiver, name, notice, trial, result)
            elif trial.problem != result.problem:
                trial.problem = result.problem
                _log.warning(
                    "notification %s to %s of %s/%s was not sent, it is tried again: %s",
                    notice.id,
                    _called(name),
                    *key,
                    result.problem,
                )
        except (Conflict, Missing, Refused, Unavailable, Uncertain, NotLeader) as error:
            trial.not_before = self._clock.monotonic() + self._first_pause
            _log.info("notification %s waits: %s", notice.id, error)
        except Exception:  # noqa: BLE001 - nothing awaits this task, and the receiver must get its next turn
            trial.not_before = self._clock.monotonic() + LONGEST_PAUSE_SECONDS
            _log.exception("notification %s failed", notice.id)
        finally:
            self._busy.pop((key, name), None)
            self._look_at(key, after=0.0)

    async def _send(self, namespace: str, receiver: Notification, name: str, notice: Notice) -> SendResult:
        url, key, problem = await self._address(namespace, receiver, name)
        if problem:
            return SendResult(problem=problem)
        body = body_of(receiver.type, notice)
        headers = {"Content-Type": content_type(receiver.type), "User-Agent": "modelops"}
        if key:
            moment = int(self._clock.now().timestamp())
            headers.update(signature_headers(key, id=notice.id, timestamp=moment, body=body))
        self._require_leadership()
        return await self._sender.send(url, body=body, headers=headers)

    async def _address(self, namespace: str, receiver: Notification, name: str) -> tuple[str, str, str]:
        """URL, key, and what is wrong with the Secrets."""
        if name == INSTALLATION and self._installation is not None:
            return self._installation.url, self._installation.key, ""
        path = f"spec.notifications[{name}]"
        url, problem = await self._credentials.token(namespace, receiver.url_from, f"{path}.urlFrom")
        if problem or receiver.signing_key_from is None:
            return url, "", problem
        reference = receiver.signing_key_from
        key, problem = await self._credentials.token(namespace, reference, f"{path}.signingKeyFrom")
        return url, key, problem

    async def _give_up(
        self,
        key: AgentKey,
        agent: AgentModel,
        known: _Agent,
        receiver: Notification,
        name: str,
        notice: Notice,
        trial: _Trial,
        result: SendResult,
    ) -> None:
        tries = "1 try" if trial.tries == 1 else f"{trial.tries} tries"
        message = f"{notice.title}: not sent to {_called(name)} after {tries}: {result.problem}"
        self._count(receiver.type.value, "given_up")
        _log.warning("notification %s of %s/%s is given up: %s", notice.id, *key, message)
        item = self._reader.cache.get(AGENT_MODELS, *key)
        if item is not None:
            await self._kube.event(item, reason="NotificationFailed", message=message, warning=True)
        await self._done(key, agent, known, name, notice)

    async def _done(self, key: AgentKey, agent: AgentModel, known: _Agent, name: str, notice: Notice) -> None:
        """Remembers it: here at once, so that it is not sent again, and in the ConfigMap."""
        uid, _, number = notice.id.rpartition(".")
        if known.delivered is not None and name in known.delivered.receivers:
            known.delivered = known.delivered.with_done(name, uid, int(number))
            known.is_saved = False
        await self._save(key, agent, known)

    async def _load(self, key: AgentKey, agent: AgentModel, known: _Agent, wishes: Mapping[str, str]) -> None:
        """Reads the ConfigMap once, and writes it where a receiver is new: nothing older is told to that one."""
        if known.delivered is None:
            item = await self._kube.get(CONFIG_MAPS, key[0], config_map_name(key[1]))
            known.version = item["metadata"]["resourceVersion"] if item is not None else ""
            known.delivered = Delivered.from_data(item.get("data") if item is not None else None)
        wanted = known.delivered.with_receivers(wishes, now=self._clock.now())
        if wanted != known.delivered:
            known.delivered, known.is_saved = wanted, False
        if not known.is_saved:
            await self._save(key, agent, known)

    async def _save(self, key: AgentKey, agent: AgentModel, known: _Agent) -> None:
        """One conditional write. After a conflict what both copies say is done."""
        async with self._saving:
            for _ in range(3):
                assert known.delivered is not None
                newest = {
                    one.metadata.uid: one.status.history[-1].at
                    for one in self._objects(key, agent)
                    if one.status.history
                }
                kept = known.delivered.without_old(newest, now=self._clock.now())
                body: Json = {"data": kept.to_data()}
                try:
                    if known.version:
                        body["metadata"] = {"resourceVersion": known.version}
                        answer = await self._kube.patch(CONFIG_MAPS, key[0], config_map_name(key[1]), body)
                    else:
                        answer = await self._kube.create(CONFIG_MAPS, _new_config_map(key, agent, body))
                except (Conflict, Missing):
                    item = await self._kube.get(CONFIG_MAPS, key[0], config_map_name(key[1]))
                    known.version = item["metadata"]["resourceVersion"] if item is not None else ""
                    known.delivered = kept.merged(
                        Delivered.from_data(item.get("data") if item is not None else None)
                    )
                    continue
                known.version, known.delivered = answer["metadata"]["resourceVersion"], kept
                known.is_saved = True
                return


def config_map_name(agent_model: str) -> str:
    """Name of the ConfigMap that says what was sent for an agent."""
    return f"{agent_model}-modelops-notified"


def _new_config_map(key: AgentKey, agent: AgentModel, body: Json) -> Json:
    """It is deleted with its AgentModel. It has no label, so that no watch of ours reads it."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": "AgentModel",
        "name": agent.metadata.name,
        "uid": agent.metadata.uid,
    }
    metadata = {"namespace": key[0], "name": config_map_name(key[1]), "ownerReferences": [owner]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, **body}


def _last(item: Json) -> int:
    """Number of the newest transition of an object; 0 where it has none."""
    history = (item.get("status") or {}).get("history") or ()
    return int(history[-1]["number"]) if history else 0


def _called(name: str) -> str:
    return "the installation's receiver" if name == INSTALLATION else f"spec.notifications[{name}]"
