# %% [markdown]
# # 16. A convolutional network
#
# **Question.** What does each layer of a convolutional network see, and does LRP still hold?
#
# **Running time.** 25 seconds, 40 the first time. **Before it.** [6. The rules](06_rules.py)
# and [10. Pixel flipping](10_removing_pixels.py).
#
# The paper ends with a wish: a convolutional network (CNN), because there "each layer has its own
# visual representation". The paper's network has one hidden layer, and the neurons of all our
# networks so far have no place in the image. Here we fulfil the wish.
#
# ## A convolution by hand
#
# An image of 3 x 3 pixels, and a small **kernel** of 2 x 2 weights. Lay the kernel on the upper
# left corner, multiply the numbers that lie on each other, and add them up. Then move it by one
# pixel.
#
# ```
#  image      kernel      result
#  0 1 2       1  2       0·1 + 1·2 + 3·0 - 4·1 = -2      1·1 + 2·2 + 4·0 - 5·1 = 0
#  3 4 5       0 -1       3·1 + 4·2 + 6·0 - 7·1 =  4      4·1 + 5·2 + 7·0 - 8·1 = 6
#  6 7 8
# ```

# %%
import numpy as np
import lrp_numpy as lrp

image = np.arange(9.0).reshape(1, 1, 3, 3)          # (N, C, H, W): one image, one channel
W, b = np.array([[[[1.0, 2.0], [0.0, -1.0]]]]), np.zeros((1, 1, 1))
layer = lrp.Conv2D(W, b, "identity")
z = layer.forward(image)
print(z[0, 0])
assert z.tolist() == [[[[-2, 0], [4, 6]]]]

# %% [markdown]
# There is another way to see it. Each weight meets four of the pixels, a 2 x 2 part of the image:
# the image, shifted and cut. So a convolution is a sum of four shifted images, each times one
# weight. That is the equation in the package.

# %%
from lrp_numpy.ops.reference import shifted

parts = [W[0, 0, i, j] * shifted(image, i, j, (2, 2), stride=1) for i in (0, 1) for j in (0, 1)]
print("four shifted images, times a weight:", [part[0, 0].tolist() for part in parts])
assert (sum(parts) == z).all()

# %% [markdown]
# ## It is a matrix
#
# None of this is new. Each of the four results is a sum of pixels times weights, as in every layer
# before. So there is a matrix M with z = a @ M: one row for each of the 9 pixels, one column for
# each of the 4 results. To find it, send one pixel at a time through the layer.

# %%
one_pixel_each = np.eye(9).reshape(9, 1, 3, 3)
M = layer.forward(one_pixel_each).reshape(9, 4)
print(M.astype(int))
assert (image.reshape(1, 9) @ M == z.reshape(1, 4)).all()

# %% [markdown]
# Look at the columns: each has the same four weights, only further down. So a convolution is a
# Dense layer (every input leads to every output, as in all lessons before) in which most weights
# are 0, and the others are shared.
#
# LRP needs one thing more, the way back: `s @ W.T`. With M.T, each result sends its number back to
# the four pixels that it came from, along the same weights. This is the transposed convolution.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, axes = plt.subplots(1, 2, figsize=(7, 4), layout="constrained")
for ax, matrix, title, x_label, y_label in (
        (axes[0], M, "M: forward, z = a @ M", "result", "pixel"),
        (axes[1], M.T, "M.T: back, c = s @ M.T", "pixel", "result")):
    ax.imshow(matrix, cmap=lrp.plotting.RELEVANCE, vmin=-2, vmax=2)
    for (row, column), weight in np.ndenumerate(matrix):
        ax.text(column, row, f"{weight:g}", ha="center", va="center",
                color="black" if weight else "0.75")
    ax.set(title=title, xlabel=x_label, ylabel=y_label, xticks=range(matrix.shape[1]),
           yticks=range(matrix.shape[0]))
