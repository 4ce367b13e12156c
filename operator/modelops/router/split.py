"""The hash of the sticky split: which sessions a canary gets at a weight.

`bucket = (uint32 big-endian of SHA-256("<salt>\\n<session key>")[0:4] * 10000) >> 32`; a session is on the
canary when `bucket < weight * 100`. So a higher weight only adds sessions, and weight 0 returns all of them to
stable. The salt is the rollout's uid, so that each rollout starts with other users.

Test vectors for implementations in other languages are in `routing_vectors.json` beside this file in the wheel.
"""

import hashlib
import unicodedata

BUCKETS = 10_000
"""Number of buckets; one bucket is a hundredth of a percent."""

_PER_PERCENT = BUCKETS // 100


def key_bytes(session_key: str) -> bytes:
    """The bytes of a session key that are hashed: Unicode NFC, then UTF-8.

    With NFC, a name that was typed on another keyboard has the same bucket. Lone surrogates are encoded as they
    are, so that an invalid key does not fail the request.
    """
    if not session_key.isascii():
        session_key = unicodedata.normalize("NFC", session_key)
    return session_key.encode("utf-8", "surrogatepass")


def bucket_of(salt: str, session_key: str) -> int:
    """The bucket, 0 to 9999, of a session under a salt."""
    digest = hashlib.sha256(salt.encode() + b"\n" + key_bytes(session_key)).digest()
    return (int.from_bytes(digest[:4], "big") * BUCKETS) >> 32


def canary_buckets(weight: int) -> int:
    """The number of buckets, from 0 on, that a weight in percent gives to the canary."""
    return weight * _PER_PERCENT


class Splitter:
    """`bucket_of` for one salt, which is hashed only once."""

    __slots__ = ("_copy", "salt")

    def __init__(self, salt: str) -> None:
        self.salt = salt
        self._copy = hashlib.sha256(salt.encode() + b"\n").copy

    def bucket(self, session_key: str) -> int:
        """The bucket, 0 to 9999, of a session."""
        digest = self._copy()
        digest.update(key_bytes(session_key))
        return (int.from_bytes(digest.digest()[:4], "big") * BUCKETS) >> 32
