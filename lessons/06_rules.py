# %% [markdown]
# # 6. The rules
#
# **Question.** LRP-0, epsilon, gamma: what does each change, and what does it cost?
#
# **Running time.** 12 seconds. **Before it.** [5. LRP by hand](05_lrp_by_hand.py).
#
# In lesson 5 a neuron shared out its relevance of 1 as 100 and -99. The sum was right, and the
# parts were of no use. Two rules mend this. Both keep the four lines, and change one thing in them.
# Further down we see what they are really for: deep networks.
#
# ## One neuron
#
# Two inputs a = [1, 2] with weights [3, -1] and a bias of 1. So z = 3 - 2 + 1 = 2. It has a
# relevance of 4 to share out.

# %%
import numpy as np
from lrp_numpy.rules import lrp_0, lrp_epsilon, lrp_gamma

a, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [-1.0]]), np.array([1.0])
R = np.array([[4.0]])


def tell(rule, **parameters):
    ledger = []
    inputs = rule(a, W, b, R, ledger=ledger, **parameters)
    row, call = ledger[0], ", ".join(f"{name}={value}" for name, value in parameters.items())
    print(f"{f'{rule.__name__}({call})':26} inputs {inputs.round(2)}  bias {row.bias[0]:.2f}"
          f"  epsilon {row.epsilon[0]:.2f}  sum {inputs.sum() + row.bias[0] + row.epsilon[0]:.2f}")
    return inputs


assert tell(lrp_0).tolist() == [[6, -4]]

# %% [markdown]
# **LRP-0.** Each unit of contribution gets s = 4 / 2 = 2. So the inputs get 3 · 2 = 6 and
# -2 · 2 = -4, and the bias 1 · 2 = 2.
#
# ## Epsilon: an extra mouth to feed
#
# **LRP-epsilon** makes the denominator larger: z + ε, or z - ε if z is negative, always away from
# 0. With ε = 2, s = 4 / (2 + 2) = 1. Everybody gets half as much. ε, the **stabilizer**, absorbs
# the rest.

# %%
assert tell(lrp_epsilon, epsilon=2.0).tolist() == [[3, -2]]

# %% [markdown]
# Where is the missing relevance? The ledger shows it: in epsilon. It is as if a third input with a
# contribution of 2 had come to the table, and its share were thrown away.
#
# ## Gamma: positive weights count more
#
# **LRP-gamma** changes the weights. Positive ones count 1 + γ times, negative ones once, and the
# bias likewise. With γ = 1 the weights are [6, -1] and the bias is 2, so z = 6 - 2 + 2 = 6, and s =
# 4 / 6. In `lrp_numpy/rules.py`, the rule is, but for a warning, this one line, which calls
# `propagate`, the four lines of lesson 5:

# %%
import inspect

print(inspect.getsource(lrp_gamma).splitlines()[-1])
inputs = tell(lrp_gamma, gamma=1.0)
assert np.allclose(inputs, [[4, -4 / 3]])

# %% [markdown]
# Nothing is absorbed. But the negative evidence is smaller: -4 before, -1.33 now. As γ grows
# without bound, only the positive weights are left.

# %%
for gamma in (0.0, 0.25, 1.0, 10.0, 1000.0):
    inputs = tell(lrp_gamma, gamma=gamma)
assert -0.01 < inputs[0, 1] < 0

# %% [markdown]
# Both rules begin at LRP-0: they are LRP-0 when ε = 0 and γ = 0.

# %%
assert (lrp_epsilon(a, W, b, R, epsilon=0.0) == lrp_0(a, W, b, R)).all()
assert (lrp_gamma(a, W, b, R, gamma=0.0) == lrp_0(a, W, b, R)).all()
print("epsilon = 0 and gamma = 0 are LRP-0")

# %% [markdown]
# ## The neuron that caused the trouble
#
# Contributions of 1 and -0.99 nearly cancel, and z is only 0.01. LRP-0 shares out 100 and -99.

