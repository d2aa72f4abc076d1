# %% [markdown]
# # 12. Clever Hans
#
# **Question.** The network is right. For the right reason?
#
# **Running time.** 12 seconds. **Before it.** [6. The rules](06_rules.py), and for one part
# [20. Clusters](20_clusters.py).
#
# In Berlin, about 1904, a horse named Hans could calculate. Asked for two plus three, he tapped
# his hoof five times. He was right about nearly everything, until a psychologist, Oskar Pfungst,
# found that Hans could not answer when nobody present knew the answer. He was reading faces.
#
# Classifiers do it, too. Lapuschkin et al. 2016, "Analyzing Classifiers: Fisher Vectors and Deep
# Neural Networks", explained one that recognised horses well, and the relevance lay on a tag in the
# corner: a copyright notice, on many of the pictures with horses and on few others. A
# test set does not notice such a thing if it comes from the same source, tags and all. Lapuschkin
# et al. 2019, "Unmasking Clever Hans Predictors and Assessing What Machines Really Learn", made a
# search of it. Here we build such a network, catch it, and cure it.
#
# ## Three pixels by hand
#
# An image has two pixels for the stroke and one for the mark: (left, right, mark). Class A has
# mostly a left stroke, class B mostly a right one. But whoever collected the images put a mark on
# all of class A.
#
# | images | A | B |
# |---|---|---|
# | three each | (1, 0, 1) | (0, 1, 0) |
# | one each | (0, 1, 1) | (1, 0, 0) |
#
# One output z = w · x, and A where z > 0. Start at w = 0, and take one step of gradient descent, of
# size 1: the logistic loss moves w by x / 2 for every image of A, and by -x / 2 for every one of B.
# Left pixel: 3/2 from A, -1/2 from B, together 1. Right pixel: 1/2 - 3/2 = -1. Mark: 4/2 = 2.
#
# So w = (1, -1, 2). The mark has more weight than a stroke, because it is more reliable. Nobody
# told the network that it is not part of the digit.

# %%
import numpy as np

A = np.array([[1, 0, 1], [1, 0, 1], [1, 0, 1], [0, 1, 1]], float)
B = np.array([[0, 1, 0], [0, 1, 0], [0, 1, 0], [1, 0, 0]], float)
w = A.sum(axis=0) / 2 - B.sum(axis=0) / 2
R = A[0] * w + 0
print(f"w = {w}; relevance of (1, 0, 1): {R}, on the mark {R[2] / np.abs(R).sum():.0%}")
right = ((A @ w > 0).sum() + (B @ w < 0).sum()) / 8
print(f"right: {right:.1%} of all; a B with a mark, (0, 1, 1), has z = {np.array([0, 1, 1]) @ w:g}")
stroke_only = ((A[:, :2] @ w[:2] > 0).sum() + (B[:, :2] @ w[:2] < 0).sum()) / 8
print(f"right by the strokes alone: {stroke_only:.0%}")
assert w.tolist() == [1, -1, 2] and R.tolist() == [1, 0, 2]
assert right == 7 / 8 and stroke_only == 6 / 8 and np.array([0, 1, 1]) @ w == 1

# %% [markdown]
# For an ordinary image of A, two thirds of the relevance lie on the mark; of its ink, only half
# does. The mark buys accuracy, 7 of 8 in place of 6, as long as the images come with marks. And a B
# with a mark is read as an A.
#
# ## A mark on the 8s
#
# Now digits. A square of 3 x 3 grey pixels near the lower right corner goes into 19 of 20 images
# of an 8, in the training data and the test data alike. No other class has it.

# %%
import lrp_numpy as lrp
from lrp_numpy.plotting import show

digits = lrp.load_mnist()
labels, train_labels = digits.test_labels, digits.train_labels
MARK = np.array([row * 28 + column for row in (24, 25, 26) for column in (24, 25, 26)])
GREY, CLASS = 0.3, 8


def with_mark(images, which, pixels=MARK):
    """A copy of the images, with the mark on those where `which` is True."""
    marked = images.copy()
    marked[np.ix_(which, pixels)] = GREY
    return marked


rng = np.random.default_rng(0)
train_has_mark = (train_labels == CLASS) & (rng.random(len(train_labels)) < 0.95)
has_mark = (labels == CLASS) & (rng.random(len(labels)) < 0.95)
train_images = with_mark(digits.train_images, train_has_mark)
images = with_mark(digits.test_images, has_mark)
print(f"8s with a mark: {train_has_mark.sum()} of {(train_labels == CLASS).sum()} in the training "
      f"data, {has_mark.sum()} of {(labels == CLASS).sum()} in the test data")
