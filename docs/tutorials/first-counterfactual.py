# %% [markdown]
# # A first counterfactual
#
# What would an image look like if one area were larger, and nothing else had changed? This tutorial asks a model that comes
# with the package. It needs no data and no GPU, and takes seconds.

# %%
import segue

segue.shipped()

# %%
model = segue.load("coronary-phantom")
model.variables

# %% [markdown]
# A variable is the area of a structure in a region: `calcified_plaque@mid` is the calcified plaque in the middle third of the
# vessel. The model has four images to try. We ask for 50% more plaque in the middle third of the first one.

# %%
images = model.examples()[:1]
answer = model.counterfactual(images, do={"calcified_plaque@mid": "+50%"})
answer

# %% [markdown]
# Was it done? The guide measures the counterfactual, and the verdict says whether the request was met.

# %%
print(*answer.verdict[0].lines(), sep="\n")

# %%
answer.plot(0)

# %% [markdown]
# From the left: the image, its counterfactual, and the difference. Outlines are those of the guide. The rectangle is the region.
#
# ## Ways to ask
#
# A request is a value, a change in percent or in standard deviations (sd), or a quantile of the training images. Several
# variables can change at once.

# %%
for request in (6.0, "+50%", "-1sd", "q0.9"):
    one = model.counterfactual(images, do={"calcified_plaque@mid": request})
    name = "calcified_plaque@mid"
    print(f"{request!s:>5}: asked for {float(one.requested[name]):.2f} mm2, measured {float(one.achieved[name]):.2f} mm2")

# %%
both = model.counterfactual(images, do={"calcified_plaque@mid": "+50%", "lumen@mid": "-1sd"})
both.table().select("variable", "factual", "requested", "achieved").filter(both.table()["requested"].is_not_null())

# %% [markdown]
# ## Keep it
#
# `save` writes the counterfactual, the difference, the masks, and the verdict of each image.

# %%
sorted(path.name for path in answer.save("answers"))

# %% [markdown]
# On the command line the same is `segue counterfactual MODEL IMAGE --do "calcified_plaque@mid=+50%"`. Next:
# [when to trust an answer](trust.md).