# %%
a, W, b, R = np.array([[1.0, 1.0]]), np.array([[1.0], [-0.99]]), np.array([0.0]), np.array([[1.0]])
tell(lrp_0)
with_epsilon = tell(lrp_epsilon, epsilon=0.25)
with_gamma = tell(lrp_gamma, gamma=1.0)
assert np.abs(with_epsilon).max() < 4 and np.abs(with_gamma).max() < 2

# %% [markdown]
# Two characters. Epsilon thinks: "This neuron is hardly sure of anything, so I take 96 % of its
# relevance off the table." Gamma thinks: "The positive contribution is what counts", and takes
# nothing off the table.
#
# But gamma relies on two things: that activations are not negative, and that z is positive. Take
# contributions of 1 and -1.5, so z = -0.5. As γ grows, the positive one grows, and z rises to 0 and
# crosses it. On both sides of the crossing, gamma makes the very peaks that it should remove. The
# rule warns of it.

# %%
import warnings

warnings.filterwarnings("ignore", message="gamma is made for")      # here we want to see it happen
W, R = np.array([[1.0], [-1.5]]), np.array([[-0.5]])
tell(lrp_0)
peak = tell(lrp_gamma, gamma=0.49)
other_side = tell(lrp_gamma, gamma=0.51)
assert np.allclose(peak, [[74.5, -75]]) and np.allclose(other_side, [[-75.5, 75]])

# %% [markdown]
# A hidden ReLU neuron with negative z outputs 0 and has no relevance to share out, so it is safe. A
# logit may be negative: remember this when you explain a class that the network finds unlikely.
#
# ## On real digits

# %%
import lrp_numpy as lrp

digits = lrp.load_mnist()
net = lrp.MLP.random([784, 500, 10], activation="relu", rng=0)
history = lrp.train(net, digits, epochs=10, rng=0)
images = digits.test_images
print(f"accuracy: {history.accuracy[-1]:.1%}")
assert history.accuracy[-1] > 0.93

# %% [markdown]
# For every test image: how large is the negative evidence, compared with the positive? How large is
# the largest relevance of a pixel, compared with the whole logit? And how much of the logit was
# absorbed? Here are the medians over all test images.

# %%
rules = [("0", {}), ("epsilon", {"epsilon": 0.25}), ("epsilon", {"epsilon": 1.0}),
         ("gamma", {"gamma": 0.25}), ("gamma", {"gamma": 1.0}), ("gamma", {"gamma": 10.0})]
negative, largest, absorbed = {}, {}, {}
for rule, parameters in rules:
    e = lrp.explain(net, images, rule, **parameters)
    name = f"{rule} {list(parameters.values())[0]:g}" if parameters else rule
    logit = e.ledger[-1].received
    negative[name] = np.median(-np.minimum(e.input, 0).sum(axis=1)
                               / np.maximum(e.input, 0).sum(axis=1))
    largest[name] = np.median(np.abs(e.input).max(axis=1) / logit)
    absorbed[name] = np.median((e.ledger[0].epsilon + e.ledger[1].epsilon) / logit)
    print(f"{name:13} negative/positive {negative[name]:.2f}   largest/logit {largest[name]:.3f}   "
          f"absorbed {absorbed[name]:.0%}")

# %% [markdown]
# Read it row by row.
#
# - **LRP-0** shows the most negative evidence, and the highest peaks.
# - **epsilon** lowers the peaks, and the negative evidence somewhat. The price stands at the end of
#   the row: a part of the logit is no longer explained.
# - **gamma** lowers the peaks and absorbs nothing. The price stands in the first column: negative
#   evidence fades much more, and with γ = 10 almost nothing is left of it.

