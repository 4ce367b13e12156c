"""What a notification says, in each of the three forms, and what it never says."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.unit.rollout import objects
from tests.unit.rollout.rollout_driver import parsed

from modelops.adapters.notifications.http_sender import HttpSender, PublicResolver, problem_of, result_of
from modelops.api.v1alpha1.agentmodel import AgentModel
from modelops.api.v1alpha1.history import AgentModelTransition, RolloutTransition, TrainingTransition
from modelops.api.v1alpha1.notification import Notification, NotificationType, Severity
from modelops.api.v1alpha1.rollout import Rollout
from modelops.domain.notifications.delivered import Delivered
from modelops.domain.notifications.formats import body_of, signature_headers
from modelops.domain.notifications.hosts import NotificationHosts
from modelops.domain.notifications.notice import Notice, notice_of
from modelops.domain.notifications.occasions import is_wanted, occasion_of

AT = datetime(2025, 12, 10, 9, 1, tzinfo=UTC)


def a_rollout(**status: Any) -> Rollout:
    item = objects.rollout()
    item["status"] = {
        "phase": "Aborted",
        "candidate": {"version": "v1.1.0-rc.1", "model": "org/m"},
        "intent": {"step": 1, "weight": 20, "generation": 5},
        "rollback": {"writeMilliseconds": 40},
        **status,
    }
    return parsed(Rollout, item)


def an_entry(reason: str = "ErrorRateBreached", phase: str = "Aborted", **more: Any) -> RolloutTransition:
    given = {
        "message": "worse: 30 of 40 canary sessions failed",
        "sessions": 40,
        "failed_sessions": 30,
        **more,
    }
    return RolloutTransition(number=7, at=AT, phase=phase, reason=reason, **given)


def a_notice(entry: RolloutTransition | None = None, **status: Any) -> Notice:
    agent = parsed(AgentModel, objects.agent_model())
    notice = notice_of(a_rollout(**status), entry or an_entry(), agent)
    assert notice is not None
    return notice


def test_slack_says_what_happened_the_numbers_and_what_to_do() -> None:
    document = json.loads(body_of(NotificationType.SLACK, a_notice()))
    assert document["text"].splitlines() == [
        "*Rollout r1 was aborted*  (team, agent docs)",
        "ErrorRateBreached: worse: 30 of 40 canary sessions failed",
        "candidate: v1.1.0-rc.1 · weight: 20 % · canary: 40 sessions, 30 failed · back on stable after: 0.04 s · "
        "limit: $500",
        "Read what happened: `modelops explain rollout/r1 -n team`",
    ]
    assert document["attachments"][0]["color"] == "#cf222e"


def test_whoever_must_approve_is_told_the_amount_and_the_command() -> None:
    offer = {"stage": "Cost", "highUSD": "12.50", "askedAt": "2025-12-10T09:00:00Z"}
    notice = a_notice(an_entry("NeedsApproval", "AwaitingApproval"), phase="AwaitingApproval", offer=offer)
    assert ("to approve", "Cost, up to $12.50") in notice.facts
    assert notice.commands[0] == ("Approve it", "modelops approve r1 -n team")
    assert notice.severity is Severity.WARNING


def test_a_status_cannot_mention_a_channel_or_write_a_link_in_slack() -> None:
    said = "<!channel> <https://evil.example|click>\nand `code`"
    text = json.loads(body_of(NotificationType.SLACK, a_notice(an_entry(message=said))))["text"]
    assert "<!channel>" not in text
    assert "<https://evil.example" not in text
    assert "&lt;!channel&gt;" in text


def test_a_cloud_event_has_what_the_specification_requires() -> None:
    event = json.loads(body_of(NotificationType.CLOUD_EVENTS, a_notice()))
    uid = a_rollout().metadata.uid
    assert {name: event[name] for name in ("specversion", "id", "source", "type", "subject", "time")} == {
        "specversion": "1.0",
        "id": f"{uid}.7",
        "source": "/apis/modelops.code-chef.dev/v1alpha1/namespaces/team/rollouts/r1",
        "type": "dev.code-chef.modelops.rollout.ErrorRateBreached",
        "subject": "docs",
        "time": "2025-12-10T09:01:00Z",
    }
    assert event["data"]["severity"] == "critical"


def test_the_body_is_the_same_at_each_try() -> None:
    for form in NotificationType:
        assert body_of(form, a_notice()) == body_of(form, a_notice())


def test_the_signature_is_that_of_the_specifications_example() -> None:
    # https://github.com/standard-webhooks/standard-webhooks, the example that its libraries are tested with.
    headers = signature_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("kind", "entry", "told"),
    [
        ("Rollout", an_entry("Promoted", "Succeeded"), "info"),
        ("Rollout", an_entry("EvaluatedOnly", "Succeeded"), "info"),
        ("Rollout", an_entry("AlreadyCompleted", "Succeeded"), None),
        ("Rollout", an_entry("EvaluationFailed", "Rejected"), "warning"),
        ("Rollout", an_entry("OverBudget", "Failed"), "warning"),
        ("Rollout", an_entry("AbortedByUser", "Aborted"), "warning"),
        ("Rollout", an_entry("Aborting", "Progressing"), None),
        ("Rollout", an_entry("WaitingForPromotion", "Progressing"), "warning"),
        ("Rollout", an_entry("MetricFailed"), "critical"),
        ("Rollout", an_entry("Watching", "Progressing"), None),
        ("Rollout", an_entry("TokenRefused", "Evaluating"), "warning"),
        ("Rollout", an_entry("ApprovalStale", "AwaitingApproval"), None),
        ("TrainingRun", TrainingTransition(number=1, at=AT, phase="Succeeded", reason="Trained"), "info"),
        ("TrainingRun", TrainingTransition(number=1, at=AT, phase="Succeeded", reason="Estimated"), None),
        ("TrainingRun", TrainingTransition(number=1, at=AT, phase="Failed", reason="JobFailed"), "warning"),
        ("TrainingRun", TrainingTransition(number=1, at=AT, phase="Running", reason="JobRunning"), None),
        ("AgentModel", AgentModelTransition(number=1, at=AT, reason="WentBack"), "warning"),
        ("AgentModel", AgentModelTransition(number=1, at=AT, reason="BudgetExhausted"), "warning"),
        ("AgentModel", AgentModelTransition(number=1, at=AT, reason="VersionServes"), None),
    ],
)
def test_which_transitions_are_told(kind: str, entry: Any, told: str | None) -> None:
    found = occasion_of(kind, entry)
    assert (found.severity.value if found is not None else None) == told


def test_an_undo_is_told_once_of_the_agent_that_went_back() -> None:
    assert occasion_of("Rollout", an_entry("Promoted", "Succeeded"), undo=True) is None
    assert occasion_of("Rollout", an_entry("EndpointFailed", "Failed"), undo=True) is not None


def test_a_receiver_gets_the_reasons_and_the_severity_that_it_asked_for() -> None:
    def receiver(**wishes: Any) -> Notification:
        return Notification(name="a", type=NotificationType.SLACK, url_from={"name": "s"}, **wishes)

    aborted = occasion_of("Rollout", an_entry())
    assert aborted is not None
    assert is_wanted(receiver(min_severity="critical"), aborted, "ErrorRateBreached")
    assert not is_wanted(receiver(reasons=("Promoted",)), aborted, "ErrorRateBreached")
    promoted = occasion_of("Rollout", an_entry("Promoted", "Succeeded"))
    assert promoted is not None
    assert not is_wanted(receiver(min_severity="warning"), promoted, "Promoted")


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x",
        "https://10.0.0.1/x",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/x",
        "https://[fd00::1]/x",
        "https://[::ffff:10.0.0.1]/x",
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://kubernetes.default.svc/x",
        "https://kubernetes/x",
        "https://metadata.google.internal/x",
        "https://2130706433/x",
        "https://b\u00fccher.example/x",
        "https://[64:ff9b::a00:1]/x",
        "https://[2002:a00:1::]/x",
        "https://[::10.0.0.1]/x",
        "https://user:word@hooks.example.com/x",
        "https://hooks.example.com\\@evil/x",
        "ftp://hooks.example.com/x",
        "file:///etc/passwd",
        "",
    ],
)
def test_addresses_inside_and_odd_urls_are_refused_without_being_repeated(url: str) -> None:
    refusal = NotificationHosts().refusal(url)
    assert refusal
    assert "/x" not in refusal
    assert "word" not in refusal.replace("password", "")


def test_a_listed_host_may_be_inside_and_without_https() -> None:
    hosts = NotificationHosts(added=("http://alerts.team.svc:9000", "10.0.0.1"))
    assert hosts.refusal("http://alerts.team.svc:9000/x") == ""
    assert hosts.refusal("https://10.0.0.1/x") == ""
    assert hosts.refusal("http://alerts.team.svc/x") != ""
    assert hosts.refusal("https://hooks.slack.com/services/x") == ""
    assert NotificationHosts(loopback=True).refusal("https://hooks.slack.com/x") != ""


class _Names:
    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[Any]:
        return [{"host": {"public.example": "1.1.1.1"}.get(host, "10.0.0.9"), "port": port}]

    async def close(self) -> None:
        pass


async def test_a_public_name_that_leads_inside_is_refused_at_the_connection() -> None:
    resolver = PublicResolver(frozenset({"listed.example"}), inner=_Names())  # type: ignore[arg-type]
    assert await resolver.resolve("public.example")
    assert await resolver.resolve("listed.example")
    with pytest.raises(OSError, match="not public") as raised:
        await resolver.resolve("rebound.example")
    assert "have the host added" in problem_of(raised.value)


async def test_a_name_that_is_not_resolved_takes_no_thread_of_the_operator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked, answered = threading.Event(), threading.Event()

    def unanswered(*_: Any, **__: Any) -> list[Any]:
        asked.set()
        answered.wait(10)
        raise socket.gaierror("no answer")

    monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    sender = HttpSender(NotificationHosts(), total_seconds=5)
    sent = asyncio.create_task(sender.send("https://hooks.example/x", body=b"", headers={}))
    try:
        async with asyncio.timeout(4):
            while not asked.is_set():
                await asyncio.sleep(0.01)
        async with asyncio.timeout(2):
            await asyncio.to_thread(int)
    finally:
        answered.set()
    assert (await sent).problem == "its name cannot be resolved"


def test_a_key_that_is_no_base64_signs_as_it_is() -> None:
    headers = [
        signature_headers(key, id="1", timestamp=1, body=b"") for key in ("whsec_\u00e9", "whsec_\u00e8")
    ]
    assert headers[0]["webhook-signature"] != headers[1]["webhook-signature"]


def test_the_text_of_an_error_is_not_passed_on() -> None:
    assert problem_of(OSError("cannot connect to host secret.example:443")) == "the request failed (OSError)"


@pytest.mark.parametrize(
    ("status", "header", "wait", "final"),
    [
        (429, "7", 7.0, False),
        (503, "x", None, False),
        (500, "7", None, False),
        (410, None, None, True),
        (403, None, None, False),
    ],
)
def test_what_an_answer_means(status: int, header: str | None, wait: float | None, final: bool) -> None:
    result = result_of(status, header)
    assert (bool(result.problem), result.retry_after, result.final) == (True, wait, final)
    assert result_of(204, None).problem == ""


def test_what_was_sent_is_read_back_and_a_broken_note_sends_nothing_old() -> None:
    note = Delivered().with_receivers({"a": "info"}, now=AT).with_done("a", "uid", 3)
    assert Delivered.from_data(note.to_data()) == note
    assert Delivered.from_data({"delivered.json": "{"}) == Delivered()
    fresh = Delivered.from_data({"delivered.json": "[]"}).with_receivers({"a": "info"}, now=AT)
    old = an_entry().model_copy(update={"at": datetime(2025, 12, 9, tzinfo=UTC)})
    assert not fresh.is_due("a", "uid", old, now=AT)
    assert fresh.is_due("a", "uid", an_entry(), now=AT)
