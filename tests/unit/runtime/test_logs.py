"""Log lines: JSON with the documented fields, and no secret in them."""

from __future__ import annotations

import json
import logging

from modelops.runtime.logs import JsonFormatter


def test_a_log_line_is_json_and_hides_known_and_likely_secrets() -> None:
    record = logging.LogRecord(
        "modelops", logging.INFO, "", 0, "token %s and %s", ("letmein-42", "hf_abcdefghij"), None
    )
    record.object, record.namespace, record.kind = "docs", "team", "Rollout"
    line = json.loads(JsonFormatter(["letmein-42"]).format(record))
    assert line["msg"] == "token [secret] and [secret]"
    assert (line["kind"], line["namespace"], line["name"]) == ("Rollout", "team", "docs")
