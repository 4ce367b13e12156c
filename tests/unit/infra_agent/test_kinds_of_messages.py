"""Kinds of messages that were once misread, each in several forms, with neighbours that mean something else.

The values that a message names are checked where a case gives them; `None` says that a value is not named.
"""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.infra_agent.understood import assert_means

Case = tuple[str, str, str | None, dict[str, Any]]

WHAT_SERVES: tuple[Case, ...] = (
    ("what version is the reviewer on", "history", "code_review", {}),
    ("which docs model is live atm?", "history", "docs", {}),
    ("whats deployed on cicd right now", "history", "cicd", {}),
    ("what's in production for feature dev?", "history", "feature_dev", {}),
    ("can you tell me which version feature dev runs", "history", "feature_dev", {}),
    ("what model is serving docs traffic?", "history", "docs", {}),
    ("which checkpoint is the ci agent using these days", "history", "cicd", {}),
    ("show me what is live on docs", "history", "docs", {}),
    ("what is currently live on the reviewer?", "history", "code_review", {}),
    ("tell me what the reviewer is running on", "history", "code_review", {}),
    ("on which version is cicd", "history", "cicd", {}),
    ("welche version von docs ist gerade live?", "history", "docs", {}),
    ("which models are live", "history", None, {}),
    # A run or a rollout, not what serves:
    ("how's the docs rollout doing", "monitor", "docs", {}),
    ("what's the docs training doing right now", "monitor", "docs", {}),
    ("is the new docs version live yet", "monitor", "docs", {}),
    ("which runs are going on for docs", "monitor", "docs", {}),
    ("is anything running on the reviewer", "monitor", "code_review", {}),
    ("whats running on cicd", "monitor", "cicd", {}),
    ("what share of the traffic has the docs canary now", "monitor", "docs", {}),
    ("which step is the docs training on", "monitor", "docs", {}),
    ("which model is the docs job training right now", "monitor", "docs", {}),
    # Requests that speak of what serves:
    ("put whats live on docs back to v3", "rollback", "docs", {"version": "v3"}),
    ("evaluate what's live on docs", "evaluate", "docs", {}),
    ("compare docs v9 with what is live", "evaluate", "docs", {"version": "v9"}),
)

LEAVING: tuple[Case, ...] = (
    ("any news on the docs training? i have to leave soon", "monitor", "docs", {}),
    ("i leave at 5, is the reviewer eval done?", "monitor", "code_review", {}),
    ("before i leave: status of cicd please", "monitor", "cicd", {}),
    ("my train leaves at 7, how far is the docs run?", "monitor", "docs", {}),
    ("gotta leave at six. train docs on ls://docs/faq please", "train", "docs", {}),
    ("i am on leave from monday, who deployed docs v4?", "history", "docs", {}),
    ("we leave at noon, roll docs back please", "rollback", "docs", {}),
    ("i have to leave where is the docs run at?", "monitor", "docs", {}),
    # These leave something as it is, or are about nothing here:
    ("i need to leave at 6", "none", None, {}),
    ("leave it at 20%", "none", None, {}),
    ("please leave docs alone", "none", None, {}),
    ("leave the canary where it is", "none", None, {}),
    ("just leave docs running as it is", "none", None, {}),
    ("we should leave cicd on v6", "none", None, {}),
    ("i leave the office at 6, how far is the docs training?", "monitor", "docs", {}),
    ("leave that meeting alone and roll docs back", "rollback", "docs", {}),
)

