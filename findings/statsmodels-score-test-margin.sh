#!/usr/bin/env bash
# The score test of statsmodels for "not worse by more than a margin" gives p-values that are too small or undefined.
#
# Packages: statsmodels 0.15.0 with scipy 1.17.1, numpy 2.4.6, pandas 3.1.1, patsy 1.0.3, packaging 26.3 and
# python-dateutil 2.9.0.post0, six 1.17.0. Needs Python 3.11 or newer.
#
# Guess before the first run: `test_proportions_2indep(method="score", value=-margin)`, the test of Miettinen and
# Nurminen (Statistics in Medicine 4, 1985, 213-226), and the interval of `confint_proportions_2indep` are finite and
# agree with each other, also for counts of zero, for which a score test is chosen in the first place.
# Seen: for a margin other than 0 its estimate under the null hypothesis is not the most likely one. It can be
# negative, and the p-value is then too small or nan. Where the second group has only successes it is right, so the
# same data counted as errors and as successes give different verdicts. The interval raises ValueError.
# The cause: the linear coefficient of the cubic equation has `count0 * diff`, where the derivation has
# `nobs0 * diff`. With that one change the p-values equal those of a direct maximum-likelihood estimate.
#
# Why it costs: this is the test for a gate on error rates, where groups are unequal (a canary of 10 percent) and
# errors are few. With 2 errors of 20 and 20 of 200 and a margin of 10 points, it reports p = 0.0000013 instead of
# 0.012. With no errors in 50 and 50 and a margin of 5 points, p is below 0.05 where it should be above.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  statsmodels==0.15.0 scipy==1.17.1 numpy==2.4.6 pandas==3.1.1 patsy==1.0.3 packaging==26.3 \
  python-dateutil==2.9.0.post0 six==1.17.0 >&2

cat > finding.py <<'EOF'
import warnings

import numpy
from scipy.optimize import minimize_scalar
from scipy.special import xlog1py, xlogy
from scipy.stats import norm
from statsmodels.stats.proportion import confint_proportions_2indep, test_proportions_2indep

warnings.simplefilter("ignore")


def most_likely(x1, n1, x2, n2, margin):
    """The p-value of the same statistic, with the rates that maximise the likelihood where p1 - p2 = -margin."""

    def surprise(p2):
        p1 = p2 - margin
        return -(xlogy(x1, p1) + xlog1py(n1 - x1, -p1) + xlogy(x2, p2) + xlog1py(n2 - x2, -p2))

    p2 = minimize_scalar(surprise, bounds=(margin, 1), method="bounded", options={"xatol": 1e-10}).x
    p1 = p2 - margin
    variance = (p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2) * (n1 + n2) / (n1 + n2 - 1)
    return norm.sf((x1 / n1 - x2 / n2 + margin) / numpy.sqrt(variance))


def score(x1, n1, x2, n2, margin):
    return test_proportions_2indep(x1, n1, x2, n2, value=-margin, method="score", alternative="larger")


def interval(x1, n1, x2, n2):
    try:
        low, high = confint_proportions_2indep(x1, n1, x2, n2, method="score", alpha=0.1)
    except ValueError:
        return "ValueError"
    return f"{low:.3f} to {high:.3f}"


for x1, n1, x2, n2, margin in (
    (0, 50, 0, 50, 0.05),
    (0, 20, 2, 50, 0.1),
    (2, 20, 20, 200, 0.1),
    (0, 20, 0, 200, 0.1),
    (20, 50, 50, 50, 0.7),
):
    result = score(x1, n1, x2, n2, margin)
    print(
        f"{x1} of {n1}, {x2} of {n2}, margin {margin}: p {result.pvalue:.2g}, most likely"
        f" {most_likely(x1, n1, x2, n2, margin):.2g}; first rate under the null {round(result.prop1_null, 4) + 0:.4f};"
        f" interval {interval(x1, n1, x2, n2)}"
    )
as_errors, as_successes = score(0, 50, 0, 50, 0.05).pvalue, score(50, 50, 50, 50, 0.05).pvalue
print(f"no error in 50 and 50, margin 0.05: p {as_errors:.4f} counted as errors, {as_successes:.4f} as successes")
EOF
seen=$(PYTHONPATH="$work/packages" python3 finding.py)

expected=$(cat <<'EOF'
0 of 50, 0 of 50, margin 0.05: p 0.049, most likely 0.053; first rate under the null -0.0013; interval ValueError
0 of 20, 2 of 50, margin 0.1: p 0.037, most likely 0.08; first rate under the null -0.0104; interval ValueError
2 of 20, 20 of 200, margin 0.1: p 1.3e-06, most likely 0.012; first rate under the null 0.0000; interval ValueError
0 of 20, 0 of 200, margin 0.1: p nan, most likely 1.3e-06; first rate under the null -0.0091; interval ValueError
20 of 50, 50 of 50, margin 0.7: p 0.062, most likely 0.062; first rate under the null 0.3000; interval -0.706 to -0.483
no error in 50 and 50, margin 0.05: p 0.0487 counted as errors, 0.0533 as successes
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the score test no longer answers as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
