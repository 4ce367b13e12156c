#!/usr/bin/env bash
# NLTK's chrF gives 0.5 to the right answer "yes", and more to a longer answer with a mistake; sacrebleu's gives 1.
#
# Packages: nltk 3.10.4 and sacrebleu 2.6.0 from PyPI; the rest is pinned below. Needs Python 3.11 or newer.
#
# Guess before the first run: both are chrF with n-grams of up to 6 letters and beta 2 (for NLTK, 3), so an answer that
# equals the reference has the score 1 in both, and their scores differ little otherwise.
# Seen: sacrebleu leaves out the orders for which a text is too short. NLTK's sentence_chrf counts them as 0, so a right
# answer of k letters, below 6, has k/6: "a" 0.17, "42" 0.33, "yes" 0.50. From 6 letters on both give 1. A wrong version
# number of 12 letters has 0.78, more than a right "yes".
#
# Why it costs: a threshold such as 0.7, chosen on prose or with the other library, fails every right label, number and
# yes or no. In a gate both models then fail all of these examples, so a candidate that answers them wrongly is no worse
# than one that answers them rightly.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  nltk==3.10.4 click==8.5.1 joblib==1.6.0 tqdm==4.70.1 defusedxml==0.7.1 sacrebleu==2.6.0 regex==2026.11.19 lxml==6.1.3 \
  portalocker==4.4.2 tabulate==0.10.0 colorama==0.4.6 numpy==2.4.6 >&2

cat > finding.py <<'EOF'
from nltk.translate.chrf_score import sentence_chrf
from sacrebleu.metrics import CHRF

chrf = CHRF(beta=3)
for reference, answer in (("a", "a"), ("42", "42"), ("yes", "yes"), ("reject", "reject"), ("release 4.12", "release 4.21")):
    other = chrf.sentence_score(answer, [reference]).score / 100
    print(f"{answer!r} for {reference!r}: nltk {sentence_chrf(reference, answer):.2f}, sacrebleu {other:.2f}")
EOF
seen=$(PYTHONPATH="$work/packages" python3 finding.py)

expected=$(cat <<'EOF'
'a' for 'a': nltk 0.17, sacrebleu 1.00
'42' for '42': nltk 0.33, sacrebleu 1.00
'yes' for 'yes': nltk 0.50, sacrebleu 1.00
'reject' for 'reject': nltk 1.00, sacrebleu 1.00
'release 4.21' for 'release 4.12': nltk 0.78, sacrebleu 0.78
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the two scores no longer are as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
