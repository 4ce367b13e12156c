"""The AgentModel's reconcile asks for sessions only while a promotion is watched, and only for those since then."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from tests.unit.engine.test_installations_token import AgentWithoutSecret, Reports
from tests.unit.training.objects import empty_record

from modelops.domain.record import Watch
from modelops.ports import AgentReports


@pytest.mark.parametrize("watched", [True, False])
async def test_sessions_are_asked_for_where_they_are_judged(
    monkeypatch: pytest.MonkeyPatch, watched: bool
) -> None:
    asked: list[dict[str, Any]] = []

    def summary(self: Reports, namespace: str, agent: str, **given: Any) -> AgentReports:
        asked.append(given)
        return AgentReports(expected=0, heard=0, in_sync=0, canary_reachable=0)

    monkeypatch.setattr(Reports, "summary", summary)
    record = empty_record()
    bench = AgentWithoutSecret(record)
    since = f"{bench.time.now() - timedelta(seconds=90):%Y-%m-%dT%H:%M:%SZ}"
    stable = record.stable.model_copy(update={"since": since})
    watch = Watch(version=stable.version, back="v0", until="2999-01-01T00:00:00+00:00", uid="u", name="r")
    bench = AgentWithoutSecret(record.with_(stable=stable, watch=watch if watched else None))
    await bench.reconcile()
    assert asked[0]["with_sessions"] is watched
    assert asked[0]["stable_seconds"] == (pytest.approx(90, abs=2) if watched else None)