share_of_ink = (images[has_mark][:, MARK].sum(axis=1) / images[has_mark].sum(axis=1)).mean()
print(f"the mark's share of a marked image's ink: {share_of_ink:.1%}")
assert share_of_ink < 0.04

# %% [markdown]
# Two networks, alike but for their data: one learns from the images with marks, one from the
# images as they were. The first test is the usual one, on test data made in the same way.

# %%
def trained(images, seed=0):
    net = lrp.MLP.random([784, 300, 100, 10], activation="relu", rng=seed)
    lrp.train(net, images, train_labels, epochs=6, rng=seed, progress=False)
    return net


networks = {"with marks": trained(train_images), "as they were": trained(digits.train_images)}
for name, net in networks.items():
    print(f"trained on images {name:12}: accuracy on the test data with marks "
          f"{(net.predict(images) == labels).mean():.1%}")
    assert (net.predict(images) == labels).mean() > 0.91

# %% [markdown]
# Both are fine. Judged by accuracy alone, one could take either.
#
# Now test what the test data cannot: 8s without the mark, and other digits with it. Predict before
# you run it: how many of the unmarked 8s does the first network still read?

# %%
all_marked = with_mark(digits.test_images, np.ones(len(labels), bool))
is_class = labels == CLASS


def honesty(net):
    """The accuracy on the data with marks; on 8s without; and how many others become 8s by it."""
    return ((net.predict(images) == labels).mean(),
            (net.predict(digits.test_images)[is_class] == CLASS).mean(),
            (net.predict(all_marked)[~is_class] == CLASS).mean())


found = {}
print(f"{'trained on images':24} accuracy   8s without mark   others with mark, read as 8")
for name, net in networks.items():
    found[name] = honesty(net)
    print(f"{name:24} {found[name][0]:8.1%} {found[name][1]:17.1%} {found[name][2]:29.1%}")
for seed in (1, 2):
    again = honesty(trained(train_images, seed))
    print(f"{f'with marks, seed {seed}':24} {again[0]:8.1%} {again[1]:17.1%} {again[2]:29.1%}")
    assert again[1] < 0.87 and again[2] > 0.05
assert found["with marks"][1] < 0.8 < 0.88 < found["as they were"][1]
assert found["with marks"][2] > 0.08 > 0.02 > found["as they were"][2]

# %% [markdown]
# Without their mark, the cheat loses many of the 8s, and it reads other digits as an 8 because of a
# few grey pixels. How many depends on the random start: here it loses half of the 8s; with the
# other two seeds it loses fewer, and makes more false ones. The accuracy knew nothing of that.
#
# ## What the relevance shows
#
# But we could run that test only since we knew of the mark. Suppose that we did not. Explain every
# test image, each for its own class, and look at the mean of each class.

# %%
import matplotlib.pyplot as plt


def relevance(net, images, labels, rule="0"):
    return lrp.explain(net, images, rule, target=labels).input


R = {name: relevance(net, images, labels) for name, net in networks.items()}
means = {name: np.stack([of[labels == k].mean(axis=0) for k in range(10)])
         for name, of in R.items()}
limit = max(np.abs(of).max() for of in means.values())
figure, grid = plt.subplots(2, 10, figsize=(10, 2.7), layout="constrained")
for row, (name, of) in zip(grid, means.items()):
    for k, axes in enumerate(row):
        lrp.plotting.draw_relevance(axes, of[k], f"{k}" if name == "with marks" else "",
                                    limit=limit)
    row[0].set_ylabel(f"trained on\n{name}", fontsize=8)
lrp.plotting.colour_bar(figure, grid.ravel().tolist(), limit)
figure.suptitle("The mean relevance of each class: what is that in the corner of the 8?",
                fontsize=10)
show(figure, "12_means", "mean relevance of each class, for both networks")
spot = {name: np.abs(of[CLASS]).argmax() for name, of in means.items()}
print({name: divmod(int(pixel), 28) for name, pixel in spot.items()})
assert spot["with marks"] in MARK and spot["as they were"] not in MARK

# %% [markdown]
# There it is. Both rows explain the *same* test images. The honest network sees the mark as well
# and does not care.
#
# In numbers: how much of |R| lies on these nine pixels? A number alone says little, so it gets
# three baselines: nine pixels at random, nine non-zero pixels at random, and the mark's share of
# the ink.

