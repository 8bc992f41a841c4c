# Every target is one readable command. ENV names a folder of inventories/.
ENV = local
SCENARIO = default
STATE =
BIN := .venv/bin
INVENTORY = $(if $(wildcard inventories/$(ENV)/hosts.yml),inventories/$(ENV),$(error ENV is $(ENV), but there is no inventories/$(ENV)/hosts.yml))
ON_OR_OFF = $(if $(filter on off,$(STATE)),$(STATE),$(error STATE is "$(STATE)": write STATE=on or STATE=off))
SPA := examples/spa
COMPILE = $(CURDIR)/$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url --no-header
NODE = PATH="$(CURDIR)/.cache/node/bin:$$PATH"
# $(call SWITCH,NAME,variable): NAME=yes turns application_<variable>_enabled on.
SWITCH = $(if $(filter yes,$($1)),-e '{"application_$2_enabled": true}')
# $(call QUOTED,NAME): the value of a variable as it was typed, as one word of the shell.
QUOTED = '$(subst ','\'',$(value $1))'
# These print one table, or with JSON=yes one document, and nothing else on standard output.
ASK = ANSIBLE_STDOUT_CALLBACK=slipway.host.status $(if $(filter yes,$(JSON)),STATUS_FORMAT=json) $(BIN)/ansible-playbook -i $(INVENTORY)
PLAY = ANSIBLE_STDOUT_CALLBACK=slipway.host.progress $(BIN)/ansible-playbook -i $(INVENTORY)

.DEFAULT_GOAL := help
.PHONY: help up down init provision plan rollback status history unlock check lint contracts unit spa development heroku vagrant test molecule verify deploy bench clean lock maintenance

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "ENV is a folder of inventories/ ($(ENV)), SCENARIO one of molecule/ ($(SCENARIO)), REF a commit (HEAD)."

up: override ENV = local
up: ## Boot and provision a host on this machine
	@molecule/shared/tools.sh hosts
	@$(MAKE) --no-print-directory spa
	@$(BIN)/python molecule/shared/machines.py up inventories/local
	@$(PLAY) ansible/site.yml
	@$(BIN)/ansible all -i $(INVENTORY) --become --module-name=command --args='slipway-manage users_load 250' >/dev/null
	@$(BIN)/python molecule/shared/welcome.py inventories/local

down: ## Remove that host, its network and its secrets
	@/usr/bin/python3 molecule/shared/machines.py down inventories/local

init: ## Write an inventory for a Django project: NAME, DOMAIN, SOURCE; docs/projects.md has more
	@molecule/shared/tools.sh
	@$(BIN)/python ansible/init.py $(foreach option,NAME DOMAIN SOURCE FOLDER HOST SETTINGS ENTRY CELERY REQUIREMENTS HEALTH DATABASE BROKER,$(if $(filter command,$(origin $(option))),--$(shell echo $(option) | tr A-Z a-z)=$(call QUOTED,$(option))))

provision: ## Bring the hosts of ENV to what the inventory says, LOGIN=root where only root can log in
	@molecule/shared/tools.sh
	@$(PLAY) ansible/site.yml$(if $(LOGIN), -e ansible_user=$(LOGIN))

deploy: ## Release the latest commit, or REF, to ENV
	@molecule/shared/tools.sh
	@$(PLAY) ansible/deploy.yml $(if $(REF),-e application_source_ref=$(REF)) $(call SWITCH,BREAKING,breaking_migrations) $(call SWITCH,UNCOMMITTED,uncommitted)

rollback: ## Go back to the last good release, or to RELEASE
	@molecule/shared/tools.sh
	@$(PLAY) ansible/rollback.yml $(if $(RELEASE),-e application_rollback_release=$(RELEASE)) $(call SWITCH,REVERSE,reverse_migrations)

status: ## Show what runs where on ENV; DRIFT=yes adds what differs from the inventory
	@molecule/shared/tools.sh >&2
	@$(ASK) ansible/status.yml $(if $(filter yes,$(DRIFT)),ansible/site.yml --check)

history: ## Show what was released to ENV, by whom, and how it ended
	@molecule/shared/tools.sh >&2
	@$(ASK) ansible/history.yml

unlock: ## Show who locks the releases of ENV, and free them
	@molecule/shared/tools.sh
	@$(PLAY) ansible/unlock.yml $(if $(filter yes,$(YES)),-e '{"application_unlock_confirmed": true}')

plan: ## Show what provision and deploy would change on ENV
	@molecule/shared/tools.sh
	@$(PLAY) ansible/site.yml ansible/deploy.yml --check --diff $(if $(REF),-e application_source_ref=$(REF))

maintenance: ## Show a maintenance page on ENV, STATE=on, or the site again, STATE=off
	@molecule/shared/tools.sh
	@$(PLAY) ansible/maintenance.yml -e maintenance=$(ON_OR_OFF)

