# `make demo` and `make test` do all there is to do on a fresh machine that has Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= runs

.DEFAULT_GOAL := help
.PHONY: help demo test slow lint types results full baselines tuning ablations models leaderboard use rank bench scm coupled \
  docs docs-serve tables screenshots explore faults lock bom licences clean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "segue needs Python 3.11 or newer: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[train]"
	@touch $@

$(VENV)/ready-dev: $(VENV)/ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch $@

# The papers' four methods, segue's own without its ensemble and without paint, at smaller budgets than `make results`.
DEMO := --name coronary-demo --segmentor.budget.steps 300 --judge.budget.steps 300 --regressor.budget.steps 240 \
  --hvae.budget.steps 240 --finetune.budget.steps 80 --evaluate.images 40 --finetune.variants "{ \
  segue_move_only: {panel: false, budget: {steps: 90}}, segue: {panel: false, budget: {steps: 40}}}"
demo: $(VENV)/ready ## train and judge six methods on the coronary phantom, to runs/coronary-demo/report
	$(BIN)/segue run studies/coronary-phantom.yaml --runs $(RUNS) $(DEMO)

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
VOLUMES ?= data/hippocampus_msd
OCT ?= data/oct_coronary

# Keep what came out of a run, or of an ablation: $(call keep,name) copies it to results/name.
KEPT := metrics.json table1.md figure1.png extremes.png
ABLATED := ablation.json table.md figure.png
keep = mkdir -p results/$(1) && cp $(KEPT:%=$(RUNS)/$(1)/evaluate/%) results/$(1)/
keep_ablation = mkdir -p results/ablations/$(1) && cp $(ABLATED:%=$(RUNS)/ablations/$(1)/%) results/ablations/$(1)/

# segue's own method, and its parts one by one. An entry of the study keeps what is not given here.
MOVES := start: segue_move_only, moves: true, at_once: 6, smoothness: 1, outside: 50, painting: 3, shrinkage: 0.03, blur: 0.6
PARTS := {segue: {}, segue_move_only: {}, segue_paint_only: {}, \
  segue_without_panel: {$(MOVES), corrections: 2, budget: {steps: 200, lr: 0.001}}, \
  segue_without_corrections: {$(MOVES), budget: {steps: 200, lr: 0.001}}, \
  pos_seg_cft_corrected: {corrections: 2}}

MOVING := painting smoothness resolution
# Settings that were chosen on validation subjects.
CHOSEN := carried-phantom carried-chest carried-heart carried-strips outside-heart floor
FOLDER_carried-chest = --cohort.folder $(CHEST)
FOLDER_carried-heart = --cohort.folder $(HEART)
FOLDER_carried-strips = --cohort.folder $(STRIPS)
FOLDER_outside-heart = --cohort.folder $(HEART)
results: $(VENV)/ready ## what results/ holds, made anew (make results CHEST=folder HEART=folder STRIPS=folder VOLUMES=folder OCT=folder)
	$(BIN)/segue run studies/coronary-phantom.yaml --runs $(RUNS) --finetune.variants "$(PARTS)"
	$(BIN)/segue run studies/coronary-phantom.yaml --runs $(RUNS) --name coronary-broadcast --hvae.conditioning "[broadcast]"
	$(BIN)/segue run studies/chest-zones.yaml --runs $(RUNS) --cohort.folder $(CHEST)
	$(BIN)/segue run studies/chest-small.yaml --runs $(RUNS) --cohort.folder $(CHEST)
	$(BIN)/segue run studies/chest-256.yaml --runs $(RUNS) --cohort.folder $(CHEST)
	$(BIN)/segue run studies/cardiac-sectors.yaml --runs $(RUNS) --cohort.folder $(HEART)
	$(BIN)/segue run studies/chest-ratio.yaml --runs $(RUNS) --cohort.folder $(CHEST)
	$(BIN)/segue run studies/cardiac-thickness.yaml --runs $(RUNS) --cohort.folder $(HEART)
	$(BIN)/segue run studies/coronary-strips.yaml --runs $(RUNS) --cohort.folder $(STRIPS)
	$(BIN)/segue run studies/hippocampus.yaml --runs $(RUNS) --cohort.folder $(VOLUMES)
	$(BIN)/segue run studies/coronary-stenosis.yaml --runs $(RUNS)
	$(BIN)/segue run studies/oct-coronary.yaml --runs $(RUNS) --cohort.folder $(OCT)
	$(BIN)/segue run studies/oct-plaque.yaml --runs $(RUNS) --cohort.folder $(OCT)
	$(BIN)/segue evaluate studies/chest-small.yaml --runs $(RUNS) --cohort.folder $(CHEST) --shift all
	$(BIN)/segue evaluate studies/cardiac-sectors.yaml --runs $(RUNS) --cohort.folder $(HEART) --shift all \
	  --finetune.guides "[none, region]" --finetune.variants "{segue: {}, segue_move_only: {}}"
	$(BIN)/segue ablate studies/ablations/real/small-data.yaml --runs $(RUNS) --cohort.folder $(CHEST)
	set -e; $(foreach name,$(MOVING),$(BIN)/segue ablate studies/ablations/moving/$(name).yaml --runs $(RUNS) --cohort.folder $(CHEST);)
	set -e; $(foreach name,$(CHOSEN),$(BIN)/segue ablate studies/ablations/validation/$(name).yaml --runs $(RUNS) $(FOLDER_$(name));)
	$(call keep,coronary-phantom)
	$(call keep,coronary-broadcast)
	$(call keep,chest-zones)
	$(call keep,chest-small)
	$(call keep,chest-256)
	$(call keep,cardiac-sectors)
	$(call keep,chest-ratio)
	$(call keep,cardiac-thickness)
	$(call keep,coronary-strips)
	$(call keep,hippocampus)
	$(call keep,oct-coronary)
	$(call keep,oct-plaque)
	$(call keep,coronary-stenosis)
	cp $(RUNS)/hippocampus/evaluate/slices.png results/hippocampus/
	$(call keep_ablation,small-data)
	$(foreach name,$(MOVING) $(CHOSEN),$(call keep_ablation,$(name));)
	cp $(RUNS)/chest-small/shifted/shifts.* results/chest-small/
	cp $(RUNS)/cardiac-sectors/shifted/shifts.* results/cardiac-sectors/

