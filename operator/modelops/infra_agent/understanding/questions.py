"""The words of questions about money, the past, what serves and what runs now, and the field in general."""

from __future__ import annotations

from modelops.infra_agent.understanding.phrases import Phrases

COST = Phrases("""
    cost, costs, costing, costed, price, prices, pricey, priced, pricing, spend, spends, spent,
    spending, budget, bill, billed, invoice, expensive, expenses, money, burn, burned, burnt, burning,
    how much, estimate, estimates, quote, ballpark, run me, run us, set us back, set me back,
    the damage, cheap, cheaper, afford, dollars, bucks, kostet, kosten, kostete, ausgegeben, ausgeben,
    teuer, verbraucht, wieviel, wie viel, rechnung, preis, geld, budget ubrig, cuesta, cuestan, costo,
    coste, costos, costes, costaria, costara, gastado, gasto, gastos, gastamos, gastar, cuanto,
    presupuesto, precio, dinero, caro, sale, custa, custam, custo, custos, custou, custaria, custar,
    gastou, quanto, orcamento, preco, dinheiro, saiu, coute, coutent, cout, couts, coutera, couterait,
    depense, depenses, depensee, combien, prix, argent, cher, price tag, charges, charged, pay, paid,
    paying, fees, overspend, overspent, overspending, breakdown, your guess, a guess, rough idea, kitty,
    wallet, purse
""")
NOT_COST = Phrases("""
    how much longer|time|more|progress|left|traffic|better|worse|faster|slower|data|of,
    how much * traffic|longer|faster|better|worse|time|progress|accuracy, wie viel zeit|traffic|prozent,
    cuanto tiempo|falta|trafico|tarda|queda, quanto tempo|falta|trafego, combien de temps|d
""")
PRICE = Phrases("""
    price, prices, pricing, cost, costs, estimate, quote, kosten, preis, costo, coste, precio, custo,
    preco, cout, prix
""")
HISTORY = Phrases("""
    history,
    show|list|all|past|previous|recent|which|what * rollouts|rollbacks|promotions|releases|deploys|
    trainings|deployments|evaluations, changelog, change log, versions, past, previously, timeline,
    audit, audit trail, lineage, track record, release notes, list|show|all * models,
    list|show|all * versions, changes to|in, what changed, all models, every model, every version,
    all versions, past models, all * ever, ever had, models * had, why * was|were|did|got,
    score|scores|accuracy|result|results of, newer model|version|one|checkpoint, any newer, who,
    did we ever|already, did anyone|anybody|someone, has anyone|anybody|someone, have we ever|already,
    when did|was|were, when * last, last time, whats changed, what happened to|with|on, since when,
    how often, how many times|versions|models|trainings|rollbacks|rollouts, what * did we,
    which * did we, what was, what were, what have we, which * were, which was, why did we, why was,
    why were, used to, back then, was it, did * get, trained so far, over time, last * trained,
    last * retrained, last * deployed, verlauf, historie, welche versionen, wer, wann, geschichte,
    versionen, was hat sich geandert, schon mal, seit wann, bisher, historial, historia, historico,
    versiones, que versiones, quien, cuando fue, cuando se, cuando, desde cuando, que cambio,
    alguna vez, quais versoes, versoes, quem, quando foi, desde quando, o que mudou, alguma vez,
    historique, quelles versions, qui a, quand, depuis quand, qu est ce qui a change, deja,
    what * trained|tuned on|with|from, which dataset|data, where does|did|do * come from,
    difference between|of, recent changes, earlier|previous|older|recent versions|models|changes,
    oldest, newest model|version, track, first model|version, best model|version so|ever|yet,
    every|all|any * model|version we|weve|i|ive|ever, every|all agentname we|weve|i|models|versions,
    model log|logs|logbook|journal, which|what * did * have|use|run, whats new,
    compared to|with <VERSION>, between <VERSION> and <VERSION>, remind me what|which|who, story of
""")
SERVES = Phrases("""
    which|what|whats|welche|welches * live|serving|serves|deployed, which|what|whats * in production|prod|use,
    whats|what * agentname running on, what * agentname is running on, whats agentname on, whats the agentname on,
    what is agentname on, what is the agentname on, which|what base model, what does * run on,
    on which|what model|version|checkpoint,
    which|what model|models|version|versions|checkpoint|agentname * running|runs|run|uses|use|using|on|getting|
    get|active,
    which|what agentname model|version|checkpoint * running|runs|run|uses|use|using|on|getting|get|active,
    welche|welches version|modell * lauft|laeuft|produktion|aktiv,
    que|qual|quelle|quel version|versao|modelo|modele * vivo|produccion|producao|production|ativo|ar|ligne|live|
    corre|roda|tourne
""")
"""What serves an agent now, which its record says; `STATUS` is how a run or a rollout is doing."""
WATCHED = Phrases("""
    canary, canaries, rollout, rollouts, split, share, percent, percentage, how much, slice, error rate|rates, latency,
    training, trainings, job, jobs, eval, evals, evaluation, evaluations, finetune, benchmark,
    which|what|any|the|our|this|that|last|my run|runs, status, eta, progress, stats, metrics, health, up with, wrong,
    going on, happening, doing
""")
"""What is asked about as it goes on, even where the question also says what is live."""
STATUS = Phrases("""
    status, stat, stats, state, progress, eta, update, updates, news, loss, curve, metrics, numbers,
    epoch, step, logs, stuck, hanging, hung, frozen, converging, healthy, health, percent done,
    far along, hows, how is, how are, hows it, how far, how long, how much longer, how goes,
    how did * go, how does * look, how do * look, how come * still, hows * going, how s, where are we,
    where is, wheres, where does, whats up, whats going,
    still running|going|training|waiting|queued|alive|in|on|at,
    is * running|done|finished|ready|over|through|going|stuck|complete|completed|up|live|alive|queued|
    ok|okay|healthy|still|waiting|started, are * done|running|finished|ready|still, done yet,
    finished yet, ready yet, did * finish|start|crash|fail|complete|end|work,
    has * finished|started|crashed|failed|completed|ended|been,
    any errors|progress|luck|news|movement|update|alerts, what * doing, what * up to, any idea,
    training|run|job|eval|evaluation|canary|rollout|finetune finished|done|ready|over|failed|crashed|
    started|complete, whats running, what is running, anything running, whats live, what is live,
    whats * live|running|serving|doing,
    which|what * serving|live|running|active|production|prod|deployed|using, traffic split,
    current split, check on, check in on, check up on, keep an eye, watch, monitor, follow, track,
    right now, at the moment, currently, when will|does|is * done|finish|finished|ready|end|over,
    what percentage|percent|share|split, whats the share|split|status|progress,
    how many requests|steps|epochs|users, is * slower|faster, going down, going up,
    wie lauft|laeuft|weit|geht|steht|lange|sieht, stand, fortschritt, lauft * noch, laeuft, noch,
    fertig, hangt, zustand, was lauft, welches modell, welche version,
    como va|vai|esta|ta|anda|marcha|estan|van|sigue, estado, progreso, sigue, falta, termino, atascado,
    que version, que modelo, que tal, cuanto falta, cuanto tiempo, ya, andamento, progresso, terminou,
    acabou, travado, travou, qual versao, qual modelo, quanto falta, quanto tempo, ja acabou, ainda,
    ou en est, comment va, comment se, avancement, etat, progression, fini, termine, bloque, toujours,
    quelle version, quel modele, encore, behaving, performing, holding up, stalled, error rate,
    error rates, latency, heartbeat, steps left, so far, is * ok|okay|fine|alive, are * ok|okay|fine,
    up with, in use, use now, look at * run|job|canary|training|rollout,
    any regressions|issues|problems|complaints|trouble|failures|alerts, whats|what is agentname at|on,
    is|are * out yet|already, converged, was macht, que hace, o que faz
""")
SHOWS = Phrases("""
    appreciate, show, list, tell, give, print, display, get, see, view, report, share, need, want, let me see|know,
    pull up, bring up, look up, explain, know, find out, whats, check, remind, fetch, open, ping, zeig,
    zeige, liste, sag, gib, muestra, muestrame, lista, dime, dame, ensena, mostra, mostre, diga, me da,
    montre, affiche, dis, donne, look at, look into, have a look, take a look, table, overview
""")
COMPARES = Phrases("""
    better than, better * than, worse * than, besser * als, mejor * que, melhor * que, mieux * que,
    worse than, numbers|metrics|scores * vs|versus|against, stack * up, stacks up,
    compare|compares * to|with|against, hold * up, hold * against, versus, vs, beat, beats, outperform,
    outperforms, any better, any good, actually good, good enough, faster than, measure up, how good,
    how well, how does|do * do|perform|score|fare|rank|against, which * better, is better,
    really better, perform|performs * on|against, besser als, schlechter als, wie gut, mejor que,
    peor que, melhor que, melhor do que, pior que, mieux que, meilleur que, meilleure que,
    ready for prod|production, ready to ship|deploy|promote, as good as, worse or better,
    better or worse, <VERSION> * against|vs|versus, against live|current|the|prod|<VERSION>, which wins,
    hold|holds a candle, than <VERSION>, more|less|fewer * than, prove it, an improvement, a step up
""")
GENERAL = Phrases("""
    what does * mean, what do * mean, whats the difference, what is the difference, difference between,
    actual difference, explain, what is a|an|the point, what are, whats a|an,
    why is * cheaper|better|called|used, how does * work, how do * work, in general, always, generally,
    best practice, best practices, pros and cons, tutorial, documentation on|about, docs on|about,
    usually, normally, normaly, typically, on average, normalerweise, normalmente, en general, em geral, geralmente,
    d habitude, habituellement, how long does|do|would a|an|one, how long do trainings|evals|runs|canaries|finetunes,
    wie lange dauert|braucht ein|so, cuanto tarda un|una, quanto tempo leva|demora um|uma,
    combien de temps dure|prend un|une,
    meaning of, definition, was bedeutet, was ist, unterschied, que significa, que es, diferencia,
    diferenca, o que e, qu est ce que, difference entre, c est quoi
""")
