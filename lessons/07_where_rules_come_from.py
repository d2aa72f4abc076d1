# %% [markdown]
# # 7. Where do the rules come from?
#
# **Question.** Why these weights, this denominator? Could one have derived them?
#
# **Running time.** 8 seconds. **Before it.** [6. The rules](06_rules.py).
#
# Lesson 6 listed nine rules, and they looked like nine inventions. Some are. But Montavon et al.
# 2017 derived several of them from one idea, **deep Taylor decomposition**: ask each neuron how its
# inputs would have to change for it to fall silent, and give each input its part of that change.
#
# ## Where the neuron falls silent
#
# One ReLU neuron with two inputs, weights w = (3, -1) and no bias: R(a) = max(0, 3 a1 - a2). At
# a = (2, 1) it outputs 5. A **root point** ã is an input at which it just reaches 0. The Taylor
# expansion around ã, to first order, is
#
# $$R(a) = R(\tilde a) + \sum_j w_j (a_j - \tilde a_j), \qquad R(\tilde a) = 0$$
#
# (Where the ReLU is on, its slope is w; at the root we take the slope of that side.) So each input
# has its part, R_j = w_j (a_j - ã_j): how far it is from the root, times its weight. The parts sum
# to R, because a neuron that is on is linear, and an expansion to first order leaves nothing out.
#
# But which root? Here is one, and another.

# %%
import numpy as np

a, w = np.array([2.0, 1.0]), np.array([3.0, -1.0])
z = a @ w
for root in (np.array([1.0, 3.0]), np.array([0.5, 1.5])):
    R = w * (a - root)
    print(f"root {root}: output {root @ w:g}; relevance {R}, sum {R.sum():g} of {z:g}")
    assert root @ w == 0 and R.sum() == z == 5

# %% [markdown]
# All points with 3 ã1 = ã2 are roots, a whole line of them, and each gives another answer. So we
# need a direction in which to look.
#
# ## Four directions, four rules
#
# Walk from a in the direction -v: ã = a - t v. On the way, z falls by t (v · w). It reaches 0 at
# t = z / (v · w). Put that into R_j = w_j (a_j - ã_j) = w_j t v_j:
#
# $$R_j = \frac{v_j w_j}{\sum_{j'} v_{j'} w_{j'}}\, z$$
#
# There is the form of a rule. The numerator is what the step in input j takes away from z, and
# the denominator is what the whole step takes away. A rule is a direction.
#
# And what is a good direction? The root should be an input that is possible. If any real number is
# possible, the shortest way to the line of roots is along w. Activations after a ReLU are never
# negative, so there we shrink only the inputs with positive weights, not below 0. Pixels lie
# between two bounds, here 0 and 5, so we move each toward the bound that lowers z. The fourth row
# shrinks all inputs alike.
#
# | possible inputs | v | v_j w_j | t | root | relevance | rule |
# |---|---|---|---|---|---|---|
# | all real numbers | w = (3, -1) | 9, 1 | 5/10 | (0.5, 1.5) | 4.5, 0.5 | w-square |
# | a ≥ 0 | a where w > 0, else 0: (2, 0) | 6, 0 | 5/6 | (1/3, 1) | 5, 0 | z+ |
# | 0 ≤ a ≤ 5 | a - bound: (2 - 0, 1 - 5) | 6, 4 | 5/10 | (1, 3) | 3, 2 | z-B |
# | a ≥ 0, all alike | a = (2, 1) | 6, -1 | 5/5 | (0, 0) | 6, -1 | LRP-0 |
#
# Are these the rules of the package? The cell computes each root by its direction, tests whether
# it is one, and compares the relevance with `lrp_numpy.rules`.

# %%
from lrp_numpy import rules


def directions(a, w, low, high):
    """{rule: v} for inputs a (D,) with low <= a <= high and weights w (D,)."""
    return {"w-square": w, "z+": a * (w > 0), "z-B": a - low * (w > 0) - high * (w < 0),
            "LRP-0": a}


def root_along(v, a, w, b=0.0):
    """The root point of max(0, a . w + b) on the line a - t v."""
    return a - (a @ w + b) / (v @ w) * v


def by_the_package(rule, a, w, b, low, high):
    """The relevance of the inputs of one neuron, R = z."""
    how = {"low": low, "high": high} if rule == "z-B" else {}
    function = {"w-square": rules.lrp_w_square, "z+": rules.lrp_z_plus, "z-B": rules.lrp_z_box,
                "LRP-0": rules.lrp_0}[rule]
    return function(a[None], w[:, None], np.array([b]), np.array([[a @ w + b]]), **how)[0]


