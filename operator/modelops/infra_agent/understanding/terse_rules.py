"""The rule for orders without a verb: an agent, and the values of a training, a comparison or a rollout."""

from __future__ import annotations

from dataclasses import dataclass

from modelops.infra_agent.understanding import moods, questions, sentences, things, verbs
from modelops.infra_agent.understanding.canaries import is_fine_and_raised
from modelops.infra_agent.understanding.corrections import is_negated
from modelops.infra_agent.understanding.forms import Form
from modelops.infra_agent.understanding.heard import Message
from modelops.infra_agent.understanding.lexicon import METHODS, field_things, is_content
from modelops.infra_agent.understanding.model import Intent, Understanding
from modelops.infra_agent.understanding.naming import AGENT
from modelops.infra_agent.understanding.parts import Role
from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.pointing import with_what_chef_named
from modelops.infra_agent.understanding.refusals import denied_nouns, is_about_settings
from modelops.infra_agent.understanding.replies import agents_meant, main_words, with_agent
from modelops.infra_agent.understanding.slots import named_versions, slots_of
from modelops.infra_agent.understanding.topic_rules import asks
from modelops.infra_agent.understanding.words import Kind, words_of

_STATES = words_of("""
    is was were had has got did went are shows looks does said says ist war hat esta fue tem foi est passed scored
    reached hit achieved failed lost won beat beats
""")
_PLEASE = words_of("please pls plz asap now bitte porfavor stp svp")
_CANARY_WORDS = moods.POLITE | words_of("""
    canary cool we small little first start begin starting beginning yes yep sure ok okay great nice fine perfect
    rather have id at of percent traffic users see
""")
"""A canary of so many percent is ordered without a verb in these words only: `would be risky` has others."""
_LIVE = words_of("canary live prod production everyone everybody")


@dataclass(frozen=True)
class _Order:
    """A message without a verb of this field, by what it names."""

    message: Message
    kinds: frozenset[Kind]
    main: list[str]
    """The words outside conditions and asides."""
    others: int
    """How many words name something that is not of this field."""

    @property
    def states(self) -> bool:
        """Whether it says how something is: `docs v9 was at 20 %`."""
        return not _STATES.isdisjoint(self.main) or moods.COMPLAINT.within(self.main)

    @property
    def follows_a_canary(self) -> bool:
        return self.message.situation.canary and self.message.situation.plan is None


def terse_order(message: Message) -> Understanding | None:
    """`FD. sft. ls://fd/x. 80$.`, `docs v9 20%`, `reviewer canary: 50`"""
    reading = message.reading
    agents = agents_meant(message, None)
    told = any(act.form in (Form.DENIED, Form.TOLD) for act in message.acts) or _tells(message.words)
    if (
        told
        or any(part.question for part in reading.parts)
        or not (reading.named or _follows(message, agents))
    ):
        return None
    main = main_words(message)
    others = [word for word in main if is_content(word) and word not in field_things() | {AGENT}]
    order = _Order(message, _kinds_meant(message), main, len(others))
    if main[:1] == ["not"] or denied_nouns(message.words) or is_about_settings(tuple(main)):
        return None
    if Kind.USD not in order.kinds and questions.PRICE.within(message.words):
        return None
    for intent_of, why in _READINGS:
        intent = intent_of(order)
        if intent is not None:
            slots = with_what_chef_named(message, intent, slots_of(reading, intent))
            return with_agent(message, intent, agents, slots, why)
    return None


def _kinds_meant(message: Message) -> frozenset[Kind]:
    """The kinds of the values that are named and not denied (`not the 7b`)."""
    tokens = message.reading.tokens
    return frozenset(token.kind for at, token in enumerate(tokens) if not is_negated(message.words, at))


def _tells(words: tuple[str, ...]) -> bool:
    """`we trained docs with dpo`, `docs v4 scored 92 %`: what somebody did, or what happened."""
    past = any(
        verbs.PAST.at(words, at) is not None and words[at - 1] in sentences.SUBJECTS | {"team"}
        for at in range(1, len(words))
    )
    named = [at for at, word in enumerate(words) if word == AGENT]
    after = [at + 2 if words[at + 1 : at + 2] == ("<VERSION>",) else at + 1 for at in named]
    return past or any(words[at : at + 1] != () and words[at] in _HAPPENS for at in after)


_HAPPENS = words_of("got scored passed failed went reached hit lost won broke was had has")


def _follows(message: Message, agents: tuple[str, ...]) -> bool:
    """Whether it names a version of the turn before, and so its agent."""
    versions = {token.text for token in message.reading.tokens if token.kind is Kind.VERSION}
    known = not versions.isdisjoint(message.situation.versions)
    known = known or (message.situation.canary and things.REST.within(message.words))
    known = known or message.situation.recommended
    return known and len(agents) == 1 and message.situation.plan is None and not message.spoken.pasted


def _training(order: _Order) -> Intent | None:
    values = order.kinds & {Kind.DATASET, Kind.MODEL, Kind.USD}
    method = not METHODS.isdisjoint(order.message.words)
    paid = order.kinds >= {Kind.DATASET, Kind.USD}
    again = things.AGAIN.within(order.main) and bool(values - {Kind.USD})
    if asks(order.message.reading) and not (method and Kind.DATASET in values):
        return None
    again = again or (Kind.DATASET in order.kinds and _needs_a_model(order.main))
    if Kind.VERSION not in order.kinds and (paid or again):
        return Intent.TRAIN
    return Intent.TRAIN if method and (values or order.others <= 3) else None


