"""Queries of Prometheus: the templates, and how variables are put into a query.

A variable's value comes from the names of objects, so it is written only inside quotes, and escaped there for the quote
that it is in; {{window}} alone may stand outside of quotes, because the operator makes its text from a number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from modelops.api.v1alpha1.analysis_metrics import PrometheusMetric, PrometheusTemplate

_SELECTED: Final = '{agent_namespace="{{namespace}}",rollout="{{rollout}}",track="{{track}}"}'


def _ratio(name: str) -> str:
    return (
        f"sum(rate(modelops_track_{name}_total{_SELECTED}[{{{{window}}}}])) / "
        f"sum(rate(modelops_track_requests_total{_SELECTED}[{{{{window}}}}]))"
    )


TEMPLATES: Final[dict[PrometheusTemplate, str]] = {
    PrometheusTemplate.ERROR_RATIO: _ratio("errors"),
    PrometheusTemplate.FALLBACK_RATIO: _ratio("fallbacks"),
    PrometheusTemplate.COST_PER_REQUEST: _ratio("cost_usd"),
    PrometheusTemplate.LATENCY: "1000 * max(modelops_track_latency_seconds"
    f'{_SELECTED[:-1]},quantile="0.95"}})',
}
_PART: Final = re.compile(r"\{\{ ?(?P<variable>[a-z]+) ?\}\}|(?P<escaped>\\.)|(?P<quote>[\"'`])", re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class QueryError(ValueError):
    """A query cannot be made; the message names the variable and the remedy."""


def query_of(metric: PrometheusMetric, variables: Mapping[str, str]) -> str:
    """The metric's PromQL. `variables`: all but window. Raises QueryError."""
    text = metric.query if metric.template is None else TEMPLATES[metric.template]
    return rendered(text or "", {**variables, "window": f"{metric.window_seconds}s"})


def rendered(query: str, variables: Mapping[str, str]) -> str:
    """The query with its variables replaced. Raises QueryError."""
    made, position, quote = list[str](), 0, ""
    for part in _PART.finditer(query):
        made.append(query[position : part.start()])
        position = part.end()
        if (name := part["variable"]) is not None:
            made.append(_placed(name, variables, quote))
            continue
        made.append(part.group(0))
        if part["quote"] and quote in ("", part["quote"]):
            quote = "" if quote else part["quote"]
        elif part["escaped"] and (quote == "`" and part["escaped"][1] == "`"):
            quote = ""  # A backslash escapes nothing between backticks.
    return "".join(made) + query[position:]


def _placed(name: str, variables: Mapping[str, str], quote: str) -> str:
    if name not in variables:
        raise QueryError(f"{{{{{name}}}}} is not known: write one of {', '.join(sorted(variables))}")
    value = variables[name]
    if name == "window":
        return value
    if not quote:
        raise QueryError(
            f'{{{{{name}}}}} is outside of quotes: write it in a label\'s value, as {name}="{{{{{name}}}}}"'
        )
    if _CONTROL.search(value) or (quote == "`" and "`" in value):
        raise QueryError(f"{{{{{name}}}}} has a letter that no query can have there")
    if quote == "`":
        return value
    return value.replace("\\", "\\\\").replace(quote, f"\\{quote}")
