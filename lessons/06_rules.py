# %% [markdown]
# # 6. The rules
#
# **Question.** LRP-0, epsilon, gamma: what does each change, and what does it cost?
#
# **Running time.** 6 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py).
#
# In lesson 5 a neuron handed out its relevance of 1 as 100 and -99. The sum was right, and nobody
# could use the parts. Two rules mend this. Both keep the four lines, and change one thing in them.
#
# ## One neuron
#
# Two inputs a = [1, 2] with weights [3, -1] and a bias of 1. So z = 3 - 2 + 1 = 2. It has a
# relevance of 4 to hand out.

# %%
import numpy as np
from lrp_numpy.rules import lrp_0, lrp_epsilon, lrp_gamma

a, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [-1.0]]), np.array([1.0])
R = np.array([[4.0]])


def tell(rule, **parameters):
    ledger = []
    inputs = rule(a, W, b, R, ledger=ledger, **parameters)
    row = ledger[0]
    print(f"{rule.__name__:12}{parameters!s:18} inputs {inputs.round(2)}  bias {row.bias[0]:.2f}"
          f"  epsilon {row.epsilon[0]:.2f}  sum {inputs.sum() + row.bias[0] + row.epsilon[0]:.2f}")
    return inputs


assert tell(lrp_0).tolist() == [[6, -4]]

# %% [markdown]
# **LRP-0.** Each unit of contribution is worth 4 / 2 = 2. So the inputs get 3 · 2 = 6 and
# -2 · 2 = -4, and the bias 1 · 2 = 2.
#
# ## Epsilon: an extra mouth to feed
#
# **LRP-epsilon** makes the denominator larger: z + ε, or z - ε if z is negative, always away from
# 0. With ε = 2, a unit is worth 4 / (2 + 2) = 1. Everybody gets half as much. The rest is absorbed.

# %%
assert tell(lrp_epsilon, epsilon=2.0).tolist() == [[3, -2]]

# %% [markdown]
# Who has the missing relevance? The ledger says: epsilon. It is as if a further input with a
# contribution of 2 had come to the table, and its share were thrown away.
#
# ## Gamma: the friends of the output count more
#
# **LRP-gamma** changes the weights. Positive ones count 1 + γ times, negative ones once. With
# γ = 1 the weights are [6, -1] and the bias is 2, so z = 6 - 2 + 2 = 6. A unit is worth 4 / 6.

# %%
inputs = tell(lrp_gamma, gamma=1.0)
assert np.allclose(inputs, [[4, -4 / 3]])

# %% [markdown]
# Nothing is absorbed. But evidence against has become smaller: -4 before, -1.33 now. With γ without
# end, only the positive weights are left.

# %%
for gamma in (0.0, 0.25, 1.0, 10.0, 1000.0):
    inputs = tell(lrp_gamma, gamma=gamma)
assert -0.01 < inputs[0, 1] < 0

# %% [markdown]
# Both rules begin at LRP-0: it is what they are with ε = 0 and γ = 0.

# %%
assert (lrp_epsilon(a, W, b, R, epsilon=0.0) == lrp_0(a, W, b, R)).all()
assert (lrp_gamma(a, W, b, R, gamma=0.0) == lrp_0(a, W, b, R)).all()
print("epsilon = 0 and gamma = 0 are LRP-0")

# %% [markdown]
# ## The neuron that caused the trouble
#
# Contributions of 1 and -0.99 cancel, and z is only 0.01. LRP-0 hands out 100 and -99.

# %%
a, W, b, R = np.array([[1.0, 1.0]]), np.array([[1.0], [-0.99]]), np.array([0.0]), np.array([[1.0]])
tell(lrp_0)
with_epsilon = tell(lrp_epsilon, epsilon=0.25)
with_gamma = tell(lrp_gamma, gamma=1.0)
assert np.abs(with_epsilon).max() < 4 and np.abs(with_gamma).max() < 2

