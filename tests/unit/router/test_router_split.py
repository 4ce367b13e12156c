"""The rules of the split: a higher weight adds sessions, weight 0 returns them, and shares are as expected."""

import hashlib
import math

from hypothesis import given
from hypothesis import strategies as st

from modelops.router import bucket_of
from modelops.router.split import BUCKETS, Splitter, canary_buckets, key_bytes

salts = st.uuids().map(str)
keys = st.text(max_size=200)
weights = st.integers(0, 100)


def on_canary(salt: str, key: str, weight: int) -> bool:
    return bucket_of(salt, key) < canary_buckets(weight)


@given(salts, keys, weights, weights)
def test_raising_the_weight_only_adds_sessions(salt: str, key: str, one: int, other: int) -> None:
    lower, higher = sorted((one, other))
    assert on_canary(salt, key, higher) or not on_canary(salt, key, lower)


@given(salts, keys)
def test_weight_0_returns_every_session_and_100_takes_every_session(salt: str, key: str) -> None:
    assert not on_canary(salt, key, 0)
    assert on_canary(salt, key, 100)


@given(salts, keys)
def test_the_prepared_splitter_gives_the_same_bucket(salt: str, key: str) -> None:
    assert Splitter(salt).bucket(key) == bucket_of(salt, key)
    assert 0 <= bucket_of(salt, key) < BUCKETS


@given(salts, st.sampled_from([1, 5, 20, 50, 80, 99]))
def test_the_share_is_within_binomial_bounds(salt: str, weight: int) -> None:
    sessions = 4_000
    splitter = Splitter(salt)
    chosen = sum(splitter.bucket(f"session-{n}") < canary_buckets(weight) for n in range(sessions))
    expected = sessions * weight / 100
    assert abs(chosen - expected) <= 6 * math.sqrt(expected * (1 - weight / 100)) + 1


def test_another_salt_chooses_other_sessions() -> None:
    sessions = [f"session-{n}" for n in range(2_000)]
    first, second = ({s for s in sessions if on_canary(salt, s, 20)} for salt in ("rollout-a", "rollout-b"))
    assert len(first & second) < 0.5 * len(first)


def test_the_same_name_typed_differently_is_the_same_session() -> None:
    assert bucket_of("s", "caf\u00e9") == bucket_of("s", "cafe\u0301")


def test_an_invalid_key_has_a_bucket() -> None:
    assert key_bytes("\ud800") == b"\xed\xa0\x80"


def test_the_formula_equals_the_one_of_the_contract() -> None:
    first_four = hashlib.sha256(b"salt\nkey").digest()[:4]
    assert bucket_of("salt", "key") == (int.from_bytes(first_four, "big") * 10_000) >> 32
