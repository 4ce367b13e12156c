"""Log lines: JSON with the documented fields, and no secret in them."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import Any

from modelops.runtime.logs import RedactingJsonFormatter


def test_a_log_line_is_json_and_hides_known_and_likely_secrets() -> None:
    record = _record("token %s and %s", "letmein-42", "hf_abcdefghij")
    record.object, record.namespace, record.kind = "docs", "team", "Rollout"
    line = _line(record, "letmein-42")
    assert line["msg"] == "token [secret] and [secret]"
    assert (line["kind"], line["namespace"], line["name"]) == ("Rollout", "team", "docs")


def test_a_line_begins_with_time_level_logger_and_message_and_has_no_empty_fields() -> None:
    record = _record("über")
    record.created, record.msecs = 1767225600.25, 250.0
    text = RedactingJsonFormatter().format(record)
    assert text == '{"ts": "2026-01-01T00:00:00.250Z", "level": "INFO", "logger": "modelops", "msg": "über"}'


def test_attributes_of_other_libraries_are_left_out_and_details_are_kept() -> None:
    record = _record("settings")
    record.details, record.k8s_ref, record.uid = [{"path": Path("/a")}, "hf_abcdefghij"], {"name": "x"}, ""
    line = _line(record)
    assert line["details"] == [{"path": "/a"}, "[secret]"]
    assert line.keys() == {"ts", "level", "logger", "msg", "details"}


def test_a_traceback_is_in_the_line_without_secrets() -> None:
    try:
        raise ValueError("refused: Bearer abcdefgh12345")
    except ValueError:
        line = _line(_record("failed", exc_info=sys.exc_info()))
    assert "ValueError: refused: [secret]" in line["error"]


def test_a_message_that_is_not_text_is_written_as_text() -> None:
    assert _line(_record({"levelname": "none", "token": 1}))["msg"] == "{'levelname': 'none', 'token': 1}"
    assert _line(_record(""))["msg"] == ""


def _record(message: object, *args: object, exc_info: Any = None) -> logging.LogRecord:
    return logging.LogRecord("modelops", logging.INFO, "", 0, message, args, exc_info)


def _line(record: logging.LogRecord, *secrets: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(RedactingJsonFormatter(secrets).format(record))
    return parsed
