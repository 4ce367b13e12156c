"""Where an agent's transitions are told: a Slack-compatible webhook, a signed webhook, or CloudEvents."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, matches, rules
from modelops.api.v1alpha1.meta import ApiModel, ObjectName, SecretKeyReference

_REASON = r"^[A-Z][A-Za-z]{0,63}$"


class NotificationType(StrEnum):
    """The forms of a notification."""

    SLACK = "slack"
    WEBHOOK = "webhook"
    CLOUD_EVENTS = "cloudevents"


class Severity(StrEnum):
    """How much a transition matters, in rising order."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class Notification(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "!has(self.signingKeyFrom) || self.type != 'slack'",
            "signingKeyFrom has no meaning for Slack, which checks no signature: remove it, or use type webhook or "
            "cloudevents",
            field="signingKeyFrom",
        )
    ),
):
    """One receiver of notifications. Each transition is sent to it once."""

    name: ObjectName = Field(description="Name of the receiver; unique in the list.")
    type: NotificationType = Field(
        description="Form of the request: slack (Slack, Mattermost, Rocket.Chat), webhook (JSON, by the Standard "
        "Webhooks specification) or cloudevents (CloudEvents 1.0, structured mode)."
    )
    url_from: SecretKeyReference = Field(
        description="Key of a Secret that holds the URL, which is a secret itself. It must be https, or its host one "
        "that the installation allows (MODELOPS_NOTIFICATION_HOSTS)."
    )
    signing_key_from: SecretKeyReference | None = Field(
        default=None,
        description="Key of a Secret with which requests are signed, as Standard Webhooks specifies: `whsec_` and "
        "base64, or another word. Empty for requests without a signature.",
    )
    min_severity: Severity = Field(
        default=Severity.INFO,
        description="Lowest severity that is sent: info (it went well), warning (it did not, or a person must do "
        "something) or critical (sessions were affected).",
    )
    reasons: tuple[
        Annotated[
            str,
            Field(pattern=_REASON, max_length=64),
            matches(_REASON, "write a reason from the table of reasons, such as `Promoted`"),
        ],
        ...,
    ] = Field(
        default=(),
        max_length=64,
        description="Reasons to send, such as `NeedsApproval`. If it is empty, all that reach minSeverity.",
    )
