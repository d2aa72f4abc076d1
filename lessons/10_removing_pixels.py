# %% [markdown]
# # 10. Pixel flipping
#
# **Question.** Are the relevant pixels really those that the network needs?
#
# **Running time.** 15 seconds. **Before it.** [9. The sigmoid trap](09_the_sigmoid_trap.py).
#
# A heatmap is easy to like and hard to check. A student paper by A. Arradi, C. Collinsworth and
# G. S. Sanka (Stony Brook University), "Layer-Wise Relevance Propagation - Implications for Feature
# Extraction", has a plan for a check: remove the pixels that are said to matter, and ask the
# network again. Then remove those that are said not to matter. If the heatmap
# is right, the first should hurt, and the second should do nothing, or even help. The field calls
# this **pixel flipping**: most relevant first (MoRF), or least relevant first (LeRF).
#
# We redo the paper's tables and figures 4 and 5. Then we use every test image, not five.
#
# ## Ten pixels
#
# An image of ten pixels, three of them empty, and its relevance:

# %%
import numpy as np
import lrp_numpy as lrp

x = np.array([[0.5, 0.0, 0.9, 0.7, 0.2, 0.0, 1.0, 0.3, 0.0, 0.8]])
R = np.array([[1.0, 0.0, -5.0, 3.0, -0.5, 0.0, 2.0, 0.1, 0.0, -4.0]])
print("MoRF, 30 %:", lrp.flip(x, R, "morf", fraction=0.3))
print("LeRF, 30 %:", lrp.flip(x, R, "lerf", fraction=0.3))
assert np.flatnonzero(lrp.flip(x, R, "morf", fraction=0.3) != x).tolist() == [0, 3, 6]
assert np.flatnonzero(lrp.flip(x, R, "lerf", fraction=0.3) != x).tolist() == [2, 4, 9]

# %% [markdown]
# Look twice at "least relevant". Here these are the pixels with the most *negative* relevance: -5,
# -4, -0.5. One could also mean those with the smallest absolute relevance. That is a different
# experiment.

# %%
absolute = lrp.flip(x, R, "lerf", fraction=0.3, order="absolute")
print("smallest |R| first:", absolute)
assert (absolute == x).all()

# %% [markdown]
# Nothing has changed! The three empty pixels have R = 0, so they come first, and they were empty
# already. In MNIST four of five pixels are empty. So in absolute order "the least relevant 15 %"
# are all empty, and flipping them changes no image. In the paper it did change the network's
# answers, so its order was probably signed. Ours is, and breaks ties at random.
#
# ## The paper's confidence
#
# After flipping, the paper measures how confident the network still is: (top1 - top2) / top1, from
# the two largest outputs.

# %%
from lrp_numpy.evaluation import confidence, margin

for logits in ([4.0, 3.0, -1.0], [4.0, -2.0, -9.0], [-2.0, -4.0, -9.0]):
    row = np.array([logits])
    print(f"logits {logits}: confidence {confidence(row)[0]:5.2f}, "
          f"softmax margin {margin(row)[0]:.2f}")
assert np.isclose(confidence(np.array([[4.0, -2.0, -9.0]])), 1.5)

# %% [markdown]
# The outputs are logits, and logits can be negative. So this confidence exceeds 1 whenever the
# second logit is negative and the first is not (hence the values above 1 in the paper's tables),
# and it can be -1. The softmax margin p1 - p2 lies between 0 and 1; we print it beside the
# confidence. Both share a blind spot: they measure how sure the network is, not whether it is
# right. So we also measure the accuracy.
#
# ## The paper's experiment
#
# A sigmoid network, 15 % of the pixels (118 of 784), the digits 0, 1, 2, 4, 7. The relevance is
# that of the predicted class. We explain the network as it stands, as the paper did, and switch the
# warnings of `explain` off: of the sigmoid, and of gamma, which is not made for its negative z.

# %%
import warnings

warnings.filterwarnings("ignore", message=".*zero_centred|gamma is made for")
digits = lrp.load_mnist()
images, labels = digits.test_images, digits.test_labels
sigmoid = lrp.MLP.random([784, 500, 10], activation="sigmoid", rng=0)
history = lrp.train(sigmoid, digits, epochs=10, rng=0)
print(f"accuracy: {history.accuracy[-1]:.1%}")
assert history.accuracy[-1] > 0.9

# %%
from lrp_numpy.cli import tables
from lrp_numpy.evaluation import first_of_each

