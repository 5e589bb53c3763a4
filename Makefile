# Two commands do everything: `make demo` audits the embedded reference model, `make test` passes the tests.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
READY = $(VENV)/.ready

.PHONY: demo test check install bench clean

demo: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/python -m audit run suites/robustness --model reference

test: $(READY)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -q -n auto

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

install: $(READY)

# TextAttack is installed without its own requirements: it asks for flair, which caps transformers below 5.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[attacks,test]"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps textattack==0.3.11
	-@$(MAKE) --no-print-directory wordnet
	-@$(MAKE) --no-print-directory schemas
	@touch $(READY)

# WordNet serves one attack (PWWS); where it cannot be installed, the report says that this attack was not run.
.PHONY: wordnet
wordnet:
	@if [ -e /usr/share/wordnet/index.sense ]; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  (apt-get -qq update && apt-get -qq install -y --no-install-recommends wordnet-base wordnet-sense-index) >/dev/null 2>&1 \
	    || echo "WordNet could not be installed: the PWWS attack will be reported as not run"; \
	else echo "without WordNet the PWWS attack is reported as not run: apt install wordnet-base wordnet-sense-index"; fi

# Archives that carry the schemas others publish (JUnit, SARIF): tests read them, nothing installs them.
FETCH = $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps -d $(VENV)/schemas
.PHONY: schemas
schemas:
	@$(FETCH) --no-binary pytest pytest==9.2.0 >/dev/null 2>&1 && $(FETCH) --no-binary sarif-pydantic sarif-pydantic==0.6.2 \
	  >/dev/null 2>&1 || echo "the published schemas could not be fetched: two tests will be skipped"

bench: $(READY)
	$(BIN)/python bench/attacks.py

clean:
	rm -rf $(VENV) build *.egg-info
