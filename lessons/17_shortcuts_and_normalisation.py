# %% [markdown]
# # 17. Shortcuts and normalisation
#
# **Question.** Networks go around their own layers, and rescale numbers. Does LRP still hold?
#
# **Running time.** 20 seconds. **Before it.** [16. A convolutional network](16_a_cnn.py).
#
# A **residual connection** (He et al. 2016) is a shortcut around a few layers F: the block outputs
# y = x + F(x). A **normalisation** brings numbers to mean 0 and variance 1, over the batch
# (BatchNorm, Ioffe and Szegedy 2015) or over the features of one example (LayerNorm, Ba et al.
# 2016). We do all three with pencil and paper, then explain a network that has the first two.
# LayerNorm comes back in lesson 19.
#
# ## A shortcut by hand
#
# Let x = (1, 2), and let F be one layer without a bias: x_1 has the weights 1 and 1, x_2 has 1 and
# 0. Then F(x) = (1 + 2, 1 + 0) = (3, 1), and y = (4, 3).
#
# A sum shows who contributed, as in lesson 5. So each y_k shares its relevance in proportion
# x_k : F_k. Say that R = (8, 3) comes down from above:
#
# | | y_1 = 1 + 3 | y_2 = 2 + 1 |
# |---|---|---|
# | relevance to share out | 8 | 3 |
# | relevance per unit, s = R / y | 2 | 1 |
# | the shortcut gets x · s | 2 | 2 |
# | F gets F(x) · s | 6 | 1 |
#
# F hands its (6, 1) down by the four lines. Then x collects both parts.

# %%
import numpy as np
import lrp_numpy as lrp
from lrp_numpy.rules import lrp_0

x, W = np.array([[1.0, 2.0]]), np.array([[1.0, 1.0], [1.0, 0.0]])
F = x @ W
y = x + F
R = np.array([[8.0, 3.0]])
s = R / y
R_shortcut, R_F = x * s, F * s
through_F = lrp_0(x, W, np.zeros(2), R_F)
print("F(x) =", F, " y =", y, " s =", s)
print("the shortcut gets", R_shortcut, " F gets", R_F, "and hands down", through_F)
print("x gets", R_shortcut + through_F)
assert R_shortcut.tolist() == [[2, 2]] and R_F.tolist() == [[6, 1]]
assert through_F.tolist() == [[3, 4]] and (R_shortcut + through_F).sum() == R.sum() == 11

# %% [markdown]
# The package has a layer for it. Its one row in the ledger tells of the sum and of F together.

# %%
block, ledger = lrp.Residual([lrp.Dense(W, np.zeros(2), "identity")]), []
R_x = block.relevance(lrp_0, x, y, R, ledger=ledger)
row = ledger[0]
print("Residual gives", R_x, f" received {row.received[0]:g} = inputs {row.inputs[0]:g} "
      f"+ bias {row.bias[0]:g} + epsilon {row.epsilon[0]:g} + dropped {row.dropped[0]:g}")
assert R_x.tolist() == [[5, 6]] and (row.received, row.inputs) == (11, 11)

# %% [markdown]
# ## Where x and F(x) cancel
#
# Let x = 1 and F(x) = -0.99. Then y = 0.01, and a relevance of 1 is shared out as 100 and -99. We
# have met this in lesson 5. The remedy is the same, too: the package adds the epsilon of the rule
# to the denominator, y + ε sign(y).

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show


def residual_share(x, F, R, epsilon):
    y = x + F
    s = R / (y + epsilon * np.where(y >= 0, 1, -1))
    return x * s, F * s


near = residual_share(1.0, -0.99, 1.0, 0.0), residual_share(1.0, -0.99, 1.0, 0.25)
print("epsilon 0:", np.round(near[0], 2), " epsilon 0.25:", np.round(near[1], 2))
figure, axes = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
F_axis = np.linspace(-3, 1, 2000)
for epsilon, style, colour, place in ((0.0, "-", "#d55e00", (-0.83, 6.6)),
                                      (0.25, "--", "#0072b2", (-0.6, 2.7))):
    share = residual_share(1.0, F_axis, 1.0, epsilon)[0]
    for side in (F_axis < -1.001, F_axis > -0.999):
        axes.plot(F_axis[side], share[side], style, color=colour)
    axes.text(*place, f"ε = {epsilon:g}", color=colour)