chosen = first_of_each(labels, [0, 1, 2, 4, 7])
by_gamma = lrp.flip_and_measure(sigmoid, images, labels, "gamma", gamma=0.25)
by_0 = lrp.flip_and_measure(sigmoid, images, labels, "0")
for title, flipping in (("Table 1: gamma", by_gamma), ("Table 2: LRP-0", by_0)):
    print(f"\n{title}")
    print(tables.as_text(tables.paper_cells(tables.paper_numbers(flipping, labels, chosen))))
assert (by_0.original.confidence == by_gamma.original.confidence).all()

# %% [markdown]
# `IFRC` is the paper's name for the confidence after its important features (pixels) are removed:
# MoRF. `UFRC` is the same for the unimportant ones: LeRF. A number in brackets is a wrong
# prediction: `[6]` means that the network now predicts 6. The rows at the bottom are the means over
# the five digits and over all 2,000, and the accuracy.
#
# Figure 4: what is left after flipping. Figure 5: how LRP-0 explains that.

# %%
from lrp_numpy.plotting import show

variants = [images[chosen], by_0.morf_images[chosen], by_0.lerf_images[chosen]]
outcomes = [by_0.original, by_0.morf, by_0.lerf]
titles = ["original", "MoRF", "LeRF"]
show(lrp.plotting.flipped_images(variants, [outcome.prediction[chosen] for outcome in outcomes],
                                 labels[chosen], titles, "15 % of the pixels flipped"),
     "10_figure4_removed", "what is left after flipping")

# %%
explained = [lrp.explain(sigmoid, variant, "0") for variant in variants]
show(lrp.plotting.heatmaps([e.input for e in explained], labels[chosen], titles,
                           targets=[e.target for e in explained],
                           title="15 % of the pixels flipped, explained by LRP-0"),
     "10_figure5_relevance", "the relevance of what is left")
print("correct:", *(outcome.correct[chosen] for outcome in outcomes))
assert outcomes[0].correct[chosen].all()

# %% [markdown]
# Below each heatmap of figure 5 stands the class that it explains: flipping may have changed it.
#
# 118 pixels sound like few: 15 %. But the ink of an image is only about 150 pixels. How many of the
# 118 were among these **non-zero** pixels, and how many pixels have positive relevance at all?

# %%
ink = (images > 0).sum(axis=1)
flipped_ink = ink - (by_0.morf_images > 0).sum(axis=1)
positive = (by_0.relevance > 0).sum(axis=1)
print(f"MoRF flips {(flipped_ink / ink).mean():.0%} of the non-zero pixels; "
      f"at most 118 pixels with R > 0: {(positive <= 118).mean():.0%} of the images")
assert 0.4 < (flipped_ink / ink).mean() < 0.65 and (positive <= 118).mean() > 0.8

# %% [markdown]
# So in nearly all images every pixel with positive relevance is flipped, and empty ones fill up the
# 118. "The most relevant 15 %" is really "everything positive": half of the digit.
#
# ## The published tables
#
# Here are the paper's own numbers. As careful readers, we average them again.

# %%
published = {       # a row a digit: "prediction" (the confidence before flipping), IFRC, UFRC
    "gamma": [[1.1657, 0.4514, 0.8651], [1.2014, 1.2416, 0.7210], [0.5657, 0.2009, 0.4548],
              [0.8207, 0.3577, 0.5131], [0.7263, 0.7256, 0.5445]],
    "LRP-0": [[1.0246, 0.4404, 0.6737], [1.1558, 1.2080, 0.0517], [0.5544, 0.2143, 0.3036],
              [0.8344, 0.6058, 0.7089], [0.7650, 0.7138, 0.7351]]}
printed = {"gamma": [0.8959, 0.5151, 0.6197], "LRP-0": [0.8959, 0.6365, 0.4946]}
for rule, rows in published.items():
    print(f"{rule}: means of the rows {np.mean(rows, axis=0).round(4)}, printed {printed[rule]}")
print("the five values of IFRC - UFRC, LRP-0:",
      np.subtract(*np.array(published["LRP-0"])[:, 1:].T).round(2))

# %% [markdown]
# Two of the six printed means are not the means of their rows. For LRP-0 the mean "prediction" is
# 0.8668; the printed 0.8959 is that of the other table (0.89596, cut off). For gamma the mean IFRC
# is 0.5954, not 0.5151. Such slips are easy to make, and easy to find when the numbers are
# published: it is to the paper's credit that they are.

