"""The things that messages are about, in this field and in others."""

from __future__ import annotations

from modelops.infra_agent.understanding.phrases import Phrases
from modelops.infra_agent.understanding.words import words_of

CANARY = Phrases("""
    canary, canaries, rollout, rollouts, canario, split, traffic, deployment, deploy, release,
    promotion, traffico, trafico, trafego, trafic, despliegue, beforderung
""")
JOB = Phrases("""
    training, trainings, job, jobs, run, runs, finetune, finetuning, fine tune, fine tuning, eval,
    evals, evaluation, evaluations, retraining, benchmark, sft, dpo, orpo, entrenamiento, treinamento,
    treino, entrainement, trainingslauf, lauf, evaluierung, evaluacion, avaliacao, gpu, collection
""")
REQUEST = Phrases("""
    i asked, i ordered, i requested, i wanted, i scheduled, i queued, i submitted, i started,
    i just asked, i just ordered, i just started, i just requested, what i asked, what i said,
    what i requested, what we planned, my request, my last request, that request, that plan, the plan,
    the request, my order, i asked for
""")
MODEL = Phrases("""
    model, models, versao, versoes, version, candidate, versions, checkpoint, adapter, brain, brains,
    weights, finetune, modell, modelo, modele, baseline, champion, challenger, modelle, kandidat,
    kandidaten, candidato, candidata, candidat, lora, llm, revision, previous, current, predecessor
""")
PRONOUN = Phrases("""
    it, that, this, them, those, these, one, everything, all, both, what, whatever, whichever, either,
    thing, stuff, same, any, him, her, es, das, den, die, ihn, alles, eso, esto, lo, la, los, todo,
    isso, isto, ele, ela, tudo, le, les, ca, ceci, cela, tout, l
""")
BOT = Phrases("bot, agent, bots, agents, assistant, agente, agenten, agentes")
THE_BOT = Phrases("the|this|that|my|our|der|el|o|le|l bot|agent|agente")
PEOPLE = words_of("""
    me us you him her someone somebody people staff team interns intern customers customer users user
    employees students colleagues mich dich uns mir equipo equipe gente pessoas nous
""")
FAILURES = Phrases("""
    failures, failed, examples, dataset, datasets, training set, traces, thumbs, misses
""")
NEW = Phrases("""
    new one|model|version, the new, latest, version|versao nueva|nova, modelo nuevo|novo, nueva|nova version|versao,
    nuevo|novo modelo, neue|neuen version, neues|neue modell, nouvelle version, nouveau modele
""")
OTHER_SYSTEMS = words_of("""
    kubectl helm git docker terraform ansible npm pip pod pods service services server servers database
    db redis postgres kafka nginx cluster namespace frontend backend website app apps application api
    apis lambda cert certs certificate certificates dns firewall gateway ingress node nodes queue cron
    bucket vm vpc subnet secret secrets branch merge commit commits pr prs repo repository query sql
    table schema migration invoice laptop vpn office meeting standup interview storefront checkout shop
    landing dashboard storybook image container
""")
"""Other things that an Infra agent is asked about."""
SETTINGS = words_of("""
    prompt prompts typo typos config configuration setting settings temperature template templates timeout
    timeouts quota permission permissions url webhook
""")
"""What an agent has beside its model: no training, evaluation or rollout changes it."""
OTHER_WORK = Phrases("""
    write, rewrite, draft, document, summarise, summarize, translate, proofread, rename, refactor,
    implement, debug, review, approve pr, merge, rebase, lint, format, rotate, describe, book,
    schedule a|the|my meeting|call|standup, schreib, schreibe, ubersetze, fasse, escribe, resume,
    traduce, escreve, traduz, ecris, traduis
""")
"""Work for other agents and people."""
REST = Phrases("""
    rest of the traffic|sessions|users|requests, the rest too|now|then, the remaining, everyone|everybody else|too,
    the other <N>, all the rest, den rest, el resto, o resto, le reste
""")
"""The traffic that a canary does not have yet."""
SHARE = Phrases("""
    for all, everywhere, for everyone|everybody, <N> out of <N>, few|couple percent, small share|slice,
    handful of, to all|everyone|everybody, agentname to|on|onto <VERSION>, takes over, take over,
    completely
""")
"""A part of the traffic, or all of it."""
AGAIN = Phrases("""
    same * as, same as, same dataset|data|recipe|set,
    one more go|try|attempt|shot|round|run|pass|iteration,
    another|new|next go|try|attempt|shot|round|run|pass|iteration, start over, once more, one more time,
    again
""")
