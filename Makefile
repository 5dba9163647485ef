# make figures   recompute a part of the study, draw everything, write the report
# make test      the tests
# make lint      style of code and notebooks
# make peers     the tests that compare with lm-evaluation-harness and TRL
# make study     everything the figures show that is not on record yet (goes on where it stopped)
# make small     the main result on real rows with a real model of 135M, as far as it is not on record (ROWS=FOLDER)
# make rehearsal every notebook on a few real rows, with a tiny random model (ROWS=FOLDER)
# make install   the environment alone; the others make it where it is missing
# make lock      write requirements.lock anew from the environment
# make clean     remove build/: reports, tuned runs, fetched rows
#
# Nothing but make, bash and Python 3.11 or newer has to be there. Settings:
#   PYTHON=python3.12        the Python the environment is made with
#   SEED=1                   tuning seed that is computed again
#   RECOMPUTE=nli,sentiment  clusters tuned and scored again (all: every one); five are usual
#   SHORT=1                  one cluster only, for a check in minutes
#   SEEDS="1 2 3"            tuning seeds of `make study` and `make small`
#   HELD_OUT=nli             clusters that `make small` holds out; without it, all, three or four at a time
#   ROWS=FOLDER              local rows, in the hub's columns, for `make small` and `make rehearsal`

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help install figures test lint study small rehearsal peers lock clean

VENV ?= .venv
BIN := $(VENV)/bin
SEED ?= 1
SEEDS ?= 1 2 3
HELD_OUT ?=
SHORT ?=
RECOMPUTE ?= $(if $(SHORT),sentiment,nli,sentiment,closed_book_qa,commonsense,translation)
ROWS ?= ../shared/realdata
STAMP := $(VENV)/.installed-$(shell cat requirements.lock pyproject.toml | cksum | cut -d' ' -f1)
export TOKENIZERS_PARALLELISM := false

help:
	@sed -n '/^#/!q;s/^# \{0,1\}//p' Makefile

$(STAMP):
	@bash workflow/install "$(VENV)" "$(PYTHON)"
	@rm -f $(VENV)/.installed-*
	@touch $@

install: $(STAMP)

figures: $(STAMP)
	@status=0; settings="--profile micro --seed $(SEED) --recompute $(RECOMPUTE)"; \
	$(BIN)/flanlib run $$settings || status=$$?; \
	if [ -e data/results/flan/tuned.jsonl ]; then $(BIN)/flanlib figures --profile small || status=$$?; fi; \
	$(BIN)/flanlib report $$settings || status=$$?; \
	exit $$status

test: $(STAMP)
	@$(BIN)/python -m pytest

lint: $(STAMP)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@if compgen -G 'notebooks/*.ipynb' > /dev/null; then $(BIN)/nbstripout --keep-id --verify notebooks/*.ipynb; fi

study: $(STAMP)
	@for seed in $(SEEDS); do $(BIN)/flanlib run --profile micro --seed $$seed; done
	@$(BIN)/flanlib figures --profile micro
	@$(BIN)/flanlib report --documents
	@$(BIN)/flanlib report --profile micro

# Stopped at any time, it goes on where it stopped: tuning after its last checkpoint, scoring after its last task.
small: $(STAMP)
	@$(BIN)/flanlib fetch --model smollm2-135m-instruct > /dev/null
	@settings="--profile small --rows $(ROWS) $(if $(HELD_OUT),--held-out $(HELD_OUT))"; \
	for seed in $(SEEDS); do $(BIN)/flanlib run $$settings --seed $$seed --only fig5; done
	@$(BIN)/flanlib calibrate --profile small --rows $(ROWS) > /dev/null
	@$(BIN)/flanlib report --documents

# The tests against lm-evaluation-harness and TRL, in an environment that adds them to this one;
# the benchmarks run there too.
PEERS := $(VENV)-peers
$(PEERS)/.installed: $(STAMP)
	@$(BIN)/python -m venv $(PEERS)
	@$(BIN)/python -c 'import os, sysconfig; print(os.getcwd(), sysconfig.get_path("purelib"), sep="\n")' \
	  > $$($(PEERS)/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/study.pth
	@$(PEERS)/bin/python -m pip install -qq --disable-pip-version-check 'lm_eval==0.4.13' 'trl==1.16.0'
	@touch $@

peers: $(PEERS)/.installed
	@$(PEERS)/bin/python -m pytest -rs tests/test_export.py tests/test_likelihood.py

rehearsal: $(STAMP)
	@$(BIN)/flanlib run --profile rehearsal --rows $(ROWS)

# Run after a package was added or updated in the environment.
lock: $(STAMP)
	@$(BIN)/python workflow/lock.py

clean:
	rm -rf build
