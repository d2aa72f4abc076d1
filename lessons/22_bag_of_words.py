# %% [markdown]
# # 22. Before networks: bag of words
#
# **Question.** Does LRP need a network?
#
# **Running time.** 15 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py) and
# [10. Pixel flipping](10_removing_pixels.py).
#
# Until about 2012 the best classifiers of photographs were not networks. They treated an image as
# texts were treated: they counted its words, and forgot their order. Such a **bag of visual words**
# takes three steps:
#
# 1. Cut the image into small **patches**.
# 2. Replace each patch by the **word** most like it, and count: a **histogram**.
# 3. Compare the histogram with those of training images, and add up: a **kernel machine**.
#
# Bach et al. 2015, the paper that introduced LRP, begins with such classifiers and asks for a
# "pixel-wise decomposition". Let us go down its three levels.
#
# ## Three words by hand
#
# An image of 4 x 4 pixels, cut into four patches of 2 x 2. Three words: a stroke on the left, a
# stroke at the top, nothing.
#
# ```
#  image            words       ▌      ▀    (empty)
#  1 0 | 1 1                   1 0    1 1    0 0
#  1 0 | 0 0                   1 0    0 0    0 0
#  ----+----
#  1 0 | 0 0      the image, in words:   ▌  ▀
#  1 0 | 0 0                             ▌  (empty)
# ```
#
# Two ▌, one ▀, one empty patch: the histogram is x = (2, 1, 1).

# %%
import numpy as np
import lrp_numpy as lrp

image = np.array([[1, 0, 1, 1],
                  [1, 0, 0, 0],
                  [1, 0, 0, 0],
                  [1, 0, 0, 0]], float).reshape(1, 16)
patches = lrp.Patches(side=4, size=2, step=2)
left, top, empty = np.array([[1, -1, 1, -1], [1, 1, -1, -1], [0, 0, 0, 0]]) / 2
histogram = lrp.Histogram(np.stack([left, top, empty]), patches.grid)
features = patches.forward(image)
x = histogram.forward(features)
print("the first patch as a feature:", features[0, 0], " the histogram:", x[0])
assert features[0, 0].tolist() == [0.5, -0.5, 0.5, -0.5] and x.tolist() == [[2, 1, 1]]

# %% [markdown]
# A patch's mean is subtracted, and what is left is divided by its length (here 1 already). So a
# word describes a shape, whether it is bright or dim.
#
# ## How alike are two bags?
#
# Count what they share. The **intersection kernel** takes the smaller count of each word:
# k(x, u) = Σ_d min(x_d, u_d). There are two training images, one of each class: "upright"
# u = (2, 0, 2) with the weight α = +1, and "flat" u = (0, 2, 2) with α = -1. The bias b is 0.3.
#
# | word | x | min with (2, 0, 2) | min with (0, 2, 2) | b / 3 | its part of f |
# |---|---|---|---|---|---|
# | ▌ | 2 | 2 | 0 | 0.1 | 2 - 0 + 0.1 = 2.1 |
# | ▀ | 1 | 0 | 1 | 0.1 | 0 - 1 + 0.1 = -0.9 |
# | empty | 1 | 1 | 1 | 0.1 | 1 - 1 + 0.1 = 0.1 |
# | **sum** | | **3** | **2** | **0.3** | **f = 1.3** |
#
# The kernel is a nonlinear function, yet a *sum over words*. So f is one, too, and its parts are
# the relevance of the words. The bias belongs to no word in particular, so the words share it
# equally.

# %%
u, alpha, b = np.array([[2.0, 0, 2], [0, 2, 2]]), np.array([1.0, -1]), 0.3
R_words = b / 3 + np.minimum(x[0], u[0]) * alpha[0] + np.minimum(x[0], u[1]) * alpha[1]
print("relevance of the words:", R_words, " f =", R_words.sum().round(12))
assert np.allclose(R_words, [2.1, -0.9, 0.1]) and np.isclose(R_words.sum(), 1.3)

# %% [markdown]
# ## From words to patches, from patches to pixels
#
# Two patches are ▌, so each gets half of 2.1. The ▀ gets its -0.9, the empty patch 0.1. And of a
# patch, each of the four pixels gets the same: a quarter.
#
# Make a prediction before you run it: how much does the *empty* pixel, the 0, to the right of the
# stroke get?

