# `make demo` and `make test` do all there is to do on a fresh machine that has Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STUDY ?= studies/coronary-phantom.yaml

.DEFAULT_GOAL := help
.PHONY: help demo test slow lint types results ablations models bench scm coupled screenshots explore clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "segue needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/ready ## train and judge every method on the coronary phantom, to its report
	$(BIN)/segue run $(STUDY)

test: $(VENV)/ready-dev ## the tests, a tiny training from end to end among them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

slow: $(VENV)/ready-dev ## the tests that train for minutes
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/ready-dev ## ruff
	$(BIN)/ruff check .

types: $(VENV)/ready-dev ## mypy
	$(BIN)/mypy

# Folders of the public images (docs/anatomies.md); none of them is part of this repository.
CHEST ?= data/cxr_jsrt
HEART ?= data/cmr_acdc
STRIPS ?= data/coronary_arcade
KEPT := metrics.json table1.md figure1.png
ABLATED := ablation.json table.md figure.png

# segue's own method, and its parts one by one
ABLATION := {segue: {at_once: 6, shrinkage: 0.03}, segue_without_shrinkage: {at_once: 6}, segue_one_at_once: {shrinkage: 0.03}}

results: $(VENV)/ready ## what results/ holds, made anew (make results CHEST=folder HEART=folder STRIPS=folder)
	$(BIN)/segue run studies/coronary-phantom.yaml --finetune.variants "$(ABLATION)"
	$(BIN)/segue run studies/chest-zones.yaml --cohort.folder $(CHEST)
	$(BIN)/segue run studies/cardiac-sectors.yaml --cohort.folder $(HEART)
	$(BIN)/segue run studies/coronary-strips.yaml --cohort.folder $(STRIPS)
	$(BIN)/segue ablate studies/ablations/real/small-data.yaml --cohort.folder $(CHEST)
	@set -e; for name in coronary-phantom chest-zones cardiac-sectors coronary-strips; do \
	  mkdir -p results/$$name; \
	  for file in $(KEPT); do cp runs/$$name/evaluate/$$file results/$$name/; done; \
	done
	mkdir -p results/ablations/small-data
	cp $(ABLATED:%=runs/ablations/small-data/%) results/ablations/small-data/

RUNS ?= runs
ONLY ?= $(basename $(notdir $(wildcard studies/ablations/*.yaml)))
ablations: $(VENV)/ready ## every ablation of studies/ablations, to results/ablations (make ablations ONLY=regions)
	@set -e; for name in $(ONLY); do \
	  $(BIN)/segue ablate studies/ablations/$$name.yaml --runs $(RUNS); \
	  mkdir -p results/ablations/$$name; \
	  for file in $(ABLATED); do cp $(RUNS)/ablations/$$name/$$file results/ablations/$$name/; done; \
	done

MODELS := src/segue/models
# Radiographs may not be published, simulated images may.
EXPORT_coronary-phantom := --examples 4 --license apache-2.0
EXPORT_chest-zones := --license other

SHIPPED ?= coronary-phantom chest-zones
models: $(VENV)/ready ## the models that the package ships, from their runs (RUNS=folder of the runs, SHIPPED=names)
	@set -e; $(foreach name,$(SHIPPED),\
	  rm -rf $(RUNS)/$(name)/export; \
	  $(BIN)/segue export $(RUNS)/$(name) --out $(RUNS)/$(name)/export --notes studies/$(name).md $(EXPORT_$(name)); \
	  mkdir -p $(MODELS); rm -rf $(MODELS)/$(name); mv $(RUNS)/$(name)/export $(MODELS)/$(name);)
	du -sh $(MODELS)/*

# Each takes --quick, --out and its own scale: .venv/bin/python -m benchmarks.step --help
BENCHMARKS := step finetuning requests reference backends growth cohort precision generation explorer

bench: $(VENV)/ready-dev ## speed and memory against references, to results/benchmarks (make bench QUICK=1: a few minutes)
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(if $(QUICK),--quick); done

scm: $(VENV)/ready-dev ## the causal model of variables against the phantom's true one, and dowhy's: results/benchmarks/scm.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks.scm

coupled: $(VENV)/ready-dev ## effects along the graph, from image to image, on the coupled phantom: results/coronary-coupled, benchmarks/coupled.json
	$(BIN)/segue run studies/coronary-coupled.yaml
	mkdir -p results/coronary-coupled
	cp $(KEPT:%=runs/coronary-coupled/evaluate/%) runs/coronary-coupled/scm/graph.png results/coronary-coupled/
	$(BIN)/python -m benchmarks.coupled

screenshots: $(VENV)/ready-dev ## the pictures of docs/explorer.md, from the run of the coupled study (needs Chromium)
	$(BIN)/python docs/screenshots.py $(RUNS)/coronary-coupled

explore: $(VENV)/ready ## ask for counterfactuals with sliders, in the browser
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[explore]"
	$(BIN)/segue explore $(RUNS)/coronary-phantom

clean: ## remove the environment and the caches; runs/ stays
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