# %% [markdown]
# Two characters. Epsilon says: "this neuron is hardly sure of anything, so I take 96 % of its
# relevance off the table." Gamma says: "the positive contribution is what counts", and keeps
# it all.
#
# But gamma counts on two things: that activations are not negative, and that z is positive. Take
# contributions of 1 and -1.5, so z = -0.5. With γ the positive one grows, z comes up to 0, and
# crosses it. On both sides of the crossing gamma makes the very peaks that it should remove.

# %%
W, R = np.array([[1.0], [-1.5]]), np.array([[-0.5]])
tell(lrp_0)
peak = tell(lrp_gamma, gamma=0.49)
other_side = tell(lrp_gamma, gamma=0.51)
assert np.allclose(peak, [[74.5, -75]]) and np.allclose(other_side, [[-75.5, 75]])

# %% [markdown]
# A hidden ReLU neuron with negative z says 0 and has no relevance to hand out, so it is safe. A
# logit may be negative: think of it when you ask for a class that the network does not believe in.
#
# ## On real digits

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
history = lrp.train(net, digits, epochs=10, rng=0)
images = digits.test_images
print(f"right: {history.accuracy[-1]:.1%}")
assert history.accuracy[-1] > 0.93

# %% [markdown]
# For every test image: how large is the evidence against, compared with that for? How large is the
# largest relevance of a pixel, compared with the whole logit? And how much of the logit was
# absorbed? Here are the medians over all test images.

# %%
rules = [("0", {}), ("epsilon", {"epsilon": 0.25}), ("epsilon", {"epsilon": 1.0}),
         ("gamma", {"gamma": 0.25}), ("gamma", {"gamma": 1.0}), ("gamma", {"gamma": 10.0})]
against, largest, absorbed = {}, {}, {}
for rule, parameters in rules:
    e = lrp.explain(net, images, rule, **parameters)
    name = f"{rule} {list(parameters.values())[0]:g}" if parameters else rule
    logit = e.ledger[-1].received
    against[name] = np.median(-np.minimum(e.input, 0).sum(axis=1)
                              / np.maximum(e.input, 0).sum(axis=1))
    largest[name] = np.median(np.abs(e.input).max(axis=1) / logit)
    absorbed[name] = np.median((e.ledger[0].epsilon + e.ledger[1].epsilon) / logit)
    print(f"{name:13} against/for {against[name]:.2f}   largest/logit {largest[name]:.3f}   "
          f"absorbed {absorbed[name]:.0%}")

# %% [markdown]
# Read it row by row.
#
# - **LRP-0** sees the most evidence against, and the highest peaks.
# - **epsilon** takes the peaks away. The price stands at the end of the row: a part of the logit is
#   no longer explained.
# - **gamma** takes the peaks away and absorbs nothing. The price stands in the first column:
#   evidence against fades, and with γ = 10 nearly nothing is left of it.

# %%
assert largest["0"] > largest["epsilon 0.25"] > largest["epsilon 1"]
assert largest["0"] > largest["gamma 0.25"] > largest["gamma 1"] > largest["gamma 10"]
assert absorbed["0"] == absorbed["gamma 1"] == 0 < absorbed["epsilon 0.25"] < absorbed["epsilon 1"]
assert against["0"] > against["gamma 0.25"] > against["gamma 1"] > against["gamma 10"]
assert against["gamma 10"] < 0.01
print("as it says")

# %% [markdown]
# Figure 3 of the paper, with all three rules: what the network's answer rests on.

# %%
from lrp_numpy.plotting import figures as plots
from course import show

chosen = [int(np.argmax(digits.test_labels == k)) for k in (0, 1, 2, 4, 7)]
shown = rules[:2] + rules[3:5]
relevances = [lrp.explain(net, images[chosen], rule, **parameters).input
              for rule, parameters in shown]
titles = [" ".join([f"LRP-{rule}", *(f"{value:g}" for value in parameters.values())])
          for rule, parameters in shown]
print("relevances:", [R.shape for R in relevances])
show(plots.heatmaps(relevances, digits.test_labels[chosen], titles, images[chosen]),
     "06_figure3_rules")

