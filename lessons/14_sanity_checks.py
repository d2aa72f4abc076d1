# %% [markdown]
# # 14. Sanity checks
#
# **Question.** Would the heatmap be another one if the network knew nothing?
#
# **Running time.** 10 seconds. **Before it.** [6. The rules](06_rules.py) and
# [13. Broken LRP](13_broken_lrp.py).
#
# A heatmap should tell what the *network* does. Adebayo et al. 2018, "Sanity Checks for Saliency
# Maps", ask two simple questions. If we replace the trained weights by random ones, does the
# heatmap change? If we train with shuffled labels, so that there is nothing to learn, does it
# change? A method whose heatmaps stay the same does not explain the network.
#
# ## Two pixels by hand
#
# Two pixels x = (1, 1), two hidden neurons with the weights (2, 1) and (4, 2), no biases. So
# h = (3, 6). The output is f = h1 + h2. Then we replace the upper weights (1, 1) by "random" ones,
# (5, -1).
#
# | rule | f = h1 + h2 = 9 | f = 5 h1 - h2 = 9 |
# |---|---|---|
# | LRP-0 | h: 3, 6; pixels: 2 + 4, 1 + 2 = 6, 3 | h: 15, -6; pixels: 10 - 4, 5 - 2 = 6, 3 |
#
# The same heatmap from other weights! Both hidden neurons share out what they get as 2 to 1, so it
# does not matter how much each of them gets. This is a caricature, but z+ comes near to it: with
# positive weights only, and several layers of many neurons, all upper neurons share out among the
# pixels in about the same proportions (Sixt et al. 2020, "When Explanations Lie": the product of
# many positive matrices nears rank 1).

# %%
import numpy as np
import lrp_numpy as lrp

x, lower = np.ones((1, 2)), np.array([[2.0, 4.0], [1.0, 2.0]])
for upper in (np.array([[1.0], [1.0]]), np.array([[5.0], [-1.0]])):
    net = lrp.MLP.from_arrays([lower, upper], [np.zeros(2), np.zeros(1)], "relu")
    e = lrp.explain(net, x, "0")
    print("f =", e.logits[0, 0], " hidden:", e.relevance[1][0], " pixels:", e.input[0])
    assert e.logits[0, 0] == 9 and e.input.tolist() == [[6, 3]]

# %% [markdown]
# ## Weights replaced from the top down
#
# A network of four layers that reads digits. We replace its layers by those of an untrained one:
# first the last layer, then the last two, and so on (the **cascade**).

# %%
digits = lrp.load_mnist()
images, labels = digits.test_images[:100], digits.test_labels[:100]
sizes = [784, 100, 100, 100, 10]
trained = lrp.MLP.random(sizes, activation="relu", rng=0)
lrp.train(trained, digits, epochs=8, rng=0, progress=False)
untrained = lrp.MLP.random(sizes, activation="relu", rng=7)
cascade = [lrp.MLP([*trained.layers[:4 - count], *untrained.layers[4 - count:]])
           for count in range(5)]
for count, net in enumerate(cascade):
    accuracy = (net.predict(digits.test_images) == digits.test_labels).mean()
    print(f"{count} layers replaced: accuracy {accuracy:.1%}")
    assert (accuracy > 0.9) == (count == 0) and (count == 0 or accuracy < 0.3)

# %% [markdown]
# One replaced layer, and it knows nothing. So every heatmap should be another one. How similar are
# they? We compare ranks (Spearman's correlation): of R, and of |R|, which is what many figures
# show.
#
# The relevance starts at 1, not at the logit. Every rule is linear in its start, so from a negative
# logit each would give the same heatmap with all signs flipped. Which of the two has the right
# signs? z+ and alpha-beta divide by sums whose sign does not depend on the logit's: from 1, an
# input of the last layer that raises the logit gets positive relevance. LRP-0, epsilon and the
# generalized gamma divide by z: from 1, an input of the last layer that raises a negative logit
# gets negative relevance, and the layers below pass the sign on. (For the pixels it is exact with
# LRP-0 only, which is gradient x input, lesson 6, here divided by the logit.) For these three, read
# the size of the similarity, not its sign. (The table below has medians over the images, in which
# both signs partly cancel.)
#
# And over which pixels? Predict what a comparison over *all* pixels says of LRP-0.

# %%
from lrp_numpy.evaluation import gradient

explained = trained.predict(images)
ink = images > 0


def by_rule(rule, **how):
    return lambda net: lrp.explain(net, images, rule, explained, start=1.0, **how).input


