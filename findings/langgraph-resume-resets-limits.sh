#!/usr/bin/env bash
# LangGraph gives a pydantic model back with its defaults after an interrupt, if its fields have aliases.
#
# Packages: langgraph 1.2.24 with langgraph-checkpoint 4.3.2 and pydantic 2.14.4; the rest of what they need is pinned
# below. Needs Python 3.11 or newer.
#
# Guess before the first run: a model in the state of a graph is equal to itself after an interrupt is answered, also
# where an alias generator lets it take camelCase, as Kubernetes objects and JSON APIs have it.
# Seen: every field that has a default gets this default back, without an error. The checkpointer writes the model by
# the names of its fields and builds it again from these names, but the model takes only aliases and ignores the rest.
# Where any field of the model has no default, building it fails, the checkpointer then sets the fields without
# validation, and all values are right. So the loss begins on the day the last field of a model gets a default. A graph
# without an interrupt passes the model on in memory and never shows it, so tests of single runs pass.
#
# Why it costs: the interrupt is where a person approves a plan. The run that they approved, with at most $5 and as a
# dry run, goes on with $1000 and in earnest, since these are the defaults. Set `populate_by_name` (or
# `validate_by_name`) on models that a graph keeps, or keep `model_dump(mode="json")` of them.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target packages \
  langgraph==1.2.24 langgraph-checkpoint==4.3.2 langgraph-prebuilt==1.1.3 langgraph-sdk==0.4.14 \
  langchain-core==1.8.3 langchain-protocol==0.0.20 langsmith==0.15.1 pydantic==2.14.4 pydantic_core==2.50.5 \
  annotated-types==0.8.0 anyio==4.16.0 certifi==2026.10.19.post1 charset-normalizer==3.5.3 distro==1.9.0 h11==0.16.0 \
  httpcore==1.0.9 httpcore2==2.16.2 httpx==0.28.1 httpx2==2.16.2 idna==3.20 jsonpatch==1.48 jsonpointer==3.12 \
  orjson==3.13.0 ormsgpack==1.13.1 packaging==26.4 PyYAML==6.0.4 requests==2.34.2 requests-toolbelt==1.0.0 \
  sniffio==1.3.1 tenacity==9.2.1 truststore==0.10.5 typing-inspection==0.4.5 typing_extensions==4.16.0 urllib3==2.8.0 \
  uuid_utils==0.19.0 websockets==17.4 xxhash==4.1.0 zstandard==0.25.0 >&2

cat > finding.py <<'EOF'
from typing import TypedDict

from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


class Limits(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel)
    max_usd: float = 1000
    dry_run: bool = False


class NamedLimits(Limits):
    agent_name: str


class LimitsByName(Limits):
    model_config = ConfigDict(populate_by_name=True)


class State(TypedDict):
    limits: Limits


def approve(state: State) -> State:
    interrupt(f"at most ${state['limits'].max_usd:g}?")
    return {}


def train(state: State) -> State:
    used.append(state["limits"])
    return {}


allowed = [(model.__module__, model.__name__) for model in (Limits, NamedLimits, LimitsByName)]
for limits in (
    Limits(maxUsd=5, dryRun=True),
    NamedLimits(maxUsd=5, dryRun=True, agentName="reviewer"),
    LimitsByName(maxUsd=5, dryRun=True),
):
    used = []
    steps = [("approve", approve), ("train", train)]
    for nodes in (steps, steps[1:]):
        saver = InMemorySaver(serde=JsonPlusSerializer(allowed_msgpack_modules=allowed))
        graph = StateGraph(State).add_sequence(nodes).add_edge(START, nodes[0][0]).compile(checkpointer=saver)
        config = {"configurable": {"thread_id": "1"}}
        asked = graph.invoke({"limits": limits}, config).get("__interrupt__")
        if asked:
            print("asked:", asked[0].value)
            graph.invoke(Command(resume=True), config)
    print("approved, then trained with:", repr(used[0]))
    print("trained without an approval:", repr(used[1]))
EOF
seen=$(PYTHONPATH="$work/packages" python3 finding.py)

expected=$(cat <<'EOF'
asked: at most $5?
approved, then trained with: Limits(max_usd=1000, dry_run=False)
trained without an approval: Limits(max_usd=5.0, dry_run=True)
asked: at most $5?
approved, then trained with: NamedLimits(max_usd=5.0, dry_run=True, agent_name='reviewer')
trained without an approval: NamedLimits(max_usd=5.0, dry_run=True, agent_name='reviewer')
asked: at most $5?
approved, then trained with: LimitsByName(max_usd=5.0, dry_run=True)
trained without an approval: LimitsByName(max_usd=5.0, dry_run=True)
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the graph no longer resumes as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
