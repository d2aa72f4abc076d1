# %% [markdown]
# # 13. A convolutional network
#
# **Question.** What does each layer of a convolutional network see, and does LRP still hold?
#
# **Running time.** 25 seconds. **Before it.** [6. The rules](06_rules.py) and
# [9. Removing pixels](09_removing_pixels.py).
#
# The paper ends with a wish: a convolutional network (CNN), because there "each layer has its own
# visual representation". Our network so far has one hidden layer, and its neurons have no place in
# the image. Here is the wish.
#
# ## A convolution by hand
#
# A picture of 3 x 3 pixels, and a little window of 2 x 2 weights. Put the window on the upper left
# corner, multiply what lies on each other, and add up. Then move it by one pixel.
#
# ```
# picture     window     result
#  0 1 2       1  2      0·1 + 1·2 + 3·0 - 4·1 = -2      1·1 + 2·2 + 4·0 - 5·1 = 0
#  3 4 5       0 -1      3·1 + 4·2 + 6·0 - 7·1 =  4      4·1 + 5·2 + 7·0 - 8·1 = 6
#  6 7 8
# ```

# %%
import numpy as np
import lrp_numpy as lrp

picture = np.arange(9.0).reshape(1, 1, 3, 3)            # (N, C, H, W): one image, one map
W, b = np.array([[[[1.0, 2.0], [0.0, -1.0]]]]), np.zeros((1, 1, 1))
layer = lrp.Conv2D(W, b, "identity")
z = layer.forward(picture)
print(z[0, 0])
assert z.tolist() == [[[[-2, 0], [4, 6]]]]

# %% [markdown]
# One can also look at it the other way round. Each weight meets a part of the picture: the whole,
# shifted. So a convolution is a sum of four shifted pictures, each times one weight. That is how
# the package computes it.

# %%
from lrp_numpy.ops.reference import window

parts = [W[0, 0, i, j] * window(picture, i, j, (2, 2), stride=1) for i in (0, 1) for j in (0, 1)]
print("four shifted pictures:", [part[0, 0].tolist() for part in parts])
assert (sum(parts) == z).all()

# %% [markdown]
# ## It is a matrix
#
# Nothing in this is new. Each of the four results is a sum of pixels times weights, as in every
# layer before. So there is a matrix M with z = a @ M: a row for each of the 9 pixels, a column for
# each of the 4 results. To find it, let through one pixel at a time.

# %%
one_pixel_each = np.eye(9).reshape(9, 1, 3, 3)
M = layer.forward(one_pixel_each).reshape(9, 4)
print(M.astype(int))
assert (picture.reshape(1, 9) @ M == z.reshape(1, 4)).all()

# %% [markdown]
# Look at the columns: the same four weights in each, only further down. So a convolution is a Dense
# layer in which most weights are 0, and the others are shared.
#
# LRP needs one thing more, the way back: `s @ W.T`. With M.T, each result hands its number to the
# four pixels that it came from, along the same weights. It is called the transposed convolution.

# %%
import matplotlib.pyplot as plt
from course import show

figure, axes = plt.subplots(1, 2, figsize=(7, 4), layout="constrained")
for ax, matrix, title, x_label, y_label in (
        (axes[0], M, "M: forward, z = a @ M", "result", "pixel"),
        (axes[1], M.T, "M.T: back, c = s @ M.T", "pixel", "result")):
    ax.imshow(matrix, cmap=lrp.plots.RELEVANCE, vmin=-2, vmax=2)
    for (row, column), weight in np.ndenumerate(matrix):
        ax.text(column, row, f"{weight:g}", ha="center", va="center",
                color="black" if weight else "0.75")
    ax.set(title=title, xlabel=x_label, ylabel=y_label, xticks=range(matrix.shape[1]),
           yticks=range(matrix.shape[0]))
show(figure, "13_matrix")
s = np.array([[[[1.0, 0.0], [0.0, 10.0]]]])
back = layer.transposed(s, W, picture.shape)
print(back[0, 0])
assert (back.reshape(1, 9) == s.reshape(1, 4) @ M.T).all()