methods = {"gradient": lambda net: gradient(net, images, explained),
           "LRP-0": by_rule("0"),
           "epsilon": by_rule("epsilon", epsilon=0.25),
           "generalized gamma": by_rule("gamma_generalized", gamma=0.25),
           "alpha-beta": by_rule("alpha_beta", alpha=2.0, beta=1.0),
           "z+": by_rule("z_plus"),
           "pixel intensity": lambda net: images}


def similarity(one, other, pixels=ink):
    """Spearman's correlation over the chosen pixels of each image, the median over the images."""
    ranks = [[np.argsort(np.argsort(R[chosen])) for R, chosen in zip(of, pixels)]
             for of in (one, other)]
    return np.median([np.corrcoef(a, b)[0, 1] for a, b in zip(*ranks)])


lrp_zero = methods["LRP-0"]
R, of_nothing = lrp_zero(trained), lrp_zero(untrained)
over_all = similarity(np.abs(R), np.abs(of_nothing), np.ones_like(ink))
over_ink = similarity(np.abs(R), np.abs(of_nothing))
print(f"|LRP-0|, trained and untrained: over all pixels {over_all:.2f}, over ink {over_ink:.2f}")
assert over_all > 0.95 and over_ink < 0.6
logit = cascade[1].forward(images)[np.arange(len(images)), explained]
from_logit = lrp.explain(cascade[1], images, "0", explained).input
print(f"one layer replaced: {np.mean(logit < 0):.0%} of the logits are negative; LRP-0 from 1 "
      f"{similarity(R, lrp_zero(cascade[1])):.2f}, from the logit {similarity(R, from_logit):.2f}")
assert np.allclose(lrp_zero(cascade[1]) * logit[:, None], from_logit, atol=1e-4)

# %% [markdown]
# A similarity of 0.99 for |R| over all pixels: a false alarm. LRP-0 is 0, the lowest rank of |R|,
# wherever the image is 0, for any network, so the empty background, four fifths of the image,
# agrees with itself. Over the ink the two heatmaps have something in common, and not much. So: the
# ink only, as in lesson 10.

# %%
signed, absolute = {}, {}
print(f"{'':18} R: 1 to 4 layers replaced      |R|")
for name, method in methods.items():
    found = [method(net) for net in cascade]
    signed[name] = [similarity(found[0], other) for other in found[1:]]
    absolute[name] = [similarity(np.abs(found[0]), np.abs(other)) for other in found[1:]]
    print(f"{name:18}", *(f"{value:6.2f}" for value in signed[name]), "  ",
          *(f"{value:6.2f}" for value in absolute[name]))
for name in ("gradient", "LRP-0", "epsilon"):
    assert max(np.abs(signed[name])) < 0.5
assert min(signed["z+"][:3]) > 0.95 and min(absolute["z+"][:3]) > 0.95
assert max(absolute["gradient"]) < 0.3 < min(absolute["LRP-0"]) < max(absolute["LRP-0"]) < 0.6
assert signed["pixel intensity"] == [1, 1, 1, 1]

# %% [markdown]
# Read the left half first.
#
# - **gradient, LRP-0, epsilon** pass: with a random top layer, little is left of the order, and
#   with four random layers nothing.
# - **z+** fails, nearly as badly as the image itself, which is no explanation at all: three of four
#   layers are random, and the heatmap has not changed. Only the first layer has a say.
# - The generalized **gamma** and **alpha-beta** are in between.
#
# Now the right half, |R|. LRP-0 keeps 0.4 to 0.5 whatever we do. That is the image shining through:
# R is the pixel times something, and bright pixels have larger |R| in every network. The gradient
# is not multiplied by the pixel, and keeps next to nothing.

# %%
intensity = similarity(images, np.abs(lrp_zero(untrained)))
print(f"similarity of the image and |LRP-0| of the untrained network: {intensity:.2f}")
assert intensity > 0.3

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

colours = {"gradient": "#56b4e9", "LRP-0": "#0072b2", "generalized gamma": "#e69f00",
           "alpha-beta": "#009e73", "z+": "#d55e00"}
figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
places = {"gradient": -0.13, "LRP-0": 0.09, "generalized gamma": 0.2, "alpha-beta": -0.02,
          "z+": 0.78}
for (name, colour), marker in zip(colours.items(), "osD^v"):
    axes.plot(range(5), [1, *signed[name]], "-" + marker, color=colour, markersize=5)
    axes.text(4.1, places[name], name, color=colour, va="center", fontsize=9)
axes.axhline(0, color="0.8", zorder=0)
axes.set(xlabel="layers replaced, from the top", ylabel="similarity of R over the ink",
         xticks=range(5), xlim=(-0.1, 5.6),
         title="Upper layers know nothing any more, and z+ does not notice")
