"""What the agents' processes report, and the port on which the operator takes it."""

from modelops.adapters.reports.body import ReportBody
from modelops.adapters.reports.book import ReportBook
from modelops.adapters.reports.server import Caller, ReportServer, TokenCheck, shared_secret, token_review

__all__ = [
    "Caller",
    "ReportBody",
    "ReportBook",
    "ReportServer",
    "TokenCheck",
    "shared_secret",
    "token_review",
]