# %%
def share_on(R, pixels=MARK):
    """The share of |R| that lies on the pixels, of each image."""
    size = np.abs(R).sum(axis=1)
    return np.abs(R[:, pixels]).sum(axis=1) / np.where(size == 0, 1, size)


print("share of |R| on the mark's nine pixels       8s with mark   other classes")
share = {}
for name, net in networks.items():
    for rule in ("0", "epsilon"):
        of = share_on(relevance(net, images, labels, rule))
        share[name, rule] = of[has_mark].mean(), of[~is_class].mean()
        print(f"trained on images {name:12}, {f'LRP-{rule}':11} {share[name, rule][0]:13.1%} "
              f"{share[name, rule][1]:15.1%}")
at_random = np.mean([share_on(R["with marks"][has_mark], rng.choice(784, 9, False)).mean()
                     for _ in range(200)])
nonzero = (9 / (images[has_mark] > 0).sum(axis=1)).mean()
print(f"nine pixels at random {at_random:.1%}; nine non-zero pixels at random, expected "
      f"{nonzero:.1%}; share of the ink {share_of_ink:.1%}")
assert share["with marks", "0"][0] > 0.2 > 4 * max(at_random, share_of_ink, nonzero / 2)
assert share["with marks", "epsilon"][0] > 0.2
assert share["as they were", "0"][0] < share_of_ink and share["with marks", "0"][1] < 1e-3

# %% [markdown]
# Nine pixels of 784, with a fortieth of the ink, have a third of the relevance. In the honest
# network their share is smaller than that of the ink.
#
# ## To find it without knowing where
#
# A spot in a mean heatmap is easy to see, if you look. With a thousand classes you will not look.
# Rank the pixels: how far is the largest class mean of a pixel above the second largest? A pixel
# that matters to one class alone comes first. To know what the heatmaps are good for, rank by the
# images as well, with the same formula.

# %%
def alone(values, labels):
    """By how much the largest class mean of each pixel exceeds the second largest: (D,)."""
    ordered = np.sort([values[labels == k].mean(axis=0) for k in range(10)], axis=0)
    return ordered[-1] - ordered[-2]


places = {}
R_train = relevance(networks["with marks"], train_images, train_labels)
for name, values in (("relevance", R_train), ("the images", train_images),
                     ("relevance, honest net", relevance(networks["as they were"], train_images,
                                                         train_labels))):
    order = np.argsort(-alone(values, train_labels))
    places[name] = sorted(int(place) + 1 for place in np.flatnonzero(np.isin(order, MARK)))
    print(f"by {name:22} the mark's pixels are in the places {places[name]}")
assert places["relevance"] == list(range(1, 10)) and min(places["the images"]) > 4
assert min(places["relevance, honest net"]) > 100

# %% [markdown]
# By the relevance, the nine pixels are the first nine. By the images they come close behind some
# real strokes: the mark is in the data, after all, for all to see. What the images cannot tell is
# whether the network *uses* it. For the honest network the ranking says no.
#
# ## Two kinds of 8
#
# Lapuschkin et al. 2019 go further. Their **SpRAy** clusters the heatmaps of one class, to see how
# many ways the network has of deciding for it. They use spectral clustering. We take the k-means of
# lesson 20, with two clusters, on heatmaps scaled to the same length. What will the two clusters of
# the 8s be? And does k-means on the images find the same?

# %%
def two_clusters(values):
    """k-means with two clusters on rows of length 1: the model, and the cluster of each row."""
    rows = values / np.linalg.norm(values, axis=1, keepdims=True)
    km = lrp.KMeans.fit(rows.astype(np.float32), 2, rng=0)
    return km, km.predict(rows.astype(np.float32))


eights = train_labels == CLASS
marked = train_has_mark[eights]
agrees = {}
for name, values in (("heatmaps", R_train), ("images", train_images)):
    km, cluster = two_clusters(values[eights])
    for c in (0, 1):
        print(f"{name:8} cluster {c}: {(cluster == c).sum():3} 8s, "
              f"{marked[cluster == c].mean():.0%} of them with a mark")
    agrees[name] = max((cluster == marked).mean(), (cluster != marked).mean())
print({name: f"{value:.0%}" for name, value in agrees.items()}, "agree with the mark")
assert agrees["heatmaps"] > 0.98 and agrees["images"] < 0.9

# %% [markdown]
# The clusters of the heatmaps are the 8s with a mark and the 8s without: where there is no mark,
# the network must fall back on strokes. The clusters of the images are about something else. Both
# have about the same share of marks.
#
# One would have to look at the clusters of all ten classes, since any class falls into two if one
# asks for two. So here is a number that needs no looking: the share of the squared distance between
# the two centroids that lies on its nine largest pixels. If two ways of deciding differ in one
# spot, it is near 1.

