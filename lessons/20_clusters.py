# %% [markdown]
# # 20. Clusters
#
# **Question.** What makes this a 4 without anyone having said so?
#
# **Running time.** 5 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py) and
# [10. Pixel flipping](10_removing_pixels.py).
#
# So far somebody had labelled the digits. **k-means** gets none of the labels: it looks for groups
# of images that lie near one another, and calls each group a **cluster**. A cluster is described by
# its **centroid**, the mean of its images, and every image belongs to the nearest centroid. There
# are no weights and no logits, so what should LRP hand back? Kauffmann et al. 2022, "From
# Clustering to Cluster Explanations via Neural Networks", found the network that hides in k-means.
#
# ## Two centroids by hand
#
# An image of two pixels, x = (3, 1), and two centroids, (4, 0) and (0, 0).
#
# | squared distance from x | pixel 1 | pixel 2 | sum |
# |---|---|---|---|
# | to the cluster's own centroid (4, 0) | (3 - 4)² = 1 | (1 - 0)² = 1 | 2 |
# | to its rival (0, 0) | (3 - 0)² = 9 | (1 - 0)² = 1 | 10 |
# | **how much nearer** | **8** | **0** | **f = 8** |
#
# So x belongs to the first cluster, and f = 8 says how clearly. It is a sum over the pixels, so we
# can read off who contributed: pixel 1 gets 8. Pixel 2 gets 0, since both centroids are equally far
# from it.

# %%
import numpy as np

x = np.array([3.0, 1.0])
own, rival = np.array([4.0, 0.0]), np.array([0.0, 0.0])
nearer = (x - rival)**2 - (x - own)**2
print("each pixel:", nearer, " f =", nearer.sum())
assert nearer.tolist() == [8, 0]

# %% [markdown]
# ## It is a neuron
#
# Both distances contain x². In their difference it cancels, and what is left is linear in x:
#
# $$|x - \mu_k|^2 - |x - \mu_c|^2 = w \cdot (x - m), \qquad w = 2\,(\mu_c - \mu_k), \quad
# m = \tfrac12 (\mu_c + \mu_k)$$
#
# Here μ_c is the cluster's own centroid, μ_k its rival's, and m the **midpoint** between them.
# By hand: w = (8, 0) and m = (2, 0), so f = 8 · (3 - 2) + 0 · (1 - 0) = 8.

# %%
w, m = 2 * (own - rival), (own + rival) / 2
print("w =", w, " m =", m, " contributions:", w * (x - m))
assert w.tolist() == [8, 0] and m.tolist() == [2, 0] and (w * (x - m) == nearer).all()

# %% [markdown]
# ## Where is zero?
#
# A neuron like any other: weights w and a bias of -w · m = -16. So why not take LRP-0 from
# lesson 5? Make a prediction first: how does it share the 8 between pixel 1 and the bias?

# %%
import lrp_numpy as lrp

net = lrp.MLP.from_arrays([w[:, None]], [np.array([-w @ m])], "identity")
e = lrp.explain(net, x[None], "0")
print("LRP-0: pixels", e.input[0], " bias", e.unassigned(0)["bias"])
assert e.input.tolist() == [[24, 0]] and e.unassigned(0)["bias"] == -16

# %% [markdown]
# 24 and -16. LRP-0 measures each pixel from 0, and the bias pays for it. Now call every number 10
# larger: x = (13, 11), centroids (14, 10) and (10, 10). No distance has changed. The relevance
# should not change either.

# %%
net = lrp.MLP.from_arrays([w[:, None]], [np.array([-w @ (m + 10)])], "identity")
moved = lrp.explain(net, x[None] + 10, "0")
print("LRP-0:     pixels", moved.input[0], " bias", moved.unassigned(0)["bias"])
print("midpoints: pixels", w * ((x + 10) - (m + 10)))
assert moved.logits[0, 0] == 8 and moved.input[0, 0] == 104 and moved.unassigned(0)["bias"] == -96

