"""Plays operator processes, people and faults against each other, in an order drawn from a seed.

Every move has a name. A run is the list of its moves: it can be played again, and shortened until every
move that is left is needed for the failure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.api_server import ApiServer, Name
from tests.unit.rollout.objects import AGENT, AGENT_MODEL, FILE, RECORD, Json
from tests.unit.rollout.processes import Cloud, Process, Request, Time
from tests.unit.rollout.safety import ENDED, Safety, Violated, entry_of, identity, weight_of

from modelops.api.v1alpha1.names import STOP_CONFIG_MAP
from modelops.domain import agentsfile
from modelops.domain.agentsfile import editing, tree
from modelops.domain.record import Record, Target
from modelops.domain.rollout.state import same_target, stable_keys
from modelops.domain.undo import previous_version
from modelops.engine.executor import CONFIG_MAPS
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS
from modelops.ports import Conflict, Missing

FILE_NAME: Name = ("configmaps", FILE)
RECORD_NAME: Name = ("configmaps", RECORD)
AGENT_MODEL_NAME: Name = ("agentmodels", AGENT_MODEL)
STOP_NAME: Name = ("configmaps", STOP_CONFIG_MAP)
R1: Name = ("rollouts", "r1")
R2: Name = ("rollouts", "r2")
TICK_SECONDS = 6.0
LONG_SECONDS = 75.0
SILENT_SECONDS = 1900.0
"""No operator works for longer than a canary lasts without renewal."""
MOST_PASSES = 80

Moves = tuple[str, ...]


class parsed_once:  # noqa: N801  # reads as a function
    """A context in which each text of the agents' file is parsed once: parsing is pure and takes most of the time."""

    def __enter__(self) -> None:
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(editing, "read_tree_for", lru_cache(maxsize=4096)(tree.read_tree_for))
        self._patch.setattr(agentsfile, "parse", lru_cache(maxsize=4096)(agentsfile.parse))

    def __exit__(self, *_: object) -> None:
        self._patch.undo()


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """The objects at the start, and what may happen how often."""

    first: tuple[Json, ...] = field(default_factory=lambda: (objects.rollout("r1"),))
    later: tuple[Json, ...] = ()
    """Rollouts that a person creates at some moment."""
    events: frozenset[str] = frozenset()
    """Names out of: abort, delete, recreate, remove, lower, restore, stable, spoil, foreign, record, silence, field,
    direct, promote, pause, drill, stop."""
    event_count: int = 0
    takeovers: int = 0
    lost_answers: int = 0
    late_landings: int = 0
    drift_policy: str = "Hold"
    inconclusive: bool = False
    """Whether evaluations decide nothing, so that people approve what follows, at any moment."""

    @property
    def hostile(self) -> bool:
        return bool(self.events - {"foreign", "drill"}) and self.event_count > 0


