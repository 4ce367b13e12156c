"""The verbs of this field in English, German, Spanish, Portuguese and French, by what they ask for.

The words are in lower case without accents; `phrases.py` explains the notation. A verb here is in the form of a
request: imperative or infinitive. `PAST` has the forms that only report.
"""

from __future__ import annotations

from modelops.infra_agent.understanding.model import Intent
from modelops.infra_agent.understanding.phrases import Phrases

REQUESTS: dict[Intent, Phrases] = {
    Intent.ROLLBACK: Phrases("""
        return * to|on|onto <VERSION>, roll * back, rollback, revert, undo, restore, unship,
        undeploy, back off, back out, backtrack,
        rewind, back to <VERSION>,
        go|switch|change|move|fall|flip|swap|return|turn|set|put|take|bring|get|step|dial|fall|cut|
        route|point|send * back, return to <VERSION>|baseline|yesterday|old|previous,
        return to the|its|our old|previous|last|baseline,
        return * to the old|previous|last,
        back to the old|previous|last|stable|baseline|original, back to old|previous|last|stable|baseline,
        get|take|move|switch * off <VERSION>|that|this,
        reset * to, want|have|need|like|see|give * back, give|get|have|bring * old|previous * again,
        use|take|try * old|previous|last|prior version|model|one, use|take the old|previous,
        nimm|nimmt|benutz|benutze|verwende * alte|alten|vorherige|vorige|vorigen,
        pull * canary|rollout|candidate|version|release, pull it|that, yank,
        pull * from prod|production|traffic, take * off|out of prod|production|traffic,
        get * out of prod|production, off * traffic, to 0 percent,
        roll|setz|setze|dreh|drehe|stell|stelle|geh|gehe|schalt|schalte|nimm|mach|mache|hol|hole|
        wechsel|fahr|fahre * zuruck, zuruckrollen, zurucksetzen, zuruckdrehen, zuruckstellen,
        zuruckschalten, zuruck zu|zur|auf, zurucknehmen, zurueckrollen, zuruecksetzen,
        mach|mache * ruckgangig, ruckgangig machen, wiederherstellen, revierte, revertir, revierta,
        vuelve * a, volver * a, vuelva * a, vuelve * atras, regresa, regresar, deshaz, deshacer,
        restaura, restaurar, echa|dale|da|tira * atras, devuelve, devolver, quita * canary|canario,
        volta, voltar, volte, reverte, reverter, reverta, desfaz, desfazer, desfaca, tira * do ar,
        retorna, retornar, remets, remettre, remettez, reviens, revenir, revenez, retour a|au, restaure,
        restaurer, fais * marche arriere, repasse, repasser, take * down, pull back, retreat, unwind,
        reinstate, bail out, nimm|zieh|ziehe|hol|hole * raus|runter|weg, have|get * one again,
        run|use|have|serve <VERSION> again, has|have|needs|must to go, must go,
        take|pull|get|bring the|that|this|agentname canary|candidate|rollout|version off|out,
        take|pull|get|bring the|our agentname canary|candidate|rollout off|out, go back one|1|a, reinstall,
        get|have|take|pull|kick|throw|move it|that|this|them out|off|away, get|have|take it off,
        reverse, canary|candidate|rollout off|away|down, canary on agentname off,
        back by one|two|three|<N>, use|take|want|need|give * former,
        put|set|switch|move|get|bring * on|to older|earlier|previous|prior,
        put|set|switch|move|get|bring * on|to an|the|its older|earlier|previous|prior|old,
        take|pull|get * out of rotation|service|circulation, <VERSION> again,
        give|get|hand us|me the previous|old|last|former, must die, has to die,
        back two|three|four|<N> versions|steps|releases
    """),
    Intent.PROMOTE: Phrases("""
        promote, finish|complete|finalize|finalise|conclude * canary|rollout|roll|release,
        finish it|that, complete|finalize|finalise|conclude it|that, finish * off|up, full rollout,
        full traffic, fully roll|release|ship|deploy, roll * out fully,
        make * main|default|primary|stable|standard|champion|permanent, all the way,
        open * to|for everyone|everybody|all, take|bring|push|move|go * all the way, double|triple it|that|the,
        give|send|route|move|switch|shift * all|rest|remaining traffic|requests|users|of,
        bump|raise|increase|crank|ramp|widen|expand|grow|step|dial|scale|turn|jack|double * to|up|by|
        traffic|share|canary, take|bring|go|move|push|get * from * to,
        take|bring|go|move|push|roll * to everyone|everybody|all|full|100,
        go|jump|move|take|bring|push|get|set|put to <N>, go|jump|move|take|bring|push|raise * to <N>,
        go <N>, everybody|everyone|all|users should|gets|get|can|could|may have|get|use|be|the|it|this,
        wrap * up, close * out, make it official|permanent, over the line, seal the deal, graduate,
        next step|stage|increment, advance, all in, keep going, continue * rollout|canary|ramp,
        all in on, let * everyone, befordere, befordern, befoerdere, hochziehen,
        zieh|ziehe|fahr|fahre|dreh|drehe * hoch, hochfahren, hochdrehen, erhohe, erhohen, erhoehe,
        fur alle, voll ausrollen, vollstandig ausrollen, komplett ausrollen, auf alle,
        mach * zum standard, promueve, promover, promueva,
        sube|lleva|pasa|aumenta|amplia * al|a|hasta * por|todos|todo|100, aumenta, aumentar,
        termina|completa * canary|despliegue, promova, promove,
        sobe|leva|passa|aumenta|amplia|sube * pra|para|a|ate * por|todos|todo|100,
        termina|completa|finaliza * canary|rollout, promeus, promouvoir, promouvez, promeut,
        passe|monte|augmente|pousse * a * pour|tous|monde|100, monte|augmente, generalise, generaliser,
        let it rip, full steam, full send, go wide, open the gates, crown, bless, finalise,
        canary to|at full|all|everyone|everybody|<N>,
        everything|all|everyone|everybody on|to|onto <VERSION>,
        everything|everyone|everybody on|to|onto it|the, from <N> to <N>, give * full|100, bring * home,
        land it, push * through, finish the job, see * through,
        is|be|becomes our|the|my new default|main|standard|normal,
        is|be|becomes our|the|my default|main|standard, from <N> * to all|everyone|everybody|full|<N>,
        finish, complete, give it|them everything|all, all|full traffic on|to|onto,
        up the|it|agentname to <N>, <N> for the|our|agentname canary, <N> for the agentname canary,
        takes over, take over, canary up|over|on to <N>,
        canary is|looks ready|good|fit for <N>|full|all|everyone, go for <N>,
        give * canary everything|all, should be|become the|our main|default|live|standard|new
    """),
    Intent.CANCEL: Phrases("""
        cancel, call * off, terminate, abandon, withdraw, discard, pull the plug, nix,
        stop * training|job|run|finetune|evaluation|eval, brich * ab, breche * ab, abbrechen, stornier,
        storniere, stornieren, verwirf, cancela, cancelar, cancele, cancelen, aborta, abortar,
        interrompe, interromper, interrumpe, interrumpir, interromps, interrompre, interrompez, abbruch,
        trainings abbruch, training abbruch
    """),
    Intent.COLLECT: Phrases("""
        collect, gather, harvest, bundle, compile, curate, assemble, pull together, pull * together,
        round * up, scrape together,
        grab|export|extract|mine|save|log|pull|find|get|fetch|dig|take|bring|store|keep|pick * examples|
        failures|failed|traces|thumbs|misses|mistakes|errors|cases|dataset|feedback|complaints|
        corrections, save|store|write|put|keep|dump|log|file|add * as|in|into|to|under <DATASET>,
        build|make|create|put|form|prepare|generate|start|assemble|produce|compose * dataset|set|
        examples|collection, turn|convert|transform * into * dataset|examples|set|data,
        goes|go|belongs|belong into|in|to * dataset|set|collection,
        save|keep|store|use those|these|them, package * up|as,
        take|have|get|want|need|like|keep|export|pull * as a|an|training|our|one dataset|set|data|
        examples|collection, as training data,
        want|need|like|have|get * examples|pile|samples|failures|traces * of|where|in|with|when, sammle,
        sammeln, sammel, zusammenstellen, stell * zusammen, stelle * zusammen,
        erstelle|erstell|bau|baue|mach * datensatz, recopila, recopilar, recoge, recoger, reune, reunir,
        junta, juntar, recolecta, recolectar, agrupa, crea|haz|arma * dataset|conjunto, coleta, coletar,
        colete, recolhe, recolher, reuna, junte, cria|monta|faz * dataset|conjunto, collecte, collecter,
        collectez, rassemble, rassembler, rassemblez, recueille, recueillir, regroupe, regrouper,
        cree|fais * dataset|jeu, set|put aside, set|put * aside, pick out, pick * out, filter out,
        sample * failures|answers|examples|reviews|cases,
        want|need|like|have|get|put * in|into|to|as <DATASET>,
        grab|export|extract|pull|find|get|fetch|save|log|store|keep * conversation|conversations|
        answers|outputs|replies|reviews|prs|chats|sessions, put|bring|take|stitch * together,
        should become|be * dataset|examples, becomes|become * dataset|set,
        save|keep|store|put|log|set * for training|later|labeling|labelling
    """),
    Intent.EVALUATE: Phrases("""
        make|do evaluation|eval|benchmark|comparison of|for|with|on,
        make|do a|an|another|new evaluation|eval|benchmark|comparison,
        make|do a|another|quick|short test|check of|for|with|on,
        evaluate, eval, assess, benchmark, bench, compare, score, measure, test, grade, validate, gauge,
        reevaluate, reeval, retest, rebenchmark, recheck, rescore,
        put|run|send * through|against|on * eval|evals|evaluation|holdout|benchmark|benchmarks|tests|
        test|set|examples|cases|baseline,
        put|run|send|throw|try|check|pass * through|against|at|on|over <DATASET>, pit * against,
        try * against|on|out, put * against, put * to the test,
        make sure * worse|better than, check * on|against|with|whether|how|if|performance|quality|accuracy,
        check|verify|see * better|worse|regressed|good,
        run|put|place|try|test * side by side|head to head|against each other,
        run|put|place|try * side by side, head to head, give * spin|test|try|check, take * for a spin,
        do|run|have|get * comparison|head|evaluation|eval|benchmark|benchmarks|ab, run * on * holdout,
        run * against,
        see|find|tell|show|figure|know * how * does|do|performs|perform|scores|compares|stacks|holds|
        fares, see|find|tell|check * is|if|whether|which * better|worse|good|beats|wins, evaluiere,
        evaluieren, evaluier, teste, testen, bewerte, bewerten, vergleiche, vergleichen, vergleich,
        miss, messen, prufe, prufen, pruefe, pruf, schau|schaue ob|wie, evalua, evaluar, evalue,
        compara, comparar, prueba, probar, mide, medir, testea, avalia, avaliar, avalie, testa, testar,
        mede, meca, evaluer, evaluez, comparer, comparez, tester, testez, mesure, mesurer, mesurez,
        through its|their paces, spot check, smoke test, examine, quiz, judge, rank, rate, challenge,
        audition, regression test, ab test, compete, let * compete|fight|race|duel, race * against,
        run the numbers, check|verify|inspect|try * candidate, check|verify|inspect * <VERSION>,
        see|find|check|tell * improvement|upgrade|legit,
        let|have|make * run|take|do * holdout|benchmark|benchmarks|evals|eval|tests|test,
        find|see|check|tell * regressed|improved|regresses|improves
    """),
    Intent.DEPLOY: Phrases("""
        get|bring|push|move|put|want * new|newest|fresh|latest|retrained|finetuned|trained|<VERSION> *
        out,
        deploy, redeploy, ship, release, roll * out, rollout, push|send|bring|move * out,
        give|send|let|route|show|feed|hand * <N> of|percent|requests|reviews|traffic, roll * forward,
        go live, launch, activate, enable, publish,
        put|bring|get|take|push|move|make|set|send|promote * live|prod|production,
        put|bring|get|push|move * into|in|to prod|production|service,
        switch|swap|change|move|flip|cut|migrate|upgrade|update|point|set|shift|turn|put * to|over|onto|
        on, give * share|slice|percent|requests|reviews|traffic|tasks|questions|calls|users|sessions,
        let * take|handle|serve|have|answer|get|see|do * share|percent|requests|reviews|traffic|tasks|of,
        send|route|direct|shift|serve|move|expose|point|sending|routing|serving * to|at|with|on,
        run * in|on prod|production|traffic|live, start|begin * canary|rollout, canary <VERSION>,
        canary agentname <VERSION>|at|to|with|on|from, canary it|that|this,
        use|serve * <VERSION>|candidate, use|serve <VERSION>, replace * with|by, deploye, deployen,
        ausrollen, ausliefern, roll|rolle * aus,
        schalt|schalte|schick|schicke|stell|stelle|bring|bringe|setz|setze|nimm * live|auf|um|
        produktion|prod|betrieb, aktivier, aktiviere, aktivieren, freischalten, live schalten,
        umstellen, veroffentliche, despliega, desplegar, despliegue, desplega,
        pon|mete|sube|pasa|lleva|poner|pasar|subir|coloca|manda|envia|cambia * produccion|prod|al|a,
        lanza, lanzar, publica, publicar, activa, activar,
        coloca|colocar|sobe|subir|bota|botar|poe|por|manda|mandar|passa|passar|troca|trocar|muda|mudar|
        joga * producao|prod|pra|para|pro, implanta, implantar, ativa, ativar, lanca, lancar,
        faz deploy, deploie, deployer, deployez,
        mets|mettre|mettez|passe|passer|passez|bascule|basculer|envoie|envoyer * production|prod|sur|a|
        en, lance, lancer, lancez, active, activer, publie, publier, unleash, adopt, start using,
        turn on, switch on, cut over, go with <VERSION>, start|trial|begin <VERSION> at|on|with,
        drop <VERSION> on|into, canary the|our|this new|newly|freshly|finetuned|retrained|latest|candidate,
        hau|schmeiss|schieb|schiebe * raus|live|rein, traffic to <VERSION>, put <N> * on <VERSION>,
        make <VERSION> active
    """),
    Intent.TRAIN: Phrases("""
        make|do training|finetuning|finetune|trainings of|for|with|on,
        make|do sft|dpo|orpo training|finetuning|finetune|run,
        make|do a|an|another|new sft|dpo|orpo, make|do a|another|new training|finetuning|finetune,
        sft|dpo|orpo training machen, training machen,
        train, retrain, finetune, fine tune, refinetune, teach, tune, retune, coach, educate, improve,
        make * better|smarter|less|more, refresh, level up, get * better|trained|retrained, fix * model,
        run|do * sft|dpo|orpo, another round of training, one|1 more epoch|pass|round|training|finetune,
        another|extra epoch|pass|round, another training, training round, train * up, post train,
        trainiere, trainier, trainieren, trainiert * neu, nachtrainieren, antrainieren, feintunen,
        verbessere, verbessern, bring|bringe * bei, beibringen, entrena, entrenar, entrene, reentrena,
        reentrenar, mejora, mejorar, mejore, afina, afinar, ensena, ensenar, treina, treinar, treine,
        retreina, retreinar, retreine, melhora, melhorar, melhore, ensina, ensinar, entraine, entrainer,
        entrainez, reentraine, reentrainer, ameliore, ameliorer, ameliorez, affine, affiner,
        build|create|produce|cook|bake|brew * new|better|improved|smarter|fresh model|version|candidate,
        school, drill, upskill, polish, sharpen, specialise, specialize, adapt, customize,
        feed * <DATASET>, have|make|let|help * learn, learn from, give * lesson|lessons,
        work on * tone|style|quality, schule, optimiere, verfeinere, perfecciona, aperfeicoa, peaufine,
        optimise, get|train|beat|drill|teach * out of it|its|agentname,
        get|train|beat|drill * out of the|its model|system|bot|agent,
        give * schooling|tutoring|coaching, train|teach|drill * away|out|off,
        make agentname * shorter|friendlier|nicer|stricter|gentler|clearer|simpler|terser|quicker|
        kinder|briefer|faster
    """),
}
"""In this order: the first of two phrases of the same length wins."""