# %% [markdown]
# Distances do not know where 0 is, and LRP-0 does. Measured from the midpoint the relevance is 8,
# wherever 0 is: at the midpoint f = 0, where no pixel speaks for either cluster. Nothing is left
# for a bias. This is the **midpoint rule**.
#
# The midpoint rule differs from LRP-0 in another way, too. Take an **empty** pixel 1, one without
# ink, x = (0, 1), and ask what speaks for the first cluster. LRP-0 gives every empty pixel 0. But
# the missing ink is the very reason why x does *not* belong there.

# %%
km = lrp.KMeans(np.array([own, rival]))
black = lrp.explain(km, np.array([[0.0, 1.0]]), target=0)
print("f =", black.logits[0, 0], " midpoint rule:", black.input[0])
assert black.logits[0, 0] == -16 and black.input.tolist() == [[-16, 0]]

# %% [markdown]
# ## Three centroids: who is the rival?
#
# A third centroid at (5, 3). Its distance from x is 2² + 2² = 8, so our cluster is nearer by
# 8 - 2 = 6. There are two rivals now, and h = (8, 6) is how much nearer our cluster is than each.
# By how much is it the nearest of all? By the smaller: f = min(8, 6) = 6. So the nearest rival gets
# all the relevance, the other nothing.
#
# The minimum is abrupt, and a soft minimum is not:
#
# $$f = -\frac1\beta \log \sum_k e^{-\beta h_k}, \qquad p_k = \frac{e^{-\beta h_k}}
# {\sum_{k'} e^{-\beta h_{k'}}}, \qquad R_k = p_k f$$
#
# Take β = log 2, so that exp(-βh) is 2 to the -h, and do it by hand: 2⁻⁸ and 2⁻⁶ are as 1 to 4.
# So p = (1/5, 4/5), and f = 6 - log2(1 + 1/4) = 6 - 0.32 = 5.68. The rivals get 1.14 and 4.54.

# %%
three = lrp.KMeans(np.array([[4.0, 0.0], [0.0, 0.0], [5.0, 3.0]]))
for beta in (np.inf, np.log(2)):
    e = lrp.explain(three, x[None], beta=beta)
    print(f"beta = {beta:.2f}: f = {e.logits[0, 0]:.2f}, rivals {e.relevance[1][0, 0].round(2)}, "
          f"pixels {e.input[0].round(2)}")
    assert np.isclose(e.input.sum(), e.logits[0, 0])
p, f = np.array([1, 4]) / 5, 6 - np.log2(1 + 1 / 4)
assert np.allclose(e.relevance[1][0, 0], p * f) and np.allclose(e.logits[0, 0], f)

# %% [markdown]
# From the rivals down to the pixels it is the midpoint rule, once for each rival:
#
# | rival | w | m | contributions w (x - m) | h | its relevance | to pixel 1 | to pixel 2 |
# |---|---|---|---|---|---|---|---|
# | (0, 0) | (8, 0) | (2, 0) | 8, 0 | 8 | 1.14 | 1.14 | 0 |
# | (5, 3) | (-2, -6) | (4.5, 1.5) | 3, 3 | 6 | 4.54 | 2.27 | 2.27 |
# | **sum** | | | | | **5.68** | **3.41** | **2.27** |
#
# What is the softness good for? Two images that differ by 0.01 in one pixel, x = (3, 0.66) and
# (3, 0.67). Between them the nearest rival changes.

# %%
pair, jump, f = np.array([[3.0, 0.66], [3.0, 0.67]]), {}, {}
for beta in (np.inf, np.log(2)):
    e = lrp.explain(three, pair, beta=beta)
    R, f[beta] = e.input, e.logits[:, 0]
    jump[beta] = np.abs(R[1] - R[0]).max()
    print(f"beta = {beta:.2f}: f = {f[beta].round(2)}, pixels {R[0].round(2)} and {R[1].round(2)}")
assert jump[np.inf] > 4.9 and jump[np.log(2)] < 0.1
assert (f[np.inf] - f[np.log(2)] <= np.log(3 - 1) / np.log(2)).all() and f[np.log(2)][0] < 7.1