roots, relevance = {}, {}
for rule, v in directions(a, w, 0.0, 5.0).items():
    roots[rule] = root_along(v, a, w)
    relevance[rule] = w * (a - roots[rule])
    print(f"{rule:8} v = {v}  root ({roots[rule][0]:.2f}, {roots[rule][1]:.2f}), "
          f"{np.linalg.norm(a - roots[rule]):.2f} away: relevance {relevance[rule].round(2) + 0}")
    assert abs(roots[rule] @ w) < 1e-12
    assert np.allclose(relevance[rule], by_the_package(rule, a, w, 0.0, 0.0, 5.0), 0, 1e-12)
assert np.allclose(list(relevance.values()), [[4.5, 0.5], [5, 0], [3, 2], [6, -1]])
distance = {rule: np.linalg.norm(a - root) for rule, root in roots.items()}
assert min(distance, key=distance.get) == "w-square"

# %% [markdown]
# They are, and w-square's root is the nearest. Here are all four in the plane of the two inputs.

# %%
import matplotlib.pyplot as plt
from lrp_numpy.plotting import show

figure, axes = plt.subplots(figsize=(6, 5.4), layout="constrained")
axes.fill_between([-2.6, -0.2, 1.9], [-0.6, -0.6, 5.7], 5.7, color="0.92", zorder=0)
axes.plot([-0.2, 1.9], [-0.6, 5.7], color="0.45", zorder=1)
axes.text(1.6, 4.2, "line of roots: 3 a1 = a2", color="0.35")
axes.text(-1.5, 2.8, "neuron off", color="0.45", fontsize=12)
axes.text(3.4, 2.8, "neuron on", color="0.45", fontsize=12)
axes.plot([0, 5, 5, 0, 0], [0, 0, 5, 5, 0], ":", color="black", linewidth=1, zorder=1)
axes.text(4.95, 4.75, "inputs from 0 to 5", ha="right", fontsize=9)
for rule, colour, style, place, side in (
        ("w-square", "#0072b2", "--", (0.3, 1.65), "right"),
        ("z+", "#d55e00", "-", (0.2, 1.0), "right"),
        ("z-B", "#009e73", "-.", (1.2, 3.2), "left"),
        ("LRP-0", "#cc79a7", (0, (1, 1)), (0.25, -0.28), "left")):
    x, y = roots[rule]
    axes.plot([a[0], x], [a[1], y], linestyle=style, color=colour, linewidth=2.5, zorder=2)
    axes.plot(x, y, "o", color=colour, markersize=9, zorder=3)
    R1, R2 = relevance[rule] + 0
    axes.text(*place, f"{rule}: R = ({R1:g}, {R2:g})", color=colour, ha=side, va="center",
              fontweight="bold", bbox={"facecolor": "0.92" if side == "right" else "white",
                                       "edgecolor": "none", "pad": 1})
axes.plot(*a, "o", color="black", markersize=9, zorder=4)
axes.text(2.15, 1.0, "a = (2, 1), output 5", va="center")
axes.set(title="Four directions, four roots, four rules", xlabel="input a1", ylabel="input a2",
         xlim=(-2.6, 5.4), ylim=(-0.6, 5.4), aspect="equal")
show(figure, "07_roots", "a neuron's line of roots and four ways to it")
assert all(-2.6 < x < 5.4 and -0.6 < y < 5.4 for x, y in roots.values())

# %% [markdown]
# Two inputs could be luck. So let us draw 2,000 random neurons with 20 inputs between 0 and 1, and
# with a bias that is 0 or negative, as the derivation assumes: then a neuron whose inputs are all 0
# is silent, and there is a root to be found. How often does each root of those that are on lie
# inside the possible inputs?