NOUNS: dict[Intent, Phrases] = {
    Intent.ROLLBACK: Phrases("rollback, roll back, reversal, zurucksetzung, reversion"),
    Intent.CANCEL: Phrases("""
        abbruch, cancellation, anulacion, cancelamento, annulation, training abbruch, trainings abbruch
    """),
    Intent.EVALUATE: Phrases("""
        before after, before and after, eval, evals, evaluation, evaluations, benchmark, benchmarks,
        comparison, head to head, test run, evaluierung, vergleich, bewertung, evaluacion, comparacion,
        avaliacao, comparacao, comparaison, side by side, a b test, ab test, bake off, scorecard
    """),
    Intent.COLLECT: Phrases("""
        collection of failures, failure collection, failure dataset, dataset from failures
    """),
    Intent.PROMOTE: Phrases("promotion, full rollout, beforderung, promocion, promocao"),
    Intent.DEPLOY: Phrases("""
        deployment, deploy, rollout, canary, release, despliegue, implantacao, deploiement, ausrollung,
        canario, ramp
    """),
    Intent.TRAIN: Phrases("""
        training, trainings, finetune, finetuning, fine tune, fine tuning, retraining, retrain,
        training run, training job, sft, dpo, orpo, lora, refresh, lesson, lessons, entrenamiento,
        treinamento, treino, entrainement, tuning, round of training, train
    """),
}
"""What a verb such as start or run can be about."""

