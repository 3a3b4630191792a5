# %% [markdown]
# # Somebody else's method in our table
#
# segue judges any method: yours, in any framework. It exports images and requests, your method writes an answer for each, and the
# same judge measures all. This needs the run of [Your own data](your-own-data.md).

# %% language="bash"
# segue requests runs/arteries --out requests

# %%
import csv
from pathlib import Path

rows = list(csv.DictReader(Path("requests/requests.csv").read_text().splitlines()))
len(rows), rows[0]

# %% [markdown]
# A "method" of four lines: make the pixels of the region brighter where more is asked, darker where less is asked.

# %%
import json

import nibabel
import numpy as np

variables = json.loads(Path("requests/about.json").read_text())["variables"]
Path("answers-of-mine").mkdir(exist_ok=True)
for row in rows:
    image = nibabel.load(f"requests/images/{row['id']}.nii.gz")
    region = nibabel.load(f"requests/regions/{row['id']}.nii.gz").get_fdata()[..., list(variables).index(row["variable"])]
    sign = np.sign(float(row["requested"]) - float(row["factual"]))
    changed = image.get_fdata() + 100 * sign * region.reshape(image.shape)
    nibabel.save(nibabel.Nifti1Image(changed.astype(np.float32), image.affine), f"answers-of-mine/{row['answer']}")

# %% language="bash"
# segue evaluate runs/arteries --method mine=answers-of-mine

# %% [markdown]
# `mine` stands in the same table as the methods of the run: the error of the request, what changed elsewhere, where the image
# changed. [Judge your own method](../judge-your-method.md) has all columns.
#
# ## Without a run: the public benchmark
#
# The phantom's true counterfactuals are known. `segue.benchmark` measures the distance to them: 1 is as far as doing nothing, 0 is
# the truth. (Two images here; a row of the leaderboard has 100.)

# %%
import segue
from segue.engine.method import of_function

for name, method in {
    "nothing": of_function(lambda facts, requested: facts.image),
    "coronary-phantom": segue.load("coronary-phantom"),
}.items():
    row = segue.benchmark(method, name=name, images=2)
    print(f"{name}: distance {row['distance']:.2f}, error {row['error_sd']:.2f} sd")
