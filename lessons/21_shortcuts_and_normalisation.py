# %% [markdown]
# # 21. Shortcuts and normalisation
#
# **Question.** Networks go around their own layers, and rescale numbers. Does LRP come along?
#
# **Running time.** 15 seconds. **Before it.** [7. The ledger](07_the_ledger.py) and
# [13. A convolutional network](13_a_cnn.py).
#
# Nearly all networks of today have two things that ours did not have: **shortcuts**, which carry a
# number around a few layers and add it to what they make of it (He et al. 2016), and
# **normalisation**, which subtracts a mean and divides by a standard deviation (Ioffe and Szegedy
# 2015; Ba et al. 2016). Each is one more equation, forward and back.
#
# ## A shortcut by hand
#
# A single number a = 3. The layers F make max(0, 2 a - 5) = 1 of it. The shortcut adds a itself:
# y = a + F(a) = 4. All of that is to be explained: R = 4. A sum shares in proportion:
#
# | | contributes | gets | and hands to a |
# |---|---|---|---|
# | shortcut | 3 | 3 | 3 |
# | F: z = 2 a - 5 = 6 - 5 | 1 | 1 | 6, and -5 to the bias |
# | **sum** | **4** | **4** | **9, and -5 to the bias** |

# %%
import numpy as np
import lrp_numpy as lrp

F = lrp.Dense(np.array([[2.0]]), np.array([-5.0]), "relu")
block = lrp.Residual([F])
a, rows = np.array([[3.0]]), []
print("y =", block.forward(a))
R = block.relevance(lrp.rules.lrp_0, a, None, np.array([[4.0]]), ledger=rows)
print("R of a:", R, " ledger:", *(f"{name} {part[0]:g}"
                                  for name, part in rows[0]._asdict().items()))
assert block.forward(a) == 4 and R == 9 and rows[0].bias == -5

# %% [markdown]
# 9 is also a times the derivative of y, 3 · (1 + 2): LRP-0 is gradient times input here as well.
#
# ## Where the sum is nearly 0
#
# In proportion means: divided by the sum. If F makes -2.99 of the 3, the sum is 0.01. A relevance
# of 1 becomes 300 for the shortcut and -299 for F. Each layer hands it on, and the heatmap drowns.
# Add epsilon to the denominator, and the two get less, as in lesson 6. Make a prediction: how much,
# with epsilon = 0.25?

# %%
parts, R = np.array([3.0, -2.99]), 1.0
for epsilon in (0.0, 0.25):
    shared = parts * R / (parts.sum() + epsilon)
    print(f"epsilon {epsilon:.2f}: shortcut {shared[0]:7.2f}, F {shared[1]:8.2f}, "
          f"absorbed {R - shared.sum():.2f}")
    assert np.isclose(np.abs(shared).max(), 300) == (epsilon == 0)

# %% [markdown]
# ## Batch normalisation by hand
#
# In training, BatchNorm subtracts the mean of the batch from each feature, divides by the standard
# deviation, multiplies by a weight W and adds b. For a batch of two numbers, 1 and 5, with W = 2
# and b = 1:
#
# | a | minus the mean 3 | divided by the standard deviation 2 | times 2, plus 1 |
# |---|---|---|---|
# | 1 | -2 | -1 | -1 |
# | 5 | 2 | 1 | 3 |
#
# Later, a digit comes alone. So the layer keeps a running mean and variance of all batches, and
# from then on uses these. Now it is linear, and two numbers say it all:
#
# $$W' = \frac{W}{\sigma} = \frac22 = 1, \qquad b' = b - \mu W' = 1 - 3 = -2$$

# %%
norm = lrp.BatchNorm(np.array([2.0]), np.array([1.0]), mean=np.array([3.0]),
                     variance=np.array([4.0]), epsilon=1e-12)
batch = np.array([[1.0], [5.0]])
folded = norm.folded()
print("z:", norm.preactivation(batch).ravel(), " W' =", folded.W, " b' =", folded.b)
assert np.allclose(norm.preactivation(batch).ravel(), [-1, 3])
assert np.allclose([folded.W[0], folded.b[0]], [1, -2])

# %% [markdown]
# The layer below is linear, too. z = a w + b, then BatchNorm: a w W' + (b W' + b'), one linear
# layer in place of two. This is **folding**. The function is the same; is the heatmap?
#
# Take a = (1, 2), weights (3, -1), no bias: z = 1. BatchNorm makes 2 · 1 + 1 = 3 of it. Explain
# that 3, first through both layers, then through the folded one. A prediction: for which of LRP-0
# and LRP-gamma is it the same?
#
# | | LRP-0 to the pixels | LRP-gamma, γ = 1 |
# |---|---|---|
# | BatchNorm alone: 2 and the bias 1 | 2, bias 1 | 4 of 6, so 2, bias 1 |
# | then the layer below | 3 · 2 = 6, -2 · 2 = -4 | (6, -2) / 4 · 2 = 3, -1 |
# | folded: weights (6, -2), bias 1 | 6, -4, bias 1 | (12, -4) and 2, z = 10: 3.6, -1.2, bias 0.6 |

