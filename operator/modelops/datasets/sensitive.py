"""Which kinds of secrets and personal data a text contains. The secrets themselves are never returned.

The patterns of keys are the issuers' own, as listed by gitleaks (https://github.com/gitleaks/gitleaks, its default
configuration) and by GitHub's secret scanning. A key must look random: it has a Shannon entropy of at least 3 bits
per character, so that the placeholder `AKIAXXXXXXXXXXXXXXXX` is not a key. E-mail addresses of reserved domains
(RFC 2606) and fictional phone numbers (555-01xx) belong to no person and are not found.

A finding refuses a dataset of code, so code must not look like an address or a number: not a decorator after an escaped
line break (`\\n@app.route`), a matrix product (`x@self.w`, `q@k.mT`), a label of Kotlin (`this@Outer.id`), a Unix time
in a diff (`+1700000000`) or a part number (`400-500-6000`). docs/designs/010-datasets.md has the measured rates;
tests/unit/datasets/test_sensitive_rates.py measures them.
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

_BOUNDARY = r"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"
"""The left end of a key, which letters inside base64 do not have. In JSON text `\\n`, `\\r` and `\\t` are two
characters, and the second one belongs to no key and no address."""
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
    "AIza": rf"{_BOUNDARY}AIza([\w-]{{35}})",
    "npm_": r"(?<![A-Za-z0-9])npm_([A-Za-z0-9]{36})",
    "pypi-AgE": r"pypi-AgE([\w-]{50,})",
    "SG.": r"SG\.([\w-]{22}\.[\w-]{43})",
    "eyJ": rf"{_BOUNDARY}eyJ[\w-]{{10,}}\.eyJ[\w-]{{10,}}\.([\w-]{{20,}})",
}
_ISSUED = tuple((prefix, re.compile(pattern)) for prefix, pattern in _KEYS.items())
_IDENTIFIER = re.compile(r"[a-z]+(?:[-_][a-z]+)+")
"""Words in small letters, such as the name of a style in a web page."""
_PRIVATE_KEY = re.compile(r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----\s*[A-Za-z0-9+/=:]")
_VALUE = re.compile(r"[:=]\s{0,3}['\"]([A-Za-z0-9+/_=-]{20,})['\"]")
_SECRET_NAME = re.compile(
    r"(?:secret|passwd|password|api[_-]?key|auth[_-]?token|access[_-]?key|access[_-]?token)['\"]?\s{0,3}$",
    re.IGNORECASE,
)
_NAME_BEFORE = 24
"""Number of characters before a value that are searched for its name."""
_EMAIL = re.compile(
    r"(?:(?<![\w.+/:@\\-])|(?<=\\[nrt]))"
    r"([A-Za-z0-9][\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,24})(?![\w@(\[:/]|\.\w)"
)
_RESERVED = re.compile(
    r"(?i)(?:^|\.)(?:(?:example|yourdomain|yourcompany|mycompany)\.(?:com|org|net|edu)"
    r"|example|test|invalid|localhost|local)$"
)
_TOP_LEVEL = re.compile(
    r"(?i)(?:com|org|net|edu|gov|mil|int|info|biz|pro|app|dev|xyz|online|site|tech|cloud|email|shop|store|blog|club|live"
    r"|life|world|agency|digital|software|systems|solutions|services|studio|science|engineering|academy|media|network"
    r"|consulting|group|team|today|work|works|space|website|asia|berlin|london|paris|wien|koeln|hamburg|nyc|tokyo"
    r"|a[cdefgilmoqrstuwxz]|b[abdefghijmnorstvwyz]|c[acdfghiklmnoruvwxyz]|d[ejkmoz]|e[cegrstu]|f[ijkmor]"
    r"|g[adefghilmnpqrstuwy]|h[kmnrtu]|i[delmnoqrst]|j[emop]|k[eghimnprwyz]|l[abcikrstuvy]|m[acdeghklmnopqrstuvwxyz]"
    r"|n[acefgilopruz]|om|p[aefghklmnrstwy]|qa|r[eosuw]|s[abcdeghijklmnorstuvxyz]|t[cdfghjklmnortvwz]|u[agksyz]"
    r"|v[aceginu]|w[fs]|y[et]|z[amw])$"
)
"""Top-level domains of people's addresses: the countries' (ISO 3166), and common generic ones. Most names of attributes
are none of them: `x@layer.weight`."""
_CODE_DOMAIN = re.compile(r"(?:self|cls|this|np|torch|tf|jnp|functools)\.|.*\.m[TH]$")
"""Domains that begin with an object or a module of a program, or end with PyTorch's transposed matrix (`q@k.mT`)."""
_IMPERSONAL = re.compile(
    r"(?i)(?:git|no-?reply|user|username|name|you|someone|foo|bar|root|admin|administrator|postmaster|webmaster|ubuntu"
    r"|this|super|ec2-user|postgres|www-data|your[.-]?[a-z]+|email|test)$"
)
_INTERNATIONAL = re.compile(
    r"\+(?<![\w.+/-]\+)(?:[1-9]\d{0,2}[ .-]\(?\d{1,4}\)?(?:[ .-]\d{2,5}){1,4}|[1-9]\d{9,13})(?![\w/-]|[.:]\d)"
)
_COUNTRY = re.compile(
    r"1[2-9]\d\d[2-9]\d{6}$|7[3-9]\d{9}$"
    r"|(?:2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|21[12368]|2[2345]\d|26\d|29[01789]|35\d|37\d|38[0-35-79]"
    r"|42[013]|50\d|59\d|67[02-9]|68\d|69[0-2]|85[02356]|88[06]|96[0-8]|97\d|99[2-68])\d{7,13}$"
)
"""Digits that begin with a country code (ITU-T E.164); those of North America and Russia have eleven digits."""
_LAST_FOUR = re.compile(r"-\d{4}(?![\w/-])")
_BEFORE_THEM = re.compile(r"(?<![\w.+/-])(?:\((\d{3})\) ?(\d{3})|([2-9]\d{2})-([2-9]\d{2}))$")
"""The digits before the last four of a North American number, such as (212) 736-5000."""
_NOBODYS_AREA = re.compile(r"[2-9](?:00|11|9\d)$|8(\d)\1$|37\d$|96\d$")
"""Area codes that are no person's (North American Numbering Plan): not assigned, services, or free of charge."""
_NO_PHONE_BEFORE = re.compile(
    r"(?i)\b(?:p/n|parts?|sku|models?|items?|serial|orders?|invoice|ref|ids?|tickets?|case|isbn|version|build|upc|ean)"
    r"\W{0,3}(?:(?:no|nr|num|number|id|is)\W{0,3})?$"
)
_CHARACTERS_BEFORE = 32
_LONGEST_BEFORE = 14
_DIFF_LINE = re.compile(r"(?:^|\n|\\n)(?:\+(?!\d{1,3}[ .-])|-\d|@@ |--- |\+\+\+ )")
_FEWEST_DIGITS, _MOST_DIGITS = 10, 15
"""Digits of a telephone number with its area code; E.164 allows at most 15."""
_FICTIONAL = re.compile(r"555\D?01\d\d$|1234567|0{5}$")


