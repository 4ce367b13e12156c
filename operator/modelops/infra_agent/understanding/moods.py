"""The words of complaints, and of yes and no."""

from __future__ import annotations

from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.words import words_of

COMPLAINT = Phrases("""
    keeps, keep, always, still, never, constantly, again and again, every time, everytime, each time,
    ignores, ignored, misses, missed, forgets, forgot, wrong, broken, useless, terrible, awful, worse,
    bad, annoying, driving us|me|everyone, nuts, crazy, hallucinating, hallucinates, hallucinated,
    downhill, sloppy, sucks, garbage, crap, stupid, dumb, complaining, complains, fails, failing,
    struggles, struggling, slow, tired of, sick of, fed up, hate,
    too slow|long|verbose|strict|picky|lenient, clueless, cant even,
    doesnt know|understand|get|handle|use|follow|respect, does not know|understand|follow|use,
    hasnt learned|learnt, bunch of, breaks, breaking, mistakes, bugs, nonsense, off the rails,
    off lately, got worse, outdated, lawyer, disaster, regressed, degraded, noise, nitpicks, nitpicking,
    immer, standig, schon wieder, falsch, schlecht, nervt, vergisst, ignoriert, kaputt, siempre,
    otra vez, mal, peor, olvida, ignora, falla, sempre, toda hora, errado, pior, esquece, reclamando,
    toujours, encore, faux, mauvais, oublie, ignore, pire
""")
REMEDY = Phrases("""
    need|want|get|make|have|like agentname to|stop|learn|not,
    need|want|get|like|teach the agentname to|not,
    should|must|has|have to|really|finally * stop|learn|know, do something, do anything,
    fix it|this|that, fix the model|agent|bot, fix * up, sort it|this|that|him * out, sort it out,
    make it|this|that stop, stop it from, stop doing, stop that, stop * from, unlearn, learn, out of it,
    out of its system, break * habit, better data, mend, get * fixed|sorted|better, get * out of it|its,
    can * change|help|improve, something about, deal with, address, take care of,
    needs|need|could use * training|lessons|lesson|work|education|learn|retraining,
    can it|we * learn|stop|do better, needs to stop|learn|know, should * stop|learn|know,
    doing it wrong, smarter, fix, lernen, abgewohnen, abgewoehnen, was dagegen, etwas dagegen, tu was,
    arregla, arreglarlo, haz algo, aprenda, aprender, corrige, resolve, arruma, faz algo, corriger,
    repare, fais quelque chose, apprenne, apprendre, up to date, get|bring|make it|them|him to,
    worth a training|finetune, fix|correct|mend|repair|update|adjust|patch the|its|this model|agent|bot,
    fix|correct|mend|repair|patch agentname, time for a training|finetune|retraining
""")
WAS_BETTER_BEFORE = Phrases("""
    liked * before|better|more, old * back, old one, previous one|version|model, the one before,
    back the old,
    since * switched|switch|changed|update|updated|deployed|deploy|rollout|release|upgrade|swap|new|
    moved|promoted|went, ever since, before * switch|change|update|deploy,
    was fine|better|ok|good before|yesterday|last, used to be,
    what we had, one we had,
    seit * umgestellt|update|neue|neuen|gewechselt|deploy, desde que, depuis que, depuis la mise,
    alte * zuruck, das alte, la anterior, el anterior, o anterior, a anterior, l ancien, l ancienne,
    since the last|new|latest model|version|update|one
""")
NEW_IS_BAD = Phrases("""
    the|this|that new|newest|latest|newer|fresh one|version|model|release * worse|broken|bad|wrong|fails|failing|
    hallucinates|hallucinating|mixing|mixes|slow|slower|terrible|awful|useless|breaks|crashes|hangs|sucks|crap|garbage
""")
"""Why an agent is put on a version: the way back, and no rollout."""
WANTS_AGAIN = Phrases("""
    want|like|need|have|get|give|bring * again|back, quiero|quero|mochte|voudrais * otra vez|de novo|wieder|zuruck
""")
BEFORE_PLEASE = Phrases("""
    previous|earlier|prior|former * please|pls|plz|back|again,
    old|last one|model|version|brain|state * please|pls|plz|back|again,
    please|pls|want|need|rather|prefer|like previous|old,
    please|want|need|rather|prefer|like the|my|our previous|old|last|earlier|prior|former,
    please|want|need|rather|prefer|like the one before, alte|vorherige|alten * bitte|zuruck,
    bitte * alte|vorherige, ancien|ancienne|anterior * svp|stp|favor
""")
"""A wish for the model before."""
YES = Phrases("""
    yes, yep, yeah, yup, ya, yah, yea, yas, sure, ok, okay, okey, k, kk, go, go ahead, go for it, go on,
    do it, do that, sgtm, ok|okay|good|fine for me|us, you can start|begin|go|proceed|continue, you may start|begin|go|
    proceed, proceed, confirm, confirmed, approve, approved, i approve, lgtm,
    sounds good|great|right|fine|perfect, looks good|great|fine|right, perfect, great, fine, good, cool,
    ship it, lets go, lets do it|this|that, make it so, absolutely, definitely, of course, affirmative,
    aye, right, correct, exactly, why not, alright, all right, thats right|fine|good|ok, works for me,
    fine by me, fine with me, im in, green light, you got it, please do, go go, agreed, yessir, roger,
    deal, run it, start it, send it, launch it, hit it, be my guest, by all means, ja, jo, jawohl, jep,
    klar, mach, mach das, mach es, mach mal, los, gehts, passt, einverstanden, gerne, gern, genau,
    in ordnung, auf gehts, leg los, bestatigt, freigegeben, si, sip, dale, vale, claro, adelante, hazlo,
    de acuerdo, confirmo, confirmado, perfecto, esta bien, por supuesto, venga, sim, pode, pode ser,
    pode ir, pode mandar, manda, manda ver, manda bala, beleza, bora, vai, isso, tudo bem, perfeito,
    fechado, com certeza, oui, ouais, vas y, allez y, allez, d accord, parfait, bien sur, c est bon,
    entendu, ca marche, carrement, y, that works, works, thatll do, that will do, that does it,
    good to go, yes yes, happy with that, all yours, green, aye aye, sure thing, sounds about right,
    no objections, dont wait, jup, joa, yeh, ye, vamos, oki, okidoki, righto, va bene, genau so
""")
STRONG_YES = words_of("""
    yes yep yeah yup ya sure ok okay go proceed confirm confirmed approve approved lgtm absolutely
    definitely affirmative aye ja jo jawohl jep klar los si dale vale adelante sim bora oui ouais allez
    agreed
""")
NO = Phrases("""
    no, nope, nah, naw, yeah right, never mind, nevermind, nvm, forget it, forget about it, forget that, dont,
    do not, dont do it, dont do that, not now, not yet, not today, no way, no thanks, stop, cancel,
    cancel it, cancel that, abort, abort that, leave it, drop it, drop that, scrap it, scrap that,
hold your horses, not so fast, slow down,
    scratch that, skip it, ignore that, hold off, hold on, hold it, wait, later, maybe later,
    rather not, id rather not, lets not, better not, too expensive, too much, denied, reject, rejected,
    decline, negative, please dont, another time, bad idea, changed my mind, i changed my mind, pass,
    kill it, nein, ne, nee, nicht, lieber nicht, lass es, lass mal, lass gut sein, vergiss es,
    abbrechen, spater, stopp, doch nicht, auf keinen fall, noch nicht, mejor no, olvidalo, dejalo,
    cancela, cancelar, cancelalo, para, ahora no, todavia no, espera, luego, despues, nao, melhor nao,
    deixa, deixa pra la, esquece, agora nao, ainda nao, depois, non, laisse, laisse tomber, oublie,
    annule, pas maintenant, pas encore, attends, plus tard, surtout pas, hell no, absolutely not,
    not a chance, not like that, not this time, too risky, hard pass, no go, never,
    second thought|thoughts no, actually no, hmm no, no wait
""")
POLITE = words_of("""
    please pls plz thanks thank thx ty you so much very quickly quick fast asap now right away then
    just chef it that this and for with the lets hi hey hello oh well hmm haha lol man mate all good i
    do want know think is me us to on today immediately soon really be a by at go plan one bitte danke
    schnell jetzt das es mal gleich doch gracias porfa por favor ya lo obrigado obrigada agora isso
    rapido merci stp svp vite maintenant le la ca un und y e et hm uh um eh er ah
""")