# %% [markdown]
# ![five digits under four rules](figures/06_figure3_rules.png)
#
# From left to right the blue fades. No column is wrong. They are answers to slightly different
# questions, and the numbers under each heatmap say on which scale.
#
# ## A rule for each layer
#
# `rule` may be a list, input side first. The Overview of Montavon et al. 2019 suggests LRP-0 near
# the output, epsilon in the middle, and gamma near the input. We have only two layers, and take the
# last two:

# %%
e = lrp.explain(net, images[chosen], rule=["gamma", "epsilon"], gamma=1.0, epsilon=0.25)
for n, label in enumerate(digits.test_labels[chosen]):
    row, upper = e.ledger[0], e.ledger[1]
    print(f"digit {label}: logit {upper.received[n]:6.3f} = pixels {row.inputs[n]:6.3f} + biases "
          f"{row.bias[n] + upper.bias[n]:6.3f} + absorbed {row.epsilon[n] + upper.epsilon[n]:5.3f}")
assert (e.ledger[0].epsilon == 0).all() and (e.ledger[1].epsilon > 0).all()

# %% [markdown]
# ## Why 4, and not 9?
#
# Any class can be explained, not only the one that won. We ask the same image twice, "why 4?" and
# "why 9?", and take the difference. Where it is red, ink speaks for 4 rather than 9.

# %%
four = images[chosen[3:4]]
why_4, why_9 = (lrp.explain(net, four, "gamma", target=k, gamma=0.25).input for k in (4, 9))
logits = net.forward(four)[0]
print(f"logits: 4 {logits[4]:.2f}, 9 {logits[9]:.2f}; relevance of the pixels: "
      f"4 {why_4.sum():.2f}, 9 {why_9.sum():.2f}")
show(plots.heatmaps([why_4, why_9, why_4 - why_9], ["4"], ["why 4?", "why 9?", "why 4, not 9?"],
                    four), "06_why_not_9")
assert logits[4] > logits[9] and np.abs(why_4 - why_9).max() > 0.05

# %% [markdown]
# ![why 4, why 9, why 4 and not 9](figures/06_why_not_9.png)
#
# If "why 4?" and "why 9?" gave the same picture, the method would not look at the class at all. It
# is a good question to put to any heatmap. Put it to gamma: over all test images of a 4, how
# similar (correlated) are the two pictures?

# %%
fours = images[digits.test_labels == 4]
similar = {}
for gamma in (0.25, 10.0):
    two = [lrp.explain(net, fours, "gamma", target=k, gamma=gamma).input for k in (4, 9)]
    similar[gamma] = np.median([np.corrcoef(R4, R9)[0, 1] for R4, R9 in zip(*two)])
    print(f"gamma {gamma:5}: correlation of 'why 4?' and 'why 9?' {similar[gamma]:.2f}")
assert similar[0.25] < 0.4 < 0.6 < similar[10.0]

# %% [markdown]
# The larger γ, the more alike. What is left is where the ink is, and less and less why it matters.
#
# ## An old acquaintance
#
# In lesson 3 the derivatives of the logit with respect to the pixels were dx = [4, -1], and in
# lesson 5 their relevance was [4, -1] too, with x = [1, 1]. No coincidence. With ReLU, a = z where
# a neuron is on. So R_k / z_k, the worth of a unit, is just the derivative of the logit with
# respect to z_k, and **LRP-0 is the gradient times the input**. Let us see.

# %%
x = images.astype(np.float64)
net64 = lrp.MLP.from_arrays([layer.W.astype(np.float64) for layer in net.layers],
                            [layer.b.astype(np.float64) for layer in net.layers], "relu")
e = lrp.explain(net64, x, rule="0")
lower, upper = net64.layers
da = upper.W[:, e.target].T                             # d logit / d hidden activation
dx = lower.backward(x, lower.delta(net64.activations(x)[1], da))
print("largest difference:", np.abs(e.input - x * dx).max())
assert np.allclose(e.input, x * dx, atol=1e-9)

