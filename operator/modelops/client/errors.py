"""What can go wrong between a caller and the API server. Each message says what was wrong, where, and what to do."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable
from typing import Any, Final

from modelops.api.v1alpha1.names import GROUP, Resource

_MAX_BODY: Final = 500
_READS: Final = ("get", "list", "watch")


class ClientError(Exception):
    """Base of all errors of this package."""


class AccessError(ClientError):
    """There is no usable kubeconfig or service account, or the API server does not know the caller."""


class Unavailable(ClientError):
    """The API server cannot be reached, or cannot answer now. Nothing was changed; try again later."""


class Uncertain(ClientError):
    """The answer to a write was lost: it may or may not have been carried out. Read the object before you repeat it."""


class NotServed(ClientError):
    """The cluster does not serve the kind: the custom resource definitions are missing."""


class NotFound(ClientError):
    """There is no object of that name. The message names those that there are, as far as the caller may list them."""


class AlreadyExists(ClientError):
    """There is an object of that name already."""


class Conflict(ClientError):
    """The object was changed by somebody else in the meantime, or is another one of the same name."""


class Forbidden(ClientError):
    """The caller's rights do not suffice, or an admission policy refuses. The message says who can grant it."""


class Invalid(ClientError):
    """The API server refuses the object. The message names each field with the reason."""


class Unreadable(ClientError):
    """The stored object has another form than this version knows."""


class WaitTimeout(ClientError):
    """What was waited for did not happen in time. `last` is the object as it was seen last, None if never."""

    def __init__(self, message: str, *, last: Any = None) -> None:
        super().__init__(message)
        self.last = last


def api_error(
    status: int, body: str, *, verb: str, resource: Resource | None, namespace: str | None, user: str | None
) -> ClientError:
    """The error for an answer of the API server that is no success.

    `verb` is the Kubernetes verb of the request. `user` is who was asked for, where the caller impersonates somebody.
    """
    message, reason, details = _parts(body)
    what = f"{resource.plural}.{GROUP}" if resource is not None else "this resource"
    where = f" in namespace {namespace}" if namespace else ""
    if status == 401:
        return AccessError(
            f"the API server does not know the caller ({message or 'Unauthorized'}): log in again, or use another "
            "context of the kubeconfig"
        )
    if status == 403:
        return Forbidden(_forbidden(message, verb=verb, namespace=namespace, user=user))
    if status == 404 and not details.get("name"):
        return NotServed(
            f"the cluster does not serve {what}: install the chart, or run "
            "`modelops crds | kubectl apply --server-side -f -`"
        )
    if status == 404:
        return NotFound(message)
    if status == 409:
        kind = AlreadyExists if reason == "AlreadyExists" else Conflict
        return kind(message)
    if status in (400, 422):
        return Invalid(_invalid(message, details))
    if status == 429 or status >= 500:
        return Unavailable(f"the API server cannot {verb} {what}{where} now: it answered {status}: {message}")
    return ClientError(f"the API server answered {status} to {verb} {what}{where}: {message}")


def no_such_object(resource: Resource, namespace: str, name: str, known: Iterable[str] | None) -> NotFound:
    """The error for a name that does not exist; `known` are the names that exist, None where they may not be listed."""
    from modelops.domain.nearest import did_you_mean

    found = f"namespace {namespace} has no {resource.kind} named {name}"
    if known is None:
        return NotFound(found)
    names = list(known)
    hint = did_you_mean(name, names, none="there is none; name another namespace with -n")
    other = "; or name another namespace with -n" if names else ""
    return NotFound(f"{found}: {hint}{other}")


def not_allowed(verb: str, resource: Resource, namespace: str, *, user: str | None = None) -> Forbidden:
    """The error for a right that a review has denied. `user`: whose right it is, None for the caller's own."""
    role = "modelops-approver" if verb == "approve" else "view" if verb in _READS else "edit"
    return Forbidden(
        f"{user or 'you'} may not {verb} {resource.plural}.{GROUP} in namespace {namespace}: whoever administers the "
        f"namespace can grant it with `kubectl create rolebinding modelops-{verb} -n {namespace} "
        f"--clusterrole={role} {_subject(user)}`"
    )


def may_not_read_secret(name: str, namespace: str, *, user: str | None = None) -> Forbidden:
    """The error for a Secret that may not be read. The commands grant this one Secret, and no other."""
    role = f"read-{name}"
    return Forbidden(
        f"{user or 'you'} may not get secret {name} in namespace {namespace}: whoever administers the namespace can "
        f"grant it with `kubectl create role {role} -n {namespace} --verb=get --resource=secrets "
        f"--resource-name={name}` and `kubectl create rolebinding {role} -n {namespace} --role={role} {_subject(user)}`"
    )


def _subject(user: str | None) -> str:
    """kubectl's argument that names a user or service account."""
    account = (user or "").removeprefix("system:serviceaccount:")
    found = f"--serviceaccount={account}" if user and account != user else f"--user={user or 'YOU'}"
    return shlex.quote(found)


def _user_in(message: str) -> str | None:
    """Whom the API server has refused: it says `User "alice" cannot ...`."""
    found = re.search(r'\bUser "([^"\s]+)" cannot ', message)
    return found[1] if found else None


def _parts(body: str) -> tuple[str, str, dict[str, Any]]:
    """Message, reason and details of a `Status` of the API server; the text itself where it is none."""
    try:
        status = json.loads(body)
        return str(status.get("message") or ""), str(status.get("reason") or ""), status.get("details") or {}
    except (ValueError, AttributeError):
        return " ".join(body.split())[:_MAX_BODY], "", {}


def _forbidden(message: str, *, verb: str, namespace: str | None, user: str | None) -> str:
    if "ValidatingAdmissionPolicy" in message or "admission webhook" in message:
        return f"refused by a policy of the cluster: {message}"
    remedy = "ask an administrator of the cluster for this right"
    if namespace:
        role = "view" if verb in _READS else "edit"
        remedy = (
            f"whoever administers namespace {namespace} can grant it: `kubectl create rolebinding modelops-{role} "
            f"-n {namespace} --clusterrole={role} {_subject(user or _user_in(message))}`"
        )
    return f"{message.rstrip('.')}. To {verb} is not allowed: {remedy}"


def _invalid(message: str, details: dict[str, Any]) -> str:
    """The causes as sentences: what only a machine would say is left out where the field has a message for people."""
    given = [cause for cause in details.get("causes") or () if cause.get("field") != "<nil>"]
    plain = {cause.get("field") for cause in given if not _is_machine_word(cause)}
    causes = [
        f"{cause['field']}: {cause.get('message', '')}" if cause.get("field") else str(cause.get("message"))
        for cause in given
        if cause.get("field") not in plain or not _is_machine_word(cause)
    ]
    return f"the API server refuses it: {'; '.join(dict.fromkeys(causes)) or message}"


def _is_machine_word(cause: dict[str, Any]) -> bool:
    """Whether it shows a pattern, or a rule that could not be evaluated: a rule of ours says it in words."""
    said = str(cause.get("message", ""))
    return "in body should match" in said or "error evaluating rule" in said or "evaluating rule:" in said