show(figure, "16_matrix", "the convolution as a matrix, and its transpose")
s = np.array([[[[1.0, 0.0], [0.0, 10.0]]]])
back = layer.transpose(s, W, image.shape)
print(back[0, 0])
assert (back.reshape(1, 9) == s.reshape(1, 4) @ M.T).all()

# %% [markdown]
# In the print above, the first result sent 1 times the kernel back, and the last one 10 times. In
# the middle they meet: -1 + 10 = 9.
#
# ## The four lines, once more
#
# So we need not write the rules again. For `a @ W + b` they ask the layer, and for `s @ W.T` too.
# Here is LRP-epsilon of the convolution, and then every rule, compared with the same rule of the
# Dense layer that has the matrix M.

# %%
import warnings
from lrp_numpy.rules import RULES, lrp_epsilon

warnings.filterwarnings("ignore", message="gamma is made for")    # of a negative z: see lesson 6
R = np.array([[[[-2.0, 0.0], [4.0, 6.0]]]])
pixels = image / 8                                  # in [0, 1], as z_box needs them
print(lrp_epsilon(image, W, b, R, epsilon=1.0, layer=layer)[0, 0].round(2))
for name, lrp_rule in RULES.items():
    of_image = lrp_rule(pixels, W, b, R, layer=layer).reshape(1, 9)
    of_row = lrp_rule(pixels.reshape(1, 9), M, np.zeros(4), R.reshape(1, 4))
    print(f"{name:18} the same: {np.allclose(of_image, of_row)}")
    assert np.allclose(of_image, of_row) == (name != "flat")

# %% [markdown]
# All but one. "flat" gives every weight the same share, and M has weights that the kernel does not
# have: its zeros.
#
# ## Max pooling
#
# After a convolution, a CNN mostly keeps the largest of each 2 x 2 numbers: **max pooling**. It
# does not add up, so who gets the relevance? There are two common answers. "winner": the largest
# number gets all of it. "average": the four share it as if the layer had computed their mean. Take
# the numbers 1, 3, 0, 0 and R = 8.

# %%
for rule in ("winner", "average"):
    pool = lrp.MaxPool2D(2, rule=rule)
    tiny = lrp.Network([lrp.Unflatten((1, 2, 2)), pool, lrp.Flatten()])
    e = lrp.explain(tiny, np.array([[1.0, 3.0, 0.0, 0.0]]), start=8.0)
    print(f"{rule:8} output {e.logits[0]}, relevance {e.input[0]}")
    assert e.logits[0] == 3 and e.input[0].tolist() == {"winner": [0, 8, 0, 0],
                                                        "average": [2, 6, 0, 0]}[rule]

# %% [markdown]
# ## A network that reads digits
#
# `lenet` is a small network after LeNet-5 of 1998. We train it, and the network of the paper (with
# ReLU) beside it, on the same 8,000 digits. In NumPy that takes a while, because a convolution does
# its multiplications as many small products of shifted images, not as one large one. So we let the
# loops of lesson 23 do it (`engine="numba"`; the first run compiles them, later runs do not).

# %%
digits = lrp.load_mnist()
cnn, mlp = lrp.lenet(rng=0), lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
accuracy, weights = {}, {}
for name, net, epochs, learning_rate in (("CNN", cnn, 8, 2e-3), ("MLP", mlp, 10, 1e-3)):
    history = lrp.train(net, digits, epochs, learning_rate=learning_rate, rng=0, engine="numba")
    accuracy[name], weights[name] = history.accuracy[-1], lrp.evaluation.count_parameters(net)
    print(f"{name}: accuracy {accuracy[name]:.1%}, {weights[name]:,} weights, "
          f"{net.multiplications:,} multiplications, layers",
          [f"{type(layer).__name__} {shape}" for layer, shape in zip(net.layers, net.shapes[1:])])
assert 1 - accuracy["CNN"] < 0.6 * (1 - accuracy["MLP"]) and weights["CNN"] < weights["MLP"] / 7

# %% [markdown]
# A seventh of the weights, and about half of the mistakes. `explain` works for any network.

