#!/usr/bin/env bash
# In cel-python, a canary that got worse passes a rule on relative improvement where stable had no errors.
#
# Packages: cel-python 0.5.0 with google-re2 1.1.20251105, jmespath 1.1.0, lark 1.3.1, pendulum 3.3.0,
# python-dateutil 4.0.0, PyYAML 6.0.4 and tzdata 2026.6, beside github.com/google/cel-go v0.26.0 (kube-apiserver of
# Kubernetes 1.36 evaluates CEL with it). Needs Python 3.11 or newer, and Go 1.26 on PATH.
#
# Guess before the first run: -1.0 / 0.0 is negative infinity and 0.0 / 0.0 is not a number in both, since CEL's doubles
# are those of IEEE 754. So `(stable - canary) / stable >= 0.1` is false for both.
# Seen: in cel-python each double divided by zero is positive infinity, whatever its sign, zero included. A canary with
# 5 percent errors beside a stable version without any is then infinitely better, and so is one that did as well. In
# cel-go the first is false. The second is an error there, which we had not guessed either: it orders no NaN. Either way
# the rule does not pass.
#
# Why it costs: error rates of zero are common in short analyses. A canary analysis that evaluates its rule with
# cel-python promotes the worse version, and a rule that was tried with it means something else in Kubernetes.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v go >/dev/null || { echo "this finding needs Go 1.26 on PATH" >&2; exit 2; }
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw"
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  cel-python==0.5.0 google-re2==1.1.20251105 jmespath==1.1.0 lark==1.3.1 pendulum==3.3.0 python-dateutil==4.0.0 \
  PyYAML==6.0.4 tzdata==2026.6 >&2

cat > cases.json <<'EOF'
{
  "rules": ["(stable - canary) / stable", "(stable - canary) / stable >= 0.1"],
  "rates": [
    {"stable": 0.1, "canary": 0.05},
    {"stable": 0.1, "canary": 0.15},
    {"stable": 0.0, "canary": 0.05},
    {"stable": 0.0, "canary": 0.0}
  ]
}
EOF
cat > finding.py <<'EOF'
import json

import celpy

environment = celpy.Environment()
cases = json.load(open("cases.json"))
for rates in cases["rates"]:
    values = {name: celpy.celtypes.DoubleType(rate) for name, rate in rates.items()}
    answers = [environment.program(environment.compile(rule)).evaluate(values) for rule in cases["rules"]]
    print(
        f"cel-python: errors of stable {rates['stable']:g}, of the canary {rates['canary']:g}:"
        f" improvement {float(answers[0]):.2g}, passes {str(bool(answers[1])).lower()}"
    )
EOF
cat > go.mod <<'EOF'
module finding

go 1.26.0

require github.com/google/cel-go v0.26.0
EOF
cat > main.go <<'EOF'
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/google/cel-go/cel"
)

func main() {
	text, err := os.ReadFile("cases.json")
	if err != nil {
		panic(err)
	}
	var cases struct {
		Rules []string
		Rates []map[string]float64
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		panic(err)
	}
	env, err := cel.NewEnv(cel.Variable("stable", cel.DoubleType), cel.Variable("canary", cel.DoubleType))
	if err != nil {
		panic(err)
	}
	for _, rates := range cases.Rates {
		answers := make([]string, 0, len(cases.Rules))
		for _, rule := range cases.Rules {
			ast, issues := env.Compile(rule)
			if issues.Err() != nil {
				panic(issues.Err())
			}
			program, err := env.Program(ast)
			if err != nil {
				panic(err)
			}
			answer, _, err := program.Eval(map[string]any{"stable": rates["stable"], "canary": rates["canary"]})
			if err != nil {
				answers = append(answers, fmt.Sprintf("error: %v", err))
			} else if number, ok := answer.Value().(float64); ok {
				answers = append(answers, fmt.Sprintf("%.2g", number))
			} else {
				answers = append(answers, fmt.Sprint(answer.Value()))
			}
		}
		fmt.Printf("cel-go: errors of stable %g, of the canary %g: improvement %s, passes %s\n",
			rates["stable"], rates["canary"], answers[0], answers[1])
	}
}
EOF
python_seen=$(PYTHONPATH="$work/packages" python3 finding.py)
go_seen=$(go run . 2>go.log) || { cat go.log >&2; exit 2; }
seen=$(printf '%s\n%s' "$python_seen" "$go_seen")

expected=$(cat <<'EOF'
cel-python: errors of stable 0.1, of the canary 0.05: improvement 0.5, passes true
cel-python: errors of stable 0.1, of the canary 0.15: improvement -0.5, passes false
cel-python: errors of stable 0, of the canary 0.05: improvement inf, passes true
cel-python: errors of stable 0, of the canary 0: improvement inf, passes true
cel-go: errors of stable 0.1, of the canary 0.05: improvement 0.5, passes true
cel-go: errors of stable 0.1, of the canary 0.15: improvement -0.5, passes false
cel-go: errors of stable 0, of the canary 0.05: improvement -Inf, passes false
cel-go: errors of stable 0, of the canary 0: improvement NaN, passes error: NaN values cannot be ordered
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the two implementations no longer answer as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
