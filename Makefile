# Every target is one readable command. ENV names a folder of inventories/.
ENV = local
SCENARIO = default
BIN := .venv/bin
INVENTORY = $(if $(wildcard inventories/$(ENV)/hosts.yml),inventories/$(ENV),$(error ENV is $(ENV), but there is no inventories/$(ENV)/hosts.yml))
PLAY = ANSIBLE_STDOUT_CALLBACK=progress $(BIN)/ansible-playbook -i $(INVENTORY)

.DEFAULT_GOAL := help
.PHONY: help up down plan check lint contracts unit test molecule verify deploy bench clean lock tools

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "ENV is a folder of inventories/ ($(ENV)), SCENARIO one of molecule/ ($(SCENARIO)), REF a commit (HEAD)."

up: override ENV = local
up: ## Boot and provision a host on this machine
	@molecule/shared/tools.sh hosts
	@$(BIN)/python molecule/shared/machines.py up inventories/local
	@$(PLAY) ansible/site.yml
	@$(BIN)/python molecule/shared/welcome.py inventories/local

down: ## Remove that host, its network and its secrets
	@/usr/bin/python3 molecule/shared/machines.py down inventories/local

deploy: ## Release the latest commit, or REF, to ENV
	@molecule/shared/tools.sh
	@$(PLAY) ansible/site.yml $(if $(REF),-e application_source_ref=$(REF))

plan: ## Show what deploy would change on ENV
	@molecule/shared/tools.sh
	@$(PLAY) ansible/site.yml --check --diff

check: lint contracts unit ## Lint, contracts and unit tests: under 3 minutes

lint:
	@molecule/shared/tools.sh tests
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q

contracts:
	@molecule/shared/tools.sh
	@$(BIN)/python -m pytest --quiet --numprocesses=2 tests

unit:
	@molecule/shared/tools.sh tests
	@cd app && PATH="$(CURDIR)/.cache/app/bin:$$PATH" pg_virtualenv sh -c \
		'DATABASE_URL=postgres://$$PGUSER:$$PGPASSWORD@$$PGHOST:$$PGPORT/postgres python -m pytest --quiet'

test: check molecule ## Everything: check, and booted hosts of two distributions

molecule: ## Prove SCENARIO on booted hosts
	@molecule/shared/tools.sh hosts
	@PATH="$(CURDIR)/$(BIN):$$PATH" molecule test --scenario-name $(SCENARIO)

verify: ## Run the read-only host tests against ENV
	@molecule/shared/tools.sh
	@$(BIN)/python -m pytest --quiet molecule/testinfra --hosts=all --ansible-inventory=$(INVENTORY) -m "not destructive"

bench: ## Measure the figures of docs/performance.md
	@molecule/shared/tools.sh hosts
	@$(BIN)/python molecule/shared/bench.py

lock: ## Compile the requirements again
	@molecule/shared/tools.sh
	@cd ansible && ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header requirements.in -o requirements.txt

clean: down ## Also remove the base images and the tools
	@rm -rf .cache .venv
