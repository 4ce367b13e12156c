#!/usr/bin/env bash
# @huggingface/jinja removes the indentation of an answer where a chat template removes only line breaks.
#
# Packages: @huggingface/jinja 0.5.11 from npm (Transformers.js renders chat templates with it), beside Jinja 3.1.6 and
# MarkupSafe 3.0.3 (Transformers and vLLM render with these). Needs Node 18 or newer with npm, and Python 3.11 or newer.
#
# Guess before the first run: `lstrip('\n')`, with which templates of reasoning models cut the thoughts from earlier
# answers, removes the same characters in both.
# Seen: the JavaScript implementation ignores the argument of `lstrip`, `rstrip` and `strip`, and removes all white
# space. An answer that begins with indented code loses the indentation of its first line.
#
# Why it costs: a model is trained on prompts that one implementation rendered, and is prompted by the other. The text
# differs in each conversation about Python code, without an error, so tokens differ, cached prefixes are missed, and
# the model sees code that does not parse.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v npm >/dev/null || { echo "this finding needs Node 18 or newer with npm on PATH" >&2; exit 2; }
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  Jinja2==3.1.6 MarkupSafe==3.0.3 >&2
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/jinja@0.5.11 >&2

cat > cases.json <<'EOF'
{
  "templates": [
    "{{ answer.split('</think>')[-1].lstrip('\\n') }}",
    "{{ answer.rstrip('\\n') }}",
    "{{ '##docs##'.strip('#') }}"
  ],
  "answer": "<think>Only the body.</think>\n\n    return 2 * n  \n"
}
EOF
cat > finding.py <<'EOF'
import json

from jinja2.sandbox import ImmutableSandboxedEnvironment

cases = json.load(open("cases.json"))
environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)  # as Transformers does
for template in cases["templates"]:
    print("Jinja:", json.dumps(environment.from_string(template).render(answer=cases["answer"])))
EOF
cat > finding.mjs <<'EOF'
import { readFileSync } from "node:fs";
import { Template } from "@huggingface/jinja";

const cases = JSON.parse(readFileSync("cases.json", "utf8"));
for (const template of cases.templates) {
  console.log("@huggingface/jinja:", JSON.stringify(new Template(template).render({ answer: cases.answer })));
}
EOF
seen=$(PYTHONPATH="$work/packages" python3 finding.py && node finding.mjs)

expected=$(cat <<'EOF'
Jinja: "    return 2 * n  \n"
Jinja: "<think>Only the body.</think>\n\n    return 2 * n  "
Jinja: "docs"
@huggingface/jinja: "return 2 * n  \n"
@huggingface/jinja: "<think>Only the body.</think>\n\n    return 2 * n"
@huggingface/jinja: "##docs##"
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the two implementations no longer render as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