# %%
machine = lrp.KernelMachine(u.T, alpha[:, None], np.array([b]))
net = lrp.Network([patches, histogram, machine])
e = lrp.explain(net, image)
print("f:      ", e.logits[0])
print("words:  ", e.relevance[2][0])
print("patches:", e.relevance[1][0].sum(axis=1))
print(e.input[0].reshape(4, 4).round(3))
assert np.allclose(e.relevance[2], R_words) and np.allclose(e.logits, 1.3)
assert np.allclose(e.relevance[1][0].sum(axis=1), [1.05, -0.9, 1.05, 0.1])
assert np.allclose(e.input[0].reshape(4, 4)[0], [1.05 / 4, 1.05 / 4, -0.9 / 4, -0.9 / 4])
assert all(np.isclose(R.sum(), 1.3) for R in e.relevance)

# %% [markdown]
# It gets as much as the stroke's own. A word is a whole patch, ink and empty pixels, and the count
# does not tell which of them mattered. So this heatmap points at places, and its finest detail is a
# patch. Its sum is f on every level, and the ledger has nothing to report.
#
# ## What a bag forgets
#
# Shuffle the four patches. The image is another one. What are its words, its f?

# %%
order = [3, 2, 0, 1]
tiles = image.reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(4, 2, 2)
shuffled = tiles[order].reshape(2, 2, 2, 2).swapaxes(1, 2).reshape(1, 16)
print(shuffled.reshape(4, 4).astype(int))
print("f:", net.forward(shuffled)[0], "as before:", net.forward(image)[0])
assert (shuffled != image).any() and (net.forward(shuffled) == net.forward(image)).all()

# %% [markdown]
# The same: the order is lost. The usual cure is to divide the image into **cells**, here 2 x 2, and
# to count each cell on its own. Then there are 4 · 3 numbers, and a word in another place is
# another number.

# %%
in_cells = lrp.Histogram(histogram.words, patches.grid, cells=2)
counts = [in_cells.forward(patches.forward(one))[0].reshape(4, 3) for one in (image, shuffled)]
print(*counts, sep="\n\n")
assert (counts[0].sum(axis=0) == counts[1].sum(axis=0)).all() and (counts[0] != counts[1]).any()

# %% [markdown]
# ## Digits
#
# The real thing: 4,000 training digits, patches of 7 x 7 pixels, one every 3 pixels, so 64 to an
# image. `fit` finds 128 words by k-means (lesson 20) and the weights α by **kernel ridge
# regression**: it solves (K + I) α = Y - b, where K holds the kernel of every pair of training
# images. There is no gradient and no epoch. Predict: how much do 3 x 3 cells help?

# %%
digits = lrp.load_mnist()
train_images, train_labels = digits.train_images[:4000], digits.train_labels[:4000]
images, labels = digits.test_images, digits.test_labels
models = {cells: lrp.BagOfWords.fit(train_images, train_labels, cells=cells, rng=0)
          for cells in (1, 3)}
accuracy = {cells: (bw.predict(images) == labels).mean() for cells, bw in models.items()}
for cells, right in accuracy.items():
    print(f"{cells} x {cells} cells: accuracy {right:.1%}")
assert 0.8 < accuracy[1] < 0.87 and accuracy[3] > 0.93
bw = models[3]
print("words:", bw.layers[1].words.shape, " histogram:", bw.sizes[2])

# %% [markdown]
# Without cells it knows which strokes an image has and not where they are, and still reads five of
# six digits. With cells it reads more than the network of lesson 4, from half as many digits.
#
# Here are the words that are used most, and how often.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

words = bw.layers[1].words
used = bw.layers[1].mapped(bw.layers[0].forward(train_images[:1000])).sum(axis=(0, 1))
most = np.argsort(-used)[:20]
figure, grid = plt.subplots(2, 10, figsize=(9, 2.4), layout="constrained")
for axes, d in zip(grid.flat, most):
    lrp.plotting.draw_image(axes, words[d])
    axes.set_xlabel(f"{used[d] / used.sum():.1%}", fontsize=8)
figure.suptitle("A digit's vocabulary: twenty words, and their share of all patches", fontsize=10)
show(figure, "22_words", "twenty words")
print(f"the most frequent word has {used[most[0]] / used.sum():.0%} of the patches; "
      f"its norm: {np.linalg.norm(words[most[0]]):.2f}")
assert np.linalg.norm(words[most[0]]) < 0.05 and used[most[0]] / used.sum() > 0.25

# %% [markdown]
# The first is the empty patch. The others are corners, edges and strokes, found without a label.
#
# ## Down the three levels
#
# Four digits, and what made each of them win.

# %%
e = lrp.explain(bw, images)
f = e.logits[np.arange(len(images)), e.target]
chosen = [int(np.flatnonzero((labels == digit) & (e.target == digit))[0]) for digit in (2, 4, 7, 0)]
show(lrp.plotting.three_levels(bw, images[chosen], [f"a {labels[n]}" for n in chosen]),
     "22_levels", "four digits: words, patches, pixels")
