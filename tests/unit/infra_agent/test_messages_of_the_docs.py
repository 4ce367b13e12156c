"""The messages that the guides give as examples are understood as the guides say."""

from __future__ import annotations

import pytest
from tests.unit.docs.pages import ROOT
from tests.unit.infra_agent.understood import AGENTS

from modelops.infra_agent.understanding import understand

TEXT = " ".join(
    " ".join((ROOT / "docs" / page).read_text(encoding="utf-8").split())
    for page in ("guides/conversation.md", "MODELOPS.md")
)
CANARY = ("chef: Deployed to 20% of docs requests. Monitor for 24 hours, then full rollout.",)
TRAINED = (
    "user: evaluate the new docs model",
    "chef: New model: 87% accuracy (+12 points) for docs v1.1.0-rc.1.",
)
RUNNING = ("chef: Training docs-train-1c2f of docs has started.",)


@pytest.mark.parametrize(
    ("message", "context", "intent", "agent"),
    [
        ("train docs with dpo on ls://pairs, max $5", (), "train", "docs"),
        ("do docs-train-1c2f again with orpo", (), "train", "docs"),
        ("evaluate the new docs model", (), "evaluate", "docs"),
        ("deploy docs v3 to 10%", (), "deploy", "docs"),
        ("roll docs back", (), "rollback", "docs"),
        ("go back to the baseline", ("user: what about docs?",), "rollback", "docs"),
        ("pause the docs rollout", (), "pause", "docs"),
        ("suspend the training", RUNNING, "pause", "docs"),
        ("resume it", RUNNING, "resume", "docs"),
        ("cancel docs-train-1c2f", (), "cancel", "docs"),
        ("collect docs failures", (), "collect", "docs"),
        ("approve docs-train-1c2f", (), "approve", "docs"),
        ("how is it going?", RUNNING, "monitor", "docs"),
        ("model history of docs", (), "history", "docs"),
        ("what did docs cost?", (), "cost", "docs"),
        ("what would an evaluation of docs tell me?", (), "cost", "docs"),
        ("roll docs back and train cicd", (), "rollback", "docs"),
        ("Deploy docs v3 if the eval is above 80 %", (), "deploy", "docs"),
        ("docs keeps missing error handling", (), "ambiguous", "docs"),
        ("@chef collect docs failures", (), "collect", "docs"),
        ("@chef train docs on ls://docs-examples-001, max $5", (), "train", "docs"),
        ("deploy it to 20%", TRAINED, "deploy", "docs"),
        ("Pause the docs rollout", (), "pause", "docs"),
        ("show me the model history of docs", (), "history", "docs"),
        ("What did docs cost this month?", (), "cost", "docs"),
        ("approve docs-2025-12-09", (), "approve", "docs"),
        ("train docs on ls://docs-failures-20261130 if it has more than 100 examples", (), "train", "docs"),
        ("evaluate docs v1.1.0-rc.1 on ls://docs-eval-001", (), "evaluate", "docs"),
        ("Go back to v1.0.0", ("user: what about docs?",), "rollback", "docs"),
        ("train it better", ("user: docs keeps missing error handling", "chef: Shall I prepare a training of docs, or go back to its version before?"), "train", "docs"),
    ],
)  # fmt: skip
def test_an_example_means_what_the_guide_says(
    message: str, context: tuple[str, ...], intent: str, agent: str
) -> None:
    assert f'"{message}"' in TEXT or f'"{message}' in TEXT, "no guide has this message"
    understood = understand(message, context=context, agents=AGENTS)
    assert (understood.intent.value, understood.agent) == (intent, agent)
