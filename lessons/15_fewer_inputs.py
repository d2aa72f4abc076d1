# %% [markdown]
# # 15. Fewer inputs, smaller networks
#
# **Question.** Which pixels can go for good, for all digits at once?
#
# **Running time.** 15 seconds. **Before it.** [10. Pixel flipping](10_removing_pixels.py).
#
# In lesson 10 each image lost pixels of its own, and the network stayed as large as it was. Now we
# choose pixels that **all** images lose, and remove them from the network too: smaller images, a
# smaller first layer, less work. This is **pruning**. The paper proposes it in its abstract, and
# leaves retraining to future work. Here it is.
#
# ## Three inputs, one of them useless
#
# To remove an input, remove its row of W. That is all.

# %%
import numpy as np
import lrp_numpy as lrp
from lrp_numpy import evaluation

net = lrp.MLP.from_arrays([np.array([[2.0, 1.0], [0.1, 0.0], [1.0, -1.0]]),
                           np.array([[1.0], [2.0]])], [np.zeros(2), np.zeros(1)], "relu")
x = np.array([[1.0, 1.0, 0.5], [0.5, 1.0, 0.2], [0.8, 0.0, 0.1]])
e = lrp.explain(net, x, "0")
print("relevance:\n", e.input.round(2))
score = evaluation.importance(net, x, "mean absolute relevance")
print("mean absolute relevance:", score.round(2))
assert np.allclose(score, np.abs(e.input).mean(axis=0))

# %% [markdown]
# The second input has almost no influence. We keep the other two and build the smaller network.

# %%
kept = evaluation.top_k(score, 2)
small = evaluation.prune_inputs(net, kept)
print("kept:", kept, " sizes:", net.sizes, "->", small.sizes)
print("before:", net.forward(x).ravel(), " after:", small.forward(x[:, kept]).ravel())
assert kept.tolist() == [0, 2] and np.abs(net.forward(x) - small.forward(x[:, kept])).max() < 0.11

# %% [markdown]
# From two inputs it computes exactly what the large network computes with the second one set to 0.

# %%
with_0 = x * np.array([1.0, 0.0, 1.0])
print(net.forward(with_0).ravel(), "=", small.forward(x[:, kept]).ravel())
assert np.allclose(net.forward(with_0), small.forward(x[:, kept]))

# %% [markdown]
# ## Which pixels matter in MNIST?
#
# The sigmoid network of the paper, zero-centred as in lesson 9. Five ways to rank the 784 pixels
# over 2,000 training digits: two by relevance, and three that know nothing of LRP.

# %%
digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], activation="sigmoid", rng=0)
lrp.train(net, digits, epochs=10, rng=0)
net = lrp.zero_centred(net)
sample = digits.train_images[:2000]
rankings = ("mean absolute relevance", "mean relevance", "variance", "activation times weight",
            "random")
scores = {by: evaluation.importance(net, sample, by) for by in rankings}
original = (net.predict(digits.test_images) == digits.test_labels).mean()
print(f"accuracy: {original:.1%}; scores:", {by: score.shape for by, score in scores.items()})
assert original > 0.9

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, grid = plt.subplots(1, 5, figsize=(10, 2.5), layout="constrained")
for axes, (by, score) in zip(grid, scores.items()):
    axes.imshow(score.reshape(28, 28), cmap="gray_r")
    axes.set(xticks=[], yticks=[])
    axes.set_title(by, fontsize=9)
figure.suptitle("Importance of each pixel: the darker, the more important", fontsize=10)
show(figure, "15_importance", "five ways to rank pixels")
edge = np.ones((28, 28), bool)
edge[4:-4, 4:-4] = False
inside = scores["mean absolute relevance"][~edge.ravel()].sum()
print(f"share of the mean absolute relevance in the inner 20 x 20 pixels: "
      f"{inside / scores['mean absolute relevance'].sum():.0%}")
assert inside > 0.9 * scores["mean absolute relevance"].sum()

# %% [markdown]
# The edges matter little: there is hardly ever any ink. We do not need LRP to see that; the
# variance shows it as well. Where ink is common, the rankings differ.
#
# ## Prune, and measure
#
# For each ranking we keep a share of the pixels, and do nothing else.

# %%
shares = (0.75, 0.5, 0.375, 0.25, 0.15)
accuracy = {}
for by, score in scores.items():
    for share in shares:
        kept = evaluation.top_k(score, round(share * 784))
        fewer = evaluation.select_pixels(digits, kept)
        small = evaluation.prune_inputs(net, kept)
        accuracy[by, share] = (small.predict(fewer.test_images) == fewer.test_labels).mean()
    print(f"{by:24}", "  ".join(f"{share:.0%}: {accuracy[by, share]:.1%}" for share in shares))
