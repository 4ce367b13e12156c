"""Near-copies: texts whose three-word shingles agree by at least four fifths (Jaccard), found by MinHash.

Broder, "On the resemblance and containment of documents" (1997); candidates by locality-sensitive hashing in
bands: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3. Shingles that many examples share
(a long instruction that is the same in all) say nothing about likeness and are not counted. All constants are
part of what is stored beside a dataset: the evaluation must mean the same by "near".
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

FORM = "minhash/v1"
WORDS, PERMUTATIONS, BANDS = 3, 64, 16
ALIKE = 0.8
"""Share of equal MinHash values from which two texts are near-copies; its standard error is 0.05."""
BUCKETS = 1 << 22
SHARED_BY, SHARED_BY_LEAST = 0.1, 10
"""A shingle in more than a tenth of the examples, and in more than 10, is boilerplate."""
_DOCUMENTS_AT_ONCE, _PARTS_AT_ONCE, _LEADERS = 1024, 64, 16

Hashes = npt.NDArray[np.uint32]
Signatures = npt.NDArray[np.uint16]

_random = np.random.Generator(np.random.PCG64(20260101))
_FACTORS = (_random.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint64) | 1).astype(np.uint32)
_TERMS = _random.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint64).astype(np.uint32)
_PLACES = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))


class _WordHashes(dict[str, int]):
    def __missing__(self, word: str) -> int:
        if len(self) > 500_000:
            self.clear()
        self[word] = found = zlib.crc32(word.encode())
        return found


class Shingles:
    """The shingles of many texts, 4 bytes each, added batch by batch in the order of the texts."""

    def __init__(self) -> None:
        self._words = _WordHashes()
        self._hashes: list[Hashes] = []
        self._lengths: list[npt.NDArray[np.int64]] = []

    def add(self, texts: Sequence[Sequence[str]]) -> None:
        """The words of some texts. A text of fewer than three words has no shingles."""
        lengths = np.array([len(words) for words in texts], dtype=np.int64)
        known = self._words
        hashes = map(known.__getitem__, chain.from_iterable(texts))
        flat = np.fromiter(hashes, dtype=np.uint32, count=int(lengths.sum()))
        owner = np.repeat(np.arange(len(texts), dtype=np.uint64), lengths)
        if len(flat) < WORDS:
            self._lengths.append(np.zeros(len(texts), dtype=np.int64))
            return
        size = len(flat) - WORDS + 1
        mixed = np.zeros(size, dtype=np.uint32)
        for place, factor in enumerate(_PLACES):
            mixed = _mixed(mixed ^ flat[place : place + size]) * factor
        whole = owner[:size] == owner[WORDS - 1 :]
        keys = np.sort((owner[:size][whole] << np.uint64(32)) | _mixed(mixed)[whole])
        keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
        self._hashes.append((keys & np.uint64(0xFFFFFFFF)).astype(np.uint32))
        self._lengths.append(np.bincount((keys >> np.uint64(32)).astype(np.int64), minlength=len(texts)))

    def boilerplate(self) -> npt.NDArray[np.int64]:
        """The buckets of shingles that too many texts share."""
        count = np.zeros(BUCKETS, dtype=np.int64)
        for first in range(0, len(self._hashes), _PARTS_AT_ONCE):
            part = np.concatenate(self._hashes[first : first + _PARTS_AT_ONCE])
            count += np.bincount(part % BUCKETS, minlength=BUCKETS)
        texts = sum(len(part) for part in self._lengths)
        return np.flatnonzero(count > max(SHARED_BY_LEAST, SHARED_BY * texts))

    def signatures(self, *, without: npt.NDArray[np.int64]) -> tuple[Signatures, npt.NDArray[np.bool_]]:
        """A row of 64 for each text; False for a text of which nothing is left to compare."""
        lengths = np.concatenate([*self._lengths, np.zeros(0, dtype=np.int64)])
        flat = np.concatenate([*self._hashes, np.zeros(0, dtype=np.uint32)])
        dropped = np.zeros(BUCKETS, dtype=np.bool_)
        dropped[without] = True
        kept = ~dropped[flat % BUCKETS]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        running = np.concatenate([[0], np.cumsum(kept)])
        lengths, flat = np.diff(running[ends]), flat[kept]
        result = np.zeros((len(lengths), PERMUTATIONS), dtype=np.uint16)
        known = lengths > 0
        starts = np.concatenate([[0], np.cumsum(lengths)])
        for first in range(0, len(lengths), _DOCUMENTS_AT_ONCE):
            last = min(first + _DOCUMENTS_AT_ONCE, len(lengths))
            here = np.flatnonzero(known[first:last]) + first
            if not len(here):
                continue
            part, offsets = flat[starts[first] : starts[last]], starts[here] - starts[first]
            for number in range(PERMUTATIONS):
                least = np.minimum.reduceat(part * _FACTORS[number] + _TERMS[number], offsets)
                result[here, number] = (least & np.uint32(0xFFFF)).astype(np.uint16)
        return result, known


def near_pairs(signatures: Signatures, known: npt.NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Pairs of near-copies, enough of them to connect every group; the same for the same input."""
    rows = np.flatnonzero(known)
    for band in _bands(signatures[rows]):
        order = np.argsort(band, kind="stable")
        ranked = band[order]
        starts = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(ranked)]])
        sizes = np.diff(starts)
        for start, size in zip(starts[:-1][sizes > 1], sizes[sizes > 1], strict=True):
            members = rows[order[start : start + size]]
            for _ in range(_LEADERS):
                if len(members) < 2:
                    break
                leader, others = members[0], members[1:]
                alike = _alike(signatures[others], signatures[leader])
                for other in others[alike]:
                    yield int(leader), int(other)
                members = others[~alike]