# %%
rng = np.random.default_rng(0)
inside = {rule: [] for rule in roots}
worst = 0.0
for _ in range(2000):
    many, weights = rng.uniform(size=20), rng.normal(size=20)
    if many @ weights <= 0.1:
        weights = -weights
    bias = -rng.uniform(0, 0.9) * max(many @ weights, 0)
    if many @ weights + bias < 0.01:
        continue            # a silent neuron has nothing to share out
    for rule, v in directions(many, weights, 0.0, 1.0).items():
        root = root_along(v, many, weights, bias)
        of_package = by_the_package(rule, many, weights, 0.0 if rule == "LRP-0" else bias, 0.0, 1.0)
        if rule == "LRP-0":         # of its own z, here without the bias; see below
            of_package *= (many @ weights + bias) / (many @ weights)
        error = np.abs(weights * (many - root) - of_package).max()
        worst = max(worst, error, abs(root @ weights + bias))
        inside[rule].append((root >= -1e-12).all() and (root <= 1 + 1e-12).all())
print(f"{len(inside['z+'])} neurons; largest error of a root or of a relevance: {worst:.0e}")
for rule, each in inside.items():
    print(f"{rule:8} root inside 0 to 1: {np.mean(each):.0%}")
assert worst < 1e-12 and np.mean(inside["w-square"]) < 0.9
assert all(all(inside[rule]) for rule in ("z+", "z-B", "LRP-0"))

# %% [markdown]
# All four are the package's rules. The root of w-square often leaves the possible inputs, which is
# no fault where all real numbers are possible. The others never do: their walks end, at the latest,
# at an input where nothing adds to z any more. LRP-0 keeps inside, too. For a hidden layer deep
# Taylor decomposition still takes z+, because z+ gives nobody a negative relevance, and the next
# layer down expects one that is 0 or more, as a ReLU's output is.
#
# ## The bias
#
# Give our neuron the bias -1, so z = 4. By their roots, z+ hands out 4 · (1, 0), w-square
# 4 · (0.9, 0.1), z-B 4 · (0.6, 0.4). A negative bias stands in none of these denominators, here or
# in the package. It only moves the line of roots.
#
# LRP-0 is different. The package takes the bias for one more input, a constant 1 with the weight
# -1, and shares with it: 6, -1 and -1 for the bias. The direction "all alike" then shrinks the
# constant as well, and the root is still 0. Without that, it is at (0.4, 0.2), and hands out
# 4 · (6/5, -1/5).

# %%
b = -1.0
for rule, v in directions(a, w, 0.0, 5.0).items():
    root = root_along(v, a, w, b)
    R, of_package = w * (a - root), by_the_package(rule, a, w, b, 0.0, 5.0)
    print(f"{rule:8} by its root {R.round(2) + 0}, in the package {of_package.round(2)}")
    assert np.allclose(R, of_package, 0, 1e-12) == (rule != "LRP-0")
with_constant = root_along(np.append(a, 1), np.append(a, 1), np.append(w, b))
print("with the bias as an input: root", with_constant, "relevance",
      np.append(w, b) * (np.append(a, 1) - with_constant))
assert np.allclose(R, [4.8, -0.8]) and of_package.tolist() == [6, -1]
assert (with_constant == 0).all()

# %% [markdown]
# ## Epsilon and gamma
#
# Epsilon began as a remedy for small z, without a derivation. "Layer-Wise Relevance Propagation: An
# Overview" (Montavon et al. 2019), which introduced gamma, gives an expansion for both.
#
# **Gamma** walks along v_j = a_j (1 + γ) where w_j > 0, and v_j = a_j elsewhere. Then v_j w_j is
# a_j (w_j + γ w_j+), as in the rule. For γ = 0 that is LRP-0's direction. As γ grows, it turns into
# z+'s, and the root slides along its line, from (0, 0) to (1/3, 1).
#
# **Epsilon** does not walk to a root at all. It stops early, at the reference point
# ã = a ε / (z + ε). For ε = 5 that is a / 2 = (1, 0.5), where the neuron still outputs 2.5. So the
# expansion has a constant part, R(ã) = 2.5, which no input gets: what the ledger calls `epsilon`.

# %%
layer = a[None], w[:, None], np.zeros(1), np.array([[z]])
for gamma in (0.0, 1.0, 10.0, 1000.0):
    v = a * (1 + gamma * (w > 0))
    root = root_along(v, a, w)
    R = w * (a - root)
    print(f"gamma {gamma:6g}: root ({root[0]:.3f}, {root[1]:.3f}), relevance {R.round(2)}")
    assert np.allclose(R, rules.lrp_gamma(*layer, gamma=gamma)[0], 0, 1e-12)