check: $(SPA)/node_modules/.package-lock.json ## Lint, contracts and unit tests: under 3 minutes
	@for tools in spa tests; do molecule/shared/tools.sh $$tools || exit; done
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint unit contracts

lint: $(SPA)/node_modules/.package-lock.json
	@molecule/shared/tools.sh spa
	@molecule/shared/tools.sh tests
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@cd app && $(CURDIR)/.cache/app/bin/mypy --no-error-summary .
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q
	@cd $(SPA) && $(NODE) npm run --silent check

contracts:
	@molecule/shared/tools.sh
	@$(BIN)/python -m pytest --quiet --numprocesses=2 --ignore=tests/local_development --ignore=tests/heroku --ignore=tests/vagrant tests

unit: $(SPA)/node_modules/.package-lock.json
	@molecule/shared/tools.sh spa
	@molecule/shared/tools.sh tests
	@cd app && PATH="$(CURDIR)/.cache/app/bin:$$PATH" pg_virtualenv -t sh -c \
		'DATABASE_URL=postgres://$$PGUSER:$$PGPASSWORD@$$PGHOST:$$PGPORT/postgres python -m pytest --quiet'
	@cd $(SPA) && $(NODE) npm test --silent -- --reporter=dot

spa: $(SPA)/dist/index.html ## Build the example front end
	@:

$(SPA)/node_modules/.package-lock.json: $(SPA)/package-lock.json
	@molecule/shared/tools.sh spa
	@echo "Installing the front end's packages"
	@cd $(SPA) && $(NODE) npm ci --silent

$(SPA)/dist/index.html: $(SPA)/node_modules/.package-lock.json $(wildcard $(foreach folder,. src src/components public,$(SPA)/$(folder)/*.*)) app/openapi.yaml
	@molecule/shared/tools.sh spa
	@echo "Building the front end"
	@cd $(SPA) && $(NODE) npm run --silent build -- --logLevel warn

development: spa ## Test local development in a browser
	@molecule/shared/tools.sh tests
	@molecule/shared/tools.sh browser
	@$(NODE) $(BIN)/python -m pytest --quiet --tb=short tests/local_development

heroku: tests/heroku/node_modules/.package-lock.json ## Try the Heroku button with Heroku's own tool
	@molecule/shared/tools.sh tests
	@molecule/shared/tools.sh heroku
	@$(NODE) $(BIN)/python -m pytest --quiet --tb=short tests/heroku

vagrant: ## Try the Vagrantfile with the distribution's own tool
	@molecule/shared/tools.sh vagrant
	@$(BIN)/python -m pytest --quiet --tb=short tests/vagrant

tests/heroku/node_modules/.package-lock.json: tests/heroku/package-lock.json
	@molecule/shared/tools.sh spa
	@echo "Installing Heroku's command line"
	@cd tests/heroku && $(NODE) npm ci --silent --ignore-scripts

test: check spa ## Everything: check, a browser, Heroku, Vagrant, and booted hosts of two distributions
	@for tools in hosts browser heroku vagrant; do molecule/shared/tools.sh $$tools || exit; done
	@echo "Two at a time, each shown when it has ended: releases default projects vagrant heroku development"
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target \
		scenario-releases scenario-default scenario-projects vagrant heroku development

scenario-%:
	@$(MAKE) --no-print-directory molecule SCENARIO=$*

molecule: ## Prove SCENARIO on booted hosts
	@molecule/shared/tools.sh hosts
	@molecule/shared/tools.sh browser
	@$(MAKE) --no-print-directory spa
	@rm -f .cache/failed-$(SCENARIO)
	@PATH="$(CURDIR)/$(BIN):$$PATH" SLIPWAY_FAILED="$(CURDIR)/.cache/failed-$(SCENARIO)" \
		molecule test --scenario-name $(SCENARIO) || { cat .cache/failed-$(SCENARIO) 2>/dev/null; exit 1; }

verify: ## Run the read-only host tests against ENV
	@molecule/shared/tools.sh
	@$(BIN)/python -m pytest --quiet molecule/testinfra --hosts=all --ansible-inventory=$(INVENTORY) -m "not destructive"

bench: ## Measure the figures of docs/performance.md
	@molecule/shared/tools.sh hosts
	@$(BIN)/python molecule/shared/bench.py

lock: ## Compile the requirements again
	@molecule/shared/tools.sh
	@cd ansible && $(COMPILE) --python-version 3.11 requirements.in -o requirements.txt
	@cd ansible && $(COMPILE) --python-version 3.10 node.in -o node.txt

clean: down ## Also remove the base images and the tools
	@rm -rf .cache .venv tests/heroku/node_modules $(SPA)/dist $(SPA)/node_modules $(SPA)/src/client