# %% [markdown]
# ![the convolution as a matrix, and its transpose](figures/13_matrix.png)
#
# In the last line, the first result handed back 1 times the window, and the last one 10 times.
#
# ## The four lines, once more
#
# So the rules need not be written again. Where they say `a @ W + b` they now ask the layer, and
# where they say `s @ W.T` too. Here is LRP-epsilon of the convolution, and then every rule,
# compared with that of the Dense layer with the matrix M.

# %%
from lrp_numpy.rules import RULES, lrp_epsilon

R = np.array([[[[-2.0, 0.0], [4.0, 6.0]]]])
print(lrp_epsilon(picture, W, b, R, epsilon=1.0, layer=layer)[0, 0].round(2))
for name, lrp_rule in RULES.items():
    of_picture = lrp_rule(picture, W, b, R, layer=layer).reshape(1, 9)
    of_row = lrp_rule(picture.reshape(1, 9), M, np.zeros(4), R.reshape(1, 4))
    print(f"{name:18} the same: {np.allclose(of_picture, of_row)}")
    assert np.allclose(of_picture, of_row) == (name != "flat")

# %% [markdown]
# All but one. "flat" gives every weight the same, and M has weights that the window does not have:
# its zeros.
#
# ## The largest of four
#
# After a convolution, a CNN mostly keeps the largest of each 2 x 2 numbers: max pooling. It does
# not add up, so who gets the relevance? Two answers are in use. "winner": all of it goes to the
# largest. "average": it is shared as if the layer had taken the mean. Take the numbers 1, 3, 0, 0
# and R = 8.

# %%
for relevance in ("winner", "average"):
    pool = lrp.MaxPool2D(2, relevance=relevance)
    tiny = lrp.Network([lrp.Unflatten((1, 2, 2)), pool, lrp.Flatten()])
    e = lrp.explain(tiny, np.array([[1.0, 3.0, 0.0, 0.0]]), start=8.0)
    print(f"{relevance:8} output {e.logits[0]}, relevance {e.input[0]}")
    assert e.logits[0] == 3 and e.input[0].tolist() == {"winner": [0, 8, 0, 0],
                                                        "average": [2, 6, 0, 0]}[relevance]

# %% [markdown]
# ## A network that reads digits
#
# `lenet` is a small network after LeNet-5 of 1998. We train it, and the network of the paper (with
# ReLU) beside it, on the same 8,000 digits.

# %%
digits = lrp.load_mnist()
cnn, mlp = lrp.lenet(rng=0), lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
accuracy = {"CNN": lrp.train(cnn, digits, epochs=8, learning_rate=2e-3, rng=0).accuracy[-1],
            "MLP": lrp.train(mlp, digits, epochs=10, rng=0).accuracy[-1]}
for name, net in (("CNN", cnn), ("MLP", mlp)):
    weights = sum(getattr(layer, array).size for layer in net.layers for array in layer.parameters)
    print(f"{name}: {accuracy[name]:.1%} right, {weights:,} weights, layers",
          [f"{type(layer).__name__} {shape}" for layer, shape in zip(net.layers, net.shapes[1:])])
assert 1 - accuracy["CNN"] < 0.6 * (1 - accuracy["MLP"])

# %% [markdown]
# A seventh of the weights, and half of the mistakes. `explain` does not ask what kind of network it
# gets.

# %%
from lrp_numpy.plotting import figures as plots

images, labels = digits.test_images, digits.test_labels
chosen = [int(np.argmax(labels == k)) for k in (0, 1, 2, 4, 7)]
of_both = [lrp.explain(net, images[chosen], rule) for rule in ("0", "gamma") for net in (mlp, cnn)]
print("relevance of the layers of the CNN:", [R.shape[1:] for R in of_both[3].relevance])
show(plots.heatmaps([e.input for e in of_both], labels[chosen],
                    ["MLP, LRP-0", "CNN, LRP-0", "MLP, gamma", "CNN, gamma"], images[chosen]),
     "13_heatmaps")
assert all((e.target == labels[chosen]).all() for e in of_both)

# %% [markdown]
# ![five digits, explained by both networks](figures/13_heatmaps.png)
#
# The CNN's heatmaps are calmer: neighbours agree, since they lie under the same windows, and with
# gamma relevance follows the strokes. In numbers: if all pixels spoke for the answer, the sum of
# all
# |R| would be the logit. The more they contradict each other, the larger it is. Its median:

