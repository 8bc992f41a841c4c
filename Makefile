# Every target is one readable command. The lines that begin with ## are `make help`; they also say what each target
# takes, and tools/arguments.py refuses everything else before anything runs.
ENV = local
SCENARIO = default
STEP = test
STATE =
TAGS =
LIMIT =
K =
REF =
RELEASE =
LOGIN =
BREAKING =
REVERSE =
UNCOMMITTED =
DRIFT =
SAVE =
JSON =
YES =
ifeq ($(origin JOBS),undefined)
JOBS := $(shell getconf _NPROCESSORS_ONLN)
endif
BIN := .venv/bin
HASH := \#
# What the shell exports decides nothing, except what only the operator knows.
OPERATOR = ANSIBLE_VAULT_% ANSIBLE_PRIVATE_KEY_FILE ANSIBLE_BECOME_PASSWORD_FILE ANSIBLE_CONNECTION_PASSWORD_FILE
unexport $(filter-out $(OPERATOR),$(filter ANSIBLE_% PYTHON%,$(.VARIABLES)))
unexport BASH_ENV CDPATH PIP_PREFIX PIP_TARGET PIP_USER VIRTUAL_ENV
# Which repository it is, of what `git rev-parse --local-env-vars` lists.
unexport GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_DIR GIT_GRAFT_FILE GIT_INDEX_FILE GIT_NAMESPACE \
	GIT_OBJECT_DIRECTORY GIT_PREFIX GIT_SHALLOW_FILE GIT_WORK_TREE