START = Phrases("""
    start, launch, run, rerun, retry, begin, do, kick off, kick * off, trigger, schedule, fire up, fire * off,
    spin up, spin * up, queue, redo, repeat, perform, execute, give, book, set up, set * up, need,
    needs, want, get, have, set off, get * going, set * going, lets have, another, restart, try,
    prepare, plan, submit, order, request, starte, starten, mach, mache, beginne, brauche, brauchen,
    fuhr * durch, wiederhole, wiederholen, inicia, iniciar, arranca, arrancar, haz, hacer, ejecuta,
    ejecutar, corre, lanza, lanzar, repite, repetir, necesito, quiero, faz, fazer, faca, roda, rodar,
    rode, executa, executar, inicie, dispara, repete, preciso, fais, faire, faites, demarre, demarrer,
    demarrez, lance, lancer, lancez, relance, relancer, refais, refaire, like
""")

STOP = Phrases("""
    get rid of, stop, kill, abort, halt, end, scrap, drop, ditch, cancel, scratch, shut * down,
    shut * off, turn * off, pull the plug, forget, forget about, never mind the, yank, axe, bin, nuke,
    cut, quit, discontinue, stoppe, stoppen, stopp, halte * an, anhalten, beende, beenden, brich * ab,
    abbrechen, breche * ab, schalt|schalte * ab|aus, stornier, storniere, para, parar, deten, detener,
    detenga, corta, cancela, cancelar, aborta, abortar, mata, termina, frena, quita, pare, interrompe,
    interromper, encerra, encerrar, derruba, arrete, arreter, arretez, stoppez, stopper, annule,
    annuler, annulez, coupe, couper, remove, disable, deactivate, kick * out, withdraw, unplug,
    no longer need|want
""")

