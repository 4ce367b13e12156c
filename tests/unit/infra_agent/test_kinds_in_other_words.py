"""Kinds of messages that a third stranger's set showed, each in other words, with neighbours that must not act."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.infra_agent.understood import assert_means

Case = tuple[str, str, str | None, dict[str, Any]]

LEFT_AS_IT_IS: tuple[Case, ...] = (
    ("leave cicd where it is. train docs on ls://docs/faq", "train", "docs", {"dataset": "ls://docs/faq"}),
    ("roll docs back to v3, leave the reviewer alone", "rollback", "docs", {"version": "v3"}),
    ("reviewer back to baseline, keep docs as it is", "rollback", "code_review", {"version": "baseline"}),
    ("keep docs on v4 please. the reviewer needs a new training, data is in ls://cr/q", "train", "code_review", {"dataset": "ls://cr/q"}),
    ("hands off code review. docs v9 to 5%", "deploy", "docs", {"version": "v9", "percent": 5}),
    ("docs back to v2, don't touch cicd", "rollback", "docs", {"version": "v2"}),
    ("feature dev v12 canary 10%, and keep your hands off the reviewer, ok?", "deploy", "feature_dev", {"version": "v12", "percent": 10}),
    ("leave docs as it is and evaluate cicd v6 on ls://cicd/h", "evaluate", "cicd", {"version": "v6"}),
    ("the reviewer stays as it is. retrain feature dev on ls://fd/q", "train", "feature_dev", {}),
    ("lass docs wie es ist, cicd bitte zurück auf v4", "rollback", "cicd", {"version": "v4"}),
    ("deja docs como está, entrena cicd con ls://cicd/es", "train", "cicd", {"dataset": "ls://cicd/es"}),
    ("deixa o docs como está e volta o cicd pra v5", "rollback", "cicd", {"version": "v5"}),
    ("laisse docs comme il est, remets cicd en v4", "rollback", "cicd", {"version": "v4"}),
    # Nothing else is asked for:
    ("leave docs as it is", "none", None, {}),
    ("leave docs as it is, thanks", "none", None, {}),
    ("leave docs and cicd where they are", "none", None, {}),
    ("hands off cicd please", "none", None, {}),
    ("keep your hands off docs, we have a release tonight", "none", None, {}),
    ("leave docs as it is until feature dev is trained", "none", None, {}),
    ("leave docs as it is, and don't train feature dev either", "none", None, {}),
    ("dont touch docs, dont touch cicd, nothing at all", "none", None, {}),
    ("keep docs on v4, tom will retrain cicd tomorrow", "none", None, {}),
    ("leave docs where it is. what did the last cicd training cost?", "cost", "cicd", {}),
    ("lass docs wie es ist", "none", None, {}),
    ("deja docs como está por favor", "none", None, {}),
)  # fmt: skip

ABBREVIATED: tuple[Case, ...] = (
    ("roll back fdev", "rollback", "feature_dev", {}),
    ("f-dev training on ls://fd/q please", "train", "feature_dev", {"dataset": "ls://fd/q"}),
    ("status of the featdev run?", "monitor", "feature_dev", {}),
    ("deploy feat-dev v9 at 10%", "deploy", "feature_dev", {"version": "v9", "percent": 10}),
    ("FDev v3 vs v4 pls", "evaluate", "feature_dev", {"version": ("v3", "v4")}),
    ("code-rev back to v3", "rollback", "code_review", {"version": "v3"}),
    ("train coderev on ls://cr/q, dpo", "train", "code_review", {"method": "dpo"}),
    ("which version is crev on", "history", "code_review", {}),
    ("what did the c-rev training cost", "cost", "code_review", {}),
    ("is the cdrvw training done", "monitor", "code_review", {}),
    ("trainier fdev mit ls://fd/q", "train", "feature_dev", {}),
    ("vuelve fdev a la v4", "rollback", "feature_dev", {"version": "v4"}),
    # Other words that only look like names:
    ("deploy it to the dev cluster", "none", None, {}),
    ("the dev server is down, roll back the frontend", "none", None, {}),
    ("train the crew on mondays", "none", None, {}),
    ("send an e-mail to the coders", "none", None, {}),
    ("roll back the codec", "none", None, {}),
    ("code freeze until monday, nobody deploys", "none", None, {}),
)

CORRECTED_VALUES: tuple[Case, ...] = (
    ("retrain docs with Qwen/Qwen2.5-Coder-3B on ls://docs/faq, not the 14b again", "train", "docs", {"base_model": "Qwen/Qwen2.5-Coder-3B"}),
    ("train cicd on ls://cicd/new this time, not ls://cicd/old", "train", "cicd", {"dataset": "ls://cicd/new"}),
    ("finetune code review with dpo this time, not the sft, data ls://cr/p", "train", "code_review", {"method": "dpo"}),
    ("train docs on ls://docs/faq with llama-3.1-8b and not the usual 3b", "train", "docs", {"base_model": "llama-3.1-8b"}),
    ("evaluate docs v9 this time, not the v8", "evaluate", "docs", {"version": "v9"}),
    ("deploy cicd v7 at 10% this time, not 25%", "deploy", "cicd", {"percent": 10}),
    ("roll docs back to v3 this time, not the v2", "rollback", "docs", {"version": "v3"}),
    ("trainier docs diesmal mit dpo, nicht mit sft, ls://docs/de", "train", "docs", {"method": "dpo"}),
    ("entrena docs con ls://docs/es, esta vez con dpo, no con sft", "train", "docs", {"method": "dpo"}),
    ("treina cicd com ls://cicd/pt, dessa vez sft, não dpo", "train", "cicd", {"method": "sft"}),
    ("entraîne docs sur ls://docs/fr, cette fois en dpo, pas en sft", "train", "docs", {"method": "dpo"}),
    # A denial stays one:
    ("not this time", "none", None, {}),
    ("don't train docs this time", "none", None, {}),
    ("not the 7b for docs again please", "none", None, {}),
    ("train docs? not this time", "none", None, {}),
    ("please do not deploy docs v9 this time, not even at 5%", "none", None, {}),
    ("no dpo for docs this time", "none", None, {}),
)  # fmt: skip

BACK_TO_A_VERSION: tuple[Case, ...] = (
    ("please return docs to version 4", "rollback", "docs", {"version": "v4"}),
    ("put the reviewer back on version 3.1", "rollback", "code_review", {"version": "v3.1"}),
    ("bring cicd back to version 2", "rollback", "cicd", {"version": "v2"}),
    ("please to put back cicd agent on version 1.0.3", "rollback", "cicd", {"version": "v1.0.3"}),
    (
        "return the feature dev agent on v7, the new one is broken",
        "rollback",
        "feature_dev",
        {"version": "v7"},
    ),
    ("put docs on version 5, the new one is worse", "rollback", "docs", {"version": "v5"}),
    ("docs to version 9 at 10%", "deploy", "docs", {"version": "v9", "percent": 10}),
    ("compare version 4 and version 5 of cicd", "evaluate", "cicd", {"version": ("v4", "v5")}),
    ("ship ver. 3 of the reviewer", "deploy", "code_review", {"version": "v3"}),
    ("restore the previous model of cicd", "rollback", "cicd", {"version": "previous"}),
    ("I would appreciate it if you could restore the former reviewer model", "rollback", "code_review", {}),
    ("it would be great if you could train docs on ls://docs/x", "train", "docs", {"condition": None}),
    ("i'd be grateful if you would roll back feature dev", "rollback", "feature_dev", {"condition": None}),
    ("would you mind bringing cicd back to version 3?", "rollback", "cicd", {"version": "v3"}),
    ("bitte docs auf Version 4 zurücksetzen", "rollback", "docs", {"version": "v4"}),
    ("devuelve docs a la versión 4", "rollback", "docs", {"version": "v4"}),
    ("volta o docs pra versão 4", "rollback", "docs", {"version": "v4"}),
    ("remets docs en version 4", "rollback", "docs", {"version": "v4"}),
    # These move nothing:
    ("don't put it to version 2", "none", None, {}),
    ("please do not return docs to version 2", "none", None, {}),
    ("who put docs on version 4?", "history", "docs", {"version": "v4"}),
    ("return the laptop to the office", "none", None, {}),
    ("i would appreciate a status of the docs training", "monitor", "docs", {}),
    ("would it be great if you could roll back docs? just thinking", "none", None, {}),
    ("upgrade python to version 3.12 on the build host", "none", None, {}),
    ("deploy version 4 of the checkout service", "none", None, {}),
)

NAMES_OF_RUNS: tuple[Case, ...] = (
    ("status of job ft-99ab", "monitor", None, {"run": "ft-99ab"}),
    ("is job 0a9f3c stuck?", "monitor", None, {"run": "0a9f3c"}),
    ("hows training job_77f2 going", "monitor", None, {"run": "job_77f2"}),
    ("kill job hfj-83a1c", "cancel", None, {"run": "hfj-83a1c"}),
    ("cancel run 8c1f22b", "cancel", None, {"run": "8c1f22b"}),
    ("what's run b7e1-44d0 doing", "monitor", None, {"run": "b7e1-44d0"}),
    ("wie weit ist job hf-3b9 ?", "monitor", None, {"run": "hf-3b9"}),
    ("cómo va el job hfx-22c?", "monitor", None, {"run": "hfx-22c"}),
    # Not names of runs:
    ("run docs v3 through ls://docs/h", "evaluate", "docs", {"run": None, "version": "v3"}),
    ("is the docs job done", "monitor", "docs", {"run": None}),
    ("run llama-3.1-8b through sft for docs on ls://docs/q", "train", "docs", {"run": None}),
    ("run e2e-tests for the frontend", "none", None, {}),
    ("how is the docs run 3 epochs in?", "monitor", "docs", {"run": None}),
    ("restart the nginx job on node-3", "none", None, {}),
)  # fmt: skip

GETTING_IT_OUT: tuple[Case, ...] = (
    ("lets get the new reviewer model out at 10%", "deploy", "code_review", {"percent": 10}),
    ("get docs v9 out to everyone", "deploy", "docs", {"version": "v9", "strategy": "immediate"}),
    ("can we get the fresh cicd model out today?", "deploy", "cicd", {}),
    ("time to get the latest docs version out", "deploy", "docs", {"version": "candidate"}),
    ("bring the new cicd version out, 5% first", "deploy", "cicd", {"percent": 5}),
    ("push the retrained reviewer out", "deploy", "code_review", {"version": "candidate"}),
    ("I want the new docs model out by a small canary", "deploy", "docs", {"strategy": "canary"}),
    ("we should get feature dev v12 out", "deploy", "feature_dev", {"version": "v12"}),
    # The way back, a habit, a question, a denial:
    ("get the docs canary out", "rollback", "docs", {}),
    ("get docs v9 out of production", "rollback", "docs", {}),
    ("take the new docs model out of traffic", "rollback", "docs", {}),
    ("get the docs agent out of its habit of apologising, ls://docs/tone", "train", "docs", {}),
    ("is the new docs model out yet?", "monitor", "docs", {}),
    ("don't get the new docs model out yet", "none", None, {}),
    ("get the new joiners out for lunch", "none", None, {}),
    ("the new docs model is out, fyi", "none", None, {}),
)

ARROWS: tuple[Case, ...] = (
    ("docs canary fine → 50", "promote", "docs", {"percent": 50}),
    ("cicd canary healthy => 100%", "promote", "cicd", {"percent": 100}),
    ("fd canary no errors, -> 25", "promote", "feature_dev", {"percent": 25}),
    ("reviewer canary ok, 100 then", "promote", "code_review", {"percent": 100}),
    ("docs canary looking good -> everyone", "promote", "docs", {"percent": 100}),
    ("docs canary 20 -> 50", "promote", "docs", {"percent": 50}),
    # No step up:
    ("docs canary looks ok", "none", None, {}),
    ("docs canary 20 -> 50?", "monitor", "docs", {}),
    ("docs canary went 5 -> 20 yesterday", "none", None, {}),
    ("docs canary errors went up 1 -> 7", "none", None, {}),
    ("docs loss 2.1 -> 0.4, nice", "monitor", "docs", {}),
    ("the reviewer canary should not go -> 100", "none", None, {}),
)

THE_SAME_AGAIN: tuple[Case, ...] = (
    ("the last docs training crashed, same again with 16gb", "train", "docs", {}),
    ("the cicd eval timed out, try that again please", "evaluate", "cicd", {}),
    ("feature dev's last run ran out of memory, run the same thing again", "train", "feature_dev", {}),
    ("last training of docs failed with a cuda error. repeat it", "train", "docs", {}),
    ("das letzte training von docs ist abgestürzt, mach das gleiche nochmal", "train", "docs", {}),
    ("el último entrenamiento de cicd falló, repítelo", "train", "cicd", {}),
    ("o último treino do cicd caiu, tenta de novo", "train", "cicd", {}),
    ("le dernier entrainement de docs a planté, refais le même", "train", "docs", {}),
    # Nothing is tried again:
    ("the last docs training crashed again", "monitor", "docs", {}),
    ("why did the last run of the reviewer die?", "history", "code_review", {}),
    ("the last docs run died. don't try it again", "none", None, {}),
    ("the last docs training crashed, should we try the same again?", "monitor", "docs", {}),
    ("the last docs canary died, tom will try the same again", "none", None, {}),
)  # fmt: skip

MADE_TRAININGS: tuple[Case, ...] = (
    ("make a sft training for docs with ls://docs/q", "train", "docs", {"method": "sft"}),
    ("we collected data, is in ls://cicd/d. please do training of cicd agent with this", "train", "cicd", {"dataset": "ls://cicd/d"}),
    ("bitte ein dpo training für docs machen, ls://docs/p", "train", "docs", {"method": "dpo"}),
    ("please to make finetuning for feature dev with ls://fd/q", "train", "feature_dev", {}),
    ("the team has reviewed the pairs, is in ls://cr/p2. make orpo training for reviewer", "train", "code_review", {"method": "orpo"}),
    ("we deployed docs v8 last week. please make evaluation of docs v9 with ls://docs/h", "evaluate", "docs", {"version": "v9"}),
    ("fais un entrainement dpo de docs avec ls://docs/fr", "train", "docs", {"method": "dpo"}),
    ("haz un entrenamiento de cicd con ls://cicd/e", "train", "cicd", {}),
    ("faz um treino do cicd com ls://cicd/p", "train", "cicd", {}),
    # Others make them, or they are something else:
    ("who made the dpo training for docs?", "history", "docs", {}),
    ("don't make training for docs", "none", None, {}),
    ("make training slides for the new people", "none", None, {}),
    ("does it make sense to make dpo training for docs?", "none", None, {}),
    ("what did we make the last docs training with?", "history", "docs", {}),
    ("we have made dpo training for docs last week", "none", None, {}),
)  # fmt: skip

ALL_AT_ONCE: tuple[Case, ...] = (
    ("deploy docs v9 for everybody", "deploy", "docs", {"strategy": "immediate"}),
    ("ship cicd v7 to all users", "deploy", "cicd", {"strategy": "immediate"}),
    ("put reviewer v4 live for all", "deploy", "code_review", {"strategy": "immediate"}),
    ("roll feature dev v2 out to every user", "deploy", "feature_dev", {"strategy": "immediate"}),
    ("docs v9 für alle live schalten", "deploy", "docs", {"strategy": "immediate"}),
    ("pon docs v9 en producción para todos", "deploy", "docs", {"strategy": "immediate"}),
    ("coloca cicd v7 em produção pra todo mundo", "deploy", "cicd", {"strategy": "immediate"}),
    ("mets docs v9 en production pour tout le monde", "deploy", "docs", {"strategy": "immediate"}),
    # A canary first:
    ("deploy docs v9 as a canary, not for everybody", "deploy", "docs", {"strategy": "canary"}),
    ("deploy docs v9, canary first, then everybody", "deploy", "docs", {"strategy": "canary"}),
    ("deploy docs v9 to 10%, everybody later", "deploy", "docs", {"strategy": "canary", "percent": 10}),
    ("docs v9 is not for everybody", "none", None, {}),
)

ONE_OF_SEVERAL: tuple[Case, ...] = (
    ("ship the better one of cicd v4 and v5", "ambiguous", "cicd", {}),
    ("put the best of docs v7 and v8 live", "ambiguous", "docs", {}),
    ("deploy whichever of docs v3 and v4 won", "ambiguous", "docs", {}),
    ("evaluate which of docs v3 and v4 is better", "evaluate", "docs", {"version": ("v3", "v4")}),
    ("deploy docs v4, it is better than v3", "deploy", "docs", {"version": "v4"}),
    ("stop the new version of cicd", "rollback", "cicd", {}),
    ("quita el modelo nuevo de docs", "rollback", "docs", {}),
    ("stoppt die neue Version von docs", "rollback", "docs", {}),
    ("stop the training of the new version of cicd", "cancel", "cicd", {}),
    ("please make a quick test of docs v4 with ls://docs/t", "evaluate", "docs", {"version": "v4"}),
    ("do another check of the reviewer candidate on ls://cr/t", "evaluate", "code_review", {"version": "candidate"}),
    ("make a test dataset of docs failures", "collect", "docs", {}),
)  # fmt: skip

CURIOUS: tuple[Case, ...] = (
    ("just curious, how long does a training usually take?", "none", None, {}),
    ("how long do evals normally run?", "none", None, {}),
    ("only asking: how long does a dpo training typically last", "none", None, {}),
    ("out of curiosity, how does a canary usually end?", "none", None, {}),
    ("wie lange dauert so ein training normalerweise?", "none", None, {}),
    ("¿cuánto tarda normalmente un entrenamiento?", "none", None, {}),
    ("quanto tempo leva um treino normalmente?", "none", None, {}),
    ("combien de temps dure un entrainement en général ?", "none", None, {}),
    # About what runs now, or a request:
    ("how long does the docs training take? only curious", "monitor", "docs", {}),
    ("just asking, is the docs run done", "monitor", "docs", {}),
    ("how long will tr-12 take, just curious", "monitor", None, {"run": "tr-12"}),
    ("normally docs is trained with sft, use dpo now on ls://docs/p", "train", "docs", {"method": "dpo"}),
    ("how long does it usually take, and please train docs on ls://docs/q", "train", "docs", {}),
)


@pytest.mark.parametrize(
    ("message", "intent", "agent", "values"),
    [
        *LEFT_AS_IT_IS, *ABBREVIATED, *CORRECTED_VALUES, *BACK_TO_A_VERSION, *NAMES_OF_RUNS, *GETTING_IT_OUT,
        *ONE_OF_SEVERAL, *ARROWS, *THE_SAME_AGAIN, *MADE_TRAININGS, *ALL_AT_ONCE, *CURIOUS,
    ],
)  # fmt: skip
def test_a_message_means_what_is_meant(
    message: str, intent: str, agent: str | None, values: dict[str, Any]
) -> None:
    assert_means((), message, intent, agent, values)


ON_CANARY = ("chef: Docs v12 canary at 20%: 24 h of 24 h, healthy.",)
A_PLAN = ("chef: Plan: train docs on ls://docs/q, about $4. Proceed?",)
COSTS = ("chef: The docs training has cost $4 so far.",)


@pytest.mark.parametrize(
    ("context", "message", "intent", "agent"),
    [
        (ON_CANARY, "double it", "promote", "docs"),
        (ON_CANARY, "nice. take it all the way", "promote", "docs"),
        (ON_CANARY, "leave it as it is and roll cicd back", "rollback", "cicd"),
        (ON_CANARY, "take it all the way back to v11", "rollback", "docs"),
        (ON_CANARY, "should we double it?", "none", None),
        (ON_CANARY, "don't double it yet", "none", None),
        (COSTS, "don't let it double that", "none", None),
        (A_PLAN, "hold your horses, lena wants to look first", "cancel", "docs"),
        (A_PLAN, "not so fast", "cancel", "docs"),
        (A_PLAN, "leave cicd as it is, go ahead with docs?", "none", None),
        (A_PLAN, "yes, but leave cicd as it is", "ambiguous", "docs"),
    ],
)
def test_what_was_said_before_decides(
    context: tuple[str, ...], message: str, intent: str, agent: str | None
) -> None:
    assert_means(context, message, intent, agent, {})