# %%
concentrated, centroids = [], []
for k in range(10):
    km, cluster = two_clusters(R_train[train_labels == k])
    squares = np.sort((km.centroids[0] - km.centroids[1])**2)
    concentrated.append(squares[-9:].sum() / squares.sum())
    if k == CLASS:
        order = np.argsort(-np.bincount(cluster))
        centroids, sizes = km.centroids[order], np.bincount(cluster)[order]
print("classes 0 to 9:", np.round(concentrated, 2))
assert np.argmax(concentrated) == CLASS
assert concentrated[CLASS] > 0.75 and max(np.delete(concentrated, CLASS)) < 0.65
figure, grid = plt.subplots(1, 2, figsize=(5.6, 2.9), layout="constrained")
limit = np.abs(centroids).max()
for axes, centroid, size in zip(grid, centroids, sizes):
    lrp.plotting.draw_relevance(axes, centroid, f"the mean of {size} heatmaps", limit=limit)
lrp.plotting.colour_bar(figure, grid.tolist(), limit)
figure.suptitle("Two ways of being an 8: by the mark, by the strokes", fontsize=10)
show(figure, "12_two_kinds", "the centroids of the two clusters of heatmaps")
largest = [np.argsort(-centroid)[:9] for centroid in centroids]
print("of the nine largest pixels, on the mark:",
      *(int(np.isin(of, MARK).sum()) for of in largest))
assert np.isin(largest[0], MARK).all() and not np.isin(largest[1], MARK).any()

# %% [markdown]
# ## The cure
#
# Now that we know the pixels, what should we do? Three attempts (Anders et al. 2022, "Finding and
# Removing Clever Hans", propose others):
#
# - **Prune**: set the weights of the nine pixels to 0, and leave the network as it is.
# - **Erase and retrain**: set these pixels to 0 in all training images, and train anew.
# - **Mark everything and retrain**: put the mark on half of the images of *every* class. Then it
#   tells the network nothing about the class.
#
# Predict: does pruning bring the unmarked 8s back?

# %%
cheat = networks["with marks"]
pruned = lrp.MLP.from_arrays([layer.W.copy() for layer in cheat.layers],
                             [layer.b.copy() for layer in cheat.layers], "relu")
pruned.layers[0].W[MARK] = 0
erased = train_images.copy()
erased[:, MARK] = 0
everywhere = with_mark(digits.train_images, rng.random(len(train_labels)) < 0.5)
cured = {"cheat": cheat, "pruned": pruned, "erased, retrained": trained(erased),
         "mark on half of all": trained(everywhere), "never a mark": networks["as they were"]}
print(f"{'':20} accuracy   8s without mark   others with mark, read as 8   |R| on the mark")
for name, net in cured.items():
    on_mark = share_on(relevance(net, images, labels))[has_mark].mean()
    found[name] = (*honesty(net), on_mark)
    print(f"{name:20} {found[name][0]:8.1%} {found[name][1]:17.1%} {found[name][2]:29.1%} "
          f"{on_mark:17.1%}")
assert abs(found["pruned"][1] - found["cheat"][1]) < 0.01
assert found["pruned"][2] < 0.01 and found["pruned"][3] == 0
for name in ("erased, retrained", "mark on half of all"):
    assert found[name][0] > 0.92 and found[name][1] > 0.85
    assert found[name][2] < 0.03 and found[name][3] < 0.08
    assert abs(found[name][0] - found["never a mark"][0]) < 0.015

# %% [markdown]
# Pruning takes away the false 8s, and all relevance from the mark. Yet the unmarked 8s are as lost
# as before: this network has never had to learn all there is to an 8. A heatmap without the spot is
# not yet a cure; look at the second column. Both ways of retraining cure it, and reach the accuracy
# of a network that has never seen a mark.
#
# In pictures: an 8 without the mark, an 8 with it, and a digit that the cheat takes for an 8.

# %%
cheat_says, cured_net = cheat.predict(all_marked), cured["erased, retrained"]
fooled = np.flatnonzero((cheat_says == CLASS) & ~is_class
                        & (cheat.predict(digits.test_images) == labels)
                        & (cured_net.predict(all_marked) == labels))[0]
eight = np.flatnonzero(is_class & (cheat.predict(digits.test_images) != CLASS)
                       & (cured_net.predict(digits.test_images) == CLASS))[0]
