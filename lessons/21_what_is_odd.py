# %% [markdown]
# # 21. Outliers
#
# **Question.** What is odd here?
#
# **Running time.** 10 seconds. **Before it.** [20. Clusters](20_clusters.py).
#
# A scratch on a wafer, a payment that nobody expected: often there are only examples of what is
# ordinary, and none of what is not. A **one-class model** learns from ordinary examples alone. It
# gives each new image its **outlierness** o: how unlike all examples is it? LRP then tells which
# pixels are odd. The method is by Kauffmann et al. 2020, "Towards explaining anomalies: A deep
# Taylor decomposition of one-class models".
#
# ## Two examples by hand
#
# Images of one pixel. The ordinary ones are u = 0 and u = 4. How odd is x = 1? A kernel density
# adds up one bump for each example, here with the weights α = (1/2, 1/2), and o is its logarithm,
# with the sign turned, divided by γ:
#
# $$o(x) = -\frac1\gamma \log \sum_j \alpha_j\, e^{-\gamma |x - u_j|^2}$$
#
# That is the soft minimum of lesson 20, so there is a network inside again. Move α into the
# exponent, and each example has a neuron:
#
# $$h_j = |x - u_j|^2 - \frac1\gamma \log \alpha_j, \qquad
# o = -\frac1\gamma \log \sum_j e^{-\gamma h_j}$$
#
# The second term of h is a bias: what it costs that the example is one of many. Take
# γ = log(2) / 4, so that exp(-γh) is 2 to the -h/4. Then -log(1/2) / γ = 4, and
#
# | example u | \|x - u\|² | bias | h | 2 to the -h/4 | p |
# |---|---|---|---|---|---|
# | 0 | 1 | 4 | 5 | 2 to the -5/4 | 4/5 |
# | 4 | 9 | 4 | 13 | 2 to the -13/4, a quarter of it | 1/5 |
#
# The smallest h is 5, and the softness takes 4 · log2(1 + 1/4) = 1.29 off: o = 3.71.

# %%
import numpy as np

u, x, gamma = np.array([0.0, 4.0]), 1.0, np.log(2) / 4
squares, bias = (x - u)**2, -np.log(1 / 2) / gamma
h = squares + bias
p = np.exp(-gamma * h) / np.exp(-gamma * h).sum()
o = -np.log((0.5 * np.exp(-gamma * squares)).sum()) / gamma
print("h =", h, " p =", p.round(2), f" o = {o:.2f}")
assert np.allclose(h, [5, 13]) and np.allclose(p, [0.8, 0.2])
assert np.isclose(o, 5 - 4 * np.log2(1 + 1 / 4))

# %% [markdown]
# ## Who made it odd?
#
# Back through the two layers. The soft minimum shares o in proportion to p: the examples get
# R = p o = (2.97, 0.74). Each h is a sum, so it shares in proportion to its parts:
#
# $$R_i = \sum_j \frac{(x_i - u_{ji})^2}{h_j}\, p_j\, o, \qquad
# R_\text{bias} = \sum_j \frac{-\log(\alpha_j) / \gamma}{h_j}\, p_j\, o$$
#
# | example | R | to the pixel | to the bias |
# |---|---|---|---|
# | 0 | 2.97 | 1/5 of it: 0.59 | 4/5 of it: 2.38 |
# | 4 | 0.74 | 9/13 of it: 0.51 | 4/13 of it: 0.23 |
# | **sum** | **3.71** | **1.11** | **2.60** |

# %%
import lrp_numpy as lrp

model = lrp.OneClass(u[:, None], gamma)
e = lrp.explain(model, np.array([[x]]))
print("examples", e.relevance[1][0, 0].round(2), " pixel", e.input[0].round(2),
      f" bias {e.unassigned(0)['bias']:.2f}")
assert np.allclose(e.relevance[1][0, 0], p * o)
assert np.isclose(e.input[0, 0], (squares / h * p * o).sum())
assert np.isclose(e.unassigned(0)["bias"], (bias / h * p * o).sum())

# %% [markdown]
# The bias has more than the pixel. That depends on γ, in units of 1 / squared distance: it says how
# wide the bumps are. Let it be four times as large, γ = log 2. Then the bias of each example is 1
# instead of 4, and the nearest example decides almost alone: h = (2, 10), p = (256/257, 1/257).

# %%
e = lrp.explain(lrp.OneClass(u[:, None], np.log(2)), np.array([[x]]))
print(f"o = {e.logits[0, 0]:.2f}: pixel {e.input[0, 0]:.2f}, bias {e.unassigned(0)['bias']:.2f}")
assert np.isclose(e.logits[0, 0], 2 - np.log2(257 / 256))
assert np.isclose(e.input[0, 0], 1, atol=0.01)

