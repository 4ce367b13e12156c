"""The words that say how a sentence is meant: as a request, a question, a denial, a condition or a correction."""

from __future__ import annotations

from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.words import words_of

DENIAL = words_of("""
    dont not never no nicht nie kein keine keinen ne nao nunca sin sem ohne without pas jamais stop
    avoid cannot cant shouldnt wont didnt doesnt
""")
ASKS_POLITELY = Phrases("""
    why dont we|you, why not, cant we|you, couldnt we|you, can we not, wont you, wouldnt you,
    shouldnt we, warum nicht, por que no, por que nao, pourquoi pas
""")
REQUEST_OPENING = Phrases("""
    can|could|would|will|may|might|cld|can't you|we|i|u|ya|chef|someone|somebody|the|docs,
    can|could you|we|u|i * please, would you mind, do you mind, mind, lets, let us, how about,
    what about, please, pls, plz, id like, i would like, i want, we want, we need, i need, need to,
    want to, time to, go ahead and, feel free to, any chance|way|possibility, is it possible to,
    is there a way to, possible to, would be nice|great|good|cool, would love, would like, i wish,
    youd better, kannst|konntest|konnen|konnten|kann du|wir|sie|ich|man|bitte, bitte, wurdest du,
    magst du, lass uns, puedes, podrias, puede, podemos, podriamos, por favor, porfa, quiero, queremos,
    necesito, necesitamos, pode, poderia, podes, consegue, quero, queria, preciso, precisamos, da pra,
    peux tu, tu peux, pouvez vous, vous pouvez, pourrais tu, tu pourrais, pourriez vous, on peut,
    peut on, stp, svp, s il te plait, s il vous plait, je veux, je voudrais, il faut,
    would it be possible to
""")
ASKS_FOR_LEAVE = Phrases("is|would it * possible that|if we|you|i")
"""`is it possible that we teach it`: a request, as people say it in a language that is not theirs."""
QUESTION = words_of("""
    ya ja termino terminou acabou what whats which who whos whose when whens where wheres why whys how
    hows is are was were did does do has have had am isnt arent wasnt didnt doesnt hasnt havent should
    any anyone anybody welche welcher welches welchen wer wann wo warum wieso wie ist sind hat haben
    habt lauft laeuft wieviel wieviele gibt gab que cual cuales quien quienes donde cuando cuanto
    cuanta cuantos como esta estan hay sigue hubo qual quais quem onde quando quanto quanta quantos ta
    estao tem sera houve quel quelle quels quelles qui quand ou pourquoi comment combien est quoi qu
""")
ADVICE = Phrases("""
    should we|i|you, shall we|i, is it safe|ok|okay|fine|wise|time|smart|possible|good|a,
    would it be ok|okay|safe|wise|better|smart|worth|a, does it make sense, do we have to,
    do we need to|a|an|the|another, do you think, what do you think, is it worth, worth, a good idea, sollen wir,
    sollten wir, soll ich, deberiamos, devemos, devia, deveriamos, faut il, devrait on, thoughts,
    what happens if|when, what would happen, how do|would|can|could i|we|you|one|people, how to,
    what if, am i allowed, wie kann ich, wie macht man, como se, como hago, como faco, comment on,
    comment faire, can you explain, explain, do i need
""")
SUBJECTS = words_of("""
    i we they he she you it who people users everyone which that wir ich sie er du nosotros ellos eles
    nos nous ils elle on je
""")
MODALS = words_of("""
    can could would will should shall may might must let lets please pls plz to and then just now also
    dont cant couldnt wouldnt shouldnt why did
""")
WISHES = words_of("""
    way needs use using forget quiero queremos quero mochte wurde want need like love please time let
    please you us going try able have wanna gotta id wed happy possible ahead free chance asking hoping
    planning wish mind sure remember
""")
REPORTING = words_of("""
    asked told said says wants asks tells wrote claims insisted suggested suggests recommended
    recommends ordered proposed proposes proposing suggesting offered offering agreed decided refused
""")
DETERMINERS = words_of("""
    the a an this that these those my our your their his her its last next first previous new old
    latest current any some every each no another yesterdays todays recent full whole der die das den
    dem ein eine einen unser el la los las un una o os as um uma do da le les l une du de des
""")
CONDITION = words_of("""
    if unless provided once whenever falls sobald wenn sofern si se quando cuando quand lorsque when
    caso assuming siempre solange
""")
CONDITION_PAIRS = frozenset(
    {
        ("as", "long"),
        ("as", "soon"),
        ("in", "case"),
        ("des", "que"),
        ("assim", "que"),
        ("en", "cuanto"),
        ("given", "that"),
        ("only", "when"),
    }
)
ASKS_WHETHER = words_of("""
    tell me us see check know wonder wondering ask sure find out idea verify whether and or ob let
    learn matter appreciate appreciated grateful thankful obliged glad happy kind lovely wonderful even what as like
    than surprised great nice cool good fine ok okay better
""")
ASIDE = words_of("""
    before after since until till because cause cuz although though while whereas bevor nachdem seit
    bis weil obwohl antes despues depois desde hasta ate porque avant apres depuis parce puisque ya tho
""")
OTHERWISE = words_of("otherwise else sonst ansonsten sino senao sinon")
CORRECTION = Phrases("""
    actually, no wait, wait, sorry, i mean, i meant, scratch that, make that, make it, correction,
    or rather, or better, on second thought, second thoughts, hmm no, hang on, hold on, strike that,
    oops, whoops, nein, doch lieber, lieber, moment, quatsch, ich meine, ach nein, perdon, mejor,
    mejor dicho, digo, quer dizer, melhor, alias, en fait, pardon, plutot, je veux dire, desculpa,
    na verdade, err, ehm
""")
TAKEN_BACK = Phrases("""
    leave|keep agentname, not this time, not today,
    not now, not yet, never mind, nevermind, nvm, forget it, forget about it, forget that,
    ignore that, ignore this,
    ignore me, scratch that, dont bother, no need, not needed, dont do it, dont, please dont, leave it,
    drop it, cancel that, skip it, false alarm, vergiss es, vergiss das, lass es, lass gut sein,
    lass mal, doch nicht, nicht notig, olvidalo, dejalo, deja, no hace falta, esquece, deixa,
    deixa pra la, deixa quieto, nao precisa, laisse tomber, oublie, laisse, pas la peine
""")
WITHDRAWN = Phrases("""
    dont|not continue|proceed|keep|go on|with|ahead * training|job|run|evaluation|eval|finetune,
    dont|not|no need|longer * training|job|evaluation|eval|finetune anymore|any,
    dont|not want|need * trained|evaluated|tested|deployed|retrained|training,
    dont bother evaluating|training|testing|deploying|collecting,
    dont bother with the|that training|evaluation|eval,
    no longer need|want|require * evaluation|eval|training|job|run|finetune|benchmark
""")
"""An order that is no longer wanted."""
HANDS_OFF = Phrases("""
    dont|not start|run|launch|do|train|deploy|touch|change|execute|kick|spend * anything|yet|it|nothing|
    any, just a number|estimate|quote|question|price|curious|asking|wondering,
    only a number|estimate|quote|question, no action, ballpark, estimate, quote me, rough number,
    hypothetically, before i decide, nichts starten, nur eine frage, solo una pregunta, so uma pergunta,
    juste une question, theoretically, just curious, asking for, only|just asking|wondering|curious|a,
    not ordering, no order
""")
HELLO = Phrases("""
    hi, hey, hello, hi|hey|hello all|there|everyone|team|again, yo, morning, good morning|afternoon|evening|day, hallo,
    guten morgen|tag|abend, hola, buenos dias, ola, bom dia, salut, bonjour
""")
SMALL_TALK = Phrases("""
    hows it|everything|life|things going, how is it|everything|life going, hows it hanging, hows life,
    how are you, how are you doing|today, hows your day,
    how goes it, whats up, wie gehts, wie geht es dir, que tal, como estas, tudo bem, ca va
""")
IMAGINED = Phrases("""
    just|only kidding|joking|thinking, thinking aloud|loud, jk, nur spass, war ein scherz, es broma, era broma,
    e brincadeira, je plaisante,
    imagine, suppose, supposing, what if, hypothetically, theoretically, note to self, reminder to self,
    next quarter, next year, someday, one day, at some point, eventually, sooner or later,
    irgendwann, algun dia, um dia, un jour, would be crazy|stupid|risky|nuts|bad|a,
    would be funny|fun|hilarious|weird|insane|silly|strange|interesting, i doubt,
    not sure if|whether, unsure if|whether, no idea if|whether,
    stop|quit asking|proposing|suggesting|offering|telling, refuse,
    never said, in theory, i|we|he|she dreamt|dreamed, stell dir vor, imagina, imagine que,
    was ware wenn, y si, e se, et si
""")
"""What is not meant as a request."""
WISHED = Phrases("""
    i wish we|i|you|he|she|they|it|there|that|agentname|the|every|all, wish we|i|you could|had|were|was,
    if only we|i|you|he|she|they|it|there|agentname|the
""")
"""What is only wished for; `I wish to train docs` asks for it."""
NEWS = Phrases("""
    so you know, so you all know, so that you know, letting|let you know, just fyi, for your info|information,
    for info, just saying
""")
"""What is told, wherever a message says so."""
ANNOUNCES = Phrases("fyi, heads up, psa, announcement, for your information, zur info, for the record")
"""At the beginning: what follows is told, unless it is asked for politely."""
HOLDS = Phrases("""
    hold|pause|freeze|stay * rollout|canary|split|percent|where|as|at|alone|running|put|live,
    leave it|them|everything|things|agentname|<VERSION> * where|as|at|alone|running|put|live|on,
    leave the|our|my|that|this agentname|canary|rollout|split|share|traffic|model|version|<VERSION>|rest,
    hands off, deja|dejen|deixa|deixe|laisse|lass|lasse agentname * como|tel|comme|wie|asi|so|ruhe|quieto,
    pause, freeze, stay at|on|with, keep the|our,
    keep|leave agentname|it|that|this at|on|as|where|alone|running|out, wait with, halte * bei,
    lass * bei|auf, pausier, pausiere, pausieren, mantem, manten, mantener, deja * en, garde|laisse * a,
    mets * en pause
""")
"""What leaves things as they are, but not somebody who leaves; `pauses.py` has what asks for a pause."""
VAGUE = Phrases("""
    good one, better one, best one, right one, fine one, the good, other one, which one,
    that one we|you, winner, whichever, best version, better version, das gute, die gute, el bueno,
    la buena, o bom, a boa, le bon, la bonne, das bessere, one that was|worked|works|is, the better,
    better of, the best, best of
""")
ONE_OF = Phrases("""
    better|best|faster|cheaper|stronger|winner|whichever of|between|among * <VERSION>,
    better|best|faster|cheaper|stronger one|version|model of|between|among * <VERSION>,
    besseren|bessere von|aus * <VERSION>,
    mejor|melhor entre|de * <VERSION>, meilleur|meilleure entre|de * <VERSION>
""")
"""One of several versions, which the message does not choose."""
UNSURE = Phrases("""
    <N>|two|three|four|couple|few versions|steps|releases, or three|four|five|two, or was it, or maybe,
    or is it, or was that, not sure which, dont remember which, cant remember which, i forget which,
    was it, oder war es, o era, ou era, ou c etait, <N> or <N> back|versions|releases|steps,
    two or three, one or two, version or two
""")