# %%
size = {}
for rule in ("0", "gamma"):
    for name, net in (("MLP", mlp), ("CNN", cnn)):
        e = lrp.explain(net, images, rule, intermediate=False)
        size[name, rule] = np.median(np.abs(e.input).sum(axis=1) / e.ledger[-1].received)
        print(f"{name} {rule:6} sum of |R| over the logit: {size[name, rule]:.1f}")
assert all(size["CNN", rule] < 0.85 * size["MLP", rule] for rule in ("0", "gamma"))

# %% [markdown]
# ## Each layer has its own picture
#
# Now the wish of the paper. A digit 4, its logit handed down layer by layer by LRP-gamma, and the
# relevance drawn in every layer: each row of the figure has limits of its own.

# %%
one = images[chosen[3]:chosen[3] + 1]
e = lrp.explain(cnn, one, "gamma")
rows = [("pixels", e.relevance[0].reshape(1, 28, 28)), ("first convolution", e.relevance[2][0]),
        ("its largest of 2 x 2", e.relevance[3][0]), ("second convolution", e.relevance[4][0]),
        ("its largest of 2 x 2", e.relevance[5][0])]
figure, grid = plt.subplots(5, 16, figsize=(13, 4.9), layout="constrained")
for row, (title, maps) in zip(grid, rows):
    for ax in row[len(maps):]:
        ax.set_axis_off()
    for ax, R in zip(row, maps):
        plots.draw_relevance(ax, R, limit=np.abs(maps).max())
    row[0].set_title(f"{title} ±{np.abs(maps).max():.2g}", fontsize=9, loc="left", in_layout=False)
grid[0, 1].set_axis_on()
plots.draw_image(grid[0, 1], one[0])
show(figure, "13_layers")
totals = [float(R.sum()) for R in e.relevance]
print("sum of the relevance in each layer, pixels first:", np.round(totals, 2))
for number, row in enumerate(e.ledger):
    assert np.isclose(row.received[0], sum(part[0] for part in row[1:]), rtol=1e-4)
    assert np.isclose(row.inputs[0], totals[number], rtol=1e-3)

# %% [markdown]
# ![relevance in each layer](figures/13_layers.png)
#
# Read it from below. In the small maps, a few places hold the evidence: *here*, says one of them.
# The further up in the figure, the finer, until single pixels are left. From the largest of 2 x 2
# to the convolution above it in the figure, each number went to the one pixel that had won. Every
# map looks for something of its own, and some have hardly a word to say about this digit. How many
# maps hold 90 % of the relevance?

# %%
for title, maps in rows[1:]:
    of_map = np.sort(maps.sum(axis=(1, 2)))[::-1]
    needed = int(np.searchsorted(np.cumsum(of_map) / of_map.sum(), 0.9)) + 1
    print(f"{title:22} {needed:2d} of {len(of_map)} maps hold 90 %")
    assert needed < len(of_map)
share = np.abs(rows[3][1]).sum(axis=(1, 2)) / np.abs(rows[3][1]).sum()
print(f"the quietest map of the second convolution holds {share.min():.1%}")
assert share.min() < 0.02

# %% [markdown]
# The ledger goes through all of it: what the pixels get is the logit, less what went to biases, and
# each row of it was asserted above. No layer needed an equation of its own.
#
# ## A rule for each layer
#
# With more layers there is more to choose. The package has named choices, each with its reason:
# see `lrp_numpy/presets.py`. They are judged as in lesson 9, by removing pixels.

# %%
left = {}
for rule in ("0", "epsilon", "gamma", "epsilon_gamma_box", "deep_taylor"):
    R = lrp.explain(cnn, images, rule, intermediate=False).input
    left[rule] = [(cnn.predict(lrp.remove(images, R, which)) == labels).mean()
                  for which in ("most", "least")]
    print(f"{rule:18} right without the most relevant 15 %: {left[rule][0]:6.1%}, without the "
          f"least: {left[rule][1]:.1%} (intact {accuracy['CNN']:.1%})")
assert left["0"][0] < left["gamma"][0] < left["deep_taylor"][0]
assert left["0"][1] < accuracy["CNN"] - 0.005 < left["gamma"][1] <= left["deep_taylor"][1]

