"""Parses multipart bodies as the SDK sends them: plain or zstd-compressed, with a length or chunked."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from typing import Any

import zstandard
from aiohttp import web
from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from modelops.sandbox.langsmith.access import RefusedError, invalid

_MAX_DECOMPRESSED = 256 * 1024 * 1024
"""Bytes; aiohttp's limit does not apply to the decompressed content."""


@dataclass(slots=True)
class Part:
    """One part: its form name and its bytes."""

    name: str = ""
    content: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """Parse the content as JSON. Refuses other content with a 422."""
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise invalid(f"body.{self.name}", f"JSON decode error: {error}") from None

    def json_object(self) -> dict[str, Any]:
        """Parse the content as a JSON object. Refuses other content with a 422."""
        value = self.json()
        if not isinstance(value, dict):
            raise invalid(f"body.{self.name}", "Input should be a JSON object")
        return value


async def parse_parts(request: web.Request) -> list[Part]:
    """Return all parts of a multipart body, in order. Refuses other bodies with a 415 or 422."""
    kind, options = parse_options_header(request.headers.get("Content-Type", ""))
    if kind != b"multipart/form-data" or b"boundary" not in options:
        raise RefusedError(415, "Content-Type should be multipart/form-data with a boundary")
    body = await request.read()
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding == "zstd":
        body = _decompress(body)
    elif encoding != "identity":
        raise RefusedError(415, f"Content-Encoding should be zstd or identity, got {encoding!r}")
    try:
        return _parse(body, options[b"boundary"])
    except MultipartParseError as error:
        raise invalid("body", f"Malformed multipart body: {error}") from None


def _decompress(body: bytes) -> bytes:
    reader = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(body), read_across_frames=True)
    try:
        content = reader.read(_MAX_DECOMPRESSED + 1)
    except zstandard.ZstdError as error:
        raise invalid("body", f"Malformed zstd body: {error}") from None
    if len(content) > _MAX_DECOMPRESSED:
        raise RefusedError(413, "The decompressed body is too large")
    return content


def _parse(body: bytes, boundary: bytes) -> list[Part]:
    parts: list[Part] = []
    chunks: list[bytes] = []
    header: dict[str, bytes] = {"field": b"", "value": b""}

    def begin() -> None:
        parts.append(Part())
        chunks.clear()

    def header_field(data: bytes, start: int, end: int) -> None:
        header["field"] += data[start:end]

    def header_value(data: bytes, start: int, end: int) -> None:
        header["value"] += data[start:end]

    def header_end() -> None:
        parts[-1].headers[header["field"].decode().lower()] = header["value"].decode()
        header.update(field=b"", value=b"")

    def data_arrived(data: bytes, start: int, end: int) -> None:
        chunks.append(data[start:end])

    def finish() -> None:
        part = parts[-1]
        _, options = parse_options_header(part.headers.get("content-disposition", ""))
        part.name = options.get(b"name", b"").decode()
        part.content = b"".join(chunks)

    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": begin,
            "on_header_field": header_field,
            "on_header_value": header_value,
            "on_header_end": header_end,
            "on_part_data": data_arrived,
            "on_part_end": finish,
        },
    )
    parser.write(body)
    parser.finalize()
    return parts
