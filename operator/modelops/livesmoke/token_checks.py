"""Checks of the Hugging Face token, and of the namespace on the Hub that a run would use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from modelops.tools.doctor import Check, State

Json = Mapping[str, Any]
TOKENS_PAGE: Final = "https://huggingface.co/settings/tokens"
BILLING_PAGE: Final = "https://huggingface.co/settings/billing"
SCOPES: Final = ("repo.write", "job.write", "inference.endpoints.write")
"""Permissions of a fine-grained token, by the names of the page on which it is made."""
NEW_TOKEN: Final = (
    f"make a token with the role write at {TOKENS_PAGE} (or fine-grained: {', '.join(SCOPES)}), and "
    "export HF_TOKEN"
)


def check_token(who: Json) -> Check:
    """Whether the token may do what a run does, by the answer of `/api/whoami-v2`."""
    token = (who.get("auth") or {}).get("accessToken") or {}
    role = str(token.get("role") or "")
    if role == "read":
        return problem("Hugging Face token", "it may only read", NEW_TOKEN)
    if role == "fineGrained":
        held = _permissions(token.get("fineGrained") or {})
        lacking = [scope for scope in SCOPES if scope not in held]
        if lacking:
            message = f"a fine-grained token that seems to lack {', '.join(lacking)}"
            return Check(subject="Hugging Face token", state=State.WARNING, message=message, remedy=NEW_TOKEN)
    return passed("Hugging Face token", f"accepted; its role is {role or 'not named'}")


def _permissions(fine_grained: Json) -> set[str]:
    scoped = (one.get("permissions") or () for one in fine_grained.get("scoped") or ())
    return {str(name) for names in (*scoped, fine_grained.get("global") or ()) for name in names}


def check_namespace(who: Json, org: str) -> Check:
    """Whether the token belongs to the namespace, may write there, and can pay, by the answer of `/api/whoami-v2`."""
    user = str(who["name"])
    orgs = {str(one["name"]): one for one in who.get("orgs") or ()}
    if org != user and org not in orgs:
        known = ", ".join([user, *sorted(orgs)])
        return problem(
            "namespace", f"the token does not belong to {org}", f"export MODELOPS_HUB_ORG=… (one of {known})"
        )
    role = str(orgs.get(org, {}).get("roleInOrg") or "")
    if role == "read":
        return problem("namespace", f"the role in {org} is read", "ask an admin of it for the role write")
    pays = who.get("canPay") if org == user else orgs[org].get("canPay")
    if pays is False:
        return problem(
            "namespace", f"{org} has no payment method and no credit", f"add one at {BILLING_PAGE}"
        )
    return passed("namespace", f"{org}{f', with the role {role}' if role else ''}")


def passed(subject: str, message: str) -> Check:
    """A check that found nothing wrong."""
    return Check(subject=subject, state=State.OK, message=message)


def problem(subject: str, message: str, remedy: str) -> Check:
    """A check that found something wrong, and what mends it."""
    return Check(subject=subject, state=State.PROBLEM, message=message, remedy=remedy)
