#!/usr/bin/env bash
# openfeature-flagd-core 2.0.0 gives a canary to other sessions than 1.0.0 did, from the same flag file.
#
# Packages: openfeature-flagd-core 2.0.0, beside 1.0.0, with openfeature-flagd-api 1.0.0, openfeature-sdk 0.10.0,
# mmh3 5.3.1, panzi-json-logic 1.0.1, semver 3.0.4 and cbor2 5.9.0. It evaluates flagd's flags inside a Python
# process. Needs Python 3.11 or newer.
#
# Guess before the first run: flagd's `fractional` rule puts every session into the same variant in Python and in
# JavaScript. (These were compared first; the difference then proved to be one between versions in Python.)
# Seen: 2.0.0 hashes the CBOR encoding of the key, and 1.0.0 the key itself. The two canaries of 10 percent share only
# as many of 2,000 sessions as two independent draws would. The same happens for an explicit key (`var`). By hand,
# @openfeature/flagd-core 4.0.1 from npm, its newest version, chose exactly the sessions of 1.0.0, so an agent in
# Python and one in JavaScript that read one flag file give the same session different models. A weight of 10.0, which
# JavaScript cannot tell from 10, leaves the canary empty in both Python versions, and does not in JavaScript.
#
# Why it costs: an update of a dependency in the middle of a canary moves almost every session of the canary to the
# stable model and others to the canary, in the middle of their conversations and with cold prompt caches, while no
# weight has changed. Samples from before and after the update are of different sessions, so they cannot be compared.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

install() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target "$@" >&2
}
for version in 1.0.0 2.0.0; do
  install "$version" "openfeature-flagd-core==$version" openfeature-flagd-api==1.0.0 openfeature-sdk==0.10.0 \
    mmh3==5.3.1 panzi-json-logic==1.0.1 semver==3.0.4 cbor2==5.9.0
done

cat > finding.py <<'EOF'
import json

from openfeature.contrib.tools.flagd.core.flagd_core import FlagdCore
from openfeature.evaluation_context import EvaluationContext


def flag(*rule: object) -> dict[str, object]:
    variants = {"stable": "stable", "canary": "canary"}
    return {"state": "ENABLED", "variants": variants, "defaultVariant": "stable", "targeting": {"fractional": rule}}


core = FlagdCore()
flags = {
    "targetingKey": flag(["canary", 10], ["stable", 90]),
    "var": flag({"var": "thread"}, ["canary", 10], ["stable", 90]),
    "10.0": flag(["canary", 10.0], ["stable", 90]),
}
core.set_flags(json.dumps({"flags": flags}))
chosen = {
    name: [
        session
        for session in (f"session-{number}" for number in range(2000))
        if core.resolve_string_value(name, "", EvaluationContext(session, {"thread": session})).value == "canary"
    ]
    for name in flags
}
print(json.dumps(chosen))
EOF
for version in 1.0.0 2.0.0; do PYTHONPATH="$work/$version" python3 finding.py > "$version.json"; done
seen=$(python3 - <<'EOF'
import json

old, new = (json.load(open(f"{version}.json")) for version in ("1.0.0", "2.0.0"))
for name in old:
    both = len({*old[name]} & {*new[name]})
    print(f"{name}: in the canary of 1.0.0: {len(old[name])}, of 2.0.0: {len(new[name])}, of both: {both}")
EOF
)

expected=$(cat <<'EOF'
targetingKey: in the canary of 1.0.0: 172, of 2.0.0: 213, of both: 17
var: in the canary of 1.0.0: 205, of 2.0.0: 202, of both: 21
10.0: in the canary of 1.0.0: 0, of 2.0.0: 0, of both: 0
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the two versions no longer split sessions as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
