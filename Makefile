# Slipway's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: setup
setup: $(VENV)/release.stamp ## Install the Debian packages and the Python environment (release does it too)

$(VENV)/packages.stamp: debian-packages.txt scripts/install-packages
	@scripts/install-packages debian-packages.txt
	@mkdir -p $(VENV) && touch $@

$(VENV)/release.stamp: requirements.txt constraints.txt $(VENV)/packages.stamp
	@echo "Installing the Python environment into $(VENV)"
	@[ -x $(BIN)/python ] || /usr/bin/python3 -m venv $(VENV)
	@$(PIP) install --use-pep517 -c constraints.txt -r requirements.txt
	@touch $@

$(VENV)/debs.stamp: debian-packages-debs.txt $(VENV)/release.stamp
	@scripts/install-packages debian-packages-debs.txt
	@touch $@

$(VENV)/lab.stamp: debian-packages-lab.txt $(VENV)/release.stamp
	@scripts/install-packages debian-packages-lab.txt
	@touch $@

$(VENV)/test.stamp: requirements-test.txt debian-packages-test.txt $(VENV)/release.stamp $(VENV)/debs.stamp $(VENV)/lab.stamp
	@scripts/install-packages debian-packages-test.txt
	@$(PIP) install --use-pep517 -c constraints.txt -r requirements-test.txt
	@touch $@

.PHONY: release
release: export VERSION := $(VERSION)
release: ## Release on this machine: make release VERSION=X.Y [ARGS="--check --diff"]
	@[ ! -x /usr/bin/python3 ] || /usr/bin/python3 -B scripts/check_version.py
	@$(MAKE) --no-print-directory setup
	@ansible-playbook playbooks/provision.yml release.yml $(ARGS) \
	  -e "$$(python -c 'import json, os; print(json.dumps({"version": os.environ["VERSION"]}))')"

.PHONY: stamp
stamp: $(VENV)/debs.stamp ## Release the example's stacks as debs on this machine [ARGS="--check --diff"]
	@ansible-playbook examples/stacks/shadow.yml playbooks/stamp.yml $(ARGS)

.PHONY: lab
lab: $(VENV)/lab.stamp ## Bring up several hosts on this machine, as root [HOSTS="coordinator download"]
	@scripts/lab up $(HOSTS)

.PHONY: lab-down
lab-down: ## Take those hosts away again, with their disks [HOSTS="download"]
	@scripts/lab down $(HOSTS)

.PHONY: test
test: $(VENV)/test.stamp ## Run every test and check of style, as root those on hosts as well [ARGS="-k trove"]
	@tests/run $(ARGS)

.PHONY: check
check: $(VENV)/test.stamp ## Check the style of what changed since main, and the unit tests that it can affect
	@tests/check $(ARGS)

.PHONY: lint
lint: $(VENV)/test.stamp ## Check the style of everything
	@tests/lint

.PHONY: dist
dist: $(VENV)/test.stamp ## Build the collection's tarball, install it and check it as it is installed
	@tests/dist/check

.PHONY: test-ansible
test-ansible: $(VENV)/test.stamp ## Try newer versions of Ansible on a Debian 13, as root
	@pytest -n 0 tests/compatibility $(ARGS)

.PHONY: release-collection
release-collection: export VERSION := $(VERSION)
release-collection: $(VENV)/test.stamp ## Release Slipway itself: make release-collection VERSION=X.Y.Z
	@scripts/release-collection

.PHONY: benchmark-release
benchmark-release: $(VENV)/test.stamp ## Time a cold release, the next version and a rerun, against a shell script
	@python benchmarks/release_local/run.py

.PHONY: clean
clean: ## Remove what was installed into the checkout
	rm -rf $(VENV) build