# %% [markdown]
# So for a large γ, o is about the squared distance to the nearest example, plus its bias.
#
# ## Digits as examples
#
# All 8,000 training images are examples, without their labels. `fit` chooses the γ under which the
# examples (500 of them, drawn at random) are most likely on average, each given all others. How odd
# are the test digits?

# %%
digits = lrp.load_mnist()
model = lrp.OneClass.fit(digits.train_images)
clean, labels = digits.test_images[:500], digits.test_labels[:500]
o_all = model.outlierness(digits.test_images)
e_clean = lrp.explain(model, clean)
o_clean, p = e_clean.logits[:, 0], e_clean.relevance[1][:, 0] / e_clean.logits
nearest = p.argmax(axis=1)
squares = ((clean - model.points[nearest])**2).sum(axis=1)
print(f"gamma = {model.gamma:.1f}; bias of each example: {np.log(8000) / model.gamma:.2f}")
print(f"o of the test digits: median {np.median(o_all):.1f}, from {o_all.min():.1f} to "
      f"{o_all.max():.1f}; squared distance to the nearest example: {squares.mean():.1f}")
print(f"o of the examples themselves: {model.outlierness(digits.train_images[:500]).mean():.2f}")
assert 20 < squares.mean() < 26 and p.max(axis=1).mean() > 0.95
assert np.isclose(model.outlierness(digits.train_images[:500]).max(),
                  np.log(8000) / model.gamma, atol=1e-2)

# %% [markdown]
# An example is not odd: its o is the bias alone. But no digit is written twice. A clean test digit
# has a squared distance of 23 from its nearest example. Remember this number: whatever we add has
# to show above it.
#
# ## A stroke too many
#
# We draw a stroke, 20 pixels long and 2 wide, into 500 test digits: once along the lower edge of
# the image, once across its middle. We know what is odd then. Does the relevance lie there?


# %%
def with_ink(images, place):
    """The images with ink of 1 at `place`, and where it is new: (N, 784) each."""
    drawn = images.copy().reshape(-1, 28, 28)
    drawn[(slice(None), *place)] = 1
    drawn = drawn.reshape(len(images), -1)
    return drawn, drawn - images > 0.5


places = {"along the edge": (slice(25, 27), slice(4, 24)),
          "through the middle": (slice(13, 15), slice(4, 24))}
drawn, share, beyond = {}, {}, {}
limit = np.quantile(o_all, 0.95)
for name, place in places.items():
    drawn[name], new = with_ink(clean, place)
    e = lrp.explain(model, drawn[name])
    o, on_stroke = e.logits[:, 0], (e.input * new).sum(axis=1)
    added, gained = o - o_clean, on_stroke - (e_clean.input * new).sum(axis=1)
    share[name] = np.median(on_stroke / o)
    beyond[name] = (o > limit).mean()
    ink = digits.train_images.reshape(-1, 28, 28)[(slice(None), *place)].mean()
    print(f"{name:18}: o grows by {added.mean():.1f} to {o.mean():.1f}; on the stroke lie "
          f"{share[name]:.0%} of o, {gained.mean() / added.mean():.0%} of what it adds\n"
          f"{'':20}mean ink of the examples there: {ink:.2f}")
    assert 0.85 < gained.mean() / added.mean() < 1.05
assert share["along the edge"] > 0.6 > share["through the middle"] > 0.3

# %% [markdown]
# Along the edge the examples have hardly any ink, so most of o lies on the stroke. Through the
# middle they have more. Another example may be nearer then, and part of the stroke is no longer
# odd. But what the stroke adds to o lies on it, on average: all of it along the edge, nine tenths
# through the middle.
#
# ## Missing ink
#
# Now the opposite: we tear four rows out of the middle, by setting them to 0. Make a prediction:
# can there be relevance on those empty pixels?

# %%
torn = clean.copy().reshape(-1, 28, 28)
torn[:, 12:16] = 0
torn = torn.reshape(len(clean), -1)
band = np.zeros((28, 28), bool)
band[12:16] = True
e_torn = lrp.explain(model, torn)
o_torn = e_torn.logits[:, 0]
in_band = {"clean": (e_clean.input[:, band.ravel()].sum(axis=1) / o_clean).mean(),
           "torn": (e_torn.input[:, band.ravel()].sum(axis=1) / o_torn).mean()}
