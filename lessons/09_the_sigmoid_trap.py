# %% [markdown]
# # 9. The sigmoid trap
#
# **Question.** One network, written in two ways, gets two heatmaps: which is right?
#
# **Running time.** 10 seconds. **Before it.** [8. The ledger](08_the_ledger.py).
#
# The paper uses sigmoid neurons. LRP, one often reads, works for any activation function. This
# lesson shows where it fails for the sigmoid, why it fails, and how a small rewriting cures it.
#
# That f(0) must be 0 is known to those who write LRP software: lrp_toolbox warned in 2018 that a
# sigmoid can switch relevance's sign (issue 12), captum refuses the sigmoid (issue 1361), and
# zennit discusses a warning (issue 212). What we add is a cure that needs no new rule, and a
# measurement: what it does to every test image. (DeepLIFT, Shrikumar et al. 2016, counts
# differences from a reference, and so comes to nearly the same heatmaps.)
#
# ## A neuron with nothing to report
#
# Two inputs contribute 1 and -0.99. So z = 0.01: the neuron has hardly been moved. Its output is
# σ(0.01) = 0.5025, nearly the half of lesson 2. It passes this on with a weight of 1, and no other
# neuron leads to the output. So its relevance is 0.5025, and it must redistribute that to its
# inputs.

# %%
import numpy as np
from lrp_numpy.layers.activations import sigmoid
from lrp_numpy.rules import lrp_0

x, W, b = np.array([[1.0, 1.0]]), np.array([[1.0], [-0.99]]), np.zeros(1)
z = x @ W + b
a = sigmoid(z)
R_hidden = a * 1.0
R_pixels = lrp_0(x, W, b, R_hidden)
print("z =", z, " a =", a.round(4), " R_pixels =", R_pixels.round(2))
assert np.allclose(R_pixels, [[50.2, -49.7]], atol=0.1)

# %% [markdown]
# 50 and -50, for a neuron that was hardly moved. The pixels did not make its output: with both
# of them at 0 it would be 0.5, nearly the same.
#
# ## The pole
#
# LRP-0 gives R / z to each unit of contribution, and here R is a = σ(z) times the weight above. So
# everything depends on σ(z) / z. Here it is for some z:

# %%
for value in (2.0, 0.5, 0.1, 0.01, -0.01, -0.1, -0.5, -2.0):
    print(f"z = {value:5}: sigmoid(z) / z = {sigmoid(np.array(value)) / value:7.2f}")
assert sigmoid(np.array(0.01)) / 0.01 > 50 and sigmoid(np.array(-0.01)) / -0.01 < -49

# %% [markdown]
# Two things are wrong with it. Near z = 0 it grows without bound: that is a **pole**. And below 0
# it is **negative**: there the output is still positive (0.4975 at z = -0.01), and LRP gives
# negative relevance to the very inputs that raised it.
#
# ## The rewriting
#
# The inputs did not make the half. It is a constant, and constants belong in the bias. So let the
# neuron output σ(z) - 1/2 instead, and give the half to the bias of the next layer:
#
# $$\sum_j \sigma(z_j)\, w_{jk} + b_k = \sum_j \left(\sigma(z_j) - \tfrac12\right) w_{jk} +
# \underbrace{b_k + \tfrac12 \sum_j w_{jk}}_{\text{new bias}}$$
#
# Nothing else changes: every output of the network stays as it is. What LRP now gives to each unit
# of contribution is (σ(z) - 1/2) / z, times the weight above.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

z_axis = np.linspace(-6, 6, 1200)
plain, centred = sigmoid(z_axis) / z_axis, (sigmoid(z_axis) - 0.5) / z_axis
figure, grid = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
grid[0].plot(z_axis, np.where(np.abs(z_axis) < 0.03, np.nan, plain), color="black")
grid[0].set(title="σ(z) / z has a pole at 0", ylim=(-8, 8))
grid[1].plot(z_axis, centred, color="black")
grid[1].set(title="(σ(z) - 1/2) / z has none", ylim=(0, 0.3))
for axes in grid:
    axes.axhline(0, color="0.8", zorder=0)
    axes.axvline(0, color="0.8", zorder=0)
    axes.set(xlabel="pre-activation z", ylabel="relevance per unit")
show(figure, "09_pole", "the pole, and the curve without it")
print(f"for z from -6 to 6, (sigmoid(z) - 1/2) / z lies between {centred.min():.3f} and "
      f"{centred.max():.3f}")
assert (centred > 0).all() and centred.max() <= 0.25