assert accuracy["mean absolute relevance", 0.5] > original - 0.015
assert accuracy["random", 0.5] < original - 0.03

# %% [markdown]
# Half of the pixels can go, and almost nothing happens, if we know which ones. At a quarter the
# rankings diverge. Here is the paper's contrast: remove the *most* important half instead.

# %%
worst = evaluation.top_k(-scores["mean absolute relevance"], 392)
fewer, small = evaluation.select_pixels(digits, worst), evaluation.prune_inputs(net, worst)
most_removed = (small.predict(fewer.test_images) == fewer.test_labels).mean()
print("accuracy without the least important half "
      f"{accuracy['mean absolute relevance', 0.5]:.1%}, without the most important half "
      f"{most_removed:.1%}")
assert most_removed < 0.5

# %% [markdown]
# ## Retrain
#
# The smaller network is less accurate, but it can learn again. Five epochs for each ranking, with a
# quarter of the pixels: 196 of 784.

# %%
again = {}
for by in rankings:
    kept = evaluation.top_k(scores[by], 196)
    fewer, small = evaluation.select_pixels(digits, kept), evaluation.prune_inputs(net, kept)
    again[by] = lrp.train(small, fewer, epochs=5, rng=1, progress=False).accuracy[-1]
    print(f"{by:24} pruned {accuracy[by, 0.25]:.1%}, retrained {again[by]:.1%}")
whole = lrp.train(lrp.MLP(net.layers), digits, epochs=5, rng=1, progress=False).accuracy[-1]
print(f"the whole network, trained five epochs longer: {whole:.1%}")
assert again["mean absolute relevance"] > whole - 0.05
assert again["mean absolute relevance"] > again["random"] + 0.01

# %% [markdown]
# A quarter of the pixels, and all of the accuracy but three points. To be fair: after retraining,
# the rankings that know nothing of LRP come close to those by relevance. The network finds its way
# with any sensible choice; only the random one stays behind.

# %%
sensible = [again[by] for by in rankings[:4]]
print(f"sensible choices: {min(sensible):.1%} to {max(sensible):.1%}, random {again['random']:.1%}")
assert max(sensible) - min(sensible) < 0.04 and again["random"] < min(sensible)

# %% [markdown]
# ## What we gain

# %%
kept = evaluation.top_k(scores["mean absolute relevance"], 196)
small, fewer = evaluation.prune_inputs(net, kept), evaluation.select_pixels(digits, kept)
before, after = evaluation.microseconds_per_image([net, small],
                                                  [digits.test_images, fewer.test_images])
print(f"parameters      {evaluation.count_parameters(net):8,} -> "
      f"{evaluation.count_parameters(small):8,}")
print(f"multiplications {net.multiplications:8,} -> {small.multiplications:8,}")
print(f"time per image: {after / before:.2f} of what it was")
assert small.multiplications == 196 * 500 + 500 * 10

# %% [markdown]
# ## Hidden neurons
#
# The same works one layer up. Hidden neurons have relevance too: `e.relevance[1]`. We rank the 500
# by it, keep 125, and retrain.

# %%
pruned, retrained = {}, {}
for by in rankings:
    score = evaluation.neuron_importance(net, sample, 1, by)
    small = evaluation.prune_neurons(net, 1, evaluation.top_k(score, 125))
    pruned[by] = (small.predict(digits.test_images) == digits.test_labels).mean()
    retrained[by] = lrp.train(small, digits, epochs=5, rng=1, progress=False).accuracy[-1]
    print(f"{by:24} pruned {pruned[by]:.1%}, retrained {retrained[by]:.1%}")
assert pruned["mean absolute relevance"] > pruned["random"]
assert min(retrained.values()) > original - 0.02

# %% [markdown]
# Without retraining, relevance chooses better than chance. Retrained, all are nearly back,
# even the random choice: this task does not need 500 neurons.
#
# ## Try it
#
# - Rank by the network as it stands: leave out the line with `zero_centred`. What changes?
# - Keep 49 pixels, one in sixteen, and draw them. Could you read digits through this sieve?
# - Rank with gamma instead of LRP-0: `evaluation.importance(net, sample, by, "gamma", gamma=0.25)`.
#   Remember what lesson 6 said about activations below 0: where are they here?
#
# **Write it yourself:** the smaller layer.
# [The exercise](exercises/ex15_fewer_inputs.py) tells you which kind of wrong an answer is.
#
# Next: [16. A convolutional network](16_a_cnn.py).
