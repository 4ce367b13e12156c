"""Conditions of metrics: comparisons of `value`, `stable` and numbers, joined by `&&` and `||`.

The text is the part of CEL (and of Argo's conditions) that has no brackets. Nothing is evaluated as code.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_TOKEN: Final = re.compile(
    r" *(?:(?P<name>value|stable)|(?P<number>[0-9]+(?:[.][0-9]+)?(?:[eE]-?[0-9]{1,3})?)"
    r"|(?P<sign><=|>=|==|!=|&&|[|][|]|[-+*/<>]))"
)
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_STABLE: Final = re.compile(r"\bstable\b")


class ConditionError(ValueError):
    """The text is no condition, or its numbers have no result; the message says which."""


Operand = float | str
"""A number, `value` or `stable`."""
Term = tuple[tuple[str, Operand], ...]
"""Operands with `*` or `/` before each; the first has `*`."""
Sum = tuple[tuple[str, Term], ...]
"""Terms with `+` or `-` before each; the first has `+`."""


@dataclass(frozen=True)
class Comparison:
    left: Sum
    sign: str
    right: Sum


@dataclass(frozen=True)
class Condition:
    """A condition that was read: one of the alternatives must hold, each with all of its comparisons."""

    text: str
    alternatives: tuple[tuple[Comparison, ...], ...]

    @property
    def uses_stable(self) -> bool:
        return uses_stable(self.text)

    def holds(self, value: float, stable: float | None) -> bool:
        """Raises ConditionError where a number is missing, or the arithmetic gives none."""
        return any(
            all(_holds(comparison, value, stable) for comparison in comparisons)
            for comparisons in self.alternatives
        )


def uses_stable(text: str | None) -> bool:
    """Whether a condition compares with the stable model."""
    return text is not None and _STABLE.search(text) is not None


@lru_cache(maxsize=256)
def parse(text: str) -> Condition:
    """The condition of a text. Raises ConditionError, which names the place."""
    tokens = _Tokens(text)
    alternatives = [_conjunction(tokens)]
    while tokens.take("||"):
        alternatives.append(_conjunction(tokens))
    if tokens.peek:
        raise tokens.error("the end, && or ||")
    return Condition(text=text, alternatives=tuple(alternatives))


class _Tokens:
    def __init__(self, text: str) -> None:
        self._text, self._all, self._at = text, list[str](), 0
        position, end = 0, len(text.rstrip(" "))
        while position < end:
            found = _TOKEN.match(text, position)
            if found is None:
                raise ConditionError(f"{text!r}: {text[position:].strip()[:20]!r} is not known here")
            self._all.append(found.group(0).strip(" "))
            position = found.end()

    @property
    def peek(self) -> str:
        return self._all[self._at] if self._at < len(self._all) else ""

    def next(self) -> str:
        found = self.peek
        self._at += 1
        return found

    def take(self, *signs: str) -> str:
        return self.next() if self.peek in signs else ""

    def error(self, expected: str) -> ConditionError:
        return ConditionError(f"{self._text!r}: expected {expected}, found {self.peek or 'the end'!r}")


def _conjunction(tokens: _Tokens) -> tuple[Comparison, ...]:
    comparisons = [_comparison(tokens)]
    while tokens.take("&&"):
        comparisons.append(_comparison(tokens))
    return tuple(comparisons)


def _comparison(tokens: _Tokens) -> Comparison:
    left = _sum(tokens)
    sign = tokens.take(*_COMPARISONS)
    if not sign:
        raise tokens.error("a comparison such as <")
    return Comparison(left, sign, _sum(tokens))


def _sum(tokens: _Tokens) -> Sum:
    terms = [("+", _term(tokens))]
    while sign := tokens.take("+", "-"):
        terms.append((sign, _term(tokens)))
    return tuple(terms)


def _term(tokens: _Tokens) -> Term:
    operands = [("*", _operand(tokens))]
    while sign := tokens.take("*", "/"):
        operands.append((sign, _operand(tokens)))
    return tuple(operands)


def _operand(tokens: _Tokens) -> Operand:
    negative = bool(tokens.take("-"))
    found = tokens.peek
    if found in ("value", "stable") and not negative:
        return tokens.next()
    if found[:1].isdigit():
        number = float(tokens.next())
        return -number if negative else number
    raise tokens.error("value, stable or a number")


def _holds(comparison: Comparison, value: float, stable: float | None) -> bool:
    left, right = (_result(side, value, stable) for side in (comparison.left, comparison.right))
    return _COMPARISONS[comparison.sign](left, right)


def _result(terms: Sum, value: float, stable: float | None) -> float:
    total = 0.0
    for sign, term in terms:
        product = 1.0
        for operation, operand in term:
            number = operand if isinstance(operand, float) else value if operand == "value" else stable
            if number is None:
                raise ConditionError("there is no value of the stable model")
            if operation == "/" and number == 0:
                raise ConditionError("the condition divides by zero")
            product = product / number if operation == "/" else product * number
        total = total + product if sign == "+" else total - product
    if not math.isfinite(total):
        raise ConditionError(f"the condition's arithmetic gives {total}")
    return total
