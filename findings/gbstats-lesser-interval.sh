#!/usr/bin/env bash
# GrowthBook's test "treatment is lesser" gives a 95 % upper bound that lies below its own estimate.
#
# Packages: gbstats 0.8.0 (GrowthBook's statistics) from PyPI, beside scipy 1.17.1; the rest is pinned below.
# Needs Python 3.11, because gbstats asks for pandas 1.
#
# Guess before the first run: OneSidedTreatmentLesserTTest is Welch's test in the direction "less", so its p-value and
# its interval are those of scipy's ttest_ind(alternative="less"): from minus infinity to the estimate plus a width.
# Seen: the p-value is scipy's. The interval ends at the estimate MINUS the width, so it excludes the estimate itself.
# Of 1,000 pairs of equal samples the 95 % interval holds the true difference in about 5 in 100 cases. The opposite
# test, OneSidedTreatmentGreaterTTest, is right.
#
# Why it costs: this bound is what a gate compares with a limit ("the candidate's p95 is at most 20 ms higher", "it costs
# at most $0.001 more"). A candidate passes whose excess is far above the limit: below, one that is
# measured 50 ms slower than stable passes a limit of 25 ms.

set -euo pipefail
python3 -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "this finding needs Python 3.11 as python3" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --only-binary :all: --target packages \
  gbstats==0.8.0 numpy==1.26.4 scipy==1.17.1 pandas==1.5.3 python-dateutil==2.9.0.post0 six==1.17.0 pytz==2026.6 \
  pydantic==2.14.4 pydantic_core==2.50.5 annotated-types==0.8.0 typing_extensions==4.16.0 typing-inspection==0.4.5 packaging==26.4 >&2 || exit 2

cat > finding.py <<'EOF'
import numpy as np
from gbstats.frequentist.tests import FrequentistConfig, OneSidedTreatmentGreaterTTest, OneSidedTreatmentLesserTTest
from gbstats.models.statistics import SampleMeanStatistic
from scipy.stats import ttest_ind

ABSOLUTE = FrequentistConfig(difference_type="absolute")


def statistic(values):
    return SampleMeanStatistic(n=len(values), sum=float(values.sum()), sum_squares=float((values**2).sum()))


def interval(test, stable, canary):
    return test(statistic(stable), statistic(canary), ABSOLUTE).compute_result()


random = np.random.default_rng(1)
covered = {"lesser": 0, "greater": 0}
for _ in range(1000):
    stable, canary = random.normal(800, 100, 60), random.normal(800, 100, 60)
    covered["lesser"] += interval(OneSidedTreatmentLesserTTest, stable, canary).ci[1] >= 0
    covered["greater"] += interval(OneSidedTreatmentGreaterTTest, stable, canary).ci[0] <= 0
for name, count in covered.items():
    print(f"{name}: the 95 % interval of equal samples holds the true difference in {count / 10:.1f} % of cases")

stable, canary = random.normal(800, 100, 60), random.normal(830, 100, 60)
ours, theirs = interval(OneSidedTreatmentLesserTTest, stable, canary), ttest_ind(canary, stable, equal_var=False, alternative="less")
print(f"a canary that is slower: estimate {ours.expected:+.1f} ms, p {ours.p_value:.3f} and {theirs.pvalue:.3f} (scipy)")
print(f"upper bound: {ours.ci[1]:+.1f} ms, and {theirs.confidence_interval(0.95).high:+.1f} ms (scipy)")
EOF
seen=$(PYTHONPATH="$work/packages" python3 -W ignore finding.py)

expected=$(cat <<'EOF'
lesser: the 95 % interval of equal samples holds the true difference in 4.5 % of cases
greater: the 95 % interval of equal samples holds the true difference in 95.5 % of cases
a canary that is slower: estimate +49.9 ms, p 0.998 and 0.998 (scipy)
upper bound: +22.4 ms, and +77.4 ms (scipy)
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the interval is no longer as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