# %%
assert largest["0"] > largest["epsilon 0.25"] > largest["epsilon 1"]
assert largest["0"] > largest["gamma 0.25"] > largest["gamma 1"] > largest["gamma 10"]
assert absorbed["0"] == absorbed["gamma 1"] == 0 < absorbed["epsilon 0.25"] < absorbed["epsilon 1"]
assert negative["0"] > negative["gamma 0.25"] > negative["gamma 1"] > negative["gamma 10"]
assert negative["0"] > negative["epsilon 0.25"] > negative["epsilon 1"] > negative["gamma 1"]
assert negative["gamma 10"] < 0.01
print("the table agrees")

# %% [markdown]
# Figure 3 of the paper, with all three rules: the evidence for the network's prediction.

# %%
from lrp_numpy.plotting import show

chosen = [int(np.argmax(digits.test_labels == k)) for k in (0, 1, 2, 4, 7)]
shown = rules[:2] + rules[3:5]
relevances = [lrp.explain(net, images[chosen], rule, **parameters).input
              for rule, parameters in shown]
titles = [" ".join([f"LRP-{rule}", *(f"{value:g}" for value in parameters.values())])
          for rule, parameters in shown]
print("relevances:", [R.shape for R in relevances])
show(lrp.plotting.heatmaps(relevances, digits.test_labels[chosen], titles, images[chosen]),
     "06_figure3_rules", "five digits under four rules")

# %% [markdown]
# From left to right the blue fades. No column is wrong. They answer slightly different questions,
# and the number under each heatmap gives its scale.
#
# ## A rule for each layer
#
# `rule` may be a list, input side first. The Overview of Montavon et al. 2019 suggests LRP-0 near
# the output, epsilon in the middle, and gamma near the input. With only two layers, we take the
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
# Any class can be explained, not only the predicted one. So we can ask of one image "why 4?" and
# "why 9?", and subtract. But is that the relevance of the difference z_4 - z_9? By hand: two inputs
# of 1, w_4 = (3, 1) and w_9 = (1, 2), no bias, and gamma with γ = 1.
#
# | | z | relevance of the inputs |
# |---|---|---|
# | why 4? | 4 | all weights positive, so as LRP-0: 3, 1 |
# | why 9? | 3 | the same: 1, 2 |
# | the difference of both | | **2, -1** |
# | the neuron w_4 - w_9 = (2, -1) | 1 | the 2 counts twice, z = 3: **4/3, -1/3** |
#
# The two agree for LRP-0, and not for gamma, which looks at the sign of each weight: here -1, there
# 1 and 2. `lrp.contrast` builds the network whose one output is the difference.

# %%
x = np.ones((1, 2))
tiny = lrp.MLP.from_arrays([np.array([[3.0, 1.0], [1.0, 2.0]])], [np.zeros(2)], "identity")
for rule, parameters in (("0", {}), ("gamma", {"gamma": 1.0})):
    apart = [lrp.explain(tiny, x, rule, target=k, **parameters).input for k in (0, 1)]
    of_difference = lrp.explain(lrp.contrast(tiny, 0, 1), x, rule, **parameters).input
    print(f"{rule:5} difference of the heatmaps {apart[0] - apart[1]}, heatmap of the difference "
          f"{of_difference.round(2)}")
    assert np.allclose(apart[0] - apart[1], [[2, -1]])
    assert np.allclose(of_difference, [[2, -1]] if rule == "0" else [[4 / 3, -1 / 3]])

# %% [markdown]
# Now all test images of a 4. Which of the two answers is better? If a heatmap knows what speaks for
# 4 rather than 9, flipping its most relevant pixels (setting them to 0; more in lesson 10) must
# lower z_4 - z_9. Predict which one lowers it more.

# %%
fours = images[digits.test_labels == 4]
difference = lrp.contrast(net, 4, 9)
z_before = difference.forward(fours)[:, 0].mean()
z_after = {}
for rule, parameters in (("0", {}), ("gamma_generalized", {"gamma": 0.25})):
    why_4, why_9 = (lrp.explain(net, fours, rule, target=k, **parameters).input for k in (4, 9))
    for name, R in (("R(z4) - R(z9)", why_4 - why_9),
                    ("R(z4 - z9)", lrp.explain(difference, fours, rule, **parameters).input)):
        flipped = lrp.flip(fours, R, "morf", 0.2, pixels="nonzero")
        z_after[rule, name] = difference.forward(flipped)[:, 0].mean()
        print(f"{rule:18} {name:14} z_4 - z_9 from {z_before:.2f} to {z_after[rule, name]:5.2f}")