NEWS_AND_WISHES: tuple[Case, ...] = (
    ("Tom will deploy docs v4 tomorrow, fyi", "none", None, {}),
    ("the data team is planning to retrain cicd in march", "none", None, {}),
    ("Anna is about to roll back the reviewer, just letting you know", "none", None, {}),
    ("ops are going to promote docs v9 on friday, for your info", "none", None, {}),
    ("jonas plans to evaluate feature dev v8 next week", "none", None, {}),
    ("my colleague wants to deploy cicd v7 later, just fyi", "none", None, {}),
    ("Marta is going to train docs on ls://docs/faq with dpo, max $20", "none", None, {}),
    ("jonas plans to deploy docs v9 at 10%", "none", None, {}),
    ("Lena is about to ship docs v4 to 20% of users", "none", None, {}),
    ("sam is going to deploy docs v4 and roll back cicd", "none", None, {}),
    ("Marta would like to train docs with dpo", "none", None, {}),
    ("they're going to train the docs model on monday just so you know", "none", None, {}),
    ("the platform folks intend to ship docs v5 this evening", "none", None, {}),
    ("I wish every rollback was this quick", "none", None, {}),
    ("i wish we could train docs for free", "none", None, {}),
    ("if only we could deploy docs v9 without a canary", "none", None, {}),
    ("would be cool if one day you could retrain cicd by yourself", "none", None, {}),
    ("I wish I could just roll back docs on my own", "none", None, {}),
    ("wish we could promote cicd automatically", "none", None, {}),
    ("good morning, how's it going?", "none", None, {}),
    ("hi all, how is it going", "none", None, {}),
    # These are asked for:
    ("Tom is out, so please deploy docs v4", "deploy", "docs", {"version": "v4"}),
    ("Marta asked about docs, can you train it on ls://docs/faq?", "train", "docs", {}),
    ("docs is about to break everything so roll it back", "rollback", "docs", {}),
    ("sam is going to complain, can you deploy docs v4", "deploy", "docs", {"version": "v4"}),
    ("i wish it was less wordy. train docs on ls://docs/short please", "train", "docs", {}),
    ("we are going to need docs v4 live, deploy it", "deploy", "docs", {"version": "v4"}),
    ("the docs model is going to need a training, please start one", "train", "docs", {}),
    ("is the docs model going to be trained today?", "monitor", "docs", {}),
    ("i'd like to train docs on ls://docs/faq", "train", "docs", {}),
    ("how's it going with the docs run?", "monitor", "docs", {}),
)

SECOND_SENTENCES: tuple[Case, ...] = (
    ("Deploy docs v9 please. 10% to begin with.", "deploy", "docs", {"percent": 10, "strategy": "canary"}),
    ("Can you ship cicd v7 today? A 25% canary is enough.", "deploy", "cicd", {"version": "v7", "percent": 25}),
    ("deploy reviewer v4. Canary, 5 percent, would be best", "deploy", "code_review", {"percent": 5}),
    ("Please get docs v3 live. I'd say 30% first.", "deploy", "docs", {"version": "v3", "percent": 30}),
    ("Put cicd v8 live, please. Starting with 10% is fine.", "deploy", "cicd", {"percent": 10}),
    ("Could you put feature dev v5 in production? 20% should do.", "deploy", "feature_dev", {"percent": 20}),
    ("Train docs on ls://docs/faq. $20 would be the limit.", "train", "docs", {"max_usd": 20}),
    ("Could you train the reviewer? DPO would be good. Data: ls://cr/p", "train", "code_review", {"method": "dpo", "dataset": "ls://cr/p"}),
    ("Please evaluate docs v9. ls://docs/holdout would be good.", "evaluate", "docs", {"version": "v9", "dataset": "ls://docs/holdout"}),
    ("can you deploy docs v9? no canary needed.", "deploy", "docs", {"version": "v9", "strategy": "immediate"}),
    # Shares that are none of the rollout:
    ("Deploy docs v9. The eval said 91%.", "deploy", "docs", {"version": "v9", "percent": None}),
    ("Could you deploy docs v9? It was 15% faster.", "deploy", "docs", {"percent": None}),
    ("deploy docs v9 please. Error rate is at 2%", "deploy", "docs", {"percent": None}),
    ("deploy docs v9. The last canary at 50% broke.", "deploy", "docs", {"percent": None}),
    ("ok, deploy docs v9 to 20% and tell me the error rate", "deploy", "docs", {"percent": 20}),
    ("deploy docs v9, accuracy was 91%, so 20% should be fine", "deploy", "docs", {"percent": 20}),
    ("well, would like to deploy docs v9 at 5%", "deploy", "docs", {"percent": 5}),
    # A share and no request:
    ("is docs v9 live? a canary at 15% would be good for tests", "monitor", "docs", {}),
)  # fmt: skip