# %%
dense = lrp.Dense(np.array([[3.0], [-1.0]]), np.array([0.0]), "identity")
two = lrp.Network([dense, lrp.BatchNorm(np.array([2.0]), np.array([1.0]))])
one = lrp.fold_batchnorm(two)
x = np.array([[1.0, 2.0]])
print("outputs:", two.forward(x), one.forward(x), " layers:", len(two.layers), len(one.layers))
heatmap = {(rule, name): lrp.explain(net, x, rule, **how).input[0]
           for rule, how in (("0", {}), ("gamma", {"gamma": 1.0}))
           for name, net in (("two layers", two), ("folded", one))}
for key, R in heatmap.items():
    print(f"LRP-{key[0]:6} {key[1]:11} {R.round(2)}")
assert np.allclose(heatmap["0", "two layers"], [6, -4])
assert np.allclose(heatmap["0", "folded"], [6, -4])
assert np.allclose(heatmap["gamma", "two layers"], [3, -1])
assert np.allclose(heatmap["gamma", "folded"], [3.6, -1.2])

# %% [markdown]
# LRP-0 does not care how a linear function is written. The other rules do: they act on weights, and
# a network that is written in another way has other weights. So before it is explained, a network
# is brought into one form, which is called **canonization**; to fold BatchNorm is the usual one
# (Guillemot et al. 2020; Pahde et al. 2023, who measure what it is worth).
#
# ## Layer normalisation by hand
#
# Transformers normalise each token by itself: subtract the mean of its own numbers, divide by their
# standard deviation. That is not linear, however long one trains. a = (1, 5) has mean 3 and
# standard deviation 2, so n = (-1, 1). But any two numbers give -1 and 1! No small step changes n,
# so all gradients are 0, and gradient times input gives nothing to anybody.
#
# Ali et al. 2022 and Achtibat et al. 2024 take the standard deviation as a constant, and then the
# layer is linear: n2 = (a2 - mean) / 2 = a2 / 4 - a1 / 4 = 1.25 - 0.25.

# %%
layer = lrp.LayerNorm(np.ones(2), np.zeros(2), epsilon=1e-12)
a = np.array([[1.0, 5.0]])
gradient = layer.backward(a, np.array([[0.0, 1.0]]))
R = layer.relevance(None, a, None, np.array([[0.0, 1.0]]))
print("n =", layer.preactivation(a).round(6), " gradient x input of n2:", (a * gradient).round(6),
      " LRP:", R.round(6))
assert np.allclose(a * gradient, 0, atol=1e-6) and np.allclose(R, [[-0.25, 1.25]])

# %% [markdown]
# The relevance sums to 1, and the constant has no share in it. (What the standard deviation itself
# has to do with the answer is not told. That is the price.)
#
# ## A residual network that reads digits
#
# `lrp.resnet` has a convolution, then two blocks with a shortcut each; every convolution is
# followed by BatchNorm. It trains for two epochs.

# %%
digits = lrp.load_mnist()
x, labels = digits.test_images[:200], digits.test_labels[:200]
trained = lrp.resnet(rng=0)
history = lrp.train(trained, digits, epochs=2, rng=0, progress=False)
net = lrp.fold_batchnorm(trained)
difference = np.abs(net.forward(x) - trained.forward(x)).max()
print(f"accuracy {history.accuracy[-1]:.1%}; layers {len(trained.layers)}, folded "
      f"{len(net.layers)}; largest difference of a logit {difference:.0e}")
assert history.accuracy[-1] > 0.93 and difference < 1e-4 and len(net.layers) < len(trained.layers)

# %% [markdown]
# Its ledger, from the logit down, for one digit under LRP-0. A block is one row: what went through
# the shortcut and what went through its layers come together in `inputs`.

# %%
e = lrp.explain(net, x[:1], "0")
print(f"the logit of {e.target[0]}: {e.logits[0, e.target[0]]:.2f}")
for layer, row in reversed(list(zip(net.layers, e.ledger))):
    print(f"{type(layer).__name__:10}", *(f"{name} {part[0]:6.2f}"
                                          for name, part in row._asdict().items()))
    assert np.isclose(row.received, row.inputs + row.bias + row.epsilon + row.dropped, atol=1e-3)

# %% [markdown]
# ## Folded or not?
#
# The same function in both forms, three rules, 200 digits. The test is pixel flipping over non-zero
# pixels, as in lesson 9: the SRG. A prediction: where will the two forms differ?

# %%
from lrp_numpy.evaluation import perturbation_curves

fractions = [0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9]
rules = {"LRP-0": ("0", {}), "LRP-epsilon": ("epsilon", {"epsilon": 0.25}),
         "generalized LRP-gamma": ("gamma_generalized", {"gamma": 0.25})}


def srg(R):
    curves = perturbation_curves(net, x, labels, R, fractions)
    return curves.srg_estimate(curves.correct)


relevance = {(name, form): lrp.explain(of, x, rule, **how).input
             for name, (rule, how) in rules.items()
             for form, of in (("as trained", trained), ("folded", net))}
