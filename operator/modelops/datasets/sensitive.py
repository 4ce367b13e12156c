"""Which kinds of secrets and personal data a text contains. The secrets themselves are never returned.

The patterns of keys are the issuers' own, as listed by gitleaks (https://github.com/gitleaks/gitleaks, its default
configuration) and by GitHub's secret scanning. A key must look random: it has a Shannon entropy of at least 3 bits
per character, so that the placeholder `AKIAXXXXXXXXXXXXXXXX` is not a key. E-mail addresses of reserved domains
(RFC 2606) and fictional phone numbers (555-01xx) belong to no person and are not found.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator

from modelops.api.v1alpha1.trainingrun import SensitiveKind

MIN_ENTROPY = 3.0
"""Bits per character. Placeholders have less; issued keys of 16 or more characters have more."""
MIN_ENTROPY_OF_UNKNOWN = 3.7
"""Bits per character for a value without a known issuer, which is suspected only because of its name."""


_KEYS = {
    "AKIA": r"(?<![A-Z0-9])AKIA([A-Z2-7]{16})(?![A-Z0-9])",
    "ASIA": r"(?<![A-Z0-9])ASIA([A-Z2-7]{16})(?![A-Z0-9])",
    "ghp_": r"ghp_([A-Za-z0-9]{36})",
    "gho_": r"gho_([A-Za-z0-9]{36})",
    "ghs_": r"ghs_([A-Za-z0-9]{36})",
    "ghu_": r"ghu_([A-Za-z0-9]{36})",
    "github_pat_": r"github_pat_(\w{60,})",
    "glpat-": r"glpat-([\w-]{20,})",
    "xox": r"xox[abeprs]-([A-Za-z0-9-]{20,})",
    "k_live_": r"[sr]k_live_([A-Za-z0-9]{20,})",
    "sk-": r"(?<![A-Za-z0-9])sk-(?:ant-|proj-|or-v1-|svcacct-)?([A-Za-z0-9_-]{32,})",
    "hf_": r"(?<![A-Za-z0-9])hf_([A-Za-z0-9]{30,})",
    "lsv2_": r"lsv2_(?:pt|sk)_([0-9a-f]{32})",
    "AIza": r"AIza([\w-]{35})",
    "npm_": r"(?<![A-Za-z0-9])npm_([A-Za-z0-9]{36})",
    "pypi-AgE": r"pypi-AgE([\w-]{50,})",
    "SG.": r"SG\.([\w-]{22}\.[\w-]{43})",
    "eyJ": r"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.([\w-]{20,})",
}
_ISSUED = tuple((prefix, re.compile(pattern)) for prefix, pattern in _KEYS.items())
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s*[A-Za-z0-9+/=:]")
_VALUE = re.compile(r"[:=]\s{0,3}['\"]([A-Za-z0-9+/_=-]{20,})['\"]")
_SECRET_NAME = re.compile(
    r"(?:secret|passwd|password|api[_-]?key|auth[_-]?token|access[_-]?key|access[_-]?token)['\"]?\s{0,3}$",
    re.IGNORECASE,
)
_NAME_BEFORE = 24
"""Number of characters before a value that are searched for its name."""
_EMAIL = re.compile(
    r"(?<![\w.+/:@-])([A-Za-z0-9][\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24})(?![\w@(:/])"
)
_RESERVED = re.compile(r"(?i)(?:^|\.)(?:example(?:\.(?:com|org|net|edu))?|test|invalid|localhost|local)$")
_IMPERSONAL = frozenset(
    {"git", "noreply", "no-reply", "user", "username", "name", "you", "someone", "foo", "bar"}
)
_INTERNATIONAL = re.compile(
    r"\+(?<![\w.+/-]\+)(?:[1-9]\d{0,2}[ .-]\(?\d{1,4}\)?(?:[ .-]\d{2,5}){1,4}|[1-9]\d{9,13})(?![\w/-])"
)
_LAST_FOUR = re.compile(r"-\d{4}(?![\w/-])")
_BEFORE_THEM = re.compile(r"(?<![\w.+/-])(?:\(\d{3}\) ?\d{3}|[2-9]\d{2}-[2-9]\d{2})$")
"""The digits before the last four of a North American number, such as (212) 736-5000."""
_LONGEST_BEFORE = 12
_FEWEST_DIGITS, _MOST_DIGITS = 10, 15
"""Digits of a telephone number with its area code; E.164 allows at most 15."""
_FICTIONAL = re.compile(r"555\D?01\d\d$")


def find_sensitive(text: str) -> frozenset[SensitiveKind]:
    """The kinds of secrets and personal data in the text."""
    found = set()
    if "PRIVATE KEY" in text and _PRIVATE_KEY.search(text):
        found.add(SensitiveKind.PRIVATE_KEY)
    if _has_key(text):
        found.add(SensitiveKind.KEY)
    if "@" in text and any(_is_personal(*match.groups()) for match in _EMAIL.finditer(text)):
        found.add(SensitiveKind.EMAIL)
    if any(_is_phone_number(number) for number in _phone_candidates(text)):
        found.add(SensitiveKind.PHONE)
    return frozenset(found)


def entropy(text: str) -> float:
    """Shannon entropy in bits per character."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values()) if size else 0.0


def _has_key(text: str) -> bool:
    for prefix, pattern in _ISSUED:
        if prefix in text and any(_is_random(match.group(1)) for match in pattern.finditer(text)):
            return True
    return any(
        _looks_secret(match.group(1)) and _SECRET_NAME.search(text[: match.start()][-_NAME_BEFORE:])
        for match in _VALUE.finditer(text)
    )


def _is_random(value: str) -> bool:
    return entropy(value) >= MIN_ENTROPY and "EXAMPLE" not in value.upper()


def _looks_secret(value: str) -> bool:
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and entropy(value) >= MIN_ENTROPY_OF_UNKNOWN and "EXAMPLE" not in value.upper()


def _is_personal(local: str, domain: str) -> bool:
    return local.lower() not in _IMPERSONAL and not _RESERVED.search(domain)


def _phone_candidates(text: str) -> Iterator[str]:
    """Candidates for phone numbers. Both searches begin with a rare character, so that they skip most of a text."""
    if "+" in text:
        yield from _INTERNATIONAL.findall(text)
    for last in _LAST_FOUR.finditer(text) if "-" in text else ():
        before = _BEFORE_THEM.search(text[max(0, last.start() - _LONGEST_BEFORE) : last.start()])
        if before:
            yield before.group() + last.group()


def _is_phone_number(text: str) -> bool:
    digits = sum(character.isdigit() for character in text)
    return _FEWEST_DIGITS <= digits <= _MOST_DIGITS and not _FICTIONAL.search(text)
