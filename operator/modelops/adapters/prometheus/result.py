"""The one number of an instant query's answer (POST /api/v1/query), or why there is none."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from modelops.ports import Refused, Unavailable

_SPACE = re.compile(r"[\s\x00-\x1f\x7f]+")


def number_of(content: bytes, *, status: int, service: str) -> float:
    """The value of a scalar, or of a vector with one series; NaN and infinity are values.

    Raises Unavailable where it may have a number later (429, 5xx), and Refused for everything else that is no number.
    """
    body = _body(content)
    if status in (401, 403):
        raise Refused(f"{service} refuses the token (HTTP {status}): correct it, or its permissions")
    if 300 <= status < 400:
        raise Refused(f"{service} sends on to another address (HTTP {status}), which is not followed")
    if status == 429 or status >= 500:
        raise Unavailable(f"{service} cannot answer now (HTTP {status}){_said(body)}")
    if body.get("status") == "error":
        raise Refused(f"{service} refuses the query{_said(body)}")
    data = body.get("data")
    if status != 200 or body.get("status") != "success" or not isinstance(data, Mapping):
        raise Refused(
            f"{service} does not answer as Prometheus (HTTP {status}): the address ends before /api/v1/query"
        )
    if body.get("warnings"):
        raise Refused(f"{service} warns that the answer may be wrong{_said({'error': body['warnings'][0]})}")
    return _number(data, service)


def _number(data: Mapping[str, Any], service: str) -> float:
    kind, result = data.get("resultType"), data.get("result")
    if kind == "scalar":
        return _float(result, service)
    if kind != "vector" or not isinstance(result, Sequence):
        what = "a range of values (a query ends without [5m])" if kind == "matrix" else f"a {kind}"
        raise Refused(f"the query's result is {what}, and not one number")
    if not result:
        raise Refused(
            "no data: the query has no series. Most often no request was made in the window, or a label is misspelt"
        )
    if len(result) > 1:
        named = " and ".join(_labels(series) for series in result[:2])
        raise Refused(
            f"the query has {len(result)} series, and not one: {named}. Put an aggregation such as sum(...) around it"
        )
    series = result[0]
    if not isinstance(series, Mapping) or "value" not in series:
        raise Refused("the query's result is a histogram, and not one number: use histogram_quantile(...)")
    return _float(series["value"], service)


def _float(sample: Any, service: str) -> float:
    try:
        return float(sample[1])
    except (TypeError, ValueError, IndexError, KeyError):
        raise Refused(f"{service} answers with {str(sample)[:60]!r}, which is no number") from None


def _labels(series: Any) -> str:
    labels = series.get("metric") or {} if isinstance(series, Mapping) else {}
    return "{" + ", ".join(f'{name}="{value}"' for name, value in sorted(labels.items()))[:100] + "}"


def _body(content: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(content)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}


def _said(body: Mapping[str, Any]) -> str:
    """The error as the service names it, on one line and short."""
    said = _SPACE.sub(" ", str(body.get("error") or "")).strip()
    return f": {said[:200]}" if said else ""