for level, R in zip(("pixels", "patches", "words", "logits"), e.relevance):
    error = np.abs(R.reshape(len(R), -1).sum(axis=1, dtype=np.float64) - f).max()
    print(f"{level:8} sum to f, to {error:.0e}")
    assert error < 2e-3

# %% [markdown]
# (The relevance below a word is that of all cells together; the colours of each heatmap end at the
# number below it. The sums are f up to rounding: behind f stand some 200,000 float32 terms, about
# 49 words that occur times 4,000 images.) Look at the surroundings without ink in the heatmaps of
# the pixels: "nothing here" is evidence, too. How much of |R| lies on empty pixels? For the network
# of lesson 5 it was none.

# %%
on_black = (np.abs(e.input) * (images == 0)).sum() / np.abs(e.input).sum()
print(f"of |R|, on empty pixels: {on_black:.0%}")
black_pixels = (images == 0).mean()
print(f"of all pixels, empty: {black_pixels:.0%}")
assert 0.5 < on_black < black_pixels

# %% [markdown]
# There is a subtle point. What about a word that does *not* occur in a cell? Its minimum is 0 with
# every training image, so all it has is its share of the bias. No patch is this word, so all
# patches of the cell share it.

# %%
absent = bw.layers[1].forward(bw.layers[0].forward(images)) == 0
R_absent = np.abs(e.relevance[2][absent])
b_share = np.abs(bw.layers[2].b / bw.sizes[2])
print(f"absent words: {absent.mean():.0%}; the relevance of each: {R_absent.min():.6f} to "
      f"{R_absent.max():.6f}; |b| / {bw.sizes[2]}: {b_share.min():.6f} to {b_share.max():.6f}")
assert np.allclose([R_absent.min(), R_absent.max()], [b_share.min(), b_share.max()], rtol=1e-4)

# %% [markdown]
# ## Beside a network
#
# An MLP as large as that of lesson 4, but with ReLU, trained on the same 4,000 digits. Both explain
# the same test digits, and both are put to the test of lesson 10: flip a growing share of the
# non-zero pixels. Which curves will be further apart?

# %%
from lrp_numpy.evaluation import perturbation_curves

mlp = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
lrp.train(mlp, train_images, train_labels, epochs=6, rng=0)
some, their_labels = images[:400], labels[:400]
fractions = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
by_model = {"bag of words": (bw, lrp.explain(bw, some).input),
            "MLP": (mlp, lrp.explain(mlp, some, "gamma").input)}
figure, grid = plt.subplots(1, 2, figsize=(8, 3.2), sharey=True, layout="constrained")
srg, curves = {}, {}
for axes, (name, (net, R)) in zip(grid, by_model.items()):
    of_R = perturbation_curves(net, some, their_labels, R, fractions, pixels="nonzero")
    of_ink = perturbation_curves(net, some, their_labels, some, fractions, pixels="nonzero")
    original = (net.predict(some) == their_labels).mean()
    srg[name] = of_R.srg(of_R.accuracy), of_ink.srg(of_ink.accuracy)
    for order, style, colour in (("lerf", "-o", "#0072b2"), ("random", ":", "black"),
                                 ("morf", "--s", "#d55e00")):
        axes.plot([0, *100 * fractions], [100 * original, *100 * of_R.accuracy[order]], style,
                  color=colour, markersize=4)
    axes.axhline(10, color="0.8", zorder=0)
    axes.set(title=f"{name}: SRG {srg[name][0]:.2f}", xlabel="non-zero pixels flipped (%)",
             ylim=(0, 104))
    print(f"{name:13} accuracy {original:.1%}; SRG {srg[name][0]:.2f}, of pixel intensity "
          f"{srg[name][1]:.2f}, of random 0")
    curves[name] = of_R.accuracy
for text, place, colour in (("LeRF", (70, 100), "#0072b2"), ("random", (55, 72), "black"),
                            ("MoRF", (70, 7), "#d55e00")):
    grid[1].text(*place, text, color=colour, ha="center", va="center")
grid[0].set_ylabel("accuracy (%)")
show(figure, "22_flipping", "pixel flipping of both")
assert 0.1 < srg["bag of words"][0] < 0.5 < srg["MLP"][0]
of_bag = {order: curve.mean() for order, curve in curves["bag of words"].items()}
assert of_bag["morf"] < of_bag["random"] - 0.1 and abs(of_bag["lerf"] - of_bag["random"]) < 0.05

