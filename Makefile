# Everything runs from .venv, which is made from the locked requirements the first time and is instant after that.

VENV := .venv
BIN := $(VENV)/bin
PYTHON := $(BIN)/python
JOBS ?= 2
# The node's tests come first: they are one long group, and mostly wait.
TESTS := $(wildcard tests/node tests/unit tests/cases tests/contract tests/cluster tests/e2e)
COMPILE := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links -q pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup train-env node-packages demo live-smoke test verify format bench generate lock clean

help:
	@echo 'make demo      train, evaluate, roll out and roll back on this machine (KEEP=1 leaves it running)'
	@echo '               CLUSTER=kind or KUBECONFIG=FILE uses another cluster than its own'
	@echo 'make live-smoke MAX_USD=5  the same loop once on a real account (HF_TOKEN, LANGSMITH_API_KEY), for at most 5 dollars'
	@echo 'make test      every test; ARGS="-k name" narrows it, JOBS=1 runs it in one process'
	@echo 'make node-packages  as root on Debian: what tests/node needs, which are skipped without'
	@echo 'make verify    format, lint, types, layers, generated files, house rules'
	@echo 'make bench     measure, and print each number beside its limit'
	@echo 'make format    format the code and fix what ruff can fix'
	@echo 'make generate  write what is generated: CRDs, reference tables, dashboards, and config/ from the chart'
	@echo 'make lock      write requirements/*.txt from pyproject.toml'
	@echo 'make train-env the environment of training jobs in the sandbox (5.6 GB in ~/.cache/modelops/train, once)'
	@echo 'make clean     remove .venv and every cache in this folder'

setup: $(VENV)/.ready

# A cluster is used only where make's own command line names it: a KUBECONFIG that a shell exports, often that of a
# production cluster, is not.
named = $(if $(findstring command line,$(origin $1)),$2 '$($1)')
DEMO_CLUSTER = $(call named,KUBECONFIG,--kubeconfig) $(call named,CONTEXT,--context) $(call named,CLUSTER,--cluster)

demo: setup
	@$(BIN)/modelops demo $(DEMO_CLUSTER)

# It spends money, so the cap, too, is taken from make's own command line alone.
live-smoke: setup
	@$(BIN)/modelops live-smoke $(call named,MAX_USD,--max-usd) $(ARGS)

# Made once for the pins of requirements/train.txt; instant after that.
train-env: setup
	@$(PYTHON) -m modelops.trainenv make

# The environment and the servers come first: pytest would hide the progress of their making.
test: setup train-env
	@$(BIN)/modelops cluster build >/dev/null
	@$(PYTHON) -m modelops.localcluster.helm >/dev/null
	@$(PYTHON) -m tests.prometheus.programs
	@$(PYTHON) -m tests.mcp_clients.programs
	@$(PYTHON) -m tests.node.prepare
	@PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n $(JOBS) $(TESTS) $(ARGS)

# Debian's packages for tests/node. It needs root, and nothing but CI calls it by itself.
node-packages: setup
	apt-get install -q -y --no-install-recommends $$($(PYTHON) -m tests.node.needs) >/dev/null \
	|| { apt-get update -q >/dev/null && apt-get install -q -y --no-install-recommends $$($(PYTHON) -m tests.node.needs) >/dev/null; }

verify: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(PYTHON) -m modelops.localcluster.helm >/dev/null
	$(PYTHON) -m modelops.crdgen --check
	$(PYTHON) -m modelops.chartgen --check
	$(PYTHON) -m modelops.dashboards --check
	$(PYTHON) -m tests.house
	$(PYTHON) -m modelops.trainenv header --check

bench: setup
	@$(BIN)/modelops cluster build >/dev/null
	@$(PYTHON) -m tests.bench $(ARGS)

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The chart has copies of the CRDs, so they come first.
generate: setup
	$(PYTHON) -m modelops.crdgen
	$(PYTHON) -m modelops.chartgen
	$(PYTHON) -m modelops.dashboards

lock: setup
	$(COMPILE) --extra operator --extra evaluation -o requirements/operator.txt
	$(COMPILE) --extra operator --extra evaluation --extra cli --extra langgraph --extra mcp --extra sandbox --group dev -o requirements/dev.txt
	$(COMPILE) --extra mcp -o requirements/mcp.txt
	$(COMPILE) --extra train -o requirements/train.txt
	$(COMPILE) --extra claim -c requirements/train.txt -o requirements/claim.txt
	$(subst pyproject.toml,,$(COMPILE)) --group transformers4 -o requirements/transformers4.txt
	$(subst pyproject.toml,,$(COMPILE)) --group mcp-clients -o requirements/mcp-clients.txt
	$(subst pyproject.toml,,$(COMPILE)) --group image -o requirements/image.txt
	$(COMPILE) --group agent -o requirements/agent.txt
	$(PYTHON) -m modelops.trainenv header

clean:
	rm -rf $(VENV) .demo dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .grimp_cache
	find operator tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.ready: $(VENV)/.locked pyproject.toml
	@echo 'setup 3/3: modelops itself'
	@$(BIN)/uv pip install -q --python $(PYTHON) --no-deps -e . \
	|| $(PYTHON) -m pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

$(VENV)/.locked: $(VENV)/.installer requirements/dev.txt
	@echo 'setup 2/3: locked requirements, 1 to 3 minutes the first time'
	@$(BIN)/uv pip install -q --python $(PYTHON) --require-hashes -r requirements/dev.txt || { \
	  echo 'setup 2/3: uv could not, trying pip, whose configuration may name another index'; \
	  $(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt; }
	@touch $@

$(VENV)/.installer: requirements/bootstrap.txt
	@command -v git >/dev/null || { echo 'git is missing: apt install git' >&2; exit 1; }
	@$(PYTHON) -c '' 2>/dev/null || { \
	  for python in $$PYTHON_FOR_VENV python3.13 python3.12 python3.11 python3 none; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && break; \
	  done; \
	  if [ "$$python" = none ]; then \
	    echo 'Python 3.11 or newer is missing: apt install python3 python3-venv' >&2; exit 1; \
	  fi; \
	  echo "setup 1/3: $(VENV) with $$($$python --version)"; \
	  rm -rf $(VENV); \
	  "$$python" -c 'import ensurepip, venv' 2>/dev/null && "$$python" -m venv $(VENV) || { \
	    rm -rf $(VENV); \
	    echo "$$python cannot make a virtual environment: apt install python3-venv" >&2; exit 1; }; }
	@$(PYTHON) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	@touch $@
