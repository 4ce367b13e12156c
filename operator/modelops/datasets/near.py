"""Near-copies: texts whose three-word shingles agree by at least four fifths (Jaccard), found by MinHash.

MinHash: Broder, "On the resemblance and containment of documents" (1997). Candidate pairs by locality-sensitive
hashing in bands: Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3.

An instruction that many examples share would make every pair of them similar, and a large family of near-copies shares
as much. They are told apart by what the examples do not share. An instruction that nearly all examples have without a
change is not compared at all. Where fewer examples share most of their text, the shared part is not compared for those
that have a passage of their own, such as a question about the text. The others are near-copies, whatever their number.

A signature is stored beside the dataset, and an evaluation compares with it months later, so the hash functions and
all constants here belong to the format `FORM` and never change within it. So do the words that a text is given by:
those of `normalised_prompts`, and in `OLD_FORM` those of `normalised_inputs`. docs/designs/001-architecture.md has the
measurements of the libraries that could replace it.
"""

from __future__ import annotations

import base64
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

OLD_FORM, FORM = "minhash/v1", "minhash/v2"
"""Of an index as JSON: the hash functions, constants and words that its signatures were made with."""
WORDS, PERMUTATIONS, BANDS = 3, 64, 16
"""Words in a shingle, MinHash values in a signature, and bands of a signature for candidate pairs."""
MIN_SIMILARITY = 0.8
"""Share of equal MinHash values from which two texts are near-copies; its standard error is 0.05."""
BUCKETS = 1 << 22
"""Counters for shared shingles; shingles whose hashes are equal modulo this number share one."""
SHARED_MIN = 10
"""Shingles in 10 examples or fewer are neither boilerplate nor common."""
BOILERPLATE_SHARE, BOILERPLATE_TEXTS = 0.9, 0.5
"""Shingles in more than nine tenths of the examples are boilerplate where more than half of the examples have the same
ones: an instruction is not edited."""
COMMON_SHARE = 0.1
"""A shingle in more than a tenth of the examples is common."""
COMMON_PART, OWN_PASSAGE = 0.5, 16
"""A text of which half of the shingles are common, with 16 others in a row, is compared without the common ones."""
_TEXTS_PER_BLOCK, _BATCHES_PER_BLOCK = 1024, 64
_AT_ONCE = 256
_MAX_LEADERS = 16
"""Members of a bucket that are compared with all others; it bounds the work where a bucket is very large."""

Hashes = npt.NDArray[np.uint32]
Buckets = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
Signatures = npt.NDArray[np.uint16]

# One odd factor and one term for each MinHash value: h -> factor * h + term modulo 2^32 is a permutation.
_random = np.random.Generator(np.random.PCG64(20260101))
_FACTORS = (_random.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint64) | 1).astype(np.uint32)
_TERMS = _random.integers(0, 1 << 32, PERMUTATIONS, dtype=np.uint64).astype(np.uint32)
_PLACE_FACTORS = (np.uint32(0x9E3779B1), np.uint32(0x85EBCA77), np.uint32(0xC2B2AE3D))


class _WordHashes(dict[str, int]):
    """CRC-32 of words, kept for words that come again."""

    def __missing__(self, word: str) -> int:
        if len(self) > 500_000:
            self.clear()
        self[word] = value = zlib.crc32(word.encode(errors="surrogatepass"))
        return value