# %% [markdown]
# Mind the scales. The right curve is positive, smooth and at most 1/4, which is the slope of the
# sigmoid at 0. (It is tanh(z/2) / (2z): the sigmoid is a tanh in disguise.) The neuron from the
# beginning now outputs 0.0025, and that is all it has to redistribute:

# %%
R_pixels = lrp_0(x, W, b, (a - 0.5) * 1.0)
print("R_pixels =", R_pixels.round(4), " and 0.5 for the bias of the output")
assert np.allclose(R_pixels, [[0.25, -0.2475]], atol=1e-4)

# %% [markdown]
# ## The network of the paper
#
# `zero_centred` rewrites a network. And `explain` warns when that is needed:

# %%
import warnings

import lrp_numpy as lrp

digits = lrp.load_mnist()
images, labels = digits.test_images, digits.test_labels
net = lrp.MLP.random([784, 500, 10], activation="sigmoid", rng=0)
lrp.train(net, digits, epochs=10, rng=0)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    plain = lrp.explain(net, images, "0")
print("explain warns:", caught[0].message)
assert "zero_centred" in str(caught[0].message)

# %% [markdown]
# First: is it really the same network?

# %%
rewritten = lrp.zero_centred(net)
centred = lrp.explain(rewritten, images, "0")
difference = np.abs(rewritten.forward(images) - net.forward(images)).max()
print(f"largest difference of all {net.forward(images).size:,} logits: {difference:.1e}")
print("hidden activations: from", net.activations(images)[1].min().round(3), "to",
      net.activations(images)[1].max().round(3), "- now from",
      rewritten.activations(images)[1].min().round(3), "to",
      rewritten.activations(images)[1].max().round(3))
assert difference < 1e-4

# %% [markdown]
# It is. And the heatmaps?

# %%
chosen = [int(np.argmax(labels == k)) for k in (0, 1, 2, 4, 7)]
show(lrp.plotting.heatmaps([plain.input[chosen], centred.input[chosen]], labels[chosen],
                           ["as it stands", "zero-centred"], images[chosen],
                           title="One network, written in two ways"), "09_heatmaps",
     "five digits, explained twice")
similar = [np.corrcoef(one, other)[0, 1] for one, other in zip(plain.input, centred.input)]
size = [np.median(np.abs(e.input).max(axis=1)) for e in (plain, centred)]
print(f"largest |R| of an image, median: {size[0]:.2f} as it stands, {size[1]:.2f} zero-centred")
print(f"correlation of the two heatmaps of an image, median: {np.median(similar):.2f}")
assert size[0] > 2 * size[1] and np.median(similar) < 0.6

# %% [markdown]
# The same images, the same logits, and two different stories. The ledger cannot tell which story is
# right, for both of them add up:

# %%
for name, e in (("as it stands", plain), ("zero-centred", centred)):
    for number, row in enumerate(e.ledger, start=1):
        print(f"{name:13} layer {number}: received {row.received.mean():6.3f} = inputs "
              f"{row.inputs.mean():6.3f} + bias {row.bias.mean():6.3f}")
        assert np.allclose(row.received, row.inputs + row.bias, atol=0.1)

# %% [markdown]
# ## The test
#
# A heatmap makes a claim: these pixels are evidence for the prediction, those against it. So set
# 15 % of the pixels to 0, once the most relevant first (MoRF) and once the least relevant first
# (LeRF), and run the network again. (This is pixel flipping; lesson 10 examines it closely.)

# %%
accuracy = {}
for name, e in (("as it stands", plain), ("zero-centred", centred)):
    for first in ("morf", "lerf"):
        flipped = lrp.flip(images, e.input, first, fraction=0.15)
        accuracy[name, first] = (net.predict(flipped) == labels).mean()
original = (net.predict(images) == labels).mean()
print(f"accuracy on the original images: {original:.1%}")
print(f"{'':13}   MoRF    LeRF")
for name in ("as it stands", "zero-centred"):
    print(f"{name:13} {accuracy[name, 'morf']:6.1%}  {accuracy[name, 'lerf']:6.1%}")
assert accuracy["as it stands", "lerf"] < 0.8 and accuracy["as it stands", "morf"] > 0.1
assert accuracy["zero-centred", "lerf"] > original - 0.005
assert accuracy["zero-centred", "morf"] < 0.05

