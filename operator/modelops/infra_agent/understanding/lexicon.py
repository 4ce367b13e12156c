"""All words of this field together: what is known, what is misspelt, and what is about something else."""

from __future__ import annotations

from functools import cache

from modelops.infra_agent.understanding import moods, questions, sentences, things, verbs
from modelops.infra_agent.understanding.numbers import number_words
from modelops.infra_agent.understanding.phrases import Phrases, every_word
from modelops.infra_agent.understanding.spelling import corrected
from modelops.infra_agent.understanding.words import words_of

METHODS = frozenset({"sft", "dpo", "orpo"})
PREPOSITIONS = words_of("""
    to on onto in into with for at from against using via by as of over than about through under above
    within between behind off up until per around like out down across during without mit auf fur fuer
    zu zum zur von vom gegen bei aus im nach uber unter an am ab con en para por contra sobre de del al
    desde segun com em no na pra pro pelo pela do da dos sem nos nas avec sur pour par contre dans a au
    aux chez vers
""")
_FUNCTION = words_of("""
    together ok okay oh hmm well yeah hey hi yo and or but so then now just also too only still even
    maybe perhaps again once more less there here when while if not no yes please pls asap today
    tonight tomorrow yesterday week month morning quickly soon first second finally already straight
    away right back really quite very gonna gotta kinda sort kind bit little lot lets be been being am
    is are was were will would can could should may might must do does did done has have had having get
    got give go going come want need like make let take put see say think know mean try use used using
    new old good better best fresh whole entire actual real own other live prod production main traffic
    users everyone everybody requests und oder aber dann wieder noch bitte mal schon heute morgen
    erstmal zuerst neu neue neuen neues y o pero mas por favor hoy nuevo nueva nuevos e ou mais hoje
    novo nova schalten stellen setzen machen et aujourd hui nouveau nouvelle nouvel anybody somebody anything
    something what which who
    how why where that whats
""")
_ORDINARY = words_of("""
    turned turning trailing evacuate trial trail traits staging employ previews president relocate scores stories
    status states deploys canals connect correct tests text tasks tools toast turns terms features
    futures reviews reviewed preview reviewing modern moderate modest medal metal course source evenly
    formed agents urgent contest protest measures pleasure complete compute compile compared percents
    present patient stoped shipped skipped rolled trains grains brain version portion mission stable
    staple table tables training straining evaluated valued cancelled channel channels panel funnel
    tunnel tuned toned collect collection connection promise promised premise improve approve proved
    revers reverse reverts convert restore restored store stored storefront storage lunch launched
    bench branch brand batch catch benches graded traded loaded tested tasted rested running canister
    canteen previous precious release lease recent resent reset preset market marker master matter
    metric batter butter letter latter dollar collar budge badge gadget switch switches stitch witch
    watch match pinch prices princes slices price prince deposit deploy display examples exempt
    template templates stage drop drops dropped runner runners
""")


@cache
def field_words() -> frozenset[str]:
    """The words that a misspelling is corrected to."""
    groups: list[Phrases] = [*verbs.REQUESTS.values(), *verbs.NOUNS.values(), verbs.START, verbs.STOP]
    groups += [
        things.CANARY,
        things.JOB,
        things.MODEL,
        questions.COST,
        questions.HISTORY,
        questions.STATUS,
        *verbs.GERUNDS.values(),
    ]
    plain = {word for word in every_word(groups) if len(word) >= 5}
    return frozenset(plain) | frozenset(
        {"please", "again", "dollars", "percent", "immediately", "latest", "cheaper"}
    )


@cache
def known_words() -> frozenset[str]:
    """Every word that stays as it is."""
    tables = [value for part in (things, sentences, questions, moods) for value in vars(part).values()]
    groups = [value for value in tables if isinstance(value, Phrases)]
    groups += [*verbs.PARTICIPLES.values(), verbs.PAST]
    words = set(field_words() | every_word(groups) | number_words() | PREPOSITIONS | _FUNCTION | _ORDINARY)
    for value in tables:
        if isinstance(value, frozenset):
            words |= {word for word in value if isinstance(word, str)}
    return frozenset(words)


@cache
def field_things() -> frozenset[str]:
    """The words for what this field acts on."""
    groups = [things.CANARY, things.JOB, things.MODEL, things.PRONOUN, things.BOT, *verbs.NOUNS.values()]
    return (
        (every_word(groups) - words_of("a b to by of and"))
        | METHODS
        | words_of("""
            answers outputs replies conversations tasks task prompts prompt cases case questions
            samples rows tickets requests users user winner datensatz datos dados jeu dataset data
            examples agent rest everyone eval set holdout config recipe base half share change switch
            update promotion order everything
        """)
    )


def is_content(word: str) -> bool:
    """Whether a word names something, rather than joining words that do."""
    if not word or not word.isalpha() or len(word) < 2:
        return False
    return word not in ("undo", "revert", "rollback", "stop") and (
        word
        not in PREPOSITIONS
        | _FUNCTION
        | sentences.DETERMINERS
        | sentences.SUBJECTS
        | moods.POLITE
        | sentences.DENIAL
    )


def spelt(word: str, names: frozenset[str]) -> str:
    """The word as this field spells it. `names` are the words of the agents' names."""
    return corrected(word, known=known_words() | names, targets=_targets(names))


@cache
def _targets(names: frozenset[str]) -> frozenset[str]:
    return field_words() | names