NEW_MODELS: tuple[Case, ...] = (
    ("deploy the new docs model", "deploy", "docs", {"version": "candidate"}),
    ("evaluate the finetuned reviewer model", "evaluate", "code_review", {"version": "candidate"}),
    ("test the fine tuned cicd version please", "evaluate", "cicd", {"version": "candidate"}),
    ("ship the new version of feature dev to 10%", "deploy", "feature_dev", {"version": "candidate"}),
    ("benchmark the retrained docs model", "evaluate", "docs", {"version": "candidate"}),
    ("canary the newly trained reviewer at 5%", "deploy", "code_review", {"version": "candidate"}),
    ("put the new one live for cicd", "deploy", "cicd", {"version": "candidate"}),
    ("is the new docs model better than the live one? please test it", "evaluate", "docs", {"version": "candidate"}),
    ("roll out the new feature-dev model at 20%", "deploy", "feature_dev", {"version": "candidate"}),
    ("deploy the latest docs model", "deploy", "docs", {"version": "candidate"}),
    # Another version is named, or what is new is no model:
    ("deploy docs v9, the new model", "deploy", "docs", {"version": "v9"}),
    ("evaluate docs on the new dataset ls://docs/new", "evaluate", "docs", {"version": None}),
    ("the new docs model is bad, roll it back", "rollback", "docs", {"version": None}),
    ("train a new docs model", "train", "docs", {"version": None}),
    ("evaluate docs v8 with the new eval model", "evaluate", "docs", {"version": "v8"}),
)  # fmt: skip


@pytest.mark.parametrize(
    ("message", "intent", "agent", "values"),
    [*WHAT_SERVES, *LEAVING, *NEWS_AND_WISHES, *SECOND_SENTENCES, *NEW_MODELS],
)
def test_a_message_means_what_is_meant(
    message: str, intent: str, agent: str | None, values: dict[str, Any]
) -> None:
    assert_means((), message, intent, agent, values)


RECOMMENDED = ("chef: Docs v12: 88% (live 81%), 15% faster. Recommendation: deploy.",)
NOT_RECOMMENDED = ("chef: Docs v12: 72% (live 81%). Recommendation: keep v11.",)
CANARY = ("chef: Docs v12 canary at 20%: 24 h of 24 h, healthy.",)
COLLECTED = ("user: collect cicd failures", "chef: Collected 90 CICD examples into ls://cicd/failures-7.")
LISTED = ("chef: Datasets of CICD: ls://cicd/a and ls://cicd/b.",)
READY = ("chef: Training tr-1204 (Docs) is done: Docs v12. Evaluate now?",)
LIVE = ("chef: Docs v11 is live for all traffic.",)
NONE_NAMED = ("chef: Collected 90 CICD examples.",)


