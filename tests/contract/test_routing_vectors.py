"""The router, the operator's reader and a reference implementation agree on the published vectors."""

import json
import unicodedata
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from modelops.domain.agentsfile import MalformedAgentsFile, parse
from modelops.router import Router, bucket_of
from modelops.router.agents_yaml import ConfigProblem, read_table

VECTORS: dict[str, Any] = json.loads(Path(__file__).with_name("routing_vectors.json").read_text())


def reference_bucket(salt: str, key: str) -> int:
    """The bucket by the contract, with other operations than those of the router."""
    hashed = sha256((salt + "\n" + unicodedata.normalize("NFC", key)).encode("utf-8")).hexdigest()
    return int(hashed[:8], 16) * 10_000 // 2**32


def reference_tracks(text: str, agent: str, now: datetime, keys: list[str]) -> dict[str, str]:
    routing = parse(text, agent).routing
    canary = routing.canary if routing and routing.rollout.state == "Progressing" else None
    if routing is None or canary is None:
        return dict.fromkeys(keys, "stable")
    if routing.canary_until and now >= datetime.fromisoformat(routing.canary_until):
        return dict.fromkeys(keys, "stable")
    on_canary = {key: reference_bucket(routing.salt, key) < canary.weight * 100 for key in keys}
    return {key: "canary" if chosen else "stable" for key, chosen in on_canary.items()}


def named(group: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in VECTORS[group]]


def test_every_bucket_is_as_published() -> None:
    for case in VECTORS["buckets"]:
        assert bucket_of(case["salt"], case["key"]) == case["bucket"], case
        assert reference_bucket(case["salt"], case["key"]) == case["bucket"], case


@pytest.mark.parametrize("case", named("files"))
def test_the_router_picks_the_published_tracks(case: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "agents.yaml"
    file.write_bytes(case["text"].encode())
    now = datetime.fromisoformat(case["now"])
    with Router(case["agent"], file=file, watch=None, clock=now.timestamp) as router:
        assert {key: router.pick(key).track for key in case["tracks"]} == case["tracks"]
        assert router.state().config_errors == 0


@pytest.mark.parametrize("case", named("files"))
def test_the_reader_of_the_operator_gives_the_published_tracks(case: dict[str, Any]) -> None:
    now = datetime.fromisoformat(case["now"])
    tracks = reference_tracks(case["text"], case["agent"], now, list(case["tracks"]))
    assert tracks == case["tracks"]


@pytest.mark.parametrize("case", named("malformed"))
def test_the_router_and_the_operator_refuse_the_same_files(case: dict[str, Any]) -> None:
    with pytest.raises(ConfigProblem):
        read_table(case["text"], case["agent"])
    with pytest.raises(MalformedAgentsFile) as refused:
        parse(case["text"], case["agent"])
    assert refused.value.line >= 1
    assert refused.value.column >= 1
