"""The bodies of the three forms, as JSON, and the signature of Standard Webhooks.

Slack: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks; `text` alone is what Mattermost and
Rocket.Chat show. CloudEvents: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md, in structured mode.
Signature: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, Final

from modelops.api.v1alpha1.notification import NotificationType, Severity
from modelops.domain.notifications.notice import Notice

_COLOURS: Final = {Severity.INFO: "#2da44e", Severity.WARNING: "#bf8700", Severity.CRITICAL: "#cf222e"}
_SLACK_TEXT: Final = 3000
"""Letters of a text block in Slack."""
EVENT_TYPE: Final = "dev.code-chef.modelops"


def content_type(form: NotificationType) -> str:
    """The media type of the body."""
    if form is NotificationType.CLOUD_EVENTS:
        return "application/cloudevents+json; charset=UTF-8"
    return "application/json; charset=UTF-8"


def body_of(form: NotificationType, notice: Notice) -> bytes:
    """The body of the request, the same at each try."""
    match form:
        case NotificationType.SLACK:
            document = slack(notice)
        case NotificationType.WEBHOOK:
            document = {
                "type": f"{notice.kind.lower()}.{notice.reason}",
                "timestamp": _time(notice),
                "data": data_of(notice),
            }
        case NotificationType.CLOUD_EVENTS:
            document = cloud_event(notice)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def data_of(notice: Notice) -> dict[str, Any]:
    """The notification for programs."""
    return {
        "id": notice.id,
        "at": _time(notice),
        "kind": notice.kind,
        "namespace": notice.namespace,
        "name": notice.name,
        "agent": notice.agent,
        "phase": notice.phase,
        "reason": notice.reason,
        "severity": notice.severity.value,
        "title": notice.title,
        "message": notice.message,
        "facts": dict(notice.facts),
        "commands": [{"title": title, "command": command} for title, command in notice.commands],
        "links": [{"title": title, "url": url} for title, url in notice.links],
    }


def cloud_event(notice: Notice) -> dict[str, Any]:
    """The event in CloudEvents 1.0. `source` and `id` together are unique."""
    return {
        "specversion": "1.0",
        "id": notice.id,
        "source": notice.source,
        "type": f"{EVENT_TYPE}.{notice.kind.lower()}.{notice.reason}",
        "subject": notice.agent,
        "time": _time(notice),
        "datacontenttype": "application/json",
        "data": data_of(notice),
    }


def slack(notice: Notice) -> dict[str, Any]:
    """A message. Signs with which Slack writes links and mentions are escaped: a status is no instruction to it."""
    lines = [f"*{_escaped(notice.title)}*  ({_escaped(notice.namespace)}, agent {_escaped(notice.agent)})"]
    said = f"{notice.reason}: {notice.message}" if notice.message else notice.reason
    lines.append(_escaped(said))
    if notice.facts:
        lines.append(" · ".join(f"{_escaped(name)}: {_escaped(text)}" for name, text in notice.facts))
    lines += [f"{title}: `{_code(command)}`" for title, command in notice.commands]
    lines += [f"<{_url(url)}|{title}>" for title, url in notice.links]
    text = "\n".join(lines)
    shown = text if len(text) <= _SLACK_TEXT else text[: _SLACK_TEXT - 1] + "…"
    return {
        "text": shown,
        "attachments": [
            {
                "color": _COLOURS[notice.severity],
                "fallback": _escaped(notice.title),
                "text": f"{notice.at:%Y-%m-%d %H:%M:%S} UTC",
            }
        ],
    }


def signature_headers(key: str, *, id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """The three headers by which a receiver knows that the request is ours and new. `timestamp`: Unix seconds."""
    signed = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(_key_bytes(key), signed, hashlib.sha256).digest()
    return {
        "webhook-id": id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def _key_bytes(key: str) -> bytes:
    """`whsec_` and base64, as the specification has it, or the text itself."""
    if key.startswith("whsec_"):
        try:
            return base64.b64decode(key.removeprefix("whsec_"), validate=True)
        except ValueError:  # No base64, or no ASCII.
            return key.encode()
    return key.encode()


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\n", " ")


def _code(command: str) -> str:
    return _escaped(command).replace("`", "'")


def _url(url: str) -> str:
    return url.replace("|", "%7C").replace(">", "%3E").replace("<", "%3C").replace("&", "&amp;")


def _time(notice: Notice) -> str:
    return notice.at.isoformat(timespec="seconds").replace("+00:00", "Z")
