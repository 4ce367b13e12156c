"""Whether the agent can be asked at all, before anything is paid."""

from __future__ import annotations

import os
from typing import Final

from modelops.evaluation.agent.entry_point import load_agent
from modelops.evaluation.agent.http_client import read_agent_key, reason_of_status
from modelops.evaluation.price_list import answer_to
from modelops.evaluation.request import Request
from modelops.loopback import assert_address
from modelops.workdir import ProgramFailure

PROBE_SECONDS: Final = 10.0
_NO_SUCH_METHOD: Final = 405


def require_agent(request: Request) -> None:
    """Load the agent, or GET its address; nothing where the model is evaluated.

    An agent that answers GET says whether it takes the token. One that takes only POST answers 405, which is good
    enough. Raises ProgramFailure; one of an agent that does not answer is transient.
    """
    rule = request.agent_rule
    if rule is None:
        return
    if not rule.url:
        load_agent(rule.entry_point)
        return
    import requests

    assert_address("spec.evaluation.agent.url", rule.url, os.environ)
    token = read_agent_key(rule.key_name)
    try:
        with answer_to("", base_url=rule.url, api_key=token, seconds=PROBE_SECONDS) as answer:
            status = answer.status_code
    except requests.RequestException as error:
        raise ProgramFailure(
            "AgentUnavailable",
            f"the agent at {rule.url} does not answer ({type(error).__name__})",
            transient=True,
        ) from error
    reason = "" if status == _NO_SUCH_METHOD else reason_of_status(status)
    if reason:
        remedy = (
            f"{rule.key_name} is not the token in its MODELOPS_EVALUATION_TOKEN"
            if reason == "AgentUnauthorized"
            else "correct spec.evaluation.agent.url of the AgentModel"
        )
        raise ProgramFailure(reason, f"the agent at {rule.url} answered {status}: {remedy}")
