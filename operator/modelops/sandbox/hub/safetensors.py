"""Reads parameter counts from the header of a safetensors file, and writes a file of zeros."""

import json
import math
from collections import Counter
from pathlib import Path

MAX_HEADER = 10_000_000
"""Bytes; the safetensors library refuses larger headers, too."""


def parameter_counts(file: Path) -> dict[str, int]:
    """Return the number of parameters by dtype. Format: 8 bytes little-endian header length, then JSON.

    Raises:
        ValueError: the file is not a safetensors file.
    """
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        if not 0 < length <= MAX_HEADER:
            raise ValueError(f"not a safetensors file: a header of {length} bytes")
        header = json.loads(stream.read(length))
    counts: Counter[str] = Counter()
    for name, tensor in header.items():
        if name != "__metadata__":
            counts[tensor["dtype"]] += math.prod(tensor["shape"])
    return dict(counts)


def zeros(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """Return a safetensors file of float32 zeros."""
    header: dict[str, object] = {}
    offset = 0
    for name, shape in shapes.items():
        end = offset + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [offset, end]}
        offset = end
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded + bytes(offset)
