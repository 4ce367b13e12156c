"""What `/api/whoami-v2` says about a token and a namespace."""

from typing import Any

import pytest

from modelops.livesmoke.token_checks import SCOPES, check_namespace, check_token
from modelops.tools.doctor import State


def who(role: str = "write", *, fine_grained: Any = None, orgs: Any = (), can_pay: bool | None = True) -> Any:
    token = {"role": role, **({"fineGrained": fine_grained} if fine_grained else {})}
    return {"name": "anna", "canPay": can_pay, "orgs": list(orgs), "auth": {"accessToken": token}}


def scoped(*permissions: str) -> dict[str, Any]:
    return {"global": [], "scoped": [{"entity": {"name": "anna"}, "permissions": list(permissions)}]}


@pytest.mark.parametrize(
    ("answer", "state", "word"),
    [
        (who("write"), State.OK, "write"),
        (who("read"), State.PROBLEM, "only read"),
        (who("fineGrained", fine_grained=scoped(*SCOPES)), State.OK, "fineGrained"),
        (who("fineGrained", fine_grained=scoped("repo.write")), State.WARNING, "lack job.write"),
        ({"name": "anna"}, State.OK, "not named"),
    ],
)
def test_a_token_is_judged_by_its_role_and_permissions(answer: Any, state: State, word: str) -> None:
    check = check_token(answer)
    assert check.state is state
    assert word in check.message
    assert bool(check.remedy) is (state is not State.OK)


@pytest.mark.parametrize(
    ("answer", "org", "problem"),
    [
        (who(), "anna", ""),
        (who(orgs=[{"name": "team", "roleInOrg": "write"}]), "team", ""),
        (who(orgs=[{"name": "team", "roleInOrg": "read"}]), "team", "role in team is read"),
        (who(), "team", "does not belong to team"),
        (who(can_pay=False), "anna", "no payment method"),
        (who(can_pay=None), "anna", ""),
    ],
)
def test_a_namespace_must_be_the_tokens_writable_and_able_to_pay(answer: Any, org: str, problem: str) -> None:
    check = check_namespace(answer, org)
    assert (check.state is State.PROBLEM) is bool(problem)
    assert problem in check.message
