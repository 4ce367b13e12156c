"""`modelops watch`: a live tree of a run or rollout, or of all that run."""

from __future__ import annotations

import argparse
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from modelops.cli import output, session

if TYPE_CHECKING:
    from modelops.api.v1alpha1.rollout import Rollout
    from modelops.api.v1alpha1.trainingrun import TrainingRun
    from modelops.client import AsyncClient, Event

REDRAW_SECONDS = 1.0
"""Time between two pictures where nothing changes but the clock."""


def register(subparsers: Any) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "watch",
        help="follow a run or rollout, or all that run",
        description="Show a run or rollout as a tree that follows each change, until it has ended. Without a name, "
        "show all of the namespace that have not ended, until you press Ctrl-C. With -o json each "
        "change is a line with the whole object. Exit status 0: it did what was asked; 1: it did not, or there is none "
        "of that name; 2: no cluster.",
    )
    session.add_named(
        parser,
        "name",
        *("rollouts", "training_runs"),
        nargs="?",
        help="name of a Rollout or TrainingRun, or kind/name",
    )
    parser.add_argument("--once", action="store_true", help="show it once")
    output.add_arguments(parser)
    session.add_arguments(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    return session.run_with_client("watch", arguments, _watch)


async def _watch(client: AsyncClient, arguments: argparse.Namespace) -> int:
    from rich.console import Console, Group
    from rich.live import Live

    from modelops.api.v1alpha1.agentmodel import AgentModel
    from modelops.cli.explain import kind_and_name
    from modelops.client import NotFound, has_finished
    from modelops.tools.conditions import has_succeeded
    from modelops.tools.errors import ToolRefused
    from modelops.tools.explaining import find_object

    shown = Shown(await client.namespace())
    console = Console()
    wanted = None
    if arguments.name:
        kind, name = kind_and_name(arguments.name)
        wanted = await find_object(client, name, kind=kind)
        if isinstance(wanted, AgentModel):
            raise ToolRefused(f"{name} is an AgentModel: use `modelops explain {name}`")
        shown.add(wanted)
    if arguments.once:
        if wanted is None:
            listed: list[TrainingRun | Rollout] = [*(await client.training_runs.list()).items]
            listed += (await client.rollouts.list()).items
            for one in listed:
                if not has_finished(one):
                    shown.add(one)
        if arguments.output != "table":
            found = shown.values()
            names = [(one.kind, one.metadata.name) for one in found]
            output.show(found, arguments.output, names=names, table=lambda: None)
            return 0
        console.print(Group(*shown.trees()))
        return 0
    if arguments.output != "table" or not console.is_terminal or console.is_dumb_terminal:
        return await _lines(client, wanted, form=arguments.output)
    with Live(console=console, auto_refresh=False) as live:
        async with aclosing(_events(client, wanted)) as events:
            async for event in events:
                if event is not None and event.value is not None:
                    shown.add(event.value, gone=event.type.value == "DELETED")
                live.update(Group(*shown.trees()), refresh=True)
                if wanted is not None and event is not None and event.type.value == "DELETED":
                    raise NotFound(f"{wanted.kind} {wanted.metadata.name} was deleted")
                last = shown.of(wanted)
                if last is not None and has_finished(last):
                    return 0 if has_succeeded(last) else 1
    return 0


async def _lines(client: AsyncClient, wanted: Any, *, form: str) -> int:
    """Without a terminal: a line for each change of what is shown, or the object in another form."""
    from modelops.cli.progress import line_of
    from modelops.client import NotFound, has_finished
    from modelops.tools.conditions import has_succeeded

    before: dict[str, str] = {}
    async with aclosing(_events(client, wanted)) as events:
        async for event in events:
            if wanted is not None and event is not None and event.type.value == "DELETED":
                raise NotFound(f"{wanted.kind} {wanted.metadata.name} was deleted")
            if event is None or event.value is None:
                continue
            value = event.value
            line = line_of(value)
            if before.get(value.metadata.uid) != line and (wanted is not None or not has_finished(value)):
                before[value.metadata.uid] = line
                if form == "table":
                    print(f"{datetime.now(UTC):%H:%M:%S} {line}", flush=True)
                else:
                    output.print_next(value, form, name=(value.kind, value.metadata.name))
            if wanted is not None and has_finished(value):
                return 0 if has_succeeded(value) else 1
    return 0


class Shown:
    """The objects that are shown, with the losses that were seen."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._values: dict[str, TrainingRun | Rollout] = {}
        self._losses: dict[str, list[float]] = {}

    def add(self, value: TrainingRun | Rollout, *, gone: bool = False) -> None:
        """Show this state of an object, or no longer show it."""
        from modelops.api.v1alpha1.trainingrun import TrainingRun
        from modelops.tools.conditions import number

        uid = value.metadata.uid
        self._values.pop(uid, None) if gone else self._values.update({uid: value})
        if isinstance(value, TrainingRun) and value.status.progress is not None:
            loss, seen = number(value.status.progress.loss), self._losses.setdefault(uid, [])
            if loss is not None and (not seen or seen[-1] != loss):
                seen.append(loss)

    def of(self, wanted: Any) -> TrainingRun | Rollout | None:
        """The newest state of that object."""
        return self._values.get(wanted.metadata.uid) if wanted is not None else None

    def values(self) -> list[TrainingRun | Rollout]:
        """All objects, the oldest first."""
        return sorted(self._values.values(), key=lambda one: str(one.metadata.creation_timestamp))

    def trees(self) -> list[Any]:
        """A tree for each object, the oldest first."""
        from modelops.cli.object_tree import tree_of

        now = datetime.now(UTC)
        seen = self._losses
        trees = [tree_of(one, losses=seen.get(one.metadata.uid, ()), now=now) for one in self.values()]
        return trees or [f"nothing runs in namespace {self._namespace}"]


async def _events(client: AsyncClient, wanted: Any) -> AsyncGenerator[Event[Any] | None, None]:
    """The events of the object, or of all runs and rollouts that have not ended; None where only time has passed."""
    import asyncio

    from modelops.client import has_finished

    queue: asyncio.Queue[Event[Any] | BaseException] = asyncio.Queue()
    kinds = [
        one
        for one in (client.training_runs, client.rollouts)
        if wanted is None or one.resource.kind == wanted.kind
    ]

    async def follow(kind: Any) -> None:
        name, seen = None, []
        if wanted is not None:  # An earlier state, so that its present one, or its deletion since, is told.
            name = wanted.metadata.name
            seen = [{"metadata": {"name": name, "uid": wanted.metadata.uid, "resourceVersion": ""}}]
        try:
            async with aclosing(kind.watch(name, seen=seen)) as events:
                async for event in events:
                    await queue.put(event)
        except Exception as error:  # noqa: BLE001 - it is raised where the events are taken
            await queue.put(error)

    tasks = [asyncio.create_task(follow(kind)) for kind in kinds]
    known: set[str] = set()
    try:
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), REDRAW_SECONDS)
            except TimeoutError:
                yield None
                continue
            if isinstance(event, BaseException):
                raise event
            uid = event.stored["metadata"]["uid"]
            ended_before = event.value is not None and has_finished(event.value) and uid not in known
            if wanted is None and ended_before:
                continue
            known.add(uid)
            yield event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
