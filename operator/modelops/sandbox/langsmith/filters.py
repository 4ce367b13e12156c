"""The filter language of run queries: `and(eq(metadata_key, "agent"), eq(metadata_value, "docs"))`.

Supported: and, or, not, eq, neq, gt, gte, lt, lte, has, in, search, exists; the fields of a run by name, `tags`,
`latency` (seconds), and the pairs metadata_key/metadata_value and feedback_key/feedback_score. As in LangSmith, the
conditions on a pair within one `and` must match the same item. Everything else is refused, not ignored.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from modelops.sandbox.langsmith.database import timestamp

Run = dict[str, Any]
Predicate = Callable[[Run], bool]
Condition = tuple[str, list[Any]]

_TOKEN = re.compile(
    r"""\s*(?:([A-Za-z_]\w*)|("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(-?\d+(?:\.\d+)?)|([(),\[\]]))"""
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "neq": operator.ne,
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}
_FIELDS = {
    *(
        "id",
        "name",
        "run_type",
        "status",
        "error",
        "start_time",
        "end_time",
        "trace_id",
        "session_id",
        "tags",
    ),
    *("latency", "total_tokens", "prompt_tokens", "completion_tokens", "total_cost", "reference_example_id"),
    *("is_root", "metadata", "metadata_key", "metadata_value", "feedback_key", "feedback_score"),
}


class FilterError(ValueError):
    """The filter is malformed, or uses a function or field that the sandbox does not support."""


class Field(str):
    """The name of a field, in contrast to a quoted text."""

    __slots__ = ()


def parse(text: str) -> Predicate:
    """Parse a filter into a function that tests a run. Raises FilterError."""
    tokens = _tokens(text)
    expression, rest = _expression(tokens)
    if rest:
        raise FilterError(f"unexpected {rest[0]!r} after the end")
    return _compile(expression)


def _tokens(text: str) -> list[Any]:
    tokens: list[Any] = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise FilterError(f"cannot read {text[position : position + 20]!r}")
        name, quoted, number, mark = match.groups()
        if name:
            tokens.append({"true": True, "false": False, "null": None}.get(name, Field(name)))
        elif quoted:
            tokens.append(("text", quoted[1:-1].replace(f"\\{quoted[0]}", quoted[0])))
        else:
            tokens.append(("number", float(number)) if number else ("mark", mark))
        position = match.end()
    return tokens


def _expression(tokens: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    if not tokens:
        raise FilterError("it ends too early")
    head, rest = tokens[0], tokens[1:]
    if isinstance(head, Field) and rest and rest[0] == ("mark", "("):
        arguments, rest = _list(rest[1:], ")")
        return (str(head), arguments), rest
    if head == ("mark", "["):
        return _list(rest, "]")
    if isinstance(head, tuple) and head[0] != "mark":
        return head[1], rest
    if isinstance(head, Field) or head in (True, False, None):
        return head, rest
    raise FilterError(f"unexpected {head[1]!r}")


def _list(tokens: Sequence[Any], closing: str) -> tuple[list[Any], Sequence[Any]]:
    items: list[Any] = []
    while tokens and tokens[0] != ("mark", closing):
        item, tokens = _expression(tokens)
        items.append(item)
        if tokens and tokens[0] == ("mark", ","):
            tokens = tokens[1:]
    if not tokens:
        raise FilterError(f"a {closing!r} is missing")
    return items, tokens[1:]


def _compile(expression: Any) -> Predicate:
    if not isinstance(expression, tuple):
        raise FilterError(f"{expression!r} is no condition")
    name, arguments = expression
    if name == "and":
        return _all_of(arguments)
    if name == "or":
        options = [_compile(one) for one in arguments]
        return lambda run: any(option(run) for option in options)
    if name == "not" and len(arguments) == 1:
        inner = _compile(arguments[0])
        return lambda run: not inner(run)
    return _condition(name, arguments)


def _all_of(arguments: list[Any]) -> Predicate:
    """Compile `and`; all conditions on metadata, and all on feedback, must match the same item."""
    pairs: dict[str, list[Condition]] = {"metadata": [], "feedback": []}
    others: list[Predicate] = []
    for one in arguments:
        subject = str(one[1][0]).partition("_")[0] if _is_item_condition(one) else ""
        if subject:
            pairs[subject].append(one)
        else:
            others.append(_compile(one))
    others += [_item_matches(subject, conditions) for subject, conditions in pairs.items() if conditions]
    return lambda run: all(other(run) for other in others)


def _is_item_condition(expression: Any) -> bool:
    if not isinstance(expression, tuple) or not expression[1]:
        return False
    field = expression[1][0]
    return isinstance(field, Field) and field in {
        *("metadata_key", "metadata_value", "feedback_key", "feedback_score")
    }


def _item_matches(subject: str, conditions: list[Condition]) -> Predicate:
    def items(run: Run) -> list[dict[str, Any]]:
        if subject == "metadata":
            return [{"metadata_key": key, "metadata_value": value} for key, value in _metadata(run).items()]
        stats = run.get("feedback_stats") or {}
        return [{"feedback_key": key, "feedback_score": one["avg"]} for key, one in stats.items()]

    tests = [(str(arguments[0]), _comparison(name, arguments)) for name, arguments in conditions]
    return lambda run: any(all(test(item[field]) for field, test in tests) for item in items(run))


def _condition(name: str, arguments: list[Any]) -> Predicate:
    if name == "search" and len(arguments) == 1:
        words = str(arguments[0]).lower()
        return lambda run: (
            words in json.dumps([run.get("inputs"), run.get("outputs"), run.get("error")]).lower()
        )
    if not arguments or not isinstance(arguments[0], Field) or arguments[0] not in _FIELDS:
        raise FilterError(f"{name}({', '.join(map(str, arguments))}) is not known here")
    field = str(arguments[0])
    if _is_item_condition((name, arguments)):
        return _item_matches(field.partition("_")[0], [(name, arguments)])
    if name == "exists" and field == "metadata" and len(arguments) == 2:
        return lambda run: arguments[1] in _metadata(run)
    if name == "has" and field == "metadata" and len(arguments) == 2:
        wanted = json.loads(arguments[1])
        return lambda run: wanted.items() <= _metadata(run).items()
    if name == "has" and field == "tags" and len(arguments) == 2:
        return lambda run: arguments[1] in (run.get("tags") or [])
    test = _comparison(name, arguments)
    return lambda run: test(_value(run, field))


def _comparison(name: str, arguments: list[Any]) -> Callable[[Any], bool]:
    if len(arguments) != 2:
        raise FilterError(f"{name} takes two arguments")
    expected = arguments[1]
    if name == "in" and isinstance(expected, list):
        return lambda actual: actual in expected
    if name not in _COMPARISONS:
        raise FilterError(f"{name} is not known here")
    compare = _COMPARISONS[name]

    def test(actual: Any) -> bool:
        if name in {"eq", "neq"}:
            return compare(actual, expected) or (compare is operator.eq and str(actual) == str(expected))
        try:
            return actual is not None and compare(*_comparable(actual, expected))
        except TypeError:
            return False

    return test


def _comparable(actual: Any, expected: Any) -> tuple[Any, Any]:
    """Convert both values so that they can be compared: to numbers, or to times in the stored format."""
    if isinstance(expected, float):
        return float(actual), expected
    try:
        moment = datetime.fromisoformat(expected)
    except ValueError:
        return actual, expected
    return actual, timestamp(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _value(run: Run, field: str) -> Any:
    if field == "is_root":
        return run.get("parent_run_id") is None
    if field == "error":
        return bool(run.get("error"))
    return run.get(field)


def _metadata(run: Run) -> dict[str, Any]:
    metadata = (run.get("extra") or {}).get("metadata")
    return metadata if isinstance(metadata, dict) else {}
