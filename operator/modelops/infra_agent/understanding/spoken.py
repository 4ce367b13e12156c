"""What the person says, apart from what they quote, paste or say to somebody else."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from modelops.infra_agent.understanding.words import words_of

_FENCE = re.compile(r"(```|~~~).*?(\1|\Z)", re.S)
_CODE = re.compile(r"`([^`\n]*)`")
_QUOTES = re.compile(
    r"(?:(?<=^)|(?<=[\s(\[:;,.!?]))"
    r"(?:\"([^\"]*)(?:\"|\Z)|“([^”]*)(?:”|\Z)|„([^“”]*)(?:[“”]|\Z)|«([^»]*)(?:»|\Z)|‘([^’]*)’|'((?:[^']|'(?=\w))*)'(?!\w))",
    re.S,
)
_PASTED_LINE = re.compile(
    r"^\s*(>|\||\[\d[\d:. T+Z-]*\]|\d{4}-\d\d-\d\d[T ]\d\d:\d\d|\d\d:\d\d:\d\d\b"
    r"|(?-i:INFO|WARN(?:ING)?|ERROR|DEBUG|FATAL|TRACE)\b\s*[^\s:]"
    r"|(from|to|subject|date|sent|system|assistant|user|human|tool|info|warn(ing)?|error|debug|von|betreff|de|assunto|asunto)\s*:)",
    re.I,
)
_INTRODUCTION = re.compile(
    r"\b("
    r"got (this|that|the following)\b[^:\n]{0,60}"
    r"|\w+ (says?|said|reads?|wrote|writes|asked|asks|claims?|goes|told \w+|schreibt|sagt|dice|diz|dit)"
    r"|forwarded( message)?|fwd?|copy.?paste[d]?|pasted?|quote|ticket|translate\b[^:\n]{0,30}"
    r"|summari[sz]e( this)?[^:\n]{0,40}"
    r"|what does (this|that) mean|what is this"
    r")\s*:",
    re.I,
)
_NAME = re.compile(
    r"\s*(ls://\S+|v\d[\w.-]*|[\w.-]+/[\w.-]*\d[\w.-]*|(the )?[\w/-]+( (dev|review|agent|bot))?)\s*", re.I
)
_ACTION = re.compile(
    r"\b(confirm|yes|no|go|ok|okay|proceed|stop|cancel|approve[d]?|rollback|deploy|train|promote)\b", re.I
)
_MENTION = re.compile(r"(?<![\w@])@([\w-]+(?:/[\w-]+)?)")
_OURS = frozenset(
    {"chef", "codechef", "code-chef", "infra", "infraagent", "infra-agent", "modelops", "here", "channel"}
)
_GREETING = re.compile(
    r"^\s*(?:hi|hey|hello|hallo|moin|hola|oi|ola|salut|bonjour|yo|dear)\s+"
    r"(?P<name>[^\W\d_][\w-]*(?: (?:review(?:er)?|dev|bot|agent))?)"
    r"\s*(?:[,:!–—-]|\s(?=can |could |would |please |pls |kannst |puedes |pode ))",
    re.I,
)
_TO_ALL = frozenset({"there", "all", "team", "folks", "guys", "everyone", "again", "you", "bot"})
QUOTED = " quotedtext "
"""The word that stands for a quotation. It is no word of any language, so nothing acts on it."""


@dataclass(frozen=True)
class Spoken:
    """The person's own words, on one line."""

    text: str
    pasted: bool
    """Whether the message also has quoted or pasted text."""
    to_somebody_else: bool
    """Whether it is addressed to another agent or to a person."""


def spoken(message: str) -> Spoken:
    """Separate the person's own words from pasted lines, code, quotations and what another is addressed with."""
    text = unicodedata.normalize("NFKC", message).replace("\r\n", "\n").replace("\r", "\n")
    text = re.sub(r"[^\S\n]+", " ", text)
    text = text.replace("\u00b4", "'").replace("\u02bc", "'")
    own = _FENCE.sub(QUOTED, text)
    own = "\n".join(QUOTED if _PASTED_LINE.match(line) else line for line in own.split("\n"))
    if len([line for line in own.split("\n") if _is_chat_line(line)]) > 1:
        own = "\n".join(QUOTED if _is_chat_line(line) else line for line in own.split("\n"))
    introduced = _INTRODUCTION.search(own)
    if introduced is not None:
        own = own[: introduced.end()] + QUOTED
    own = _CODE.sub(_name_or_quotation, own)
    own = _QUOTES.sub(_name_or_quotation, own).replace("’", "'").replace("‘", "'")
    pasted = QUOTED.strip() in own
    elsewhere, own = _addressee(own)
    return Spoken(text=re.sub(r"\s*\n\s*", " ; ", own).strip(" ;"), pasted=pasted, to_somebody_else=elsewhere)


def _name_or_quotation(found: re.Match[str]) -> str:
    """A quotation that is only a name stays: `ls://docs/faq` in backquotes is a dataset that the person names."""
    inner = next((group for group in found.groups() if group is not None), "")
    whole = found.string.strip() == found[0].strip()
    if not whole and _NAME.fullmatch(inner) and not _ACTION.search(inner):
        return f" {inner} "
    return QUOTED


_HELLO = r"(?:hi|hey|hello|hallo|moin|yo|hola|oi|salut|ok|so)"
_OUR_NAME = re.compile(rf"\W*(?:{_HELLO}\W+)?(?:chef|code-?chef|infra|modelops)\b\W*", re.I)
_OPENING = re.compile(rf"\W*(?:{_HELLO}\W+)*", re.I)


def _addressee(text: str) -> tuple[bool, str]:
    """Whether somebody other than the Infra agent is addressed, and the text without the Infra agent's name."""
    ours = next((found for found in _MENTION.finditer(text) if found[1].casefold() in _OURS), None)
    if ours is not None:
        before = text[: ours.start()]
        aside = before.lstrip().startswith("@") or _OPENING.fullmatch(before)
        return _addressee(f"{'' if aside else before} {text[ours.end() :]}")
    name = _OUR_NAME.match(text)
    rest = text[name.end() :] if name is not None else text
    mention = _MENTION.search(rest)
    if mention is not None and _OPENING.fullmatch(rest[: mention.start()]):
        return True, rest
    greeting = _GREETING.match(_LEADING.sub("", rest))
    if greeting is not None and greeting["name"].casefold() not in _OURS | _TO_ALL:
        return True, rest
    return False, rest


_LEADING = re.compile(r"^\W*(?:(?:ok|so|hi)\b\W+)*(?=(?:hi|hey|hello|hallo)\b)", re.I)
_CHAT_LINE = re.compile(r"^\s*(?:\[[^\]]*\]\s*)?@?([^\W\d_][\w.-]{1,20}):\s+\S")
_KEYS = words_of("""
    agent dataset data method base model version budget max cap limit percent share strategy run please
    name goal task when note
""")


def _is_chat_line(line: str) -> bool:
    """`lena: should we deploy?`; not `dataset: ls://docs/faq` of an order in lines."""
    found = _CHAT_LINE.match(line)
    return found is not None and found[1].casefold() not in _KEYS
