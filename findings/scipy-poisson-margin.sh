#!/usr/bin/env bash
# scipy's `poisson_means_test` answers p = 1 where errors are rarest, so a perfect canary never passes a margin.
#
# Packages: scipy 1.17.1 with numpy 2.4.6 (by hand, scipy 1.18.1 answered the same). Needs Python 3.11 or newer.
#
# Guess before the first run of this input: for 0 errors in 1,000 requests of each model and a margin (`diff`) of 0.01,
# the p-value of "the canary's rate is not higher by 0.01" is about exp(-10) = 0.00005.
# Seen: it is exactly 1, with a statistic of 0, until the errors of both together exceed the margin times the requests
# of the canary. The estimate of the second rate is then not positive, and the function stops there. So 5 errors of
# each give 1 and 6 give 0.016, and a canary without any error is refused because stable has few.
#
# Why it costs: with `diff`, this is the test for a canary's error rate against a margin. An analysis that waits for a
# small p-value never ends for the best candidates, and promotes worse ones.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  scipy==1.17.1 numpy==2.4.6 >&2

cat > finding.py <<'EOF'
from scipy.stats import poisson_means_test

for canary, stable in ((0, 0), (0, 9), (0, 11), (5, 5), (6, 6), (8, 8)):
    result = poisson_means_test(canary, 1000, stable, 1000, diff=0.01, alternative="less")
    print(f"errors of the canary {canary}, of stable {stable}: statistic {result.statistic:.2f}, p {result.pvalue:.2g}")
EOF
seen=$(PYTHONPATH="$work/packages" python3 finding.py)

expected=$(cat <<'EOF'
errors of the canary 0, of stable 0: statistic 0.00, p 1
errors of the canary 0, of stable 9: statistic 0.00, p 1
errors of the canary 0, of stable 11: statistic -6.33, p 0.00031
errors of the canary 5, of stable 5: statistic 0.00, p 1
errors of the canary 6, of stable 6: statistic -2.89, p 0.016
errors of the canary 8, of stable 8: statistic -2.50, p 0.016
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the test no longer answers as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