# %%
images, labels = digits.test_images, digits.test_labels
chosen = [int(np.argmax(labels == k)) for k in (0, 1, 2, 4, 7)]
of_both = [lrp.explain(net, images[chosen], rule) for rule in ("0", "gamma") for net in (mlp, cnn)]
print("relevance of the layers of the CNN:", [R.shape[1:] for R in of_both[3].relevance])
show(lrp.plotting.heatmaps([e.input for e in of_both], labels[chosen],
                           ["MLP, LRP-0", "CNN, LRP-0", "MLP, gamma", "CNN, gamma"], images[chosen],
                           title="Heatmaps of the CNN are calmer"), "16_heatmaps",
     "five digits, explained by both networks")
assert all((e.target == labels[chosen]).all() for e in of_both)

# %% [markdown]
# The CNN's heatmaps are calmer: neighbours agree more often in sign, since the same kernels cover
# them, and with gamma relevance follows the strokes. In numbers: if all evidence were positive, the
# sum of all |R| would be the logit less the share of the biases. The more positive and negative
# evidence cancel, the larger it is. Here it is, over the logit; the median of all test images:

# %%
size = {}
for rule in ("0", "gamma"):
    for name, net in (("MLP", mlp), ("CNN", cnn)):
        e = lrp.explain(net, images, rule, intermediate=False, engine="numba")
        size[name, rule] = np.median(np.abs(e.input).sum(axis=1) / e.ledger[-1].received)
        print(f"{name} {rule:6} sum of |R| over the logit: {size[name, rule]:.1f}")
assert all(size["CNN", rule] < 0.85 * size["MLP", rule] for rule in ("0", "gamma"))

# %% [markdown]
# ## Each layer has its own image
#
# Now the wish of the paper. LRP-gamma hands the logit of a digit 4 down layer by layer, and we draw
# the relevance of every layer that is an image. What leaves a convolution are **channels**, images
# of their own. On the left we add up the channels of a layer; beside it stand its eight largest,
# the eight of a row in one scale.

# %%
one = images[chosen[3]:chosen[3] + 1]
e = lrp.explain(cnn, one, "gamma")
rows = [("pixels", e.relevance[0].reshape(1, 28, 28)), ("first convolution", e.relevance[2][0]),
        ("its max pooling", e.relevance[3][0]), ("second convolution", e.relevance[4][0]),
        ("its max pooling", e.relevance[5][0])]
figure, grid = plt.subplots(5, 9, figsize=(9.2, 5.6), layout="constrained")
for row, (title, channels) in zip(grid, rows):
    for ax in row[1:]:
        ax.set_axis_off()
    summed = channels.sum(axis=0)
    lrp.plotting.draw_relevance(row[0], summed)
    row[0].set_ylabel(title.replace(" ", "\n", 1), fontsize=8)
    row[0].set_xlabel(f"±{np.abs(summed).max():.2g}", fontsize=8)
    for ax, c in zip(row[1:], np.argsort(-np.abs(channels).sum(axis=(1, 2)))):
        if len(channels) > 1:
            ax.set_axis_on()
            lrp.plotting.draw_relevance(ax, channels[c], limit=np.abs(channels).max())
grid[0, 1].set_axis_on()
lrp.plotting.draw_image(grid[0, 1], one[0])
for ax, title in ((grid[0, 0], "all channels"), (grid[1, 1], "eight largest")):
    ax.set_title(title, fontsize=8, loc="left")
figure.suptitle("The deeper the layer, the coarser the places", fontsize=10)
show(figure, "16_layers", "relevance in each layer")
totals = [float(R.sum()) for R in e.relevance]
print("sum of the relevance in each layer, pixels first:", np.round(totals, 2))
for number, row in enumerate(e.ledger):
    assert np.isclose(row.received[0], sum(part[0] for part in row[1:]), rtol=1e-4)
    assert np.isclose(row.inputs[0], totals[number], rtol=1e-3)

