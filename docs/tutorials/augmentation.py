# %% [markdown]
# # Augmentation
#
# A counterfactual is a training image with another anatomy, and the guide labels it. segue is a MONAI transform (and a TorchIO
# one). First the warning: in our own experiment on radiographs this did **not** help a segmentor ([Use](../use.md)). It did help a
# classifier that had learned a wrong cue.

# %%
import torch
from monai.transforms import Compose

import segue
from segue.bridges.monai import RandCounterfactuald

model = segue.load("coronary-phantom")
chain = Compose([RandCounterfactuald("image", model, {"lumen@mid": (-1.5, 1.5)}, prob=1.0, label_keys={"label": "guide"})])
chain = chain.set_random_state(0)

# %% [markdown]
# For each image a change between -1.5 and +1.5 standard deviations is drawn. `label` becomes the guide's segmentation of the
# counterfactual.

# %%
image = model.examples()[0]
samples = [chain({"image": image, "label": torch.zeros_like(image)}) for _ in range(4)]
for sample in samples:
    said = sample["image"].meta["counterfactual"]
    print(said["do"], said["verdict"], "- lumen pixels:", int((sample["label"] == 1 + model.structures.index("lumen")).sum()))

# %%
from matplotlib.figure import Figure

figure = Figure(figsize=(9, 4.2), layout="constrained")
grid = figure.subplots(4, 2)
for row, sample in zip(grid, samples, strict=True):
    row[0].imshow(sample["image"][0], cmap="gray", vmin=-200, vmax=1200)
    row[1].imshow(sample["label"][0], cmap="viridis", vmin=0, vmax=len(model.structures))
    for axes in row:
        axes.set_axis_off()
figure

# %% [markdown]
# Left: the counterfactuals. Right: their labels. Answers that are not met stay in: filter by the word of the verdict if you need
# to. A whole cohort at once is `segue generate` ([Counterfactuals of a whole cohort](../generate.md)).