@pytest.mark.parametrize(
    ("context", "message", "intent", "agent", "values"),
    [
        (RECOMMENDED, "ship it then, 10%", "deploy", "docs", {"version": "v12", "percent": 10}),
        (RECOMMENDED, "deploy it, canary at 15", "deploy", "docs", {"version": "v12", "percent": 15}),
        (RECOMMENDED, "ok roll it out to 20% of users", "deploy", "docs", {"version": "v12", "percent": 20}),
        (RECOMMENDED, "great, lets go with a 5% canary", "deploy", "docs", {"version": "v12", "percent": 5}),
        (RECOMMENDED, "put it live for a tenth of the traffic", "deploy", "docs", {"version": "v12"}),
        (RECOMMENDED, "fine, release it. 25% canary", "deploy", "docs", {"version": "v12", "percent": 25}),
        (RECOMMENDED, "deploy then", "deploy", "docs", {"version": "v12", "percent": None}),
        (RECOMMENDED, "ship it to everyone", "deploy", "docs", {"version": "v12"}),
        (RECOMMENDED, "cool, canary first please, 5%, then we see", "deploy", "docs", {"percent": 5}),
        (RECOMMENDED, "deploy v11 instead", "deploy", "docs", {"version": "v11"}),
        (RECOMMENDED, "deploy the reviewer's v3 at 5%", "deploy", "code_review", {"version": "v3"}),
        (NOT_RECOMMENDED, "ship it anyway, 5%", "ambiguous", "docs", {"percent": 5}),
        (CANARY, "ship it to 50%", "promote", "docs", {"percent": 50}),
        (CANARY, "ok roll it out to everyone", "promote", "docs", {"percent": 100}),
        (RECOMMENDED, "15% faster, nice", "none", None, {}),
        (RECOMMENDED, "88% is not much", "none", None, {}),
        (RECOMMENDED, "don't ship it yet", "none", None, {}),
        (COLLECTED, "train cicd with that", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "use that to train it", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "now train on those, dpo", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "train it on these, max $10", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "start an sft with that dataset", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "evaluate the candidate on it", "evaluate", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "fine-tune with this set please", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "train cicd using the new dataset", "train", "cicd", {"dataset": "ls://cicd/failures-7"}),
        (COLLECTED, "train it on ls://cicd/other", "train", "cicd", {"dataset": "ls://cicd/other"}),
        (COLLECTED, "train it", "train", "cicd", {"dataset": None}),
        (COLLECTED, "train docs on the old data", "train", "docs", {"dataset": None}),
        (COLLECTED, "train docs with that", "train", "docs", {"dataset": None}),
        (LISTED, "use that one to train it", "train", "cicd", {"dataset": None}),
        (NONE_NAMED, "use that one to train it", "train", "cicd", {"dataset": None}),
        (COLLECTED, "dont use that one", "none", None, {}),
        (RECOMMENDED, "deploy it, but only to 5% since it was 15% faster", "deploy", "docs", {"percent": 5}),
        (RECOMMENDED, "go to 20%", "deploy", "docs", {"version": "v12", "percent": 20}),
        (RECOMMENDED, "do we need a 5% canary?", "none", None, {}),
        (RECOMMENDED, "5% canary would be too risky", "none", None, {}),
        (RECOMMENDED, "let me think about a 5% canary", "none", None, {}),
        (RECOMMENDED, "a 5% canary broke last time", "history", "docs", {}),
        (COLLECTED, "train it with that in mind", "train", "cicd", {"dataset": None}),
        (COLLECTED, "train it, but not on that", "train", "cicd", {"dataset": None}),
        (COLLECTED, "train it with the data that bob made", "train", "cicd", {"dataset": None}),
        (COLLECTED, "train it, i'm ok with that", "train", "cicd", {"dataset": None}),
        (LIVE, "deploy the new model at 5%", "deploy", "docs", {"version": "candidate", "percent": 5}),
        (COLLECTED, "train it with the 7b base", "train", "cicd", {"dataset": None}),
        (COLLECTED, "train it on this base model", "train", "cicd", {"dataset": None}),
        (CANARY, "i need to leave at 6", "none", None, {}),
        (CANARY, "leave at 20%", "none", None, {}),
        (CANARY, "i wish we could give it 50% already", "none", None, {}),
        (CANARY, "ops is going to raise it to 50%", "none", None, {}),
        (CANARY, "good morning, how's it going?", "monitor", "docs", {}),
        (READY, "yes evaluate it now pls", "approve", "docs", {}),
        (READY, "evaluate it, but on ls://docs/holdout", "evaluate", "docs", {}),
        (READY, "not now", "cancel", "docs", {}),
        (READY, "tom will evaluate it", "none", None, {}),
    ],
)
def test_an_answer_takes_what_chef_named(
    context: tuple[str, ...], message: str, intent: str, agent: str | None, values: dict[str, Any]
) -> None:
    assert_means(context, message, intent, agent, values)