# %% [markdown]
# No rule wins twice. LRP-0 finds best what the network cannot do without. But what it calls
# irrelevant is not quite: removing it costs one answer in a hundred. Under gamma it costs hardly
# any, and under deep_taylor none. deep_taylor, which sees nothing that speaks against, is worst in
# finding what matters.
#
# ## Both networks, pixel by pixel
#
# The curves of lesson 9, of both networks in one figure, each explained by gamma.

# %%
from lrp_numpy.evaluation import study

fractions = np.linspace(0.05, 0.95, 10)
curves = {}
for name, net in (("CNN", cnn), ("MLP", mlp)):
    R = lrp.explain(net, images, "gamma", intermediate=False).input
    curves[name] = study.perturbation_curves(net, images, labels, R, fractions)
    print(f"{name}: area between the curves {curves[name].area(curves[name].accuracy):.2f}")
figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for name, colour in (("CNN", "0"), ("MLP", "0.6")):
    for first, style in (("least", "-"), ("most", "--"), ("random", ":")):
        ax.plot(100 * fractions, 100 * curves[name].accuracy[first], style, color=colour,
                label=f"{name}, {'by lot' if first == 'random' else first + ' relevant first'}")
ax.set(xlabel="pixels removed (%)", ylabel="right (%)")
ax.legend(fontsize=8)
show(figure, "13_curves")
assert all(each.area(each.accuracy) > 0.8 for each in curves.values())
by_lot = {name: each.accuracy["random"][3] for name, each in curves.items()}
print({name: f"{share:.0%} right with {fractions[3]:.0%} removed by lot"
       for name, share in by_lot.items()})

# %% [markdown]
# ![removal curves of both networks](figures/13_curves.png)
#
# For both, the least relevant pixels can go, nearly all of them, and the most relevant cannot.
#
# ## A layer of your own
#
# A layer is one class. It says how it adds up (`apply`), the way back (`transposed`), and how the
# loss changes with its weights (`gradients`). Then it is trained, and explained under every rule.
# Here is one that only weighs each pixel. A rule, too, is one function.

# %%
from dataclasses import dataclass
from lrp_numpy.rules import Term, rule


@dataclass(frozen=True, eq=False)
class Weigh(lrp.layers.Layer):
    W: np.ndarray
    b: np.ndarray
    parameters = ("W", "b")

    def out_shape(self, shape):
        return shape

    def apply(self, a, W, b, engine="numpy"):
        return a * W + b

    def transposed(self, s, W, shape, engine="numpy"):
        return s * W

    def gradients(self, a, dz, engine="numpy"):
        return (a * dz).sum(axis=0), dz.sum(axis=0)


@rule
def lrp_size_of_weights(W, b):
    """R_j = sum_k |w_jk| / (sum_j |w_jk|) R_k, whatever the input says."""
    return [Term([np.abs(W)], 0 * b, inputs=lambda a: [np.ones_like(a)])]


first = lrp.Unflatten((1, 28, 28))
weigh = Weigh(np.ones((1, 28, 28), np.float32), np.zeros((1, 28, 28), np.float32))
own = lrp.Network([first, weigh, *lrp.lenet(rng=0, maps=(4, 8), hidden=30).layers[1:]])
history = lrp.train(own, digits, epochs=2, learning_rate=2e-3, rng=0)
e = lrp.explain(own, images, ["0", lrp_size_of_weights, "gamma", "epsilon", "0"])
print(f"{history.accuracy[-1]:.1%} right; weights of the pixels from "
      f"{own.layers[1].W.min():.2f} to {own.layers[1].W.max():.2f}; relevance {e.input.shape}")
assert history.accuracy[-1] > 0.85 and (own.layers[1].W != 1).any()
assert all(np.allclose(row.received, sum(row[1:]), atol=1e-3) for row in e.ledger)

# %% [markdown]
# ## Try it
#
# - Draw the layers of a digit that the CNN gets wrong, once for its answer and once for the right
#   one. In which layer do they part?
# - Replace `MaxPool2D(2)` by `AvgPool2D(2)` and train again. Does LRP-0 become less noisy?
# - Put the windows of the first layer, `cnn.layers[1].W[0]`, on the screen. Which map looks for
#   what?
#
# **Write it yourself:** the convolution and its transpose.
# [The exercise](exercises/ex13_convolution.py) tells you which kind of wrong an answer is.
#
# Back to [the course](README.md).