axes.axvline(-1, color="0.7", linewidth=1, zorder=0)
axes.axhline(0, color="0.7", linewidth=1, zorder=0)
axes.set(ylim=(-8, 8), xlabel="F(x), for x = 1", ylabel="share of the shortcut, of R = 1",
         title="Where x and F(x) cancel, the shares explode")
show(figure, "17_pole", "the shortcut's share against F of x: a pole where F is -1, two lines")
assert np.allclose(near[0], [100, -99]) and np.abs(near[1]).max() < 4

# %% [markdown]
# How bad is it in a network? There, R cannot be just any number: it is tied to y. Under LRP-0 what
# comes down to y is y · c, with a c from above (line 4), so s = R / y = c. Where y is small, R is
# small as well. The shortcut gets x · c and F gets F(x) · c: both are finite, however small y is.
# They are real positive and negative evidence, which cancels. Under epsilon and gamma line 4 is the
# same, so R is small there, too. What can explode is c, and only under gamma: where the z of a
# layer above is negative (as F(x) of the next block may be), its denominator can come close to 0.
#
# ## BatchNorm by hand
#
# A feature has the values z = 1, 1, 5, 5 in a batch of four: mean 3, variance 4, so σ = 2.
# BatchNorm gives (z - mean) / σ · γ + β. With γ = 3 and β = 1 that is -2, -2, 4, 4. (This γ is a
# weight. It has nothing to do with LRP-gamma.)
#
# So in training, an image's output depends on its neighbours in the batch. Afterwards it must not.
# So the layer keeps **running statistics**: each step of training moves them a tenth of the way
# towards those of the batch. For the running variance, the batch's is taken with N - 1: 16/3.

# %%
from lrp_numpy.training import Adam, training_step

z = np.array([[1.0], [1.0], [5.0], [5.0]])
gamma, beta = np.array([3.0]), np.array([1.0])
print("in training:", ((z - z.mean()) / z.std() * gamma + beta).ravel())
tiny = lrp.Network([lrp.BatchNorm(gamma, beta, "identity", np.zeros(1), np.ones(1)),
                    lrp.Dense(np.array([[1.0, -1.0]]), np.zeros(2), "identity")])
training_step(tiny, Adam(tiny), z, np.array([0, 0, 1, 1]))
norm = tiny.layers[0]
print("after one step: running mean", norm.mean, " running variance", norm.variance.round(4))
assert ((z - 3) / 2 * 3 + 1).ravel().tolist() == [-2, -2, 4, 4]
assert np.allclose(norm.mean, 0 + 0.1 * (3 - 0)) and np.allclose(norm.variance,
                                                                 1 + 0.1 * (16 / 3 - 1))

# %% [markdown]
# ## Folding
#
# After training, mean and σ are constants, and BatchNorm is linear. A linear layer behind a linear
# layer is one linear layer:
#
# $$\frac{x W + b - \mu}{\sigma} \gamma + \beta = x W' + b', \qquad
# W' = W \frac{\gamma}{\sigma}, \quad b' = (b - \mu) \frac{\gamma}{\sigma} + \beta$$
#
# For one neuron, z = 2x + 1, with μ = 3, σ = 2, γ = 3, β = 1: W' = 2 · 3/2 = 3 and
# b' = (1 - 3) · 3/2 + 1 = -2. At x = 2, z = 5, and both ways give 4. Here it is for 50 random
# layers, by matrices.


# %%
def fold(W, b, gamma, beta, mean, std):
    return W * gamma / std, (b - mean) * gamma / std + beta


print("W', b' =", fold(2.0, 1.0, 3.0, 1.0, 3.0, 2.0))
assert fold(2.0, 1.0, 3.0, 1.0, 3.0, 2.0) == (3, -2)
rng, worst = np.random.default_rng(0), 0.0
for _ in range(50):
    many, weights = rng.normal(size=(10, 6)), rng.normal(size=(6, 4))
    b, scale, shift, mean = rng.normal(size=(4, 4))
    std = rng.uniform(0.1, 3, size=4)
    in_two = (many @ weights + b - mean) / std * scale + shift
    in_one = many @ fold(weights, b, scale, shift, mean, std)[0] + fold(
        weights, b, scale, shift, mean, std)[1]
    worst = max(worst, np.abs(in_two - in_one).max())