by_chance = lrp.flip(fours, np.zeros_like(fours), "morf", 0.2, pixels="nonzero")
print(f"{'as many at random':33} from {z_before:.2f} to "
      f"{difference.forward(by_chance)[:, 0].mean():5.2f}")
assert np.isclose(*[z_after["0", name] for name in ("R(z4) - R(z9)", "R(z4 - z9)")], atol=0.05)
assert (z_after["gamma_generalized", "R(z4 - z9)"]
        < z_after["gamma_generalized", "R(z4) - R(z9)"] - 0.3)
assert difference.forward(by_chance)[:, 0].mean() > 0.6 * z_before

# %% [markdown]
# Under gamma, the neuron of the difference knows more. Under LRP-0 both answers are the same, and
# as good as gamma's better one. (z_9 is often negative here, so we took the generalized gamma,
# which is made for that.) One picture: what speaks for 4 rather than 9 is red.

# %%
four = images[chosen[3:4]]
why_4, why_9 = (lrp.explain(net, four, "gamma_generalized", target=k, gamma=0.25).input
                for k in (4, 9))
why_not_9 = lrp.explain(difference, four, "gamma_generalized", gamma=0.25).input
logits = net.forward(four)[0]
print(f"logits: 4 {logits[4]:.2f}, 9 {logits[9]:.2f}; relevance of the pixels: "
      f"4 {why_4.sum():.2f}, 9 {why_9.sum():.2f}, 4 - 9 {why_not_9.sum():.2f}")
show(lrp.plotting.heatmaps([why_4, why_9, why_not_9], ["4"],
                           ["why 4?", "why 9?", "why 4, not 9?"], four, limit=0.3,
                           title="What speaks for 4, not 9, is not what speaks for 4"),
     "06_why_not_9", "why 4, why 9, why 4 and not 9")
assert logits[4] > logits[9] and np.abs(why_4 - why_9 - why_not_9).max() > 0.02

# %% [markdown]
# If "why 4?" and "why 9?" gave the same heatmap, the method would not look at the class at all. It
# is a good question to put to any heatmap. Put it to gamma: over all test images of a 4, how
# similar (correlated) are the two heatmaps?

# %%
similar, up = {}, net.forward(fours)[:, 9] > 0
for gamma in (0.25, 10.0):
    two = [lrp.explain(net, fours, "gamma", target=k, gamma=gamma).input for k in (4, 9)]
    r = np.array([np.corrcoef(R4, R9)[0, 1] for R4, R9 in zip(*two)])
    similar[gamma] = np.median(r)
    print(f"gamma {gamma:5}: correlation of 'why 4?' and 'why 9?' {similar[gamma]:.2f}; "
          f"z_9 > 0: {np.median(r[up]):.2f}, z_9 < 0: {np.median(r[~up]):.2f}")
print(f"z_9 < 0 in {(~up).mean():.0%} of the images")
assert similar[0.25] < 0.4 < 0.6 < similar[10.0]
assert np.median(r[up]) > 0.6 and np.median(r[~up]) < -0.6

# %% [markdown]
# The larger γ, the more alike, where z_9 is positive. Where it is negative, "why 9?" becomes nearly
# the same heatmap with red and blue swapped. Either way it still shows where the ink is, and less
# and less why it matters.
#
# ## An old acquaintance
#
# In lesson 3 the derivatives of the logit with respect to the pixels were dx = [4, -1], and in
# lesson 5 their relevance was [4, -1] too, with x = [1, 1]. This is no coincidence. With ReLU,
# a = z where a neuron is on. So s = R / z is just the derivative of the logit with respect to z,
# and **LRP-0 is gradient x input**. Let us see.