assert np.allclose(root, roots["z+"], atol=1e-3)
epsilon, ledger = 5.0, []
reference = a * epsilon / (z + epsilon)
R = w * (a - reference)
of_package = rules.lrp_epsilon(*layer, epsilon=epsilon, ledger=ledger)[0]
print(f"epsilon {epsilon:g}: reference {reference}, output there {reference @ w}, relevance {R}")
assert np.allclose(R, of_package, 0, 1e-12) and reference @ w == ledger[0].epsilon[0] == 2.5

# %% [markdown]
# ## A small proof: for large γ, gamma is z+
#
# No bias, a ≥ 0. Let P be the sum of the positive contributions, -N that of the negative ones, so
# z = P - N > 0. Under gamma the denominator is (1 + γ) P - N.
#
# 1. An input with w_j < 0 gets a_j w_j z / ((1 + γ) P - N). All of these together get
#    -N z / ((1 + γ) P - N), which goes to 0 as γ grows.
# 2. An input with w_j > 0 gets (1 + γ) a_j w_j z / ((1 + γ) P - N). Divide above and below by
#    1 + γ: a_j w_j z / (P - N / (1 + γ)), which goes to a_j w_j z / P. That is z+.
#
# The difference of the two rules is at most of the order z N / (γ P). Ten times the γ, a tenth of
# the difference. Test it on a layer of 30 neurons.

# %%
a30, W30 = rng.uniform(size=(1, 20)), rng.normal(size=(20, 30))
R30 = np.maximum(a30 @ W30, 0)
gap = []
for gamma in (1e2, 1e3, 1e4, 1e5, 1e6):
    difference = (rules.lrp_gamma(a30, W30, np.zeros(30), R30, gamma=gamma)
                  - rules.lrp_z_plus(a30, W30, np.zeros(30), R30))
    gap.append(np.abs(difference).max())
    print(f"gamma {gamma:9,.0f}: largest difference from z+ {gap[-1]:.1e}")
ratios = np.array(gap[:-1]) / gap[1:]
assert np.allclose(ratios, 10, rtol=0.1) and gap[-1] < 1e-4

# %% [markdown]
# ## What is derived, and what is assumed
#
# So far there was one neuron, and R was its output. In a network, the relevance of a hidden neuron
# comes from above. To expand it we must know it as a function of the neuron's inputs. Deep Taylor
# decomposition *assumes* a form: R_k = a_k c_k, the activation times a constant. Then R_k is a ReLU
# neuron scaled by c_k, and the same roots serve.
#
# Is c_k a constant? It depends on the other neurons of the layer, and these change, too, if we walk
# the inputs of neuron k to its root. We can measure that. Take a network with three layers, 784-
# 300-100-10, the rule z+, and for each neuron k of the second hidden layer its root. How much of
# c_k is left there, and how many other neurons of the layer have switched on or off?

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
images, labels = digits.test_images, digits.test_labels
net = lrp.MLP.random([784, 300, 100, 10], activation="relu", rng=0)
history = lrp.train(net, digits, epochs=8, rng=0, progress=False)
print(f"accuracy: {history.accuracy[-1]:.1%}")
assert history.accuracy[-1] > 0.92
middle, upper = [(layer.W.astype(np.float64), layer.b.astype(np.float64))
                 for layer in net.layers[1:]]


def constants(a2, target):
    """c_k = R_k / a_k of the second hidden layer under z+: R_k = a_k w_k+ z / (sum a w+ + b+)."""
    w_t, b_t = upper[0][:, target], upper[1][target]
    return rules.positive(w_t) * (a2 @ w_t + b_t) / (a2 @ rules.positive(w_t) + max(b_t, 0))


left, switched, can_be = [], [], []
for a1 in net.activations(images[:200])[1].astype(np.float64):
    a2 = np.maximum(a1 @ middle[0] + middle[1], 0)
    target = int((a2 @ upper[0] + upper[1]).argmax())
    c = constants(a2, target)
    for k in np.flatnonzero((a2 > 0) & (c > 0)):
        w_k, b_k = middle[0][:, k], middle[1][k]
        root = root_along(a1 * (w_k > 0), a1, w_k, b_k)
        there = np.maximum(root @ middle[0] + middle[1], 0)
        left.append(constants(there, target)[k] / c[k])
        switched.append(np.delete((there > 0) != (a2 > 0), k).sum())
        can_be.append((root > -1e-9).all())
