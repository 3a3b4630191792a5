# %% [markdown]
# # A causal graph
#
# Without a graph, segue changes what you ask for and holds all else. With a graph, causes have effects: more plaque narrows the
# lumen. Here we fit such a model to five variables of the coupled phantom, whose true equations are known, and compare.

# %%
import numpy as np
import torch

from segue import phantom
from segue.causal import SCM, causal_graph, check_graph
from segue.training.fit_scm import fit_scm

names = ("age", "burden", "calcified_plaque@proximal", "noncalcified_plaque@proximal", "lumen@proximal")
plaques = names[2:4]
graph = {**{plaque: ["age", "burden"] for plaque in plaques}, "lumen@proximal": list(plaques)}


def drawn(subjects, seed):
    noise = phantom.draw(subjects, seed=seed, law="coupled")
    return noise, columns(phantom.solve(noise))


def columns(values):
    return torch.from_numpy(np.stack([values[name] for name in names], axis=1).astype(np.float32))


_, training = drawn(1500, seed=0)
_, held_out = drawn(500, seed=1)

# %% [markdown]
# ## Test the graph before it is used
#
# A graph implies independencies. A wrong graph is refuted by data, a right one is not. Here the second graph leaves out that age
# and burden cause plaque:

# %%
data = {name: training[:, i : i + 1].numpy() for i, name in enumerate(names)}
for title, edges in {"our graph": graph, "without causes of plaque": {"lumen@proximal": list(plaques)}}.items():
    tests = check_graph(causal_graph(edges, names), data)
    print(f"{title}: {sum(test.refuted for test in tests)} of {len(tests)} independencies refuted")

# %% [markdown]
# ## Fit the mechanisms
#
# Each variable is a function of its parents and of noise. An area of plaque is often 0, so its mechanism is censored.

# %%
kinds = {name: {"kind": "censored", "limit": 0.0} if name in plaques else {"kind": "continuous"} for name in names}
torch.manual_seed(0)
scm = SCM(names=names, graph=graph, kinds=kinds, hidden=(16,), bins=4)
fits = fit_scm(scm, training, held_out, epochs=15, batch_size=256, patience=4)
scm.requires_grad_(False)
{name: round(fit.held_out, 2) for name, fit in fits.items()}

# %% [markdown]
# ## Ask it: what if this person had been ten years older?
#
# The phantom can compute the true answer: the same noise, another age.

# %%
noise, factual = drawn(400, seed=2)
older = factual[:, 0] + 10
truth = columns(phantom.solve(noise, {"age": older.double().numpy()}))
found = scm.counterfactual(factual, {"age": older})
for i, name in enumerate(names[1:], start=1):
    true, ours = (truth - factual)[:, i].mean(), (found - factual)[:, i].mean()
    print(f"{name:>30}: {true:+.2f} in truth, {ours:+.2f} by the model")

# %% [markdown]
# Burden is no effect of age, so it stays exactly. Where a person has no plaque, the noise is known only to lie below a limit. The
# model takes its median, so plaque that appears is not known exactly.
#
# ## Total, direct, indirect
#
# Age narrows this lumen only through plaque: the graph has no edge from age to lumen. So the direct effect is 0.

# %%
effects = scm.effects(factual, {"age": older})
lumen = names.index("lumen@proximal")
{kind: round(float(getattr(effects, kind)[:, lumen].mean()), 2) for kind in ("total", "direct", "indirect")}

# %% [markdown]
# In a study, `graph:` states the graph, and `segue.load(...).counterfactual(image, do={"age": "+10"})` changes the image along it.
# [A causal graph over the variables](../graph.md) explains how to find a graph, and what is not identified.