class Shingles:
    """The shingles of many texts, 4 bytes each, added batch by batch in the order of the texts."""

    def __init__(self) -> None:
        self._words = _WordHashes()
        self._hashes: list[Hashes] = []
        self._lengths: list[Counts] = []
        self._counted: npt.NDArray[np.int64] | None = None

    def add(self, texts: Sequence[Sequence[str]]) -> None:
        """Adds texts, each given by its words. A text of fewer than three words has no shingles."""
        lengths = np.array([len(words) for words in texts], dtype=np.int64)
        hashes = map(self._words.__getitem__, chain.from_iterable(texts))
        flat = np.fromiter(hashes, dtype=np.uint32, count=int(lengths.sum()))
        owner = np.repeat(np.arange(len(texts), dtype=np.int64), lengths)
        self._counted = None
        if len(flat) < WORDS:
            self._hashes.append(np.zeros(0, dtype=np.uint32))
            self._lengths.append(np.zeros(len(texts), dtype=np.int64))
            return
        size = len(flat) - WORDS + 1
        mixed = np.zeros(size, dtype=np.uint32)
        for place, factor in enumerate(_PLACE_FACTORS):
            mixed = _murmur_finalizer(mixed ^ flat[place : place + size]) * factor
        whole = owner[:size] == owner[WORDS - 1 :]
        self._hashes.append(_murmur_finalizer(mixed)[whole])
        self._lengths.append(np.bincount(owner[:size][whole], minlength=len(texts)))

    def boilerplate(self) -> Buckets:
        """The buckets of an instruction that nearly all texts share; none where there is no such instruction."""
        texts = self._number_of_texts()
        found = self._in_more_texts_than(max(SHARED_MIN, BOILERPLATE_SHARE * texts))
        if not len(found):
            return found
        shared, sets = _members(found), Counter[int]()
        for buckets, owners, number in self._buckets():
            own = shared[buckets]
            weights = buckets[own] * _PLACE_FACTORS[0] % BUCKETS
            sets.update(np.bincount(owners[own], weights=weights, minlength=number).astype(np.int64).tolist())
        return found if max(sets.values()) > BOILERPLATE_TEXTS * texts else found[:0]

    def buckets(self) -> Buckets:
        """The buckets of all shingles."""
        return np.unique(np.concatenate([*self._hashes, np.zeros(0, dtype=np.uint32)]) % BUCKETS).astype(
            np.int64
        )

    def common(self) -> Buckets:
        """The buckets of shingles that more than a tenth of the texts share."""
        return self._in_more_texts_than(max(SHARED_MIN, COMMON_SHARE * self._number_of_texts()))

    def signatures(
        self, *, without: Buckets, common: Buckets | None = None
    ) -> tuple[Signatures, npt.NDArray[np.bool_]]:
        """A row of 64 MinHash values for each text, without the boilerplate in the buckets `without`.

        Texts that have a passage of their own beside common text are without what is in the buckets `common`, too.
        The second array is False for a text that has no other shingles: its row means nothing.
        """
        lengths = np.concatenate([*self._lengths, np.zeros(0, dtype=np.int64)])
        flat = np.concatenate([*self._hashes, np.zeros(0, dtype=np.uint32)])
        kept = ~_members(without)[flat % BUCKETS] if len(without) else np.ones(len(flat), dtype=np.bool_)
        if common is not None and len(common):
            _drop_common(kept, lengths, _members(common)[flat % BUCKETS])
        ends = np.concatenate([[0], np.cumsum(lengths)])
        running = np.concatenate([[0], np.cumsum(kept)])
        lengths, flat = np.diff(running[ends]), flat[kept]
        result = np.zeros((len(lengths), PERMUTATIONS), dtype=np.uint16)
        known = lengths > 0
        starts = np.concatenate([[0], np.cumsum(lengths)])
        for first in range(0, len(lengths), _TEXTS_PER_BLOCK):
            last = min(first + _TEXTS_PER_BLOCK, len(lengths))
            here = np.flatnonzero(known[first:last]) + first
            if not len(here):
                continue
            part, offsets = flat[starts[first] : starts[last]], starts[here] - starts[first]
            for number in range(PERMUTATIONS):
                least = np.minimum.reduceat(part * _FACTORS[number] + _TERMS[number], offsets)
                result[here, number] = (least & np.uint32(0xFFFF)).astype(np.uint16)
        return result, known

    def _number_of_texts(self) -> int:
        return sum(len(part) for part in self._lengths)

    def _in_more_texts_than(self, number: float) -> Buckets:
        if self._counted is None:
            self._counted = np.zeros(BUCKETS, dtype=np.int64)
            remaining = (buckets for buckets, _, _ in self._buckets())
            while block := list(islice(remaining, _BATCHES_PER_BLOCK)):
                self._counted += np.bincount(np.concatenate(block), minlength=BUCKETS)
        return np.flatnonzero(self._counted > number)

    def _buckets(self) -> Iterator[tuple[Counts, Counts, int]]:
        """For each batch the different buckets of each text, the text's number in the batch, and how many texts."""
        for lengths, hashes in zip(self._lengths, self._hashes, strict=True):
            owners = np.repeat(np.arange(len(lengths), dtype=np.int64), lengths)
            keys = np.sort(owners * BUCKETS + (hashes & np.uint32(BUCKETS - 1)))
            keys = keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if len(keys) else keys
            yield keys & (BUCKETS - 1), keys // BUCKETS, len(lengths)


def _members(buckets: Buckets) -> npt.NDArray[np.bool_]:
    found = np.zeros(BUCKETS, dtype=np.bool_)
    found[buckets] = True
    return found


def _drop_common(kept: npt.NDArray[np.bool_], lengths: Counts, common: npt.NDArray[np.bool_]) -> None:
    """Sets `kept` to False for the common shingles of each text that has a passage of its own beside them."""
    ends = np.concatenate([[0], np.cumsum(lengths)])
    left, shared = (np.diff(np.concatenate([[0], np.cumsum(one)])[ends]) for one in (kept, kept & common))
    for number in np.flatnonzero((shared > 0) & (shared >= COMMON_PART * left)):
        here = slice(ends[number], ends[number + 1])
        own = kept[here] & ~common[here]
        if np.diff(np.flatnonzero(np.concatenate([[True], ~own, [True]]))).max() > OWN_PASSAGE:
            kept[here] = own