# %% [markdown]
# β = inf says exactly by how much the cluster wins, and its relevance jumps. With a finite β it
# changes smoothly where the nearest rival changes, and f is lower, here by 1: by up to log(K - 1) /
# β for K clusters. (So f can be negative in the image's own cluster. And close to the cluster's
# border, where a score h is almost 0 and f is not, the pixels get huge relevance of both signs.)
# Below we take inf, and look at a finite β once.
#
# ## The network in disguise
#
# So k-means is a network of two layers: one linear neuron for each pair of a cluster and a rival,
# and a soft minimum for each cluster. Its logits are the f. The cluster with the largest f is the
# nearest.

# %%
for layer in three.layers:
    print(type(layer).__name__)
h = three.layers[0].preactivation(x[None])
print("h of each cluster against its rivals:", h[0].tolist(), " f:", h[0].min(axis=1))
assert h[0].tolist() == [[8, 6], [-8, -2], [-6, 2]] and three.predict(x[None]) == 0
assert (three.forward(x[None])[0] == [6, -8, -6]).all()

# %% [markdown]
# ## Digits without labels
#
# `KMeans.fit` finds the centroids. It chooses ten images that lie far from one another to begin
# with (k-means++, Arthur and Vassilvitskii 2007). Then it repeats two steps (Lloyd 1982): each
# image joins the nearest centroid; each centroid becomes the mean of its images. It sees 8,000
# images, and no label.

# %%
digits = lrp.load_mnist()
km = lrp.KMeans.fit(digits.train_images, 10, rng=0)
images, labels = digits.test_images, digits.test_labels
print("clusters:", np.bincount(km.predict(digits.train_images)))
is_mean = [np.allclose(centroid, digits.train_images[km.predict(digits.train_images) == c].mean(0),
                       atol=1e-3) for c, centroid in enumerate(km.centroids)]
print("each centroid is the mean of its images:", all(is_mean))
assert all(is_mean)

# %% [markdown]
# Now we look at the labels, once the clusters are made. Which digit is the most frequent in each
# cluster? If all images of a cluster counted as that digit, how many would be right? This share is
# the **purity**. Chance is the purity of clusters of the same size, filled at random. Predict: how
# many of the ten digits have a cluster of their own?


# %%
def table(clusters, labels):
    """How many images of each digit (columns) each cluster (rows) has."""
    return np.array([np.bincount(labels[clusters == c], minlength=10) for c in range(10)])


clusters = km.predict(digits.train_images)
counts = table(clusters, digits.train_labels)
names = counts.argmax(axis=1)
shuffled = np.random.default_rng(0).permutation(clusters)
chance = table(shuffled, digits.train_labels).max(axis=1).sum() / len(clusters)
tested = table(km.predict(images), labels)
purity = tested[range(10), names].sum() / len(labels)
print("cluster  mostly  of each digit 0 ... 9")
for c in range(10):
    print(f"{c:7}  {names[c]:6}  {counts[c]}")
print(f"purity {counts.max(axis=1).sum() / len(clusters):.1%}, chance {chance:.1%}; of the test "
      f"images, {purity:.1%}")
assert 0.5 < purity < 0.7 and chance < 0.15
assert set(range(10)) - set(names.tolist()) == {5, 9}

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, grid = plt.subplots(2, 5, figsize=(7, 3.6), layout="constrained")
for c, axes in enumerate(grid.flat):
    lrp.plotting.draw_image(axes, km.centroids[c].clip(0, 1), f"{c}: mostly {names[c]}")
    axes.set_xlabel(f"{counts[c].max() / counts[c].sum():.0%} of {counts[c].sum()}", fontsize=8)
figure.suptitle("Ten centroids, found without a label; below, the share of the most frequent digit",
                fontsize=10)
show(figure, "20_centroids", "ten centroids")
assert km.centroids.min() > -1e-4 and km.centroids.max() < 1 + 1e-4

# %% [markdown]
# Nearly five times as pure as chance: the clusters of the 0s, 2s and 6s hold little else, and
# nobody had said so. But no cluster is mostly 5 or 9, while 1 and 7 have two each. The 1s that
# stand are in another cluster than those that lean. And the cluster that is "mostly 4" has three 9s
# for every four 4s. k-means groups by ink, not by meaning. The names are ours.