_NEEDS_A_MODEL = Phrases("""
    needs|need|deserves|wants|braucht|necesita|precisa|besoin * new|fresh|better|another|neues|nuevo|novo|nouveau
    model|brain|modell|modelo|modele
""")


def _needs_a_model(words: list[str]) -> bool:
    """`docs needs a new model`, which beside a dataset is a training; `a new model card` is none."""
    found = next(iter(_NEEDS_A_MODEL.all(words)), None)
    ends = found is not None and not any(is_content(word) for word in words[found.end : found.end + 1])
    return ends and sentences.DENIAL.isdisjoint(words)


def _named_with_please(order: _Order) -> Intent | None:
    """`docs training please`"""
    words = order.message.words
    asked = (questions.STATUS, questions.HISTORY, questions.COST)
    if (
        _PLEASE.isdisjoint(words)
        or len(words) > 7
        or order.others > 1
        or any(one.within(words) for one in asked)
    ):
        return None
    return next((one for one in (Intent.EVALUATE, Intent.TRAIN) if verbs.NOUNS[one].within(words)), None)


def _raised_canary(order: _Order) -> Intent | None:
    """`the docs canary did great. 100.`, `reviewer: 100% now`"""
    reading = order.message.reading
    alone = any(
        part.end == part.start + 1 and _is_number(reading.tokens[part.start].kind) for part in reading.parts
    )
    canary = ("canary" in order.main or "canario" in order.main) and alone
    share = Kind.PERCENT in order.kinds or things.REST.within(order.main)
    canary = canary or is_fine_and_raised(reading)
    canary = canary or (order.follows_a_canary and order.others <= 2 and share and not order.states)
    only_recommended = order.message.situation.recommended and not order.message.situation.canary
    if only_recommended or Kind.VERSION in order.kinds or asks(reading):
        return None
    return Intent.PROMOTE if canary else None


def _recommended(order: _Order) -> Intent | None:
    """`great, a 5% canary then`, after chef has recommended to deploy"""
    reading = order.message.reading
    share = Kind.PERCENT in order.kinds and "canary" in order.main
    plain = all(word in _CANARY_WORDS or not word or word[0].isdigit() for word in reading.words)
    if not order.message.situation.recommended or not share or not plain or asks(reading):
        return None
    return Intent.DEPLOY


def _collection(order: _Order) -> Intent | None:
    """`80 bad answers as ls://docs/bad`: the dataset is what is to be made."""
    return Intent.COLLECT if _MADE.within(order.main) and not asks(order.message.reading) else None


def _evaluation(order: _Order) -> Intent | None:
    """`numbers for the docs candidate, ls://docs/holdout`"""
    model = Kind.VERSION in order.kinds or "candidate" in order.main
    paid = Kind.USD in order.kinds or not METHODS.isdisjoint(order.message.words)
    return Intent.EVALUATE if model and Kind.DATASET in order.kinds and not paid else None


def _comparison(order: _Order) -> Intent | None:
    compares = Kind.VERSION in order.kinds and questions.COMPARES.within(order.main)
    return Intent.EVALUATE if compares and not order.states and not asks(order.message.reading) else None


def _way_back(order: _Order) -> Intent | None:
    """`the previous docs model please`"""
    words = order.message.words
    back = moods.BEFORE_PLEASE.within(words) and not questions.STATUS.within(words)
    return (
        Intent.ROLLBACK
        if back and Kind.DATASET not in order.kinds and not asks(order.message.reading)
        else None
    )


def _share(order: _Order) -> Intent | None:
    """`docs v9 20%`, `v6 for everybody, reviewer`"""
    reading, situation = order.message.reading, order.message.situation
    share = Kind.PERCENT in order.kinds or not _LIVE.isdisjoint(order.main) or things.SHARE.within(order.main)
    share = share or slots_of(reading, Intent.DEPLOY).strategy is not None
    begins = any(reading.tokens[part.start].kind is Kind.PERCENT for part in reading.parts_in(Role.MAIN))
    if Kind.VERSION not in order.kinds or not share or asks(reading) or order.others > 6:
        return None
    if (order.states and not begins) or sentences.ONE_OF.within(reading.words):
        return None
    known = all(version in situation.versions for version in named_versions(reading, Intent.DEPLOY))
    return Intent.PROMOTE if order.follows_a_canary and known else Intent.DEPLOY


def _is_number(kind: Kind) -> bool:
    return kind in (Kind.NUMBER, Kind.PERCENT)


_MADE = Phrases("as|into <DATASET>, save * to|in|under <DATASET>")
_READINGS = (
    (_collection, "A dataset to be made."),
    (_training, "An agent with the values of a training."),
    (_evaluation, "A model and a dataset to evaluate it on."),
    (_named_with_please, "It names what is to be done."),
    (_recommended, "A canary for the version that chef recommended."),
    (_raised_canary, "A share for the canary that runs."),
    (_comparison, "It compares models of an agent."),
    (_way_back, "It asks for the model before."),
    (_share, "An agent with a version and a share."),
)
