#!/usr/bin/env bash
# In agentevals, the mode "subset" exchanges the two sides of a call: a gate accepts calls that lack their limit.
#
# Packages: agentevals 0.0.9 from PyPI with langchain-core 1.8.3 and openevals 0.2.2, and agentevals 0.0.7 from npm with
# @langchain/core 1.4.0, langsmith 0.12.0 and openevals 0.1.5; the rest of what the first needs is pinned below. Needs
# Python 3.11 or newer, and Node 20 or newer with npm.
#
# Guess before the first run: `tool_args_match_mode="superset"` accepts a call that has the arguments of the reference
# and more, as the README says, and a comparator in `tool_args_match_overrides` gets the agent's arguments first. Both
# hold in each `trajectory_match_mode`, which says only which calls there may be.
# Seen: "strict" and "superset" do so. With "subset" the two sides are exchanged: a call with the limit and one more
# argument is refused, and one that lacks the limit is accepted. A comparator for "at most" is asked the other way
# round, so 500 passes where 5 were allowed. "unordered" asks both ways, so it accepts only what is equal. The package
# for JavaScript answers the same.
#
# Why it costs: "subset" is the mode for a guard, "no other tools than these". With it an evaluation gate promotes the
# model that leaves out `max_usd` or exceeds it, and refuses the one that respects it.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v npm >/dev/null || { echo "this finding needs Node 20 or newer with npm on PATH" >&2; exit 2; }
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  agentevals==0.0.9 openevals==0.2.2 langchain==1.5.2 langchain-core==1.8.3 langchain-openai==1.7.4 \
  langchain-protocol==0.0.20 langgraph==1.2.24 langgraph-checkpoint==4.3.2 langgraph-prebuilt==1.1.3 \
  langgraph-sdk==0.4.14 langsmith==0.15.1 pydantic==2.14.4 pydantic_core==2.50.5 annotated-types==0.8.0 anyio==4.16.0 \
  certifi==2026.10.19.post1 charset-normalizer==3.5.3 distro==1.9.0 h11==0.16.0 httpcore==1.0.9 httpcore2==2.16.2 \
  httpx==0.28.1 httpx2==2.16.2 idna==3.20 jiter==0.19.0 jsonpatch==1.48 jsonpointer==3.12 openai==3.57.0 \
  orjson==3.13.0 ormsgpack==1.13.1 packaging==26.4 PyYAML==6.0.4 regex==2026.11.19 requests==2.34.2 \
  requests-toolbelt==1.0.0 sniffio==1.3.1 tenacity==9.2.1 tiktoken==0.14.0 truststore==0.10.5 \
  typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.8.0 uuid_utils==0.19.0 websockets==17.4 \
  xxhash==4.1.0 zstandard==0.25.0 >&2
npm install --silent --no-audit --no-fund --ignore-scripts \
  agentevals@0.0.7 @langchain/core@1.4.0 langsmith@0.12.0 openevals@0.1.5 >&2

cat > cases.json <<'EOF'
{
  "modes": ["strict", "superset", "unordered", "subset"],
  "reference": {"agent": "reviewer", "max_usd": 5},
  "calls": [
    {"agent": "reviewer", "max_usd": 5, "note": "weekly"},
    {"agent": "reviewer"}
  ],
  "spending": [{"agent": "reviewer", "max_usd": 4}, {"agent": "reviewer", "max_usd": 500}]
}
EOF
cat > finding.py <<'EOF'
import json

from agentevals.trajectory.match import create_trajectory_match_evaluator

cases = json.load(open("cases.json"))


def trajectory(arguments):
    call = {"function": {"name": "train", "arguments": json.dumps(arguments)}}
    return [{"role": "user", "content": "Train."}, {"role": "assistant", "content": "", "tool_calls": [call]}]


def scores(calls, **settings):
    evaluate = create_trajectory_match_evaluator(**settings)
    reference = trajectory(cases["reference"])
    return [str(evaluate(outputs=trajectory(c), reference_outputs=reference)["score"]).lower() for c in calls]


for mode in cases["modes"]:
    more, fewer = scores(cases["calls"], trajectory_match_mode=mode, tool_args_match_mode="superset")
    at_most = {"train": lambda called, reference: called["max_usd"] <= reference["max_usd"]}
    less, exceeded = scores(cases["spending"], trajectory_match_mode=mode, tool_args_match_overrides=at_most)
    print(f"Python, {mode}: with a note {more}, without max_usd {fewer}; at most 5: $4 {less}, $500 {exceeded}")
EOF
cat > finding.mjs <<'EOF'
import { readFileSync } from "node:fs";
import { createTrajectoryMatchEvaluator } from "agentevals";

const cases = JSON.parse(readFileSync("cases.json", "utf8"));
const trajectory = (given) => [
  { role: "user", content: "Train." },
  { role: "assistant", content: "", tool_calls: [{ function: { name: "train", arguments: JSON.stringify(given) } }] },
];
const scores = async (calls, settings) => {
  const evaluate = createTrajectoryMatchEvaluator(settings);
  const referenceOutputs = trajectory(cases.reference);
  const results = [];
  for (const call of calls) results.push((await evaluate({ outputs: trajectory(call), referenceOutputs })).score);
  return results;
};
for (const mode of cases.modes) {
  const [more, fewer] = await scores(cases.calls, { trajectoryMatchMode: mode, toolArgsMatchMode: "superset" });
  const atMost = { train: (called, reference) => called.max_usd <= reference.max_usd };
  const [less, exceeded] = await scores(cases.spending, { trajectoryMatchMode: mode, toolArgsMatchOverrides: atMost });
  console.log(
    `JavaScript, ${mode}: with a note ${more}, without max_usd ${fewer}; at most 5: $4 ${less}, $500 ${exceeded}`,
  );
}
EOF
seen=$(PYTHONPATH="$work/packages" python3 finding.py && node finding.mjs)

expected=$(cat <<'EOF'
Python, strict: with a note true, without max_usd false; at most 5: $4 true, $500 false
Python, superset: with a note true, without max_usd false; at most 5: $4 true, $500 false
Python, unordered: with a note false, without max_usd false; at most 5: $4 false, $500 false
Python, subset: with a note false, without max_usd true; at most 5: $4 false, $500 true
JavaScript, strict: with a note true, without max_usd false; at most 5: $4 true, $500 false
JavaScript, superset: with a note true, without max_usd false; at most 5: $4 true, $500 false
JavaScript, unordered: with a note false, without max_usd false; at most 5: $4 false, $500 false
JavaScript, subset: with a note false, without max_usd true; at most 5: $4 false, $500 true
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the evaluators no longer answer as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