def near_pairs(signatures: Signatures, known: npt.NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Pairs of near-copies, by row number: for the same input the same pairs in the same order.

    Of texts that are all near-copies of one another not every pair, but enough pairs to connect them. A pair may come
    once for each band.
    """
    rows = np.flatnonzero(known)
    for band in _bands(signatures[rows]):
        order = np.argsort(band, kind="stable")
        ranked = band[order]
        starts = np.concatenate([[0], np.flatnonzero(ranked[1:] != ranked[:-1]) + 1, [len(ranked)]])
        sizes = np.diff(starts)
        for start, size in zip(starts[:-1][sizes > 1], sizes[sizes > 1], strict=True):
            members = rows[order[start : start + size]]
            for _ in range(_MAX_LEADERS):
                if len(members) < 2:
                    break
                leader, others = members[0], members[1:]
                near = _near(signatures[others], signatures[leader])
                for other in others[near]:
                    yield int(leader), int(other)
                members = others[~near]


@dataclass(frozen=True, kw_only=True)
class NearIndex:
    """Signatures of some texts, so that a later program can find near-copies of them without having the texts.

    `boilerplate` and `common` are what these texts were compared without, see `Shingles`. `form` says by which words
    the texts were given.
    """

    signatures: Signatures
    boilerplate: Buckets
    common: Buckets = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    form: str = FORM

    def has_near_copy(self, texts: Sequence[Sequence[str]]) -> list[bool]:
        """Whether the index has a near-copy of each text; a text is given by its words."""
        shingles = Shingles()
        shingles.add(texts)
        asked, known = shingles.signatures(without=self.boilerplate, common=self.common)
        found = np.zeros(len(texts), dtype=np.bool_)
        for queried, (band, order) in zip(_bands(asked), self._ordered_bands, strict=True):
            first = np.searchsorted(band, queried, side="left")
            last = np.searchsorted(band, queried, side="right")
            for number in np.flatnonzero((last > first) & known & ~found):
                candidates = order[first[number] : last[number]]
                found[number] = any(
                    _near(self.signatures[candidates[at : at + _AT_ONCE]], asked[number]).any()
                    for at in range(0, len(candidates), _AT_ONCE)
                )
        return [bool(one) for one in found]

    @cached_property
    def _ordered_bands(self) -> list[tuple[npt.NDArray[np.uint64], Counts]]:
        """Each band in ascending order, and the row of each value."""
        bands = [(band, np.argsort(band, kind="stable")) for band in _bands(self.signatures)]
        return [(band[order], order) for band, order in bands]

    def document(self) -> dict[str, Any]:
        """The index as a JSON document, 128 bytes a text before base64. `of` reads it."""
        return {
            "form": self.form,
            "boilerplate": self.boilerplate.tolist(),
            "common": self.common.tolist(),
            "signatures": base64.b64encode(self.signatures.astype("<u2").tobytes()).decode(),
        }

    @classmethod
    def of(cls, document: Mapping[str, Any] | None) -> NearIndex | None:
        """Reads a document; None where there is none, or where it has another form than these two."""
        if not document or document.get("form") not in (OLD_FORM, FORM):
            return None
        packed = np.frombuffer(base64.b64decode(document["signatures"]), dtype="<u2")
        return cls(
            signatures=packed.reshape(-1, PERMUTATIONS).astype(np.uint16),
            boilerplate=np.array(document["boilerplate"], dtype=np.int64),
            common=np.array(document.get("common", ()), dtype=np.int64),
            form=document["form"],
        )


def _bands(signatures: Signatures) -> list[npt.NDArray[np.uint64]]:
    """Four values of 16 bits each, as one number, for each band and each signature."""
    keys = np.ascontiguousarray(signatures).view(np.uint64).reshape(len(signatures), BANDS)
    return [np.ascontiguousarray(keys[:, band]) for band in range(BANDS)]


def _near(many: Signatures, one: npt.NDArray[np.uint16]) -> npt.NDArray[np.bool_]:
    near: npt.NDArray[np.bool_] = np.count_nonzero(many == one, axis=1) >= MIN_SIMILARITY * PERMUTATIONS
    return near


def _murmur_finalizer(values: Hashes) -> Hashes:
    """The finalizer of MurmurHash3 (32 bits): every bit of a value affects all bits of the result."""
    values = (values ^ (values >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    values = (values ^ (values >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))
