"""Texts in forms in which copies are equal.

Code is not prose: `x << 1` and `x >> 1` are two questions, and so are "in C++" and "in C#". So a text has three parts:
its words, its characters without spacing, and its operators.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import NamedTuple

_BETWEEN_WORDS = re.compile(r"[\W_]+")
_ASCII = bytes(code if code < 128 and chr(code).isalnum() else ord(" ") for code in range(256))
_ASCII_SPACES = bytes(code for code in range(128) if chr(code).isspace())
_SENTENCE_ENDS = re.compile(r"[.!?](?<=\S[.!?])(?=\s)")
_CASE_COUNTS = re.compile(r"[\\%-][A-Z](?:(?<=[\\%][A-Z])|(?!\w))")
r"""Capitals that mean something else than the small letter: `\D`, `%M`, `-V`. Searched fast by its first character."""
_NOT_COMPARED = "()[]{},.;:'\"`!?_"
"""Marks that `operators` leaves out: brackets, quotes, and marks between and after clauses."""
_ASCII_NO_OPERATORS = bytes(
    code for code in range(128) if chr(code).isalnum() or chr(code).isspace() or chr(code) in _NOT_COMPARED
)
_NO_OPERATORS = re.compile(rf"[\w\s{re.escape(_NOT_COMPARED)}]+")
_WITHOUT_SPACES = re.compile("([\u3041-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff])")
"""Characters of Chinese and Japanese, which have no space between words."""


class NormalisedText(NamedTuple):
    """One text in lower case: its words, its operators in their order, and a form for digests, as UTF-8.

    The form is equal for texts that are equal without case, spacing and the marks that end sentences. Each character of
    a script without spaces is a word.
    """

    words: list[str]
    form: bytes
    operators: str

    @property
    def spaced_words(self) -> list[str]:
        """What stands between spaces and marks; in a script without spaces these are whole clauses."""
        return self.form.decode(errors="surrogatepass").partition("\n")[0].split()


def normalised_text(text: str) -> str:
    """The words and numbers of a text, in lower case, with single spaces between them."""
    if text.isascii():  # Gives the same words as below, ten times as fast.
        return " ".join(text.lower().encode().translate(_ASCII).decode().split())
    return _BETWEEN_WORDS.sub(" ", unicodedata.normalize("NFKC", text).casefold()).strip()


@lru_cache(maxsize=64)
def normalise(text: str) -> NormalisedText:
    """The parts of a text. Some are kept, because an instruction comes again in each example.

    Two texts with equal words and equal characters differ in spacing around marks only. Each pattern is tried only
    where it can match, because most texts of code have none of them.
    """
    if "\\" in text or "%" in text or "-" in text:
        text = _CASE_COUNTS.sub(lambda found: f"{found[0][0]}^{found[0][1]}", text)
    if "." in text or "!" in text or "?" in text:
        text = _SENTENCE_ENDS.sub("", f"{text}\n")
    if text.isascii():  # Gives the same as below, several times as fast.
        ascii_text = text.lower().encode()
        words = ascii_text.translate(_ASCII).decode().split()
        form = b"%b\n%b" % (" ".join(words).encode(), ascii_text.translate(None, _ASCII_SPACES))
        return NormalisedText(words, form, ascii_text.translate(None, _ASCII_NO_OPERATORS).decode())
    text = unicodedata.normalize("NFKC", text).casefold()
    spaced = " ".join(_BETWEEN_WORDS.sub(" ", text).split())
    form = f"{spaced}\n{''.join(text.split())}".encode(errors="surrogatepass")
    return NormalisedText(_WITHOUT_SPACES.sub(r" \1 ", spaced).split(), form, _NO_OPERATORS.sub("", text))
