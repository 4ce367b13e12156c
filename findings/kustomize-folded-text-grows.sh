#!/usr/bin/env bash
# Each pass through kustomize adds a blank line to folded text (`>`) that contains an indented line.
#
# Package: sigs.k8s.io/kustomize/kyaml v0.21.2, which kustomize and `kubectl kustomize` read and write with. Needs Go
# 1.26 on PATH.
#
# Guess: none was written before it was first seen, as one of many texts in a comparison of YAML readers. It was there
# because no difference was expected.
# Seen: the text changes. In a folded scalar the line breaks around a more indented line count as they are. The writer
# adds one as if they were folded, and adds another at each further pass.
#
# Why it costs: a prompt in a ConfigMap or in a custom resource is often written with `>`, and a line of code or a list
# in it is indented. The agent then gets another prompt than the file has and than the one that was evaluated; a digest
# of the prompt changes too. `kubectl kustomize` v5.5.0 showed the same by hand. Write prompts with `|`.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v go >/dev/null || { echo "this finding needs Go 1.26 on PATH" >&2; exit 2; }
export GOPATH="$work/go" GOFLAGS="-mod=mod -modcacherw"
cd "$work"

cat > go.mod <<'EOF'
module finding

go 1.26.0

require sigs.k8s.io/kustomize/kyaml v0.21.2
EOF
cat > main.go <<'EOF'
package main

import (
	"fmt"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

func main() {
	for _, style := range []string{">", "|"} {
		file := "prompt: " + style + "\n  Answer with code:\n    def double(n): return 2 * n\n  Explain it.\n"
		for pass := 0; pass <= 2; pass++ {
			node, err := yaml.Parse(file)
			if err != nil {
				panic(err)
			}
			text, err := node.GetString("prompt")
			if err != nil {
				panic(err)
			}
			fmt.Printf("%s after %d passes: %q\n", style, pass, text)
			if file, err = node.String(); err != nil {
				panic(err)
			}
		}
	}
}
EOF
seen=$(go run . 2>go.log) || { cat go.log >&2; exit 2; }

expected=$(cat <<'EOF'
> after 0 passes: "Answer with code:\n  def double(n): return 2 * n\nExplain it.\n"
> after 1 passes: "Answer with code:\n\n  def double(n): return 2 * n\nExplain it.\n"
> after 2 passes: "Answer with code:\n\n\n  def double(n): return 2 * n\nExplain it.\n"
| after 0 passes: "Answer with code:\n  def double(n): return 2 * n\nExplain it.\n"
| after 1 passes: "Answer with code:\n  def double(n): return 2 * n\nExplain it.\n"
| after 2 passes: "Answer with code:\n  def double(n): return 2 * n\nExplain it.\n"
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: kyaml no longer writes folded text as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