@dataclass(frozen=True, kw_only=True)
class NearIndex:
    """What a later program needs to say whether a text is a near-copy of one of these."""

    signatures: Signatures
    boilerplate: npt.NDArray[np.int64]

    def near(self, texts: Sequence[Sequence[str]]) -> list[bool]:
        """For each text, given by its words, whether a near-copy of it is in the index."""
        shingles = Shingles()
        shingles.add(texts)
        asked, known = shingles.signatures(without=self.boilerplate)
        candidates: list[list[int]] = [[] for _ in texts]
        for own, band in zip(_bands(asked), _bands(self.signatures), strict=True):
            order = np.argsort(own, kind="stable")
            first = np.searchsorted(own[order], band, side="left")
            last = np.searchsorted(own[order], band, side="right")
            for row in np.flatnonzero(last > first):
                for number in order[first[row] : last[row]]:
                    candidates[number].append(int(row))
        return [
            bool(known[number]) and bool(_alike(self.signatures[sorted(set(rows))], asked[number]).any())
            for number, rows in enumerate(candidates)
        ]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "form": FORM,
            "boilerplate": self.boilerplate.tolist(),
            "signatures": base64.b64encode(self.signatures.astype("<u2").tobytes()).decode(),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> NearIndex | None:
        """None where there is none, or one whose "near" means something else."""
        if not document or document.get("form") != FORM:
            return None
        packed = np.frombuffer(base64.b64decode(document["signatures"]), dtype="<u2")
        return cls(
            signatures=packed.reshape(-1, PERMUTATIONS).astype(np.uint16),
            boilerplate=np.array(document["boilerplate"], dtype=np.int64),
        )


def _bands(signatures: Signatures) -> list[npt.NDArray[np.uint64]]:
    keys = np.ascontiguousarray(signatures).view(np.uint64).reshape(len(signatures), BANDS)
    return [np.ascontiguousarray(keys[:, band]) for band in range(BANDS)]


def _alike(many: Signatures, one: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    enough: npt.NDArray[np.bool_] = np.count_nonzero(many == one, axis=1) >= ALIKE * PERMUTATIONS
    return enough


def _mixed(values: Hashes) -> Hashes:
    """The last steps of MurmurHash3 (32 bits)."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))