# %% [markdown]
# So LRP-0 has nothing that the gradient does not have. The other rules do: try `rule="gamma"` in
# this cell, and the assertion fails.
#
# It also tells us that a ReLU network has no hidden neuron like the one with 100 and -99. Where z
# is nearly 0, a = z is too, so the neuron has hardly any relevance to hand out, and the worth of a
# unit stays a derivative. With the sigmoid this is not so, since there a is not z. What that means
# for the paper's network, lesson 8 shows.
#
# ## The rest of the family
#
# Six more rules are in the package. Each is the four lines again, with other weights or other
# inputs. Here they are on our one neuron: a = [1, 2], w = [3, -1], b = 1, R = 4.
#
# | rule | what counts as a contribution | inputs here |
# |---|---|---|
# | z-plus | only what speaks for z: 3, and the bias 1 | 3, 0 |
# | alpha-beta | what speaks for z shares α R = 8, what speaks against it -β R = -4 | 6, -4 |
# | generalised gamma | as gamma, for a of any sign: what has the sign of z counts more | 4, -4/3 |
# | w-square | the squared weights, 9 and 1; not the input, not the bias | 3.6, 0.4 |
# | flat | everybody the same | 2, 2 |
# | z-box | for pixels from 0 to 2: how far each is from its worst value, 3 - 0 and -2 + 2 | 4, 0 |

# %%
from lrp_numpy import rules

R = np.array([[4.0]])
for rule, parameters, expected in (
        (rules.lrp_z_plus, {}, [3, 0]), (rules.lrp_alpha_beta, {"alpha": 2, "beta": 1}, [6, -4]),
        (rules.lrp_gamma_generalized, {"gamma": 1.0}, [4, -4 / 3]),
        (rules.lrp_w_square, {}, [3.6, 0.4]), (rules.lrp_flat, {}, [2, 2]),
        (rules.lrp_z_box, {"low": 0.0, "high": 2.0}, [4, 0])):
    inputs = rule(np.array([[1.0, 2.0]]), np.array([[3.0], [-1.0]]), np.array([1.0]), R,
                  **parameters)
    print(f"{rule.__name__:22}", inputs.round(2))
    assert np.allclose(inputs, [expected])

# %% [markdown]
# The last three are for the first layer, where a = 0 means black and not absent: a rule that
# multiplies by a gives black pixels nothing, and these three give them something. With a rule for
# each layer they go first: `rule=["z_box", "epsilon"]`.

# %%
e = lrp.explain(net, images, rule=["z_box", "epsilon"])
black = images == 0
print(f"share of the black pixels with relevance: z-box {(e.input[black] != 0).mean():.0%}, "
      f"LRP-0 {(lrp.explain(net, images).input[black] != 0).mean():.0%}")
assert (e.input[black] != 0).mean() > 0.9
assert (lrp.explain(net, images).input[black] == 0).all()

# %% [markdown]
# ## Names for whole choices
#
# Some lists of rules have a name of their own, with the reason for each choice in its docstring:
# `lrp_numpy/presets.py`. A name stands for as many rules as the network has layers, and says so if
# it needs more of them.

# %%
from lrp_numpy.composites import PRESETS

deep = lrp.MLP.random([784, 60, 40, 10], activation="relu", rng=0)
for name, preset in PRESETS.items():
    print(f"{name:18}", [rule for rule, _ in preset(deep)])
assert (lrp.explain(deep, images[:5], "overview").input
        == lrp.explain(deep, images[:5], ["z_box", "gamma", "0"]).input).all()
try:
    lrp.explain(net, images, "overview")
except ValueError as error:
    print("two layers:", error)
    assert "at least 3 layers" in str(error)