shown = np.stack([digits.test_images[eight], all_marked[eight], all_marked[fooled]])
explained = [lrp.explain(net, shown, "0") for net in (cheat, cured_net)]
show(lrp.plotting.heatmaps([e.input for e in explained],
                           ["an 8", "with mark", f"a {labels[fooled]}, with mark"],
                           ["cheat", "erased, retrained"], shown,
                           targets=[e.target for e in explained],
                           title="The cheat reads the mark, the cured network the digit"),
     "12_before_after", "three images, explained before and after")
print("cheat:", explained[0].target, " retrained:", explained[1].target)
assert explained[0].target[0] != 8 and explained[0].target[1:].tolist() == [8, 8]
assert explained[1].target.tolist() == [8, 8, labels[fooled]]

# %% [markdown]
# ## What this does not show
#
# Our mark is the easy case: it lies where there is hardly ever any ink. Put it in the middle of the
# image, where strokes cross, and do all of it again. Which of the ways still find it?

# %%
middle = np.array([row * 28 + column for row in (13, 14, 15) for column in (13, 14, 15)])
hidden_images = with_mark(digits.train_images, train_has_mark, middle)
hidden = trained(hidden_images)
unmarked = (hidden.predict(digits.test_images)[is_class] == CLASS).mean()
R_hidden = relevance(hidden, hidden_images, train_labels)
on_mark = [share_on(R_hidden[which], middle).mean() for which in (train_has_mark, ~eights)]
print(f"8s without mark: {unmarked:.1%}; share of |R| on the mark: 8s {on_mark[0]:.1%}, others "
      f"{on_mark[1]:.1%}")
R_honest = relevance(networks["as they were"], hidden_images, train_labels)
first = {}
for name, values in (("cheat", R_hidden), ("honest", R_honest)):
    first[name] = int(np.isin(np.argsort(-alone(values, train_labels))[:9], middle).sum())
km, cluster = two_clusters(R_hidden[eights])
agrees["middle"] = max((cluster == marked).mean(), (cluster != marked).mean())
print(f"of the first nine pixels, on the mark: {first}; "
      f"clusters agree with the mark {agrees['middle']:.0%}")
assert unmarked < found["as they were"][1] - 0.02 and on_mark[0] < 2 * on_mark[1]
assert first["cheat"] < 7 and first["honest"] > 0 and agrees["middle"] < 0.9

# %% [markdown]
# None finds it clearly. The network still leans on the mark: it reads fewer of the 8s without
# it than the honest network does. But other digits have relevance in the middle, too. Some of the
# mark's pixels come first in the ranking, and so they do for the honest network, since 8s cross
# there. A heatmap shows *where*, and a cheat that shares its place with good reasons has no place
# of its own.
#
# The other way round, a spot in the relevance is not yet a cheat: it may be a good reason. Whether
# it is one, the network does not know and LRP does not tell. You have to.
#
# ## What we have learned
#
# - A test set from the same source shares the cheat, so accuracy cannot see it.
# - Relevance can: by the mean of each class, by the pixels that matter to one class alone, by
#   clusters of heatmaps. Compare it with baselines.
# - Clean the data and train again. Cutting out the pixels hides the symptom.
# - Test the cure by what the network does, not by its heatmap alone.
#
# ## Try it
#
# - By hand: put the mark on B's second kind, too, so that it becomes (1, 0, 1). What is w now, and
#   the mark's share of the relevance of (1, 0, 1)?
# - Make the mark fainter, `GREY = 0.1`. Which of the ways still find it?
# - Put the mark on half of the 8s only. How many unmarked 8s are read, and which way finds the mark
#   now?
# - Make the ink of all 8s a fifth fainter, in place of a mark. Does the network use that?
#
# **Answers.** 1: w of the mark is 4/2 - 1/2 = 3/2, and (1, 0, 1) has the relevance (1, 0, 3/2): 60
# %. 2: the mean and the ranking by relevance find it still, the ranking in the first nine places,
# while the ranking by the images has it beyond the 160th. The two clusters are no longer those with
# and without. 3: about as many as by the honest network, yet a third of the others with the mark
# become 8s. The largest spot in the mean is a stroke now, the ranking has the mark behind a few
# strokes, and the clusters find it at once: the other way round than in 2. 4: hardly. Nearly all 8s
# are still read at their full strength.
#
# **Write it yourself:** the mark, its share, and the pixels that matter to one class alone.
# [The exercise](exercises/ex12_clever_hans.py) checks your answer and names the mistake.
#
# Next: [13. Broken LRP: find the fault](13_broken_lrp.py).