# %%
x = images.astype(np.float64)
net64 = lrp.MLP.from_arrays([layer.W.astype(np.float64) for layer in net.layers],
                            [layer.b.astype(np.float64) for layer in net.layers], "relu")
e = lrp.explain(net64, x, rule="0")
a, z = net64.forward_pass(x)
lower, upper = net64.layers
da = upper.W[:, e.target].T                             # d logit / d hidden activation
dx = lower.backward(a[0], lower.delta(z[0], a[1], da))
print("largest difference:", np.abs(e.input - x * dx).max())
assert np.allclose(e.input, x * dx, atol=1e-9)

# %% [markdown]
# So LRP-0 shows nothing here that the image and the gradient do not show. The other rules do: try
# `rule="gamma"` in this cell, and the assertion fails. (It has long been known: Shrikumar et al.
# 2016; Ancona et al. 2018.)
#
# It also tells us why the hidden neurons of a ReLU network do not blow up as that one did, with a
# relevance of 1 shared out as 100 and -99. Contributions may cancel just as much, but where z is
# nearly 0, a = z is too: with a derivative of 1, the neuron has 0.01 to share out, as 1 and -0.99.
# In general s is the derivative, and it does not grow when z shrinks. With the sigmoid this is not
# so, since there a is not z. Lesson 9 shows what that means for the paper's network.
#
# ## Then why epsilon and gamma? Depth
#
# If no ReLU neuron blows up because its z is small, what are the other rules for? For the
# gradient's own trouble. Every ReLU is a switch. Move the input a little, and some neurons switch
# on or off; the derivative jumps. The deeper the network, the more switches each path passes, and
# the less the derivative at one image has to do with that at its neighbour. In deep networks fresh
# from their random start, it looks like white noise: **shattered gradients** (Balduzzi et al.
# 2017). LRP-0 inherits this.
#
# Measure it. Each image gets a neighbour: noise of 0.3 on its ink. How similar (correlated) is the
# relevance of each unit of ink, R / x, for both? 1 means the same pattern, whatever its size.
# Networks with 2, 4 and 8 layers, untrained and trained:

# %%
from lrp_numpy.evaluation import perturbation_curves

some, their_labels = images[:300], digits.test_labels[:300]
ink = some > 0
noise = 0.3 * np.random.default_rng(0).normal(size=some.shape)
neighbours = np.where(ink, np.clip(some + noise, 0.001, 1), 0).astype(np.float32)
deep_rules = {"0": {}, "epsilon": {"epsilon": 0.25}, "gamma": {"gamma": 0.25}}


def stability(net, rule, parameters):
    """The correlation of R / x between an image and its neighbour: the median over the images."""
    one = lrp.explain(net, some, rule, **parameters)
    other = lrp.explain(net, neighbours, rule, target=one.target, **parameters).input
    return np.median([np.corrcoef((R / x)[lit], (S / y)[lit])[0, 1] for R, x, S, y, lit in zip(
        one.input, np.where(ink, some, 1), other, np.where(ink, neighbours, 1), ink)])


warnings.filterwarnings("ignore", message="gamma is made for")      # of logits below 0
networks, stable, absorbed = {}, {}, []
print("layers            ", *(f"LRP-{rule:8}" for rule in deep_rules))
for trained in (False, True):
    for depth in (2, 4, 8):
        deep = lrp.MLP.random([784, *[100] * (depth - 1), 10], activation="relu", rng=0)
        if trained:
            lrp.train(deep, digits, epochs=10, rng=0, progress=False)
            networks[depth] = deep
        else:
            e = lrp.explain(deep, some, "epsilon", epsilon=0.25)
            logit = e.logits.max(axis=1)
            absorbed.append(np.median(sum(row.epsilon for row in e.ledger) / logit))
        stable[trained, depth] = [stability(deep, rule, how) for rule, how in deep_rules.items()]
        print(f"{depth}, {'trained' if trained else 'untrained':13}",
              *(f"{value:12.3f}" for value in stable[trained, depth]))
