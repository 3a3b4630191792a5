# %% [markdown]
# # When to trust an answer
#
# A model answers every question. Some answers are wrong. So each answer has a verdict: what was asked, what was achieved, and
# every reason for doubt. This tutorial makes a model fail, on purpose.

# %%
import segue

model = segue.load("coronary-phantom")
image = model.examples()[:1]
good = model.counterfactual(image, do={"lumen@mid": "+1sd"})
good.verdict[0].word, good.verdict[0].ok

# %% [markdown]
# ## Too much is asked
#
# No training image has such a lumen. The model comes as far as it can, and the verdict says how far that was.

# %%
far = model.counterfactual(image, do={"lumen@mid": "+300%"})
print(far.verdict[0].word, *far.verdict[0].lines(), sep="\n")

# %%
far.plot(0)

# %% [markdown]
# ## The image is none for this model
#
# The input check compares the image with the training images. It names a mend if it has tried one that helps. Here bright and
# dark are swapped:

# %%
low, high = float(image.min()), float(image.max())
swapped = low + high - image
print(*model.counterfactual(swapped, do={"lumen@mid": "+1sd"}).verdict[0].lines(), sep="\n")

# %% [markdown]
# ## Make a failure an error
#
# In a script nobody reads verdicts. `strict=True` makes a request that is not met an error (`--strict` on the command line).

# %%
try:
    model.counterfactual(image, do={"lumen@mid": "+300%"}, strict=True)
except segue.InputError as error:
    print(error)

# %% [markdown]
# ## What a verdict does not say
#
# It compares areas that segmentors measure. It does not know what a reader would see. Look at the picture too.
# [Verdicts](../verdicts.md) has every doubt and its limit, [the input check](../input-check.md) says how often it is wrong.