class Run:
    """One run of a scenario: a list of moves and their effects."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        found: dict[Name, Json] = {}
        self.safety = Safety(found)
        self.before: dict[Name, Json] = {}
        """The version before the newest of each object."""
        self.server = ApiServer(self._written)
        self.server.objects = found
        self.time = Time()
        self.cloud = Cloud(starting=self._check_recorded, deleting=self._check_announced)
        self.safety.now = self.time.now
        self.moves: list[str] = []
        self.in_flight: list[Request] = []
        self.spoilt = ""
        """The text of the file before a person made it unreadable; empty while it is readable."""
        self.copies: list[str] = [objects.FILE_TEXT]
        self.later = list(scenario.later)
        self.remaining = {
            "event": scenario.event_count,
            "takeover": scenario.takeovers,
            "lost": scenario.lost_answers,
        }
        # While a person reviews one evaluation, another rollout may change what it holds for.
        self.disturbed = scenario.inconclusive and len(scenario.first) + len(scenario.later) > 1
        if scenario.inconclusive:
            self.cloud.evaluation |= {"verdict": "inconclusive", "recommendation": "review"}
        self._ran: dict[Name, object] = {}
        self._uids = 0
        agent = objects.agent_model(driftPolicy=scenario.drift_policy)
        self.server.create(AGENT_MODELS, agent, ours=False)
        self.server.create(CONFIG_MAPS, objects.agents_file(), ours=False)
        for item in scenario.first:
            self.server.create(ROLLOUTS, item, ours=False)
        self.leader = Process(self.server, self.cloud, self.time)
        self._watch_all()

    def _written(self, name: Name, before: Json | None, after: Json | None, ours: bool) -> None:
        if before is not None:
            self.before[name] = before
        self.safety(name, before, after, ours)

    def _check_recorded(self, endpoint: str) -> None:
        """Record and status must name an endpoint before it is created, because it bills."""
        agent, record = self.server.objects[AGENT_MODEL_NAME], self.server.objects.get(RECORD_NAME)
        shown = {e["name"] for e in agent["status"].get("endpoints", ())}
        recorded = {e.name for e in Record.from_data(record["data"]).endpoints} if record else set()
        if endpoint not in shown & recorded:
            raise Violated(f"I6_STARTED_OFF_THE_RECORD {endpoint}: record {recorded}, status {shown}")

    def _check_announced(self, endpoint: str) -> None:
        """The record must name the deletion of an endpoint before it is carried out, unless the record was deleted."""
        record = self.server.objects.get(RECORD_NAME)
        if record is None or "record" in self.scenario.events:
            return
        roles = {e.name: e.role for e in Record.from_data(record["data"]).endpoints}
        if roles.get(endpoint, "deleting") != "deleting":
            raise Violated(f"DELETED_UNANNOUNCED {endpoint}: {roles}")

    # --- what can happen

    def enabled(self) -> list[tuple[float, str]]:
        """The possible moves with their probabilities as weights."""
        found: list[tuple[float, str]] = []
        for name, worker in self.leader.workers.items():
            if worker.may_go_on:
                found.append((8.0, f"answer {name[0]}/{name[1]}"))
            if self.remaining["lost"] and worker.request is not None:
                found.append((0.5, f"busy {name[0]}/{name[1]}"))
                found.append((0.7, f"lose {name[0]}/{name[1]}"))
                if worker.request.writes:
                    found.append((0.7, f"delay {name[0]}/{name[1]}"))
        for name in self._reconciled():
            if name not in self.leader.workers and self._ran.get(name) != self._moment(name):
                found.append((4.0, f"start {name[0]}/{name[1]}"))
        found += [(2.0, f"watch {n[0]}/{n[1]}") for n in self._undelivered()]
        found += [(1.5, f"land {i}") for i in range(len(self.in_flight))]
        found.append((0.6, "tick"))
        if self.remaining["takeover"]:
            found += [(0.2, f"takeover {knowing}") for knowing in ("fresh", "stale", "behind")]
        found += [(1.0, f"create {i}") for i in range(len(self.later))]
        found += [(0.7, f"approve {name[1]}") for name in self._waiting()]
        if self.remaining["event"]:
            found += [(0.5, event) for event in self._events()]
        return found

    def _reconciled(self) -> list[Name]:
        names = [n for n in self.leader_names() if n[0] != "configmaps"]
        return sorted(names)

    def leader_names(self) -> set[Name]:
        return {n for n in self._all_names() if self.leader.knows(n) is not None}

    def _all_names(self) -> set[Name]:
        return {*self.server.objects, R1, R2, RECORD_NAME, STOP_NAME}

    def _undelivered(self) -> list[Name]:
        return sorted(n for n in self._all_names() if not self._is_delivered(n))

    def _is_delivered(self, name: Name) -> bool:
        cached, current = self.leader.knows(name), self.server.objects.get(name)
        if cached is None or current is None:
            return cached is current
        return bool(cached["metadata"]["resourceVersion"] == current["metadata"]["resourceVersion"])

    def _moment(self, name: Name) -> object:
        """Everything that a reconcile of this key would read: the same value means the same result."""
        versions = tuple(
            (
                n,
                (self.leader.knows(n) or {"metadata": {"resourceVersion": ""}})["metadata"][
                    "resourceVersion"
                ],
            )
            for n in sorted(self._all_names())
        )
        return id(self.leader), self.time.seconds, versions

    def _waiting(self) -> Iterator[Name]:
        """Rollouts with an offer that nobody has approved."""
        for name in (R1, R2):
            item = self.server.objects.get(name)
            digest = item["status"].get("approvalDigest") if item is not None else None
            if item is not None and digest and item["spec"].get("approval", {}).get("digest") != digest:
                yield name

    def _approve(self, name: Name) -> None:
        """As the admission policy has it: the digest is that of the stored status."""
        digest = self.server.objects[name]["status"]["approvalDigest"]
        approval = {"approvedBy": "mia", "digest": digest}
        self.server.edit(name, lambda item: item["spec"].update(approval=approval))

    def _open(self, name: Name, *, full: bool = False) -> None:
        """A person opens the pause in which the rollout is, or all. It only grows, as the API server has it."""

        def change(item: Json) -> None:
            promote = item["spec"].setdefault("promote", {})
            at = max(1, item["status"].get("step", 0), promote.get("throughStep", 0))
            promote.update({"full": True} if full else {"throughStep": at})

        self.server.edit(name, change)

    def _events(self) -> Iterable[str]:
        allowed = self.scenario.events
        block = None if self.spoilt else entry_of(self.server.objects.get(FILE_NAME)).routing
        for name in (R1, R2):
            item = self.server.objects.get(name)
            if item is None:
                if "recreate" in allowed and name == R1:
                    yield f"recreate {name[1]}"
                continue
            if "abort" in allowed and not item["spec"].get("abort") and not has_ended(item):
                yield f"abort {name[1]}"
            if "delete" in allowed and "deletionTimestamp" not in item["metadata"]:
                yield f"delete {name[1]}"
            if "promote" in allowed and not has_ended(item) and not is_opened(item):
                yield f"promote {name[1]}"
                yield f"full {name[1]}"
            if "pause" in allowed and not has_ended(item):
                yield f"{'resume' if item['spec'].get('paused') else 'pause'} {name[1]}"
        if "remove" in allowed and block is not None:
            yield "remove routing"
        if "lower" in allowed and weight_of(block) > 1:
            yield "lower weight"
        if "restore" in allowed:
            now = self.text()
            for i, text in enumerate(self.copies):
                if text != now:
                    yield f"restore {i}"
            if block is not None and now not in self.copies and len(self.copies) < 3:
                yield "remember file"
        if "stable" in allowed and not self.spoilt:
            yield "edit stable"
        if "spoil" in allowed:
            yield "repair file" if self.spoilt else "spoil file"
        if "foreign" in allowed and not self.spoilt:
            yield "edit another agent"
        if "silence" in allowed and weight_of(block) and not self.leader.workers:
            yield "silence"
        if "record" in allowed and RECORD_NAME in self.server.objects:
            yield "delete record"
        if "field" in allowed and RECORD_NAME in self.server.objects:
            yield "field v1.0.0"
        if "drill" in allowed and RECORD_NAME in self.server.objects:
            yield "drill rollback"
        if "stop" in allowed:
            yield from self._stops()
        if "direct" in allowed and not self.spoilt and self._previous() is not None:
            yield "direct undo"

    def _stops(self) -> Iterable[str]:
        yield "lift namespace" if STOP_NAME in self.server.objects else "stop namespace"
        of_agent = self.server.objects[AGENT_MODEL_NAME]["spec"].get("stop")
        yield "lift agent" if of_agent else "stop agent"

    def _stop(self, what: str, *, lift: bool = False) -> None:
        """A person sets or lifts an emergency stop; a new one counts the raises after it from zero."""
        self.safety.raised_after_emergency = 0
        if what == "agent":
            found = None if lift else {"reason": "costs"}
            self.server.edit(AGENT_MODEL_NAME, lambda item: item["spec"].update(stop=found))
        elif lift:
            self.server.delete(STOP_NAME)
        else:
            self._uids += 1
            self.server.create(CONFIG_MAPS, objects.stop(f"uid-stop-{self._uids}"), ours=False)

    def _previous(self) -> Target | None:
        """What `modelops rollback --direct` would go to now, where that changes anything."""
        if RECORD_NAME not in self.server.objects:
            return None
        record, entry = self.record(), entry_of(self.server.objects[FILE_NAME])
        target = record.served.get(previous_version(record, entry) or "")
        if target is None or (same_target(entry.stable, target) and not weight_of(entry.routing)):
            return None
        return target

    def _direct(self) -> None:
        """One conditional write of keys and mark, as `modelops rollback --direct` makes it."""
        record, target, entry = self.record(), self._previous(), entry_of(self.server.objects[FILE_NAME])
        assert target is not None
        found = entry.routing.generation if entry.routing else 0
        generation = max(found, record.marked, int(self.time.now().timestamp() * 1000)) + 1
        mark = agentsfile.RoutingBlock.undone(by="direct", to=target.version, generation=generation)
        self._write(agentsfile.edit(self.text(), AGENT, stable=stable_keys(target), routing=mark))

    def _ask_by_field(self, to: str) -> None:
        self._uids += 1
        undo = {"to": to, "id": f"undo-{self._uids}"}
        self.server.edit(AGENT_MODEL_NAME, lambda item: item["spec"].update(undo=undo))

    def text(self) -> str:
        return str(self.server.objects[FILE_NAME]["data"]["agents.yaml"])

    # --- doing it

    def play(self, move: str, *, trusted: bool = False) -> bool:
        """Makes the move and returns whether it was possible. `trusted` skips the check."""
        if not trusted and move not in {label for _, label in self.enabled()}:
            return False
        self.moves.append(move)
        verb, _, rest = move.partition(" ")
        kind, _, plain = rest.partition("/")
        name = (kind, plain)
        match verb:
            case "start":
                self._ran[name] = self._moment(name)
                self.leader.start(name)
            case "answer":
                self.leader.carry_out(name)
            case "busy":
                self.remaining["lost"] -= 1
                self.leader.refuse(name)
            case "lose":
                self.remaining["lost"] -= 1
                self.leader.lose(name, carried_out=True)
            case "delay":
                self.remaining["lost"] -= 1
                self.in_flight.append(self.leader.lose(name, carried_out=False))
            case "watch":
                self.leader.learn(name, self.server.objects.get(name))
            case "land":
                self._land(self.in_flight.pop(int(rest)))
            case "tick":
                self.time.seconds += TICK_SECONDS
            case "takeover":
                self._takeover(knowing=rest)
            case "approve":
                self._approve(("rollouts", rest))
            case "create":
                self._create(self.later.pop(int(rest)))
            case "remember":
                self.copies.append(self.text())
            case _:
                self.remaining["event"] -= 1
                self._event(verb, rest)
        return True

    def _create(self, item: Json) -> None:
        """A person creates it now: its time of creation, in whole seconds, is compared with that of an undo."""
        self.time.seconds += 1.0
        self.safety.asked_for(item)
        created = {**item["metadata"], "creationTimestamp": f"{self.time.now():%Y-%m-%dT%H:%M:%SZ}"}
        self.server.create(ROLLOUTS, {**item, "metadata": created}, ours=False)

    def _land(self, request: Request) -> None:
        with contextlib.suppress(Conflict, Missing):
            request.run()

    def _takeover(self, *, knowing: str) -> None:
        """Another process leads. Its cache is `fresh`, as `stale` as the old one, or one version `behind` for each object."""
        self.remaining["takeover"] -= 1
        old = self.leader
        self.in_flight += old.stop()
        self.leader = Process(self.server, self.cloud, self.time)
        for name in self._all_names():
            current = self.server.objects.get(name)
            if knowing == "stale":
                current = old.knows(name)
            elif knowing == "behind" and current is not None:
                current = self.before.get(name, current)
            self.leader.learn(name, current)

    def _event(self, verb: str, rest: str) -> None:
        crashes = self.scenario.takeovers + self.scenario.lost_answers > 0
        if verb != "drill" and (verb != "edit" or rest == "stable" or crashes):
            # After a crash between intent and file and a foreign edit, the operator cannot know whether its write happened.
            self.disturbed = True
        match verb:
            case "abort":
                self.server.edit(("rollouts", rest), lambda item: item["spec"].update(abort=True))
            case "promote" | "full":
                self._open(("rollouts", rest), full=verb == "full")
            case "pause" | "resume":
                paused = verb == "pause"
                self.server.edit(("rollouts", rest), lambda item: item["spec"].update(paused=paused))
            case "delete" if rest == "record":
                self.server.delete(RECORD_NAME)
            case "delete":
                self.server.delete(("rollouts", rest))
            case "recreate":
                self._uids += 1
                self.server.create(
                    ROLLOUTS, objects.rollout(rest, uid=f"uid-{rest}-again{self._uids}"), ours=False
                )
            case "remove":
                self._write(agentsfile.with_routing(self.text(), AGENT, None))
            case "lower":
                self._write(with_lower_weight(self.text()))
            case "restore":
                self._write(self.copies[int(rest)])
            case "spoil":
                self.spoilt = self.text()
                self._write("agents: [")
            case "repair":
                self._write(self.spoilt)
            case "direct":
                self._direct()
            case "stop" | "lift":
                self._stop(rest, lift=verb == "lift")
            case "field":
                self._ask_by_field(rest)
            case "drill":
                self._uids += 1
                drill = {"id": f"drill-{self._uids}"}
                self.server.edit(AGENT_MODEL_NAME, lambda item: item["spec"].update(drill=drill))
            case "silence":
                self.time.seconds += SILENT_SECONDS
            case "edit" if rest == "stable":
                self._write(self.text().replace("    model: ", "    model: elsewhere/", 1))
            case "edit":
                self._write(self.text() + f"# edited at {self.time.seconds}\n")

    def _write(self, text: str) -> None:
        self.spoilt = "" if text != "agents: [" else self.spoilt
        self.server.edit(FILE_NAME, lambda item: item["data"].update({"agents.yaml": text}))

    def _watch_all(self) -> None:
        for name in self._all_names():
            self.leader.learn(name, self.server.objects.get(name))

    # --- the end

    def close(self) -> None:
        """Without further faults: requests in flight are lost, watches deliver, and the leader works until it is idle."""
        self.in_flight.clear()
        if self.spoilt:
            self._write(self.spoilt)
        if self.server.objects[AGENT_MODEL_NAME]["spec"].get("stop"):
            self._stop("agent", lift=True)
        if STOP_NAME in self.server.objects:
            self._stop("namespace", lift=True)
        for item in self.later:
            self._create(item)
        self.later.clear()
        self.remaining = dict.fromkeys(self.remaining, 0)
        quiet = 0
        for _ in range(MOST_PASSES):
            before = len(self.server.writes)
            for name in list(self._waiting()):
                self._approve(name)
            self._let_go_on()
            self._pass()
            quiet = quiet + 1 if len(self.server.writes) == before else 0
            if quiet == 3:
                break
            self.time.seconds += LONG_SECONDS if quiet else TICK_SECONDS
        else:
            raise Violated(f"LIVELOCK: still writing {self.server.writes[-8:]}")
        self._end()
        self._restart()

    def _let_go_on(self) -> None:
        """People resume what they paused, and open each pause that waits for them."""
        for name in (R1, R2):
            item = self.server.objects.get(name)
            if item is None or has_ended(item):
                continue
            if item["spec"].get("paused"):
                self.server.edit(name, lambda item: item["spec"].update(paused=False))
            if item["status"].get("reason") == "WaitingForPromotion":
                self._open(name)

    def _pass(self) -> None:
        self._watch_all()
        for _ in range(400):
            if self.leader.workers:
                self.leader.carry_out(next(n for n, w in self.leader.workers.items() if w.may_go_on))
                self._watch_all()
                continue
            idle = [n for n in self._reconciled() if self._ran.get(n) != self._moment(n)]
            if not idle:
                return
            self._ran[idle[0]] = self._moment(idle[0])
            self.leader.start(idle[0])
        raise Violated(f"LIVELOCK in one moment: {self.server.writes[-8:]}")

    def _restart(self) -> None:
        before, created = len(self.server.writes), len(self.cloud.created)
        self.leader.stop()
        self.leader = Process(self.server, self.cloud, self.time)
        self._pass()
        if len(self.server.writes) != before or len(self.cloud.created) != created:
            raise Violated(f"I7_RESTART_WRITES {self.server.writes[before:]} {self.cloud.created[created:]}")

    def record(self) -> Record:
        return Record.from_data(self.server.objects[RECORD_NAME]["data"])

    def _end(self) -> None:
        entry, record, edited = (
            entry_of(self.server.objects[FILE_NAME]),
            self.record(),
            self.safety.stable_edited,
        )
        stable = entry.stable.model if entry.stable else None
        problems: list[str] = []
        if weight_of(entry.routing) > 0:
            problems.append(f"END weight {weight_of(entry.routing)}, active {record.active}")
        if record.undo is not None:
            problems.append(f"END undo never done: {record.undo}")
        if record.drill is not None:
            problems.append(f"END drill never ended: {record.drill}")
        if record.active is not None:
            problems.append(f"END agent lock never released by {record.active.uid}")
        if stable in self.safety.left and not edited:
            problems.append(f"END serves {stable}, which an undo left")
        if stable != record.stable.model and not edited:
            problems.append(f"END the file's stable is {stable}, the record's {record.stable.model}")
        for name in (R1, R2):
            item = self.server.objects.get(name)
            if item is not None:
                problems += self._end_of(item, record, stable)
        problems += self._end_of_endpoints(record)
        if record.reservations:
            problems.append(f"END reservations {record.reservations}")
        if problems:
            raise Violated("; ".join(problems))

    def _end_of_endpoints(self, record: Record) -> Iterator[str]:
        kept = {record.stable.endpoint_name, record.previous.endpoint_name if record.previous else ""}
        # Within the rollback window an endpoint runs on that served until an undo left it.
        now = self.time.now().isoformat(timespec="seconds")
        kept |= {e.name for e in record.endpoints if e.stop_after > now}
        if wasted := set(self.cloud.endpoints) - kept:
            yield f"END endpoints {wasted} bill for nothing"
        if set(self.cloud.endpoints) != {e.name for e in record.endpoints}:
            yield f"END endpoints {set(self.cloud.endpoints)} but on record {record.endpoints}"

    def _end_of(self, item: Json, record: Record, stable: str | None) -> Iterator[str]:
        name, status = item["metadata"]["name"], item["status"]
        phase, edited = status.get("phase", "Pending"), self.safety.stable_edited
        undo = is_undo(item)
        candidate = objects.BASELINE["model"] if undo else objects.repo_of(name)
        if phase not in ENDED and not edited:
            yield f"END {name} is {phase} ({status.get('reason')})"
        if "deletionTimestamp" in item["metadata"]:
            yield f"END {name} is deleted and still there"
        promoted = {record.stable.model, record.previous.model if record.previous else None}
        ours = status.get("reason") != "AlreadyCompleted"
        if phase == "Succeeded" and ours and candidate not in promoted and not self.safety.undone:
            yield f"END {name} Succeeded and is not promoted"
        if phase == "Aborted" and ours and stable == candidate and not edited and not undo:
            yield f"END {name} Aborted and its model is stable in the file"
        # An undo ends the rollout that is active, and one that was created before it.
        by_undo = status.get("reason") in {
            "LeftByUndo",
            "VersionUndone",
            "Superseded",
            "SupersededByRollout",
        }
        if not self.disturbed and phase != "Succeeded" and not by_undo:
            yield f"I7 nothing but crashes and lost answers, and {name} is {phase} ({status.get('reason')})"
        if phase in ENDED and identity(item) not in record.completed:
            yield f"END {name} is over and not on record"


def is_undo(item: Json) -> bool:
    return "version" in item["spec"]["candidate"]


def is_opened(item: Json) -> bool:
    """Whether a person has opened all pauses."""
    return bool(item["spec"].get("promote", {}).get("full"))


def has_ended(item: Json) -> bool:
    return item["status"].get("phase") in ENDED


def with_lower_weight(text: str) -> str:
    """The file with a lower weight and no other change."""
    from dataclasses import replace

    block = agentsfile.parse(text, AGENT).routing
    assert block is not None
    assert block.canary is not None
    return agentsfile.with_routing(text, AGENT, replace(block, canary=replace(block.canary, weight=1)))