PAST = Phrases("""
    trained, retrained, finetuned, tuned, taught, evaluated, tested, benchmarked, measured, compared,
    scored, deployed, shipped, released, launched, promoted, rolled, reverted, restored, undid, undone,
    cancelled, canceled, aborted, killed, stopped, switched, swapped, moved, changed, pushed, collected,
    ran, replaced, approved, dropped, bumped, went live, put, started, used, upgraded, had, introduced,
    trainiert, deployt, ausgerollt, zuruckgerollt, zuruckgesetzt, umgestellt, evaluiert, getestet,
    geandert, gestartet, abgebrochen, entreno, entrenamos, desplego, desplegamos, cambio, cambiamos,
    revirtio, treinou, treinamos, trocou, mudou, subiu, deployou, reverteu, entrainee, deploye,
    deployee, change, evaluee
""")
"""Past forms and participles: what happened, unless somebody wants it done (`get it trained`)."""

PARTICIPLES: dict[Intent, Phrases] = {
    Intent.TRAIN: Phrases("trained, retrained, finetuned, fine tuned, tuned, taught, improved"),
    Intent.EVALUATE: Phrases("evaluated, tested, benchmarked, measured, compared, scored, assessed"),
    Intent.DEPLOY: Phrases("""
        deployed, shipped, released, launched, rolled out, live, in production, in prod, switched * to
    """),
    Intent.PROMOTE: Phrases("promoted, fully rolled out"),
    Intent.ROLLBACK: Phrases("""
        set back, taken back, moved back, brought back, rolled back, reverted, restored, undone,
        switched back, put back
    """),
    Intent.CANCEL: Phrases("cancelled, canceled, stopped, aborted, killed"),
    Intent.COLLECT: Phrases("collected, gathered"),
}

GERUNDS: dict[Intent, Phrases] = {
    Intent.TRAIN: Phrases("""
        making * less|more|better, training, retraining, finetuning, fine tuning, teaching, tuning,
        improving
    """),
    Intent.EVALUATE: Phrases("evaluating, testing, benchmarking, measuring, comparing, scoring"),
    Intent.DEPLOY: Phrases("""
        deploying, shipping, releasing, rolling * out, switching * to, sending, putting, moving
    """),
    Intent.PROMOTE: Phrases("promoting, finishing, bumping"),
    Intent.ROLLBACK: Phrases("""
        rolling * back, reverting, restoring, undoing, switching * back, going back, putting * back
    """),
    Intent.CANCEL: Phrases("cancelling, canceling, stopping, aborting, killing"),
    Intent.COLLECT: Phrases("collecting, gathering, pulling together"),
}