scores = {key: srg(R) for key, R in relevance.items()}
scores["pixel intensity", ""] = srg(x)
scores["random", ""] = srg(np.random.default_rng(0).random(x.shape, np.float32))
alike = {name: np.corrcoef(relevance[name, "as trained"].ravel(),
                           relevance[name, "folded"].ravel())[0, 1] for name in rules}
for (name, form), estimate in scores.items():
    print(f"{name:22} {form:11} SRG {estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]")
print("correlation of both forms:", *(f"{name} {r:.2f}," for name, r in alike.items()))
assert alike["LRP-0"] > 0.999 > alike["LRP-epsilon"] and alike["generalized LRP-gamma"] < 0.999
assert scores["LRP-epsilon", "folded"].mean > scores["LRP-epsilon", "as trained"].mean + 0.03
assert min(scores[name, "folded"].low for name in rules) > scores["pixel intensity", ""].high + 0.1

# %% [markdown]
# LRP-0 gives the same heatmap twice. LRP-epsilon meets twice as many layers in the network as it
# was trained, absorbs something in each, and passes the test less well. And plain LRP-gamma? It
# assumes that sums are not below 0. After BatchNorm, and at the end of a block, they often are:

# %%
import warnings

with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    wild = lrp.explain(net, x, "gamma", gamma=0.25).input
print("warning:", str(told[0].message)[:75], "...")
print(f"largest |R|: LRP-gamma {np.abs(wild).max():,.0f}, generalized "
      f"{np.abs(relevance['generalized LRP-gamma', 'folded']).max():.2f}; SRG of LRP-gamma "
      f"{srg(wild).mean:.2f}")
assert np.abs(wild).max() > 20 * np.abs(relevance["generalized LRP-gamma", "folded"]).max()
assert srg(wild).high < scores["LRP-0", "folded"].low

# %%
from lrp_numpy.plotting import show

shown = [int(np.argmax(labels == digit)) for digit in (0, 3, 4, 7)]
columns = [*((name, "folded") for name in rules), ("LRP-epsilon", "as trained")]
show(lrp.plotting.heatmaps([relevance[key][shown] for key in columns],
                           [f"a {labels[n]}" for n in shown],
                           [f"{name.replace(' LRP', chr(10) + 'LRP')}\n{form}"
                            for name, form in columns], x[shown],
                           title="The same network: the rule, and how it is written, decide"),
     "21_heatmaps", "four digits under three rules, and one rule for both forms of the network")
print("drawn:", ", ".join(f"a {labels[n]}" for n in shown))
assert len(shown) == len(set(shown)) == 4

# %%
import matplotlib.pyplot as plt

names = [("random", ""), ("pixel intensity", ""), *((name, form) for name in reversed(rules)
                                                    for form in ("folded", "as trained"))]
figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
for y, key in enumerate(names):
    marker, colour = {"as trained": ("s", "#d55e00"), "folded": ("o", "#0072b2")}.get(
        key[1], ("D", "0.4"))
    axes.errorbar(scores[key].mean, y, xerr=[[scores[key].mean - scores[key].low],
                                             [scores[key].high - scores[key].mean]],
                  fmt=marker, color=colour, markersize=5)
axes.set_yticks(range(len(names)), [", ".join(filter(None, key)) for key in names])
axes.set(xlabel="SRG over non-zero pixels, with 95 % interval", xlim=(-0.06, 0.8))
figure.suptitle("Folding changes nothing for LRP-0, and helps LRP-epsilon", fontsize=10)
show(figure, "21_srg", "SRG of three rules on the network as trained and folded, and two baselines")
print("as trained, folded:", *(f"{name}: {scores[name, 'as trained'].mean:.2f}, "
                               f"{scores[name, 'folded'].mean:.2f};" for name in rules))
assert abs(scores["LRP-0", "folded"].mean - scores["LRP-0", "as trained"].mean) < 0.02

# %% [markdown]
# ## Try it
#
# - By hand: y = a + F(a) with a = 2 and F = max(0, 3 - a). Who gets what of R = 3 under LRP-0?
# - By hand: fold BatchNorm with μ = 1, σ = 0.5, W = 1, b = 0 into z = 2 a + 1.
# - LayerNorm of (0, 0, 6), as by hand above: what does the third number's n hand to whom?
#
# **Answers.** 1: F = 1, so y = 3; the shortcut gets 2, and F 1, which becomes -2 for a and 3 for
# the bias: 0 for a, 3 for the bias. (The derivative is 0.) 2: W' = 2, b' = -2, so z' = 4 a + 2 - 2
# = 4 a. 3: the mean is 2, n3 = (6 - 2) / std, and std = √8: of n3 = 1.41, a3 contributes 6 (1 -
# 1/3) / √8 = 1.41, the others 0, because they are 0.
#
# **Write it yourself:** the share of a shortcut, and folding.
# [The exercise](exercises/ex21_shortcuts.py) tells you which kind of wrong an answer is.
#
# Next: [22. Attention by hand](22_attention_by_hand.py).
