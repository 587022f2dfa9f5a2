# Every command of the project. `make` alone lists them.

# Settings from .env; what the environment or the command line sets wins.
ifneq (,$(wildcard .env))
names := $(shell sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/\1/p' .env)
$(foreach name,$(names),$(eval export $(name) ?= $(shell sed -n 's/^$(name)=//p' .env | tail -n 1)))
endif

SHELL := /bin/bash
PYTHON := .venv/bin/python
COMPOSE = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
export PYTHONPATH := plugins
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo rehearse test lint format up down status airflow bench data sample erase weights spark-environment new-dataset name-image spark-history rollback bake images push redeploy secrets compose-up compose-down deploy destroy lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## make .venv, or bring it up to date (the other commands do it when needed)
	@scripts/setup.sh

demo: setup ## run all pipelines here, on samples or on DATA=<folder>, and show the results
	@$(PYTHON) -m millrace.demo $(if $(DATA),--data "$(DATA)")

rehearse: setup ## run the pipelines with engine=aws against a stand-in of AWS that runs the jobs here
	@$(PYTHON) -m tests.integration.aws.rehearse $(if $(DATA),--data "$(DATA)")

test: setup lint ## every check and every test, files side by side (ARGS=<pytest arguments> for some of them)
	@$(PYTHON) -m pytest $(or $(ARGS),-n auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder)

lint: setup ## check style and types
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@.venv/bin/mypy

format: setup ## put the code into the project's format
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

up: setup ## start Airflow, MLflow and the model service, and keep them running
	@$(PYTHON) -m millrace.stack up

down: setup ## stop all that `make up` started
	@$(PYTHON) -m millrace.stack down

status: setup ## whether the stack is up, and where
	@$(PYTHON) -m millrace.stack status || true

airflow: setup ## Airflow's command line on the stack: ARGS="backfill create --dag-id titanic ..."
	@$(PYTHON) -m millrace.stack airflow $(ARGS)

bench: setup ## every benchmark against the usual way, or ONLY=<name>
	@$(PYTHON) -m bench $(if $(ONLY),"$(ONLY)")

data: setup ## fetch the public data sets
	@$(PYTHON) -m millrace.public_data

sample: setup ## write the sample of DATASET=<name> to INTO=<folder> (home_credit: SCALE=0.01 of the public rows; SEED=)
	@test -n "$(DATASET)" -a -n "$(INTO)" || { echo "usage: make sample DATASET=<name> INTO=<folder> [SCALE=0.1] [SEED=0]" >&2; exit 2; }
	@$(PYTHON) -m millrace.samples "$(DATASET)" "$(INTO)" $(if $(SCALE),--scale "$(SCALE)") $(if $(SEED),--seed "$(SEED)")

erase: setup ## ask for the erasure of a person of DATASET=<name>; the identifier is typed, or piped in
	@test -n "$(DATASET)" || { echo "usage: make erase DATASET=<name>" >&2; exit 2; }
	@$(PYTHON) -m millrace.privacy request "$(DATASET)"

weights: setup ## fetch MobileNetV2's ImageNet weights, or take WEIGHTS=<file>, check them, put them into the lake
	@scripts/setup_keras.sh
	@$(PYTHON) -m millrace.networks.weights $(if $(WEIGHTS),--weights "$(WEIGHTS)")

spark-environment: setup ## pack what Spark on EMR needs into the lake on S3, or TO=<file>
	@$(PYTHON) -m millrace.spark_environment $(if $(TO),--to "$(TO)")

new-dataset: setup ## draft a data set spec from CSV=<file> (NAME=, TARGET=, FORCE=yes)
	@test -n "$(CSV)" || { echo "usage: make new-dataset CSV=<file.csv> [NAME=<name>] [TARGET=<column>] [FORCE=yes]" >&2; exit 2; }
	@$(PYTHON) -m millrace.dataset_draft "$(CSV)" $(if $(NAME),--name "$(NAME)") $(if $(TARGET),--target "$(TARGET)") $(if $(FORCE),--force)

name-image: setup ## what the champion of DATASET=<name> (fruits) calls the photo IMAGE=<file>
	@test -n "$(IMAGE)" || { echo "usage: make name-image IMAGE=<photo.jpg> [DATASET=<name>]" >&2; exit 2; }
	@$(PYTHON) -m millrace.name_image "$(IMAGE)" $(if $(DATASET),--dataset "$(DATASET)")

spark-history: setup ## Spark's own pages of the jobs that ran here, until Ctrl-C
	@$(PYTHON) -m millrace.spark_history

rollback: setup ## put the previous model of DATASET=<name> back into service
	@test -n "$(DATASET)" || { echo "usage: make rollback DATASET=<name>" >&2; exit 2; }
	@$(PYTHON) -m millrace.rollback "$(DATASET)"

deploy: setup ## make or change the stack on AWS: PARAMETERS="Bucket=our-lake AlarmEmail=ops@example.org" (STACK=, YES=yes, TEMPLATE=github)
	@$(PYTHON) -m millrace.infrastructure deploy $(if $(TEMPLATE),--template "$(TEMPLATE)") $(if $(STACK),--stack "$(STACK)") $(if $(filter yes,$(YES)),--yes) $(PARAMETERS)

destroy: setup ## delete the stack on AWS but for lake and key, after its name is typed (STACK=, TEMPLATE=github)
	@$(PYTHON) -m millrace.infrastructure destroy $(if $(TEMPLATE),--template "$(TEMPLATE)") $(if $(STACK),--stack "$(STACK)")

bake: setup ## write the champions as folders for the service's image (DATASET=<names>, INTO=var/baked)
	@PYTHONPATH=plugins:include:include/training $(PYTHON) -m serving.bake $(DATASET) --into "$(or $(INTO),var/baked)"

images: ## build the images of Airflow and of the service (ONLY=<name>, MODELS=<folder>, BASE=<mirror>)
	@scripts/images.sh $(ONLY)

push: ## push the image ONLY=<name> to the repositories TO="<repository> ...", under a dated tag and as latest (TAG=)
	@scripts/push.sh $(ONLY)

redeploy: setup ## give the model service on ECS the image IMAGE=<repository:tag>, verified, or its old one again
	@test -n "$(IMAGE)" || { echo "usage: make redeploy IMAGE=<repository>:<tag>" >&2; exit 2; }
	@$(PYTHON) -m millrace.redeploy "$(IMAGE)"

secrets: ## write passwords and keys for the containers into .env, those that are not there yet
	@scripts/secrets.sh

compose-up: ## start Airflow with Celery workers, MLflow, the service and their stores in containers
	@$(COMPOSE) up --detach

compose-down: ## stop the containers; their volumes stay (ARGS=--volumes removes them)
	@$(COMPOSE) down $(ARGS)

lock: setup ## resolve every requirements*.in of Python 3.12 anew into its .txt
	@uv=$$(command -v uv || echo .venv-uv/bin/uv); \
	compile() { "$$uv" pip compile --quiet --universal --generate-hashes --python-version 3.12 "$$1.in" -o "$$1.txt" "$${@:2}"; }; \
	compile requirements --override requirements-overrides.txt && compile requirements-keras && \
	for name in requirements-containers include/lambda/requirements include/serving/requirements; do \
		compile "$$name" -c requirements.txt --override requirements-overrides.txt || exit 1; \
	done

clean: ## remove .venv and caches; data and databases in var/ stay
	@if [ -x $(PYTHON) ]; then $(PYTHON) -m millrace.stack down; fi
	@rm -rf .venv .venv-uv .venv-keras .pytest_cache .ruff_cache .mypy_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './var/*' -prune -exec rm -rf {} +