FULL := coronary-phantom-full
# The papers' methods alone, with parents that are broadcast, as published.
BROADCAST := --hvae.conditioning "[broadcast]" --finetune.variants "{}"
full: $(VENV)/ready ## the phantom's study at full budget, to results/coronary-phantom-full: three hours on 2 cores
	$(BIN)/segue run studies/$(FULL).yaml --runs $(RUNS)
	$(BIN)/segue run studies/$(FULL).yaml --runs $(RUNS) --name $(FULL)-broadcast $(BROADCAST)
	$(call keep,$(FULL))
	$(call keep,$(FULL)-broadcast)
	cp $(RUNS)/$(FULL)/report/curves.png results/$(FULL)/

# The stages that chest-small and coronary-phantom-full have trained are used again; `make results full` comes first, or all is trained.
baselines: $(VENV)/ready ## what others would use instead, in one table each for chest and phantom: to results/baselines
	$(BIN)/segue evaluate studies/baselines/chest.yaml --runs $(RUNS) --cohort.folder $(CHEST)
	$(BIN)/segue evaluate studies/baselines/phantom.yaml --runs $(RUNS)
	$(BIN)/segue evaluate studies/baselines/phantom.yaml --runs $(RUNS) --name baselines-phantom-broadcast $(BROADCAST) --baselines "{}"
	set -e; $(foreach name,chest phantom phantom-broadcast,mkdir -p results/baselines/$(name); \
	  cp $(KEPT:%=$(RUNS)/baselines-$(name)/evaluate/%) results/baselines/$(name)/;)

tuning: $(VENV)/ready-dev ## settings of the baselines on validation subjects, after `make baselines`: results/baselines/*/tuning.json
	$(BIN)/python -m benchmarks.tune_baselines --study studies/baselines/chest.yaml --runs $(RUNS) --cohort.folder $(CHEST) \
	  --out results/baselines/chest/tuning.json
	$(BIN)/python -m benchmarks.tune_baselines --study studies/baselines/phantom.yaml --runs $(RUNS) --images 15 \
	  --out results/baselines/phantom/tuning.json