# %% [markdown]
# ## The same name, another rule
#
# Who compares two programs will find that they disagree under the same name. Mostly it is the bias,
# or a sign. Here is what others mean, and how to say it here. (Each word after the name is a
# keyword argument of `explain` or of the rule.)
#
# | software | its rule | in ours |
# |---|---|---|
# | zennit | all | 1e-6 in the denominator of each |
# | zennit | Epsilon | `"epsilon", epsilon=1e-6` |
# | zennit | Gamma | `"gamma_generalized"`; where z = 0 exactly, theirs drops R |
# | zennit | WSquare | `"w_square", bias="modified"`: b² stands in the denominator |
# | zennit | AlphaBeta, ZPlus, Flat, ZBox | the same names; the last two have no bias, as here |
# | captum | all | 1e-9 in the denominator of each |
# | captum | EpsilonRule | `"epsilon", epsilon=1e-9` |
# | captum | GammaRule | `"gamma", bias="unmodified"` |
# | captum | Alpha1_Beta0_Rule | `"z_plus", signs="weights", bias="unmodified"`: a w+ and all of b |
# | lrp_toolbox | alpha-beta | `"alpha_beta"`, with the other sign of beta: its alpha + beta is 1 |
# | TorchLRP | gamma | none: it multiplies w by w+, w + γ w w+, which is a slip |
# | TorchLRP | epsilon | `"epsilon"`; but its sign(0) is -1, ours, zennit's and captum's is +1 |
# | some | epsilon | `"epsilon", signed=False`: z + ε, also where z is negative |
# | some | any | `start=1.0`: relevance begins at 1 and not at the logit |
#
# On our neuron, a = [1, 2], w = [3, -1], b = 1, R = 4:

# %%
a, W, b, R = np.array([[1.0, 2.0]]), np.array([[3.0], [-1.0]]), np.array([1.0]), np.array([[4.0]])
assert np.allclose(tell(lrp_gamma, gamma=1.0, bias="unmodified"), [[4.8, -1.6]])    # 6 - 2 + 1 = 5
assert np.allclose(tell(lrp_gamma, gamma=1.0, bias="none"), [[6, -2]])              # 6 - 2 = 4
assert np.allclose(tell(rules.lrp_w_square, bias="modified"), [[36 / 11, 4 / 11]])  # 9 + 1 + 1

# %% [markdown]
# And z + ε, where z = -2 and R = 6. With the sign, the denominator is -3; without, -1, and for
# ε = 2 it would be 0. There, the stabilizer makes unstable.

# %%
a, W, b, R = np.array([[2.0]]), np.array([[-1.0]]), np.zeros(1), np.array([[6.0]])
assert tell(lrp_epsilon, epsilon=1.0).tolist() == [[4]]
assert tell(lrp_epsilon, epsilon=1.0, signed=False).tolist() == [[12]]

# %% [markdown]
# One thing is the same everywhere: gamma is made for activations that are not negative. With tanh,
# a w with a and w both negative speaks *for* the neuron, and gamma lets it count less, not more.
# `lrp_gamma` says so, and names the rule that looks at the product.

# %%
import warnings

a, W, b = np.array([[-1.0, 1.0]]), np.array([[-2.0], [2.0]]), np.zeros(1)     # both contribute 2
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    naive = lrp_gamma(a, W, b, R, gamma=1.0)
print("gamma", naive, " generalised", rules.lrp_gamma_generalized(a, W, b, R, gamma=1.0))
print(said[0].message)
assert naive.tolist() == [[2, 4]] and "'gamma_generalized'" in str(said[0].message)
assert rules.lrp_gamma_generalized(a, W, b, R, gamma=1.0).tolist() == [[3, 3]]

# %% [markdown]
# ## Try it
#
# - Which γ makes the evidence against half of what it is with LRP-0?
# - Exchange the rules of the two layers: `["epsilon", "gamma"]`. In which row of the ledger does
#   the absorbed part stand now?
# - Take a digit that the network gets wrong, and ask it: why this, and not the right one?
#
# **Write it yourself:** epsilon and gamma.
# [The exercise](exercises/ex06_rules.py) tells you which kind of wrong an answer is.
#
# Next: [7. The ledger](07_the_ledger.py).