print(f"largest difference of 50 layers: {worst:.0e}")
assert worst < 1e-12

# %% [markdown]
# ## Two forms, one function: two heatmaps?
#
# Now the relevance of x = 2, where the output is 4. By LRP-0, unfolded: BatchNorm is 1.5 z - 3.5.
# Its 4 are 7.5 from z and -3.5 from the constant. Of z = 5, x made 4 and the bias 1, so x gets 6.
# Folded: 3x - 2 = 6 - 2, so x gets 6. The same.
#
# Make a prediction before you look: is it the same under LRP-epsilon and LRP-gamma, too?

# %%
in_two = lrp.Network([lrp.Dense(np.array([[2.0]]), np.array([1.0]), "identity"),
                      lrp.BatchNorm(gamma, beta, "identity", np.array([3.0]), np.array([4.0]),
                                    epsilon=1e-12)])
in_one = lrp.fold_batchnorm(in_two)
print("folded: W', b' =", in_one.layers[0].W, in_one.layers[0].b)
of_x = {}
for rule, how in (("0", {}), ("epsilon", {"epsilon": 1.0}), ("gamma", {"gamma": 1.0})):
    of_x[rule] = [lrp.explain(net, np.array([[2.0]]), rule, **how).input[0, 0]
                  for net in (in_two, in_one)]
    print(f"LRP-{rule:8} unfolded {of_x[rule][0]:.3f}, folded {of_x[rule][1]:.3f}")
assert np.allclose(in_one.layers[0].W, 3) and np.allclose(in_one.layers[0].b, -2)
assert np.allclose(of_x["0"], 6)
assert np.allclose(of_x["epsilon"], [7.5 * 4 / 5 * 4 / 6, 6 * 4 / 5])
assert np.allclose(of_x["gamma"], [15 * 4 / 11.5 * 8 / 10, 12 * 4 / 10])

# %% [markdown]
# It is not. One function, written in two forms, gets two heatmaps from a rule that changes weights
# or denominators. (In lesson 9, one function got two heatmaps even from LRP-0.) One has to choose a
# form, and folding is the usual choice: the network that is explained then has one linear layer
# before each ReLU, as the rules assume. Rewriting a network like that is called **canonization**.
# Guillemot et al. 2020 ("Breaking Batch Normalization for better explainability of Deep Neural
# Networks through Layer-wise Relevance Propagation") fold it for LRP, and Pahde et al. 2023
# ("Optimizing Explanations by Network Canonization and Hyperparameter Search") measure what that
# does.
#
# ## LayerNorm by hand
#
# LayerNorm cannot be folded: its mean and σ come from the example itself. Take the four numbers
# a = (1, 1, 5, 5), with mean 3 and σ = 2, so n = (-1, -1, 1, 1). The layer above outputs
# f = n · v with v = (1, 0, 0, 2), so f = 1.
#
# What is each number's part? Multiply all four by 10, and n stays as it is. So along a itself, f
# does not change at all. Gradient × input is the derivative along a, cut into parts, and so its sum
# is 0. The norm has swallowed all of the 1.
#
# Ali et al. 2022 ("XAI for Transformers: Better Explanations through Conservative Propagation")
# found this, and the remedy: for relevance, **take σ as a constant**. Then n is linear in a, and
# LRP-0 loses nothing. Achtibat et al. 2024 ("AttnLRP") do the same.
#
# | | a_1 = 1 | a_2 = 1 | a_3 = 5 | a_4 = 5 | sum |
# |---|---|---|---|---|---|
# | derivative, σ constant: (v - mean of v) / σ | 1/8 | -3/8 | -3/8 | 5/8 | |
# | relevance: times a | 1/8 | -3/8 | -15/8 | 25/8 | **1** |
# | derivative, whole | 1/4 | -1/4 | -1/2 | 1/2 | |
# | gradient × input | 1/4 | -1/4 | -5/2 | 5/2 | **0** |

# %%
from lrp_numpy.evaluation import gradient_times_input

a, v = np.array([[1.0, 1.0, 5.0, 5.0]]), np.array([[1.0], [0.0], [0.0], [2.0]])
head = lrp.Network([lrp.LayerNorm(np.ones(4), np.zeros(4), epsilon=1e-12),
                    lrp.Dense(v, np.zeros(1), "identity")])