# %%
means = {rule: np.mean(rows, axis=0) for rule, rows in published.items()}
assert abs(means["LRP-0"][0] - 0.8668) < 1e-4 and abs(means["gamma"][1] - 0.5954) < 1e-4
assert means["LRP-0"][1] > means["LRP-0"][2]
print("LRP-0: removing the important pixels leaves more confidence than removing the others:",
      f"{means['LRP-0'][1]:.2f} > {means['LRP-0'][2]:.2f}")

# %% [markdown]
# And here is the puzzle. For LRP-0, the printed averages claim that removing *unimportant* pixels
# hurts *more*. But one digit decides it: without the 1, the means are the other way round. And so
# they are in our own Table 2, over all 2,000 images.

# %%
without_1 = np.mean(np.delete(published["LRP-0"], 1, axis=0), axis=0)
print(f"published, without the 1: IFRC {without_1[1]:.2f}, UFRC {without_1[2]:.2f}")
ifrc, ufrc = by_0.morf.confidence.mean(), by_0.lerf.confidence.mean()
print(f"ours, all images:         IFRC {ifrc:.2f}, UFRC {ufrc:.2f}")
assert without_1[1] < without_1[2] and ifrc < ufrc

# %% [markdown]
# So that much was the luck of five images. But look at our Table 2 again: flipping the
# *unimportant* pixels costs the network almost a third of its accuracy. Is that a lot? To know, we
# must flip pixels at random as well.
#
# ## Every test image, and a fair baseline
#
# Any 118 pixels would not be fair: four of five are empty. So we flip as many **non-zero** pixels
# in each image as LRP did, but choose them at random: the **size-matched random** baseline. Only
# the choice differs. For the ten pixels of the beginning:

# %%
from lrp_numpy.evaluation import size_matched_random

flipped = lrp.flip(x, R, "morf", fraction=0.3)
print("MoRF, 30 %:         ", flipped)
print("size-matched random:", size_matched_random(x, flipped))
assert (size_matched_random(x, flipped) > 0).sum() == (flipped > 0).sum() == 4

# %% [markdown]
# And a second network joins in. It differs only in its activation function.

# %%
relu = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
lrp.train(relu, digits, epochs=10, rng=0)
accuracy = {}
for name, net in (("sigmoid", sigmoid), ("relu", relu)):
    flipping = lrp.flip_and_measure(net, images, labels, "0")
    at_random = {order: lrp.measure(net, size_matched_random(images, flipped), labels)
                 for order, flipped in (("MoRF", flipping.morf_images),
                                        ("LeRF", flipping.lerf_images))}
    print(f"\n{name}, LRP-0, {len(images)} images")
    for what, outcome in (("original", flipping.original),
                          ("MoRF", flipping.morf),
                          ("size-matched random (MoRF)", at_random["MoRF"]),
                          ("LeRF", flipping.lerf),
                          ("size-matched random (LeRF)", at_random["LeRF"])):
        accuracy[name, what] = outcome.correct.mean()
        print(f"  {what:26} accuracy {accuracy[name, what]:6.1%}, confidence "
              f"{outcome.confidence.mean():5.2f}, margin {outcome.margin.mean():.2f}")

# %% [markdown]
# For the **ReLU** network all is as hoped. Without the most relevant pixels it is almost never
# right, while a random choice leaves it right four times out of five. Without the least relevant
# ones it is right as often as before, and more confident: the evidence against is gone.

# %%
original, morf, morf_random, lerf, _ = (accuracy[key] for key in accuracy if key[0] == "relu")
assert lerf > original - 0.005 and morf < 0.05 < 0.7 < morf_random
print(f"ReLU: original {original:.1%}, MoRF {morf:.1%}, LeRF {lerf:.1%}")

# %% [markdown]
# Do not praise it too much. With ReLU, LRP-0 is gradient x input (lesson 6): an estimate of
# what happens when a pixel becomes 0. And that is just what we did to it. Passing this test means
# little. Failing it means a lot.
#
# And the **sigmoid** network fails it. Flipping the *least* relevant pixels costs almost a third of
# its accuracy, far more than a random choice costs. The network needed these pixels more than
# others. The heatmap misleads.

# %%
original, _, _, lerf, lerf_random = (accuracy[key] for key in accuracy if key[0] == "sigmoid")
assert lerf < 0.8 and lerf < lerf_random - 0.1
print(f"sigmoid: LeRF {lerf:.1%}, size-matched random {lerf_random:.1%}")

