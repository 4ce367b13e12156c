"""The words of a message, each with its kind: a dataset, a version, an amount of money, a time, a plain word."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from enum import Enum, auto


def words_of(text: str) -> frozenset[str]:
    """The words of a text that spaces and lines separate: a vocabulary."""
    return frozenset(text.split())


class Kind(Enum):
    """What a token is."""

    WORD = auto()
    DATASET = auto()
    MODEL = auto()
    VERSION = auto()
    RUN = auto()
    PERCENT = auto()
    USD = auto()
    OTHER_MONEY = auto()
    TIME = auto()
    NUMBER = auto()
    MENTION = auto()
    PAUSE = auto()
    """A comma, a colon or a dash: a part of a sentence ends."""
    STOP = auto()
    """A sentence ends."""


@dataclass(frozen=True)
class Token:
    """One word or sign."""

    kind: Kind
    text: str
    """A word in lower case without accents; anything else as it was written."""
    number: float | None = None
    before_question_mark: bool = False


_FAMILIES = (
    "llama|qwen|mistral|mixtral|gemma|phi|deepseek|starcoder|codellama|granite|smollm|codestral|codegemma|yi|falcon"
    "|olmo|gpt|claude"
)
_FORMS = re.compile(
    rf"""
      (?P<dataset>\bls://[^\s,;!?"'<>)\]]+)
    | (?P<url>\bhttps?://\S+)
    | (?P<usd>(?:us)?\$\s?\d[\d,.]*k?\b | \b\d[\d,.]*k?\s?(?:\$|us\$|usd\b))
    | (?P<other_money>[€£]\s?\d[\d,.]*k?\b | \b\d[\d,.]*k?\s?(?:€|£|eur\b|gbp\b))
    | (?P<percent>\b\d+(?:[.,]\d+)?\s?(?:%|pct\b))
    | (?P<time>\b\d{{1,2}}:\d\d(?::\d\d)?(?:\s?[ap]m\b)? | \b\d{{1,2}}\s?(?:[ap]m|uhr|o'clock)\b
        | \b\d{{1,2}}h(?:\d\d)?\b)
    | (?P<run>\b(?:[a-z][a-z0-9_]*-)*(?:tr|ev|ro|tj|job|run|eval|evaluat(?:e|ion)|rollout|deploy(?:ment)?|canary
        |train(?:ing)?)-[\w-]*\d[\w-]*
        | \b[a-z][a-z0-9_]*(?:-[a-z0-9_]+)*-(?:\d{{4}}-\d\d-\d\d|v\d+-\d+)\b)
    | (?P<named_run>(?<=\bjob\s)(?=[a-z_-]*\d)(?!v?\d{{1,2}}\b)[\w-]{{4,}}\b(?![./])
        | (?:(?<=\brun\s)|(?<=\btraining\s))(?=[\w-]*[a-z])(?=[\w-]*\d)
          (?:(?:[a-z\d]+[-_])+(?=[a-f]*\d)[\da-f]{{4,}}|[\da-f]{{5,}})\b(?![./-]))
    | (?P<version>\b(?:v\.?\s?|ver(?:s|si[oó]n|s[aã]o)?(?:[.:]\s?|\s))\d+(?:\.\d+)*(?:-rc\.?\d+)?\b(?!\s?%))
    | (?P<model>\b[a-z][\w.-]*/(?=[\w.-]*\d)[\w.-]*\w
        | (?<=\bbase[ ]model[ ])(?!and/or\b)[a-z][\w.-]*/[\w.-]*\w
        | \b(?:{_FAMILIES})(?=[\w.-]*\d)[\w.]*(?:-[\w.]+)*\b | \b[a-z][\w.]*(?:-[\w.]+)*-\d+(?:\.\d+)?b(?:-\w+)*\b
        | \b\d+(?:\.\d+)?b\b)
    | (?P<number>\b\d[\d,.]*k?\b)
    | (?P<mention>@[\w-]+)
    | (?P<arrow>-+>|=+>|→|➡)
    | (?P<dollar>\$)
    | (?P<with>\bw/(?!o)) | (?P<without>\bw/o\b)
    | (?P<word>[^\W\d_]+(?:'[^\W\d_]+)*)
    | (?P<ordinal>\b\d+(?:st|nd|rd|th|ish)\b)
    | (?P<emoji>👍|🙌|🫡|✅|🚀|👌|🆗|🙏|💯|✔|👎|❌|🛑|⛔)
    | (?P<stop>[.!?;…]+)
    | (?P<pause>[,:]|\s[-–—]+\s|—|–|\()
    | (?P<and>&|\+)
    """,
    re.X | re.I,
)
_CONTRACTED = words_of("""
    hows whats wheres whos lets its thats theres heres whens whys hes shes dont cant wont isnt arent
    doesnt didnt couldnt shouldnt wouldnt hasnt havent wasnt werent im id ive ill weve wed youre youve
    theyre
""")
_EMOJI = {
    "👍": "yes",
    "✅": "yes",
    "🚀": "yes",
    "👌": "yes",
    "🆗": "yes",
    "💯": "yes",
    "🙌": "yes",
    "🫡": "yes",
    "✔": "yes",
    "🙏": "please",
}
_NO_EMOJI = {"👎": "no", "❌": "no", "🛑": "stop", "⛔": "stop"}
_STARTS = {"percent": Kind.PERCENT, "usd": Kind.USD, "other_money": Kind.OTHER_MONEY, "number": Kind.NUMBER}
_NAMES = {
    "dataset": Kind.DATASET,
    "time": Kind.TIME,
    "run": Kind.RUN,
    "named_run": Kind.RUN,
    "version": Kind.VERSION,
    "model": Kind.MODEL,
    "mention": Kind.MENTION,
}
_SIGNS = {
    "arrow": "to",
    "with": "with",
    "without": "without",
    "dollar": "money",
    "and": "and",
    "url": "url",
    "ordinal": "nth",
}


def tokens_of(text: str) -> list[Token]:
    """The tokens of one line of text."""
    tokens: list[Token] = []
    for found in _FORMS.finditer(text):
        form, raw = str(found.lastgroup), found[0]
        if form in _STARTS:
            tokens.append(Token(_STARTS[form], raw, number=_value(raw)))
        elif form in _NAMES:
            name = raw.rstrip(".:…") if form == "dataset" else raw
            tokens.append(
                Token(_NAMES[form], re.sub(r"^v\D*", "v", name.lower()) if form == "version" else name)
            )
            if form == "dataset" and raw.endswith((".", "…")):
                tokens.append(Token(Kind.STOP, "."))
        elif form in ("stop", "pause"):
            kind = Kind.STOP if form == "stop" else Kind.PAUSE
            tokens.append(Token(kind, raw.strip(), before_question_mark="?" in raw))
        elif form == "emoji":
            tokens.append(Token(Kind.WORD, (_EMOJI | _NO_EMOJI)[raw]))
        else:
            words = [_SIGNS[form]] if form in _SIGNS else _words(raw)
            tokens += [Token(Kind.WORD, word) for word in words]
    return _joined(tokens)


def folded(text: str) -> str:
    """Lower case without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def _words(raw: str) -> list[str]:
    parts = re.sub(r"([a-z])\1{2,}", r"\1", folded(raw)).split("'")
    together = "".join(parts)
    if len(parts) == 1 or together in _CONTRACTED:
        return [together]
    return [
        part
        for number, part in enumerate(parts)
        if number == 0 or part not in ("s", "d", "ll", "m", "re", "ve")
    ]


def _value(raw: str) -> float | None:
    digits = re.sub(r"[^\d.,k]", "", raw.casefold())
    thousands = digits.endswith("k")
    digits = digits.rstrip("k.,")
    if re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits):
        digits = re.sub(r"[.,]", "", digits)
    try:
        value = float(digits.replace(",", "."))
    except ValueError:
        return None
    return value * 1000 if thousands else value


def _joined(tokens: list[Token]) -> list[Token]:
    """`re train` as one word, as people write it with and without a hyphen."""
    joined: list[Token] = []
    for token in tokens:
        if joined and joined[-1].text == "re" and token.kind is Kind.WORD:
            joined[-1] = replace(token, text="re" + token.text)
        else:
            joined.append(token)
    return joined