relevance, product = lrp.explain(head, a, "0").input, gradient_times_input(head, a)
print("output:", head.forward(a)[0], " ten times a:", head.forward(10 * a)[0])
print("LRP-0, std constant: ", relevance[0], f" sum {relevance.sum():.3f}")
print("gradient x input:    ", product[0].round(3), f" sum {abs(product.sum()):.3f}")
assert np.allclose(relevance, [[1 / 8, -3 / 8, -15 / 8, 25 / 8]])
assert np.allclose(product, [[1 / 4, -1 / 4, -5 / 2, 5 / 2]])
assert np.allclose(head.forward(10 * a), head.forward(a)) and np.allclose(relevance.sum(), 1)

# %% [markdown]
# A constant σ is a decision, not a theorem. It says: we ask who made the *pattern* n, and not who
# made the scale by which everything was divided.
#
# ## A residual network that reads digits
#
# `lrp.resnet` has a convolution and two residual blocks, and a BatchNorm behind each convolution.
# Two epochs are enough for us. Then we fold it.

# %%
digits = lrp.load_mnist()
net = lrp.resnet(rng=0, channels=(8, 16))
history = lrp.train(net, digits, epochs=2, learning_rate=2e-3, rng=0)
folded = lrp.fold_batchnorm(net)
images, labels = digits.test_images[:500], digits.test_labels[:500]
gap = np.abs(folded.forward(images) - net.forward(images)).max()
print(f"accuracy: {history.accuracy[-1]:.1%}; folded, the logits differ by at most {gap:.0e}")
for name, one in (("as trained", net), ("folded", folded)):
    print(f"{name:10}", [type(layer).__name__ for layer in one.layers])
assert history.accuracy[-1] > 0.93 and gap < 1e-4
assert "BatchNorm" not in str([layer for layer in folded.layers])

# %% [markdown]
# Does its ledger close? Here it is for one digit, under LRP-0, from the logit down to the pixels.
# A residual block has one row.

# %%
from lrp_numpy.cli import tables

e = lrp.explain(folded, images, "0")
print(tables.as_text(tables.ledger_cells(e.ledger, image=0)))
for lower, upper in zip(e.ledger, e.ledger[1:]):
    assert np.allclose(upper.inputs, lower.received, atol=1e-3)
for row in e.ledger:
    assert np.allclose(row.received, sum(row[1:]), atol=1e-3)
total = e.input.sum(axis=1) + sum(row.bias + row.epsilon + row.dropped for row in e.ledger)
print(f"pixels + bias + epsilon + dropped = logit, to {np.abs(total - e.logits.max(1)).max():.0e}")
assert np.allclose(total, e.logits.max(axis=1), atol=1e-3)

# %% [markdown]
# It closes for each layer of all 500 digits. And how much goes around? In the first block x and
# F(x) have the same shape, so we can split its relevance by hand.

# %%
block, a_in, R_out = folded.layers[2], folded.activations(images)[2], e.relevance[3]
F = folded.layers[2].layers[1].preactivation(
    np.maximum(block.layers[0].preactivation(a_in), 0))
around, through = (part.reshape(500, -1).sum(axis=1) for part in (
    a_in * lrp.rules.divide(R_out, a_in + F), F * lrp.rules.divide(R_out, a_in + F)))
share = around / (around + through)
print(f"the shortcut's share in the first block: median {np.median(share):.0%}, "
      f"middle half {np.quantile(share, 0.25):.0%} to {np.quantile(share, 0.75):.0%}")
assert np.allclose(around + through, R_out.reshape(500, -1).sum(axis=1), atol=1e-3)
assert 0.2 < np.median(share) < 1.2

# %% [markdown]
# ## What folding changes
#
# Four rules, on the network as trained and folded. LRP-gamma is made for z ≥ 0 wherever there is
# relevance (lesson 6). As trained, a convolution ends in a BatchNorm and not in a ReLU, so its z
# may be negative. We count. The generalized gamma takes negative z as well.

# %%
import warnings