# Of make's own flags, which MAKEFLAGS also sets, -e lets the shell decide and -i goes on after a "no".
FLAGS := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
$(foreach flag,e i,$(if $(findstring $(flag),$(FLAGS)),$(error The flag -$(flag) of make, typed or in MAKEFLAGS, takes guards away: leave it out)))
export ANSIBLE_CONFIG := $(CURDIR)/ansible.cfg
# Ansible wants one whose encoding is UTF-8, and that this machine has.
export LC_ALL := $(if $(filter Darwin,$(shell uname -s)),en_US,C).UTF-8
INVENTORY = $(if $(wildcard inventories/$(ENV)/hosts.yml),inventories/$(ENV),$(error ENV is $(ENV), but there is no inventories/$(ENV)/hosts.yml: write one of $(patsubst inventories/%/hosts.yml,%,$(wildcard inventories/*/hosts.yml))))
ON_OR_OFF = $(if $(filter on off,$(STATE)),$(STATE),$(error STATE is "$(STATE)": write STATE=on or STATE=off))
PROCESSES = $(if $(shell echo $(call QUOTED,JOBS) | grep -xE '[1-9][0-9]*'),$(JOBS),$(error JOBS is "$(JOBS)": write how many may run at once, as in JOBS=4))
KNOWN_TAGS = $(shell sed -n 's/.*tags: \[\(.*\)\]/\1/p' roles/*/tasks/main.yml | tr -d ,)
COMMA := ,
UNKNOWN_TAGS = $(filter-out $(KNOWN_TAGS),$(subst $(COMMA), ,$(TAGS)))
ONLY_TAGS = $(if $(UNKNOWN_TAGS),$(error TAGS has $(UNKNOWN_TAGS), which is no role or part of one: write TAGS=nginx or TAGS=nginx_configure)) $(if $(TAGS),--tags=$(call QUOTED,TAGS))
ONLY_HOSTS = $(if $(LIMIT),--limit=$(call QUOTED,LIMIT))
ONLY_TESTS = $(if $(K),-k $(call QUOTED,K))
SPA := examples/spa
COMPILE = $(CURDIR)/$(BIN)/uv pip compile --quiet --upgrade --universal --generate-hashes --no-emit-index-url
# Reads the files as they are now; tools/audit.py reads the history.
SECRETS = $(BIN)/kingfisher scan --quiet --no-update-check --config=.config/kingfisher.yaml --git-history=none
NODE = PATH="$(CURDIR)/.cache/node/bin:$$PATH"
# $(call SWITCH,NAME,variable): NAME=yes turns <variable>_enabled on.
SWITCH = $(if $(filter yes,$($1)),-e '{"$2_enabled": true}')
# $(call QUOTED,NAME): the value of a variable as it was typed, as one word of the shell.
QUOTED = '$(subst ','\'',$(value $1))'
# The program that boots hosts, tools/lab, and what it imports.
LAB = PYTHONPATH=tools:ansible/collections
# What grades them, tools/grade, and what it imports.
GRADE = PYTHONPATH=tools:ansible/collections:molecule/testinfra
# These print one table, or with JSON=yes one document, and nothing else on standard output.
ASK = ANSIBLE_STDOUT_CALLBACK=slipway.host.status $(if $(filter yes,$(JSON)),STATUS_FORMAT=json) $(BIN)/ansible-playbook -i $(INVENTORY)
# $(call CONFIRM,playbook,what it does): ask, once a day, before it changes the hosts of a remote ENV.
CONFIRM = $(if $(filter yes,$(YES))$(filter local vagrant,$(ENV)),,$(BIN)/python tools/confirm.py $(INVENTORY) ansible/$1.yml '$(subst ','\'',$2)' $(call QUOTED,LIMIT))
PLAY = ANSIBLE_STDOUT_CALLBACK=slipway.host.progress $(BIN)/ansible-playbook -i $(INVENTORY)

TYPED := $(strip $(foreach name,$(.VARIABLES),$(if $(filter command,$(origin $(name))),$(name))))
ifneq ($(TYPED),)
REFUSED := $(shell /usr/bin/python3 -I tools/arguments.py '$(MAKECMDGOALS)' $(foreach name,$(TYPED),$(name)=$(call QUOTED,$(name))) >&2 || echo yes)
$(if $(REFUSED),$(error Nothing was done))
endif
# What another make is to know, its line says.
MAKEOVERRIDES =

.DEFAULT_GOAL := help
.PHONY: $(shell sed -n 's/^$(HASH)$(HASH) \([a-z]*\): .*/\1/p' Makefile)

##@ Start
## help: Show this list
help:
	@awk '/^##@ / {print (n++ ? "\n" : "") substr($$0, 5)} \
		/^## [a-z]/ {name = $$2; sub(/:$$/, "", name); printf "  make %-15s%s\n", name, substr($$0, length(name) + 6)} \
		/^##   / {print "    " substr($$0, 6)}' Makefile

## up: Boot and provision a host on this machine
up: override ENV = local
up:
	@tools/install.sh hosts
	@$(MAKE) --no-print-directory spa
	@$(LAB) $(BIN)/python -m lab up inventories/local
	@$(PLAY) ansible/site.yml
	@said=$$($(BIN)/ansible all -i $(INVENTORY) --become --module-name=command --args='/usr/local/bin/slipway-manage users_load 250' 2>&1) || \
		{ echo "The host runs, and the example's users could not be loaded: $$said" >&2; exit 1; }
	@$(BIN)/python tools/welcome.py inventories/local

## down: Remove that host, its network and its secrets
down:
	@$(LAB) /usr/bin/python3 -m lab down inventories/local

## init: Write an inventory for a Django project of yours: docs/projects.md
##   NAME=shop DOMAIN=shop.example SOURCE=../shop
##   FOLDER= HOST= SETTINGS= ENTRY= CELERY= REQUIREMENTS= HEALTH= DATABASE= BROKER=
init:
	@tools/install.sh
	@PYTHONPATH=ansible:ansible/collections $(BIN)/python -m init $(foreach option,NAME DOMAIN SOURCE FOLDER HOST SETTINGS ENTRY CELERY REQUIREMENTS HEALTH DATABASE BROKER,$(if $(filter command,$(origin $(option))),--$(shell echo $(option) | tr A-Z a-z)=$(call QUOTED,$(option))))

##@ Operate: change the local host, or the hosts of ENV
##   ENV=production     a folder of inventories/; local if left out
##   YES=yes            do not ask; otherwise the first change of a remote ENV in a day asks
## provision: Bring the hosts to what the inventory says, keeping the release
##   TAGS=nginx         only this role, or a part of it: TAGS=nginx_configure
##   LIMIT=web1         only this host
##   LOGIN=root         log in as root, where nobody else can yet
provision:
	@tools/install.sh
	@$(call CONFIRM,site,Provision $(ENV))
	@$(PLAY) ansible/site.yml $(ONLY_TAGS) $(ONLY_HOSTS) $(if $(LOGIN),-e ansible_ssh_user=$(LOGIN))

## deploy: Release the latest commit to all hosts, or to none
##   REF=v1.4.0         another commit, tag or branch
##   LIMIT=web1         only this host, for example one that was away
##   BREAKING=yes       also run migrations that break the running release until the switch
##   UNCOMMITTED=yes    release the working tree as it is
deploy:
	@tools/install.sh
	@$(call CONFIRM,deploy,Deploy $(or $(REF),the ref of the inventory or the latest commit) to $(ENV))
	@$(PLAY) ansible/deploy.yml $(ONLY_HOSTS) $(if $(REF),-e application_source_ref=$(REF)) $(call SWITCH,BREAKING,release_breaking_migrations) $(call SWITCH,UNCOMMITTED,application_uncommitted)

## rollback: Go back to the last good release
##   RELEASE=NAME       to this one; make history shows their names
##   REVERSE=yes        reverse the migrations that are in the way
rollback:
	@tools/install.sh
	@$(call CONFIRM,rollback,Roll $(ENV) back to $(or $(RELEASE),the last good release))
	@$(PLAY) ansible/rollback.yml $(if $(RELEASE),-e release_target=$(RELEASE)) $(call SWITCH,REVERSE,release_reverse_migrations)

## maintenance: Show a maintenance page, or the site again
##   STATE=on           or STATE=off
maintenance:
	@tools/install.sh
	@$(call CONFIRM,maintenance,Turn maintenance of $(ENV) $(ON_OR_OFF))
	@$(PLAY) ansible/maintenance.yml -e maintenance=$(ON_OR_OFF)

## unlock: Show who locks the releases, and free them
unlock:
	@tools/install.sh
	@$(PLAY) ansible/unlock.yml $(if $(filter yes,$(YES)),-e '{"release_unlock_confirmed": true}')

##@ Operate: look at the local host, or the hosts of ENV, and change nothing
##   ENV=production     a folder of inventories/; local if left out
## plan: Show what provision and deploy would change, and what would migrate
##   REF=v1.4.0         another commit, tag or branch
##   LIMIT=web1         only this host
plan:
	@tools/install.sh
	@$(PLAY) ansible/site.yml ansible/deploy.yml --check --diff $(ONLY_HOSTS) $(if $(REF),-e application_source_ref=$(REF))

## status: Show what runs where, and how it does
##   DRIFT=yes          add what differs from the inventory
##   JSON=yes           print JSON, for monitoring
status:
	@tools/install.sh >&2
	@$(ASK) ansible/status.yml $(if $(filter yes,$(DRIFT)),ansible/site.yml --check)

## history: Show what was released, by whom, and how it ended
##   JSON=yes           print JSON
history:
	@tools/install.sh >&2
	@$(ASK) ansible/history.yml

## verify: Test that the hosts keep their promises
##   LIMIT=web1         only this host
##   K=maintenance      only tests whose name has this
verify:
	@tools/install.sh pytest
	@$(BIN)/python -m pytest --quiet molecule/testinfra --hosts=$(if $(LIMIT),$(call QUOTED,LIMIT),all) $(ONLY_TESTS) --ansible-inventory=$(INVENTORY) -m "not destructive"

## grade: Let outside programs grade the hosts: docs/security.md
##   LIMIT=web1         only this host
##   K=lynis            only graders whose name has this
##   SAVE=yes           write the table into docs/security.md
grade: tools/grade/node_modules/.package-lock.json
	@tools/install.sh hosts
	@tools/install.sh pytest
	@$(GRADE) $(BIN)/python -m grade $(INVENTORY) $(if $(LIMIT),--limit=$(call QUOTED,LIMIT)) $(if $(K),--only=$(call QUOTED,K)) $(if $(filter yes,$(SAVE)),--save)

tools/grade/node_modules/.package-lock.json: tools/grade/package-lock.json
	@tools/install.sh spa
	@echo "Installing Mozilla's HTTP Observatory"
	@cd tools/grade && $(NODE) npm ci --silent --ignore-scripts

##@ Develop
## check: Run lint, contracts and unit tests: under 3 minutes
##   JOBS=4             how many processes at once; otherwise one for each processor
check: $(SPA)/node_modules/.package-lock.json
	@for tools in spa tests; do tools/install.sh $$tools || exit; done
	@$(MAKE) --no-print-directory --jobs=$(PROCESSES) --output-sync=target lint unit contracts JOBS=$(PROCESSES)

## lint: Check style, types, playbooks and the front end, and look for secrets
lint: $(SPA)/node_modules/.package-lock.json
	@tools/install.sh spa
	@tools/install.sh tests
	@$(BIN)/ruff check --quiet . && $(BIN)/ruff format --check --quiet .
	@cd app && $(CURDIR)/.cache/app/bin/mypy --no-error-summary .
	@$(BIN)/mypy && $(BIN)/mypy molecule/testinfra
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/ansible-lint -q
	@git grep -lz --untracked '' | xargs -0 $(SECRETS)
	@cd $(SPA) && $(NODE) npm run --silent check

## contracts: Test what needs no host
##   K=test_source      only tests whose name has this; K="source and not tarball"
##   JOBS=4             how many processes at once
contracts:
	@tools/install.sh pytest
	@$(BIN)/python -m pytest --quiet $(or $(ONLY_TESTS),--numprocesses=$(PROCESSES)) --ignore=tests/local_development --ignore=tests/heroku --ignore=tests/vagrant tests

## audit: Ask what is known to be vulnerable of what is locked, and look for secrets in the whole history
audit:
	@tools/install.sh spa
	@tools/install.sh pytest
	@$(NODE) $(BIN)/python tools/audit.py

## mutants: Break one line at a time, and see that a fast test notices
##   K=nginx            only mutants whose name has this
##   JOBS=4             how many at once
mutants:
	@tools/install.sh tests
	@$(BIN)/python tools/mutants.py --jobs=$(PROCESSES) $(if $(K),$(call QUOTED,K))

## unit: Test the API on a PostgreSQL of its own, and the front end
##   K=test_origins     only tests of the API whose name has this
unit: $(SPA)/node_modules/.package-lock.json
	@tools/install.sh spa
	@tools/install.sh tests
	@cd app && PATH="$(CURDIR)/.cache/app/bin:$$PATH" pg_virtualenv -t sh -c \
		'DATABASE_URL=postgres://$$PGUSER:$$PGPASSWORD@$$PGHOST:$$PGPORT/postgres python -m pytest --quiet "$$@"' sh $(ONLY_TESTS)
	$(if $(K),,@cd $(SPA) && $(NODE) npm test --silent -- --reporter=dot)

## spa: Build the example front end
spa: $(SPA)/dist/index.html
	@:

$(SPA)/node_modules/.package-lock.json: $(SPA)/package-lock.json
	@tools/install.sh spa
	@echo "Installing the front end's packages"
	@cd $(SPA) && $(NODE) npm ci --silent

$(SPA)/dist/index.html: $(SPA)/node_modules/.package-lock.json $(wildcard $(foreach folder,. src src/components public,$(SPA)/$(folder)/*.*)) app/openapi.yaml
	@tools/install.sh spa
	@echo "Building the front end"
	@cd $(SPA) && $(NODE) npm run --silent build -- --logLevel warn

## development: Test local development in a browser
development: spa
	@tools/install.sh tests
	@tools/install.sh browser
	@$(NODE) $(BIN)/python -m pytest --quiet --tb=short tests/local_development

## heroku: Try the Heroku button with Heroku's own tool
heroku: tests/heroku/node_modules/.package-lock.json
	@tools/install.sh tests
	@tools/install.sh heroku
	@$(NODE) $(BIN)/python -m pytest --quiet --tb=short tests/heroku

## vagrant: Try the Vagrantfile with the distribution's own tool
vagrant:
	@tools/install.sh vagrant
	@$(BIN)/python -m pytest --quiet --tb=short tests/vagrant

tests/heroku/node_modules/.package-lock.json: tests/heroku/package-lock.json
	@tools/install.sh spa
	@echo "Installing Heroku's command line"
	@cd tests/heroku && $(NODE) npm ci --silent --ignore-scripts

## test: Everything: check, a browser, Heroku, Vagrant, and booted hosts of three systems
##   JOBS=4             how many scenarios at once
test: check spa
	@for tools in hosts browser heroku vagrant; do tools/install.sh $$tools || exit; done
	@echo "$(PROCESSES) at a time, each shown when it has ended: releases default projects vagrant heroku development"
	@$(MAKE) --no-print-directory --jobs=$(PROCESSES) --output-sync=target \
		scenario-releases scenario-default scenario-projects vagrant heroku development

scenario-%:
	@$(MAKE) --no-print-directory molecule SCENARIO=$*

## soak: Prove what is long, random or repeated, as every night
##   JOBS=4             how many scenarios at once
soak: export SLIPWAY_SOAK = yes
soak:
	@for tools in spa tests hosts browser vagrant; do tools/install.sh $$tools || exit; done
	@$(MAKE) --no-print-directory --jobs=$(PROCESSES) --output-sync=target scenario-releases scenario-default vagrant

## molecule: Prove a scenario on booted hosts
##   SCENARIO=default   a folder of molecule/
##   STEP=converge      only this step of it; the hosts stay until STEP=destroy
##   K=nginx            with STEP=verify, only tests whose name has this
molecule:
	@tools/install.sh hosts
	@tools/install.sh browser
	@$(MAKE) --no-print-directory spa
	@rm -f .cache/failed-$(SCENARIO)
	@PATH="$(CURDIR)/$(BIN):$$PATH" SLIPWAY_FAILED="$(CURDIR)/.cache/failed-$(SCENARIO)" SLIPWAY_ONLY=$(call QUOTED,K) \
		molecule $(STEP) --scenario-name $(SCENARIO) || { cat .cache/failed-$(SCENARIO) 2>/dev/null; exit 1; }

## bench: Measure the figures of docs/performance.md
bench:
	@tools/install.sh hosts
	@$(BIN)/python tools/bench.py

## lock: Compile the requirements again
lock:
	@tools/install.sh pytest
	@cd ansible && $(COMPILE) --python-version 3.11 requirements.in -o requirements.txt
	@cd ansible && $(COMPILE) --python-version 3.11 --no-deps collections.in -o collections.txt
	@cd tests && $(COMPILE) --python-version 3.11 requirements.in -o requirements.txt
	@cd ansible && $(COMPILE) --python-version 3.10 node.in -o node.txt
	@cd roles/release/files && $(COMPILE) --python-version 3.10 tools.in -o tools.txt
	@cd roles/release/files && $(COMPILE) --python-version 3.10 poetry.in -o poetry.txt

## clean: Also remove the base images and the tools
clean: down
	@rm -rf .cache .venv tests/heroku/node_modules tools/grade/node_modules $(SPA)/dist $(SPA)/node_modules $(SPA)/src/client