print(f"untrained: a median logit of {np.median(logit):.2f} (8 layers); epsilon absorbs",
      *(f"{share:.0%}" for share in absorbed), "of the logit (2, 4, 8 layers)")
assert min(absorbed) > 0.5 and np.median(logit) < 0.2
for of_0, of_epsilon, of_gamma in stable.values():
    assert of_0 < min(of_epsilon, of_gamma)
assert stable[False, 2][0] - stable[False, 8][0] > 0.1 and stable[False, 8][2] > 0.9
assert all(stable[True, depth][0] > 0.97 for depth in networks)

# %% [markdown]
# Untrained, LRP-0 loses its bearings with depth, and epsilon and gamma hardly do: this is what they
# are for. (Epsilon has its price: an untrained logit is about 0.1, and epsilon = 0.25 absorbs most
# of it.) Training has smoothed these small networks; there LRP-0 is nearly as stable.
#
# A stable heatmap is not yet a right one. So the test of lesson 10: flip the most relevant non-zero
# pixels first, or the least relevant first. The mean gap between both accuracy curves is called the
# SRG: the better the heatmap, the larger it is. The baseline is the image itself, brightest pixels
# first.

# %%
srg = {}
for depth, deep in networks.items():
    relevance = {f"LRP-{rule}": lrp.explain(deep, some, rule, **how).input
                 for rule, how in deep_rules.items()} | {"pixel intensity": some}
    for name, R in relevance.items():
        curves = perturbation_curves(deep, some, their_labels, R, [0.05, 0.1, 0.2, 0.3, 0.5, 0.7])
        srg[depth, name] = curves.srg(curves.accuracy)
    right = (deep.predict(some) == their_labels).mean()
    print(f"{depth} layers, accuracy {right:.1%}:", ", ".join(
        f"{name} {srg[depth, name]:.2f}" for name in relevance))
    assert srg[depth, "LRP-0"] >= srg[depth, "LRP-gamma"] > srg[depth, "pixel intensity"] + 0.2
assert srg[8, "LRP-0"] < srg[2, "LRP-0"] and srg[8, "LRP-gamma"] < srg[2, "LRP-gamma"] - 0.05

# %%
alike = []
for deep in networks.values():
    of_0, of_gamma = (lrp.explain(deep, some, rule, **deep_rules[rule]).input
                      for rule in ("0", "gamma"))
    alike.append(np.median([np.corrcoef(R[lit], S[lit])[0, 1]
                            for R, S, lit in zip(of_0, of_gamma, ink)]))
print("correlation of LRP-0 and gamma, median over the images:", np.round(alike, 2))
n = int(np.argmax(their_labels == 3))
show(lrp.plotting.heatmaps(
    [np.stack([lrp.explain(networks[depth], some[n:n + 1], rule, **how).input[0]
               for depth in networks]) for rule, how in deep_rules.items()],
    [f"{depth} layers" for depth in networks], [f"LRP-{rule}" for rule in deep_rules],
    title="Deeper, LRP-0 and gamma agree less: correlation "
          f"{alike[0]:.2f}, {alike[1]:.2f}, {alike[2]:.2f}"), "06_depth",
     "one digit, three depths, three rules")
assert alike[0] > alike[1] > alike[2]

