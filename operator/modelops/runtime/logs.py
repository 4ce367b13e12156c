"""One JSON object per log line, without secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

_FIELDS = {"kind": "kind", "namespace": "namespace", "object": "name", "uid": "uid"}
"""Attributes given by `extra=` and what they are called in a line; `name` is taken by logging itself."""
_TOKENS = re.compile(
    r"\b(hf_[A-Za-z0-9_]{8,}|lsv2_[A-Za-z0-9_]{8,}|sk-or-[A-Za-z0-9-]{8,}|eyJ[\w-]{8,}\.[\w-]+\.[\w-]+)"
    r"|(?i:\bbearer\s+[A-Za-z0-9._~+/-]{8,}=*)"
)
_HIDDEN = "[secret]"


class JsonFormatter(logging.Formatter):
    """ts (UTC), level, logger, msg, then what `extra` says of the object, then the traceback."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = tuple(sorted((s for s in secrets if len(s) >= 6), key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "ts": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "msg": record.getMessage(),
        }
        for attribute, name in _FIELDS.items():
            if getattr(record, attribute, ""):
                line[name] = getattr(record, attribute)
        details = getattr(record, "details", None)
        if details is not None:
            line["details"] = details
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return self._without_secrets(json.dumps(line, ensure_ascii=False, default=str))

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return _TOKENS.sub(_HIDDEN, text)


def set_up(level: str, *, secrets: Iterable[str] = (), stream: TextIO = sys.stderr) -> None:
    """Sends all logging of this process through a JsonFormatter; kopf only says warnings."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for chatty in ("kopf", "aiohttp.access", "httpx", "httpx2", "huggingface_hub", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