ONLY ?= $(basename $(notdir $(wildcard studies/ablations/*.yaml)))
ablations: $(VENV)/ready ## every ablation of studies/ablations, to results/ablations (make ablations ONLY=regions)
	@set -e; $(foreach name,$(ONLY),\
	  $(BIN)/segue ablate studies/ablations/$(name).yaml --runs $(RUNS); \
	  $(call keep_ablation,$(name));)

MODELS := src/segue/models
# What each shipped model is exported from, and how. Radiographs may not be published, simulated images may.
RUN_coronary-phantom := $(FULL)
EXPORT_coronary-phantom := --examples 4 --license apache-2.0
RUN_chest := chest-small
EXPORT_chest := --license other

SHIPPED ?= coronary-phantom chest
models: $(VENV)/ready ## the models that the package ships, from their runs (RUNS=folder of the runs, SHIPPED=names)
	@mkdir -p $(MODELS); set -e; $(foreach name,$(SHIPPED),\
	  rm -rf $(RUNS)/export/$(name); \
	  $(BIN)/segue export $(RUNS)/$(RUN_$(name)) --out $(RUNS)/export/$(name) \
	    --notes studies/$(RUN_$(name)).md $(EXPORT_$(name)); \
	  rm -rf $(MODELS)/$(name); mv $(RUNS)/export/$(name) $(MODELS)/$(name);)
	$(BIN)/python -m benchmarks.pack_judge $(RUNS)/$(FULL)
	du -sh $(MODELS)/*

BOARD := results/leaderboard/leaderboard.json
leaderboard: $(VENV)/ready-dev ## the rows of docs/benchmark.md, from the run of `make full`
	$(BIN)/segue benchmark nothing untrained_warp truth coronary-phantom --out $(BOARD)
	set -e; $(foreach name,no_cft reg_cft pos_seg_cft segue_move_only,\
	  $(BIN)/segue benchmark $(RUNS)/$(FULL) --method $(name) --out $(BOARD);)

use: $(VENV)/ready-dev ## is it of use? augmentation, bias, progression (docs/use.md), from the runs chest-small and coronary-phantom-full
	@set -e; for name in augmentation bias progression; do $(BIN)/python -m benchmarks.use.$$name --runs $(RUNS); done; $(BIN)/python -m benchmarks.use.figures

rank: $(VENV)/ready-dev ## the mini-benchmark: trains four tiny studies; fails if the ranking in results/rank.json regresses
	$(BIN)/python -m benchmarks.rank

# Each takes --quick, --out and its own scale: .venv/bin/python -m benchmarks.step --help
BENCHMARKS := step step_pair finetuning requests reference backends growth cohort coverage precision generation explorer

bench: $(VENV)/ready-dev ## speed and memory against references, to results/benchmarks (make bench QUICK=1: a few minutes)
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(if $(QUICK),--quick); done

scm: $(VENV)/ready-dev ## the causal model of variables against the phantom's true one, and dowhy's: results/benchmarks/scm.json
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[bench]"
	$(BIN)/python -m benchmarks.scm

coupled: $(VENV)/ready-dev ## effects along the graph, from image to image, on the coupled phantom: results/coronary-coupled, benchmarks/coupled.json
	$(BIN)/segue run studies/coronary-coupled.yaml --runs $(RUNS)
	$(call keep,coronary-coupled)
	cp $(RUNS)/coronary-coupled/scm/graph.png results/coronary-coupled/
	$(BIN)/python -m benchmarks.coupled --run $(RUNS)/coronary-coupled

SITE ?= build/site
docs: $(VENV)/ready-dev ## the documentation site, its tutorials run, its links checked: build/site/html (make docs-serve shows it)
	$(BIN)/python -m docs.site --out $(SITE)

docs-serve: docs
	$(BIN)/python -m http.server --directory $(SITE)/html 8000

tables: $(VENV)/ready-dev ## the tables of README and docs/, from the numbers in results/
	$(BIN)/python -m docs.site.tables

screenshots: $(VENV)/ready-dev ## the pictures of docs/explorer.md, from the run of `make demo` (needs Chromium)
	$(BIN)/python docs/screenshots.py $(RUNS)/coronary-demo

explore: $(VENV)/ready ## ask the demo's models for counterfactuals with sliders, in the browser
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[explore]"
	$(BIN)/segue explore $(RUNS)/coronary-demo

faults: $(VENV)/ready-dev ## damaged and hostile files, kills, full disks, hostile clients: all of tests/faults, figures to results/faults
	rm -rf results/faults && mkdir -p results/faults
	SEGUE_FAULTS=results/faults $(BIN)/python -m pytest -m "slow or not slow" tests/faults

# Tools of a release stand in an environment of their own: they are no part of what they list.
TOOLS := .tools
$(TOOLS)/ready:
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check uv==0.9.7 cyclonedx-bom==7.5.0 pip-licenses==5.5.5
	@touch $@

lock: $(TOOLS)/ready ## requirements.lock: every version of constraints.txt with the hashes of its files
	$(TOOLS)/bin/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes \
	  -c constraints.txt --default-index https://pypi.org/simple --quiet --output-file requirements.lock

BOM ?= dist/segue.cdx.json
bom: $(VENV)/ready $(TOOLS)/ready ## the bill of materials (CycloneDX) of the environment that a user gets
	@mkdir -p $(dir $(BOM))
	$(TOOLS)/bin/cyclonedx-py environment $(BIN)/python --output-format JSON --output-file $(BOM)

licences: $(VENV)/ready-dev $(TOOLS)/ready ## docs/licences.md: the licence of every package of the environment
	{ printf '# Licences of dependencies\n\n`make licences` writes this page: all packages of the environment of the tests, their own word.\n\n'; \
	  $(TOOLS)/bin/pip-licenses --python=$(BIN)/python --format=markdown --from=mixed --ignore-packages segue-counterfactual; \
	} > docs/licences.md

clean: ## remove the environment and the caches; runs/ stays
	rm -rf $(VENV) $(TOOLS) .mypy_cache .pytest_cache .ruff_cache .hypothesis