# %%
fours = int(np.flatnonzero(names == 4)[0])
print(f"cluster {fours}: {counts[fours, 4]} fours, {counts[fours, 9]} nines")
alone = [counts[names == digit].max() / counts[names == digit].sum() for digit in (0, 2, 6)]
print("share of the most frequent digit in the clusters of 0, 2, 6:", np.round(alone, 2))
assert counts[fours, 9] > 0.6 * counts[fours, 4] and min(alone) > 0.8
assert np.bincount(names).tolist() == [1, 2, 1, 1, 1, 0, 1, 2, 1]
assert counts.max(axis=1).sum() / len(clusters) > 4.5 * chance

# %% [markdown]
# ## Why is this digit in its cluster?
#
# `explain` asks for the predicted cluster. For each cluster we take a **typical** test digit, with
# the largest f, and one **on the border**, with the smallest f above 0.

# %%
e = lrp.explain(km, images)
rows, cluster = np.arange(len(images)), e.target
f = e.logits[rows, cluster]
rivals = np.array([[k for k in range(10) if k != c] for c in range(10)])
rival = rivals[cluster, e.relevance[1][rows, cluster].argmax(axis=1)]
typical, border = [], []
for c in range(10):
    members = np.flatnonzero((cluster == c) & (f > 0))
    typical.append(members[f[members].argmax()])
    border.append(members[f[members].argmin()])
    print(f"cluster {c} (mostly {names[c]}): typical a {labels[typical[c]]}, f = "
          f"{f[typical[c]]:.1f}; on the border a {labels[border[c]]}, f = {f[border[c]]:.2f}")
assert f[typical].min() > 25 and f[border].max() < 0.2 and (cluster == km.predict(images)).all()

# %%
figure, grid = plt.subplots(4, 10, figsize=(12, 5.6), layout="constrained")
for c in range(10):
    for top, n in ((0, typical[c]), (2, border[c])):
        lrp.plotting.draw_image(grid[top, c], images[n])
        lrp.plotting.draw_relevance(grid[top + 1, c], e.input[n])
        grid[top + 1, c].set_xlabel(f"against {rival[n]} ({names[rival[n]]})\n"
                                    f"±{np.abs(e.input[n]).max():.2f}", fontsize=8)
    grid[0, c].set_title(f"{c}: mostly {names[c]}", fontsize=9)
for axes, name in zip(grid[:, 0], ("typical", "why", "on the border", "why")):
    axes.set_ylabel(name)
lrp.plotting.colour_bar(figure, grid.ravel().tolist())
figure.suptitle("Why a digit is in its cluster: red speaks for it, blue for the nearest rival",
                fontsize=10)
show(figure, "20_why", "typical digits and digits on the border")
ledger = e.ledger[0]
print("the bias has", np.abs(ledger.bias).max(), "of f, in every image;",
      f"largest |f - sum over the pixels|: {np.abs(f - e.input.sum(axis=1)).max():.0e}")
assert (ledger.bias == 0).all() and np.abs(f - e.input.sum(axis=1)).max() < 1e-2

# %% [markdown]
# Below each heatmap stand the rival, with the digit it mostly holds, and the limit of the colours.
# The typical ones are mostly red. On the border, red and blue balance: f is almost 0, and yet
# single pixels have as much relevance as in the typical digit. (Typical does not mean that the name
# fits: the typical "7" of cluster 4 is a 9.)
#
# So what makes the typical 4 a 4, and not one of the 7s of cluster 1? More than half of f lies on
# the bar across the middle. Red, too, are the gap above it, where a 7 has its stroke and the 4 has
# no ink, and two strips below: the stem of the 4, and the empty place where a 7 has its own. All
# other pixels together speak against it. We measure all of them.

# %%
R = e.input[typical[fours]].reshape(28, 28)
picture = images[typical[fours]].reshape(28, 28)
bar, gap = (slice(13, 18), slice(5, 16)), (slice(8, 12), slice(10, 17))
stem, other_stem = (slice(16, 25), slice(17, 22)), (slice(18, 27), slice(10, 15))
print(f"f = {R.sum():.1f}")
for name, place in (("bar", bar), ("gap", gap), ("stem", stem), ("stem of the 7", other_stem)):
    print(f"{name:13} R = {R[place].sum():4.1f}, mean ink {picture[place].mean():.2f}")
