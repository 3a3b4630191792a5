# %% [markdown]
# # Your own data
#
# segue learns from a folder of images and masks. Here forty simulated arteries stand for your folder. All budgets are so small
# that the tutorial takes half a minute, and its answers are poor. Leave the options `--*.budget.*` away for a real training.

# %% language="bash"
# segue phantom scans --images 40 --size "[16, 48]" --seed 3

# %%
from pathlib import Path

sorted(str(path) for path in Path("scans").rglob("*.*"))[:4]

# %% [markdown]
# `segue init` looks at the folder, says what it found, and writes a study.

# %% language="bash"
# segue init scans -o study.yaml

# %%
print(Path("study.yaml").read_text())

# %% [markdown]
# Read the study through. Give the labels their names, say in which regions each one is measured, and set the size of the images.
# [Your data](../data.md) explains every key, [all keys](../study.md) lists them. We write this study of three structures by thirds
# of the vessel:

# %%
study = """
name: arteries
cohort:
  folder: scans
  structures: {lumen: 1, calcified_plaque: 2, noncalcified_plaque: 3}
  size: [16, 48]
  intensity: [-200, 1200]
  split: {guide: 0.4, judge: 0.2, validation: 0.1, test: 0.3}
partitions:
  thirds: {kind: axis, axis: 1, regions: [proximal, mid, distal]}
variables: {lumen: thirds, calcified_plaque: thirds}
segmentor: {arch: unet, width: 8, patch: 1}
judge: {arch: segresnet, width: 8, patch: 1}
hvae: {widths: [8, 16], depths: [1, 1], latent: 2, reach: 2, head: 8}
finetune: {guides: [none, region]}
evaluate: {images: 6, rows: 2, bootstrap: 50}
"""
_ = Path("arteries.yaml").write_text(study)

# %% language="bash"
# segue run arteries.yaml --segmentor.budget.steps 150 --segmentor.budget.lr 0.01 --judge.budget.steps 100 --judge.budget.lr 0.01 \
#   --hvae.budget.steps 40 --finetune.budget.steps 20 --regressor.budget.steps 4

# %% [markdown]
# The report `runs/arteries/report/report.html` has every number and figure. Its verdict says that these networks were trained too
# briefly to be relied on. The model answers all the same:

# %%
import segue

model = segue.load("runs/arteries")
image, spacing = model.read("scans/images/" + sorted(p.name for p in Path("scans/images").iterdir())[0])
answer = model.counterfactual(image, do={"lumen@mid": "+1sd"}, spacing=spacing)
print(*answer.verdict[0].lines(), sep="\n")

# %% [markdown]
# Next: [judge somebody else's method](another-method.md) with this run, or [explore](../explorer.md) it with sliders.
