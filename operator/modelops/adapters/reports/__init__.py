"""The reports of the agents' processes: the server that receives them, and the store that sums them."""

from modelops.adapters.reports.body import ReportBody
from modelops.adapters.reports.forwarder import ReportForwarder
from modelops.adapters.reports.report_store import ReportStore
from modelops.adapters.reports.server import Caller, ReportServer, TokenCheck, shared_secret, token_review

__all__ = [
    "Caller",
    "ReportBody",
    "ReportForwarder",
    "ReportServer",
    "ReportStore",
    "TokenCheck",
    "shared_secret",
    "token_review",
]