# %% [markdown]
# Read it from the bottom up. In the bottom row each channel has only 5 x 5 places, and a few of
# them hold most of its evidence. The higher in the figure, the finer it gets, until single pixels
# are left. From a max pooling to the convolution above it in the figure, each number goes to the
# one pixel that won. Each channel has a kernel of its own, and a few of the second convolution add
# hardly anything to this digit. (One that outputs 0 for every image is dead: it looks for nothing.)
# How many channels hold 90 % of the relevance?

# %%
for title, channels in rows[1:]:
    of_channel = np.sort(channels.sum(axis=(1, 2)))[::-1]
    needed = int(np.searchsorted(np.cumsum(of_channel) / of_channel.sum(), 0.9)) + 1
    print(f"{title:18} {needed:2d} of {len(of_channel)} channels hold 90 %")
    assert needed < len(of_channel)
largest = cnn.forward_pass(images)[0][4].max(axis=(0, 2, 3))    # the channel's, of all images
least = np.sort(rows[3][1].sum(axis=(1, 2)))[:3]
print("the three channels of the second convolution with the least relevance:", least.round(2),
      f"of {rows[3][1].sum():.2f}; dead channels: {(largest == 0).sum()} of {len(largest)}")
assert least.sum() < 0.05 * rows[3][1].sum() and (largest == 0).sum() < 4

# %% [markdown]
# The ledger covers all layers: the pixels get the logit less what the biases got, and the asserts
# above checked each row. No convolution needed an equation of its own.
#
# ## A rule for each layer
#
# More layers give more choice. The package has named choices, called **composites**, and gives the
# reason for each in `lrp_numpy/composites.py`. We judge them as in lesson 10: flip 30 % of each
# image's non-zero pixels. Two baselines know nothing of the network: chance, and the image itself,
# brightest pixels first.

# %%
relevance = {rule: lrp.explain(cnn, images, rule, intermediate=False, engine="numba").input
             for rule in ("0", "epsilon", "gamma", "epsilon_gamma_box", "deep_taylor")}
relevance |= {"pixel intensity": images, "random": np.random.default_rng(0).random(images.shape)}
flipped = {}
for rule, R in relevance.items():
    flipped[rule] = [(cnn.predict(lrp.flip(images, R, first, 0.3, pixels="nonzero"),
                                  engine="numba") == labels).mean() for first in ("morf", "lerf")]
    print(f"{rule:18} accuracy: MoRF {flipped[rule][0]:6.1%}, LeRF {flipped[rule][1]:.1%} "
          f"(original {accuracy['CNN']:.1%})")
assert flipped["0"][0] < flipped["gamma"][0] < flipped["deep_taylor"][0] - 0.1
assert flipped["deep_taylor"][0] < min(flipped["pixel intensity"][0], flipped["random"][0]) - 0.1
assert min(lerf for _, lerf in flipped.values()) == flipped["random"][1]
assert flipped["0"][1] > flipped["random"][1] + 0.005

# %% [markdown]
# All rules find the pixels that matter far better than the baselines do, LRP-0 best. deep_taylor is
# worst: it sees no negative evidence. What the rules call least relevant can go almost without
# cost. But so can the dimmest pixels: LeRF alone, at 30 %, says little.
#
# ## Both networks, pixel by pixel
#
# The curves of lesson 10, for 500 digits and both networks, each explained by gamma.

# %%
from lrp_numpy.evaluation import perturbation_curves

fractions = np.array([0.05, 0.15, 0.25, 0.35, 0.55, 0.75, 0.95])
some, their_labels = images[:500], labels[:500]
figure, grid = plt.subplots(1, 2, figsize=(8, 3), sharey=True, layout="constrained")
for ax, (name, net) in zip(grid, (("CNN", cnn), ("MLP", mlp))):
    R = lrp.explain(net, some, "gamma", intermediate=False, engine="numba").input
    curves = perturbation_curves(net, some, their_labels, R, fractions)
    original = (net.predict(some) == their_labels).mean()
    srg = curves.srg(curves.accuracy)
    for order, label, style, colour, place in (("lerf", "LeRF", "-o", "#0072b2", (70, 102)),
                                               ("random", "random", ":", "black", (45, 77)),
                                               ("morf", "MoRF", "--s", "#d55e00", (75, 13))):
        ax.plot([0, *100 * fractions], [100 * original, *100 * curves.accuracy[order]], style,
                color=colour, markersize=4)
        ax.text(*place, label, color=colour, ha="center")
    ax.set(title=f"{name}: SRG {srg:.2f}", xlabel="non-zero pixels flipped (%)", ylim=(-3, 112))
    of_ink = perturbation_curves(net, some, their_labels, some, fractions)
    print(f"{name}: SRG {srg:.2f}, of pixel intensity {of_ink.srg(of_ink.accuracy):.2f}")
    assert srg > of_ink.srg(of_ink.accuracy) + 0.2
