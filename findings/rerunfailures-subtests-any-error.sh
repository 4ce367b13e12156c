#!/usr/bin/env bash
# In pytest-rerunfailures 16.7 a failure inside a subtest is tried again whatever it is, also where only time-outs may be.
#
# Packages: pytest 9.2.0 and pytest-rerunfailures 16.7 from PyPI; the rest is pinned below. Needs Python 3.11 or newer.
#
# Guess before the first run: `--only-rerun` and `--rerun-except` decide by the exception, for a failure in a
# `subtests.test(...)` block of pytest 9 as for one in the test itself. A failed assertion is not tried again with
# `--only-rerun TimeoutError` or `--rerun-except AssertionError`.
# Seen: that holds for the test itself. The same assertion in a subtest is tried again with either option, and where the
# second try succeeds the run ends with exit code 0. The mark `flaky(only_rerun=...)` does the same.
#
# Why it costs: teams allow reruns for time-outs only, so that a fault which comes now and then still stops the pipeline.
# Here a test that sees a second charge for one order, in a loop over orders with subtests, lets the change through.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  pytest==9.2.0 pytest-rerunfailures==16.7 pluggy==1.7.0 iniconfig==2.3.0 packaging==26.4 pygments==2.20.0 >&2

cat > test_orders.py <<'EOF'
import pytest

charges = {"plain": 0, "subtest": 0, "marked": 0}


def settle(name):
    """The first try finds a second charge; the second try does not."""
    charges[name] += 1
    assert charges[name] > 1, "charged twice"


def test_plain():
    settle("plain")


def test_subtest(subtests):
    with subtests.test(order=1):
        settle("subtest")


@pytest.mark.flaky(reruns=1, only_rerun=["TimeoutError"])
def test_marked(subtests):
    with subtests.test(order=1):
        settle("marked")
EOF

run() {
  code=0
  PYTHONPATH="$work/packages" python3 -m pytest -q -p no:cacheprovider -c /dev/null --rootdir . "$@" >out 2>&1 || code=$?
  printf '%s: exit code %s, %s\n' "${*/test_orders.py::/}" "$code" "$(tail -n 1 out | sed 's/ in [0-9.]*s//; s/=//g; s/^ *//; s/ *$//')"
}

seen=$(
  run test_orders.py::test_plain --reruns 1 --only-rerun TimeoutError
  run test_orders.py::test_plain --reruns 1 --rerun-except AssertionError
  run test_orders.py::test_subtest --reruns 1 --only-rerun TimeoutError
  run test_orders.py::test_subtest --reruns 1 --rerun-except AssertionError
  run test_orders.py::test_marked
)

expected=$(cat <<'EOF'
test_plain --reruns 1 --only-rerun TimeoutError: exit code 1, 1 failed
test_plain --reruns 1 --rerun-except AssertionError: exit code 1, 1 failed
test_subtest --reruns 1 --only-rerun TimeoutError: exit code 0, 1 passed, 1 subtests passed, 1 rerun
test_subtest --reruns 1 --rerun-except AssertionError: exit code 0, 1 passed, 1 subtests passed, 1 rerun
test_marked: exit code 0, 1 passed, 1 subtests passed, 1 rerun
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: reruns of subtests no longer are as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