def find_sensitive(text: str) -> frozenset[SensitiveKind]:
    """The kinds of secrets and personal data in the text."""
    found = set()
    if "PRIVATE KEY" in text and _PRIVATE_KEY.search(text):
        found.add(SensitiveKind.PRIVATE_KEY)
    if _has_key(text):
        found.add(SensitiveKind.KEY)
    if "@" in text and any(_is_personal(*match.groups()) for match in _EMAIL.finditer(text)):
        found.add(SensitiveKind.EMAIL)
    if any(True for _ in _phone_numbers(text)):
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
    return (
        entropy(value) >= MIN_ENTROPY and "EXAMPLE" not in value.upper() and not _IDENTIFIER.fullmatch(value)
    )


def _looks_secret(value: str) -> bool:
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and entropy(value) >= MIN_ENTROPY_OF_UNKNOWN and "EXAMPLE" not in value.upper()


def _is_personal(local: str, domain: str) -> bool:
    is_code = _CODE_DOMAIN.match(domain) or not _TOP_LEVEL.match(domain.rpartition(".")[2])
    return not (is_code or _IMPERSONAL.match(local) or _RESERVED.search(domain))


def _phone_numbers(text: str) -> Iterator[str]:
    """Phone numbers. Both searches begin with a rare character, so that they skip most of a text."""
    for found in _INTERNATIONAL.finditer(text) if "+" in text else ():
        number = re.sub(r"\D", "", found.group())
        if _has_digits(number) and _COUNTRY.match(number) and not _is_in_diff(text, found.start()):
            yield found.group()
    for last in _LAST_FOUR.finditer(text) if "-" in text else ():
        start = max(0, last.start() - _LONGEST_BEFORE)
        before = _BEFORE_THEM.search(text[start : last.start()])
        if before is None:
            continue
        area, exchange = before.group(1) or before.group(3), before.group(2) or before.group(4)
        nobodys = _NOBODYS_AREA.match(area) or exchange[1:] == "11"
        words = text[max(0, start + before.start() - _CHARACTERS_BEFORE) : start + before.start()]
        if not nobodys and _has_digits(area + exchange + last.group()) and not _NO_PHONE_BEFORE.search(words):
            yield before.group() + last.group()


def _is_in_diff(text: str, at: int) -> bool:
    """Whether the plus sign at `at` marks a line of a diff: it begins a line, and so does another plus or minus."""
    begins_line = at == 0 or text[at - 1] == "\n" or text[max(0, at - 2) : at] == "\\n"
    return begins_line and bool(_DIFF_LINE.search(text[:at]) or _DIFF_LINE.search(text[at + 1 :]))


def _has_digits(number: str) -> bool:
    digits = sum(character.isdigit() for character in number)
    return _FEWEST_DIGITS <= digits <= _MOST_DIGITS and not _FICTIONAL.search(number)