left, switched = np.array(left), np.array(switched)
print(f"{len(left):,} neurons and roots; c at the root, of c at the image: median "
      f"{np.median(left):.2f}, within 10 % {np.mean(np.abs(left - 1) < 0.1):.0%}, "
      f"off by half or more {np.mean(np.abs(left - 1) > 0.5):.0%}")
print(f"other neurons switched: median {np.median(switched):g}, "
      f"none in {np.mean(switched == 0):.0%}; roots with a >= 0: {np.mean(can_be):.0%}")
assert 0.75 < np.median(left) < 0.97 and 0.25 < np.mean(np.abs(left - 1) < 0.1) < 0.65
assert np.median(switched) >= 4 and np.mean(switched == 0) < 0.15 and np.mean(can_be) > 0.99

# %% [markdown]
# So c_k is roughly constant, and not more: about half of the time it changes by over 10 %. And on
# the way to nearly every root, other neurons have switched. Such a root does not lie in the linear
# region of the image, where the expansion of the whole network would be exact.
#
# Sixt and Landgraf 2022, "A Rigorous Study of the Deep Taylor Decomposition", find that the
# roots in their networks do not lie in it either. They also prove two things:
#
# - If the roots do not depend on the input (locally), deep Taylor decomposition is gradient x
#   input: nothing new.
# - If they may depend on it, one can justify *any* explanation.
#
# The second is easy to see in our neuron. Choose relevances that sum to 5, as you like, and solve
# R_j = w_j (a_j - ã_j) for the root: ã_j = a_j - R_j / w_j.

# %%
for wish in ([1.0, 4.0], [6.0, -1.0], [10.0, -5.0], [-95.0, 100.0]):
    root = a - np.array(wish) / w
    possible = ((root >= 0) & (root <= 5)).all()
    print(f"wish {wish}: root {root.round(2)}, output there {root @ w:.0e}, "
          f"{'inside' if possible else 'outside'} 0 to 5")
    assert abs(root @ w) < 1e-12 and possible == (wish[0] in (1.0, 6.0))

# %% [markdown]
# Any wish has its root. The possible inputs rule out the absurd ones, and no more: for inputs from
# 0 to 5, everything between (1, 4) and (6, -1) remains. (10, -5), by the way, is alpha-beta with
# α = 2, β = 1: its root lies outside even of a ≥ 0.
#
# So be exact about what has been derived:
#
# | what | status |
# |---|---|
# | w-square, z+, z-B for one neuron, b ≤ 0 | exact expansions, at roots that are possible inputs |
# | LRP-0, epsilon, gamma | expansions, at points that no set of possible inputs singles out |
# | the choice of the direction | reasonable, not forced |
# | R_k = a_k c_k with a constant c_k, in depth | an assumption, roughly true here |
# | alpha-beta with β > 0, flat | heuristics |
#
# ## On digits
#
# A theory may be rough and its rule still good. So we compare. (Its assumption of biases of at most
# 0 does not hold here: two thirds of them are positive, though small.) The derivation names a rule
# for each layer: z-B for the pixels, which have bounds, z+ above, where activations are not
# negative. This is the composite `deep_taylor`. Beside it LRP-0. Predict: under which of the two do
# "why 4?" and "why 9?" get more different heatmaps, and which of the two passes pixel flipping
# better?

# %%
from lrp_numpy.evaluation import perturbation_curves

biases = np.concatenate([layer.b.ravel() for layer in net.layers])
print(f"biases above 0: {(biases > 0).mean():.0%}, none above {biases.max():.2f}")
assert 0.5 < (biases > 0).mean() < 0.8 and biases.max() < 0.2
chosen = [int(np.argmax((labels == k) & (net.predict(images) == k))) for k in (0, 2, 3, 4, 7)]
by_rule = {name: lrp.explain(net, images, rule) for name, rule in
           (("LRP-0", "0"), ("z-B, then z+", "deep_taylor"))}
show(lrp.plotting.heatmaps([e.input[chosen] for e in by_rule.values()], labels[chosen],
                           list(by_rule), images[chosen],
                           title="Deep Taylor: no blue, and background"), "07_digits",
     "five digits under both")