# %% [markdown]
# Honestly: on these digits, with these networks, LRP-0 passes the test best at every depth, though
# gamma draws the calmer picture. For a network that classifies photographs (VGG-16, with sixteen
# layers), the Overview of Montavon et al. 2019 recommends gamma below, epsilon in the middle and
# LRP-0 at the top. Which rule is best is a question to your network. Now you know how to ask it.
#
# ## The rest of the family
#
# The package has six more rules. Each is made of the four lines, with other weights or other
# inputs; alpha-beta and the generalized gamma go through them twice, and z+ and z-B add up two and
# three products for z. Here they are on our one neuron: a = [1, 2], w = [3, -1], b = 1, R = 4.
#
# | rule | what counts as a contribution | inputs here |
# |---|---|---|
# | z+ (`z_plus`) | positive contributions only: 3, and the bias 1 | 3, 0 |
# | alpha-beta | positive contributions share α R = 8, negative ones -β R = -4 | 6, -4 |
# | generalized gamma | as gamma, for a of any sign: what has the sign of z counts more | 4, -4/3 |
# | w-square | the squared weights, 9 and 1; not the input, not the bias | 3.6, 0.4 |
# | flat | every input the same | 2, 2 |
# | z-B (`z_box`) | pixels from 0 to 2: how far from the worst value, 3 - 0 and -2 + 2 | 4, 0 |

# %%
from lrp_numpy import rules

a, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [-1.0]]), np.array([1.0])
R = np.array([[4.0]])
for rule, parameters, expected in (
        (rules.lrp_z_plus, {}, [3, 0]), (rules.lrp_alpha_beta, {"alpha": 2, "beta": 1}, [6, -4]),
        (rules.lrp_gamma_generalized, {"gamma": 1.0}, [4, -4 / 3]),
        (rules.lrp_w_square, {}, [3.6, 0.4]), (rules.lrp_flat, {}, [2, 2]),
        (rules.lrp_z_box, {"low": 0.0, "high": 2.0}, [4, 0])):
    inputs = rule(a, W, b, R, **parameters)
    print(f"{rule.__name__:22}", inputs.round(2))
    assert np.allclose(inputs, [expected])

# %% [markdown]
# The last three are for the first layer, where a = 0 means background and not absent. A rule that
# multiplies by a gives the background nothing; these three give it something. In a list of rules
# they go first: `rule=["z_box", "epsilon"]`.

# %%
e = lrp.explain(net, images, rule=["z_box", "epsilon"])
background = images == 0
print(f"share of the background with relevance: z-B {(e.input[background] != 0).mean():.0%}, "
      f"LRP-0 {(lrp.explain(net, images).input[background] != 0).mean():.0%}")
assert (e.input[background] != 0).mean() > 0.9
assert (lrp.explain(net, images).input[background] == 0).all()

# %% [markdown]
# ## Composites: names for whole lists
#
# Some lists of rules have a name of their own: **composites**. `lrp_numpy/composites.py` gives the
# reasons for their choices. A composite gives every layer a rule; one that needs more layers than
# there are raises an error. (`epsilon_gamma_box` is made for convolutions: of it, this dense
# network gets only epsilon.)

# %%
deep = lrp.MLP.random([784, 60, 40, 10], activation="relu", rng=0)
for name, composite in lrp.composites.COMPOSITES.items():
    print(f"{name:18}", [rule for rule, _ in composite(deep)])
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
# Two programs often disagree under the same name. Mostly it is the bias, or a sign. Each
# **dialect** with a name in the third column is one equation in `lrp_numpy/dialects.py`, and
# `explain` takes it by that name.
#
# | software | its rule | here | what differs from ours |
# |---|---|---|---|
# | zennit | all | `"zennit.gamma"`, `"zennit.flat"` ... | 1e-6 in every denominator |
# | zennit | Gamma | `"zennit.gamma"` | the generalized one; where z = 0 exactly, R is left out |
# | zennit | WSquare | `"zennit.w_square"` | b² stands in the denominator |
# | captum | all | `"captum.epsilon"` ... | 1e-9 in every denominator |
# | captum | GammaRule | `"captum.gamma"` | the bias stays as it is |
# | captum | Alpha1_Beta0_Rule | `"captum.alpha1_beta0"` | a w+ and b; z+ takes (a w)+ and b+ |
# | lrp_toolbox | alpha-beta | `"toolbox.alpha_beta"` | beta has the other sign: alpha + beta = 1 |
# | tutorial | epsilon | `"tutorial.epsilon"` | ε times the size of z, added without its sign |
# | TorchLRP | epsilon | none | sign(0) is -1; ours, zennit's and captum's is +1 |
# | TorchLRP | gamma | none | w + γ w w+, which is a slip |
# | some | any | `start=1.0` | relevance begins at 1 and not at the logit |
#
# On our neuron, a = [1, 2], w = [3, -1], b = 1, R = 4:

