"""`python -m modelops.runtime.installcheck operator|objects`: what `helm test` runs in the operator's image.

`operator`, as the operator's account: the operator is ready (`MODELOPS_READYZ_URL`), and the API server allows this
account everything that `MODELOPS_RIGHTS` lists. `objects`, as an account that may create them: the API server accepts
an AgentModel, a TrainingRun and a Rollout that only evaluates. These are dry runs, which store nothing.

`helm test` may follow `helm install` at once: what the API server does not know or answer yet is asked again.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import aiohttp

from modelops.adapters.kube import ConfigurationError
from modelops.adapters.kube.client import collection_path
from modelops.adapters.kube.connection import Connection
from modelops.adapters.kube.transport import Transport
from modelops.api.v1alpha1.names import API_VERSION
from modelops.engine.resources import AGENT_MODELS, ROLLOUTS, TRAINING_RUNS
from modelops.ports import Conflict, Json, Missing, Refused, Resource, Unavailable, Uncertain

READYZ_URL: Final = "MODELOPS_READYZ_URL"
RIGHTS: Final = "MODELOPS_RIGHTS"
READY_SECONDS: Final = 60.0
"""Time in which the operator must become ready."""
SETTLE_SECONDS: Final = 20.0
"""Time in which the API server must answer this Pod and know the roles and kinds that were just installed."""
_PAUSE_SECONDS: Final = 1.0
_REVIEWS: Final = Resource(
    group="authorization.k8s.io",
    version="v1",
    plural="selfsubjectaccessreviews",
    kind="SelfSubjectAccessReview",
)
_NAME: Final = "installcheck"
_SPECS: Final[dict[Resource, Json]] = {
    AGENT_MODELS: {
        "agent": _NAME,
        "baseline": {
            "model": "a/b",
            "endpoint": "openrouter",
            "endpointUrl": "https://openrouter.ai/api/v1",
            "apiKeyEnv": "OPENROUTER_API_KEY",
        },
        "config": {"configMapRef": {"name": "agents"}},
        "secretRefs": {"huggingFace": {"name": "modelops-tokens", "key": "hugging-face"}},
    },
    TRAINING_RUNS: {"agentModelRef": {"name": _NAME}, "baseModel": "a/b", "maxUSD": "1"},
    ROLLOUTS: {
        "agentModelRef": {"name": _NAME},
        "candidate": {"version": "v1.0.0"},
        "strategy": {"evaluateOnly": {}},
        "maxUSD": "1",
    },
}


@dataclass(frozen=True)
class Right:
    """One verb on one resource. `namespace` is empty for every namespace, `name` for every object."""

    namespace: str
    group: str
    resource: str
    name: str
    verb: str

    def __str__(self) -> str:
        what = f"{self.resource}{'.' if self.group else ''}{self.group}{f' {self.name}' if self.name else ''}"
        return f"{self.verb} {what} in {self.namespace or 'every namespace'}"

    def review(self) -> Json:
        """The SelfSubjectAccessReview that asks for this right."""
        resource, _, subresource = self.resource.partition("/")
        attributes = {
            "namespace": self.namespace,
            "group": self.group,
            "resource": resource,
            "subresource": subresource,
            "name": self.name,
            "verb": self.verb,
        }
        return {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": _REVIEWS.kind,
            "spec": {"resourceAttributes": attributes},
        }


def listed_rights(text: str) -> Iterator[Right]:
    """The rights of a JSON list of `{"namespaces": [...], "rules": [...]}`, with the rules of RBAC."""
    for part in json.loads(text):
        for namespace in part["namespaces"]:
            for rule in part["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for name in rule.get("resourceNames", [""]):
                            for verb in rule["verbs"]:
                                yield Right(namespace, group, resource, name, verb)


async def readiness_problems(url: str, *, seconds: float) -> list[str]:
    """Asks /readyz until it answers 200, for at most `seconds`; the last answer is the problem."""
    problem = ""
    try:
        async with asyncio.timeout(seconds), aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.get(url) as response:
                        text = await response.text()
                        if response.status == 200:
                            return []
                        problem = f"the operator is not ready: {url} answers {response.status}: {text}"
                except aiohttp.ClientError as error:
                    problem = f"the operator does not answer at {url}: {error}"
                await asyncio.sleep(_PAUSE_SECONDS)
    except TimeoutError:
        return [problem or f"the operator does not answer at {url} within {seconds:.0f} s"]


async def rights_problems(transport: Transport, rights: Sequence[Right]) -> list[str]:
    """The rights that the API server does not give to this account."""
    problems = []
    for right in rights:
        path = collection_path(_REVIEWS, None)
        answer = await transport.call("create", path, plural=_REVIEWS.plural, body=right.review())
        if not answer["status"].get("allowed"):
            problems.append(f"the operator's account may not {right}: grant it, or set rbac.create to true")
    return problems


async def object_problems(transport: Transport, namespace: str) -> list[str]:
    """The kinds of which the API server refuses to create an object; nothing is stored."""
    problems = []
    for resource, spec in _SPECS.items():
        body = {
            "apiVersion": API_VERSION,
            "kind": resource.kind,
            "metadata": {"name": _NAME, "namespace": namespace},
            "spec": spec,
        }
        try:
            await transport.call(
                "create",
                collection_path(resource, namespace),
                plural=resource.plural,
                params={"dryRun": "All", "fieldValidation": "Strict"},
                body=body,
            )
        except Conflict:  # An object of this name exists: the API server got that far.
            continue
        except (Missing, Refused) as error:
            problems.append(f"{resource.kind}: {error}")
    return problems


async def lasting_problems(ask: Callable[[], Awaitable[list[str]]], *, seconds: float) -> list[str]:
    """What `ask` still returns, or fails with, once `seconds` have passed; it is asked until it has no problem."""
    end = time.monotonic() + seconds
    while True:
        try:
            problems = await ask()
        except (Unavailable, Uncertain, Refused) as error:
            problems = [str(error)]
        if not problems or time.monotonic() >= end:
            return problems
        await asyncio.sleep(_PAUSE_SECONDS)


async def check(what: str, *, ready_seconds: float, settle_seconds: float) -> list[str]:
    """Carries out one of the two checks; returns the problems."""
    connection = Connection.discover()
    async with Transport(connection) as transport:
        if what == "objects":
            return await lasting_problems(
                lambda: object_problems(transport, connection.namespace), seconds=settle_seconds
            )
        rights = list(listed_rights(os.environ[RIGHTS]))
        return [
            *await lasting_problems(lambda: rights_problems(transport, rights), seconds=settle_seconds),
            *await readiness_problems(os.environ[READYZ_URL], seconds=ready_seconds),
        ]


def main(
    arguments: Sequence[str],
    *,
    ready_seconds: float = READY_SECONDS,
    settle_seconds: float = SETTLE_SECONDS,
) -> int:
    """Runs the check that is named; returns its exit code: 0 for no problem, 1 for problems, 2 for wrong usage."""
    if len(arguments) != 1 or arguments[0] not in ("operator", "objects"):
        sys.stderr.write("usage: python -m modelops.runtime.installcheck operator|objects\n")
        return 2
    try:
        problems = asyncio.run(
            check(arguments[0], ready_seconds=ready_seconds, settle_seconds=settle_seconds)
        )
    except ConfigurationError as error:
        problems = [str(error)]
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if not problems:
        sys.stdout.write(f"{arguments[0]}: everything is as it should be\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