negative, background, never, alike, srg = {}, {}, {}, {}, {}
never_ink = (digits.train_images == 0).all(axis=0)
some, their_labels, fours = images[:500], labels[:500], images[labels == 4]
for (name, e), rule in zip(by_rule.items(), ("0", "deep_taylor")):
    size = np.abs(e.input).sum(axis=1)
    negative[name] = np.median(-np.minimum(e.input, 0).sum(axis=1) / size)
    background[name] = np.median((np.abs(e.input) * (images == 0)).sum(axis=1) / size)
    never[name] = np.median(np.abs(e.input[:, never_ink]).sum(axis=1) / size)
    two = [lrp.explain(net, fours, rule, target=k).input for k in (4, 9)]
    z_9 = net.forward(fours)[:, 9]
    r = np.array([np.corrcoef(R4, R9)[0, 1] for R4, R9 in zip(*two)])
    alike[name] = np.median(r[z_9 > 0])
    curves = perturbation_curves(net, some, their_labels, e.input[:500],
                                 [0.05, 0.1, 0.2, 0.3, 0.5, 0.7], pixels="nonzero")
    srg[name] = curves.srg(curves.accuracy)
    print(f"{name:12} negative part of |R| {negative[name]:.0%}, on empty pixels "
          f"{background[name]:.0%}, where there is never ink {never[name]:.0%}")
    print(f"{'':12} 'why 4?' and 'why 9?' correlate {alike[name]:.2f}, and "
          f"{np.median(r[z_9 < 0]):.2f} where z_9 < 0; SRG {srg[name]:.2f}")

# %% [markdown]
# (Each heatmap's colours end at the number below it.) What changes:
#
# - **No negative evidence** against a class whose logit is positive, as the predicted class's is:
#   z+ drops it. The picture is calmer, and tells less.
# - **Empty pixels get relevance**, most of it here: z-B asks how far a pixel is from the bound that
#   would lower z, and a 0 may be as far from its bound as a 1. Even pixels on which no
#   training image has ink get a share: their weights are still those of the random start.
# - **The class hardly matters.** "Why 4?" and "why 9?" get nearly the same heatmap, with red and
#   blue swapped where the logit of the 9 is negative. After two layers of z+, what comes down is
#   close to what any class would send. Sixt, Granz and Landgraf 2020, "When Explanations Lie",
#   prove that many layers of z+ converge to this.
# - **Pixel flipping** (lesson 10, non-zero pixels only) ranks LRP-0 higher.

# %%
assert negative["LRP-0"] > 0.1 and negative["z-B, then z+"] < 1e-6
assert background["LRP-0"] == 0 and background["z-B, then z+"] > 0.6
assert never["z-B, then z+"] > 0.03
assert alike["LRP-0"] < 0.5 and alike["z-B, then z+"] > 0.85
assert srg["LRP-0"] > srg["z-B, then z+"] + 0.08
print("as the list says")

# %% [markdown]
# So here the derived rules are the worse ones, by this test and for this network. A derivation
# tells us what a rule means. It does not tell us that the rule is right; that is for a test to
# find out.
#
# ## What we have learned
#
# - For one ReLU neuron a rule is a direction. The denominator is what a step in that direction
#   takes away from z.
# - Which inputs are possible suggests the direction: all of them w-square, a ≥ 0 z+, bounds z-B.
# - In depth there is an assumption, R_k = a_k c_k, and it holds roughly.
# - For any answer there is a root that justifies it. So derive, and then test.
#
# ## Try it
#
# - By hand, w = (3, 1), a = (2, 1), no bias. Where are the four roots? Which one is not possible
#   for a ≥ 0?
# - By hand, set the upper bound of input 2 to 1 in the first example (that of input 1 stays 5).
#   What becomes of z-B?
# - Which direction v gives the rule flat?
# - Use `rule=["z_box", "gamma", "0"]` on the digits. Which points of the list change?
#
# **Answers.** 1: t = 7/10 along w: (-0.1, 0.3), which is not possible. For z+ and LRP-0 it is (0,
# 0); z-B from 0 to 5 walks along (2, 1) to (0, 0) as well. 2: input 2 is at its bound and cannot go
# further: v = (2, 0), which is z+. 3: v_j = 1 / w_j, so that all v_j w_j are 1. 4: empty pixels
# keep their relevance, "why 4?" and "why 9?" part again, hardly any negative evidence comes back
# (0.1 %, printed as 0 %), and the SRG rises to 0.62.
#
# **Write it yourself:** the root, z-B by way of its root, and how large a γ the proof needs.
# [The exercise](exercises/ex07_roots.py) checks your answer and names the mistake.
#
# Next: [8. The ledger](08_the_ledger.py).