grid[0].set_ylabel("accuracy (%)")
show(figure, "16_curves", "flipping curves of both networks")

# %% [markdown]
# For both networks, most of the least relevant pixels can go, and the most relevant cannot. (The
# image itself, brightest pixels first, reaches an SRG of about 0.2.) That the CNN's SRG is lower
# does not make its heatmaps worse: each is tested on its own network, and networks differ in how
# much they can lose. This CNN holds out longer without its most relevant pixels, and falls earlier
# without its least relevant ones, so there is less room between its curves.
#
# ## A layer of your own
#
# A layer is one class. It needs the shape of its output (`out_shape`), z for its inputs (`linear`),
# the way back (`transpose`), and the gradients of its weights (`gradients`). That is enough to
# train it, and to explain it by every rule. Here is one that gives each pixel a weight. A rule of
# your own is one function.

# %%
from dataclasses import dataclass
from lrp_numpy.ops import reference
from lrp_numpy.rules import propagate


@dataclass(frozen=True, eq=False)
class PixelWeights(lrp.layers.Layer):
    W: np.ndarray
    b: np.ndarray
    parameters = ("W", "b")

    def out_shape(self, shape):
        return shape

    def linear(self, a, W, b, ops=reference):
        return a * W + b

    def transpose(self, s, W, shape, ops=reference):
        return s * W

    def gradients(self, a, dz, ops=reference):
        return (a * dz).sum(axis=0), dz.sum(axis=0)


def lrp_absolute(a, W, b, R, **how):
    """R_j = sum_k |w_jk| / (sum_j |w_jk|) R_k, whatever the input is."""
    return propagate(np.ones_like(a), np.abs(W), 0 * b, R, **how)


first = lrp.Unflatten((1, 28, 28))
pixel_weights = PixelWeights(np.ones((1, 28, 28), np.float32), np.zeros((1, 28, 28), np.float32))
own = lrp.Network([first, pixel_weights,
                   *lrp.lenet(rng=0, channels=(4, 8), hidden=30).layers[1:]])
history = lrp.train(own, digits, epochs=2, learning_rate=2e-3, rng=0, engine="numba")
e = lrp.explain(own, images, ["0", lrp_absolute, "gamma", "epsilon", "0"])
print(f"accuracy {history.accuracy[-1]:.1%}; weights of the pixels from "
      f"{own.layers[1].W.min():.2f} to {own.layers[1].W.max():.2f}; relevance {e.input.shape}")
assert history.accuracy[-1] > 0.85 and (own.layers[1].W != 1).any()
assert all(np.allclose(row.received, sum(row[1:]), atol=1e-3) for row in e.ledger)

# %% [markdown]
# ## Try it
#
# - Draw the layers of a digit that the CNN misclassifies, once for the predicted class and once for
#   the right one. In which layer do they part?
# - Replace `MaxPool2D(2)` with `AvgPool2D(2)` and train again. Does LRP-0 become less noisy?
# - Draw the kernels of the first layer, `cnn.layers[1].W[0]`. What does each channel look for?
#
# **Write it yourself:** the convolution and its transpose.
# [The exercise](exercises/ex16_convolution.py) tells you which kind of wrong an answer is.
#
# Next: [17. Shortcuts and normalisation](17_shortcuts_and_normalisation.py).
