"""The model that an evaluation asks an agent to use: in one `with` block it replaces the router's choice.

    from modelops.router import evaluation_arm

    with evaluation_arm("docs", asked["route"], authorization=request.headers.get("authorization")) as arm:
        answer = my_agent(asked["inputs"])
    return {"answer": answer, **arm.report()}

Everything that the block calls may ask any Router of the agent, as ever. A contextvar carries the choice, so it follows
`await`, tasks, `asyncio.to_thread` and LangGraph's threads, and no request outside the block sees it.
"""

from __future__ import annotations

import hmac
import os
import threading
from collections.abc import Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Any, Final, Self

from modelops.router.routing_table import EVALUATION, Route

TOKEN_ENV: Final = "MODELOPS_EVALUATION_TOKEN"
"""The variable of the agent's process with the token that an evaluation must send."""
MAX_MODELS: Final = 8
_TEXTS: Final = ("model", "served_model", "endpoint", "endpoint_url", "api_key_env", "version")


class EvaluationNotAllowed(PermissionError):
    """The caller did not send the token of evaluations: answer 401."""


class CallsExhausted(RuntimeError):
    """The agent has called the model as often as the evaluation allows for one answer."""


class ArmRoute(Route):
    """The route of an evaluation. Its outcome counts for the evaluation alone, and never for a canary."""

    arm: EvaluationArm


class EvaluationArm:
    """A context manager: in its block every Router of `agent` picks `route`. Thread-safe.

    `route` has the fields of a `Route` but for its track, as an evaluation sends them. `max_calls` limits how often the
    model is called in the block; None for no limit. Raises ValueError where the route has no model.
    """

    def __init__(self, agent: str, route: Mapping[str, Any], *, max_calls: int | None = None) -> None:
        fields = {name: route.get(name) for name in _TEXTS}
        if not all(value is None or isinstance(value, str) for value in fields.values()):
            raise ValueError("the route of an evaluation has a field that is no text")
        if not fields["model"]:
            raise ValueError("the route of an evaluation has no model")
        fields["served_model"] = fields["served_model"] or fields["model"]
        self.agent = agent
        self.route = ArmRoute(EVALUATION, **fields)  # type: ignore[arg-type]
        self.route.arm = self
        self._max_calls = max_calls
        self._lock = threading.Lock()
        self._calls = self._failed = self._tokens = self._cost_micro_usd = 0
        self._all_tokens_known = self._all_costs_known = True
        self._models: dict[str, None] = {}
        self._outer: Token[tuple[EvaluationArm, ...]] | None = None

    def __enter__(self) -> Self:
        self._outer = _in_force.set((*_in_force.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._outer is not None:
            _in_force.reset(self._outer)
            self._outer = None

    def require_call(self) -> None:
        """Raises CallsExhausted where the block has made all the calls that it may make."""
        if self._max_calls is not None and self._calls >= self._max_calls:
            raise CallsExhausted(
                f"the evaluation allows {self._max_calls} calls of the model for one answer "
                "(spec.evaluation.agent.maxCallsPerAnswer of the AgentModel)"
            )

    def count(
        self, *, ok: bool, tokens: int | None, cost_micro_usd: int | None, model: str | None = None
    ) -> None:
        """Counts one finished request. `model` is the name in the model's own answer, where the agent tells it."""
        with self._lock:
            self._calls += 1
            self._failed += not ok
            self._all_tokens_known = self._all_tokens_known and bool(tokens or not ok)
            self._all_costs_known = self._all_costs_known and bool(cost_micro_usd or not ok)
            self._tokens += tokens or 0
            self._cost_micro_usd += cost_micro_usd or 0
            if ok and len(self._models) < MAX_MODELS:
                self._models[model or self.route.served_model] = None

    def report(self) -> dict[str, Any]:
        """What served the block, as an evaluation expects it beside the answer: `served` and `usage`."""
        with self._lock:
            usage: dict[str, Any] = {}
            if self._tokens and self._all_tokens_known:
                usage["total_tokens"] = self._tokens
            if self._cost_micro_usd and self._all_costs_known:
                usage["cost_usd"] = f"{self._cost_micro_usd / 1_000_000:.6f}"
            return {
                "served": {
                    "version": self.route.version,
                    "models": list(self._models),
                    "calls": self._calls,
                    "failed": self._failed,
                },
                "usage": usage,
            }


def evaluation_arm(
    agent: str, route: Mapping[str, Any], *, authorization: str | None, max_calls: int | None = None
) -> EvaluationArm:
    """The arm of a request from an evaluation. `authorization` is the request's header of that name.

    The route says to which address the agent sends its own key, so the caller must have the token
    (`require_evaluation_token`). Raises EvaluationNotAllowed, and ValueError as `EvaluationArm`.
    """
    require_evaluation_token(authorization)
    return EvaluationArm(agent, route, max_calls=max_calls)


def require_evaluation_token(authorization: str | None) -> None:
    """Raises EvaluationNotAllowed unless the header is `Bearer` and the token in MODELOPS_EVALUATION_TOKEN.

    Without this variable every caller is refused.
    """
    token = os.environ.get(TOKEN_ENV, "").strip()
    scheme, _, given = (authorization or "").partition(" ")
    if not token:
        raise EvaluationNotAllowed(f"{TOKEN_ENV} is not set, so this agent takes no evaluations")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise EvaluationNotAllowed("the token of evaluations is missing or wrong")


def arm_in_force(agent: str) -> EvaluationArm | None:
    """The innermost arm of this agent in the current context; None outside an evaluation."""
    for arm in reversed(_in_force.get()):
        if arm.agent == agent:
            return arm
    return None


_in_force: ContextVar[tuple[EvaluationArm, ...]] = ContextVar("modelops_evaluation_arms", default=())