print(f"o grows from {o_clean.mean():.1f} to {o_torn.mean():.1f}; share of o in the band: "
      f"clean {in_band['clean']:.0%}, torn {in_band['torn']:.0%}")
assert in_band["torn"] > 1.8 * in_band["clean"] and (o_torn > o_clean).mean() > 0.9

# %% [markdown]
# Yes. Missing ink is odd, too: (0 - u)² is large where the examples have ink. For comparison, a
# classifier with LRP-0. Its first layer multiplies by the pixel, R = a · c, so an empty one gets 0
# whatever comes back to it. It can never say "here something is missing".

# %%
net = lrp.MLP.random([784, 100, 10], activation="relu", rng=0)
lrp.train(net, digits, epochs=2, rng=0)
by_net = lrp.explain(net, torn, "0").input
print("relevance in the band:  LRP-0 of a classifier",
      np.abs(by_net[:, band.ravel()]).max(), "  one-class model",
      e_torn.input[:, band.ravel()].sum(axis=1).mean().round(1))
print(f"one-class model, of the torn digits' relevance on empty pixels: "
      f"{e_torn.input[torn == 0].sum() / e_torn.input.sum():.0%}")
assert (by_net[torn == 0] == 0).all() and e_torn.input[torn == 0].sum() > 0.3 * e_torn.input.sum()

# %% [markdown]
# Here is one digit in all four versions, with the example that is nearest to each.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show


def draw_columns(images, titles, title, name, alt):
    """A figure with a column for each image: it, its nearest example, its relevance."""
    e = lrp.explain(model, images)
    near = model.points[e.relevance[1][:, 0].argmax(axis=1)]
    figure, grid = plt.subplots(3, len(images), figsize=(1.5 * len(images) + 1, 5.2),
                                layout="constrained")
    for n in range(len(images)):
        lrp.plotting.draw_image(grid[0, n], images[n], titles[n])
        lrp.plotting.draw_image(grid[1, n], near[n])
        lrp.plotting.draw_relevance(grid[2, n], e.input[n], limit=1)
        grid[2, n].set_xlabel(f"o = {e.logits[n, 0]:.1f}", fontsize=9)
    for axes, text in zip(grid[:, 0], ("image", "nearest example", "relevance")):
        axes.set_ylabel(text)
    lrp.plotting.colour_bar(figure, grid.ravel().tolist(), limit=1)
    figure.suptitle(title, fontsize=10)
    show(figure, name, alt)
    return e


one = int(np.argmax(labels == 4))
versions = np.stack([clean[one], *(drawn[name][one] for name in places), torn[one]])
e = draw_columns(versions, ["clean", "edge", "middle", "torn"],
                 "Odd is what the nearest example does not share", "21_versions",
                 "one digit, clean, with a stroke too many, and torn")
assert (e.input >= 0).all() and e.logits[0, 0] < e.logits[1:, 0].min()

# %% [markdown]
# Nothing is blue: a squared difference cannot speak for ordinariness. And red does not tell "too
# dark" from "too light"; the two images above it do.
#
# ## How wide are the bumps?
#
# By hand, a small γ gave most of o to the bias. Here are the 500 clean digits with γ from a
# thousandth of ours to ten times as much. How many examples have a say? If one has all of p it is
# 1, if all share equally it is 8,000: 1 / Σp².

# %%
factors, taken, sayers = np.array([1e-3, 1e-2, 1e-1, 1, 10]), [], []
for gamma in factors * model.gamma:
    e = lrp.explain(lrp.OneClass.fit(digits.train_images, gamma=gamma), clean)
    p = e.relevance[1][:, 0] / e.logits
    taken.append((e.ledger[0].bias / e.logits[:, 0]).mean())
    of_each = 1 / (p**2).sum(axis=1)
    sayers.append((np.median(of_each), (of_each < 1.5).mean()))
    print(f"gamma = {gamma:8.3f}: the bias takes {taken[-1]:5.1%} of o; examples with a say: "
          f"{sayers[-1][0]:.0f}, below 1.5 for {sayers[-1][1]:.0%} of the digits")
assert (np.diff(taken) < 0).all() and taken[0] > 0.8 and taken[3] < 0.05
assert sayers[0][0] > 6000 and sayers[3][0] < 1.1 and sayers[3][1] > 0.95

# %%
figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
axes.plot(factors * model.gamma, 100 * np.array(taken), "-o", color="black")
axes.plot(model.gamma, 100 * taken[3], "D", color="#d55e00", markersize=9)
axes.annotate("chosen by fit", (model.gamma, 100 * taken[3]), (6, 10), ha="left",
              textcoords="offset points", color="#d55e00")
