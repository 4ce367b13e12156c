"""One JSON object per log line, without secrets."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from pythonjsonlogger.core import LogData
from pythonjsonlogger.json import JsonFormatter

_FIELDS = {
    "asctime": "ts",
    "levelname": "level",
    "name": "logger",
    "message": "msg",
    "kind": "kind",
    "namespace": "namespace",
    "object": "name",
    "uid": "uid",
    "details": "details",
    "exc_info": "error",
}
"""Attributes of a LogRecord and their names in a line, in the order of the line. `extra=` gives those from `kind`
to `details`; it cannot give `name`, which logging uses for the logger."""
_TOKENS = re.compile(
    r"\b(hf_[A-Za-z0-9_]{8,}|lsv2_[A-Za-z0-9_]{8,}|sk-or-[A-Za-z0-9-]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+)"
    r"|(?i:\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*)"
)
"""Tokens of Hugging Face, LangSmith and OpenRouter, JSON Web Tokens, and Authorization headers."""
_REDACTED = "[secret]"
_MIN_SECRET_LENGTH = 6
"""In characters; replacing shorter values would make lines unreadable."""


class RedactingJsonFormatter(JsonFormatter):
    """Writes the time (`ts`, UTC), `level`, `logger`, `msg`, the object that the line is about, and the traceback.

    `secrets` are replaced wherever they occur in a line, and so is whatever has the form of a token.
    Attributes from `extra=` that `_FIELDS` does not name are left out: libraries put whole objects there.
    """

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__(list(_FIELDS), rename_fields=_FIELDS, json_default=str, json_ensure_ascii=False)
        self._secrets = sorted((s for s in secrets if len(s) >= _MIN_SECRET_LENGTH), key=len, reverse=True)

    def add_fields(self, log_data: LogData, record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Adds the named fields that have a value, and the message as text also where it is a dict."""
        found: LogData = {}
        super().add_fields(found, record, {"exc_info": message_dict.get("exc_info")})
        found["msg"] = record.getMessage()
        for name in _FIELDS.values():
            if name == "msg" or found[name] not in (None, ""):
                log_data[name] = found[name]

    def serialize_log_record(self, log_data: LogData) -> str:
        """The line as JSON, without secrets."""
        text = super().serialize_log_record(log_data)
        for secret in self._secrets:
            text = text.replace(secret, _REDACTED)
        return _TOKENS.sub(_REDACTED, text)


def set_up_logging(level: str, *, secrets: Iterable[str] = (), stream: TextIO = sys.stderr) -> None:
    """Sends all logging of this process through a RedactingJsonFormatter; libraries log only warnings and errors."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(RedactingJsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for library in ("kopf", "aiohttp.access", "httpx", "httpx2", "huggingface_hub", "asyncio"):
        logging.getLogger(library).setLevel(logging.WARNING)
