"""Numbers in words, and what a number counts: dollars, a share of the traffic, or something that no slot holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from modelops.infra_agent.understanding.words import Kind, Token, words_of


def _table(lines: str) -> dict[str, float]:
    return {
        word: float(value) for value, *words in map(str.split, lines.strip().splitlines()) for word in words
    }


_SMALL = _table("""
1 one ein eine einen un une uno una um uma
2 two zwei dos dois duas deux
3 three drei tres trois
4 four vier cuatro quatro quatre
5 five funf fuenf cinco cinq
6 six sechs seis
7 seven sieben siete sete sept
8 eight acht ocho oito huit
9 nine neun nueve nove neuf
10 ten zehn diez dez dix
11 eleven elf onze
12 twelve zwolf zwoelf doce doze douze
13 thirteen dreizehn trece treze treize
14 fourteen vierzehn catorce quatorze
15 fifteen funfzehn fuenfzehn quince quinze
16 sixteen sechzehn
17 seventeen siebzehn
18 eighteen achtzehn
19 nineteen neunzehn
20 twenty zwanzig veinte vinte vingt
25 veinticinco
30 thirty dreissig dreizig treinta trinta trente
40 forty fourty vierzig cuarenta quarenta quarante
50 fifty funfzig fuenfzig cincuenta cinquenta cinquante
60 sixty sechzig sesenta sessenta soixante
70 seventy siebzig setenta
80 eighty achtzig ochenta oitenta
90 ninety neunzig noventa
100 cien cem cent
""")
_SCALES = _table("""
100 hundred hundert ciento cento
1000 thousand tausend grand mil mille
""")
_SHARES = _table("""
50 half halfte haelfte mitad metade moitie
25 quarter viertel cuarto
33 third drittel
20 fifth funftel
10 tenth zehntel decimo
5 twentieth zwanzigstel
1 hundredth hundertstel
""")
_PERCENT = words_of("percent prozent pourcent percents prozente pct")
_PERCENT_PAIRS = frozenset({("por", "ciento"), ("por", "cento"), ("per", "cent"), ("pour", "cent")})
_DOLLARS = words_of("dollar dollars buck bucks usd dolar dolares")
_OTHER_MONEY = words_of("euro euros eur pound pounds gbp reais real")


def with_numbers(tokens: Sequence[Token]) -> list[Token]:
    """The tokens, with numbers in words as numbers, and each number joined with its unit."""
    return _with_versions(_with_units(_with_shares(_with_digits(tokens))))


def number_words() -> frozenset[str]:
    """Every word of this page, which is therefore not a misspelling of another."""
    return frozenset(_SMALL) | frozenset(_SCALES) | frozenset(_SHARES) | _PERCENT | _DOLLARS | _OTHER_MONEY


def _with_digits(tokens: Sequence[Token]) -> list[Token]:
    """`two hundred` as 200. A single small word stays a word where it may mean another thing (`the good one`)."""
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        value, end = _number_at(tokens, at)
        unit = tokens[end].text if end < len(tokens) else ""
        several = end - at > 1
        has_unit = (
            unit in _PERCENT | _DOLLARS | _OTHER_MONEY or (unit, _text(tokens, end + 1)) in _PERCENT_PAIRS
        )
        if value is not None and (
            several or has_unit or value >= 13 or (unit == "in" and tokens[at].text == "one")
        ):
            result.append(Token(Kind.NUMBER, " ".join(token.text for token in tokens[at:end]), number=value))
            at = end
        else:
            result.append(tokens[at])
            at += 1
    return result


def _number_at(tokens: Sequence[Token], at: int) -> tuple[float | None, int]:
    total: float | None = None
    end = at
    while end < len(tokens) and tokens[end].kind is Kind.WORD:
        word = tokens[end].text
        if (
            word in ("cent", "ciento", "cento")
            and end > at
            and tokens[end - 1].text in ("por", "per", "pour")
        ):
            break
        if total is not None and word in _SCALES:
            total = total * _SCALES[word]
        elif total is None and word in ("hundred", "hundert", "thousand", "tausend"):
            total = _SCALES[word]
        elif (value := _small(word)) is not None and (
            total is None or (total >= 20 and value < 10) or total >= 100
        ):
            total = (total or 0) + value
        elif not (
            total is not None
            and word in ("and", "y", "e", "und")
            and _text(tokens, end + 1) in _SMALL
            and total >= 20
        ):
            break
        end += 1
    return total, end


def _small(word: str) -> float | None:
    if word in _SMALL:
        return _SMALL[word]
    unit, und, tens = word.partition("und")
    if und and unit in _SMALL and tens in _SMALL:
        return _SMALL[unit] + _SMALL[tens]
    return None


def _with_shares(tokens: Sequence[Token]) -> list[Token]:
    """`a quarter of`, `half the` and `one in twenty` as percentages."""
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        following = _text(tokens, at + 1)
        out_of = following == "out" and _text(tokens, at + 2) == "of"
        if token.text in ("one", "1") and (following == "in" or out_of):
            place = at + (3 if out_of else 2)
            whole = tokens[place] if place < len(tokens) else None
            value = (whole.number or _SMALL.get(whole.text)) if whole is not None else None
            if value:
                result.append(Token(Kind.PERCENT, "share", number=round(100 / value, 2)))
                at = place + 1
                continue
        if token.text in _SHARES and following in ("of", "the", "der", "des", "del", "de", "do", "dos", "du"):
            result.append(Token(Kind.PERCENT, "share", number=_SHARES[token.text]))
        else:
            result.append(token)
        at += 1
    return result


def _with_units(tokens: Sequence[Token]) -> list[Token]:
    result: list[Token] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        unit, after = _text(tokens, at + 1), _text(tokens, at + 2)
        kind, used = token.kind, 1
        if token.kind is Kind.NUMBER:
            if unit in _PERCENT:
                kind, used = Kind.PERCENT, 2
            elif (unit, after) in _PERCENT_PAIRS:
                kind, used = Kind.PERCENT, 3
            elif unit in _DOLLARS:
                kind, used = Kind.USD, 2
            elif unit in _OTHER_MONEY:
                kind, used = Kind.OTHER_MONEY, 2
        elif token.text in _DOLLARS and result and result[-1].kind in (Kind.NUMBER, Kind.OTHER_MONEY):
            result[-1] = replace(result[-1], kind=Kind.USD)
            at += 1
            continue
        elif token.text in _DOLLARS and (money := _corrected_money(result)) is not None:
            result[money] = replace(result[money], kind=Kind.USD)
        result.append(replace(token, kind=kind))
        at += used
    return result


_ALSO = words_of("and or vs versus against und oder gegen y o contra e ou et")
_AFTER_VERSIONS = words_of("of for on with please pls von fur mit de do del du da para bitte")


def _with_versions(tokens: Sequence[Token]) -> list[Token]:
    """`versions 4 and 5 of docs`, `v4 vs 5`: whole numbers beside a version that count nothing."""
    result = list(tokens)
    for at, token in enumerate(tokens):
        if token.kind is not Kind.NUMBER or not re.fullmatch(r"\d{1,3}", token.text):
            continue
        first = _text(tokens, at - 1) in ("versions", "versionen", "versiones", "versoes") if at else False
        second = at > 1 and result[at - 2].kind is Kind.VERSION and _text(tokens, at - 1) in _ALSO
        ends = (
            at + 1 == len(tokens)
            or tokens[at + 1].kind in (Kind.STOP, Kind.PAUSE)
            or _text(tokens, at + 1) in _AFTER_VERSIONS
        )
        if first or (second and ends):
            result[at] = replace(token, kind=Kind.VERSION, text=f"v{token.text}", number=None)
    return result


def _corrected_money(tokens: Sequence[Token]) -> int | None:
    """The amount in another currency that `... sorry, dollars` corrects."""
    for at in range(len(tokens) - 1, max(-1, len(tokens) - 6), -1):
        if tokens[at].kind is Kind.OTHER_MONEY:
            return at
        if tokens[at].kind not in (Kind.WORD, Kind.PAUSE, Kind.STOP):
            return None
    return None


def _text(tokens: Sequence[Token], at: int) -> str:
    return tokens[at].text if at < len(tokens) else ""
