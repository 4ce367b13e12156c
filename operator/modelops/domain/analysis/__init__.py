"""When a canary may be called worse than stable: one yes or no per session, and bets that keep their error rate."""

from modelops.domain.analysis.evidence import Evidence, Judgement
from modelops.domain.analysis.judge import CanaryJudge
from modelops.domain.analysis.metrics import ABORT_EVIDENCE, METRICS

__all__ = ["ABORT_EVIDENCE", "METRICS", "CanaryJudge", "Evidence", "Judgement"]
