"""Variables in queries: escaped for the quote that they are in, and never outside of one."""

from __future__ import annotations

import re

import pytest

from modelops.api.v1alpha1.analysis_metrics import PrometheusMetric
from modelops.domain.metrics.promql import TEMPLATES, QueryError, query_of, rendered
from modelops.runtime.object_metrics import FAMILIES

NAMES = {
    "agent": "docs",
    "namespace": "team",
    "version": "v1.1.0-rc.1",
    "track": "canary",
    "rollout": "r1",
    "window": "300s",
}


@pytest.mark.parametrize(
    ("query", "made"),
    [
        ('up{version="{{version}}"}', 'up{version="v1.1.0-rc.1"}'),
        ("up{a='{{ agent }}',b=\"{{track}}\"}", "up{a='docs',b=\"canary\"}"),
        ("rate(up[{{window}}])", "rate(up[300s])"),
        ('up{a="it\'s {{agent}}"}', 'up{a="it\'s docs"}'),
        ('up{a="\\"{{agent}}"}', 'up{a="\\"docs"}'),
        ("up{a=`\\`,b='{{agent}}'}", "up{a=`\\`,b='docs'}"),
        ("sum({a=~`{{agent}}.*`})", "sum({a=~`docs.*`})"),
        ("up", "up"),
    ],
)
def test_variables_are_put_into_quotes(query: str, made: str) -> None:
    assert rendered(query, NAMES) == made


@pytest.mark.parametrize(
    ("quote", "made"),
    [('"', '"a\\"} or vector(0) #\'`\\\\"'), ("'", "'a\"} or vector(0) #\\'`\\\\'")],
)
def test_a_value_cannot_end_the_quote_it_is_in(quote: str, made: str) -> None:
    hostile = {**NAMES, "agent": "a\"} or vector(0) #'`\\"}
    assert rendered(f"up{{a={quote}{{{{agent}}}}{quote}}}", hostile) == f"up{{a={made}}}"


@pytest.mark.parametrize(
    ("query", "agent", "why"),
    [
        ("sum({{agent}})", "docs", "outside of quotes"),
        ('up{a="b"} + {{agent}}', "docs", "outside of quotes"),
        ('up{a="{{cluster}}"}', "docs", "is not known"),
        ("up{a=`{{agent}}`}", "a`b", "has a letter"),
        ('up{a="{{agent}}"}', "a\nb", "has a letter"),
    ],
)
def test_what_cannot_be_put_in_safely_is_refused(query: str, agent: str, why: str) -> None:
    with pytest.raises(QueryError, match=why):
        rendered(query, {**NAMES, "agent": agent})


def test_templates_ask_for_metrics_that_the_operator_has() -> None:
    known = {family.name: family.labels for family in FAMILIES}
    for template in TEMPLATES:
        query = query_of(PrometheusMetric(template=template), NAMES)
        assert "{{" not in query
        for name, selector in re.findall(r"(modelops_\w+)\{([^}]*)\}", query):
            assert set(re.findall(r"(\w+)=", selector)) <= set(known[name]), query
        assert 'rollout="r1",track="canary"' in query