show(figure, "14_cascade", "similarity as layers are replaced")

# %%
n = int(np.argmax(labels == 4))
drawn = ["gradient", "LRP-0", "generalized gamma", "z+"]
show(lrp.plotting.heatmaps([np.stack([method(net)[n] for net in cascade])
                            for method in map(methods.get, drawn)],
                           [f"{count} replaced" for count in range(5)], drawn,
                           title="One 4, and more and more random layers"), "14_heatmaps",
     "heatmaps as layers are replaced")
print("similarity of R, three layers replaced:",
      ", ".join(f"{name} {signed[name][2]:.2f}" for name in colours))
assert signed["z+"][2] > signed["generalized gamma"][2] > abs(signed["LRP-0"][2])

# %% [markdown]
# ## Shuffled labels
#
# The second question: the same network, trained with the labels in random order. It can only learn
# them by heart, image by image, and knows nothing about digits.

# %%
by_heart = lrp.MLP.random(sizes, activation="relu", rng=0)
shuffled = np.random.default_rng(0).permutation(digits.train_labels)
lrp.train(by_heart, digits.train_images, shuffled, epochs=20, rng=0, progress=False)
known = (by_heart.predict(digits.train_images) == shuffled).mean()
accuracy = (by_heart.predict(digits.test_images) == digits.test_labels).mean()
print(f"of the shuffled labels it has learned {known:.0%}; accuracy on test images {accuracy:.1%}")
assert known > 0.3 and accuracy < 0.2
for name in ("gradient", "LRP-0", "epsilon", "generalized gamma", "alpha-beta", "z+"):
    one, other = map(methods[name], (trained, by_heart))
    print(f"{name:18} R {similarity(one, other):5.2f}   |R| "
          f"{similarity(np.abs(one), np.abs(other)):.2f}")
    assert (similarity(one, other) > 0.5) == (name == "z+")

# %% [markdown]
# z+ fails again; gradient, LRP-0 and epsilon pass again. Generalized gamma and alpha-beta, which
# were in between, pass this time.
#
# ## Is the check itself sane?
#
# Be careful with the reverse. A method that passes is not therefore right: random numbers pass,
# too. And a method that fails need not be useless. Binder et al. 2023, "Shortcomings of Top-Down
# Randomization-Based Sanity Checks", reply: a random upper layer still hands down most of what the
# trained lower layers have found, so heatmaps *should* keep something; and similarity measures
# reward noise. z+ stays because it asks "which ink excites this network", not "which ink makes this
# class".

# %%
noise = [np.random.default_rng(seed).normal(size=images.shape) for seed in (0, 1)]
print(f"two random heatmaps: {similarity(*noise):.2f}, and each says nothing")
relevance = {name: by(trained) for name, by in methods.items()} | {"random": noise[0]}
curves = {name: lrp.evaluation.perturbation_curves(trained, images, labels, relevance[name],
                                                   [0.1, 0.2, 0.3, 0.5])
          for name in ("z+", "LRP-0", "random")}
srg = {name: of.srg(of.accuracy) for name, of in curves.items()}
print("SRG by pixel flipping:", ", ".join(f"{name} {value:.2f}" for name, value in srg.items()))
assert abs(similarity(*noise)) < 0.05 and srg["random"] < 0.1
assert srg["LRP-0"] > srg["z+"] + 0.1 > srg["random"] + 0.1

# %% [markdown]
# ## Try it
#
# - By hand: which upper weights would change the *shares* of the two pixels? (None. Why?) Change
#   one lower weight, so that they can.
# - Replace layers from the bottom up. Which rule notices first?
# - Use the composite `"deep_taylor"` (its relevance lies on empty pixels as well: compare all
#   pixels). Does it notice?
# - Explain the class of a *wrong* label with z+ and with LRP-0. Which heatmap changes?
#
# **Answers.** 1: both neurons share out 2 to 1, so the pixels get 2/3 and 1/3 of whatever comes
# down. With a lower weight of 3 for 4, the second neuron shares out 3 to 2, and the upper weights
# matter. 2: all but z+ notice at once: no similarity of R above 0.2 is left. z+ falls to 0.78 and
# stays there. 3: not before the first layer is replaced: 1.00, 1.00, 0.99, and then 0.06. 4: from a
# start of 1, with z+ the two heatmaps have a similarity of 1.00, with LRP-0 one of 0.18, if the
# wrong label is the class + 1.
#
# **Write it yourself:** Spearman's correlation over the ink.
# [The exercise](exercises/ex14_sanity_checks.py) tells you which kind of wrong an answer is.
#
# Next: [15. Fewer inputs, smaller networks](15_fewer_inputs.py).