elsewhere = R.sum() - sum(R[place].sum() for place in (bar, gap, stem, other_stem))
print(f"elsewhere     R = {elsewhere:4.1f}")
assert labels[typical[4]] == 9
assert R[bar].sum() > 0.5 * R.sum() and R[gap].sum() > 0.15 * R.sum()
assert min(R[stem].sum(), R[other_stem].sum()) > 0.1 * R.sum() and elsewhere < 0
assert picture[bar].mean() > 0.7 and picture[stem].mean() > 0.3
assert max(picture[gap].mean(), picture[other_stem].mean()) < 0.1

# %% [markdown]
# Look for red where the image has no ink: "none here, and the rival's digits have some". How much
# of |R| lies on empty pixels? Under the LRP-0 of lesson 5 it was none.

# %%
on_black = (np.abs(e.input) * (images == 0)).sum() / np.abs(e.input).sum()
balance, largest = np.abs(e.input).sum(axis=1), np.abs(e.input).max(axis=1)
print(f"on empty pixels: {on_black:.0%} of |R|; largest |R| of a pixel, mean: typical "
      f"{largest[typical].mean():.2f}, border {largest[border].mean():.2f}")
print(f"|R| of the pixels for each unit of f: typical {np.mean((balance / f)[typical]):.1f}, "
      f"border {np.median((balance / f)[border]):.0f}")
assert 0.3 < on_black < 0.5 and np.median((balance / f)[border]) > 100
assert largest[border].mean() > 0.9 * largest[typical].mean()

# %% [markdown]
# ## All rivals at once
#
# With β = inf each heatmap speaks of one rival. With β = 0.2, in units of 1 / squared distance, all
# of them share f, and `relevance[1]` has the share of each. Take a 4 that is in the cluster of the
# 4s.

# %%
n = int(np.argmax((labels == 4) & (cluster == fours)))
soft = lrp.explain(km, images[n:n + 1], target=fours, beta=0.2)
shares = soft.relevance[1][0, fours]
print(f"test image {n}: f = {f[n]:.1f} with beta = inf, {soft.logits[0, fours]:.1f} with 0.2")
for k in np.argsort(-shares)[:4]:
    print(f"  against cluster {rivals[fours, k]} (mostly {names[rivals[fours, k]]}): "
          f"{shares[k]:.2f}")
assert np.isclose(shares.sum(), soft.logits[0, fours], rtol=1e-4)
assert rivals[fours, shares.argmax()] == rival[n] and soft.logits[0, fours] < f[n]

# %% [markdown]
# ## Where is zero, for digits?
#
# Again LRP-0, measured from black, which is 0 (the figures draw it white). We take one neuron of
# each image, the one that compares its cluster with the nearest rival. Then we swap black and
# white. The distances stay, so the clusters stay. Do the heatmaps?


# %%
def from_black(x, mu):
    """LRP-0 of h = w x + b: what the pixels get and what the bias gets."""
    w = 2 * (mu[cluster] - mu[rival])
    return w * x, -(w * (mu[cluster] + mu[rival]) / 2).sum(axis=1)


def alike(one, other):
    return np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(one, other)])


swapped = lrp.explain(lrp.KMeans(1 - km.centroids), 1 - images)
R_black, bias = from_black(images, km.centroids)
R_swapped, _ = from_black(1 - images, 1 - km.centroids)
print(f"mean of f: {f.mean():.1f}; of |bias| under LRP-0: {np.abs(bias).mean():.1f}, negative in "
      f"{(bias < 0).mean():.0%} of the images; the pixels speak against the cluster in "
      f"{(R_black.sum(axis=1) < 0).mean():.0%}")
print(f"black and white swapped: the same clusters: {(swapped.target == cluster).all()}; "
      f"correlation of the heatmaps: LRP-0 {alike(R_black, R_swapped):.2f}, "
      f"midpoints {alike(e.input, swapped.input):.2f}")