# %%
from lrp_numpy.dialects import captum_gamma, tutorial_epsilon, zennit_w_square

assert np.allclose(tell(captum_gamma, gamma=1.0), [[4.8, -1.6]])                # 6 - 2 + 1 = 5
assert np.allclose(tell(captum_gamma, gamma=1.0, set_bias_to_zero=True), [[6, -2]])     # 6 - 2 = 4
assert np.allclose(tell(zennit_w_square), [[36 / 11, 4 / 11]])                  # 9 + 1 + 1 = 11
print("by its name:", lrp.explain(net, images[:5], "captum.gamma", gamma=1.0).input.shape)

# %% [markdown]
# And epsilon in the tutorial of Montavon et al., where z = -2 and R = 6. That ε is relative to the
# size of z, the root mean square of all outputs, here 2. So ε = 0.5 adds 1. With the sign of z, as
# in ours with `relative=True`, the denominator is -3. Without it, it is -1, and for ε = 1 it would
# be 0. There the stabilizer destabilizes.

# %%
a, W, b, R = np.array([[2.0]]), np.array([[-1.0]]), np.zeros(1), np.array([[6.0]])
assert tell(lrp_epsilon, epsilon=0.5, relative=True).tolist() == [[4]]
assert np.allclose(tell(tutorial_epsilon, epsilon=0.5), [[12]])

# %% [markdown]
# One thing more: gamma, here as in captum, is made for activations that are not negative. With
# tanh, a and w can both be negative. Their product is positive evidence, but gamma does not let it
# count more. `lrp_gamma` warns, and names the rule that looks at the product.

# %%
import warnings

a, W, b = np.array([[-1.0, 1.0]]), np.array([[-2.0], [2.0]]), np.zeros(1)     # both contribute 2
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    naive = lrp_gamma(a, W, b, R, gamma=1.0)
print("gamma", naive, " generalized", rules.lrp_gamma_generalized(a, W, b, R, gamma=1.0))
print(caught[0].message)
assert naive.tolist() == [[2, 4]] and "'gamma_generalized'" in str(caught[0].message)
assert rules.lrp_gamma_generalized(a, W, b, R, gamma=1.0).tolist() == [[3, 3]]

# %% [markdown]
# ## Try it
#
# - A small proof: LRP-0 is gradient x input in a ReLU network, layer by layer. Suppose that above a
#   layer R_k = a_k g_k, with g_k the derivative of the logit with respect to a_k. Show that below
#   it R_j = a_j g_j. Where do you use a ReLU?
# - Which γ halves the negative evidence of LRP-0?
# - Exchange the rules of the two layers: `["epsilon", "gamma"]`. In which row of the ledger does
#   the absorbed part stand now?
# - Take a digit that the network misclassifies, and ask: why this class, and not the right one?
# - `start` may be an array (N, 10) of your own: the logit of 4 at 4, minus the logit of 9 at 9, and
#   0 elsewhere. Is the heatmap R(z4) - R(z9), or R(z4 - z9)?
# - Write a rule of your own: `def lrp_cube(a, W, b, R, **how): return rules.propagate(a, W**3, b,
#   R, **how)`. Then explain with `rule=lrp_cube`. Does its ledger add up?
#
# **Write it yourself:** epsilon and gamma.
# [The exercise](exercises/ex06_rules.py) checks your answer and names the mistake.
#
# Next: [7. Where do the rules come from?](07_where_rules_come_from.py).