warnings.filterwarnings("ignore", message="gamma is made for")    # of a negative z: see lesson 6
rules = {"LRP-0": ("0", {}), "epsilon 0.25": ("epsilon", {"epsilon": 0.25}),
         "gamma 0.25": ("gamma", {"gamma": 0.25}),
         "generalized gamma": ("gamma_generalized", {"gamma": 0.25})}
heatmaps, alike = {}, {}
for name, (rule, how) in rules.items():
    for form, one in (("as trained", net), ("folded", folded)):
        explained = lrp.explain(one, images, rule, **how)
        heatmaps[name, form] = explained.input
        if name == "LRP-0":
            z, R = one.forward_pass(images).z[1], explained.relevance[2]
            print(f"first convolution, {form:10}: |R| where z < 0: "
                  f"{np.abs(R[z < 0]).sum() / np.abs(R).sum():.0%}")
            assert (np.abs(R[z < 0]).sum() == 0) == (form == "folded")
    alike[name] = np.median([np.corrcoef(R[x > 0], S[x > 0])[0, 1] for R, S, x in zip(
        heatmaps[name, "as trained"], heatmaps[name, "folded"], images)])
    print(f"{name:18} correlation of both heatmaps {alike[name]:.3f}; largest |R| "
          f"{np.abs(heatmaps[name, 'as trained']).max():,.1f} as trained, "
          f"{np.abs(heatmaps[name, 'folded']).max():,.1f} folded")
assert alike["LRP-0"] > 0.9999 and alike["gamma 0.25"] < 0.5 and alike["epsilon 0.25"] < 0.95

# %% [markdown]
# LRP-0 does not notice. (Of two linear layers it makes the product of their matrices, however they
# are cut.) Epsilon and the generalized gamma give another heatmap. Gamma explodes, and as trained
# far more than folded. Folding puts a ReLU behind the first convolution again. It cannot do so for
# the last convolution of a block, because the sum stands between it and the ReLU. So for gamma the
# poles become fewer, but not none. For networks with shortcuts, take the generalized gamma.

# %%
chosen = [int(np.argmax((labels == k) & (folded.predict(images) == k))) for k in (0, 2, 4, 7)]
drawn = [(name, form) for name in ("LRP-0", "epsilon 0.25", "generalized gamma")
         for form in ("as trained", "folded")]
show(lrp.plotting.heatmaps([heatmaps[key][chosen] for key in drawn],
                           [f"a {labels[n]}" for n in chosen],
                           [name.replace("generalized ", "generalized\n") + f",\n{form}"
                            for name, form in drawn], images[chosen],
                           title="Of these rules, only LRP-0 does not notice the folding"),
     "17_heatmaps", "four digits under three rules, each as trained and folded")
print("largest difference under LRP-0:",
      f"{np.abs(heatmaps['LRP-0', 'as trained'] - heatmaps['LRP-0', 'folded']).max():.0e}")
assert np.allclose(heatmaps["LRP-0", "as trained"], heatmaps["LRP-0", "folded"], atol=1e-4)

# %% [markdown]
# ## Pixel flipping
#
# The test of lesson 10, over the non-zero pixels. Three baselines: random pixels of any kind,
# **size-matched random** (as many non-zero pixels, at random), and the image itself, brightest
# pixels first. First at one point, 30 % flipped, most relevant first:

# %%
from lrp_numpy.evaluation import flip_ranked, perturbation_curves, rank

at_random = np.zeros_like(images)
accuracy = {"original": (folded.predict(images) == labels).mean()}
for name, R, pixels in (("random", at_random, "all"), ("size-matched random", at_random, "nonzero"),
                        ("pixel intensity", images, "nonzero"),
                        ("LRP-0", heatmaps["LRP-0", "folded"], "nonzero")):
    flipped = flip_ranked(images, rank(images, R, "morf", pixels=pixels, rng=0), 0.3,
                          pixels="nonzero")
    accuracy[name] = (folded.predict(flipped) == labels).mean()
for name, value in accuracy.items():
    print(f"{name:20} accuracy {value:.1%}")
assert accuracy["LRP-0"] < min(accuracy["pixel intensity"],
                               accuracy["size-matched random"]) - 0.3
assert accuracy["random"] > accuracy["size-matched random"]

# %% [markdown]
# And the SRG, the area between the LeRF and the MoRF curve, with its 95 % interval:

# %%
fractions = [0.05, 0.15, 0.3, 0.5, 0.7]
heatmaps |= {("pixel intensity", "baseline"): images,
             ("size-matched random", "baseline"): np.random.default_rng(0).random(images.shape)}
srg = {}
for key, R in heatmaps.items():
    curves = perturbation_curves(folded, images, labels, R, fractions)
    srg[key] = curves.srg_estimate(curves.correct)
    print(f"{key[0]:20} {key[1]:10} SRG {srg[key].mean:5.2f} "
          f"[{srg[key].low:.2f}, {srg[key].high:.2f}]")
figure, axes = plt.subplots(figsize=(7, 3.4), layout="constrained")
names = sorted({name for name, _ in srg}, key=lambda name: max(
    e.mean for key, e in srg.items() if key[0] == name))
for form, marker, colour, lift in (("as trained", "s", "#d55e00", -0.15),
                                   ("folded", "o", "#0072b2", 0.15), ("baseline", "D", "black", 0)):
    rows = [i for i, name in enumerate(names) if (name, form) in srg]
    means = [srg[names[i], form].mean for i in rows]
    errors = [[srg[names[i], form].mean - srg[names[i], form].low for i in rows],
              [srg[names[i], form].high - srg[names[i], form].mean for i in rows]]
    axes.errorbar(means, np.array(rows) + lift, xerr=errors, fmt=marker, color=colour, markersize=5)
    axes.text(means[-1] + 0.05, rows[-1] + lift, form, color=colour, va="center", fontsize=9)
axes.set_yticks(range(len(names)), names)
axes.set(xlabel="SRG over non-zero pixels, with 95 % interval", xlim=(-0.05, 0.85),
         ylim=(-0.5, 5.5), title="Folding helps epsilon and gamma, and no rule beats LRP-0")
show(figure, "17_srg", "the SRG of four rules, as trained and folded, and of two baselines")
assert srg["epsilon 0.25", "folded"].low > srg["epsilon 0.25", "as trained"].high
assert srg["gamma 0.25", "folded"].low > srg["gamma 0.25", "as trained"].high
both = [srg["generalized gamma", form] for form in ("as trained", "folded")]
assert abs(both[0].mean - both[1].mean) < 0.03
assert srg["LRP-0", "folded"].mean == max(e.mean for e in srg.values())
assert srg["gamma 0.25", "folded"].mean < srg["pixel intensity", "baseline"].high

# %% [markdown]
# Folding helps epsilon and gamma, and makes hardly any difference for the generalized gamma. Gamma
# itself does no better than the brightness of the pixels, even folded. Here LRP-0 has the highest
# SRG. Lesson 6 found the same: LRP-0 passes the test best on these digits, and gamma is recommended
# for networks far deeper than the six layers with weights that are here on any way.
#
# So fold, first of all for another reason. Without it a heatmap depends on how somebody happened to
# write the network down.
#
# ## Try it
#
# - By hand: x = (1, 2) as above, but R = (4, 3), which is y itself. What does x get?
# - By hand: γ = -3 in place of 3, so W' = -3. What does the rule z+ do with this weight, folded,
#   and what with the weight 2 and BatchNorm's -1.5 apart?
# - By hand: LayerNorm with two numbers, a = (2, 6). What is n, what is n for a = (3, 100), and what
#   does the gradient say?
# - Set `epsilon=0.01` in place of 0.25. How alike are the heatmaps of the two forms now?
#
# **Answers.** 1: s = (1, 1); the shortcut (1, 2), F (3, 1); F hands down 1 · (1 + 1) = 2 and 2 · 1
# = 2; x gets (3, 4). 2: folded, -3 is negative, and z+ gives x nothing. Apart, z+ stops at the
# -1.5, with the same result. But add a second input with weight -1: folded, it has the weight 1.5
# and gets relevance; apart, as long as z > 0, nothing passes the -1.5. 3: n = (-1, 1) both times.
# Two numbers have only an order, so the gradient is 0; with σ constant, LRP still divides f between
# them. 4: more alike: the correlation rises from 0.88 to 0.98.
#
# **Write it yourself:** the shares of a shortcut, and the folding.
# [The exercise](exercises/ex17_shortcuts.py) tells you which kind of wrong an answer is.
#
# Next: [18. Attention by hand](18_attention_by_hand.py).
