#!/usr/bin/env bash
# safetensors 0.8.0 writes a transposed NumPy array with its values in the wrong places, without an error.
#
# Packages: safetensors 0.8.0, beside 0.7.0, with numpy 2.4.6. Needs Python 3.11 or newer.
#
# Guess before the first run: `safetensors.numpy.save` copies an array that is not contiguous, or refuses it.
# Seen: 0.8.0 keeps the shape of the transposed array and writes the bytes of the array behind it, so the weights are
# permuted. 0.7.0 wrote them correctly. (The PyTorch part of the package refuses tensors that are not contiguous.)
#
# Why it costs: merging an adapter or converting a checkpoint with NumPy transposes matrices, and GPT-2's layers are
# stored transposed. The file has the right names, shapes and types, so every check of them passes, and the model that
# was paid for answers nonsense. Pass np.ascontiguousarray(x).

set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

install() {
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-deps --target "$@" >&2
}
install numpy numpy==2.4.6
install new safetensors==0.8.0
install old safetensors==0.7.0

cat > finding.py <<'EOF'
import numpy
import safetensors
from safetensors.numpy import load, save

weights = numpy.array([[1, 2, 3], [4, 5, 6]], dtype=numpy.float32)
for what, array in (("transposed", weights.T), ("copied first", numpy.ascontiguousarray(weights.T))):
    loaded = load(save({"w": array}))["w"]
    print(f"safetensors {safetensors.__version__}: {what}: {array.tolist()} is read back as {loaded.tolist()}")
EOF
seen=$(for version in old new; do PYTHONPATH="$work/numpy:$work/$version" python3 finding.py; done)

expected=$(cat <<'EOF'
safetensors 0.7.0: transposed: [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]] is read back as [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
safetensors 0.7.0: copied first: [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]] is read back as [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
safetensors 0.8.0: transposed: [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]] is read back as [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
safetensors 0.8.0: copied first: [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]] is read back as [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]]
EOF
)
if [[ $seen != "$expected" ]]; then
  echo "The behaviour has changed: safetensors no longer writes transposed arrays as this finding states." >&2
  diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
  exit 1
fi
printf '%s\n' "$seen"
