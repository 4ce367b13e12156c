"""How answers are scored: a field of Rollouts, and of AgentModels for those that name none."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from modelops.api.v1alpha1.cel import Rule, rules
from modelops.api.v1alpha1.meta import ApiModel, Share


class ScorerType(StrEnum):
    """The ways to score an answer against what its example expects."""

    EXACT = "exact"
    JSON = "json"
    REGEX = "regex"
    TOKEN_F1 = "tokenF1"
    CHRF = "chrF"
    TESTS = "tests"
    JUDGE = "judge"
    CUSTOM = "custom"


class Scorer(
    ApiModel,
    json_schema_extra=rules(
        Rule(
            "(self.type == 'custom') == has(self.name)",
            "scorer.name is the name of a team's own scorer: write it with type custom, and with no other type",
            field="name",
        ),
        Rule(
            "self.type != 'judge' || !has(self.threshold) || self.threshold == '1'",
            "scorer.threshold says nothing of type judge, which compares two answers: leave it out",
            field="threshold",
        ),
    ),
):
    """How an answer is scored, and the score from which it is a success."""

    type: ScorerType = Field(
        description="Score of an answer against what its example expects, from 0 to 1. exact scores 1 if both texts "
        "are equal, and json if both are equal as JSON, with types. regex scores 1 if the example's expression "
        "(outputs.pattern, or else the expected answer) matches in the answer. tests scores 1 if the answer's code "
        "passes the example's own tests (outputs.tests). For prose, chrF is the share of common letter sequences, and "
        "tokenF1 that of common words (harmonic mean of precision and recall). judge takes the answer that a "
        "calibrated judge prefers (langsmith.judge of the AgentModel). custom is a scorer of your own, by name. Where "
        "an example expects calls of tools, every type but custom and judge compares those."
    )
    name: str | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="Name of a scorer of your own: an entry point of the group modelops.scorers in the operator's "
        "image. For type custom only.",
    )
    threshold: Share = Field(
        default="1", description="Lowest score that counts as a success, from 0 to 1, as a decimal string."
    )
