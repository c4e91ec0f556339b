# Slipway's commands. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

.NOTPARALLEL:

VENV := .venv
BIN := $(VENV)/bin

$(foreach sign,: $$ " `,$(if $(findstring $(sign),$(CURDIR)),$(error This checkout cannot be used where it is, in $(CURDIR): \
  Python's environments and the PATH do not take the character $(sign) in names. Move it, and run again)))

# What the caller's surroundings may not decide: which programs, settings and modules are used, where something is installed,
# and the language. How servers and indexes are reached, secrets, and how the output looks are the caller's.
OURS := PIP_% PYTHON% ANSIBLE_% MOLECULE_% PYTEST_% MYPY% RUFF_% YAMLLINT_% VIRTUAL_ENV% LC_% LANG LANGUAGE \
  BASH_ENV BASH_FUNC_% BASHOPTS SHELLOPTS ENV CDPATH GLOBIGNORE POSIXLY_CORRECT MAKEFILES \
  GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_NAMESPACE \
  GIT_PREFIX GIT_QUARANTINE_PATH
CALLERS := $(addprefix PIP_,INDEX_URL EXTRA_INDEX_URL NO_INDEX FIND_LINKS TRUSTED_HOST PROXY CERT CLIENT_CERT RETRIES TIMEOUT \
  DEFAULT_TIMEOUT CACHE_DIR NO_CACHE_DIR KEYRING_PROVIDER USE_FEATURE CONFIG_FILE) \
  $(addprefix ANSIBLE_,VAULT_% BECOME_% CONNECTION_PASSWORD_FILE PRIVATE_KEY_FILE REMOTE_USER HOST_KEY_CHECKING SSH_% NOCOLOR \
  FORCE_COLOR COLOR_% VERBOSITY LOG_PATH DEBUG STDOUT_CALLBACK)
FROM_CALLER := $(foreach name,$(.VARIABLES),$(if $(filter environment%,$(origin $(name))),$(name)))
$(foreach name,$(filter-out $(CALLERS),$(filter $(OURS),$(FROM_CALLER))),$(eval unexport $(name)))
override export PATH := $(CURDIR)/$(BIN):$(PATH)
# Named, since Ansible does not look for it where others may write. The locale is on every Debian.
override export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
override export LC_ALL := C.UTF-8
override export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 22

.PHONY: setup
setup: $(VENV)/release.stamp ## Install the Debian packages and the Python environment (release does it too)

$(VENV)/packages.stamp: debian-packages.txt scripts/install-packages
	@scripts/install-packages debian-packages.txt
	@mkdir -p $(VENV) && touch $@

$(VENV)/release.stamp: requirements.txt constraints.txt $(VENV)/packages.stamp
	@/usr/bin/python3 -IB scripts/set_up_python.py requirements.txt
	@touch $@

# What starts images, which the example's policy asks for.
$(VENV)/boot.stamp: debian-packages-boot.txt $(VENV)/release.stamp
	@scripts/install-packages debian-packages-boot.txt
	@touch $@

$(VENV)/debs.stamp: debian-packages-debs.txt scripts/ensure-subids $(VENV)/release.stamp
	@scripts/install-packages debian-packages-debs.txt
	@scripts/ensure-subids
	@touch $@

$(VENV)/lab.stamp: debian-packages-lab.txt $(VENV)/release.stamp
	@scripts/install-packages debian-packages-lab.txt
	@touch $@

# On a fresh clone everything is missing: Debian packages and those of Python are installed at the same time, and each at once.
TEST_LISTS := $(addprefix debian-packages-,$(addsuffix .txt,boot debs lab test))
$(VENV)/test.stamp: requirements.txt requirements-test.txt constraints.txt $(TEST_LISTS) $(VENV)/packages.stamp
	@scripts/install-packages $(TEST_LISTS) & installing=$$!; failed=; \
	  /usr/bin/python3 -IB scripts/set_up_python.py requirements.txt requirements-test.txt || failed=1; \
	  wait $$installing && [ -z "$$failed" ]
	@scripts/ensure-subids
	@touch $(VENV)/release.stamp $(VENV)/boot.stamp $(VENV)/debs.stamp $(VENV)/lab.stamp $@

.PHONY: release
release: export VERSION := $(VERSION)
release: export SLIPWAY_COMMAND := make release VERSION=$(VERSION)$(if $(ARGS), ARGS="$(ARGS)")
release: ## Release on this machine: make release VERSION=X.Y [ARGS="--check --diff"]
	@[ ! -x /usr/bin/python3 ] || /usr/bin/python3 -IB scripts/check_version.py
	@$(MAKE) --no-print-directory --silent setup $(VENV)/boot.stamp
	@ansible-playbook playbooks/provision.yml release.yml $(ARGS) \
	  -e "$$(python -c 'import json, os; print(json.dumps({"version": os.environ["VERSION"]}))')"

.PHONY: train
train: export SLIPWAY_COMMAND := make train$(if $(ARGS), ARGS="$(ARGS)")
train: ## Release on this machine what is due [ARGS="--check" only tells]
	@$(MAKE) --no-print-directory --silent setup $(VENV)/boot.stamp
	@ansible-playbook playbooks/provision.yml playbooks/train.yml $(ARGS)

.PHONY: new
new: export PROJECT := $(PROJECT)
new: export DIRECTORY := $(or $(DIRECTORY),../$(PROJECT))
new: export DEFINITIONS := $(DEFINITIONS)
new: export REF := $(REF)
new: export CLUSTER := $(CLUSTER)
new: $(VENV)/release.stamp ## Begin a project of your own: make new PROJECT=NAME [DIRECTORY=../NAME] [DEFINITIONS=URL]
	@ansible-playbook playbooks/new.yml $(ARGS) -e "$$(python -c 'import json, os; print(json.dumps(\
	  {name.lower(): os.environ[name] for name in "PROJECT DIRECTORY DEFINITIONS REF CLUSTER".split() if os.environ[name]}))')"

.PHONY: stamp
stamp: export SLIPWAY_COMMAND := make stamp$(if $(ARGS), ARGS="$(ARGS)")
stamp: $(VENV)/debs.stamp ## Release the example's stacks as debs on this machine [ARGS="--check --diff"]
	@ansible-playbook examples/stacks/shadow.yml playbooks/stamp.yml $(ARGS)

DISTROS ?= cturtle tools
.PHONY: debs
debs: export DISTROS := $(DISTROS)
debs: export SLIPWAY_COMMAND := make debs$(if $(ARGS), ARGS="$(ARGS)")
debs: $(VENV)/debs.stamp ## Take the example's stacks and packages from source to released debs [ARGS="--check --diff"]
	@ansible-playbook examples/stacks/sources.yml $(ARGS)
	@for distro in $$DISTROS; do ansible-playbook playbooks/debs_release.yml -e "distro=$$distro" $(ARGS); done

.PHONY: release-vm
release-vm: $(VENV)/boot.stamp ## Make the disk of a machine that makes releases, see docs/release-vm.md
	@ansible-playbook playbooks/release_vm.yml $(ARGS)

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

.PHONY: test-release-vm
test-release-vm: $(VENV)/test.stamp ## Make a release in a release VM, under qemu; by hand, some ten minutes without KVM
	@pytest -n 0 tests/vm $(ARGS)

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