# %% [markdown]
# Both rows test the same network; only the choice of the pixels differs. As it stands, LRP calls
# pixels "least relevant" that the network badly needs. Zero-centred, the least relevant pixels cost
# nothing, and the most relevant ones cost everything.
#
# ## Where is zero, for the pixels?
#
# We wrote the hidden neurons so that 0 means "nothing". What about the pixels? In our images 0 is
# paper and 1 is ink. Many programs use -1 and 1 instead. It is the same function if the first
# layer is adapted: x' = 2x - 1, W' = W / 2, b' = b + the sum of W's rows / 2. By hand, one neuron
# with w = (2, 1), b = -1 and the pixels (1, 0), so z = 1:
#
# | coding | pixels | w | b | LRP-0 of the pixels | of the bias |
# |---|---|---|---|---|---|
# | 0 to 1 | 1, 0 | 2, 1 | -1 | 2, 0 | -1 |
# | -1 to 1 | 1, -1 | 1, 1/2 | 1/2 | 1, -1/2 | 1/2 |
#
# In the second row paper is not nothing any more: it is -1, and it gets relevance. Now the digits,
# with a ReLU network. Predict: how similar (correlated) are the heatmaps?

# %%
relu = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
lrp.train(relu, digits, epochs=5, rng=0, progress=False)
lower, upper = relu.layers
signed = lrp.MLP.from_arrays([lower.W / 2, upper.W],
                             [lower.b + lower.W.sum(axis=0) / 2, upper.b], activation="relu")
difference = np.abs(signed.forward(2 * images - 1) - relu.forward(images)).max()
print(f"largest difference of the logits: {difference:.1e}")
assert difference < 1e-4
similar = {}
for name, rule, rule_signed in (
        ("LRP-0", "0", "0"),
        ("epsilon", "epsilon", "epsilon"),
        ("z-B, then LRP-0", ["z_box", "0"], [("z_box", {"low": -1, "high": 1}), "0"])):
    one, other = (lrp.explain(relu, images, rule).input,
                  lrp.explain(signed, 2 * images - 1, rule_signed).input)
    similar[name] = np.median([np.corrcoef(R, S)[0, 1] for R, S in zip(one, other)])
    on_paper = [np.abs(R[images == 0]).sum() / np.abs(R).sum() for R in (one, other)]
    print(f"{name:15} correlation {similar[name]:.2f}; share of |R| on empty pixels: "
          f"0 to 1 {on_paper[0]:.0%}, -1 to 1 {on_paper[1]:.0%}")
assert similar["LRP-0"] < 0.5 and similar["epsilon"] < 0.5 and similar["z-B, then LRP-0"] > 0.9999
R, S = (lrp.explain(net, x[None], "0").input for net, x in (
    (lrp.MLP.from_arrays([np.array([[2.0], [1.0]])], [np.array([-1.0])], "identity"),
     np.array([1.0, 0.0])),
    (lrp.MLP.from_arrays([np.array([[1.0], [0.5]])], [np.array([0.5])], "identity"),
     np.array([1.0, -1.0]))))
assert R.tolist() == [[2, 0]] and S.tolist() == [[1, -0.5]]

# %% [markdown]
# The same network, the same images, and a different heatmap, once more: LRP-0 measures each pixel
# from the number that happens to be called 0. Kindermans et al. 2019, "The (Un)reliability of
# Saliency Methods", hold this against many methods. The rule **z-B** (lesson 6) does not mind: it
# measures each pixel from the bound, low or high, that lowers z most, and the bounds move with the
# coding. The price: a rule that does not multiply by the pixel gives empty pixels relevance, too.
#
# So decide what "nothing" is, before you explain. For ink on paper, 0 = no ink is a good answer,
# and the lessons keep it.
#
# ## What we have learned
#
# - LRP depends on how a network is written, not only on what it computes.
# - It treats z = 0 as "nothing was contributed". So an activation with f(0) ≠ 0 must be rewritten
#   first.
# - It treats a pixel of 0 as "nothing is there". z-B is the rule for pixels for which that is not
#   so.
# - ReLU and tanh have f(0) = 0 and need no rewriting.

# %%
for activation in ("relu", "tanh"):
    other = lrp.MLP.random([784, 50, 10], activation=activation, rng=0)
    same = lrp.zero_centred(other)
    print(activation, "stays as it is:", [layer.activation for layer in same.layers])
    assert all((one.b == two.b).all() for one, two in zip(other.layers, same.layers))

# %% [markdown]
# ## Try it
#
# - Explain the network as it stands with `rule="epsilon"`. Why does that help? And does gamma?
# - The softplus log(1 + exp(z)) is a smooth ReLU. What is its f(0)? Train a network with
#   `activation="softplus"` and repeat the test.
# - Shift by 0.3 instead of 0.5 (work out the new bias by hand). Where is the pole now?
#
# **Write it yourself:** the new bias.
# [The exercise](exercises/ex09_zero_centring.py) tells you which kind of wrong an answer is.
#
# Next: [10. Pixel flipping](10_removing_pixels.py).