axes.set(xscale="log", ylim=(0, 100), xlabel="γ (1 / squared distance)",
         ylabel="share of the bias in o (%)",
         title="The smaller γ, the less is left for the pixels")
show(figure, "21_gamma", "the share of the bias against gamma")
print("share of the bias, smallest gamma and ours:", f"{taken[0]:.0%}, {taken[3]:.0%}")
assert len(taken) == len(factors)

# %% [markdown]
# Too small, and no example decides: about 6,900 of the 8,000 have a say, and the bias takes 85 %.
# At the γ that `fit` chose, for nearly every digit only one example has a say. The explanation then
# compares x with its nearest neighbour, and with nothing else.
#
# ## What it cannot see
#
# First: how many of our damaged digits are odder than 95 % of the clean ones? Second: is an empty
# image odd? Predict before you run it.

# %%
beyond["torn"] = (o_torn > limit).mean()
e_empty = lrp.explain(model, np.zeros((1, 784), np.float32))
empty, near = e_empty.logits[0, 0], e_empty.relevance[1][0, 0].argmax()
print(f"odder than 95 % of the clean test digits (o > {limit:.1f}):",
      ", ".join(f"{name} {part:.0%}" for name, part in beyond.items()))
print(f"an empty image: o = {empty:.1f}, less than {(o_all > empty).mean():.0%} of the test "
      f"digits; its nearest example is a {digits.train_labels[near]} with "
      f"{(model.points[near] > 0).sum()} non-zero pixels; their mean is "
      f"{(model.points > 0).sum(axis=1).mean():.0f}")
assert beyond["along the edge"] > 0.85 and beyond["torn"] < 0.3
assert (o_all > empty).mean() > 0.7 and digits.train_labels[near] == 1

# %% [markdown]
# An empty image is more ordinary than three of four digits! A thin 1 has so little ink that an
# image without any is near it. The squared distance adds up pixels that differ. It does not know
# what a digit is. And a torn digit mostly passes: its relevance finds the tear, but its o is no
# alarm.
#
# For the same reason a digit may look ordinary because a *different* digit lies near: here is a 9
# whose nearest example is a 4. Nothing in its o tells. Beside it are the five oddest test digits.

# %%
is_other = digits.train_labels[nearest] != labels
nine = int(np.argmax((labels == 9) & (digits.train_labels[nearest] == 4)))
oddest = np.argsort(-o_all)[:5]
columns = np.concatenate([digits.test_images[oddest], clean[nine:nine + 1]])
numbers = digits.test_labels[[*oddest, nine]]
e = draw_columns(columns, [f"a {number}" for number in numbers],
                 "The five oddest test digits, and an ordinary 9 whose nearest example is a 4",
                 "21_oddest", "the oddest test digits, and a 9 near a 4")
print(f"nearest example of another digit: {is_other.mean():.1%} of the 500 digits; the 9: o = "
      f"{o_clean[nine]:.1f}, odder than {(o_all < o_clean[nine]).mean():.0%}")
assert labels[nine] == 9 and is_other.mean() < 0.1 and o_clean[nine] < np.median(o_all)

# %% [markdown]
# So relevance answers "odd compared with which example?", and the comparison can be the wrong one.
# It is honest about the model, and the model sees ink.
#
# ## Try it
#
# - By hand: x = 2, between the examples 0 and 4. What are p, o and the relevance of the pixel?
# - Make the 0s the only examples: `digits.train_images[digits.train_labels == 0]`. What is odd in a
#   6?
# - Blur images and examples with a small mean filter before you compare them. Is the empty image
#   odder then?
# - Give the examples the weights α = (0.9, 0.1). Which way does o move for x = 1, and for x = 3?
#
# **Answers.** 1: both squared distances are 4, so p = (1/2, 1/2), and
# o = 4 + bias - log(2) / γ = 4: the bias and the softness cancel. With γ = log(2) / 4 the pixel
# gets 4 · 4/8 = 2, and the bias 2. 2: the stroke through the middle, and the ink that is missing at
# the upper right, where a 0 has it. 3: yes, with 3 x 3 pixels it is odder than 46 % of the test
# digits instead of 23 %. 4: a heavier example costs less, so o falls near 0 and rises near 4.
#
# **Write it yourself:** the soft-min, in [the exercise](exercises/ex20_clusters.py) of lesson 20.
#
# Next: [22. Before networks: bag of words](22_bag_of_words.py).
