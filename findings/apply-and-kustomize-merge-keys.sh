#!/usr/bin/env bash
# One manifest, two weights: `kubectl apply -f` and `kubectl apply -k` read a merge key (<<) differently.
#
# Packages: sigs.k8s.io/yaml v1.6.0 (with it kubectl, client-go and Helm read YAML) and
# sigs.k8s.io/kustomize/kyaml v0.21.2 (with it `kubectl kustomize` and kustomize read YAML). Needs Go 1.26 on PATH.
#
# Guess before the first run: a key that a mapping writes itself wins over a merged one, in every reader and wherever
# the merge key stands. The specification of the merge key says so: https://yaml.org/type/merge.html.
# Seen: sigs.k8s.io/yaml lets the later one win. Where `<<` stands below the mapping's own keys, as people write it to
# keep their own keys on top, the merged values replace them, without an error. kyaml lets the own key win.
#
# Why it costs: a canary of 5 percent becomes one of 50 percent when a team moves from `kubectl apply -k` to `-f`, or
# copies the same lines into the values of a Helm chart. By hand, kubectl v1.32.4 (`label --local -f` against
# `kustomize`) and Helm v3.19.0 (`template`) showed the same. Write `<<` first in a mapping: then all readers agree.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v go >/dev/null || { echo "this finding needs Go 1.26 on PATH" >&2; exit 2; }
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw"
cd "$work"

cat > go.mod <<'EOF'
module finding

go 1.26.0

require (
	sigs.k8s.io/kustomize/kyaml v0.21.2
	sigs.k8s.io/yaml v1.6.0
)
EOF
cat > main.go <<'EOF'
package main

import (
	"fmt"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	sigs "sigs.k8s.io/yaml"
)

func main() {
	for _, manifest := range []string{
		"base: &base {weight: 50}\ncanary:\n  weight: 5\n  <<: *base\n",
		"base: &base {weight: 50}\ncanary:\n  <<: *base\n  weight: 5\n",
	} {
		applied, err := sigs.YAMLToJSON([]byte(manifest))
		if err != nil {
			panic(err)
		}
		node, err := kyaml.Parse(manifest)
		if err != nil {
			panic(err)
		}
		kustomized, err := node.MarshalJSON()
		if err != nil {
			panic(err)
		}
		fmt.Printf("%ssigs.k8s.io/yaml: %s\nkyaml: %s\n", manifest, applied, kustomized)
	}
}
EOF
seen=$(go run . 2>go.log) || { cat go.log >&2; exit 2; }

expected=$(cat <<'EOF'
base: &base {weight: 50}
canary:
  weight: 5
  <<: *base
sigs.k8s.io/yaml: {"base":{"weight":50},"canary":{"weight":50}}
kyaml: {"base":{"weight":50},"canary":{"weight":5}}
base: &base {weight: 50}
canary:
  <<: *base
  weight: 5
sigs.k8s.io/yaml: {"base":{"weight":50},"canary":{"weight":5}}
kyaml: {"base":{"weight":50},"canary":{"weight":5}}
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the two readers no longer answer as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