assert (swapped.target == cluster).all() and np.abs(bias).mean() > 0.8 * f.mean()
assert alike(R_black, R_swapped) < 0.1 and alike(e.input, swapped.input) > 0.999
assert np.allclose(R_black.sum(axis=1) + bias, f, atol=1e-2)

# %% [markdown]
# From black, the bias gets as much as there is to share out, with either sign, and the heatmap
# depends on which colour we call 0. From the midpoint neither happens.
#
# ## The test
#
# Almost as in lesson 10: flip the 15 % most relevant pixels, here of the non-zero ones, to 0. How
# many test digits move to another cluster? For comparison, as many non-zero pixels at random, and
# as many of the brightest.

# %%
from lrp_numpy.evaluation import size_matched_random

flipped = {"most relevant": lrp.flip(images, e.input, "morf", 0.15, pixels="nonzero")}
flipped["at random"] = size_matched_random(images, flipped["most relevant"], rng=0)
flipped["brightest"] = lrp.flip(images, images, "morf", 0.15, pixels="nonzero")
flipped["least relevant"] = lrp.flip(images, e.input, "lerf", 0.15, pixels="nonzero")
moves = {}
for name, changed in flipped.items():
    moves[name] = (km.predict(changed) != cluster).mean()
    ink = 1 - changed.sum() / images.sum()
    print(f"{name:14}: {moves[name]:5.1%} move, {ink:.0%} of the ink is gone")
assert moves["most relevant"] > 0.5 and moves["least relevant"] < 0.02
assert max(moves["at random"], moves["brightest"]) < moves["most relevant"] / 2

# %% [markdown]
# The relevant pixels hold a digit in its cluster. The brightest take more ink with them, and most
# digits stay.
#
# But is the test fair to both zeros? It flips *to* black, the zero of LRP-0. So we also flip to the
# midpoint of the two centroids, the same 15 %. Predict who wins each test.

# %%
midpoint = (km.centroids[cluster] + km.centroids[rival]) / 2
result = {}
print("                    to black  to midpoint")
for name, R in (("from midpoints", e.input), ("from black", R_black)):
    black = lrp.flip(images, R, "morf", 0.15, pixels="nonzero")
    at_midpoint = np.where(black != images, midpoint, images)
    result[name] = [(km.predict(changed) != cluster).mean() for changed in (black, at_midpoint)]
    print(f"R measured {name:14} {result[name][0]:.1%}  {result[name][1]:11.1%}")
assert result["from black"][0] > result["from midpoints"][0]
assert result["from midpoints"][1] > result["from black"][1]

# %% [markdown]
# Each wins where its own zero is. Relevance answers "compared with what?", and a flipping test asks
# the same question with its fill. For a network that adds up contributions, black is a natural
# answer. For distances it is not: black is one image among others. The midpoint is undecided
# between the two clusters, and that is the comparison we asked for.
#
# ## Try it
#
# - In the first example, set the second pixel of the rival to 2. What are w, m and the relevance
#   now, by hand?
# - `lrp.KMeans.fit(digits.train_images, 30, rng=0)`: do 5 and 9 get clusters of their own? How does
#   the purity change, and what is it with as many clusters as images?
# - Explain test image 8, the 4 of "All rivals at once", for cluster 1 of the 7s, with `target=`.
#   Where is blue?
# - Repeat the test with β = 0.2. Do more digits move, or fewer?
#
# **Answers.** 1: w = (8, -4), m = (2, 1): f = 8 + 0 = 8, and pixel 2 still gets 0, for it lies at
# the midpoint. 2: yes, and the purity rises to 74 %. With as many clusters as images it is 100 %,
# which shows that purity alone proves nothing. 3: for cluster 1, on the bar and on the stem, which
# a 7 does not have there, and on two empty places: at the top, where the 7 has its bar, and below,
# where it has its stem. 4: fewer: 50 % of the digits in place of 60 %.
#
# **Write it yourself:** the soft-min and the midpoint rule; a third function is for lesson 22.
# [The exercise](exercises/ex20_clusters.py) checks your answer and names the mistake.
#
# Next: [21. Outliers](21_what_is_odd.py).
