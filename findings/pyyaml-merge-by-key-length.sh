#!/usr/bin/env bash
# PyYAML 6.0.4: which value a merge key (<<) gives depends on whether the key has one character or more.
#
# Packages: PyYAML 6.0.4, beside 6.0.3 and ruamel.yaml 0.19.1. Needs Python 3.11 or newer.
#
# Guess before the first run: all three agree, whatever the key is called. Of a list of mappings the earlier one wins;
# a mapping that merges another and writes a key again hands on its own value, also when it is merged itself.
# Seen: with 6.0.4 the later mapping of a list wins for `rank`, and the earlier one for `r`. Where mappings are merged
# in a chain, an override of `r` is lost, and one of `rank` is kept. 6.0.3 and ruamel.yaml give the guessed values.
# The cause: `flatten_mapping` looks for keys that it has already merged by id() of their text, and CPython has one
# object only for texts of one (Latin-1) character.
#
# Why it costs: `r` and `lora_alpha` are the two keys of a LoRA adapter's size in peft. A team that raises both in a
# chain of defaults trains rank 8 with an alpha of 128, so each update is scaled by 16 instead of 2. A list of defaults
# gives every agent the values of the wrong one. Both happen by an update of the third number of the version, in a
# package that most Python tools of this field install.

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

install() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target "$@" >&2
}
install new PyYAML==6.0.4
install old PyYAML==6.0.3
install ruamel ruamel.yaml==0.19.1

cat > finding.py <<'EOF'
import sys

CHAIN = """
small: &small {KEY: 8, lora_alpha: 16}
large: &large
  <<: *small
  KEY: 64
  lora_alpha: 128
docs:
  <<: *large
"""
LIST = """
first: &first {KEY: 5}
second: &second {KEY: 6}
docs:
  <<: [*first, *second]
"""
if sys.argv[1] == "ruamel":
    from ruamel.yaml import YAML

    name, load = "ruamel.yaml 0.19.1", YAML(typ="safe", pure=True).load
else:
    import yaml

    name, load = f"PyYAML {yaml.__version__}", yaml.safe_load
for key in ("rank", "r"):
    chain, several = (load(text.replace("KEY", key))["docs"] for text in (CHAIN, LIST))
    print(f"{name}: {key}: chain {chain[key]} (alpha {chain['lora_alpha']}), list {several[key]}")
EOF
seen=$(for reader in ruamel old new; do PYTHONPATH="$work/$reader" python3 finding.py "$reader"; done)

expected=$(cat <<'EOF'
ruamel.yaml 0.19.1: rank: chain 64 (alpha 128), list 5
ruamel.yaml 0.19.1: r: chain 64 (alpha 128), list 5
PyYAML 6.0.3: rank: chain 64 (alpha 128), list 5
PyYAML 6.0.3: r: chain 64 (alpha 128), list 5
PyYAML 6.0.4: rank: chain 64 (alpha 128), list 6
PyYAML 6.0.4: r: chain 8 (alpha 128), list 5
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: the readers no longer merge as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