# %% [markdown]
# ## What is wrong with the sigmoid?
#
# Lesson 9 gave the reason: σ(0) = 1/2, so a neuron near z = 0 redistributes relevance that its
# inputs did not contribute, R / z to each unit of contribution. The largest |R / z| in each image:

# %%
per_unit = {}
for name, net in (("sigmoid", sigmoid), ("relu", relu)):
    e = lrp.explain(net, images, "0")
    z = images @ net.layers[0].W + net.layers[0].b
    per_unit[name] = np.abs(e.relevance[1] / np.where(z == 0, 1, z)).max(axis=1)
    print(f"{name:8} largest |R / z| in an image: median {np.median(per_unit[name]):8.2f}, "
          f"maximum {per_unit[name].max():10.2f}")
assert np.median(per_unit["sigmoid"]) > 10 * per_unit["relu"].max()

# %% [markdown]
# And it gave the cure: the same network, zero-centred.

# %%
centred = lrp.zero_centred(sigmoid)
again = lrp.flip_and_measure(centred, images, labels, "0")
print("sigmoid, zero-centred, LRP-0")
for what, outcome in (("original", again.original), ("MoRF", again.morf), ("LeRF", again.lerf)):
    print(f"  {what:8} accuracy {outcome.correct.mean():6.1%}, confidence "
          f"{outcome.confidence.mean():5.2f}, margin {outcome.margin.mean():.2f}")
assert again.morf.correct.mean() < 0.05
assert again.lerf.correct.mean() > original - 0.005
assert again.lerf.confidence.mean() > again.original.confidence.mean()

# %% [markdown]
# Now the sigmoid network does what the paper hoped for: without the least relevant
# pixels it loses no accuracy, and is more confident. So the network was innocent. The half was to
# blame.
#
# There is a second, rougher cure: epsilon absorbs the relevance of neurons near z = 0. Gamma does
# not help much, as Table 1 showed.

# %%
by_epsilon = lrp.flip_and_measure(sigmoid, images, labels, "epsilon", epsilon=0.25)
for name, flipping in (("LRP-0", by_0), ("gamma", by_gamma), ("epsilon", by_epsilon)):
    print(f"{name:8} LeRF: accuracy {flipping.lerf.correct.mean():.1%}")
assert by_epsilon.lerf.correct.mean() > by_gamma.lerf.correct.mean() + 0.1 > lerf + 0.1

# %% [markdown]
# ## How much can be flipped?
#
# 15 % was a choice. But more of all pixels would tell us little: once those with negative relevance
# are gone, the "least relevant" are the empty ones, hundreds of them. So we now rank and count only
# the **non-zero** pixels, and flip a growing share of these. The area between the LeRF and the MoRF
# curve is the symmetric relevance gain (SRG; Bluecher et al. 2024): the larger it is, the better
# the heatmap ranks. (We print the mean gap over the shares that we measure.)
#
# A second baseline joins in: the image itself, as if it were a heatmap, brightest pixels first. It
# knows nothing of the network. Make a prediction: which SRG does it get?

# %%
import matplotlib.pyplot as plt
from lrp_numpy.evaluation import perturbation_curves

fractions = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
some, their_labels = images[:500], labels[:500]
figure, grid = plt.subplots(1, 3, figsize=(10, 3), sharey=True, layout="constrained")
for axes, (name, net) in zip(grid, (("sigmoid", sigmoid), ("sigmoid, zero-centred", centred),
                                    ("relu", relu))):
    curves = perturbation_curves(net, some, their_labels, lrp.explain(net, some, "0").input,
                                 fractions, pixels="nonzero")
    of_ink = perturbation_curves(net, some, their_labels, some, fractions, pixels="nonzero")
    original = (net.predict(some) == their_labels).mean()
    for of, order, label, style, colour in (
            (of_ink, "lerf", "dimmest first", "-", "0.6"),
            (of_ink, "morf", "brightest first", "--", "0.6"),
            (curves, "lerf", "LeRF", "-o", "#0072b2"),
            (curves, "random", "random", ":", "black"), (curves, "morf", "MoRF", "--s", "#d55e00")):
        curve = of.accuracy[order]
        axes.plot([0, *100 * fractions], [100 * original, *100 * curve], style, color=colour,
                  markersize=4)
        if net is relu:
            axes.text(96, 100 * curve[-1], label, color=colour, va="center", fontsize=9)
        print(f"{name:21} {label:15} {(100 * curve).round().astype(int)}")
    srg, srg_of_ink = curves.srg(curves.accuracy), of_ink.srg(of_ink.accuracy)
    print(f"{name:21} SRG {srg:.2f}, of pixel intensity {srg_of_ink:.2f}")
    axes.axhline(10, color="0.8", zorder=0)
    axes.set(title=f"{name}: SRG {srg:.2f}", xlabel="non-zero pixels flipped (%)", ylim=(0, 104))
    area = {order: curve.mean() for order, curve in curves.accuracy.items()}
    assert 0.15 < srg_of_ink < 0.35
    if net is sigmoid:
        assert area["lerf"] < area["random"] and srg < srg_of_ink
    else:
        assert area["morf"] < area["random"] < area["lerf"]
        assert curves.accuracy["lerf"][fractions == 0.8] > original - 0.03