# %% [markdown]
# In the bag of words, the most relevant pixels are needed (MoRF falls well below random), but the
# least relevant ones are no better to lose than others, and the SRG is little above that of the
# image itself, brightest pixels first. There are two reasons. The heatmap is coarse: it cannot say
# which pixel of a patch. And the classifier is brittle: flip a few pixels of a patch, whichever
# they are, and it may become another word; we count. Pixel flipping tests both at once, the heatmap
# and the model.
#
# How many of the words that are not the empty one change when a tenth of the non-zero pixels is
# flipped at random?

# %%
mapped = bw.layers[1].mapped(bw.layers[0].forward(some)).argmax(axis=2)
at_random = lrp.flip(some, np.zeros_like(some), "morf", 0.1, pixels="nonzero")
flipped = bw.layers[1].mapped(bw.layers[0].forward(at_random)).argmax(axis=2)
not_empty = mapped != most[0]
changed = (mapped != flipped)[not_empty].mean()
print(f"10 % of the non-zero pixels flipped at random change {changed:.0%} of the words with ink")
assert 0.15 < changed < 0.3

# %% [markdown]
# Here are both heatmaps of the four digits.

# %%
show(lrp.plotting.heatmaps([lrp.explain(bw, images[chosen]).input,
                            lrp.explain(mlp, images[chosen], "gamma").input],
                           [f"a {labels[n]}" for n in chosen], ["bag of words", "MLP, gamma"],
                           images[chosen], title="A bag sees places, a network pixels"),
     "22_beside", "the heatmaps of both")
R_mlp = lrp.explain(mlp, images[chosen], "gamma").input
print("on empty pixels, MLP:", np.abs(R_mlp[images[chosen] == 0]).max())
assert (R_mlp[images[chosen] == 0] == 0).all()

# %% [markdown]
# ## A kernel that is no sum
#
# The Gaussian kernel exp(-γ|x - u|²) is a product over the words, so f has no parts to read off.
# Bach et al. expand f around a **root** x0, a point where f(x0) = 0: to first order, word d gets
# (x_d - x0_d) ∂f/∂x_d(x0). Where is a root? Somewhere between x and a training image for which f
# has the other sign. What the first order leaves out is in the ledger, as `dropped`.

# %%
gaussian = lrp.BagOfWords.fit(train_images[:2000], train_labels[:2000], cells=3, kernel="gaussian",
                              rng=0)
few = images[:20]
e = lrp.explain(gaussian, few)
f = e.logits[np.arange(len(few)), e.target]
given, dropped = e.relevance[2].sum(axis=1), e.ledger[2].dropped
print("accuracy:", (gaussian.predict(images) == labels).mean().round(3))
print("        f:", f[:6].round(2))
print("the words:", given[:6].round(2))
print("  dropped:", dropped[:6].round(2))
assert np.allclose(given + dropped, f, atol=2e-3)
print(f"the words get {np.median(given / f):.2f} of f, in the median")
assert np.median(given / f) > 1.1

# %% [markdown]
# Where f is positive, it rises most steeply at the root, and then flattens on the way to x. The
# words get the rise that the slope at the root promises, which is more than f. The heatmap is a
# picture of f near the root, and the ledger says by how much it misses. That is the price of a
# kernel that does not decompose, and a reason why networks, which do, are easier to explain.
#
# ## What we have learned
#
# - LRP needs no network. It needs steps that can be taken back, one at a time.
# - What a step forgets, no explanation brings back: here, which pixel of a patch.
# - Where there is no sum to read off, an expansion around a root gives an estimate, and its error
#   belongs in the ledger.
#
# ## Try it
#
# - By hand: give "flat" the weight -2. What are f and the relevance of the three words?
# - Use `kernel="chi2"`. By hand, its part for a word with x = 1 and u = 2 is 2 · 1 · 2 / (1 + 2).
# - Use patches of 5 x 5, or a patch at every pixel (`size=5`, `step=1`). Does the heatmap get
#   finer? Does the SRG rise?
# - Map softly: `mapping="soft"`. What changes in the histogram of the empty surroundings?
#
# **Answers.** 1: ▌ gets 2.1 still, ▀ -2 + 0.1 = -1.9, the empty word 1 - 2 + 0.1 = -0.9, so f =
# -0.7. 2: 4/3. 3: with patches of 5 x 5 it gets finer, and the SRG rises to 0.38, though the
# accuracy falls to 92 %. A patch at every pixel raises the accuracy to 96 %, and the SRG a little,
# to 0.32. 4: an empty patch counts a little for all 128 words, 0.36 for the empty one: no number is
# 0 any more.
#
# **Write it yourself:** the relevance of the intersection kernel, in
# [the exercise](exercises/ex20_clusters.py) of lesson 20.
#
# Next: [23. Hot loops](23_hot_loops.py).