grid[0].set_ylabel("accuracy (%)")
show(figure, "10_curves", "accuracy against the share of non-zero pixels that is flipped")

# %% [markdown]
# (LRP-0 in all three. The horizontal line is chance.) In the middle and on the right, the blue line
# stays flat: eight tenths of the non-zero pixels can go, if LRP chooses them. On the left the blue
# line falls below the dotted one. There, for most of the way, flipping the pixels that LRP-0 calls
# least relevant costs more than flipping random ones, and the gap between its two curves is no
# wider than that of the image itself, which knows nothing of the network.
#
# So an SRG of 0.2 is no achievement. Over *all* pixels the image itself would get 0.7, since the
# empty ones, which it calls irrelevant, can go without any loss.

# %%
over_all = perturbation_curves(relu, some, their_labels, some, fractions, pixels="all")
print(f"the image itself, over all pixels: SRG {over_all.srg(over_all.accuracy):.2f}")
assert over_all.srg(over_all.accuracy) > 0.6

# %% [markdown]
# Eight tenths gone, and the ReLU network still reads the digit. Can you?

# %%
R = lrp.explain(relu, some, "0").input
rows = np.array([np.flatnonzero((their_labels == digit) & (relu.predict(some) == digit))[0]
                 for digit in (0, 2, 3, 5, 7)])
left = {"original": some, "LeRF": lrp.flip(some, R, "lerf", 0.8, pixels="nonzero"),
        "random": lrp.flip(some, np.zeros_like(some), "lerf", 0.8, pixels="nonzero"),
        "MoRF": lrp.flip(some, R, "morf", 0.8, pixels="nonzero")}
show(lrp.plotting.flipped_images([variant[rows] for variant in left.values()],
                                 [relu.predict(variant[rows]) for variant in left.values()],
                                 their_labels[rows], list(left),
                                 "A fifth of the non-zero pixels is enough, if LRP chooses it"),
     "10_a_fifth", "digits with a fifth of their pixels left")
for name, variant in left.items():
    right = (relu.predict(variant) == their_labels).mean()
    print(f"{name:8} accuracy {right:.1%}, ink left {variant.sum() / some.sum():.0%}")
    assert (right > 0.9) == (name in ("original", "LeRF"))

# %% [markdown]
# What a network needs is not what we need.
#
# [RESULTS.md](RESULTS.md) has all 70,000 digits, more networks and rules, and intervals.
#
# ## What we have learned
#
# - The paper's idea is sound: pixel flipping is a test that a heatmap can fail.
# - Five images are not enough, and without a size-matched random baseline "hurts" means nothing.
# - The paper's strange averages came from five images. Behind them stands something real: LRP-0
#   misjudges pixels in a sigmoid network, because of how the network is written.
#
# ## Try it
#
# - Repeat the figure of the curves with `pixels="all"`. What does it show?
# - Flip nine tenths, least relevant first, and draw what is left. How much ink is it?
# - Use `activation="tanh"`, whose f(0) is 0. Does it behave like ReLU or like the sigmoid? And with
#   gamma, which assumes activations that are not negative?
# - Fill flipped pixels with the mean image: `fill=digits.train_images.mean(axis=0)`. What must
#   `size_matched_random` do then, to stay fair?
#
# **Write it yourself:** pixel flipping, and the paper's confidence.
# [The exercise](exercises/ex10_pixel_flipping.py) tells you which kind of wrong an answer is.
#
# Next: [11. Beside other methods](11_beside_other_methods.py).
